//! Records of the inbox: what services say that people and tenants want, in clear.
//!
//! ```json
//! {"tenant":"acme","kind":"user","subject":"u-81","purpose":"reliability","status":"given","at":"2026-11-23T10:15:30Z",
//!  "valid_until":"2027-11-23T00:00:00Z","evidence":"form 12"}
//! {"tenant":"acme","purpose":"reliability","status":"given","at":"2026-01-01T00:00:00Z","regions":["eu"]}
//! {"tenant":"acme","kind":"user","subject":"u-81","purpose":"*","erased_before":"2026-11-23T10:15:30Z"}
//! ```
//! A person's choice, a tenant's agreement, a person's erasure. `subject` is text or a whole number, which equals its decimal text.
//! Instants are RFC 3339 and cut to the millisecond (`erased_before`: up to the next). A member of another name is ignored and
//! never kept; `evidence` may be any JSON and stays in the inbox. The key of the message is `tenant/kind/subject`, of an agreement
//! `tenant`. `"minor": true` in a choice says that the person is under the age of consent: a yes is then void, and taken as
//! `invalidated`, unless `evidence` is an object whose `parental_responsibility` names who authorised it (GDPR, article 8).
//! Nothing of a record is ever quoted in a fault: a code says what is wrong.

use jiff::Timestamp;
use weir_keys::{KeySet, canonical, tenant_name_is_sound};
use weir_policy::PurposeId;

use crate::{
    keeper::Message,
    state::{Agreement, REGION_BYTES_MAX, REGIONS_MAX, StateKey, StateRecord},
    status::{Standing, Status, TIME_MS_MAX, instant_text},
};

mod fault;
mod raw;

pub use fault::InboxFault;
use raw::Raw;

/// Longest record; real ones have a few hundred bytes.
const RECORD_BYTES_MAX: usize = 16 << 10;
/// Longest name of a kind.
const KIND_BYTES_MAX: usize = 64;
/// Longest identifier, in its canonical form.
const SUBJECT_BYTES_MAX: usize = 1024;
/// How far ahead of our clock a record may be: the same as an event's.
const AHEAD_MS_MAX: i64 = 10 * 60 * 1000;
/// Member of the evidence that says who authorised a child's yes.
const AUTHORISED: &str = "parental_responsibility";
/// Purpose of an erasure: all of them.
const EVERY_PURPOSE: &str = "*";

/// A checked record of the inbox, its identifier in canonical form.
#[expect(missing_debug_implementations, reason = "names a person in clear")]
#[derive(Clone)]
pub struct InboxRecord {
    says: Says,
    evidence: Option<serde_json::Value>,
}

#[derive(Clone)]
enum Says {
    Agreement { tenant: String, purpose: PurposeId, agreement: Agreement },
    Choice { who: Who, purpose: PurposeId, standing: Standing },
    Erasure { who: Who, before_ms: i64 },
}

/// A person in clear: lives as long as the record and is never stored.
#[derive(Clone)]
struct Who {
    tenant: String,
    kind: String,
    subject: String,
}

impl InboxRecord {
    /// Makes a person's choice.
    ///
    /// # Errors
    ///
    /// A name or the identifier cannot be one.
    pub fn choice(
        tenant: &str,
        kind: &str,
        subject: &str,
        purpose: PurposeId,
        standing: Standing,
    ) -> Result<Self, InboxFault> {
        let who = Who::new(tenant, kind, subject)?;
        Ok(Self { says: Says::Choice { who, purpose, standing }, evidence: None })
    }

    /// Makes a tenant's agreement; `regions` are where its data may live, none means anywhere.
    ///
    /// # Errors
    ///
    /// The tenant's or a region's name cannot be one.
    pub fn agreement(
        tenant: &str,
        purpose: PurposeId,
        standing: Standing,
        regions: Option<&[&str]>,
    ) -> Result<Self, InboxFault> {
        let tenant = sound_tenant(tenant)?.to_owned();
        let regions = regions.map(|regions| sound_regions(regions.iter().copied())).transpose()?;
        let agreement = Agreement { standing, regions };
        Ok(Self { says: Says::Agreement { tenant, purpose, agreement }, evidence: None })
    }

    /// Makes the erasure of a person's events before an instant.
    ///
    /// # Errors
    ///
    /// A name, the identifier or the instant cannot be one.
    pub fn erasure(tenant: &str, kind: &str, subject: &str, before_ms: i64) -> Result<Self, InboxFault> {
        let who = Who::new(tenant, kind, subject)?;
        if !(0..=TIME_MS_MAX).contains(&before_ms) {
            return Err(InboxFault::Time);
        }
        Ok(Self { says: Says::Erasure { who, before_ms }, evidence: None })
    }

    /// Adds where the choice can be proved: a form, a version of a text, a signature.
    #[must_use]
    pub fn with_evidence(self, evidence: &str) -> Self {
        Self { evidence: Some(evidence.into()), ..self }
    }

    /// Reads a record's bytes and checks everything in it.
    ///
    /// # Errors
    ///
    /// The record is not one, or is more than ten minutes ahead of `now_ms`.
    pub fn parse(value: &[u8], now_ms: i64) -> Result<Self, InboxFault> {
        if value.is_empty() {
            return Err(InboxFault::Empty);
        }
        if value.len() > RECORD_BYTES_MAX {
            return Err(InboxFault::TooLarge);
        }
        let mut raw = Raw::parse(value).ok_or(InboxFault::Json)?;
        let says = match (raw.kind.take(), raw.subject.take()) {
            (None, None) => says_tenant(&raw, now_ms)?,
            (Some(kind), Some(subject)) => says_person(Who::new(&raw.tenant, &kind, &subject)?, &raw, now_ms)?,
            (None, Some(_)) | (Some(_), None) => return Err(InboxFault::Shape),
        };
        Ok(Self { says, evidence: raw.evidence })
    }

    /// Returns the key of the message.
    pub fn key(&self) -> String {
        match &self.says {
            Says::Agreement { tenant, .. } => tenant.clone(),
            Says::Choice { who, .. } | Says::Erasure { who, .. } => {
                format!("{}/{}/{}", who.tenant, who.kind, who.subject)
            }
        }
    }

    /// Returns the value of the message, JSON on one line.
    ///
    /// # Panics
    ///
    /// Never: checked instants have words, and text and numbers a JSON form.
    pub fn value(&self) -> String {
        let mut raw = Raw { evidence: self.evidence.clone(), ..Raw::default() };
        match &self.says {
            Says::Agreement { tenant, purpose, agreement } => {
                raw.tenant.clone_from(tenant);
                raw.stand(*purpose, agreement.standing);
                raw.regions =
                    agreement.regions.as_ref().map(|regions| regions.iter().map(ToString::to_string).collect());
            }
            Says::Choice { who, purpose, standing } => {
                raw.name(who);
                raw.stand(*purpose, *standing);
            }
            Says::Erasure { who, before_ms } => {
                raw.name(who);
                EVERY_PURPOSE.clone_into(&mut raw.purpose);
                raw.erased_before = Some(instant_text(*before_ms));
            }
        }
        serde_json::to_string(&raw).expect("text and numbers always have a JSON form")
    }

    /// Returns the record as a message for the inbox.
    pub fn message(&self) -> Message {
        Message { key: self.key().into_bytes(), value: self.value().into_bytes() }
    }

    /// Returns the record without the person's name, as the state topic and the store hold it.
    pub fn state(&self, keys: &KeySet) -> StateRecord {
        match &self.says {
            Says::Agreement { tenant, purpose, agreement } => {
                let tenant = tenant.as_str().into();
                StateRecord::Agreement { tenant, purpose: *purpose, agreement: agreement.clone() }
            }
            Says::Choice { who, purpose, standing } => {
                StateRecord::Choice { person: who.person(keys), purpose: *purpose, standing: *standing }
            }
            Says::Erasure { who, before_ms } => {
                StateRecord::Erasure { person: who.person(keys), before_ms: *before_ms }
            }
        }
    }

    /// Tells whether a message's key names the same tenant or person in another spelling, or nobody.
    pub(crate) fn is_spelled_by(&self, key: &[u8]) -> bool {
        if key.is_empty() {
            return true;
        }
        let Ok(key) = std::str::from_utf8(key) else { return false };
        let mut parts = key.splitn(3, '/');
        let parts = [parts.next(), parts.next(), parts.next()];
        match (&self.says, parts) {
            (Says::Choice { who, .. } | Says::Erasure { who, .. }, [Some(tenant), Some(kind), Some(subject)]) => {
                tenant == who.tenant && kind == who.kind && canonical(subject) == who.subject
            }
            _ => false,
        }
    }
}

impl StateKey {
    /// Returns the key of a person's choice, whatever the spelling of the identifier.
    ///
    /// # Errors
    ///
    /// A name or the identifier cannot be one.
    pub fn of_person(
        keys: &KeySet,
        (tenant, kind, subject): (&str, &str, &str),
        purpose: PurposeId,
    ) -> Result<Self, InboxFault> {
        Ok(Self::Choice { person: Who::new(tenant, kind, subject)?.person(keys), purpose })
    }

    /// Returns the key of a tenant's agreement.
    ///
    /// # Errors
    ///
    /// The tenant's name cannot be one.
    pub fn of_tenant(tenant: &str, purpose: PurposeId) -> Result<Self, InboxFault> {
        Ok(Self::Agreement { tenant: sound_tenant(tenant)?.into(), purpose })
    }
}

/// Reads an instant as records write it: RFC 3339, cut to the millisecond.
///
/// # Errors
///
/// It is none, or lies before 1970 or after 9999.
pub fn instant_ms(text: &str) -> Result<i64, InboxFault> {
    Ok(instant(text)?.as_millisecond())
}

fn says_tenant(raw: &Raw, now_ms: i64) -> Result<Says, InboxFault> {
    let tenant = sound_tenant(&raw.tenant)?.to_owned();
    let regions = raw.regions.as_ref().map(|regions| sound_regions(regions.iter().map(String::as_str))).transpose()?;
    if raw.minor.is_some() {
        return Err(InboxFault::Shape);
    }
    let (purpose, standing) = raw.standing(now_ms)?;
    Ok(Says::Agreement { tenant, purpose, agreement: Agreement { standing, regions } })
}

fn says_person(who: Who, raw: &Raw, now_ms: i64) -> Result<Says, InboxFault> {
    if raw.regions.is_some() {
        return Err(InboxFault::Regions);
    }
    if raw.purpose != EVERY_PURPOSE {
        let (purpose, standing) = raw.standing(now_ms)?;
        return Ok(Says::Choice { who, purpose, standing: if raw.is_void() { void(standing) } else { standing } });
    }
    match (&raw.erased_before, &raw.status, &raw.valid_until, &raw.minor) {
        (Some(before), None, None, None) => {
            Ok(Says::Erasure { who, before_ms: not_ahead(instant_up(before)?, now_ms)? })
        }
        _ => Err(InboxFault::Shape),
    }
}

/// Makes of a yes that is void what it is; a no stays.
fn void(standing: Standing) -> Standing {
    let is_yes = standing.status().denial().is_none();
    let void = Standing::new(Status::Invalidated, standing.at_ms(), None);
    void.filter(|_| is_yes).unwrap_or(standing)
}

impl Raw {
    /// Tells whether a child's yes lacks the word of who is responsible for the child (GDPR, article 8).
    fn is_void(&self) -> bool {
        let authorised = self.evidence.as_ref().and_then(|evidence| evidence.get(AUTHORISED)?.as_str());
        self.minor == Some(true) && authorised.is_none_or(|who| who.trim().is_empty())
    }

    fn standing(&self, now_ms: i64) -> Result<(PurposeId, Standing), InboxFault> {
        let purpose = PurposeId::parse(&self.purpose).ok_or(InboxFault::Purpose)?;
        let (Some(status), Some(at), None) = (&self.status, &self.at, &self.erased_before) else {
            return Err(InboxFault::Shape);
        };
        let status = Status::parse(status).ok_or(InboxFault::Status)?;
        let at_ms = not_ahead(instant_ms(at)?, now_ms)?;
        let valid_until_ms = self.valid_until.as_deref().map(instant_ms).transpose()?;
        Ok((purpose, Standing::new(status, at_ms, valid_until_ms).ok_or(InboxFault::Time)?))
    }

    fn stand(&mut self, purpose: PurposeId, standing: Standing) {
        purpose.name().clone_into(&mut self.purpose);
        self.status = Some(standing.status().name().to_owned());
        self.at = Some(instant_text(standing.at_ms()));
        self.valid_until = standing.valid_until_ms().map(instant_text);
    }

    fn name(&mut self, who: &Who) {
        self.tenant.clone_from(&who.tenant);
        self.kind = Some(who.kind.clone());
        self.subject = Some(who.subject.clone());
    }
}

impl Who {
    fn new(tenant: &str, kind: &str, subject: &str) -> Result<Self, InboxFault> {
        let subject = canonical(subject).into_owned();
        if subject.is_empty() || subject.len() > SUBJECT_BYTES_MAX {
            return Err(InboxFault::Subject);
        }
        Ok(Self { tenant: sound_tenant(tenant)?.to_owned(), kind: sound_kind(kind)?.to_owned(), subject })
    }

    fn person(&self, keys: &KeySet) -> weir_keys::PersonKey {
        keys.person_key(&self.tenant, &self.kind, &self.subject)
    }
}

fn sound_tenant(tenant: &str) -> Result<&str, InboxFault> {
    if tenant_name_is_sound(tenant) { Ok(tenant) } else { Err(InboxFault::Tenant) }
}

fn sound_kind(kind: &str) -> Result<&str, InboxFault> {
    let starts = kind.starts_with(|first: char| first.is_ascii_lowercase());
    if starts && kind.len() <= KIND_BYTES_MAX && kind.bytes().all(is_word_byte) {
        Ok(kind)
    } else {
        Err(InboxFault::Kind)
    }
}

fn sound_regions<'r>(regions: impl Iterator<Item = &'r str>) -> Result<Vec<Box<str>>, InboxFault> {
    let sound =
        |region: &str| !region.is_empty() && region.len() <= REGION_BYTES_MAX && region.bytes().all(is_word_byte);
    let listed: Option<Vec<Box<str>>> = regions.map(|region| sound(region).then(|| region.into())).collect();
    let mut listed = listed.ok_or(InboxFault::Regions)?;
    listed.sort();
    listed.dedup();
    if listed.len() > REGIONS_MAX { Err(InboxFault::Regions) } else { Ok(listed) }
}

const fn is_word_byte(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'.')
}

fn instant(text: &str) -> Result<Timestamp, InboxFault> {
    let parsed: Option<Timestamp> = text.parse().ok();
    parsed.filter(|instant| (0..=TIME_MS_MAX).contains(&instant.as_millisecond())).ok_or(InboxFault::Time)
}

/// An erasure reaches a little further rather than less far.
fn instant_up(text: &str) -> Result<i64, InboxFault> {
    let instant = instant(text)?;
    Ok(instant.as_millisecond() + i64::from(instant.subsec_nanosecond() % 1_000_000 > 0))
}

fn not_ahead(instant_ms: i64, now_ms: i64) -> Result<i64, InboxFault> {
    if instant_ms > now_ms.saturating_add(AHEAD_MS_MAX) { Err(InboxFault::Future) } else { Ok(instant_ms) }
}
