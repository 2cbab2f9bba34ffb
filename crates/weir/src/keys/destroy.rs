//! `weir keys destroy`: what was a person's pseudonym is nobody's from then on.

use clap::ArgGroup;
use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use weir_daemon::Config;
use weir_ledger::Decision;
use weir_policy::PurposeId;

use crate::exit::{Exit, Failure, OrExit as _};
use crate::{output, setup};

use super::tell;

/// Arguments of `weir keys destroy`.
#[derive(Debug, clap::Args)]
#[command(group = ArgGroup::new("what").required(true).args(["tenant", "epoch"]))]
pub(crate) struct DestroyArgs {
    /// The tenant whose secret goes, for all purposes and times.
    #[arg(long)]
    tenant: Option<String>,
    /// The purpose of the epoch whose secret goes.
    #[arg(long, requires = "epoch", conflicts_with = "tenant", value_parser = PossibleValuesParser::new(PurposeId::ALL.map(PurposeId::name))
        .map(|name| PurposeId::parse(&name).expect("it is a possible value")))]
    purpose: Option<PurposeId>,
    /// The number of that epoch, as the ledger's `keys` entries name it.
    #[arg(long, requires = "purpose")]
    epoch: Option<i32>,
    /// Does not ask whether that is meant; it asks on a terminal only.
    #[arg(long)]
    yes: bool,
}

/// Destroys a secret.
///
/// # Errors
/// When the ring has none such, or it, its vault or the ledger cannot be changed.
pub(super) fn destroy(config: &Config, args: &DestroyArgs) -> Result<(), Failure> {
    let ring = setup::key_ring(config)?;
    let what = match (&args.tenant, args.purpose, args.epoch) {
        (Some(tenant), ..) => What::Tenant(tenant),
        (None, Some(purpose), Some(epoch)) => What::Epoch(purpose, epoch),
        (None, ..) => unreachable!("the command line requires one of them"),
    };
    let secret = match what {
        What::Epoch(purpose, epoch) => format!("{}/{epoch}", purpose.name()),
        What::Tenant(tenant) => ring.tenant_key(tenant),
    };
    let question = "destroy that secret for good, so that nobody can be found by it, nor any row of theirs";
    if !args.yes && !output::is_meant(question)? {
        output::remark("nothing was destroyed");
        return Ok(());
    }
    tell(config, &ring, Decision::DestroySecret { secret: secret.clone() })?;
    let destroyed = match what {
        What::Epoch(purpose, epoch) => ring.destroy_epoch(purpose, epoch),
        What::Tenant(tenant) => ring.destroy_tenant(tenant),
    };
    if !destroyed.map_err(setup::key_failure)? {
        return Err(anyhow::anyhow!("the ring has no secret {secret} that is not destroyed")).or_exit(Exit::NoInput);
    }
    let until = match &config.vault {
        Some(vault) => format!("within keys.vault.cache_ttl ({} s)", vault.cache_ttl.as_secs()),
        None => "within an hour, or at SIGHUP".to_owned(),
    };
    output::print(format_args!("{secret} is destroyed; every daemon of this ring notices {until}\n"))
}

enum What<'a> {
    Epoch(PurposeId, i32),
    Tenant(&'a str),
}
