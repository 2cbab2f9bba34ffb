//! A gate on a socket, and whoever may come to it.

mod limits;
mod requests;
mod signer;
mod undeclared;
mod withdrawal;
pub(crate) mod world;
