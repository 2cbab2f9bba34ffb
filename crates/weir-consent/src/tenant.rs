//! Tenants as numbers.

/// A tenant, as its place among those that the consent store knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TenantIx(pub u32);
