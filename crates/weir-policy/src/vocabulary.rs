//! Closed word lists; the only maker of [`Token`].

/// A word of a closed list, as a number that only its list can make and read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub(crate) u32);
