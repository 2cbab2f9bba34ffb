//! The accounting of one batch: for each partition and purpose, what became of every record.
//!
//! The filter's counts are the start. What a re-check took out moves from written to denied; what an interrupted batch
//! wrote before is taken from its cells, because consent may have changed since and the audit counts what was written.
//! However it was put together, each purpose of a partition adds up to the records consumed.

use std::collections::BTreeMap;
use std::sync::Arc;

use uuid::Uuid;
use weir_filter::{Fate, Origin, Tally, TallyKey};
use weir_policy::{DenyReason, MalformedCode, Policy, PurposeId};

use crate::cell::{CellPart, Counts};
use crate::coverage::Line;
use crate::layout::TableName;
use crate::partition::Span;

/// The counts of a purpose do not add up, and no rule says how they could.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the counts of {} do not add up to the records consumed", purpose.name())]
pub struct Unbalanced {
    /// The purpose.
    pub purpose: PurposeId,
}

/// How many records have one fate for one purpose.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Total {
    /// The purpose.
    pub purpose: PurposeId,
    /// The event type; none where no contract declares it.
    pub event_type: Option<Arc<str>>,
    /// What became of the records.
    pub fate: Fate,
    /// How many there are.
    pub count: u64,
}

/// Counts of a batch by partition, purpose, event type and fate.
pub(crate) struct Accounts {
    counts: BTreeMap<Key, Entry>,
    /// Records consumed, by partition and purpose.
    consumed: BTreeMap<(Origin, PurposeId), u64>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    origin: Origin,
    purpose: PurposeId,
    event_type: Option<Arc<str>>,
}

/// The counts of one event type; with the commit that holds the rows, if there is one.
#[derive(Default)]
struct Entry {
    counts: Counts,
    batch: Option<Uuid>,
}

impl Accounts {
    pub(crate) fn new(tally: &Tally, policy: &Policy) -> Self {
        let mut accounts = Self { counts: BTreeMap::new(), consumed: BTreeMap::new() };
        for (TallyKey { origin, purpose, contract, fate }, count) in tally.fates() {
            // Whatever is in quarantine is counted there and in no event table, even if its contract was known.
            let contract = contract.filter(|_| !matches!(fate, Fate::Quarantined(_)));
            let event_type = contract.map(|contract| policy.contract(contract).event_type.as_str().into());
            *accounts.entry(origin, purpose, event_type).counts.entry(fate).or_default() += count;
            *accounts.consumed.entry((origin, purpose)).or_default() += count;
        }
        accounts
    }

    /// Returns the counts of one table and partition.
    pub(crate) fn of_table(&self, table: &TableName, origin: Origin) -> Counts {
        let key = |purpose| Key { origin, purpose, event_type: table.event_type().map(Into::into) };
        let entry = table.purpose().and_then(|purpose| self.counts.get(&key(purpose)));
        entry.map(|entry| entry.counts.clone()).unwrap_or_default()
    }

    /// Returns the counts of records that went to quarantine, for one purpose: they are the same for all.
    pub(crate) fn of_quarantine(&self, origin: Origin) -> Counts {
        let key = Key { origin, purpose: PurposeId::ALL[0], event_type: None };
        self.counts.get(&key).map(|entry| entry.counts.clone()).unwrap_or_default()
    }

    /// Moves rows from written to denied.
    pub(crate) fn deny(&mut self, table: &TableName, origin: Origin, reason: DenyReason, count: u64) {
        let Some(purpose) = table.purpose() else { return };
        let counts = &mut self.entry(origin, purpose, table.event_type().map(Into::into)).counts;
        let written = counts.entry(Fate::Written).or_default();
        *written = written.checked_sub(count).expect("only rows that were counted as written are taken out");
        *counts.entry(Fate::Denied(reason)).or_default() += count;
    }

    /// Says which commit holds the rows that were counted.
    pub(crate) fn committed(&mut self, table: &TableName, origin: Origin, batch: Uuid) {
        if let Some(purpose) = table.purpose() {
            self.entry(origin, purpose, table.event_type().map(Into::into)).batch = Some(batch);
        }
    }

    /// Takes the counts of a table from the commit that an interrupted batch made.
    pub(crate) fn copy(&mut self, table: &TableName, origin: Origin, batch: Uuid, part: &CellPart) {
        let counts: Counts = part.counts.iter().filter_map(|count| Some((count.fate()?, count.records))).collect();
        match table.purpose() {
            Some(purpose) => {
                let entry = self.entry(origin, purpose, table.event_type().map(Into::into));
                *entry = Entry { counts, batch: Some(batch) };
            }
            // Records in quarantine were not judged again, so they are not among the fresh counts.
            None => {
                for purpose in PurposeId::ALL {
                    let consumed: u64 = counts.values().sum();
                    *self.consumed.entry((origin, purpose)).or_default() += consumed;
                    let entry = self.entry(origin, purpose, None);
                    for (fate, count) in &counts {
                        *entry.counts.entry(*fate).or_default() += count;
                    }
                }
            }
        }
    }

    /// Makes each purpose add up again after counts were copied.
    ///
    /// A contract that came or went since the interrupted batch moved records between its event type and `no_contract`. What
    /// was written stands, so the difference belongs to the records without a contract; and what a table has of records that are
    /// refused today, for a limit or a topic's rule that is new, counts as written there and as refused for the others.
    pub(crate) fn settle(&mut self) -> Result<(), Unbalanced> {
        for ((origin, purpose), consumed) in self.consumed.clone() {
            let of_both = |key: &Key| key.origin == origin && key.purpose == purpose;
            let total: u64 =
                self.counts.iter().filter(|(key, _)| of_both(key)).flat_map(|(_, entry)| entry.counts.values()).sum();
            let no_contract = Fate::Quarantined(MalformedCode::NoContract);
            let refused = &mut self.entry(origin, purpose, None).counts;
            *refused.entry(no_contract).or_default() += consumed.saturating_sub(total);
            let mut surplus = total.saturating_sub(consumed);
            let mut fates: Vec<_> = refused.keys().copied().collect();
            fates.sort_by_key(|fate| *fate != no_contract);
            for fate in fates {
                let count = refused.entry(fate).or_default();
                let taken = surplus.min(*count);
                *count -= taken;
                surplus -= taken;
            }
            if surplus > 0 {
                return Err(Unbalanced { purpose });
            }
        }
        Ok(())
    }

    /// Returns the lines for the coverage: at least one for each span.
    pub(crate) fn lines(&self, spans: &[(Origin, Span)]) -> Vec<Line> {
        let mut lines = Vec::new();
        for (origin, span) in spans {
            let before = lines.len();
            for (key, entry) in self.counts.iter().filter(|(key, _)| key.origin == *origin) {
                for (fate, count) in entry.counts.iter().filter(|(_, count)| **count > 0) {
                    lines.push(Line {
                        span: Some(span.clone()),
                        purpose: Some(key.purpose.name().to_owned()),
                        event_type: key.event_type.as_deref().map(str::to_owned),
                        fate: fate.name().to_owned(),
                        reason: fate.code().map(str::to_owned),
                        count: *count,
                        batch: entry.batch,
                        sealed: None,
                    });
                }
            }
            if lines.len() == before {
                // A range without records (control records, compaction) still has to tile.
                lines.push(Line { span: Some(span.clone()), fate: EMPTY.to_owned(), ..Line::default() });
            }
        }
        lines
    }

    /// Returns the counts over all partitions, without zeros.
    pub(crate) fn totals(&self) -> Vec<Total> {
        let mut totals: BTreeMap<(PurposeId, Option<Arc<str>>, Fate), u64> = BTreeMap::new();
        for (key, entry) in &self.counts {
            for (fate, count) in entry.counts.iter().filter(|(_, count)| **count > 0) {
                *totals.entry((key.purpose, key.event_type.clone(), *fate)).or_default() += count;
            }
        }
        let total = |((purpose, event_type, fate), count)| Total { purpose, event_type, fate, count };
        totals.into_iter().map(total).collect()
    }

    fn entry(&mut self, origin: Origin, purpose: PurposeId, event_type: Option<Arc<str>>) -> &mut Entry {
        self.counts.entry(Key { origin, purpose, event_type }).or_default()
    }
}

/// The fate of a range that holds no record.
pub(crate) const EMPTY: &str = "empty";

#[cfg(test)]
mod tests {
    use super::*;

    const NO_CONTRACT: Fate = Fate::Quarantined(MalformedCode::NoContract);
    const TOO_LARGE: Fate = Fate::Quarantined(MalformedCode::TooLarge);

    /// Settles ten records of which a table has some, by the counts of those that are refused today.
    fn settled(written: u64, refused: &[(Fate, u64)]) -> Result<Vec<(Fate, u64)>, Unbalanced> {
        let (origin, purpose) = (Origin(0), PurposeId::Reliability);
        let mut accounts = Accounts { counts: BTreeMap::new(), consumed: [((origin, purpose), 10)].into() };
        accounts.entry(origin, purpose, Some("test.shop".into())).counts = [(Fate::Written, written)].into();
        accounts.entry(origin, purpose, None).counts = refused.iter().copied().collect();
        accounts.settle()?;
        Ok(accounts.totals().into_iter().map(|total| (total.fate, total.count)).collect())
    }

    #[test]
    fn what_a_table_has_stands_whatever_is_refused_today() {
        let both = |fates: Vec<(Fate, u64)>| fates.iter().map(|(_, count)| count).sum::<u64>();
        assert_eq!(settled(7, &[(NO_CONTRACT, 1)]), Ok(vec![(NO_CONTRACT, 3), (Fate::Written, 7)]));
        assert_eq!(settled(10, &[(NO_CONTRACT, 2), (TOO_LARGE, 1)]), Ok(vec![(Fate::Written, 10)]));
        assert_eq!(settled(9, &[(NO_CONTRACT, 1), (TOO_LARGE, 2)]).map(both), Ok(10));
        assert!(settled(11, &[]).is_err(), "a table cannot have more than was read");
    }
}
