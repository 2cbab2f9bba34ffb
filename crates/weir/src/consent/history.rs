//! `weir consent history`: the receipts of a person, from the topic that keeps them all.

use std::collections::HashSet;

use anyhow::{Context as _, anyhow};
use serde_json::json;
use weir_consent::{Receipt, receipt_key};
use weir_daemon::config::ConsentSource;

use crate::cli::{Global, OutputFormat};
use crate::exit::{Exit, Failure, OrExit as _};
use crate::{output, setup};

use super::ShowArgs;
use super::decide::refused;
use super::place::Inbox;

/// Prints the receipts of a person, oldest first, each once.
///
/// # Errors
/// When the topic cannot be read, or one of the receipts is not as it was signed.
pub(super) fn history(global: &Global, args: &ShowArgs) -> Result<Exit, Failure> {
    if !args.named.is_person() {
        return Err(Failure::new(Exit::Usage, anyhow!("only people have receipts: name one with --kind and --id")));
    }
    let config = setup::config(global)?;
    let ConsentSource::Topic(topic) = &config.consent else {
        return Err(Failure::new(Exit::Config, anyhow!("receipts are on a topic, and consent.path names a file")));
    };
    let keys = setup::key_ring(&config)?.snapshot();
    let mut asked = Vec::new();
    for purpose in args.purposes.iter() {
        asked.push(args.named.key(&keys, purpose).map_err(refused)?.encode());
    }
    let (public, mut seen) = ([receipt_key(&keys).public()], HashSet::new());
    let mut receipts = Vec::new();
    for message in Inbox::of(&config, topic)?.receipts(&asked)? {
        let jws = String::from_utf8(message.value).context("a receipt is no text").or_exit(Exit::Data)?;
        if seen.insert(jws.clone()) {
            let receipt = Receipt::verify(&jws, &public).context("a receipt on the topic").or_exit(Exit::Data)?;
            receipts.push((jws, receipt));
        }
    }
    receipts.sort_by_key(|(_, receipt)| receipt.standing().at_ms());
    match args.format {
        OutputFormat::Json => {
            let listed = receipts.iter().map(|(jws, receipt)| json!({ "jws": jws, "receipt": receipt.json() }));
            output::print_json(&listed.collect::<Vec<_>>())?;
        }
        OutputFormat::Text if receipts.is_empty() => output::print("no receipts\n")?,
        OutputFormat::Text => {
            for (_, receipt) in &receipts {
                output::print(format_args!("{receipt}\n\n"))?;
            }
        }
    }
    Ok(Exit::Done)
}
