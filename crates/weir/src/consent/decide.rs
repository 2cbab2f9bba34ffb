//! A decision about one person, or one tenant's agreement: all its purposes, or none.

use anyhow::anyhow;
use weir_consent::{Agreement, Decision, InboxFault, InboxRecord, Standing, StateRecord};
use weir_policy::PurposeId;

use crate::cli::Global;
use crate::exit::{Exit, Failure};
use crate::{output, setup};

use super::DecideArgs;
use super::place::Place;
use super::show::Shown;

/// Takes a decision and waits until it counts.
///
/// # Errors
/// When there is no such step from what stands, for any of the purposes; or what `Place` fails with.
pub(super) fn decide(global: &Global, decision: Decision, args: &DecideArgs) -> Result<Exit, Failure> {
    let config = setup::config(global)?;
    let keys = setup::key_ring(&config)?.snapshot();
    // Checked before anything is asked of the brokers.
    for purpose in args.purposes.iter() {
        args.named.key(&keys, purpose).map_err(refused)?;
    }
    let mut place = Place::open(&config, &keys)?;
    let now_ms = setup::now_ms();
    let (mut records, mut faults) = (Vec::new(), Vec::new());
    for purpose in args.purposes.iter() {
        let stands = place.store().current(&args.named.key(&keys, purpose).map_err(refused)?);
        match decision.take(stands.as_ref().and_then(StateRecord::standing), now_ms, args.until) {
            Ok(None) => {}
            Ok(Some(standing)) => {
                let record = record(args, purpose, standing, stands.as_ref()).map_err(refused)?;
                if place.store().covers(&record.state(&keys)) {
                    faults.push(format!("{}: {WIDER}", purpose.name()));
                }
                records.push(record);
            }
            Err(why) => faults.push(format!("{}: {why}", purpose.name())),
        }
    }
    if !faults.is_empty() {
        return Err(Failure::new(Exit::Data, anyhow!("{}", faults.join("\n"))));
    }
    if records.is_empty() {
        output::remark("nothing to change");
    } else {
        place.say(&records, &keys, args.patience)?;
    }
    Shown::new(place.store(), &args.named, args.purposes.iter(), &keys, setup::now_ms())?.print(args.format)?;
    Ok(Exit::Done)
}

fn record(
    args: &DecideArgs,
    purpose: PurposeId,
    standing: Standing,
    stands: Option<&StateRecord>,
) -> Result<InboxRecord, InboxFault> {
    let known = match stands {
        Some(StateRecord::Agreement { agreement: Agreement { regions, .. }, .. }) => regions.as_deref(),
        _ => None,
    };
    let asked = args.regions.as_ref().map(|regions| regions.iter().map(String::as_str).collect::<Vec<_>>());
    let regions = asked.or_else(|| known.map(|known| known.iter().map(AsRef::as_ref).collect()));
    let record = args.named.record(purpose, standing, regions.as_deref())?;
    Ok(match &args.evidence {
        Some(evidence) => record.with_evidence(&evidence.0),
        None => record,
    })
}

/// A name that cannot be one; its words say which, never what it was.
pub(super) fn refused(fault: InboxFault) -> Failure {
    Failure::new(Exit::Usage, fault)
}

/// Of two renewals that hold since the same instant the later end counts, and of two regions' lists what both have.
const WIDER: &str = "what stands counts over it; withdraw and request it anew";
