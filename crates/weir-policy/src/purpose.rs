//! The three purposes, as types that nobody can add to.
//!
//! They are sealed and uninhabited: a purpose is a word, not a value. A fourth purpose is a code change with an ADR and
//! a reviewer, never a line of configuration.

mod sealed {
    pub trait Sealed {}
}

/// A reason for which collected data may be used.
pub trait Purpose: sealed::Sealed + Send + Sync + 'static {
    /// The same purpose as a value.
    const ID: PurposeId;
}

/// Finding, explaining and repairing what went wrong.
#[derive(Debug)]
pub enum Troubleshooting {}

/// Improving and protecting the service.
#[derive(Debug)]
pub enum Reliability {}

/// Adapting the service to the person.
#[derive(Debug)]
pub enum Personalization {}

impl sealed::Sealed for Troubleshooting {}
impl sealed::Sealed for Reliability {}
impl sealed::Sealed for Personalization {}

impl Purpose for Troubleshooting {
    const ID: PurposeId = PurposeId::Troubleshooting;
}
impl Purpose for Reliability {
    const ID: PurposeId = PurposeId::Reliability;
}
impl Purpose for Personalization {
    const ID: PurposeId = PurposeId::Personalization;
}

/// A purpose as a value: for files, labels and indexes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum PurposeId {
    /// See [`Troubleshooting`].
    Troubleshooting = 0,
    /// See [`Reliability`].
    Reliability = 1,
    /// See [`Personalization`].
    Personalization = 2,
}

impl PurposeId {
    /// All purposes, in the order of their indexes.
    pub const ALL: [Self; 3] = [Self::Troubleshooting, Self::Reliability, Self::Personalization];

    /// Returns the word used in contracts, paths, metrics and topics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Troubleshooting => "troubleshooting",
            Self::Reliability => "reliability",
            Self::Personalization => "personalization",
        }
    }

    /// Returns 0, 1 or 2, for arrays with one place a purpose.
    pub const fn index(self) -> usize {
        match self {
            Self::Troubleshooting => 0,
            Self::Reliability => 1,
            Self::Personalization => 2,
        }
    }

    /// Returns the purpose of this exact name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|purpose| purpose.name() == name)
    }
}

/// A set of purposes, one bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PurposeSet(u8);

impl PurposeSet {
    /// The empty set.
    pub const NONE: Self = Self(0);
    /// All three purposes.
    pub const ALL: Self = Self(0b111);

    /// Returns the set with `purpose` in it.
    #[must_use]
    pub const fn with(self, purpose: PurposeId) -> Self {
        Self(self.0 | 1 << purpose.index())
    }

    /// Returns the set with `purpose` taken out.
    #[must_use]
    pub const fn without(self, purpose: PurposeId) -> Self {
        Self(self.0 & !(1 << purpose.index()))
    }

    /// Returns the purposes that are in both sets.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Returns the purposes that are in either set.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Tells whether `purpose` is in the set.
    pub const fn contains(self, purpose: PurposeId) -> bool {
        self.0 >> purpose.index() & 1 == 1
    }

    /// Tells whether the set is empty.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Returns the purposes of the set in order.
    pub fn iter(self) -> impl Iterator<Item = PurposeId> {
        PurposeId::ALL.into_iter().filter(move |purpose| self.contains(*purpose))
    }
}

impl FromIterator<PurposeId> for PurposeSet {
    fn from_iter<I: IntoIterator<Item = PurposeId>>(purposes: I) -> Self {
        purposes.into_iter().fold(Self::NONE, Self::with)
    }
}
