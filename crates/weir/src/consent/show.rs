//! `weir consent show`: what stands for a person or a tenant, in words and as JSON.

use std::fmt;

use serde::Serialize;
use weir_consent::{ConsentStore, Standing, StateKey, StateRecord, Status, instant_text, pseudonym, status_now};
use weir_keys::KeySet;
use weir_policy::PurposeId;

use crate::cli::{Global, OutputFormat};
use crate::exit::{Exit, Failure};
use crate::{output, setup};

use super::ShowArgs;
use super::decide::refused;
use super::named::Named;
use super::place::Place;

/// Shows what stands.
///
/// # Errors
/// When consent cannot be read, or a name cannot be one.
pub(super) fn show(global: &Global, args: &ShowArgs) -> Result<Exit, Failure> {
    let config = setup::config(global)?;
    let keys = setup::key_ring(&config)?.snapshot();
    args.named.key(&keys, PurposeId::Troubleshooting).map_err(refused)?;
    let place = Place::open(&config, &keys)?;
    Shown::new(place.store(), &args.named, args.purposes.iter(), &keys, setup::now_ms())?.print(args.format)?;
    Ok(Exit::Done)
}

/// What stands for one person or tenant.
#[derive(Serialize)]
pub(super) struct Shown {
    /// The person's pseudonym in the consent domain, as receipts have it.
    #[serde(skip_serializing_if = "Option::is_none")]
    person: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<String>,
    states: Vec<Stands>,
}

/// What stands for one purpose.
#[derive(Serialize)]
struct Stands {
    purpose: &'static str,
    status: &'static str,
    since: Option<String>,
    until: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    regions: Option<Vec<Box<str>>>,
    /// Whether events from `since` on may pass, as far as this record goes.
    permits: bool,
}

impl Shown {
    /// Looks up what stands at an instant.
    ///
    /// # Errors
    /// When a name cannot be one.
    pub(super) fn new(
        store: &ConsentStore,
        named: &Named,
        purposes: impl Iterator<Item = PurposeId>,
        keys: &KeySet,
        now_ms: i64,
    ) -> Result<Self, Failure> {
        let mut shown = Self { person: None, tenant: None, states: Vec::new() };
        for purpose in purposes {
            let key = named.key(keys, purpose).map_err(refused)?;
            shown.states.push(Stands::new(purpose, store.current(&key), now_ms));
            match key {
                StateKey::Agreement { tenant, .. } => shown.tenant = Some(tenant.into()),
                StateKey::Choice { person, .. } | StateKey::Erasure { person } => {
                    shown.person = Some(pseudonym(person));
                }
            }
        }
        Ok(shown)
    }

    /// Prints it.
    ///
    /// # Errors
    /// When standard output cannot be written.
    pub(super) fn print(&self, format: OutputFormat) -> Result<(), Failure> {
        match format {
            OutputFormat::Json => output::print_json(self),
            OutputFormat::Text => output::print(self),
        }
    }
}

impl Stands {
    fn new(purpose: PurposeId, record: Option<StateRecord>, now_ms: i64) -> Self {
        let stands = record.as_ref().and_then(StateRecord::standing);
        let status = status_now(stands, now_ms);
        let regions = match record {
            Some(StateRecord::Agreement { agreement, .. }) => agreement.regions,
            _ => None,
        };
        Self {
            purpose: purpose.name(),
            status: status.name(),
            since: stands.map(|stands| instant_text(stands.at_ms())),
            until: stands.and_then(Standing::valid_until_ms).map(instant_text),
            regions,
            permits: status.denial().is_none(),
        }
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.states.iter().try_for_each(|stands| writeln!(f, "{stands}"))
    }
}

impl fmt::Display for Stands {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<15}  ", self.purpose)?;
        let Some(since) = &self.since else { return f.write_str("nothing is known, so nothing passes") };
        match (&self.until, self.status == Status::Expired.name()) {
            (Some(until), true) => write!(f, "expired since {until}, was given since {since}")?,
            (Some(until), false) => write!(f, "{} since {since} until {until}", self.status)?,
            (None, _) => write!(f, "{} since {since}", self.status)?,
        }
        if let Some(regions) = &self.regions {
            write!(f, ", in {}", if regions.is_empty() { "no region".to_owned() } else { regions.join(" and ") })?;
        }
        f.write_str(if self.permits { "; events from then on may pass" } else { "; nothing passes" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What scripts and people read is golden: each way in which something can stand.
    #[test]
    fn states_are_shown_in_words_and_for_programs() {
        let at = |status, until| Standing::new(status, 1_795_428_930_123, until).unwrap();
        let keyed = |standing| {
            let agreement = weir_consent::Agreement { standing, regions: Some(vec!["eu".into(), "us".into()]) };
            StateRecord::Agreement { tenant: "acme".into(), purpose: PurposeId::Reliability, agreement }
        };
        let choice = |standing| {
            let person = weir_keys::PersonKey::from_bytes([7; 16]).unwrap();
            StateRecord::Choice { person, purpose: PurposeId::Reliability, standing }
        };
        let now_ms = 1_795_500_000_000;
        let states = [
            None,
            Some(choice(at(Status::Given, None))),
            Some(choice(at(Status::Renewed, Some(now_ms + 1)))),
            Some(choice(at(Status::Given, Some(now_ms)))),
            Some(choice(at(Status::Withdrawn, None))),
            Some(keyed(at(Status::Given, None))),
        ];
        let states = states.map(|record| Stands::new(PurposeId::Reliability, record, now_ms));
        let shown = Shown { person: None, tenant: Some("acme".to_owned()), states: states.into() };
        let text = format!("{shown}\n{}\n", serde_json::to_string_pretty(&shown).unwrap());
        let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/src/consent/show.txt");
        if std::env::var_os("WEIR_BLESS").is_some() {
            std::fs::write(golden, &text).unwrap();
        }
        assert_eq!(std::fs::read_to_string(golden).unwrap(), text, "run with WEIR_BLESS=1 to rewrite");
    }
}
