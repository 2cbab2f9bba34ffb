//! `weir consent export`: what stands for everybody, as the state topic says it, for auditors. It is no backup:
//! `import` takes names, and here are none.
//!
//! People are pseudonyms of the consent domain here; only the inbox has names. One JSON object a line, in no order.

use serde_json::{Value, json};
use weir_consent::{Standing, StateRecord, instant_text, pseudonym};

use crate::cli::Global;
use crate::exit::{Exit, Failure};
use crate::{output, setup};

use super::place::Place;

/// Prints every state.
///
/// # Errors
/// When consent cannot be read, or standard output not be written.
pub(super) fn export(global: &Global) -> Result<Exit, Failure> {
    let config = setup::config(global)?;
    let keys = setup::key_ring(&config)?.snapshot();
    let place = Place::open(&config, &keys)?;
    let mut lines = output::Lines::start();
    place.store().each(|record| lines.push(&line(&record)))?;
    lines.end()?;
    Ok(Exit::Done)
}

fn line(record: &StateRecord) -> Value {
    match record {
        StateRecord::Agreement { tenant, purpose, agreement } => {
            let mut line = stands(agreement.standing, json!({ "tenant": tenant, "purpose": purpose.name() }));
            if let Some(regions) = &agreement.regions {
                line["regions"] = json!(regions);
            }
            line
        }
        StateRecord::Choice { person, purpose, standing } => {
            stands(*standing, json!({ "person": pseudonym(*person), "purpose": purpose.name() }))
        }
        StateRecord::Erasure { person, before_ms } => {
            json!({ "person": pseudonym(*person), "erased_before": instant_text(*before_ms) })
        }
        StateRecord::Tombstone(_) => Value::Null,
    }
}

fn stands(standing: Standing, mut line: Value) -> Value {
    line["status"] = json!(standing.status().name());
    line["at"] = json!(instant_text(standing.at_ms()));
    if let Some(end) = standing.valid_until_ms() {
        line["valid_until"] = json!(instant_text(end));
    }
    line
}
