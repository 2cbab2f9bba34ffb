//! `weir keys destroy`: what was a person's pseudonym is nobody's from then on, and what was sealed is noise.

use clap::ArgGroup;
use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use weir_daemon::Config;
use weir_ledger::Decision;
use weir_policy::PurposeId;

use crate::exit::{Exit, Failure, OrExit as _};
use crate::{output, setup};

use super::{noticed, tell};

/// Arguments of `weir keys destroy`.
#[derive(Debug, clap::Args)]
#[command(group = ArgGroup::new("what").required(true).args(["tenant", "epoch", "store_version", "sealing"]))]
pub(crate) struct DestroyArgs {
    /// The tenant whose secret goes, for all purposes and times.
    #[arg(long, allow_hyphen_values = true)]
    tenant: Option<String>,
    /// The purpose of the epoch whose secret goes.
    #[arg(long, requires = "epoch", conflicts_with = "tenant", value_parser = PossibleValuesParser::new(PurposeId::ALL.map(PurposeId::name))
        .map(|name| PurposeId::parse(&name).expect("it is a possible value")))]
    purpose: Option<PurposeId>,
    /// The number of that epoch, as the ledger's `keys` entries name it.
    #[arg(long, requires = "purpose")]
    epoch: Option<i32>,
    /// The version of the store's keys that goes; `weir lake reseal` has sealed anew what it sealed.
    #[arg(long, conflicts_with = "purpose", value_name = "VERSION")]
    store_version: Option<u32>,
    /// The name (`kid`) of a key that producers sealed to.
    #[arg(long, value_name = "KID", allow_hyphen_values = true)]
    sealing: Option<String>,
    /// Does not ask whether that is meant; it asks on a terminal only.
    #[arg(long)]
    yes: bool,
}

/// Destroys a secret.
///
/// # Errors
/// When there is none such, or the keys, their vault or the ledger cannot be changed.
pub(super) fn destroy(config: &Config, args: &DestroyArgs) -> Result<(), Failure> {
    if let Some(version) = args.store_version {
        return super::store::destroy(config, version, args.yes);
    }
    let ring = setup::key_ring(config)?;
    let what = match (&args.tenant, &args.sealing, args.purpose, args.epoch) {
        (Some(tenant), ..) => What::Tenant(tenant),
        (None, Some(kid), ..) => What::Sealing(kid),
        (None, None, Some(purpose), Some(epoch)) => What::Epoch(purpose, epoch),
        (None, None, ..) => unreachable!("the command line requires one of them"),
    };
    let secret = match what {
        What::Epoch(purpose, epoch) => format!("{}/{epoch}", purpose.name()),
        What::Sealing(kid) => format!("sealing/{kid}"),
        What::Tenant(tenant) => ring.tenant_key(tenant),
    };
    let question = match what {
        What::Sealing(_) => "destroy that key for good, so that what is sealed to it in the topics is lost",
        What::Epoch(..) | What::Tenant(_) => {
            "destroy that secret for good, so that nobody can be found by it, nor any row of theirs"
        }
    };
    if !args.yes && !output::is_meant(question)? {
        output::remark("nothing was destroyed");
        return Ok(());
    }
    tell(config, &ring, Decision::DestroySecret { secret: secret.clone() })?;
    let destroyed = match what {
        What::Epoch(purpose, epoch) => ring.destroy_epoch(purpose, epoch),
        What::Sealing(kid) => ring.destroy_sealing(kid),
        What::Tenant(tenant) => ring.destroy_tenant(tenant),
    };
    if !destroyed.map_err(setup::key_failure)? {
        return Err(anyhow::anyhow!("the ring has no secret {secret} that is not destroyed")).or_exit(Exit::NoInput);
    }
    let until = noticed(config.vault.as_ref(), "keys.vault");
    output::print(format_args!("{secret} is destroyed; every daemon of this ring notices {until}\n"))
}

enum What<'a> {
    Epoch(PurposeId, i32),
    Sealing(&'a str),
    Tenant(&'a str),
}
