//! The client of a vault: HashiCorp Vault or OpenBao, its *transit* engine.
//!
//! weir's secrets never lie in the vault; the vault's keys never leave it. What is stored is what the vault made of a secret with
//! one of its keys, and each time it is to be used the vault is asked to open it: who may ask, and whether it still can be opened,
//! is decided there. [`Vault`] implements [`weir_keys::Wrap`] for one mount, one prefix and one login; a second use of a vault, with
//! other rights, is a second client.
//!
//! Callers are synchronous. The client has a thread with a runtime of its own, so that it can be asked from anywhere; each request
//! has a time-out, and what may pass by itself is tried again a few times. Logins are renewed before they end.
//!
//! Tokens and secrets are in no log, error or `Debug`. Errors say what was asked for and what to do; what the vault answers is
//! matched against the few sentences that mean something, and never quoted.
//!
//! Reading order: `settings` → `transit` (what is asked) → `session` (by whom) → `http` (how).

mod http;
mod private;
mod session;
mod settings;
mod transit;

pub use settings::{Address, Auth, Certificate, Settings};
pub use transit::{Seal, Vault};
