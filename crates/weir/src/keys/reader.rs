//! `weir keys reader`: what somebody needs who may read an encrypted table.

use anyhow::anyhow;
use clap::ValueEnum;
use serde_json::json;
use weir_daemon::config::{Config, Files};
use weir_lake::{
    ReadAt, TableKey, TableName, duckdb_reader, hex, polars_reader, pyarrow_reader, spark_reader, table_keys,
};
use weir_ledger::{Decision, Entry};

use crate::exit::{Exit, Failure};
use crate::{output, setup};

/// Arguments of `weir keys reader`.
#[derive(Debug, clap::Args)]
pub(crate) struct ReaderArgs {
    /// The table, as `weir lake ls` names it.
    table: TableName,
    /// Who reads it.
    #[arg(long = "for", value_enum, default_value = "json", value_name = "READER")]
    reader: Reader,
    /// Where the gate is, for who reads through it: HTTPS, host and port.
    #[arg(long, value_name = "URL", value_parser = gate_url)]
    gate: Option<String>,
}

fn gate_url(text: &str) -> Result<String, String> {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).unwrap_or_default();
    let is_host = !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte));
    if is_host { Ok(text.to_owned()) } else { Err("not a URL such as https://gate.example.com:9467".to_owned()) }
}

/// A form in which keys are handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Reader {
    /// SQL: the table's own keys, and a view.
    Duckdb,
    /// The keys alone.
    Json,
    /// Python: the table's own keys, and a lazy frame of Polars'.
    Polars,
    /// Python: the reader keys, and a data set.
    Pyarrow,
    /// Python: the reader keys, and a frame of Spark's.
    Spark,
}

/// Prints the keys of a table.
///
/// # Errors
/// When the table is in clear or absent, or the ledger cannot be told.
pub(super) fn reader(config: &Config, args: &ReaderArgs) -> Result<Exit, Failure> {
    match config.lake.files {
        Files::Clear => {
            let why =
                "files of this lake are in clear: `files = \"clear\"` below [lake], so nobody needs a key to read them";
            return Err(Failure::new(Exit::Usage, anyhow!(why)));
        }
        Files::Encrypted => {}
    }
    if config.lake.store_keys.is_some() && args.gate.is_none() && args.reader != Reader::Json {
        let why = "the lake is sealed, so its tables are read through the gate: say where it is with --gate https://HOST:PORT";
        return Err(Failure::new(Exit::Usage, anyhow!(why)));
    }
    let lake = setup::lake(config)?;
    let tables = lake.tables().map_err(setup::lake_failure)?;
    let absent = || Failure::new(Exit::NoInput, anyhow!("no table {} in the lake", args.table));
    let table = tables.into_iter().find(|table| table.table == args.table).ok_or_else(absent)?;
    let keys = setup::key_ring(config)?.snapshot();
    let keys = table_keys(&keys, &config.general.region, &args.table);
    // Who was given a key may read for as long as its files are there, so it is told before.
    let told = Entry::Decision(Decision::ReaderKeys { table: args.table.to_string() });
    lake.ledger().append(setup::now_ms(), told).map_err(|why| setup::lake_failure(why.into()))?;
    let region = config.general.region.clone();
    let read_at = args.gate.clone().map_or(ReadAt::Folder, |url| ReadAt::Gate { url, region });
    match args.reader {
        Reader::Duckdb => output::print(duckdb_reader(&table, &keys, &read_at))?,
        Reader::Json => output::print_json(&keys.iter().map(json).collect::<Vec<_>>())?,
        Reader::Polars => output::print(polars_reader(&table, &keys, &read_at))?,
        Reader::Pyarrow => output::print(pyarrow_reader(&table, &keys, &read_at))?,
        Reader::Spark => output::print(spark_reader(&table, &keys, &read_at))?,
    }
    Ok(Exit::Done)
}

fn json(key: &TableKey) -> serde_json::Value {
    json!({
        "first_day": key.days.as_ref().map(|[first, _]| first),
        "end_day": key.days.as_ref().map(|[_, end]| end),
        "file_key": hex(key.file.expose()),
        "reader": key.reader.id(),
        "reader_key": hex(key.reader.expose()),
    })
}
