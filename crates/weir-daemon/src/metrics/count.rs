//! What a committed batch adds to the counters.

use std::sync::Arc;

use weir_filter::{Fate, FieldCounts, Tally};
use weir_lake::Total;
use weir_policy::{Policy, PurposeId};

use super::Metrics;
use super::labels::{CodeLabels, ContractLabels, FateLabels, FateWord, FieldFate, FieldLabels, Word};

impl Metrics {
    /// Counts what became of the records of a batch.
    pub(crate) fn count_fates(&self, totals: &[Total]) {
        for total in totals {
            let fate = Word(fate_word(total.fate));
            let reason = total.fate.code().unwrap_or_default();
            let labels = FateLabels { fate, purpose: Word(total.purpose), reason };
            self.events.get_or_create_owned(&labels).inc_by(total.count);
            if let Some(event_type) = &total.event_type {
                let labels = ContractLabels { contract: Arc::clone(event_type), fate };
                self.contract_events.get_or_create_owned(&labels).inc_by(total.count);
            }
            // A record in quarantine is there for all purposes, and is one record.
            if let Fate::Quarantined(code) = total.fate
                && total.purpose == PurposeId::ALL[0]
            {
                self.quarantined.inc_by(total.count);
                self.malformed.get_or_create_owned(&CodeLabels { code: Word(code) }).inc_by(total.count);
            }
        }
    }

    /// Counts what was dropped from, or replaced in, the events of each contract.
    pub(crate) fn count_fields(&self, tally: &Tally, policy: &Policy) {
        for (place, contract) in policy.iter() {
            let FieldCounts { undeclared, content, not_permitted, wrong_type, out_of_range, other_word } =
                tally.fields(place);
            let counts = [
                (FieldFate::Undeclared, undeclared),
                (FieldFate::Content, content),
                (FieldFate::NotPermitted, not_permitted),
                (FieldFate::WrongType, wrong_type),
                (FieldFate::OutOfRange, out_of_range),
                (FieldFate::OtherWord, other_word),
            ];
            for (fate, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
                let labels = FieldLabels { contract: contract.event_type.as_str().into(), fate: Word(fate) };
                self.fields.get_or_create_owned(&labels).inc_by(count);
            }
        }
    }
}

fn fate_word(fate: Fate) -> FateWord {
    match fate {
        Fate::Denied(_) => FateWord::Denied,
        Fate::Quarantined(_) => FateWord::Quarantined,
        Fate::Written => FateWord::Written,
    }
}
