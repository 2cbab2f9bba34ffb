//! What a commit says about itself, sealed in its `commitInfo`.
//!
//! The log of a table is open to everyone who may read the table, so where rows came from and how many were denied stands
//! there under a key of weir's own. A commit without a cell that opens was not made by this lake's weir.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;
use weir_filter::Fate;
use weir_policy::{DenyReason, MalformedCode};

use crate::layout::TableName;
use crate::partition::{PartitionId, Span};

/// What a commit says about itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Cell {
    /// Random, so that a writer knows its own commit again; for a batch, the same in all its tables.
    pub(crate) id: Uuid,
    /// The files that the commit adds.
    pub(crate) files: Vec<FileMark>,
    /// The paths of the files that it removes.
    pub(crate) removed: Vec<String>,
    pub(crate) body: Body,
    /// When it was committed, by the writer's clock, in milliseconds: the log itself tells the day only. Cells of older logs, which
    /// told the instant, have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) at_ms: Option<i64>,
    /// What becomes of rows that are set aside.
    #[serde(default, skip_serializing_if = "AsideChange::is_empty")]
    pub(crate) aside: AsideChange,
}

/// The files of rows set aside that a commit makes count, and those that it ends.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct AsideChange {
    pub(crate) added: Vec<AsideMark>,
    pub(crate) gone: Vec<AsideMark>,
}

/// A file of rows that are set aside.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct AsideMark {
    pub(crate) path: String,
    pub(crate) rows: u64,
}

/// A file, so that a change of its bytes shows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct FileMark {
    pub(crate) path: String,
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
    /// In hex: what the ledger says too, and what everybody has a tool for.
    pub(crate) sha256: String,
}

/// Why a commit was made.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Body {
    /// Rows of a batch.
    Batch(BatchCell),
    /// An entry of the coverage.
    Coverage(Entry),
    /// Version 0.
    Created,
    /// Rows of people who asked for it left. Every table has one for every request, with rows of theirs or without.
    Erased {
        /// Marks the request.
        request: String,
        /// The files that held rows of theirs.
        files: Vec<Replaced>,
    },
    /// Rows past their retention left.
    Expired {
        /// The rows in the files removed.
        rows: u64,
    },
    /// Rows that were set aside came back.
    Lifted,
    /// Rows of people who asked for it were set aside. Every table of the purposes has one for every request.
    Restricted {
        /// The files that held rows of theirs.
        files: Vec<Replaced>,
    },
    /// Files of batches that were declared void left.
    Swept {
        /// The batches.
        batches: Vec<Uuid>,
    },
}

/// A file whose place another one took, without some of its rows.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Replaced {
    /// The file, as it was found.
    pub(crate) before: FileMark,
    /// The path of the new one; none if no row was left.
    pub(crate) after: Option<String>,
    /// The rows that left.
    pub(crate) erased: u64,
    /// The batch whose rows they were, where the coverage had not decided yet that it counts.
    pub(crate) batch: Option<Uuid>,
}

/// The part of a batch that one table's commit holds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct BatchCell {
    /// The policy's hash in hex.
    pub(crate) policy: String,
    /// How far the consent state had been read.
    pub(crate) consent: i64,
    /// Distinct people in the rows.
    pub(crate) people: u64,
    pub(crate) parts: Vec<CellPart>,
}

/// What a commit says about one partition.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct CellPart {
    pub(crate) span: Span,
    /// The owner generation of the writer.
    pub(crate) generation: u64,
    pub(crate) counts: Vec<Count>,
}

/// A number of records with one fate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Count {
    pub(crate) fate: String,
    pub(crate) reason: Option<String>,
    pub(crate) records: u64,
}

/// What an entry of the coverage decides.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Entry {
    /// A batch is complete.
    Batch { spans: Vec<Span>, claims: Vec<Claim> },
    /// Rows of people who asked for it left a table.
    Erased {
        table: TableName,
        /// The cell of the commit that removed them.
        removal: Uuid,
    },
    /// Rows left a table because their time was over.
    Expired {
        table: TableName,
        /// The cell of the commit that removed them.
        removal: Uuid,
    },
    /// Rows of a table were set aside, or came back.
    Moved {
        table: TableName,
        /// The cell of the commit that moved them.
        removal: Uuid,
    },
    /// A consumer group took the lake, and maybe partitions.
    Taken { partitions: Vec<(PartitionId, u64)> },
    /// A commit that nobody claimed never counts.
    Void { table: TableName, batch: Uuid },
}

/// A table's commit that a batch counts as its own.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Claim {
    pub(crate) table: TableName,
    /// The cell of the commit.
    pub(crate) batch: Uuid,
    /// The partition for which it is claimed.
    pub(crate) partition: PartitionId,
    /// Everything that the commit holds, this partition and others.
    pub(crate) parts: Vec<Span>,
}

/// Counts of one table or quarantine, by fate.
pub(crate) type Counts = BTreeMap<Fate, u64>;

// === impl Cell ===

impl Cell {
    pub(crate) fn new(id: Uuid, body: Body) -> Self {
        Self { id, files: Vec::new(), removed: Vec::new(), body, at_ms: None, aside: AsideChange::default() }
    }

    pub(crate) fn batch(&self) -> Option<&BatchCell> {
        match &self.body {
            Body::Batch(batch) => Some(batch),
            Body::Coverage(_)
            | Body::Created
            | Body::Erased { .. }
            | Body::Expired { .. }
            | Body::Lifted
            | Body::Restricted { .. }
            | Body::Swept { .. } => None,
        }
    }

    /// Tells whether the commit is part of a request.
    pub(crate) fn is_erasure_of(&self, asked: &str) -> bool {
        matches!(&self.body, Body::Erased { request, .. } if request == asked)
    }

    /// Returns the files that others took the place of, without rows of people who asked for it.
    pub(crate) fn replaced(&self) -> &[Replaced] {
        match &self.body {
            Body::Erased { files, .. } | Body::Restricted { files } => files,
            Body::Batch(_)
            | Body::Coverage(_)
            | Body::Created
            | Body::Expired { .. }
            | Body::Lifted
            | Body::Swept { .. } => &[],
        }
    }

    /// Returns the void batches whose files the commit removed.
    pub(crate) fn swept(&self) -> &[Uuid] {
        match &self.body {
            Body::Swept { batches } => batches,
            Body::Batch(_)
            | Body::Coverage(_)
            | Body::Created
            | Body::Erased { .. }
            | Body::Expired { .. }
            | Body::Lifted
            | Body::Restricted { .. } => &[],
        }
    }

    /// Returns how many rows the commit set aside.
    pub(crate) fn restricted(&self) -> u64 {
        let is_restriction = matches!(self.body, Body::Restricted { .. });
        self.replaced().iter().filter(|_| is_restriction).map(|file| file.erased).sum()
    }

    /// Returns how many rows that were set aside are so no more: they came back, or left for good.
    pub(crate) fn lifted(&self) -> u64 {
        let rows = |marks: &[AsideMark]| marks.iter().map(|mark| mark.rows).sum::<u64>();
        (self.restricted() + rows(&self.aside.gone)).saturating_sub(rows(&self.aside.added))
    }

    /// Returns what a batch's commit says about a partition.
    pub(crate) fn part(&self, partition: &PartitionId) -> Option<&CellPart> {
        self.batch()?.parts.iter().find(|part| part.span.partition == *partition)
    }

    pub(crate) fn spans(&self) -> Vec<Span> {
        let parts = self.batch().map(|batch| batch.parts.as_slice()).unwrap_or_default();
        parts.iter().map(|part| part.span.clone()).collect()
    }

    pub(crate) fn rows(&self) -> u64 {
        self.files.iter().map(|file| file.rows).sum()
    }
}

// === impl AsideChange ===

impl AsideChange {
    pub(crate) fn is_empty(&self) -> bool {
        self.added.is_empty() && self.gone.is_empty()
    }
}

// === impl Count ===

impl Count {
    pub(crate) fn list(counts: &Counts) -> Vec<Self> {
        let count = |(fate, count): (&Fate, &u64)| Self {
            fate: fate.name().to_owned(),
            reason: fate.code().map(str::to_owned),
            records: *count,
        };
        counts.iter().filter(|(_, count)| **count > 0).map(count).collect()
    }

    /// Returns the fate; `None` for one that this version of weir does not know.
    pub(crate) fn fate(&self) -> Option<Fate> {
        match (self.fate.as_str(), self.reason.as_deref()) {
            ("written", None) => Some(Fate::Written),
            ("denied", Some(code)) => DenyReason::parse(code).map(Fate::Denied),
            ("quarantined", Some(code)) => MalformedCode::parse(code).map(Fate::Quarantined),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_as_they_are_written() {
        let fates =
            [Fate::Written, Fate::Denied(DenyReason::ConsentWithdrawn), Fate::Quarantined(MalformedCode::NoContract)];
        let counts: Counts = fates.into_iter().zip(1..).collect();
        let read: Counts = Count::list(&counts).iter().map(|count| (count.fate().unwrap(), count.records)).collect();
        assert_eq!(read, counts);
    }
}
