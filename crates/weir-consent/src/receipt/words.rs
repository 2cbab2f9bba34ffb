//! What a receipt says, for people.

use std::fmt;

use super::Receipt;
use crate::status::{Status, instant_text};

impl fmt::Display for Receipt {
    /// Writes one sentence and a table, without a line break at the end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let standing = self.standing();
        let controller = self.0.controller();
        write!(f, "{} says: since {}, the person", controller.name, instant_text(standing.at_ms()))?;
        write!(f, " {} to {}", words(standing.status()), self.purpose())?;
        match standing.valid_until_ms() {
            Some(end) => write!(f, ", until {}", instant_text(end))?,
            None if standing.status().denial().is_none() => write!(f, ", until they take it back")?,
            None => {}
        }
        for (label, text) in self.0.facts() {
            write!(f, "\n  {label:<14}  {text}")?;
        }
        write!(f, "\n  {:<14}  {}, {}, {}", "controller", controller.name, controller.address, controller.contact)
    }
}

/// Completes "the person … to reliability".
const fn words(status: Status) -> &'static str {
    match status {
        Status::Deferred => "has put off the answer",
        Status::Expired => "no longer agrees, as time is over,",
        Status::Given => "agrees",
        Status::Invalidated => "has no valid agreement",
        Status::Refused => "says no",
        Status::Renewed => "agrees, again,",
        Status::Requested => "is asked to agree",
        Status::Revoked => "no longer agrees, as another party took the agreement back,",
        Status::Unknown => "has said nothing",
        Status::Withdrawn => "no longer agrees, having withdrawn,",
    }
}
