//! The client of a vault: HashiCorp Vault or OpenBao with their *transit* engine, or AWS KMS.
//!
//! weir's secrets never lie in the vault; the vault's keys never leave it. What is stored is what the vault made of a secret with
//! one of its keys, and each time it is to be used the vault is asked to open it: who may ask, and whether it still can be opened,
//! is decided there. [`Vault`] implements [`weir_keys::Wrap`] for one place, one prefix and one login; a second use of a vault, with
//! other rights, is a second client. Which make it is of, its [`Provider`] says; each implements the same ten calls.
//!
//! Callers are synchronous. The client has a thread with a runtime of its own, so that it can be asked from anywhere; each request
//! has a time-out, and what may pass by itself is tried again a few times. Logins are renewed before they end.
//!
//! Tokens and secrets are in no log, error or `Debug`. Errors say what was asked for and what to do; what the vault answers is
//! matched against the few sentences that mean something, and never quoted.
//!
//! Reading order: `client` → `settings` → `transit` (what is asked) → `session` (by whom) → `http` (how); then `aws`.

mod aws;
mod client;
mod http;
mod kept;
mod private;
mod provider;
mod recent;
mod session;
mod settings;
mod transit;

pub use aws::{AwsAuth, AwsSettings};
pub use client::{Seal, Vault};
pub use provider::Provider;
pub use settings::{Address, Auth, Certificate, Settings};
