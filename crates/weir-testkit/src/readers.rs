//! Tables as other tools see them: DuckDB, delta-rs, Polars, pyarrow and Spark, through a script that prints rows in one form.
//!
//! The rows are lines of canonical JSON (`crates/weir/tests/readers/read_table.py` says which), sorted, so that two
//! multisets of rows are equal if the lines are. `cargo xtask test` installs the tools and names their Python in
//! `WEIR_TEST_PYTHON`; tests that need it stand behind the feature `real-readers` of their crate.

use std::ffi::OsStr;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use sha2::{Digest as _, Sha256};

/// A tool that reads Delta tables and shares no code with weir.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// The Rust engine of delta-rs, on `DataFusion`.
    Deltalake,
    /// DuckDB with its Delta extension.
    DuckDb,
    /// DuckDB with what `weir keys reader --for duckdb` printed, which stands in place of the table.
    DuckDbKeys,
    /// DuckDB over the rows that [`Self::PyArrowKeys`] reads.
    DuckDbPyArrowKeys,
    /// The list of files by delta-rs, their contents by Polars' own engine.
    Polars,
    /// Polars with what `weir keys reader --for polars` printed, which stands in place of the table.
    PolarsKeys,
    /// The list of files by delta-rs, their contents by pyarrow.
    PyArrow,
    /// As [`Self::PyArrowKeys`], without the columns of arrays and structs.
    PyArrowFlatKeys,
    /// pyarrow with what `weir keys reader --for pyarrow` printed, which stands in place of the table.
    PyArrowKeys,
    /// Apache Spark with Delta's own reader, which takes ten seconds to start.
    Spark,
    /// The same with what `weir keys reader --for spark` printed, which stands in place of the table.
    SparkKeys,
}

impl Engine {
    /// Those that start at once, for a test that wants each to agree.
    pub const QUICK: [Self; 3] = [Self::Deltalake, Self::DuckDb, Self::PyArrow];
    /// Those that read tables on S3 here.
    pub const REMOTE: [Self; 4] = [Self::Deltalake, Self::DuckDb, Self::Polars, Self::PyArrow];

    fn name(self) -> &'static str {
        match self {
            Self::Deltalake => "deltalake",
            Self::DuckDb => "duckdb",
            Self::DuckDbKeys => "duckdb-keys",
            Self::DuckDbPyArrowKeys => "duckdb-pyarrow-keys",
            Self::Polars => "polars",
            Self::PolarsKeys => "polars-keys",
            Self::PyArrow => "pyarrow",
            Self::PyArrowFlatKeys => "pyarrow-flat-keys",
            Self::PyArrowKeys => "pyarrow-keys",
            Self::Spark => "spark",
            Self::SparkKeys => "spark-keys",
        }
    }

    /// Returns the rows of each table, as sorted lines.
    ///
    /// One process reads all tables: its start takes longer than a small table.
    ///
    /// # Panics
    ///
    /// If the tool cannot read a table; the message holds what it said.
    pub fn rows(self, tables: &[&Path]) -> Vec<Vec<String>> {
        let paths: Vec<_> = tables.iter().map(|table| table.as_os_str()).collect();
        let text =
            run("read_table.py", Command::new(python()).arg(script("read_table.py")).arg(self.name()).args(paths));
        split(&text, tables.len())
    }

    /// Returns one digest for all rows of each table: what is left to compare when the rows are too many to hold.
    ///
    /// # Panics
    ///
    /// If the tool cannot read a table; the message holds what it said.
    pub fn digests(self, tables: &[&Path]) -> Vec<Digest> {
        let paths: Vec<_> = tables.iter().map(|table| table.as_os_str()).collect();
        let mut command = Command::new(python());
        command.arg(script("read_table.py")).args(["digest", self.name()]).args(paths);
        let digests: Vec<Digest> = run("read_table.py", &mut command).lines().map(Digest::parse).collect();
        assert_eq!(digests.len(), tables.len(), "each table has its digest");
        digests
    }

    /// Returns the same of tables on S3, `s3://BUCKET/…`.
    ///
    /// # Errors
    ///
    /// What the tool says if it cannot read one.
    ///
    /// # Panics
    ///
    /// If there is no such Python.
    pub fn digests_at(self, endpoint: &Endpoint, tables: &[String]) -> Result<Vec<Digest>, String> {
        let mut command = Command::new(python());
        command.arg(script("read_table.py")).args(["digest", self.name()]).args(tables);
        Ok(endpoint.run(&mut command)?.lines().map(Digest::parse).collect())
    }
}

/// An endpoint that speaks S3, and who comes to it.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Scheme, host and port.
    pub url: String,
    /// The CA that its certificate is of, in PEM; not looked at where the scheme is `http`.
    pub ca: PathBuf,
    /// The region.
    pub region: String,
    /// Whose key.
    pub access_key: String,
    /// And the secret.
    pub secret: String,
}

impl Endpoint {
    /// Runs a piece of Python that leaves a number in `rows`; returns it.
    ///
    /// # Errors
    ///
    /// What Python says if it fails.
    ///
    /// # Panics
    ///
    /// If there is no such Python.
    pub fn run_python(&self, piece: &str) -> Result<u64, String> {
        let printed = self.run(Command::new(python()).args(["-c", &format!("{piece}\nprint(rows)")]))?;
        printed.trim().parse().map_err(|_other| format!("no number: {printed}"))
    }

    fn run(&self, command: &mut Command) -> Result<String, String> {
        let own = [
            ("AWS_ENDPOINT_URL", self.url.clone()),
            ("AWS_REGION", self.region.clone()),
            ("AWS_ACCESS_KEY_ID", self.access_key.clone()),
            ("AWS_SECRET_ACCESS_KEY", self.secret.clone()),
            // Nobody asks a cloud that is not there who this machine is.
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
        ];
        if self.url.starts_with("https:") {
            command.env("SSL_CERT_FILE", &self.ca);
        } else {
            command.env("AWS_ALLOW_HTTP", "true");
        }
        let output = command.envs(own).output().expect("the Python of WEIR_TEST_PYTHON starts");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }
}

impl Engine {
    /// Demands that the tool cannot read a table; returns what it said.
    ///
    /// # Panics
    ///
    /// If it reads the table.
    pub fn refusal(self, table: &Path) -> String {
        let output = Command::new(python()).arg(script("read_table.py")).arg(self.name()).arg(table).output();
        let output = output.expect("the Python of WEIR_TEST_PYTHON starts");
        assert!(!output.status.success(), "{self:?} reads what it must not");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }
}

/// A tool that reads tables over and over while something else goes on.
#[derive(Debug)]
pub struct Watch {
    process: Child,
    tables: usize,
}

impl Watch {
    /// Starts to read; returns once each table was read.
    ///
    /// # Panics
    ///
    /// If the tool does not start or cannot read a table.
    pub fn start(engine: Engine, tables: &[&Path]) -> Self {
        let mut command = Command::new(python());
        command.arg(script("read_table.py")).args(["watch", engine.name()]).args(tables);
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the Python starts");
        let mut byte = [0];
        process.stdout.as_mut().expect("it is piped").read_exact(&mut byte).expect("the first table is read");
        Self { process, tables: tables.len() }
    }

    /// Ends it after one more round; returns the digests of every round, by table.
    ///
    /// # Panics
    ///
    /// If it failed to read a table at any time.
    pub fn end(mut self) -> Vec<Vec<Digest>> {
        drop(self.process.stdin.take());
        let output = self.process.wait_with_output().expect("it can be waited for");
        assert!(output.status.success(), "a reader failed while the lake was changed");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let rounds = text.split("\n\n").map(|round| round.lines().map(Digest::parse).collect::<Vec<_>>());
        let rounds: Vec<_> = rounds.filter(|round| !round.is_empty()).collect();
        assert!(rounds.iter().all(|round| round.len() == self.tables), "each round has each table");
        rounds
    }
}

/// A multiset of rows as their number and the sum of their hashes: equal for equal rows in any order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Digest {
    /// Number of rows.
    pub rows: u64,
    /// Sum, modulo 2^128, of the first 16 bytes of the SHA-256 of each row's line.
    pub sum: u128,
}

impl Digest {
    /// Adds a row, as a line of canonical JSON.
    pub fn add(&mut self, line: &str) {
        let hash = Sha256::digest(line.as_bytes());
        let mut first = [0; 16];
        first.copy_from_slice(&hash[..16]);
        self.rows += 1;
        self.sum = self.sum.wrapping_add(u128::from_be_bytes(first));
    }

    /// Adds the rows of another multiset.
    pub fn join(&mut self, other: Self) {
        self.rows += other.rows;
        self.sum = self.sum.wrapping_add(other.sum);
    }

    fn parse(line: &str) -> Self {
        let (rest, rows) = line.rsplit_once("\"rows\": ").expect("a digest has its number of rows");
        let (_, sum) = rest.rsplit_once("\"digest\": \"").expect("a digest has its sum");
        let sum = sum.split('"').next().unwrap_or_default();
        Self {
            rows: rows.trim_end_matches('}').parse().expect("a number of rows"),
            sum: u128::from_str_radix(sum, 16).expect("a sum in hexadecimal"),
        }
    }
}

/// Returns the rows that DuckDB answers to the last of some statements, as sorted lines.
///
/// # Panics
///
/// If DuckDB refuses a statement; the message holds what it said.
pub fn duckdb_sql(statements: &str) -> Vec<String> {
    let text = run("DuckDB", Command::new(python()).arg(script("read_table.py")).args(["sql", statements]));
    split(&text, 1).remove(0)
}

/// Opens as Parquet whatever opens below a folder, with all keys that some calls of `weir keys reader` printed; returns the bytes of value.
///
/// # Panics
///
/// If the script fails.
pub fn attack(keys: &Path, folder: &Path) -> u64 {
    let text = run("the attack", Command::new(python()).arg(script("attack.py")).arg(keys).arg(folder));
    let bytes = text.trim().trim_end_matches('}').rsplit_once("\"bytes\": ").expect("it says how many bytes").1;
    bytes.parse().expect("a number of bytes")
}

/// Verifies a receipt against a JSON Web Key Set with a JOSE library and a JSON-LD processor of Python's.
///
/// # Errors
///
/// What the script says: the signature does not hold, or a mandatory field is missing.
///
/// # Panics
///
/// If there is no such Python.
pub fn verify_receipt(keys: &Path, receipt: &Path) -> Result<String, String> {
    let output = Command::new(python()).arg(script("verify_receipt.py")).arg(keys).arg(receipt).output();
    let output = output.expect("the Python of WEIR_TEST_PYTHON starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

/// Walks the portal in Chromium with two links, and checks every page against WCAG; returns what was checked, as JSON.
///
/// # Panics
///
/// If a page fails; the message says which rule, or which step.
pub fn walk_portal(links: &[String; 2], provider: &str, folder: &Path, screenshot: Option<&OsStr>) -> String {
    let mut walk = Command::new(python());
    walk.arg(script("walk_portal.py")).args(links).arg(provider).arg(folder).args(screenshot);
    run("the walk through the portal", &mut walk)
}

/// Cuts the output at the lines that announce a table and its number of rows.
fn split(text: &str, tables: usize) -> Vec<Vec<String>> {
    let mut lines = text.lines();
    let mut found = Vec::new();
    while let Some(head) = lines.next() {
        let count = head.rsplit_once("\"rows\": ").and_then(|(_, count)| count.trim_end_matches('}').parse().ok());
        let count: usize = count.expect("a table starts with its number of rows");
        let rows: Vec<String> = lines.by_ref().take(count).map(str::to_owned).collect();
        assert_eq!(rows.len(), count, "the output ends within a table");
        found.push(rows);
    }
    assert_eq!(found.len(), tables, "each table has its rows");
    found
}

fn run(name: &str, command: &mut Command) -> String {
    let output = command.output().expect("the Python of WEIR_TEST_PYTHON starts");
    assert!(output.status.success(), "{name} failed:\n{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("the script prints UTF-8")
}

fn python() -> String {
    std::env::var("WEIR_TEST_PYTHON").expect("WEIR_TEST_PYTHON is set; `cargo xtask test` sets it")
}

fn script(name: &str) -> String {
    format!("{}/../weir/tests/readers/{name}", env!("CARGO_MANIFEST_DIR"))
}
