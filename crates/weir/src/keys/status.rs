//! `weir keys status`: how the ring stands, and how its vault is.

use serde_json::json;
use weir_daemon::Config;
use weir_keys::Wrap as _;
use weir_vault::Seal;

use crate::cli::OutputFormat;
use crate::exit::{Exit, Failure};
use crate::table::Table;
use crate::{output, setup};

/// Arguments of `weir keys status`.
#[derive(Debug, clap::Args)]
pub(crate) struct StatusArgs {
    /// Form of the output.
    #[arg(long, env = "WEIR_FORMAT", value_enum, default_value = "text")]
    format: OutputFormat,
}

/// Prints how the ring stands; as much as can be known when the vault is sealed or away.
///
/// # Errors
/// When the ring cannot be opened, after what is known of it.
pub(super) fn status(config: &Config, args: &StatusArgs) -> Result<Exit, Failure> {
    let mut known = Vec::new();
    let mut say = |what: &'static str, how: String| known.push((what, how));
    say("folder", config.keys.provider.0.display().to_string());
    match weir_daemon::keys::vault(config).map_err(setup::key_failure)? {
        None => say("provider", "the folder itself: secrets lie in clear".to_owned()),
        Some(vault) => {
            say("provider", vault.place());
            say(
                "vault",
                match vault.seal() {
                    Ok(Seal::Open { version }) => format!("open, version {version}"),
                    Ok(Seal::Sealed) => "sealed".to_owned(),
                    Err(error) => error.to_string(),
                },
            );
        }
    }
    if let Some(vault) = &config.vault {
        say("cache_ttl", format!("{} s", vault.cache_ttl.as_secs()));
    }
    let standing = setup::key_ring(config).and_then(|ring| {
        let standing = ring.standing().map_err(setup::key_failure)?;
        Ok((ring.id(), standing))
    });
    if let Ok((id, standing)) = &standing {
        say("ring", id.to_string());
        if let Some(versions) = standing.ring_versions {
            say("newest version", versions.newest.to_string());
            say("oldest version that opens", versions.oldest.to_string());
        }
        if let Some(oldest) = standing.oldest_version {
            say("oldest version in use", oldest.to_string());
        }
        say("epochs", standing.epochs.to_string());
        say("tenants", standing.tenants.to_string());
        say("destroyed", standing.destroyed.to_string());
        say("destroyed in the vault only", standing.gone.to_string());
    }
    match args.format {
        OutputFormat::Json => {
            let members = known.iter().map(|(what, how)| (what.replace(' ', "_"), json!(how)));
            output::print_json(&members.collect::<serde_json::Map<_, _>>())?;
        }
        OutputFormat::Text => {
            let mut table = Table::new(["key ring", ""]);
            for (what, how) in known {
                table.push([what.to_owned(), how]);
            }
            output::print(table)?;
        }
    }
    standing.map(|_| Exit::Done)
}
