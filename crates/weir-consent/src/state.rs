//! Records of the state topic: what is known, without anybody's name.
//!
//! # Format, version 1
//!
//! ```text
//! key    choice      'p' · purpose letter · person 16          18 bytes
//!        erasure     'p' · '*'            · person 16          18 bytes
//!        agreement   't' · purpose letter · tenant's name, UTF-8
//!
//! value  choice      1 · state 1..10 · at 8 · valid until 8    18 bytes
//!        erasure     1 · erased before 8                        9 bytes
//!        agreement   1 · state 1..10 · at 8 · valid until 8 · regions
//!        regions     0 = any · or n+1, then n times: length 1 · name
//! ```
//! The first byte of a value is the format's version. Purpose letters are `t`, `r`, `p`. Numbers are little-endian; instants are
//! milliseconds since 1970, `valid until` is all ones for "no end". States are numbered as in [`Status::ALL`], from 1. `person` is the
//! keyed hash of tenant, kind and identifier in the consent domain. A record without a value is a tombstone.
//!
//! A tenant is an organisation and stands in clear: its name is a column of every table.

use std::cmp::Ordering;

use weir_keys::{PersonKey, tenant_name_is_sound};
use weir_policy::PurposeId;

use crate::status::{Standing, Status};

const VERSION: u8 = 1;
const NO_END: i64 = -1;
/// Most regions that an agreement can list: their number shares a byte with "any".
pub(crate) const REGIONS_MAX: usize = 254;
/// Longest name of a region.
pub(crate) const REGION_BYTES_MAX: usize = 32;

/// What a state record is about; one record a key counts.
#[expect(missing_debug_implementations, reason = "names a person")]
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum StateKey {
    /// A tenant's agreement to a purpose.
    Agreement {
        /// The tenant's name.
        tenant: Box<str>,
        /// The purpose agreed to.
        purpose: PurposeId,
    },
    /// A person's choice for a purpose.
    Choice {
        /// The person.
        person: PersonKey,
        /// The purpose chosen.
        purpose: PurposeId,
    },
    /// The erasure of a person.
    Erasure {
        /// The person.
        person: PersonKey,
    },
}

/// One record of the state topic.
#[expect(missing_debug_implementations, reason = "names a person")]
#[derive(Clone, PartialEq, Eq)]
pub enum StateRecord {
    /// A tenant's agreement.
    Agreement {
        /// The tenant's name.
        tenant: Box<str>,
        /// The purpose agreed to.
        purpose: PurposeId,
        /// What was agreed.
        agreement: Agreement,
    },
    /// A person's choice.
    Choice {
        /// The person.
        person: PersonKey,
        /// The purpose chosen.
        purpose: PurposeId,
        /// What was chosen.
        standing: Standing,
    },
    /// Events of a person before an instant are gone and stay gone.
    Erasure {
        /// The person.
        person: PersonKey,
        /// The instant.
        before_ms: i64,
    },
    /// A record without a value.
    Tombstone(StateKey),
}

/// What a tenant agreed to for one purpose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agreement {
    /// The state and its times.
    pub standing: Standing,
    /// Where the tenant's data may live, sorted; none means anywhere.
    pub regions: Option<Vec<Box<str>>>,
}

impl Agreement {
    /// Returns the agreement that counts of two; of equal standings only the regions that both list remain.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        match self.standing.precedence(other.standing) {
            Ordering::Greater => self,
            Ordering::Less => other,
            Ordering::Equal => Self { standing: self.standing, regions: both(self.regions, other.regions) },
        }
    }
}

fn both(one: Option<Vec<Box<str>>>, other: Option<Vec<Box<str>>>) -> Option<Vec<Box<str>>> {
    match (one, other) {
        (Some(mut one), Some(other)) => {
            one.retain(|region| other.contains(region));
            Some(one)
        }
        (listed, None) | (None, listed) => listed,
    }
}

impl StateRecord {
    /// Returns what the record is about.
    pub fn key(&self) -> StateKey {
        match self {
            Self::Agreement { tenant, purpose, .. } => {
                StateKey::Agreement { tenant: tenant.clone(), purpose: *purpose }
            }
            Self::Choice { person, purpose, .. } => StateKey::Choice { person: *person, purpose: *purpose },
            Self::Erasure { person, .. } => StateKey::Erasure { person: *person },
            Self::Tombstone(key) => key.clone(),
        }
    }

    /// Returns the record that counts of two about the same; a tombstone counts over a permission only.
    #[must_use]
    pub(crate) fn merge(self, other: Self) -> Self {
        match (self, other) {
            (Self::Agreement { tenant, purpose, agreement }, Self::Agreement { agreement: other, .. }) => {
                Self::Agreement { tenant, purpose, agreement: agreement.merge(other) }
            }
            (Self::Choice { person, purpose, standing }, Self::Choice { standing: other, .. }) => {
                let standing = if standing.precedence(other) == Ordering::Less { other } else { standing };
                Self::Choice { person, purpose, standing }
            }
            (Self::Erasure { person, before_ms }, Self::Erasure { before_ms: other, .. }) => {
                Self::Erasure { person, before_ms: before_ms.max(other) }
            }
            (known, _) => known,
        }
    }

    /// Returns the state that the record tells of; none for an erasure and for a tombstone.
    pub const fn standing(&self) -> Option<Standing> {
        match self {
            Self::Agreement { agreement: Agreement { standing, .. }, .. } | Self::Choice { standing, .. } => {
                Some(*standing)
            }
            Self::Erasure { .. } | Self::Tombstone(_) => None,
        }
    }

    /// Tells whether the record denies something, so that a tombstone must not end it.
    pub(crate) const fn denies(&self) -> bool {
        match self {
            Self::Agreement { agreement: Agreement { standing, .. }, .. } | Self::Choice { standing, .. } => {
                standing.status().denial().is_some()
            }
            Self::Erasure { .. } => true,
            Self::Tombstone(_) => false,
        }
    }

    /// Reads a record of the state topic.
    ///
    /// # Errors
    ///
    /// The record is not of this format, or of a newer version of it.
    pub fn decode(key: &[u8], value: Option<&[u8]>) -> Result<Self, StateFault> {
        let key = StateKey::decode(key).ok_or(StateFault::Key)?;
        let Some(value) = value else { return Ok(Self::Tombstone(key)) };
        let (version, body) = value.split_first().ok_or(StateFault::Value)?;
        if *version != VERSION {
            return Err(if *version > VERSION { StateFault::NewerFormat } else { StateFault::Value });
        }
        Self::decode_body(key, body).ok_or(StateFault::Value)
    }

    fn decode_body(key: StateKey, body: &[u8]) -> Option<Self> {
        let mut reader = Reader(body);
        let record = match key {
            StateKey::Agreement { tenant, purpose } => {
                let agreement = Agreement { standing: reader.standing()?, regions: reader.regions()? };
                Self::Agreement { tenant, purpose, agreement }
            }
            StateKey::Choice { person, purpose } => Self::Choice { person, purpose, standing: reader.standing()? },
            StateKey::Erasure { person } => Self::Erasure { person, before_ms: reader.instant()? },
        };
        reader.0.is_empty().then_some(record)
    }

    /// Returns the value for the state topic; none for a tombstone.
    pub fn encode(&self) -> Option<Vec<u8>> {
        let mut value = vec![VERSION];
        match self {
            Self::Agreement { agreement, .. } => {
                put_standing(&mut value, agreement.standing);
                put_regions(&mut value, agreement.regions.as_deref());
            }
            Self::Choice { standing, .. } => put_standing(&mut value, *standing),
            Self::Erasure { before_ms, .. } => value.extend_from_slice(&before_ms.to_le_bytes()),
            Self::Tombstone(_) => return None,
        }
        Some(value)
    }
}

impl StateKey {
    /// Reads a key of the state topic.
    fn decode(key: &[u8]) -> Option<Self> {
        let ([domain, letter], rest) = key.split_first_chunk::<2>()?;
        match domain {
            b'p' => {
                let person = PersonKey::from_bytes(rest.try_into().ok()?)?;
                if *letter == b'*' {
                    return Some(Self::Erasure { person });
                }
                Some(Self::Choice { person, purpose: purpose_of(*letter)? })
            }
            b't' => {
                let tenant = std::str::from_utf8(rest).ok().filter(|tenant| tenant_name_is_sound(tenant))?;
                Some(Self::Agreement { tenant: tenant.into(), purpose: purpose_of(*letter)? })
            }
            _ => None,
        }
    }

    /// Returns the key for the state topic.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Agreement { tenant, purpose } => [&[b't', letter(*purpose)], tenant.as_bytes()].concat(),
            Self::Choice { person, purpose } => [&[b'p', letter(*purpose)], &person.bytes()[..]].concat(),
            Self::Erasure { person } => [b"p*", &person.bytes()[..]].concat(),
        }
    }
}

/// Why a record of the state topic could not be read: weir is its only writer, so it is not weir's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StateFault {
    /// The key is none of weir's.
    #[error("the state topic holds a key that weir did not write")]
    Key,
    /// The value is of a later format.
    #[error("the state topic holds a record of a newer weir")]
    NewerFormat,
    /// The value is not of the format.
    #[error("the state topic holds a value that weir did not write")]
    Value,
}

/// Walks through a value.
struct Reader<'v>(&'v [u8]);

impl<'v> Reader<'v> {
    fn take(&mut self, length: usize) -> Option<&'v [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn instant(&mut self) -> Option<i64> {
        Some(i64::from_le_bytes(self.take(8)?.try_into().ok()?))
    }

    fn standing(&mut self) -> Option<Standing> {
        let status = Status::of_code(self.byte()?)?;
        let at_ms = self.instant()?;
        let end = self.instant()?;
        Standing::new(status, at_ms, (end != NO_END).then_some(end))
    }

    #[expect(clippy::option_option, reason = "the outer is a fault, the inner is anywhere")]
    fn regions(&mut self) -> Option<Option<Vec<Box<str>>>> {
        let Some(count) = self.byte()?.checked_sub(1) else { return Some(None) };
        let region = |reader: &mut Self| {
            let length = reader.byte()?;
            std::str::from_utf8(reader.take(length.into())?).ok().map(Box::from)
        };
        let regions = (0..count).map(|_| region(self)).collect::<Option<Vec<Box<str>>>>()?;
        Some(Some(regions))
    }
}

fn put_standing(value: &mut Vec<u8>, standing: Standing) {
    value.push(standing.status().code());
    value.extend_from_slice(&standing.at_ms().to_le_bytes());
    value.extend_from_slice(&standing.valid_until_ms().unwrap_or(NO_END).to_le_bytes());
}

fn put_regions(value: &mut Vec<u8>, regions: Option<&[Box<str>]>) {
    let Some(regions) = regions else { return value.push(0) };
    value.push(u8::try_from(regions.len() + 1).expect("the inbox refuses longer lists"));
    for region in regions {
        value.push(u8::try_from(region.len()).expect("the inbox refuses longer names"));
        value.extend_from_slice(region.as_bytes());
    }
}

const fn letter(purpose: PurposeId) -> u8 {
    match purpose {
        PurposeId::Personalization => b'p',
        PurposeId::Reliability => b'r',
        PurposeId::Troubleshooting => b't',
    }
}

fn purpose_of(byte: u8) -> Option<PurposeId> {
    PurposeId::ALL.into_iter().find(|purpose| letter(*purpose) == byte)
}
