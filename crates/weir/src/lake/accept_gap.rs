//! `weir lake accept-gap`: an operator accepts that offsets are lost, by name, and the coverage says so.
//!
//! The broker is asked first, so that nothing can be called lost that it still has.

use anyhow::anyhow;
use weir_daemon::Config;
use weir_lake::{GapError, PartitionId};
use weir_source::TopicPartition;

use crate::exit::{Exit, Failure, OrExit as _};
use crate::{output, setup};

/// Arguments of `weir lake accept-gap`.
#[derive(Debug, clap::Args)]
pub(crate) struct AcceptGapArgs {
    /// The topic.
    topic: String,
    /// The number of the partition.
    partition: i32,
    /// The first offset that the broker still has; `/readyz` and the log name it.
    #[arg(long, value_name = "OFFSET")]
    to: i64,
}

/// Records that the offsets from the lake's end up to `--to` are lost.
///
/// # Errors
/// When the broker still has some of them, when there is no gap, or when broker or lake cannot be asked.
pub(crate) fn accept_gap(config: &Config, args: &AcceptGapArgs) -> Result<(), Failure> {
    let cluster = setup::cluster(config)?;
    let source = cluster.incarnation(&args.topic, setup::BROKER_PATIENCE).or_exit(Exit::Unavailable)?;
    let partition = PartitionId { source, topic: args.topic.as_str().into(), partition: args.partition };
    let name = TopicPartition::new(args.topic.as_str(), args.partition);
    let bounds = cluster.bounds(&[name], setup::BROKER_PATIENCE).or_exit(Exit::Unavailable)?;
    if let Some(first) = bounds.first().map(|bounds| bounds.start).filter(|first| args.to > *first) {
        let why = anyhow!("{partition} has its records from {first} on: only those before can be lost");
        return Err(Failure::new(Exit::Usage, why));
    }
    let lost = setup::lake(config)?.accept_gap(&partition, args.to, setup::now_ms()).map_err(|why| match why {
        GapError::Interrupted { .. } => Failure::new(Exit::Retry, why),
        GapError::Lake(why) => setup::lake_failure(why),
        GapError::NoGap { .. } => Failure::new(Exit::Usage, why),
    })?;
    output::print(format_args!(
        "the coverage of {partition} says that the {} offsets from {} to {} are lost; start weir anew to go on\n",
        lost.to - lost.from,
        lost.from,
        lost.to - 1
    ))
}
