//! Bytes from outside, not yet trusted.
//!
//! A [`Record`] is opaque: it can be made and handed to the filter, and nothing else. It cannot be printed, cloned,
//! compared or written, so a raw value reaches no log and no file by accident; only this crate reads it. It stands first
//! in the path because everything after it has lost something: text, undeclared fields, identities.

use std::collections::BTreeSet;

use weir_policy::MalformedCode;

/// The partition (or file) of a record, as its place in the caller's list for one batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin(pub u16);

/// Headers of one record, in their order.
///
/// Only those that CloudEvents binary mode names are ever read; the others are not looked at.
#[derive(Clone, Copy, Default)]
#[expect(missing_debug_implementations, reason = "headers are raw input and must not be printable")]
pub struct Headers<'r>(&'r [(&'r str, &'r [u8])]);

impl<'r> Headers<'r> {
    /// No headers at all.
    pub const NONE: Headers<'static> = Headers(&[]);

    /// Wraps name and value pairs.
    pub const fn new(pairs: &'r [(&'r str, &'r [u8])]) -> Self {
        Self(pairs)
    }

    /// Returns the bytes of the headers that hold attributes.
    pub(crate) fn attribute_bytes(self) -> usize {
        self.iter().filter(|(name, _)| name.starts_with("ce_")).map(|(_, value)| value.len()).sum()
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = (&'r str, &'r [u8])> {
        self.0.iter().copied()
    }
}

/// What a topic demands of its events, beyond what every event has to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicRules {
    /// Whether an event in clear is not taken.
    pub only_sealed: bool,
    /// Whose events it carries.
    pub tenants: Tenants,
}

/// Tenants, as a topic is bound to them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tenants {
    /// All but these, which are bound to other topics.
    AllBut(BTreeSet<String>),
    /// These and nobody else.
    Only(BTreeSet<String>),
}

impl Tenants {
    fn has(&self, tenant: &[u8]) -> bool {
        let is_named = |names: &BTreeSet<String>| str::from_utf8(tenant).is_ok_and(|tenant| names.contains(tenant));
        match self {
            Self::AllBut(others) => !is_named(others),
            Self::Only(names) => is_named(names),
        }
    }
}

/// One record from outside, opaque.
#[expect(missing_debug_implementations, reason = "a record is raw input and must not be printable")]
pub struct Record<'r> {
    origin: Origin,
    position: i64,
    value: &'r [u8],
    headers: Headers<'r>,
    rules: Option<&'r TopicRules>,
    was_sealed: bool,
}

impl<'r> Record<'r> {
    /// Wraps what came from the source; an absent value is a tombstone.
    pub fn new(origin: Origin, position: i64, value: Option<&'r [u8]>, headers: Headers<'r>) -> Self {
        Self { origin, position, value: value.unwrap_or_default(), headers, rules: None, was_sealed: false }
    }

    /// Says what the record's topic demands.
    #[must_use]
    pub const fn under(self, rules: &'r TopicRules) -> Self {
        Self { rules: Some(rules), ..self }
    }

    /// Returns the record with its data opened, for the same place and under the same rules.
    pub(crate) fn opened(&self, data: &'r [u8], headers: Headers<'r>) -> Self {
        Self { value: data, headers, was_sealed: true, ..*self }
    }

    /// Returns the partition that the record came from.
    pub const fn origin(&self) -> Origin {
        self.origin
    }

    /// Returns the offset (or byte position) in its partition.
    pub const fn position(&self) -> i64 {
        self.position
    }

    pub(crate) const fn value(&self) -> &'r [u8] {
        self.value
    }

    /// Holds an event of a tenant against what the record's topic demands.
    pub(crate) fn check<'t>(&self, tenant: impl FnOnce() -> &'t [u8]) -> Result<(), MalformedCode> {
        match self.rules {
            None => Ok(()),
            Some(rules) if rules.only_sealed && !self.was_sealed => Err(MalformedCode::NotSealed),
            Some(rules) if rules.tenants.has(tenant()) => Ok(()),
            Some(_) => Err(MalformedCode::ForeignTenant),
        }
    }

    pub(crate) const fn headers(&self) -> Headers<'r> {
        self.headers
    }
}

/// Splits records into runs that are read together: as many as the caches hold.
pub(crate) fn together<'r, 's>(mut records: &'s [Record<'r>]) -> impl Iterator<Item = &'s [Record<'r>]> {
    std::iter::from_fn(move || {
        let mut bytes = 0_usize;
        let fits = |record: &&Record<'_>| {
            bytes = bytes.saturating_add(record.value.len());
            bytes <= BYTES_TOGETHER
        };
        let count = records.iter().take(RECORDS_TOGETHER).take_while(fits).count().max(1);
        let (together, rest) = records.split_at_checked(count)?;
        records = rest;
        Some(together)
    })
}

/// Enough that the lanes of the hash are full, and few enough that what an event asked of its contract while it was read is
/// still near when its rows are made, also with a thousand event types.
const RECORDS_TOGETHER: usize = 256;
/// Their text stays in a core's second cache, and what is written beside it is bounded.
const BYTES_TOGETHER: usize = 4 << 20;

/// Bounds on a record; past any of them it is malformed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most bytes of a record's value.
    ///
    /// More than 256 MiB is too large whatever it says.
    pub record_bytes: usize,
    /// Deepest nesting of objects and arrays; the envelope itself is 1.
    pub depth: usize,
    /// Most members of all objects of a record together.
    pub fields: usize,
    /// Most items of any one array.
    pub array_items: usize,
}

impl Default for Limits {
    /// Generous for telemetry, small enough that one record cannot hold a thread for a second.
    fn default() -> Self {
        Self { record_bytes: 1 << 20, depth: 32, fields: 4096, array_items: 4096 }
    }
}
