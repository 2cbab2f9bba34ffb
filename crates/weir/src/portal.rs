//! `weir portal`: the page on which people see what is collected about them, and decide.
//!
//! ```toml
//! # portal-issuers.toml: whose signed links let people in
//! [[issuer]]
//! name    = "account-page"
//! x       = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"   # the public key: `x` of a JSON Web Key, OKP, Ed25519
//! tenants = ["acme"]                                        # or ["*"]
//! ```

use std::fs;
use std::path::Path;

use anyhow::{Context as _, anyhow};
use weir_daemon::{SystemClock, config};
use weir_keys::{PublicKey, tenant_name_is_sound};
use weir_policy::diagnostic::{Diagnostic, Faults, Report, Source};
use weir_policy::reader::{Section, parse};
use weir_portal::{Api, Controller, Issuer, Issuers, ProviderSetup, Setup};

use crate::cli::Global;
use crate::exit::{Exit, Failure, OrExit as _};
use crate::setup;

/// Arguments of `weir portal`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// Serves the portal until the process ends.
///
/// # Errors
/// When a setting or a file cannot be used, or the address cannot be bound.
pub(crate) fn portal(global: &Global, _: &Args) -> Result<Exit, Failure> {
    let configured = setup::config(global)?;
    setup::confine(Ok(vec![std::env::temp_dir()]))?;
    let (policy, _) = setup::policy(global, &configured)?;
    let (Some(portal), Some(receipts)) = (configured.portal, configured.receipts) else {
        return Err(Failure::new(Exit::Config, anyhow!("no [portal] in the configuration")));
    };
    let config::Portal { rules: portal, provider } = portal;
    let issuers = match &portal.issuers {
        None => Issuers::default(),
        Some(file) => {
            let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()));
            read_issuers(file, &text.or_exit(Exit::NoInput)?).map_err(|report| setup::faults(global, &report))?
        }
    };
    let provider = provider.map(read_provider).transpose()?;
    let token = weir_daemon::private_file(&portal.token).or_exit(Exit::NotAllowed)?;
    let ca = portal.ca.as_deref().map(fs::read).transpose().context("cannot read portal.ca").or_exit(Exit::NoInput)?;
    let api = Api::new(&portal.api, &token, ca.as_deref()).context("cannot use the API").or_exit(Exit::Config)?;
    let setup = Setup {
        listen: portal.listen,
        address: portal.address,
        issuers,
        provider,
        api,
        controller: Controller {
            name: receipts.controller,
            contact: receipts.contact,
            privacy_notice: receipts.privacy_notice,
            language: receipts.language,
        },
        policy,
        now_ms: || SystemClock::start().now_ms(),
    };
    weir_portal::serve(setup).context("cannot serve the portal").or_exit(Exit::Io)?;
    Ok(Exit::Done)
}

/// Reads the files of who signs people in.
fn read_provider(provider: config::Provider) -> Result<ProviderSetup, Failure> {
    let config::Provider { issuer, client_id, client_secret, tenant, claim, kind, ca } = provider;
    let client_secret = client_secret.as_deref().map(weir_daemon::private_file).transpose();
    let ca = ca.as_deref().map(fs::read).transpose().context("cannot read portal.provider.ca");
    let setup = ProviderSetup {
        issuer,
        client_id,
        client_secret: client_secret.or_exit(Exit::NotAllowed)?,
        tenant,
        kind,
        claim,
        ca: ca.or_exit(Exit::NoInput)?,
    };
    setup.check().context("cannot use portal.provider").or_exit(Exit::Config)?;
    Ok(setup)
}

/// Reads who may sign links; all faults at once.
fn read_issuers(file: &Path, text: &str) -> Result<Issuers, Report> {
    let faults = Faults::default();
    let root = parse(&Source::new(file, text), &faults);
    let issuers = root.and_then(|root| {
        let mut root = Section::new(&root, &faults);
        let list =
            root.need("issuer", "`[[issuer]]`, once for each who signs links").and_then(|list| list.array(&faults));
        let mut issuers = Vec::new();
        for node in list.unwrap_or_default() {
            let mut section = Section::new(node.table(&faults)?, &faults);
            issuers.extend(read_issuer(&mut section));
            section.finish();
        }
        root.finish();
        Some(Issuers(issuers))
    });
    faults.into_result(issuers).map(|(issuers, _)| issuers)
}

fn read_issuer(section: &mut Section<'_>) -> Option<Issuer> {
    let faults = section.faults();
    let wrong = |place, message| faults.add(Diagnostic::error(place, "value", message));
    section.need_text("name", "who signs, in a word")?;
    let (x, place) = section.need_text("x", "the public key: `x` of a JSON Web Key, OKP, Ed25519")?;
    let key = PublicKey::of_x(x);
    if key.is_none() {
        wrong(place, "expected the 32 bytes of an Ed25519 key in base64url");
    }
    let tenants = section.need("tenants", "the tenants that it speaks for, or [\"*\"]")?;
    let texts = tenants.texts(faults)?;
    if texts.is_empty() || !texts.iter().all(|(tenant, _)| *tenant == "*" || tenant_name_is_sound(tenant)) {
        wrong(&tenants.place, "expected names of tenants, at least one, or \"*\"");
        return None;
    }
    Some(Issuer { key: key?, tenants: texts.into_iter().map(|(tenant, _)| tenant.to_owned()).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn issuers_are_read_or_every_fault_is_told() {
        let read = |text: &str| {
            let codes = |report: Report| report.diagnostics.iter().map(|fault| fault.code).collect::<Vec<_>>();
            read_issuers(Path::new("issuers.toml"), text).map(|issuers| issuers.0.len()).map_err(codes)
        };
        let good =
            "[[issuer]]\nname = \"a\"\nx = \"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"\ntenants = [\"acme\"]\n";
        assert_eq!(read(&good.repeat(2)), Ok(2));
        assert_eq!(read(&good.replace("11q", "1")), Err(vec!["value"]));
        assert_eq!(read(&good.replace("\"acme\"", "")), Err(vec!["value"]));
        assert_eq!(read(&good.replace("tenants", "tenant")), Err(vec!["missing_key", "unknown_key"]));
        assert!(read("").is_err());
    }
}
