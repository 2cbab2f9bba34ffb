//! Consent, asked again: rows whose person changed their mind leave before they are committed.
//!
//! A row can wait minutes between the filter and its commit. Right before each commit the same question is asked of the
//! consent store as it is then; whatever it denies is taken out of open columns here.

use super::rows::{Head, Rows};
use super::{Batch, Filtered};
use crate::record::Origin;
use crate::tally::{Removed, Tally};
use weir_consent::{ConsentView, Question};
use weir_keys::PersonKey;
use weir_policy::{DenyReason, Policy, Purpose};

impl<P: Purpose> Rows<P> {
    /// Takes out the rows that consent no longer permits, as of the events' times and `now_ms`.
    ///
    /// An erased person's rows count as `erased`, all others as `withdrawn_before_commit`.
    pub fn retain_permitted(
        &mut self,
        consent: &ConsentView<'_>,
        policy: &Policy,
        region: &str,
        now_ms: i64,
    ) -> Removed {
        let verdicts = self.judge_again(consent, policy, region, now_ms);
        let mut removed = Removed::default();
        for (head, verdict) in self.heads().iter().zip(&verdicts) {
            if let Err(reason) = verdict {
                removed.add(head.origin(), *reason);
            }
        }
        self.retain(&verdicts.iter().map(Result::is_ok).collect::<Vec<_>>());
        removed
    }

    /// Asks for each row; a few people at once are brought near before they are asked about.
    fn judge_again(
        &self,
        consent: &ConsentView<'_>,
        policy: &Policy,
        region: &str,
        now_ms: i64,
    ) -> Vec<Result<(), DenyReason>> {
        let judge = |(head, others): (&Head<P>, &[PersonKey])| {
            let question = Question {
                tenant: head.tenant(),
                person: head.hidden.person,
                others,
                event_ms: head.hidden.event_ms,
                now_ms,
                region,
                lawful: policy.purposes(),
            };
            consent
                .judge(question, P::ID)
                .map_err(|reason| if reason == DenyReason::Erased { reason } else { DenyReason::WithdrawnBeforeCommit })
        };
        let (mut verdicts, mut hidden) = (Vec::with_capacity(self.len()), self.hidden());
        for heads in self.heads().chunks(TOGETHER) {
            consent.warm(heads.iter().filter_map(|head| head.hidden.person));
            verdicts.extend(hidden.by_ref().take(heads.len()).map(judge));
        }
        verdicts
    }

    /// Keeps the rows of the partitions that `keep` is true for.
    ///
    /// A batch that is finished after a crash leaves out what a table has already.
    pub fn retain_origins(&mut self, keep: impl Fn(Origin) -> bool) {
        let verdicts: Vec<_> = self.heads().iter().map(|head| keep(head.origin())).collect();
        self.retain(&verdicts);
    }

    /// Takes out all rows, because an operator skips the table.
    pub fn refuse(&mut self) -> Removed {
        let mut removed = Removed::default();
        for head in self.heads() {
            removed.add(head.origin(), DenyReason::TableRefused);
        }
        self.retain(&vec![false; self.len()]);
        removed
    }
}

/// Rows whose people are brought near together.
const TOGETHER: usize = 64;

impl Filtered {
    /// Asks consent again for every row, and moves what it takes out in the accounting.
    ///
    /// Returns the number of rows taken out.
    pub fn retain_permitted(&mut self, consent: &ConsentView<'_>, policy: &Policy, region: &str, now_ms: i64) -> u64 {
        let Self { troubleshooting, reliability, personalization, tally, .. } = self;
        let mut ask = Ask { consent, policy, region, now_ms, tally };
        ask.again(troubleshooting) + ask.again(reliability) + ask.again(personalization)
    }
}

struct Ask<'a> {
    consent: &'a ConsentView<'a>,
    policy: &'a Policy,
    region: &'a str,
    now_ms: i64,
    tally: &'a mut Tally,
}

impl Ask<'_> {
    fn again<P: Purpose>(&mut self, batch: &mut Batch<P>) -> u64 {
        let mut total = 0;
        for rows in batch.tables_mut() {
            let removed = rows.retain_permitted(self.consent, self.policy, self.region, self.now_ms);
            self.tally.withdraw(P::ID, rows.contract(), &removed);
            total += removed.total();
        }
        total
    }
}
