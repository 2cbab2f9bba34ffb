//! The permission: the only place where a [`Permitted`] is made.
//!
//! Everything before has said what an event is; this stage says what it may be used for, purpose by purpose. Past it no code
//! asks again whether something is allowed: it holds the proof, or it has nothing to work with.

use crate::classify::Classified;
use crate::decode::Event;
use crate::pseudonymize::Persons;
use std::marker::PhantomData;
use weir_consent::{ConsentView, Question, TenantIx};
use weir_keys::PersonKey;
use weir_policy::{DenyReason, Policy, Purpose, PurposeId, PurposeSet};

/// An event, with whom it is about and what each purpose's rules said.
pub(crate) struct Judged<'e> {
    pub(crate) classified: &'e Classified,
    pub(crate) event: &'e Event<'e>,
    pub(crate) tenant: TenantIx,
    pub(crate) tenant_name: &'e str,
    pub(crate) person: Option<PersonKey>,
    pub(crate) others: &'e [PersonKey],
    verdicts: [Result<(), DenyReason>; 3],
}

/// An event together with the finding that it may be used for `P`.
pub(crate) struct Permitted<'e, P> {
    judged: &'e Judged<'e>,
    purpose: PhantomData<fn() -> P>,
}

impl<'e, P> Permitted<'e, P> {
    /// Returns the event, for as long as the permission is held.
    pub(crate) fn judged(&self) -> &'e Judged<'e> {
        self.judged
    }
}

/// Permits an event for a purpose, or says why not.
pub(crate) fn permit<'e, P: Purpose>(judged: &'e Judged<'e>) -> Result<Permitted<'e, P>, DenyReason> {
    judged.verdicts[P::ID.index()].map(|()| Permitted { judged, purpose: PhantomData })
}

/// Where and when consent is asked.
pub(crate) struct Asker<'a> {
    pub(crate) policy: &'a Policy,
    pub(crate) consent: &'a ConsentView<'a>,
    pub(crate) region: &'a str,
    pub(crate) now_ms: i64,
}

impl Asker<'_> {
    /// Applies every rule to an event, for all purposes, in the order of the crate's table.
    pub(crate) fn judge<'e>(
        &self,
        classified: &'e Classified,
        event: &'e Event<'e>,
        persons: &'e mut Persons,
    ) -> Judged<'e> {
        let mut verdicts = PurposeId::ALL.map(|purpose| {
            classified.check(event.contract, purpose)?;
            if event.contract.subject.is_some() && event.subject().is_none() {
                Err(DenyReason::NoSubject)
            } else {
                Ok(())
            }
        });
        let asked: PurposeSet =
            PurposeId::ALL.into_iter().filter(|purpose| verdicts[purpose.index()].is_ok()).collect();
        let name =
            std::str::from_utf8(event.bytes.at(classified.envelope.tenant)).expect("records and headers are UTF-8");
        let tenant = if asked.is_empty() { None } else { self.consent.tenant(name) };
        let Some(tenant) = tenant else {
            let verdicts = verdicts.map(|verdict| verdict.and(Err(DenyReason::NoTenantAgreement)));
            return Judged {
                classified,
                event,
                tenant: NOBODY,
                tenant_name: name,
                person: None,
                others: &[],
                verdicts,
            };
        };
        let (person, others) = persons.of(event, (tenant, name));
        let question = Question {
            tenant,
            person,
            others,
            event_ms: classified.event_ms(),
            now_ms: self.now_ms,
            region: self.region,
            lawful: self.policy.purposes(),
        };
        let answers = self.consent.judge_all(question);
        for purpose in asked.iter() {
            let in_time = classified.check_time(self.policy, purpose, self.now_ms);
            verdicts[purpose.index()] = answers[purpose.index()].and(in_time);
        }
        Judged { classified, event, tenant, tenant_name: name, person, others, verdicts }
    }
}

/// The tenant of an event that is denied for every purpose; no store has this place.
const NOBODY: TenantIx = TenantIx(u32::MAX);
