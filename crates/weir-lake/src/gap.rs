//! Offsets that the broker no longer has: an operator accepts their loss, and the coverage says so.

use uuid::Uuid;
use weir_ledger::{Decision, Entry as Told};

use crate::cell::Entry;
use crate::coverage::{Line, Stamp};
use crate::lake::{Lake, LakeError};
use crate::partition::{PartitionId, Span};
use crate::positions::{Interrupted, Position};

/// A gap could not be accepted.
#[derive(Debug, thiserror::Error)]
pub enum GapError {
    /// A batch was interrupted before the gap, and others count on what it wrote.
    #[error("a batch of {partition} was interrupted, ends at {end}, and counts for other partitions already")]
    Interrupted {
        /// The partition.
        partition: PartitionId,
        /// The offset after the batch's last one.
        end: i64,
    },
    /// The lake can't be used.
    #[error(transparent)]
    Lake(#[from] LakeError),
    /// The lake accounts for all offsets below.
    #[error("the lake knows of no offset of {partition} below that it does not account for")]
    NoGap {
        /// The partition.
        partition: PartitionId,
    },
}

impl Lake {
    /// Records that the offsets of a partition from the lake's end up to `to` are lost, and goes on there.
    ///
    /// Takes the partition, so a daemon that reads it has to take it anew. A batch that was interrupted before the gap
    /// cannot be finished, because its records are gone: what it wrote is removed, and what is left of it is read again.
    ///
    /// # Errors
    ///
    /// There is no gap, an interrupted batch counts for other partitions, or the lake can't be used.
    pub fn accept_gap(&self, partition: &PartitionId, to: i64, now_ms: i64) -> Result<Span, GapError> {
        let Position { watermark, interrupted, .. } =
            self.positions(std::slice::from_ref(partition), now_ms)?.remove(0);
        let from = watermark.filter(|from| *from < to);
        let from = from.ok_or_else(|| GapError::NoGap { partition: partition.clone() })?;
        if let Some(Interrupted { end, .. }) = interrupted {
            self.give_up_interrupted(&Span { partition: partition.clone(), from, to: end }, now_ms)?;
        }
        let span = Span { partition: partition.clone(), from, to };
        let lost = span.to.abs_diff(span.from);
        self.ledger.append(now_ms, Told::Decision(Decision::AcceptGap { lost })).map_err(LakeError::from)?;
        self.record_loss(&span, now_ms)?;
        self.tell_ledger(now_ms)?;
        Ok(span)
    }

    /// Removes what the tables have of an interrupted batch.
    fn give_up_interrupted(&self, batch: &Span, now_ms: i64) -> Result<(), GapError> {
        let accepted = self.owned.lock().get(&batch.partition).map(|owned| owned.accepted.clone()).unwrap_or_default();
        for (table, cells) in accepted {
            for cell in cells {
                if !self.void(&table, cell.id, now_ms)? {
                    return Err(GapError::Interrupted { partition: batch.partition.clone(), end: batch.to });
                }
            }
            let log = self.table(&table)?;
            self.sweep(&mut log.lock())?;
        }
        self.forget_interrupted(std::slice::from_ref(batch));
        Ok(())
    }

    fn record_loss(&self, span: &Span, now_ms: i64) -> Result<(), GapError> {
        let count = span.to.abs_diff(span.from);
        let line = Line { span: Some(span.clone()), fate: LOST.to_owned(), count, ..Line::default() };
        let stamp = Stamp { group: &self.config.group, policy: "", consent: 0, now_ms };
        self.put_lines(Uuid::new_v4(), &[line], &stamp, |coverage| {
            if coverage.watermark(&span.partition) != Some(span.from) {
                return Err(GapError::NoGap { partition: span.partition.clone() });
            }
            let txns = vec![coverage.log.offset_txn(&span.partition, span.to)];
            Ok(Some((Entry::Batch { spans: vec![span.clone()], claims: Vec::new() }, txns)))
        })
    }
}

/// The fate of offsets that nobody can read any more; their number is that of offsets, not of records.
pub(crate) const LOST: &str = "lost";
