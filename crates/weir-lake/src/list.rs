//! What is in the lake, for people: tables with their sizes, and views that show pseudonyms as text.

use crate::lake::{Lake, LakeError, at};
use crate::layout::TableName;

/// One table, in numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableSummary {
    /// The table.
    pub table: TableName,
    /// The version of the Delta table.
    pub version: u64,
    /// Live files.
    pub files: u64,
    /// Rows in them.
    pub rows: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The first and the last day that has rows, `YYYY-MM-DD`.
    pub days: Option<(String, String)>,
    /// The columns and their Delta types.
    pub columns: Vec<(String, String)>,
    /// The folder.
    pub path: String,
}

/// An engine that can read the lake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// `DuckDB`'s SQL.
    DuckDb,
    /// Polars' Python.
    Polars,
    /// Spark's SQL.
    Spark,
}

impl Dialect {
    /// Every dialect.
    pub const ALL: [Self; 3] = [Self::DuckDb, Self::Polars, Self::Spark];

    /// Returns the word used on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::DuckDb => "duckdb",
            Self::Polars => "polars",
            Self::Spark => "spark",
        }
    }

    /// Returns the dialect of this exact name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|dialect| dialect.name() == name)
    }
}

impl Lake {
    /// Lists the tables: those of events, then weir's own.
    ///
    /// # Errors
    ///
    /// A table can't be read.
    pub fn tables(&self) -> Result<Vec<TableSummary>, LakeError> {
        let names = self.tables_in_use()?;
        let mut tables = Vec::new();
        for name in names {
            tables.extend(self.summary(&name)?);
        }
        Ok(tables)
    }

    fn summary(&self, name: &TableName) -> Result<Option<TableSummary>, LakeError> {
        let table = self.table(name)?;
        let mut log = table.lock();
        if !log.refresh().map_err(|source| at(name, source))? {
            return Ok(None);
        }
        let files = self.live(&mut log)?;
        let Some(head) = log.head(&self.kernel).map_err(|source| at(name, source))? else { return Ok(None) };
        let dates = || files.iter().filter_map(|file| file.date.clone());
        Ok(Some(TableSummary {
            table: name.clone(),
            version: head.number(),
            files: u64::try_from(files.len()).unwrap_or(u64::MAX),
            rows: files.iter().filter_map(|file| file.rows).sum(),
            bytes: files.iter().map(|file| file.bytes).sum(),
            days: dates().min().zip(dates().max()),
            columns: head.columns(),
            path: log.folder.shown("").display().to_string(),
        }))
    }
}

/// Returns text to paste into an engine: one view a table, pseudonyms as hex.
pub fn views(tables: &[TableSummary], dialect: Dialect) -> String {
    let intro = match dialect {
        Dialect::DuckDb => "INSTALL delta; LOAD delta;\n",
        Dialect::Polars => "import polars as pl\n",
        Dialect::Spark => "",
    };
    tables.iter().fold(intro.to_owned(), |text, table| {
        let view = match dialect {
            Dialect::DuckDb => duckdb_view(table, &format!("delta_scan('{}')", table.path.replace('\'', "''"))),
            Dialect::Polars => polars_view(table),
            Dialect::Spark => {
                let scan = format!("delta.`{}`", table.path.replace('`', "``"));
                sql_view(table, "CREATE OR REPLACE TEMPORARY VIEW", "transform", '`', &scan)
            }
        };
        text + &view
    })
}

/// Returns a view of what a scan gives.
pub(crate) fn duckdb_view(table: &TableSummary, scan: &str) -> String {
    sql_view(table, "CREATE OR REPLACE VIEW", "list_transform", '"', scan)
}

fn sql_view(table: &TableSummary, create: &str, each: &str, quote: char, scan: &str) -> String {
    // Every name is quoted: a column may be called `order` or `from`.
    let columns = table.columns.iter().map(|(name, delta_type)| {
        let name = format!("{quote}{name}{quote}");
        match delta_type.as_str() {
            BINARY => format!("lower(hex({name})) AS {name}"),
            BINARIES => format!("{each}({name}, x -> lower(hex(x))) AS {name}"),
            _ => name,
        }
    });
    let columns = columns.collect::<Vec<_>>().join(", ");
    format!("{create} {} AS SELECT {columns} FROM {scan};\n", view_name(&table.table))
}

fn polars_view(table: &TableSummary) -> String {
    let hex = table.columns.iter().filter_map(|(name, delta_type)| match delta_type.as_str() {
        BINARY => Some(format!("pl.col({name:?}).bin.encode(\"hex\")")),
        BINARIES => Some(format!("pl.col({name:?}).list.eval(pl.element().bin.encode(\"hex\"))")),
        _ => None,
    });
    let hex: Vec<_> = hex.collect();
    let name = view_name(&table.table);
    format!("{name} = pl.scan_delta({:?}).with_columns({})\n", table.path, hex.join(", "))
}

/// A name that all engines take as it stands.
pub(crate) fn view_name(table: &TableName) -> String {
    table.to_string().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}

const BINARY: &str = "binary";
const BINARIES: &str = "array<binary>";

#[cfg(test)]
mod tests {
    use weir_policy::PurposeId;

    use super::*;

    #[test]
    fn pseudonyms_are_shown_as_text() {
        let column = |name: &str, of: &str| (name.to_owned(), of.to_owned());
        let table = TableSummary {
            table: TableName::events(PurposeId::Reliability, "com.example.a-b"),
            version: 1,
            files: 1,
            rows: 1,
            bytes: 1,
            days: None,
            columns: vec![column("subject", BINARY), column("friends", BINARIES), column("from", "long")],
            path: "/lake/eu/reliability/com.example.a-b".into(),
        };
        let tables = [table];
        assert_eq!(
            views(&tables, Dialect::DuckDb),
            "INSTALL delta; LOAD delta;\nCREATE OR REPLACE VIEW reliability_com_example_a_b AS SELECT \
             lower(hex(\"subject\")) AS \"subject\", list_transform(\"friends\", x -> lower(hex(x))) AS \"friends\", \
             \"from\" FROM \
             delta_scan('/lake/eu/reliability/com.example.a-b');\n"
        );
        assert_eq!(
            views(&tables, Dialect::Polars),
            "import polars as pl\nreliability_com_example_a_b = pl.scan_delta(\"/lake/eu/reliability/com.example.a-b\")\
             .with_columns(pl.col(\"subject\").bin.encode(\"hex\"), \
             pl.col(\"friends\").list.eval(pl.element().bin.encode(\"hex\")))\n"
        );
        assert!(views(&tables, Dialect::Spark).contains("FROM delta.`/lake/eu/reliability/com.example.a-b`"));
    }
}
