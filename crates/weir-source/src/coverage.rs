//! Which offsets of which partitions were handed out: the start of the accounting.
//!
//! Every poll reports, for each partition that it touched, the stretch of offsets from where the previous one ended.
//! Offsets without a record (compacted away, aborted, a transaction's marker) lie inside a stretch, so that stretches tile
//! a partition without gap or overlap, and a denied or malformed record moves the offset like any other.

use weir_filter::Origin;
use weir_lake::{PartitionId, Span};

/// The partitions that this consumer has, and how far each was read.
#[derive(Debug, Default)]
pub(crate) struct Coverage {
    slots: Vec<Option<Slot>>,
    /// The slot of the latest record: librdkafka hands records out in runs of one partition.
    latest: usize,
}

/// One partition; its place in the list is its [`Origin`] for as long as the consumer has it.
#[derive(Debug)]
struct Slot {
    id: PartitionId,
    /// The offset that comes next.
    next: i64,
    /// Where this poll's stretch started, once it has one.
    from: Option<i64>,
    /// The end of a batch that was interrupted: it has to be committed before anything after it is read.
    fence: Option<i64>,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Stopped at its fence until the caller lifts it.
    Fenced,
    /// Stopped by a problem.
    Halted,
    Running,
}

/// How far a partition was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The partition's place in batches.
    pub origin: Origin,
    /// The partition.
    pub partition: PartitionId,
    /// The offset that comes next.
    pub next: i64,
}

impl Coverage {
    /// Takes a partition in; it will be read from `next`, and only up to `fence` if there is one.
    pub(crate) fn open(&mut self, id: PartitionId, next: i64, fence: Option<i64>) -> Origin {
        let state = if fence.is_some_and(|fence| fence <= next) { State::Fenced } else { State::Running };
        let slot = Some(Slot { id, next, from: None, fence, state });
        let place = self.slots.iter().position(Option::is_none).unwrap_or(self.slots.len());
        if place == self.slots.len() {
            self.slots.push(slot);
        } else {
            self.slots[place] = slot;
        }
        Origin(u16::try_from(place).expect("a group gives a member at most 65,536 partitions"))
    }

    /// Lets a partition go; its origin may be given to another one.
    pub(crate) fn close(&mut self, origin: Origin) {
        if let Some(slot) = self.slots.get_mut(usize::from(origin.0)) {
            *slot = None;
        }
    }

    /// Stops a partition for good: records that still come are not handed out.
    pub(crate) fn halt(&mut self, origin: Origin) {
        if let Some(slot) = self.slot_mut(origin) {
            slot.state = State::Halted;
        }
    }

    /// Lets a partition pass its fence; returns the offset to go on at.
    pub(crate) fn lift(&mut self, origin: Origin) -> Option<i64> {
        let slot = self.slot_mut(origin)?;
        slot.fence = None;
        (slot.state == State::Fenced).then(|| {
            slot.state = State::Running;
            slot.next
        })
    }

    /// Counts a record in; none for one that must not be handed out.
    pub(crate) fn take(&mut self, topic: &str, partition: i32, offset: i64) -> Option<Origin> {
        let place = self.place(topic, partition)?;
        self.latest = place;
        let slot = self.slots[place].as_mut()?;
        if slot.state != State::Running || offset < slot.next {
            return None;
        }
        let from = slot.next;
        let beyond = slot.fence.filter(|fence| offset >= *fence);
        slot.next = beyond.unwrap_or(offset + 1);
        slot.from.get_or_insert(from);
        if slot.fence.is_some_and(|fence| slot.next >= fence) {
            slot.state = State::Fenced;
        }
        beyond.is_none().then(|| Origin(u16::try_from(place).expect("origins are made from places")))
    }

    /// Moves a partition that still stands at `from` over offsets that hold no record.
    pub(crate) fn skip(&mut self, origin: Origin, from: i64, to: i64) {
        if let Some(slot) = self.slot_mut(origin)
            && slot.state == State::Running
            && slot.next == from
        {
            slot.from.get_or_insert(slot.next);
            slot.next = to.min(slot.fence.unwrap_or(i64::MAX));
            if slot.fence == Some(slot.next) {
                slot.state = State::Fenced;
            }
        }
    }

    /// Returns the stretches since the last call, and the partitions that reached their fence in them.
    pub(crate) fn spans(&mut self) -> (Vec<(Origin, Span)>, Vec<Origin>) {
        let (mut spans, mut fenced) = (Vec::new(), Vec::new());
        for (place, slot) in (0_u16..).zip(&mut self.slots) {
            let Some(slot) = slot else { continue };
            if let Some(from) = slot.from.take() {
                spans.push((Origin(place), Span { partition: slot.id.clone(), from, to: slot.next }));
                if slot.state == State::Fenced {
                    fenced.push(Origin(place));
                }
            }
        }
        (spans, fenced)
    }

    /// Returns how far each partition was read that is not stopped by a problem.
    pub(crate) fn positions(&self) -> Vec<Position> {
        let live = |slot: &&Slot| slot.state != State::Halted;
        (0_u16..)
            .zip(&self.slots)
            .filter_map(|(place, slot)| slot.as_ref().filter(live).map(|slot| (place, slot)))
            .map(|(place, slot)| Position { origin: Origin(place), partition: slot.id.clone(), next: slot.next })
            .collect()
    }

    /// Returns the partitions that are being read.
    pub(crate) fn running(&self) -> Vec<PartitionId> {
        let running = |slot: &&Slot| slot.state == State::Running;
        self.slots.iter().flatten().filter(running).map(|slot| slot.id.clone()).collect()
    }

    /// Returns the partition of an origin.
    pub(crate) fn id(&self, origin: Origin) -> Option<&PartitionId> {
        self.slots.get(usize::from(origin.0))?.as_ref().map(|slot| &slot.id)
    }

    /// Returns the origin of a partition.
    pub(crate) fn origin(&self, topic: &str, partition: i32) -> Option<Origin> {
        self.place(topic, partition).and_then(|place| u16::try_from(place).ok()).map(Origin)
    }

    fn slot_mut(&mut self, origin: Origin) -> Option<&mut Slot> {
        self.slots.get_mut(usize::from(origin.0))?.as_mut()
    }

    fn place(&self, topic: &str, partition: i32) -> Option<usize> {
        let is_it = |slot: &Option<Slot>| {
            slot.as_ref().is_some_and(|slot| slot.id.partition == partition && *slot.id.topic == *topic)
        };
        if self.slots.get(self.latest).is_some_and(is_it) {
            return Some(self.latest);
        }
        self.slots.iter().position(is_it)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(partition: i32) -> PartitionId {
        PartitionId { source: "cluster/topic".into(), topic: "t".into(), partition }
    }

    fn span(partition: i32, from: i64, to: i64) -> (Origin, Span) {
        (Origin(u16::try_from(partition).expect("small")), Span { partition: id(partition), from, to })
    }

    #[test]
    fn stretches_tile_over_offsets_that_hold_no_record() {
        let mut coverage = Coverage::default();
        coverage.open(id(0), 10, None);
        coverage.open(id(1), 0, None);
        assert_eq!(coverage.take("t", 0, 12), Some(Origin(0)));
        assert_eq!(coverage.take("t", 0, 13), Some(Origin(0)));
        assert_eq!(coverage.take("t", 1, 0), Some(Origin(1)));
        assert_eq!(coverage.spans().0, [span(0, 10, 14), span(1, 0, 1)]);
        assert_eq!(coverage.take("t", 0, 20), Some(Origin(0)));
        coverage.skip(Origin(0), 20, 22);
        assert_eq!(coverage.spans().0, [span(0, 14, 21)], "a record came in between");
        coverage.skip(Origin(0), 21, 22);
        assert_eq!(coverage.spans().0, [span(0, 21, 22)]);
        assert_eq!(coverage.spans().0, []);
    }

    #[test]
    fn record_that_was_handed_out_is_not_handed_out_again() {
        let mut coverage = Coverage::default();
        coverage.open(id(0), 5, None);
        assert_eq!(coverage.take("t", 0, 4), None);
        assert_eq!(coverage.take("t", 0, 5), Some(Origin(0)));
        assert_eq!(coverage.take("t", 0, 5), None);
        assert_eq!(coverage.take("t", 7, 5), None, "a partition that this consumer does not have");
    }

    #[test]
    fn fenced_partition_ends_exactly_at_the_fence_and_goes_on_there() {
        let mut coverage = Coverage::default();
        let origin = coverage.open(id(0), 0, Some(5));
        assert_eq!(coverage.take("t", 0, 3), Some(origin));
        assert_eq!(coverage.take("t", 0, 8), None, "offset 4 held no record");
        assert_eq!(coverage.spans(), (vec![span(0, 0, 5)], vec![origin]));
        assert_eq!(coverage.take("t", 0, 9), None);
        assert_eq!(coverage.lift(origin), Some(5));
        assert_eq!(coverage.take("t", 0, 8), Some(origin));
        assert_eq!(coverage.spans(), (vec![span(0, 5, 9)], vec![]));
    }

    #[test]
    fn halted_partition_hands_nothing_out_and_its_place_is_free_once_it_is_closed() {
        let mut coverage = Coverage::default();
        let origin = coverage.open(id(0), 0, None);
        coverage.halt(origin);
        assert_eq!(coverage.take("t", 0, 0), None);
        assert!(coverage.positions().is_empty() && coverage.running().is_empty());
        coverage.close(origin);
        assert_eq!(coverage.open(id(3), 0, None), origin);
    }
}
