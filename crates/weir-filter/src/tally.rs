//! The accounting: what became of every record, for every purpose.
//!
//! Each record has exactly one fate per purpose, so that for each partition and purpose the counts add up to the records
//! consumed. Nothing here can hold a value of an event: keys are numbers and closed lists.

use crate::hash::FastMap;
use crate::record::Origin;
use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use weir_policy::{ContractIx, DenyReason, MalformedCode, PurposeId};

/// What became of one record for one purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fate {
    /// A rule said no.
    Denied(DenyReason),
    /// It could not be read, or no contract declares it.
    Quarantined(MalformedCode),
    /// A row was made.
    Written,
}

impl Fate {
    /// Returns `denied`, `quarantined` or `written`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Denied(_) => "denied",
            Self::Quarantined(_) => "quarantined",
            Self::Written => "written",
        }
    }

    /// Returns the reason's code; a written row has none.
    pub const fn code(self) -> Option<&'static str> {
        match self {
            Self::Denied(reason) => Some(reason.code()),
            Self::Quarantined(code) => Some(code.code()),
            Self::Written => None,
        }
    }
}

/// What a count is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TallyKey {
    /// The partition.
    pub origin: Origin,
    /// The purpose.
    pub purpose: PurposeId,
    /// The contract; none where the record is quarantined.
    pub contract: Option<ContractIx>,
    /// What became of the records.
    pub fate: Fate,
}

/// What was dropped from, or replaced in, the events of one contract.
///
/// Counted for every record that has a contract and is not malformed, whatever its fates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FieldCounts {
    /// Members that the contract does not declare; what lies inside one is not counted again.
    pub undeclared: u64,
    /// Content: declared, and so never collected.
    pub content: u64,
    /// Values that were read and reached no row, because no purpose that may have them was permitted.
    pub not_permitted: u64,
    /// Values of another type than declared, stored as null.
    pub wrong_type: u64,
    /// Numbers outside their type or range, stored as null.
    pub out_of_range: u64,
    /// Words outside their closed list, stored as `__other__`.
    pub other_word: u64,
}

impl FieldCounts {
    fn add(&mut self, other: &Self) {
        self.undeclared += other.undeclared;
        self.content += other.content;
        self.not_permitted += other.not_permitted;
        self.wrong_type += other.wrong_type;
        self.out_of_range += other.out_of_range;
        self.other_word += other.other_word;
    }
}

/// Counts of records by fate, and of fields by what was done to them.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Events, all three fates at once: one count an event.
    events: FastMap<EventKey, u64>,
    /// What is counted by itself.
    fates: FastMap<TallyKey, u64>,
    fields: Vec<FieldCounts>,
}

impl Tally {
    /// Returns every count that is not zero, in the order of the keys.
    pub fn fates(&self) -> Vec<(TallyKey, u64)> {
        let mut sums = BTreeMap::new();
        self.counts().for_each(|(key, count)| *sums.entry(key).or_default() += count);
        sums.into_iter().filter(|(_, count)| *count > 0).collect()
    }

    /// Returns how many records of a partition have a fate for a purpose.
    ///
    /// The same for each purpose: the number of records consumed.
    pub fn records(&self, origin: Origin, purpose: PurposeId) -> u64 {
        self.sum(|key| key.origin == origin && key.purpose == purpose)
    }

    /// Returns the number of fates of one purpose, over all partitions.
    pub fn total(&self, purpose: PurposeId) -> u64 {
        self.sum(|key| key.purpose == purpose)
    }

    /// Returns what was done to the fields of a contract's events.
    pub fn fields(&self, contract: ContractIx) -> FieldCounts {
        self.fields.get(contract.index()).copied().unwrap_or_default()
    }

    /// Adds the counts of another tally of the same policy.
    pub fn absorb(&mut self, other: &Self) {
        add_all(&mut self.events, &other.events);
        add_all(&mut self.fates, &other.fates);
        self.fields.resize(self.fields.len().max(other.fields.len()), FieldCounts::default());
        for (mine, theirs) in self.fields.iter_mut().zip(&other.fields) {
            mine.add(theirs);
        }
    }

    /// Moves records from written to denied: what the re-check before a commit took out of `contract`'s rows.
    pub fn withdraw(&mut self, purpose: PurposeId, contract: ContractIx, removed: &Removed) {
        // Mostly nothing was.
        if removed.is_empty() {
            return;
        }
        for (event, count) in std::mem::take(&mut self.events) {
            event.each_fate().for_each(|key| *self.fates.entry(key).or_default() += count);
        }
        for (origin, reason, count) in removed.iter() {
            let key = |fate| TallyKey { origin, purpose, contract: Some(contract), fate };
            let written = self.fates.entry(key(Fate::Written)).or_default();
            *written = written.checked_sub(count).expect("only rows that were counted as written are removed");
            *self.fates.entry(key(Fate::Denied(reason))).or_default() += count;
        }
    }

    /// Counts for each event its partition, its contract, its fate for each purpose, and what was done to its fields.
    pub(crate) fn add_events(&mut self, events: impl Iterator<Item = (Origin, ContractIx, [Fate; 3], FieldCounts)>) {
        for (origin, contract, fates, counts) in events {
            self.fields_mut(contract).add(&counts);
            *self.events.entry(EventKey { contract, origin, fates }).or_default() += 1;
        }
    }

    /// Counts numbers of a contract's rows that the purpose's buckets have no place for.
    pub(crate) fn add_out_of_range(&mut self, contract: ContractIx, count: u64) {
        self.fields_mut(contract).out_of_range += count;
    }

    /// Counts a record that could not be read or has no contract: the same fate for every purpose.
    pub(crate) fn add_quarantined(&mut self, origin: Origin, code: MalformedCode) {
        for purpose in PurposeId::ALL {
            self.add(TallyKey { origin, purpose, contract: None, fate: Fate::Quarantined(code) });
        }
    }

    fn sum(&self, counts: impl Fn(&TallyKey) -> bool) -> u64 {
        self.counts().filter(|(key, _)| counts(key)).map(|(_, count)| count).sum()
    }

    /// Returns all counts; a key may come more than once.
    fn counts(&self) -> impl Iterator<Item = (TallyKey, u64)> {
        let of_events = self.events.iter().flat_map(|(event, count)| event.each_fate().map(|key| (key, *count)));
        of_events.chain(self.fates.iter().map(|(key, count)| (*key, *count)))
    }

    fn add(&mut self, key: TallyKey) {
        *self.fates.entry(key).or_default() += 1;
    }

    fn fields_mut(&mut self, contract: ContractIx) -> &mut FieldCounts {
        let at = contract.index();
        if at >= self.fields.len() {
            self.fields.resize(at + 1, FieldCounts::default());
        }
        &mut self.fields[at]
    }
}

/// What the counts of an event are about, for all purposes together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct EventKey {
    contract: ContractIx,
    origin: Origin,
    fates: [Fate; 3],
}

impl EventKey {
    fn each_fate(self) -> impl Iterator<Item = TallyKey> {
        let Self { contract, origin, fates } = self;
        let purposes = PurposeId::ALL.into_iter().zip(fates);
        purposes.map(move |(purpose, fate)| TallyKey { origin, purpose, contract: Some(contract), fate })
    }
}

impl Hash for EventKey {
    /// One number, that only the same fates of the same contract and partition have.
    fn hash<H: Hasher>(&self, state: &mut H) {
        const { assert!(DenyReason::ALL.len() < (1 << 5) - 1, "a reason takes five bits") };
        let fates = self.fates.into_iter().fold(0, |number, fate| {
            let fate = match fate {
                Fate::Written => 0,
                Fate::Denied(reason) => 1 + reason.index(),
                Fate::Quarantined(_) => unreachable!("what is quarantined is no event"),
            };
            number << 5 | u64::try_from(fate).expect("a usize has at most 64 bits")
        });
        state.write_u64(u64::from(self.contract.0) << 32 | u64::from(self.origin.0) << 16 | fates);
    }
}

fn add_all<K: Copy + Eq + Hash>(counts: &mut FastMap<K, u64>, others: &FastMap<K, u64>) {
    for (key, count) in others {
        *counts.entry(*key).or_default() += count;
    }
}

/// Rows that a re-check took out, by partition and reason.
#[derive(Clone, Debug, Default)]
#[must_use = "removed rows must be moved in the accounting, see Tally::withdraw"]
pub struct Removed(Vec<(Origin, DenyReason, u64)>);

impl Removed {
    /// Tells whether nothing was removed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the number of rows removed.
    pub fn total(&self) -> u64 {
        self.0.iter().map(|(_, _, count)| count).sum()
    }

    /// Returns the counts.
    pub fn iter(&self) -> impl Iterator<Item = (Origin, DenyReason, u64)> {
        self.0.iter().copied()
    }

    pub(crate) fn add(&mut self, origin: Origin, reason: DenyReason) {
        // A re-check finds few reasons in few partitions, so a list beats a map.
        match self.0.iter_mut().find(|(o, r, _)| *o == origin && *r == reason) {
            Some((_, _, count)) => *count += 1,
            None => self.0.push((origin, reason, 1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTRACT: ContractIx = ContractIx(3);

    fn key(origin: u16, fate: Fate) -> TallyKey {
        TallyKey { origin: Origin(origin), purpose: PurposeId::Reliability, contract: Some(CONTRACT), fate }
    }

    fn with_events(origin: u16, number: usize) -> Tally {
        let mut tally = Tally::default();
        let counts = FieldCounts { content: 2, ..FieldCounts::default() };
        let event = (Origin(origin), CONTRACT, [Fate::Written, Fate::Written, Fate::Denied(DenyReason::Gpc)], counts);
        tally.add_events(std::iter::repeat_n(event, number));
        tally
    }

    fn count(tally: &Tally, key: TallyKey) -> u64 {
        tally.sum(|counted| *counted == key)
    }

    #[test]
    fn withdrawn_rows_change_their_fate_and_not_the_sum() {
        let mut tally = with_events(7, 5);
        let mut removed = Removed::default();
        removed.add(Origin(7), DenyReason::Erased);
        removed.add(Origin(7), DenyReason::Erased);
        tally.withdraw(PurposeId::Reliability, CONTRACT, &removed);
        assert_eq!(removed.total(), 2);
        assert_eq!(count(&tally, key(7, Fate::Written)), 3);
        assert_eq!(count(&tally, key(7, Fate::Denied(DenyReason::Erased))), 2);
        assert_eq!(PurposeId::ALL.map(|purpose| tally.records(Origin(7), purpose)), [5; 3]);
    }

    #[test]
    fn absorbed_tallies_add_up() {
        let (mut one, mut two) = (with_events(0, 1), with_events(0, 2));
        two.add(key(0, Fate::Written));
        two.add(key(1, Fate::Denied(DenyReason::Gpc)));
        two.fields_mut(ContractIx(5)).content = 4;
        one.absorb(&two);
        assert_eq!(count(&one, key(0, Fate::Written)), 4);
        assert_eq!(one.total(PurposeId::Reliability), 5);
        assert_eq!(one.total(PurposeId::Personalization), 3);
        assert_eq!((one.fields(CONTRACT).content, one.fields(ContractIx(5)).content), (6, 4));
        // Each key once: written for two purposes, denied for one, and what was counted by itself elsewhere.
        assert_eq!(one.fates().len(), 4);
    }
}
