//! Offsets that the broker no longer has: an operator accepts their loss, and the coverage says so.

use uuid::Uuid;

use crate::cell::Entry;
use crate::coverage::{Line, Stamp, write_lines};
use crate::lake::{Lake, LakeError, at};
use crate::layout::TableName;
use crate::partition::{PartitionId, Span};
use crate::table_log::Attempt;

/// A gap could not be accepted.
#[derive(Debug, thiserror::Error)]
pub enum GapError {
    /// A batch was interrupted before the gap; it is finished first.
    #[error("a batch of {partition} was interrupted and ends at {end}; start the daemon once, so that it is finished")]
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
    #[error("the lake accounts for {partition} up to there already")]
    NoGap {
        /// The partition.
        partition: PartitionId,
    },
}

impl Lake {
    /// Records that the offsets of a partition from the lake's end up to `to` are lost, and goes on there.
    ///
    /// Takes the partition, so a daemon that reads it has to take it anew.
    ///
    /// # Errors
    ///
    /// There is no gap, a batch has to be finished first, or the lake can't be used.
    pub fn accept_gap(&self, partition: &PartitionId, to: i64, now_ms: i64) -> Result<Span, GapError> {
        let position = self.positions(std::slice::from_ref(partition), now_ms)?.remove(0);
        if let Some(interrupted) = position.interrupted {
            return Err(GapError::Interrupted { partition: partition.clone(), end: interrupted.end });
        }
        let from = position.watermark.filter(|from| *from < to);
        let from = from.ok_or_else(|| GapError::NoGap { partition: partition.clone() })?;
        let span = Span { partition: partition.clone(), from, to };
        self.record_loss(&span, now_ms)?;
        Ok(span)
    }

    fn record_loss(&self, span: &Span, now_ms: i64) -> Result<(), GapError> {
        let at_coverage = |source| GapError::Lake(at(&TableName::Coverage, source));
        let count = span.to.abs_diff(span.from);
        let line = Line { span: Some(span.clone()), fate: LOST.to_owned(), count, ..Line::default() };
        let mut coverage = self.coverage.lock();
        let stamp = Stamp { group: &self.config.group, policy: "", consent: 0, now_ms };
        let file = write_lines(&coverage.log, &[line], &stamp).map_err(|error| at_coverage(error.into()))?;
        coverage.log.folder.publish([&file.place]).map_err(|error| at_coverage(error.into()))?;
        let id = Uuid::new_v4();
        loop {
            coverage.refresh().map_err(at_coverage)?;
            self.check_group(&coverage)?;
            if coverage.watermark(&span.partition) != Some(span.from) {
                return Err(GapError::NoGap { partition: span.partition.clone() });
            }
            let txns = vec![coverage.log.offset_txn(&span.partition, span.to)];
            let entry = Entry::Batch { spans: vec![span.clone()], claims: Vec::new() };
            match coverage.put(&self.kernel, id, entry, txns, Some(&file), now_ms).map_err(at_coverage)? {
                Attempt::Done => return Ok(()),
                Attempt::Lost => {}
            }
        }
    }
}

/// The fate of offsets that nobody can read any more; their number is that of offsets, not of records.
pub(crate) const LOST: &str = "lost";
