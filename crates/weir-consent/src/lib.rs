//! Agreement and choice: records, states, the store and what it permits.

mod tenant;

pub use tenant::TenantIx;
