//! What readers of an encrypted table need: its keys, and text to paste that opens the table with them.
//!
//! `DuckDB` takes one key a scan, so its view has one scan an epoch, of the epoch's days. Version 1.5 fails where it tests values inside
//! an encrypted file, which `OFFSET 0` keeps it from, and where it reads arrays and structs of one, which the view leaves out. Polars takes
//! one key a file and reads all. pyarrow and Spark take reader keys, which open the keys that lie in the files, and read all; in Python `DuckDB` takes rows from it. Who reads through the
//! gate has a right to come in, too: an access key and its secret, which no text holds.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use weir_keys::{FileKey, KeySet, ReaderKey, RowsOf};

use crate::layout::{TableName, day_text};
use crate::list::{TableSummary, duckdb_view, view_name};
use crate::rows_json::hex;

/// The keys of one table and epoch, or of a table of weir's own.
#[expect(missing_debug_implementations, reason = "holds keys")]
pub struct TableKey {
    /// The first day of the epoch and the first after it, `YYYY-MM-DD`; none for weir's own tables.
    pub days: Option<[String; 2]>,
    /// Opens the files of this table alone.
    pub file: FileKey,
    /// Opens what files of every table of the purpose and epoch carry.
    pub reader: ReaderKey,
}

/// Returns the keys of a region's table, the oldest epoch's first.
pub fn table_keys(keys: &KeySet, region: &str, table: &TableName) -> Vec<TableKey> {
    let of = |rows| {
        let days = match rows {
            RowsOf::Epoch(purpose, epoch) => Some(keys.days_of(purpose, epoch)?.map(day_text)),
            RowsOf::Weir => None,
        };
        let (file, reader) = (keys.file_key(region, &table.to_string(), rows)?, keys.reader_key(region, rows)?);
        Some(TableKey { days, file, reader })
    };
    match table.purpose() {
        Some(purpose) => {
            let epochs = keys.epochs().filter(|(of, _)| *of == purpose);
            epochs.filter_map(|(purpose, epoch)| of(RowsOf::Epoch(purpose, epoch))).collect()
        }
        None => of(RowsOf::Weir).into_iter().collect(),
    }
}

/// Where somebody reads a lake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadAt {
    /// In its folder.
    Folder,
    /// Through the gate.
    Gate {
        /// Scheme, host and port.
        url: String,
        /// The lake's region, which is the bucket.
        region: String,
    },
}

impl ReadAt {
    fn path(&self, table: &TableSummary) -> String {
        match self {
            Self::Folder => table.path.clone(),
            Self::Gate { region, .. } => format!("s3://{region}/{}", table.table),
        }
    }
}

/// Returns SQL for `DuckDB`: the keys, and a view of the table that uses them.
pub fn duckdb_reader(table: &TableSummary, keys: &[TableKey], read_at: &ReadAt) -> String {
    let mut text = "INSTALL delta; LOAD delta;\n".to_owned();
    if let ReadAt::Gate { url, region } = read_at {
        let host = url.trim_start_matches("https://").trim_start_matches("http://");
        let is_tls = !url.starts_with("http://");
        let secret = format!(
            "-- Before it, with your own: INSTALL httpfs; LOAD httpfs; CREATE SECRET (TYPE s3, ENDPOINT '{host}', USE_SSL {is_tls}, \
             URL_STYLE 'path', REGION '{region}', KEY_ID '…', SECRET '…');"
        );
        writeln!(text, "{secret}").expect("a text grows");
    }
    let is_nested = |of: &str| of.starts_with("array<") || of.starts_with("struct<");
    let (nested, flat): (Vec<_>, Vec<_>) = table.columns.iter().cloned().partition(|(_, of)| is_nested(of));
    if !nested.is_empty() {
        let names = nested.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ");
        writeln!(text, "-- DuckDB does not read these of encrypted files, pyarrow does: {names}")
            .expect("a text grows");
    }
    let mut scans = Vec::new();
    for key in keys {
        let name = format!("{} {}", key.reader.id(), table.table);
        let value = STANDARD.encode(key.file.expose());
        writeln!(text, "PRAGMA add_parquet_key('{name}', '{value}');").expect("a text grows");
        let path = read_at.path(table).replace('\'', "''");
        let scan = format!("SELECT * FROM delta_scan('{path}', encryption_config={{footer_key: '{name}'}})");
        let days = |[first, end]: &[String; 2]| format!(" WHERE date >= DATE '{first}' AND date < DATE '{end}'");
        scans.push(format!("({scan}{} OFFSET 0)", key.days.as_ref().map(days).unwrap_or_default()));
    }
    let table = TableSummary { columns: flat, ..table.clone() };
    text + &duckdb_view(&table, &format!("({})", scans.join(" UNION ALL BY NAME ")))
}

/// Returns Python for Polars: the table's own keys, and a lazy frame that uses them.
pub fn polars_reader(table: &TableSummary, keys: &[TableKey], read_at: &ReadAt) -> String {
    let keys = keys.iter().map(|key| {
        // A table of weir's own has no days, and every text lies between these.
        let [first, end] = key.days.as_ref().map_or(["", "~"], |days| days.each_ref().map(String::as_str));
        format!("    ({first:?}, {end:?}, \"{}\"),\n", hex(key.file.expose()))
    });
    let options = match read_at {
        ReadAt::Folder => "None".to_owned(),
        ReadAt::Gate { url, region } => format!("{{\"AWS_ENDPOINT_URL\": {url:?}, \"AWS_REGION\": {region:?}}}"),
    };
    let text = POLARS.replace("@KEYS@", &keys.collect::<String>()).replace("@OPTIONS@", &options);
    text.replace("@NAME@", &view_name(&table.table)).replace("@PATH@", &format!("{:?}", read_at.path(table)))
}

/// Returns Python for Spark: the keys, and a frame of the table that uses them.
pub fn spark_reader(table: &TableSummary, keys: &[TableKey], read_at: &ReadAt) -> String {
    // Hadoop calls what speaks S3 by another name.
    let path = format!("{:?}", read_at.path(table)).replacen("s3://", "s3a://", 1);
    let text = SPARK.replace("@KEYS@", &reader_keys(keys));
    text.replace("@NAME@", &view_name(&table.table)).replace("@PATH@", &path)
}

/// Returns the lines of a dictionary of Python.
fn reader_keys(keys: &[TableKey]) -> String {
    let line = |key: &TableKey| format!("    {:?}: \"{}\",\n", key.reader.id(), hex(key.reader.expose()));
    keys.iter().map(line).collect::<Vec<_>>().concat()
}

/// Returns Python for pyarrow: the keys, and a data set of the table that uses them.
pub fn pyarrow_reader(table: &TableSummary, keys: &[TableKey], read_at: &ReadAt) -> String {
    let [imports, options, files, gate] = match read_at {
        ReadAt::Folder => ["", "", "table.file_uris(), None", ""].map(str::to_owned),
        ReadAt::Gate { url, region } => [
            "import os\n".to_owned(),
            ", storage_options={\"AWS_ENDPOINT_URL\": GATE, \"AWS_REGION\": REGION}".to_owned(),
            "through_gate(table)".to_owned(),
            format!("GATE, REGION = {url:?}, {region:?}\n\n\n{PYARROW_GATE}"),
        ],
    };
    PYARROW
        .replace("@IMPORTS@", &imports)
        .replace("@OPTIONS@", &options)
        .replace("@FILES@", &files)
        .replace("@GATE@", &gate)
        .replace("@KEYS@", &reader_keys(keys))
        .replace("@NAME@", &view_name(&table.table))
        .replace("@PATH@", &format!("{:?}", read_at.path(table)))
}

const POLARS: &str = include_str!("readers/polars.py");
const PYARROW: &str = include_str!("readers/pyarrow.py");
const PYARROW_GATE: &str = include_str!("readers/pyarrow_gate.py");
const SPARK: &str = include_str!("readers/spark.py");
