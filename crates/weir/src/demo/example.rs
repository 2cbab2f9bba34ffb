//! One event before and after: what the producer sent, and the row of each purpose.

use std::fmt::Write as _;
use std::sync::Arc;

use weir_consent::ConsentStore;
use weir_filter::{Batch, Fate, Filter, Filtered, Headers, Limits, Pseudonym, Record};
use weir_keys::KeySet;
use weir_policy::contract_test::Cell;
use weir_policy::{Policy, Purpose, PurposeId};

use super::world::World;
use crate::cells;
use crate::exit::{Exit, Failure, OrExit as _};
use crate::sandbox::{self, ORIGIN};
use crate::setup;

/// Shows an event that reached all purposes of its contract, two at least.
///
/// # Errors
/// When the key ring cannot be read.
pub(crate) fn before_and_after(world: &World) -> Result<String, Failure> {
    let keys = setup::key_ring(&world.config)?.snapshot();
    let consent = consent(world, &keys)?;
    for record in world.corpus.events().take(SEARCHED).filter(|record| record.headers.is_empty()) {
        let Some(value) = &record.value else { continue };
        let filtered = filter(world, &keys, &consent, value);
        let written = sandbox::fates(&filtered).into_iter().filter(|fate| *fate == Fate::Written).count();
        if let (true, Ok(event)) = (written >= 2, serde_json::from_slice::<serde_json::Value>(value)) {
            return Ok(show(world, &event, &filtered));
        }
    }
    Ok(String::new())
}

fn consent(world: &World, keys: &KeySet) -> Result<ConsentStore, Failure> {
    let mut lines = Vec::new();
    for line in world.corpus.consents().filter_map(|record| record.value) {
        lines.extend_from_slice(&line);
        lines.push(b'\n');
    }
    ConsentStore::read_ndjson(&*lines, keys, world.now_ms).or_exit(Exit::Software)
}

fn filter(world: &World, keys: &Arc<KeySet>, consent: &ConsentStore, value: &[u8]) -> Filtered {
    let (policy, region) = (Arc::clone(&world.shared_policy), world.config.general.region.clone());
    let mut filtered = Filtered::default();
    let view = consent.view(world.now_ms, i64::MAX).expect("a file's records are current for ever");
    let records = [Record::new(ORIGIN, 0, Some(value), Headers::NONE)];
    let mut filter = Filter::new(policy, Arc::clone(keys), Limits::default(), region);
    filter.apply(&records, &view, world.now_ms, &mut filtered);
    filtered
}

fn show(world: &World, event: &serde_json::Value, filtered: &Filtered) -> String {
    let tenant = event["tenant"].as_str().unwrap_or_default();
    let policy = &*world.shared_policy;
    let mut text = format!("\nOne event before\n\n{event:#}\n\nand after\n");
    let Filtered { troubleshooting, reliability, personalization, .. } = filtered;
    text += &row(policy, troubleshooting, tenant);
    text += &row(policy, reliability, tenant);
    text += &row(policy, personalization, tenant);
    text
}

fn row<P: Purpose>(policy: &Policy, batch: &Batch<P>, tenant: &str) -> String {
    let purpose: PurposeId = P::ID;
    let Some(rows) = batch.tables().first() else { return format!("\n{}: no row\n", purpose.name()) };
    let mut text = format!("\n{}\n", purpose.name());
    for (column, cell) in cells::of_row(policy, rows, 0, tenant) {
        let shown = match (column.as_str(), &cell) {
            // Shown as it is, so that one can see that it differs from purpose to purpose.
            ("subject", Cell::Pseudonym) => {
                let subject = rows.heads()[0].subject().map(Pseudonym::bytes);
                format!("{:032x}", u128::from_be_bytes(subject.unwrap_or_default()))
            }
            (_, cell) => cells::render(cell),
        };
        writeln!(text, "  {column:<24} {shown}").expect("a String takes all");
    }
    text
}

/// Events that are looked at for one that shows something.
const SEARCHED: usize = 1_000;
