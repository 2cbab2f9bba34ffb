//! What readers of an encrypted table need: its keys, and text to paste that opens the table with them.
//!
//! `DuckDB` takes one key a scan, so its view has one scan an epoch, of the epoch's days. Version 1.5 fails where it tests values inside
//! an encrypted file, which `OFFSET 0` keeps it from, and where it reads arrays and structs of one, which the view leaves out. pyarrow
//! takes reader keys, which open the keys that lie in the files, and reads all; in Python `DuckDB` takes rows from it.

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

/// Returns SQL for `DuckDB`: the keys, and a view of the table that uses them.
pub fn duckdb_reader(table: &TableSummary, keys: &[TableKey]) -> String {
    let mut text = "INSTALL delta; LOAD delta;\n".to_owned();
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
        let path = table.path.replace('\'', "''");
        let scan = format!("SELECT * FROM delta_scan('{path}', encryption_config={{footer_key: '{name}'}})");
        let days = |[first, end]: &[String; 2]| format!(" WHERE date >= DATE '{first}' AND date < DATE '{end}'");
        scans.push(format!("({scan}{} OFFSET 0)", key.days.as_ref().map(days).unwrap_or_default()));
    }
    let table = TableSummary { columns: flat, ..table.clone() };
    text + &duckdb_view(&table, &format!("({})", scans.join(" UNION ALL BY NAME ")))
}

/// Returns Python for pyarrow: the keys, and a data set of the table that uses them.
pub fn pyarrow_reader(table: &TableSummary, keys: &[TableKey]) -> String {
    let keys = keys.iter().map(|key| format!("    {:?}: \"{}\",\n", key.reader.id(), hex(key.reader.expose())));
    PYARROW
        .replace("@KEYS@", &keys.collect::<String>())
        .replace("@NAME@", &view_name(&table.table))
        .replace("@PATH@", &format!("{:?}", table.path))
}

const PYARROW: &str = include_str!("readers/pyarrow.py");
