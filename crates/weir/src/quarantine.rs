//! `weir quarantine`: where the records are that could not be used, and why; never what is in them.
//!
//! With topic, partition and offset a person who may read the topic can look at the record itself, for as long as it is there.

use clap::Subcommand;
use serde_json::json;
use weir_lake::Quarantined;

use crate::cli::{Global, OutputFormat};
use crate::exit::{Exit, Failure};
use crate::table::Table;
use crate::{output, setup};

/// What to do with the quarantine.
#[derive(Debug, Subcommand)]
pub(crate) enum QuarantineVerb {
    /// Lists the coordinates of records that were malformed or have no contract.
    Ls(LsArgs),
}

/// Arguments of `weir quarantine ls`.
#[derive(Debug, clap::Args)]
pub(crate) struct LsArgs {
    /// Form of the list.
    #[arg(long, env = "WEIR_FORMAT", value_enum, default_value = "text")]
    format: OutputFormat,
    /// Only records with this code, such as `no_contract`.
    #[arg(long, value_name = "CODE")]
    code: Option<String>,
    /// Most records to list, the newest days first.
    #[arg(long, default_value_t = 100, value_name = "N")]
    limit: usize,
}

/// Runs one of the verbs below `weir quarantine`.
///
/// # Errors
/// When the configuration has faults, or the lake cannot be read.
pub(crate) fn quarantine(global: &Global, verb: &QuarantineVerb) -> Result<Exit, Failure> {
    let QuarantineVerb::Ls(args) = verb;
    let config = setup::config(global)?;
    let mut found = setup::lake(&config)?.quarantined().map_err(setup::lake_failure)?;
    found.retain(|record| args.code.as_ref().is_none_or(|code| record.code == *code));
    let all = found.len();
    found.sort_by(|one, other| other.date.cmp(&one.date).then_with(|| one.cmp(other)));
    found.truncate(args.limit);
    match args.format {
        OutputFormat::Json => output::print_json(&found.iter().map(json).collect::<Vec<_>>())?,
        OutputFormat::Text => output::print(format_args!("{}{} of {all} records\n", table(&found), found.len()))?,
    }
    Ok(Exit::Done)
}

fn json(record: &Quarantined) -> serde_json::Value {
    json!({
        "date": record.date,
        "source": record.partition.source,
        "topic": record.partition.topic,
        "partition": record.partition.partition,
        "offset": record.offset,
        "code": record.code,
        "size_below": record.size_below,
    })
}

fn table(found: &[Quarantined]) -> Table {
    let mut table = Table::new(["committed", "topic", "partition", "offset", "code", "bytes below"]);
    for record in found {
        table.push([
            record.date.clone(),
            record.partition.topic.to_string(),
            record.partition.partition.to_string(),
            record.offset.to_string(),
            record.code.clone(),
            record.size_below.to_string(),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use weir_lake::PartitionId;

    use super::*;

    #[test]
    fn coordinates_are_listed_and_nothing_else() {
        let partition = PartitionId { source: "c/t".into(), topic: "telemetry".into(), partition: 3 };
        let code = "json".to_owned();
        let found = [Quarantined { date: "2026-11-23".into(), partition, offset: 42, code, size_below: 1024 }];
        let want = "\
committed   topic      partition  offset  code  bytes below
2026-11-23  telemetry          3      42  json         1024
";
        assert_eq!(table(&found).to_string(), want);
    }
}
