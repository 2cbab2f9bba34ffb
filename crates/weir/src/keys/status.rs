//! `weir keys status`: how the ring and the store's keys stand, and how their vaults are.

use std::path::Path;

use serde_json::json;
use weir_daemon::config::{self, Config};
use weir_keys::{StoreStanding, Wrap as _};
use weir_vault::{Seal, Vault};

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

/// Prints how the ring and the store's keys stand; as much as can be known when a vault is sealed or away.
///
/// # Errors
/// When either cannot be opened, after what is known of both.
pub(super) fn status(config: &Config, args: &StatusArgs) -> Result<Exit, Failure> {
    let mut known = Known::default();
    let ring = ring(config, &mut known);
    let store = config.lake.store_keys.as_ref().map_or(Ok(()), |folder| store(config, &folder.0, &mut known));
    let Known(known) = known;
    match args.format {
        OutputFormat::Json => {
            let members = known.iter().map(|(what, how)| (what.replace(' ', "_"), json!(how)));
            output::print_json(&members.collect::<serde_json::Map<_, _>>())?;
        }
        OutputFormat::Text => {
            let mut table = Table::new(["keys", ""]);
            for (what, how) in known {
                table.push([what, how]);
            }
            output::print(table)?;
        }
    }
    ring.and(store).map(|()| Exit::Done)
}

/// What is known, each with what it is.
#[derive(Default)]
struct Known(Vec<(String, String)>);

impl Known {
    fn say(&mut self, what: &str, how: impl ToString) {
        self.0.push((what.to_owned(), how.to_string()));
    }

    /// Says who keeps secrets, and how that vault is; `of` goes before each word.
    fn say_vault(&mut self, of: &str, vault: Option<&config::Vault>, client: Option<&Vault>) {
        let Some(client) = client else {
            return self.say(&format!("{of}provider"), "the folder itself: secrets lie in clear");
        };
        self.say(&format!("{of}provider"), client.place());
        let seal = match client.seal() {
            Ok(Seal::Answers) => "answers".to_owned(),
            Ok(Seal::Open { version }) => format!("open, version {version}"),
            Ok(Seal::Sealed) => "sealed".to_owned(),
            Err(error) => error.to_string(),
        };
        self.say(&format!("{of}vault"), seal);
        if let Some(vault) = vault {
            self.say(&format!("{of}cache_ttl"), format_args!("{} s", vault.cache_ttl.as_secs()));
        }
    }
}

fn ring(config: &Config, known: &mut Known) -> Result<(), Failure> {
    known.say("folder", config.keys.provider.0.display());
    let vault = weir_daemon::keys::vault(config).map_err(setup::key_failure)?;
    known.say_vault("", config.vault.as_ref(), vault.as_deref());
    let ring = setup::key_ring(config)?;
    let standing = ring.standing().map_err(setup::key_failure)?;
    known.say("ring", ring.id());
    if let Some(versions) = standing.ring_versions {
        known.say("newest version", versions.newest);
        known.say("oldest version that opens", versions.oldest);
    }
    if let Some(oldest) = standing.oldest_version {
        known.say("oldest version in use", oldest);
    }
    known.say("epochs", standing.epochs);
    known.say("tenants", standing.tenants);
    known.say("keys to seal to", standing.sealing);
    known.say("destroyed", standing.destroyed);
    known.say("destroyed in the vault only", standing.gone);
    Ok(())
}

fn store(config: &Config, folder: &Path, known: &mut Known) -> Result<(), Failure> {
    known.say("store folder", folder.display());
    let vault = weir_daemon::keys::store_vault(config).map_err(setup::key_failure)?;
    known.say_vault("store ", config.store_vault.as_ref(), vault.as_deref());
    let keys = weir_daemon::keys::open_store(config, folder).map_err(setup::key_failure)?;
    let StoreStanding { newest, live, destroyed, gone, behind } = keys.standing().map_err(setup::key_failure)?;
    known.say("store newest version", newest);
    known.say("store versions", live);
    known.say("store destroyed", destroyed);
    known.say("store destroyed in the vault only", gone);
    known.say("store to be wrapped anew", behind);
    Ok(())
}
