//! The filter once more, slow and plain: what the fast one must agree with, row by row and count by count.
//!
//! It reads a record as the texts word it: RFC 8259 for the bytes, the tables in the documentation of `weir_filter` and
//! `weir_consent` for the order in which codes and reasons are given, `DESIGN.md` for the rest. It builds whole trees and
//! asks plain maps. What it shares with the fast filter is data (contracts, lists of words, families of user agents) and
//! the cryptography, which vectors check elsewhere; parsing, numbers, times, vocabularies, coarsening, consent and
//! accounting are its own.

pub mod cell;
pub mod consent;
pub mod envelope;
pub mod json;
pub mod number;
pub mod outcome;
pub mod time;
pub mod value;
pub mod walk;

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use weir_filter::{Coordinates, Fate, Limits, Origin, TallyKey};
use weir_keys::{EVENT_ID_KIND, KeySet, PseudonymKey};
use weir_policy::{
    Contract, ContractIx, DenyReason, FieldClass, FieldType, MalformedCode, Policy, PurposeId, PurposeSet, Resolved,
};

use cell::{Cell, Names, Row};
use consent::{Consents, Identity, Question};
use envelope::Envelope;
use json::Json;
pub use outcome::{Outcome, Table};
use value::{Nothing, Value};
use walk::{Held, Walked};

/// A record as the source hands it over.
#[derive(Clone, Copy, Debug)]
pub struct Raw<'r> {
    /// The partition.
    pub origin: Origin,
    /// The offset.
    pub position: i64,
    /// The value; none is a tombstone.
    pub value: Option<&'r [u8]>,
    /// The headers.
    pub headers: &'r [(String, Vec<u8>)],
}

/// The slow filter.
#[expect(missing_debug_implementations, reason = "keys must not be printable")]
pub struct Reference {
    policy: Arc<Policy>,
    keys: Arc<KeySet>,
    limits: Limits,
    region: String,
    /// The names of each contract's columns.
    names: HashMap<ContractIx, Names>,
    /// Keys of pseudonyms that were derived before, by purpose and epoch.
    derived: RefCell<HashMap<(PurposeId, i32), EpochKeys>>,
    /// What organisations and persons have said.
    pub consents: Consents,
}

/// Keys of one purpose and epoch: by tenant, then by kind.
type EpochKeys = HashMap<String, HashMap<String, PseudonymKey>>;

/// An event with its contract.
struct Event<'e> {
    place: ContractIx,
    contract: &'e Contract,
    is_expired: bool,
    envelope: Envelope,
    walked: Walked,
}

impl Reference {
    /// Prepares the filter, with nobody's consent.
    pub fn new(policy: Arc<Policy>, keys: Arc<KeySet>, limits: Limits, region: &str) -> Self {
        let names = policy.iter().map(|(place, contract)| (place, Names::of(contract))).collect();
        let (region, derived, consents) = (region.to_owned(), RefCell::default(), Consents::default());
        Self { policy, keys, limits, region, names, derived, consents }
    }

    /// Takes one record and adds what becomes of it to `outcome`.
    pub fn filter(&self, record: &Raw<'_>, now_ms: i64, outcome: &mut Outcome) {
        match self.read(record, now_ms) {
            Err(code) => {
                let size_class = record.value.map_or(0, |value| bits_of(value.len()));
                let Raw { origin, position, .. } = *record;
                outcome.quarantine.push(Coordinates { origin, position, code, size_class });
                for purpose in PurposeId::ALL {
                    outcome.count(TallyKey { origin, purpose, contract: None, fate: Fate::Quarantined(code) });
                }
            }
            Ok(event) => {
                let named = event.named();
                let mut written = PurposeSet::NONE;
                for purpose in PurposeId::ALL {
                    let fate = match self.row(&event, &named, purpose, now_ms, outcome) {
                        Ok(()) => {
                            written = written.with(purpose);
                            Fate::Written
                        }
                        Err(reason) => Fate::Denied(reason),
                    };
                    let contract = Some(event.place);
                    outcome.count(TallyKey { origin: record.origin, purpose, contract, fate });
                }
                self.count_fields(&event, written, outcome);
            }
        }
    }

    /// Reads a record. The order of the steps is the order of the codes: the first that fails gives its code.
    fn read(&self, record: &Raw<'_>, now_ms: i64) -> Result<Event<'_>, MalformedCode> {
        let value = record.value.unwrap_or_default();
        if value.is_empty() {
            return Err(MalformedCode::Empty);
        }
        let attributes = record.headers.iter().filter(|(name, _)| name.starts_with("ce_"));
        if value.len() + attributes.map(|(_, value)| value.len()).sum::<usize>() > self.limits.record_bytes {
            return Err(MalformedCode::TooLarge);
        }
        let text = std::str::from_utf8(value).map_err(|_bytes| MalformedCode::Utf8)?;
        let tree = json::parse(text).map_err(|json::NotJson| MalformedCode::Json)?;
        let sizes = Sizes::of(&tree);
        let opened = envelope::open(record, tree)?;
        if sizes.depth > self.limits.depth {
            return Err(MalformedCode::TooDeep);
        }
        if sizes.members > self.limits.fields {
            return Err(MalformedCode::TooManyFields);
        }
        if sizes.items > self.limits.array_items {
            return Err(MalformedCode::TooManyItems);
        }
        let envelope = opened.envelope?;
        let (place, is_expired) = match self.policy.resolve(&envelope.event_type, envelope.version, now_ms) {
            Resolved::Contract(place) => (place, false),
            Resolved::Expired(place) => (place, true),
            Resolved::NoContract => return Err(MalformedCode::NoContract),
        };
        let contract = self.policy.contract(place);
        let walked = walk::walk(contract, opened.data.as_ref());
        if walked.is_doubled {
            return Err(MalformedCode::DuplicateKey);
        }
        Ok(Event { place, contract, is_expired, envelope, walked })
    }

    /// Judges an event for a purpose, and makes its row. The first rule that says no gives the reason.
    fn row(
        &self,
        event: &Event<'_>,
        named: &[Identity<'_>],
        purpose: PurposeId,
        now_ms: i64,
        outcome: &mut Outcome,
    ) -> Result<(), DenyReason> {
        self.judge(event, named, purpose, now_ms)?;
        let row = self.make_row(event, purpose).ok_or(DenyReason::EpochClosed)?;
        let (date, _) = time::day_and_floor(event.envelope.time_us, 1);
        let table = Table { purpose, event_type: event.contract.event_type.clone(), date };
        outcome.rows.entry(table).or_default().push(row);
        Ok(())
    }

    fn judge(
        &self,
        event: &Event<'_>,
        named: &[Identity<'_>],
        purpose: PurposeId,
        now_ms: i64,
    ) -> Result<(), DenyReason> {
        let Event { contract, envelope, .. } = event;
        let person = event.person();
        let event_ms = envelope.time_us.div_euclid(1000);
        if !contract.purposes.contains(purpose) {
            return Err(DenyReason::NotDeclared);
        }
        if !envelope.narrowed.contains(purpose) {
            return Err(DenyReason::NarrowedByProducer);
        }
        if envelope.gpc && purpose == PurposeId::Personalization {
            return Err(DenyReason::Gpc);
        }
        if event.is_expired {
            return Err(DenyReason::ContractExpired);
        }
        if contract.subject.is_some() && person.is_none() {
            return Err(DenyReason::NoSubject);
        }
        let question = Question {
            tenant: &envelope.tenant,
            person,
            named,
            event_ms,
            now_ms,
            region: &self.region,
            purposes: self.policy.purposes(),
        };
        self.consents.judge(&question, purpose)?;
        let retention_ms = i64::from(self.policy.purposes().rules(purpose).retention_days) * 86_400_000;
        if event_ms < now_ms - retention_ms || event_ms > now_ms + 10 * 60 * 1000 {
            return Err(DenyReason::TimeOutOfRange);
        }
        Ok(())
    }

    /// Makes the row; none when a key of its epoch is gone.
    fn make_row(&self, event: &Event<'_>, purpose: PurposeId) -> Option<Row> {
        let Event { contract, envelope, .. } = event;
        let rules = self.policy.purposes().rules(purpose);
        let event_ms = envelope.time_us.div_euclid(1000);
        let epoch = i32::try_from(event_ms.div_euclid(i64::from(rules.epoch_days) * 86_400_000)).ok()?;
        let pseudonym = |kind: &str, identifier: &[u8]| {
            self.pseudonym((purpose, epoch), &envelope.tenant, kind, identifier).map(Cell::Bytes)
        };
        let mut event_id = u32::try_from(envelope.source.len()).ok()?.to_le_bytes().to_vec();
        event_id.extend_from_slice(envelope.source.as_bytes());
        event_id.extend_from_slice(envelope.id.as_bytes());
        let (_, time) = time::day_and_floor(envelope.time_us, rules.time_precision.micros());
        let subject = match event.person() {
            Some(person) => pseudonym(person.kind, person.identifier.as_bytes())?,
            None => Cell::Null,
        };
        let names = &self.names[&event.place];
        let mut row = names.head([
            Cell::Text(envelope.tenant.clone()),
            subject,
            Cell::Int(epoch.into()),
            pseudonym(EVENT_ID_KIND, &event_id)?,
            Cell::Int(time),
            Cell::Int(contract.version.into()),
        ]);
        for (place, field) in contract.fields.iter().enumerate() {
            if contract.subject == Some(place)
                || field.class == FieldClass::Content
                || !field.purposes.contains(purpose)
            {
                continue;
            }
            let cell = |held: &Result<Value, Nothing>| match held {
                Err(_) => Some(Cell::Null),
                Ok(Value::Identifier(text)) => pseudonym(kind_of(contract, place), text.as_bytes()),
                Ok(value) => Some(value::cell(field, value, purpose, rules).unwrap_or(Cell::Null)),
            };
            let cell = match &event.walked.fields[place] {
                Held::Many(items) => Cell::List(items.iter().map(cell).collect::<Option<_>>()?),
                Held::One(_) if field.array.is_some() => Cell::Null,
                Held::One(held) => cell(held)?,
            };
            row.insert(names.field(place), cell);
        }
        Some(row)
    }

    /// Returns a pseudonym; none when the key of its epoch or tenant is gone.
    fn pseudonym(
        &self,
        (purpose, epoch): (PurposeId, i32),
        tenant: &str,
        kind: &str,
        identifier: &[u8],
    ) -> Option<[u8; 16]> {
        let mut derived = self.derived.borrow_mut();
        let known = derived.get(&(purpose, epoch)).and_then(|tenants| tenants.get(tenant)?.get(kind));
        if let Some(key) = known {
            return Some(key.digest(identifier));
        }
        let key = self.keys.pseudonym_key(purpose, epoch, tenant, kind)?;
        let digest = key.digest(identifier);
        let of_epoch = derived.entry((purpose, epoch)).or_default();
        of_epoch.entry(tenant.to_owned()).or_default().insert(kind.to_owned(), key);
        Some(digest)
    }

    /// Adds what was dropped from the event or replaced in it; `written` are the purposes that have a row of it.
    fn count_fields(&self, event: &Event<'_>, written: PurposeSet, outcome: &mut Outcome) {
        let mut counts = event.walked.counts;
        let fields = event.contract.fields.iter().enumerate().filter(|(_, field)| field.class != FieldClass::Content);
        for (place, field) in fields {
            let is_subject = event.contract.subject == Some(place);
            let purposes = if is_subject { event.contract.purposes } else { field.purposes };
            let is_carrier = |purpose: &PurposeId| written.contains(*purpose) && purposes.contains(*purpose);
            let held = &event.walked.fields[place];
            let values = match held {
                Held::One(one) => std::slice::from_ref(one),
                Held::Many(many) => many,
            };
            if !PurposeId::ALL.iter().any(is_carrier) && !matches!(held, Held::One(Err(_))) {
                counts.not_permitted += 1;
            }
            // A number for which a purpose's buckets have no place is null there, and counted there.
            for purpose in PurposeId::ALL.into_iter().filter(is_carrier).filter(|_| !is_subject) {
                let rules = self.policy.purposes().rules(purpose);
                let numbers =
                    values.iter().flatten().filter(|value| matches!(value, Value::Whole(_) | Value::Float(_)));
                let unplaced = numbers.filter(|value| value::cell(field, value, purpose, rules).is_none());
                counts.out_of_range += unplaced.map(|_| 1).sum::<u64>();
            }
        }
        outcome.count_fields(event.place, &counts);
    }
}

impl Event<'_> {
    /// Returns whom the event is about.
    fn person(&self) -> Option<Identity<'_>> {
        let place = self.contract.subject?;
        let identifier = self.walked.fields[place].identifiers().next()?;
        Some(Identity { kind: kind_of(self.contract, place), identifier })
    }

    /// Returns everybody whom the event names.
    fn named(&self) -> Vec<Identity<'_>> {
        let held = self.walked.fields.iter().enumerate();
        let named = held.flat_map(|(place, held)| held.identifiers().map(move |identifier| (place, identifier)));
        named.map(|(place, identifier)| Identity { kind: kind_of(self.contract, place), identifier }).collect()
    }
}

fn kind_of(contract: &Contract, place: usize) -> &str {
    if let FieldType::Identifier { kind } = &contract.fields[place].field_type { kind } else { "" }
}

/// Returns how many bits a length has.
fn bits_of(length: usize) -> u8 {
    (0..=u8::MAX).find(|bits| length.checked_shr((*bits).into()).unwrap_or(0) == 0).unwrap_or(u8::MAX)
}

/// What the limits look at.
#[derive(Clone, Copy, Debug, Default)]
struct Sizes {
    depth: usize,
    members: usize,
    items: usize,
}

impl Sizes {
    fn of(json: &Json<'_>) -> Self {
        match json {
            Json::Null | Json::True | Json::False | Json::Number(_) | Json::Text(_) => Self::default(),
            Json::Array(items) => {
                let inner = Self { items: items.len(), ..Self::default() };
                items.iter().map(Self::of).fold(inner, Self::beside).around()
            }
            Json::Object(members) => {
                let inner = Self { members: members.len(), ..Self::default() };
                members.iter().map(|(_, value)| Self::of(value)).fold(inner, Self::beside).around()
            }
        }
    }

    fn beside(self, other: Self) -> Self {
        Self {
            depth: self.depth.max(other.depth),
            members: self.members + other.members,
            items: self.items.max(other.items),
        }
    }

    fn around(self) -> Self {
        Self { depth: self.depth + 1, ..self }
    }
}
