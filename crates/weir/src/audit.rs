//! `weir audit`: the offline proof that every record has exactly one fate, and that the tables hold what was written.
//!
//! It needs the folder and the key ring, no broker and no event. With `--broker` it also compares the ends of the partitions with
//! what the broker has. It ends with 0, or with 65 and a name for each thing that must not be. `--ledger` is a proof of its own.

pub(crate) mod ledger;

use std::fmt;

use serde_json::json;
use weir_daemon::Config;
use weir_lake::{AuditReport, Discrepancy, FEW_PEOPLE, PartitionId};
use weir_source::TopicPartition;

use crate::cli::{Global, OutputFormat};
use crate::exit::{Exit, Failure, OrExit as _};
use crate::table::Table;
use crate::{output, setup};

/// Arguments of `weir audit`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Leaves out reading every data file; sizes, counts and logs are checked all the same.
    #[arg(long, env = "WEIR_AUDIT_QUICK")]
    quick: bool,
    /// Compares the ends of the partitions with the broker's.
    #[arg(long, env = "WEIR_AUDIT_BROKER")]
    broker: bool,
    /// Proves instead that nobody changed the lake behind the ledger's back, and prints the ledger's newest head.
    #[arg(long, env = "WEIR_AUDIT_LEDGER", conflicts_with = "broker")]
    ledger: bool,
    /// A head that was kept elsewhere, which the ledger has to contain: a file, or the head itself.
    #[arg(long, env = "WEIR_AUDIT_HEAD", requires = "ledger", value_name = "FILE|JWS")]
    head: Option<String>,
    /// Form of the findings.
    #[arg(long, env = "WEIR_FORMAT", value_enum, default_value = "text")]
    format: OutputFormat,
}

/// Audits the lake.
///
/// # Errors
/// When the lake cannot be read far enough to tell, or the broker does not answer.
pub(crate) fn audit(global: &Global, args: &Args) -> Result<Exit, Failure> {
    let config = setup::config(global)?;
    if args.ledger {
        let findings = ledger::audit(&config, !args.quick, args.head.as_deref())?;
        match args.format {
            OutputFormat::Json => output::print_json(&findings.json())?,
            OutputFormat::Text => output::print(&findings)?,
        }
        return Ok(if findings.is_sound() { Exit::Done } else { Exit::Data });
    }
    let report = setup::lake(&config)?.audit(!args.quick).map_err(setup::lake_failure)?;
    let lags = if args.broker { compare(&config, &report)? } else { Vec::new() };
    let findings = Findings { report, lags };
    match args.format {
        OutputFormat::Json => output::print_json(&findings.json())?,
        OutputFormat::Text => output::print(&findings)?,
    }
    Ok(if findings.is_sound() { Exit::Done } else { Exit::Data })
}

/// How far a partition of the lake is behind the broker's; ahead is below zero.
struct Lag {
    partition: PartitionId,
    behind: i64,
}

fn compare(config: &Config, report: &AuditReport) -> Result<Vec<Lag>, Failure> {
    let cluster = setup::cluster(config)?;
    let mut lags = Vec::new();
    for topic in config.kafka.iter().flat_map(|kafka| &kafka.topics) {
        let incarnation = cluster.incarnation(topic, setup::BROKER_PATIENCE).or_exit(Exit::Unavailable)?;
        let is_of_topic = |partition: &&PartitionId| *partition.topic == **topic && partition.source == incarnation;
        let known: Vec<_> = report.partitions.keys().filter(is_of_topic).cloned().collect();
        let asked: Vec<_> =
            known.iter().map(|partition| TopicPartition::new(topic.as_str(), partition.partition)).collect();
        let ends = cluster.ends(&asked, setup::BROKER_PATIENCE).or_exit(Exit::Unavailable)?;
        lags.extend(known.into_iter().zip(ends).map(|(partition, end)| {
            let behind = end - report.partitions[&partition];
            Lag { partition, behind }
        }));
    }
    Ok(lags)
}

/// What an audit found.
struct Findings {
    report: AuditReport,
    lags: Vec<Lag>,
}

impl Findings {
    fn is_sound(&self) -> bool {
        self.report.is_sound() && self.lags.iter().all(|lag| lag.behind >= 0)
    }

    /// Returns the name and the words of each thing that must not be.
    fn discrepancies(&self) -> Vec<(&'static str, String)> {
        let ahead = self.lags.iter().filter(|lag| lag.behind < 0).map(|lag| {
            let words = format!("{}: the lake is {} records ahead of the broker", lag.partition, lag.behind.abs());
            ("ahead_of_broker", words)
        });
        self.report.discrepancies.iter().map(words).chain(ahead).collect()
    }

    fn json(&self) -> serde_json::Value {
        let report = &self.report;
        let discrepancies =
            self.discrepancies().into_iter().map(|(name, words)| json!({ "name": name, "what": words }));
        let partitions = report.partitions.iter().map(|(partition, end)| {
            let lag = self.lags.iter().find(|lag| lag.partition == *partition).map(|lag| lag.behind);
            json!({ "topic": partition.topic, "partition": partition.partition, "end": end, "behind": lag })
        });
        let fates = report.fates.iter().map(|((purpose, fate, reason), records)| {
            json!({ "purpose": purpose, "fate": fate, "reason": reason, "records": records })
        });
        let tables = report.tables.iter().map(|(table, rows)| json!({ "table": table.to_string(), "rows": rows }));
        json!({
            "sound": self.is_sound(),
            "discrepancies": discrepancies.collect::<Vec<_>>(),
            "partitions": partitions.collect::<Vec<_>>(),
            "fates": fates.collect::<Vec<_>>(),
            "tables": tables.collect::<Vec<_>>(),
            "set_aside": report.aside,
            "pending": report.pending,
            "small_commits": report.small_commits,
            "orphans": report.orphans,
        })
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let report = &self.report;
        let mut fates = Table::new(["purpose", "fate", "reason", "records"]);
        for ((purpose, fate, reason), records) in &report.fates {
            let reason = reason.clone().unwrap_or_default();
            fates.push([purpose.clone(), fate.clone(), reason, records.to_string()]);
        }
        writeln!(f, "{fates}")?;
        let mut tables = Table::new(["table", "rows"]);
        for (table, rows) in &report.tables {
            tables.push([table.to_string(), rows.to_string()]);
        }
        writeln!(f, "{tables}")?;
        for (count, words) in [
            (report.aside, "rows are set aside: no reader sees them until a restriction is lifted"),
            (report.pending, "commits wait for their partition's next owner"),
            (report.small_commits, "commits have few people, whose rows could be matched across purposes"),
            (report.orphans, "files are of no version: the next vacuum takes them"),
        ] {
            if count > 0 {
                writeln!(f, "{count} {words}")?;
            }
        }
        if report.small_commits > 0 {
            writeln!(f, "few means fewer than {FEW_PEOPLE}; a longer lake.commit_interval makes larger commits")?;
        }
        for Lag { partition, behind } in self.lags.iter().filter(|lag| lag.behind > 0) {
            writeln!(f, "{partition} is {behind} records behind the broker")?;
        }
        for (name, words) in self.discrepancies() {
            writeln!(f, "DISCREPANCY {name}: {words}")?;
        }
        let partitions = report.partitions.len();
        let verdict = if self.is_sound() { "sound" } else { "NOT sound" };
        writeln!(f, "{partitions} partitions: the lake is {verdict}")
    }
}

fn words(discrepancy: &Discrepancy) -> (&'static str, String) {
    match discrepancy {
        Discrepancy::AsideDiffers { table, stored, accounted } => {
            ("aside_differs", format!("{table}: {stored} rows are set aside, {accounted} accounted for"))
        }
        Discrepancy::ChangedAside { table, path } => {
            ("changed_aside", format!("{table}: {path}, of rows that are set aside, does not open"))
        }
        Discrepancy::ChangedFile { table, path } => {
            ("changed_file", format!("{table}: {path} has other bytes than were sealed"))
        }
        Discrepancy::CountsDiffer { table, span } => {
            ("counts_differ", format!("{table}: for {span} the table's commit and the coverage count differently"))
        }
        Discrepancy::ForeignCommit { table, version } => {
            ("foreign_commit", format!("{table}: version {version} is not weir's, or speaks of other files"))
        }
        Discrepancy::Gap { partition, from, to } => {
            ("gap", format!("{partition}: no range covers the offsets from {from} to {}", to - 1))
        }
        Discrepancy::MissingFile { table, path } => ("missing_file", format!("{table}: {path} is not there")),
        Discrepancy::Overlap { partition, from } => {
            ("overlap", format!("{partition}: two ranges cover the offsets from {from}"))
        }
        Discrepancy::RowsDiffer { table, stored, accounted } => {
            ("rows_differ", format!("{table}: {stored} rows in the table, {accounted} accounted for"))
        }
        Discrepancy::Unbalanced { span } => {
            ("unbalanced", format!("{span}: the purposes count different numbers of records"))
        }
        Discrepancy::Unclaimed { table, rows } => {
            ("unclaimed", format!("{table}: {rows} rows of a commit that no batch counts as its own"))
        }
        Discrepancy::WrongEnd { partition, covered, watermark } => {
            let watermark = watermark.map_or_else(|| "none".to_owned(), |watermark| watermark.to_string());
            ("wrong_end", format!("{partition}: the ranges end at {covered}, the watermark is {watermark}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use weir_lake::TableName;
    use weir_policy::PurposeId;

    use super::*;

    /// The findings for people are golden text: operators paste them into tickets.
    #[test]
    fn discrepancies_are_named() {
        let partition = PartitionId { source: "c/t".into(), topic: "telemetry".into(), partition: 0 };
        let table = TableName::events(PurposeId::Reliability, "com.example.paid");
        let mut report = AuditReport { small_commits: 1, ..AuditReport::default() };
        report.partitions.insert(partition.clone(), 10);
        report.tables.insert(table.clone(), 6);
        report.fates.insert(("reliability".into(), "written".into(), None), 7);
        report.fates.insert(("reliability".into(), "denied".into(), Some("gpc".into())), 3);
        report.discrepancies.insert(Discrepancy::RowsDiffer { table, stored: 6, accounted: 7 });
        let findings = Findings { report, lags: vec![Lag { partition, behind: -2 }] };
        let want = "\
purpose      fate     reason  records
reliability  denied   gpc           3
reliability  written                7

table                         rows
reliability/com.example.paid     6

1 commits have few people, whose rows could be matched across purposes
few means fewer than 20; a longer lake.commit_interval makes larger commits
DISCREPANCY rows_differ: reliability/com.example.paid: 6 rows in the table, 7 accounted for
DISCREPANCY ahead_of_broker: telemetry/0: the lake is 2 records ahead of the broker
1 partitions: the lake is NOT sound
";
        assert_eq!(findings.to_string(), want);
        assert_eq!(findings.json()["discrepancies"][1]["name"], "ahead_of_broker");
    }
}
