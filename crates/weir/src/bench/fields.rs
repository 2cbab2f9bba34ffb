//! What each field costs: the time of the filter that is gone when the contract does not declare it, and its bytes on the disk.
//!
//! Each contract is measured by its own events. The filter of the contract as it is and those that lack one field each take turns, so that a
//! machine that gets slower does so for all of them; of several rounds the fastest counts. What a value costs in Parquet shows in
//! its bytes, not in the time.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use weir_filter::Filter;
use weir_lake::{Lake, LakeError, TableName};
use weir_policy::{Contract, ContractIx, Policy, PurposeId, Resolved};
use weir_testkit::corpus::Produced;

use super::load::Load;
use super::measure::{filter, lend};
use super::number;
use crate::exit::{Exit, Failure, OrExit as _};
use crate::table::Table;

/// Measures every field of every event type that has events, in its newest version, and draws the table.
///
/// # Errors
/// When the files of the lake cannot be read.
pub(super) fn table(lake: &Lake, policy: &Arc<Policy>, load: &Load, rounds: u32) -> Result<Table, Failure> {
    let mut table = Table::new(["event type", "field", "class", "purposes", "filter ns/event", "bytes/event"]);
    let is_newest = |(place, contract): &(ContractIx, &Contract)| {
        policy.resolve(&contract.event_type, None, load.now_ms) == Resolved::Contract(*place)
    };
    for (place, contract) in policy.iter().filter(is_newest) {
        let records: Vec<_> = load.records.iter().filter(|record| is_of(record, contract)).collect();
        if records.is_empty() {
            continue;
        }
        let costs = filter_costs(policy, place, &records, load, rounds);
        let bytes = bytes(lake, contract).or_exit(Exit::Io)?;
        // Each round wrote all events.
        let events = number(records.len()) * u64::from(rounds);
        for (field, cost) in contract.fields.iter().zip(costs) {
            let bytes = bytes.get(&field.column).copied().unwrap_or(0);
            let purposes: String = field.purposes.iter().filter_map(|purpose| purpose.name().chars().next()).collect();
            table.push([
                contract.event_type.clone(),
                field.path.clone(),
                field.class.name().to_owned(),
                purposes,
                cost.map(|nanos| nanos.to_string()).unwrap_or_default(),
                format!("{}.{}", bytes / events, bytes * 10 / events % 10),
            ]);
        }
    }
    Ok(table)
}

/// Returns for each field how many nanoseconds of processor an event takes less without it; none for the subject. Rounds scatter, so a
/// small figure tells nothing, and a negative one is shown as 0.
fn filter_costs(
    policy: &Arc<Policy>,
    place: ContractIx,
    events: &[&Produced],
    load: &Load,
    rounds: u32,
) -> Vec<Option<u64>> {
    let fields = policy.contract(place).fields.len();
    let without = (0..fields).map(|field| policy.without_field(place, field).map(|less| load.filter(Arc::new(less))));
    let mut filters: Vec<_> = [Some(load.filter(Arc::clone(policy)))].into_iter().chain(without).collect();
    let mut fastest = vec![u64::MAX; filters.len()];
    lend(events.iter().copied(), |records| {
        for _ in 0..rounds.saturating_mul(TURNS) {
            for (one, fastest) in filters.iter_mut().zip(&mut fastest) {
                let Some(one) = one else { continue };
                *fastest = (*fastest).min(filter(one, records, load).1.processor);
            }
        }
    });
    let whole = fastest[0];
    let cost = |(filter, nanos): (&Option<Filter>, &u64)| {
        filter.is_some().then(|| whole.saturating_sub(*nanos) / number(events.len()))
    };
    filters.iter().zip(&fastest).skip(1).map(cost).collect()
}

/// Tells whether a record is an event of a contract's type, by its header or its text.
fn is_of(record: &Produced, contract: &Contract) -> bool {
    let header = record.headers.iter().find(|(name, _)| name == "ce_type").map(|(_, value)| value.as_slice());
    if let Some(event_type) = header {
        return event_type == contract.event_type.as_bytes();
    }
    let event: Option<Value> = record.value.as_deref().and_then(|text| serde_json::from_slice(text).ok());
    event.is_some_and(|event| event["type"] == contract.event_type.as_str())
}

/// Returns how much each column of a contract takes in the tables of all purposes.
fn bytes(lake: &Lake, contract: &Contract) -> Result<BTreeMap<String, u64>, LakeError> {
    let mut all = BTreeMap::new();
    for purpose in PurposeId::ALL {
        for (column, bytes) in lake.column_bytes(&TableName::events(purpose, contract.event_type.as_str()))? {
            *all.entry(column).or_default() += bytes;
        }
    }
    Ok(all)
}

/// Rounds of each filter for one of the whole: they are short.
const TURNS: u32 = 3;
