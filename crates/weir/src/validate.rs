//! `weir validate`: every fault of the configuration, the contracts and the purposes, at once.
//!
//! It checks what `weir run` checks before it reads the first record, and nothing that needs a broker; without
//! `--no-environment` also what is on this machine: the key ring, the brokers' secrets, the files of the API and of the gate, and the consent file. Faults end it with 78; with
//! `--deny-warnings` warnings do too.

use std::path::Path;

use anyhow::Context as _;
use weir_consent::{ConsentStore, LineFault, LoadError};
use weir_daemon::config::ConsentSource;
use weir_daemon::{Config, check_api};
use weir_policy::diagnostic::render;

use crate::cli::Global;
use crate::exit::{Exit, Failure, OrExit as _};
use crate::{output, setup};

/// Arguments of `weir validate`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Fails on warnings too; for CI.
    #[arg(long, env = "WEIR_DENY_WARNINGS")]
    deny_warnings: bool,
    /// Leaves out what depends on this machine: the key ring, the brokers' secrets, the files of the API and of the gate, and the
    /// consent file.
    #[arg(long, env = "WEIR_NO_ENVIRONMENT")]
    no_environment: bool,
}

/// Checks everything and prints what it found.
///
/// # Errors
/// With every fault of the first kind of file that has any: configuration, then contracts and purposes.
pub(crate) fn validate(global: &Global, args: &Args) -> Result<Exit, Failure> {
    let config = setup::config(global)?;
    let (policy, warnings) = setup::policy(global, &config)?;
    let rendered = (!warnings.is_empty()).then(|| render(&warnings, setup::look(global)));
    let warnings: Vec<_> =
        rendered.into_iter().chain(receipts_warning(&config)).chain(layers_warning(&config)).collect();
    if args.deny_warnings && !warnings.is_empty() {
        return Err(Failure::faults(warnings.join("\n")));
    }
    warnings.iter().for_each(output::remark);
    if let Some(kafka) = &config.kafka {
        kafka.check().or_exit(Exit::Config)?;
    }
    let (contracts, hash) = (policy.contracts().len(), policy.hash());
    if !args.no_environment {
        environment(&config)?;
        if let Some(gate) = &config.gate {
            weir_gate::check(gate, policy).map_err(|fault| crate::gate::refused(global, fault))?;
        }
    }
    output::print(format_args!("{contracts} contracts, policy {hash}: no fault\n"))?;
    Ok(Exit::Done)
}

/// Warns of a topic of consent without receipts: nobody could prove later what they decided.
fn receipts_warning(config: &Config) -> Option<String> {
    let is_missing = matches!(config.consent, ConsentSource::Topic(_)) && config.receipts.is_none();
    is_missing.then(|| {
        "warning[no_receipts]: the configuration has no [receipts], so people get no receipt of what they decide"
            .to_owned()
    })
}

/// Warns of a lake that whoever comes by its disk or bucket can read, or needs the keys of one layer for.
fn layers_warning(config: &Config) -> Option<String> {
    let open = config.open_layers();
    (!open.is_empty()).then(|| {
        let (count, settings) = (open.len(), open.join(" and "));
        format!("warning[open_layers]: layers of encryption that are off: {count} of 2; set {settings}")
    })
}

/// Checks what is on this machine: that the ring opens, that the brokers' secrets can be had, that the API's files serve, and that
/// every line of a consent file is a record.
fn environment(config: &Config) -> Result<(), Failure> {
    let ring = setup::key_ring(config)?;
    config.kafka.as_ref().map_or(Ok(()), |kafka| kafka.connection().map(drop)).or_exit(Exit::Config)?;
    config.api.as_ref().map_or(Ok(()), check_api).or_exit(Exit::Config)?;
    let ConsentSource::Path(file) = &config.consent else { return Ok(()) };
    match ConsentStore::load_ndjson(file, &ring.snapshot(), setup::now_ms()) {
        Ok(_) => Ok(()),
        Err(LoadError::Lines { faults, count }) => Err(Failure::faults(line_faults(file, &faults, count))),
        Err(why @ LoadError::Io(_)) => {
            Err(why).with_context(|| format!("consent.path = {}", file.display())).or_exit(Exit::NoInput)
        }
    }
}

/// Writes `file:line: code: words` for each faulty line; never the line itself, which names people.
pub(crate) fn line_faults(file: &Path, faults: &[LineFault], count: u64) -> String {
    let lines = faults
        .iter()
        .map(|LineFault { line, fault }| format!("{}:{line}: error[{}]: {fault}", file.display(), fault.code()));
    let unlisted = count.saturating_sub(u64::try_from(faults.len()).unwrap_or(u64::MAX));
    let more = (unlisted > 0).then(|| format!("… and {unlisted} more"));
    lines.chain(more).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use weir_consent::InboxFault;

    use super::*;

    #[test]
    fn layers_that_are_off_are_named() {
        let warning = |settings: &[&str]| {
            let settings: Vec<_> = settings.iter().map(|setting| (*setting).to_owned()).collect();
            layers_warning(&Config::load(&["../../config/weir.toml".into()], &settings).unwrap())
        };
        let both = warning(&[]).unwrap();
        assert!(
            both.contains("2 of 2") && both.contains("lake.files = ") && both.contains("lake.store_keys"),
            "{both}"
        );
        let one = warning(&["lake.files=encrypted"]).unwrap();
        assert!(one.contains("1 of 2") && !one.contains("lake.files"), "{one}");
        assert_eq!(warning(&["lake.files=encrypted", "lake.store_keys=file:store-keys"]), None);
    }

    #[test]
    fn faulty_lines_are_named_by_number_and_code_only() {
        let faults = [LineFault { line: 7, fault: InboxFault::Json }];
        let text = line_faults(Path::new("consent.ndjson"), &faults, 3);
        assert!(text.starts_with("consent.ndjson:7: error[json]: "), "{text}");
        assert!(text.ends_with("\n… and 2 more"), "{text}");
    }
}
