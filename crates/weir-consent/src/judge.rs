//! The question whether an event may serve a purpose, and its only answer.
//!
//! # The rule
//!
//! Effective = tenant's agreement ∩ person's choice, as of the event's time **and** now. With `first` the earlier and `last` the later of the
//! event's time and now, and a standing (state, `at`, `valid_until`) per tenant and purpose, and per person and purpose, the answer is
//! **the first line of this table that applies**; if none does, the event may serve the purpose.
//!
//! | # | reason | applies when |
//! |---|---|---|
//! | 1 | `no_tenant_agreement` | the tenant has no agreement for the purpose, or its state is neither `given` nor `renewed`, or `first < at`, or `valid_until ≤ last` |
//! | 2 | `no_consent_record` | there is a person with no record for the purpose, and the basis is consent; or the record's state is `unknown`, whatever the basis |
//! | 3 | `consent_requested` `_deferred` `_refused` `_expired` `_withdrawn` `_revoked` `_invalidated` | there is a person, and the record's state is that one, whatever the basis |
//! | 4 | `consent_expired` | there is a person, and `valid_until ≤ last`, whatever the basis |
//! | 5 | `consent_after_event` | there is a person, the basis is consent, and `first < at` |
//! | 6 | `region` | the tenant's agreement lists regions, and this daemon's is not among them |
//! | 7 | `erased` | the person, or any other identifier of the event, has an erasure with `event time < erased_before` |
//!
//! - "The basis is consent" when the purpose's lawful basis is `consent`, and always for personalization. Under another basis a person
//!   without a record does not deny, and neither does the `at` of a record that permits.
//! - An event of a contract with `subject = "none"` has no person: lines 2 to 5 do not apply. Line 7 still asks the other identifiers.
//! - Instants are whole milliseconds; the event's is cut down to one.
//! - The reasons of the other stages are theirs to give. Before these: `not_declared`, `narrowed_by_producer`, `gpc`,
//!   `contract_expired`, `no_subject`. After these: `time_out_of_range`, `epoch_closed`. The order is that of
//!   [`DenyReason::ALL`] but for `erased`, which is answered here and so comes before those two.

use weir_keys::PersonKey;
use weir_policy::{DenyReason, PurposeId, Purposes};

use crate::{
    people::Choices,
    state::Agreement,
    status::Standing,
    store::{ConsentView, Tenant, TenantIx},
};

/// All that the answer depends on, but the purpose and the store.
#[expect(missing_debug_implementations, reason = "names a person")]
#[derive(Clone, Copy)]
pub struct Question<'q> {
    /// The tenant of the event.
    pub tenant: TenantIx,
    /// The person that the event is about; none for a contract with `subject = "none"`.
    pub person: Option<PersonKey>,
    /// The event's other identifiers, any of which may have been erased.
    pub others: &'q [PersonKey],
    /// The event's time.
    pub event_ms: i64,
    /// The time now.
    pub now_ms: i64,
    /// Where this daemon writes.
    pub region: &'q str,
    /// The lawful basis of each purpose.
    pub lawful: &'q Purposes,
}

impl ConsentView<'_> {
    /// Answers whether the event may serve a purpose; the module's table is the rule.
    ///
    /// # Errors
    ///
    /// It may not, for the reason given.
    ///
    /// # Panics
    ///
    /// The tenant is of another store.
    pub fn judge(&self, question: Question<'_>, purpose: PurposeId) -> Result<(), DenyReason> {
        self.facts(&question).judge(&question, purpose)
    }

    /// Answers for all three purposes, by [`PurposeId::index`], with one look-up.
    ///
    /// # Panics
    ///
    /// The tenant is of another store.
    pub fn judge_all(&self, question: Question<'_>) -> [Result<(), DenyReason>; 3] {
        let facts = self.facts(&question);
        PurposeId::ALL.map(|purpose| facts.judge(&question, purpose))
    }

    fn facts(&self, question: &Question<'_>) -> Facts<'_> {
        Facts {
            tenant: self.known.tenant(question.tenant),
            choices: question.person.and_then(|person| self.known.people.find(person)),
            erased: self.is_erased(question),
        }
    }

    fn is_erased(&self, question: &Question<'_>) -> bool {
        if self.known.erased.is_empty() {
            return false;
        }
        let erased =
            |person: &PersonKey| self.known.erased.get(person).is_some_and(|before| question.event_ms < *before);
        question.person.iter().chain(question.others).any(erased)
    }
}

/// What the store knows about a question.
struct Facts<'s> {
    tenant: &'s Tenant,
    choices: Option<Choices<'s>>,
    erased: bool,
}

impl Facts<'_> {
    fn judge(&self, question: &Question<'_>, purpose: PurposeId) -> Result<(), DenyReason> {
        let span = Span::of(question);
        let agreement = self.tenant.agreements[purpose.index()].as_ref();
        let agreement =
            agreement.filter(|agreement| span.agreed(agreement.standing)).ok_or(DenyReason::NoTenantAgreement)?;
        if question.person.is_some() {
            let choice = self.choices.as_ref().and_then(|choices| choices.of(purpose));
            span.chosen(choice, question.lawful.needs_consent(purpose))?;
        }
        if !allows_region(agreement, question.region) {
            return Err(DenyReason::Region);
        }
        if self.erased { Err(DenyReason::Erased) } else { Ok(()) }
    }
}

/// The instants between which a permission must hold without a break.
struct Span {
    first_ms: i64,
    last_ms: i64,
}

impl Span {
    fn of(question: &Question<'_>) -> Self {
        Self { first_ms: question.event_ms.min(question.now_ms), last_ms: question.event_ms.max(question.now_ms) }
    }

    fn agreed(&self, standing: Standing) -> bool {
        standing.status().denial().is_none() && standing.at_ms() <= self.first_ms && !self.has_ended(standing)
    }

    fn chosen(&self, choice: Option<Standing>, needs_consent: bool) -> Result<(), DenyReason> {
        let Some(standing) = choice else {
            return if needs_consent { Err(DenyReason::NoConsentRecord) } else { Ok(()) };
        };
        if let Some(reason) = standing.status().denial() {
            return Err(reason);
        }
        if self.has_ended(standing) {
            return Err(DenyReason::ConsentExpired);
        }
        if needs_consent && self.first_ms < standing.at_ms() {
            return Err(DenyReason::ConsentAfterEvent);
        }
        Ok(())
    }

    fn has_ended(&self, standing: Standing) -> bool {
        standing.valid_until_ms().is_some_and(|end| end <= self.last_ms)
    }
}

fn allows_region(agreement: &Agreement, region: &str) -> bool {
    agreement.regions.as_ref().is_none_or(|regions| regions.iter().any(|listed| **listed == *region))
}
