//! `weir lake verify`: whether every object of the lake is what was written.

use serde_json::json;
use weir_daemon::Config;
use weir_lake::VerifyReport;

use crate::audit::ledger;
use crate::cli::OutputFormat;
use crate::exit::{Exit, Failure};
use crate::{output, setup};

/// Arguments of `weir lake verify`.
#[derive(Debug, clap::Args)]
pub(crate) struct VerifyArgs {
    /// Form of the findings.
    #[arg(long, env = "WEIR_FORMAT", value_enum, default_value = "text")]
    format: OutputFormat,
}

/// Reads all objects, then audits the ledger.
///
/// # Errors
/// When lake or ledger cannot be read far enough to tell.
pub(super) fn verify(config: &Config, args: &VerifyArgs) -> Result<Exit, Failure> {
    let report = setup::lake(config)?.verify().map_err(setup::lake_failure)?;
    let findings = ledger::audit(config, true, None)?;
    let is_sound = report.is_sound() && findings.is_sound();
    let VerifyReport { objects, without_key, broken } = &report;
    match args.format {
        OutputFormat::Json => output::print_json(&json!({
            "sound": is_sound,
            "objects": objects,
            "without_key": without_key,
            "broken": broken,
            "ledger": findings.json(),
        }))?,
        OutputFormat::Text => {
            let broken = broken.iter().fold(String::new(), |lines, path| lines + "BROKEN " + path + "\n");
            output::print(format_args!(
                "{objects} objects were read to their ends, {without_key} more are of epochs that were destroyed\n{broken}\n{findings}"
            ))?;
        }
    }
    Ok(if is_sound { Exit::Done } else { Exit::Data })
}
