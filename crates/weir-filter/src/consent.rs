//! The permission: the only place where a [`Permitted`] is made.
//!
//! Everything before has said what events are; this stage says what each may be used for, purpose by purpose. Past it no code
//! asks again whether something is allowed: it holds the proof, or it has nothing to work with.

use crate::decode::{Decoded, Event};
use crate::pseudonymize::Persons;
use crate::tally::Fate;
use std::marker::PhantomData;
use std::ops::Range;
use weir_consent::{ConsentView, Question, TenantIx};
use weir_keys::PersonKey;
use weir_policy::{DenyReason, Purpose, PurposeId};

/// Events, with whom they are about and what each purpose's rules said.
pub(crate) struct Judged<'d> {
    pub(crate) decoded: Decoded<'d>,
    askings: Vec<Asking>,
    /// Whom the events name, event after event.
    people: Vec<PersonKey>,
}

/// What was asked about one event, and the answers.
struct Asking {
    tenant: TenantIx,
    person: Option<PersonKey>,
    /// Everyone else whom the event names, each once, among the people.
    others: Range<usize>,
    verdicts: [Result<(), DenyReason>; 3],
}

/// Events, of which only those come out that may be used for `P`.
pub(crate) struct Permitted<'j, P> {
    judged: &'j Judged<'j>,
    places: &'j [usize],
    purpose: PhantomData<fn() -> P>,
}

/// An event that may be used for `P`.
pub(crate) struct PermittedEvent<'j, P> {
    /// Its place among the events that were judged together.
    pub(crate) place: usize,
    pub(crate) event: &'j Event,
    pub(crate) tenant: TenantIx,
    pub(crate) person: Option<PersonKey>,
    pub(crate) others: &'j [PersonKey],
    purpose: PhantomData<fn() -> P>,
}

impl<'j, P: Purpose> Permitted<'j, P> {
    /// Returns the events' values, for as long as the permission is held.
    pub(crate) fn decoded(&self) -> Decoded<'j> {
        self.judged.decoded
    }

    /// Returns the events that may be used, those of one table after each other.
    pub(crate) fn events(&self) -> impl Iterator<Item = PermittedEvent<'j, P>> {
        let Self { judged, places, .. } = self;
        places.iter().filter_map(|place| {
            let Asking { tenant, person, others, verdicts } = &judged.askings[*place];
            verdicts[P::ID.index()].ok()?;
            let event = &judged.decoded.events()[*place];
            let others = &judged.people[others.clone()];
            Some(PermittedEvent {
                place: *place,
                event,
                tenant: *tenant,
                person: *person,
                others,
                purpose: PhantomData,
            })
        })
    }
}

impl Judged<'_> {
    /// Returns the events that may be used for a purpose, in the order of `places`.
    pub(crate) fn permit<'j, P: Purpose>(&'j self, places: &'j [usize]) -> Permitted<'j, P> {
        Permitted { judged: self, places, purpose: PhantomData }
    }

    /// Returns the fates of each event, if nothing else denies it.
    pub(crate) fn fates(&self) -> Vec<[Fate; 3]> {
        let fate = |verdict: Result<(), DenyReason>| verdict.map_or_else(Fate::Denied, |()| Fate::Written);
        self.askings.iter().map(|asking| asking.verdicts.map(fate)).collect()
    }
}

/// Where and when consent is asked.
pub(crate) struct Asker<'a> {
    pub(crate) consent: &'a ConsentView<'a>,
    pub(crate) region: &'a str,
    pub(crate) now_ms: i64,
}

impl Asker<'_> {
    /// Applies every rule to events, for all purposes, in the order of the crate's table.
    ///
    /// First all people are found, then the store's places for them are brought near, then it is asked.
    pub(crate) fn judge<'d>(&self, decoded: Decoded<'d>, persons: &mut Persons) -> Judged<'d> {
        let mut askings: Vec<_> = decoded.events().iter().map(|event| self.prepare(decoded, event, persons)).collect();
        let mut people = persons.finish();
        for (asking, event) in askings.iter_mut().zip(decoded.events()) {
            asking.settle(decoded.subject(event).is_some(), &mut people);
        }
        self.consent.warm(askings.iter().filter_map(|asking| asking.person));
        for (asking, event) in askings.iter_mut().zip(decoded.events()) {
            self.ask(decoded, event, asking, &people);
        }
        Judged { decoded, askings, people }
    }

    /// Applies the rules that need no consent, and hands in whom the event names if some purpose is left.
    fn prepare(&self, decoded: Decoded<'_>, event: &Event, persons: &mut Persons) -> Asking {
        let contract = decoded.contract(event);
        let subject = decoded.subject(event);
        let lacks_subject = contract.subject.is_some() && subject.is_none();
        let verdicts = PurposeId::ALL.map(|purpose| {
            event.check(contract, purpose)?;
            if lacks_subject { Err(DenyReason::NoSubject) } else { Ok(()) }
        });
        let nobody = Asking { tenant: NOBODY, person: None, others: 0..0, verdicts };
        if verdicts.iter().all(Result::is_err) {
            return nobody;
        }
        let Some(tenant) = persons.tenant(self.consent, decoded.around(event, event.envelope.tenant)) else {
            let verdicts = verdicts.map(|verdict| verdict.and(Err(DenyReason::NoTenantAgreement)));
            return Asking { verdicts, ..nobody };
        };
        let name = decoded.attribute(event, event.envelope.tenant);
        let people = persons.push((tenant, name), subject.into_iter().chain(decoded.others(event)));
        Asking { tenant, others: people, ..nobody }
    }

    fn ask(&self, decoded: Decoded<'_>, event: &Event, asking: &mut Asking, people: &[PersonKey]) {
        if asking.tenant == NOBODY {
            return;
        }
        let question = Question {
            tenant: asking.tenant,
            person: asking.person,
            others: &people[asking.others.clone()],
            event_ms: event.event_ms(),
            now_ms: self.now_ms,
            region: self.region,
            lawful: decoded.policy.purposes(),
        };
        let answers = self.consent.judge_all(question);
        for purpose in PurposeId::ALL {
            let verdict = &mut asking.verdicts[purpose.index()];
            if verdict.is_ok() {
                let in_time = event.check_time(decoded.policy, purpose, self.now_ms);
                *verdict = answers[purpose.index()].and(in_time);
            }
        }
    }
}

impl Asking {
    /// Tells whom the event is about from whom else it names: of those that were handed in, the first may be the subject.
    fn settle(&mut self, has_subject: bool, people: &mut [PersonKey]) {
        let mut handed_in = self.others.clone();
        if has_subject {
            self.person = handed_in.next().map(|first| people[first]);
        }
        // An array of identifiers may have thousands: sorted, each is compared with one.
        people[handed_in.clone()].sort_unstable();
        let start = handed_in.start;
        self.others = start..start;
        for at in handed_in {
            let other = people[at];
            if self.person != Some(other) && people[self.others.clone()].last() != Some(&other) {
                people[self.others.end] = other;
                self.others.end += 1;
            }
        }
    }
}

/// The tenant of an event that is denied for every purpose; no store has this place.
const NOBODY: TenantIx = TenantIx(u32::MAX);
