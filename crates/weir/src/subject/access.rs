//! `weir subject access`: what is kept about a person, for them to read and to take elsewhere.
//!
//! A folder with a page for people, JSON for programs, and a Parquet file for each table. Each says what it is, what for, how
//! long it is kept and who receives it (GDPR, articles 15 and 20). Rows of others are not in it, nor others' pseudonyms.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use serde_json::{Value, json};
use weir_consent::instant_text;
use weir_lake::{Kept, TableName};
use weir_policy::{Contract, Policy, PurposeRules};

use crate::cli::Global;
use crate::exit::{Exit, Failure, OrExit as _};
use crate::{output, setup};

use super::bar::Bar;
use super::named::Named;
use super::page;

/// Arguments of `weir subject access`.
#[derive(Debug, clap::Args)]
pub(crate) struct AccessArgs {
    #[command(flatten)]
    named: Named,
    /// Folder for the answer; it must be absent or empty.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// Gathers and writes the answer.
///
/// # Errors
/// When a name cannot be one, the folder is not empty, or the lake cannot be read.
pub(super) fn access(global: &Global, args: &AccessArgs) -> Result<Exit, Failure> {
    let config = setup::config(global)?;
    let (policy, _) = setup::policy(global, &config)?;
    let ring = setup::key_ring(&config)?;
    ring.reload().or_exit(Exit::NotAllowed)?;
    let keys = ring.snapshot();
    let subject = args.named.subject(&keys)?;
    let lake = setup::lake(&config)?;
    let folder = &args.out;
    make_folder(folder).with_context(|| format!("cannot make {}", folder.display())).or_exit(Exit::CannotCreate)?;
    let bar = Bar::start("reading");
    let kept = lake.access(&keys, &subject.person(), &|progress| bar.show(progress));
    bar.done();
    let kept = kept.map_err(setup::lake_failure)?;
    let tables: Vec<Value> = kept.iter().map(|table| describe(table, &policy)).collect();
    let rows: usize = kept.iter().map(|table| table.rows.num_rows()).sum();
    let answer = json!({
        "made_at": instant_text(setup::now_ms()),
        "person": subject.pseudonyms(&keys),
        "region": config.general.region,
        "tables": tables,
    });
    let failed = |file: &Path| format!("cannot write {}", file.display());
    for table in kept.iter().filter(|table| table.rows.num_rows() > 0) {
        let file = folder.join(file_name(&table.table));
        let bytes = table.parquet().map_err(setup::lake_failure)?;
        write(&file, &bytes).with_context(|| failed(&file)).or_exit(Exit::CannotCreate)?;
    }
    let text = serde_json::to_string_pretty(&answer).or_exit(Exit::Software)?;
    for (name, text) in [("data.json", text), ("index.html", page::page(&answer))] {
        let file = folder.join(name);
        write(&file, text.as_bytes()).with_context(|| failed(&file)).or_exit(Exit::CannotCreate)?;
    }
    output::print(format_args!("{rows} rows of {} tables are in {}\n", kept.len(), folder.display()))?;
    Ok(Exit::Done)
}

/// Says what a table is, and what it holds.
fn describe(kept: &Kept, policy: &Policy) -> Value {
    let event_type = kept.table.event_type().unwrap_or_default();
    let of_type = policy.contracts().iter().filter(|contract| contract.event_type == event_type);
    let newest = of_type.max_by_key(|contract| contract.version);
    let columns: Vec<Value> = kept
        .rows
        .schema()
        .fields()
        .iter()
        .map(|column| {
            let note = kept.columns.get(column.name());
            let (class, category) = note.map(|note| (note.class.as_str(), note.category.as_deref())).unzip();
            json!({ "name": column.name(), "meaning": meaning(column.name(), class, newest),
                    "class": class, "category": category.flatten() })
        })
        .collect();
    json!({
        "table": kept.table.to_string(),
        "file": (kept.rows.num_rows() > 0).then(|| file_name(&kept.table)),
        "event": { "type": event_type, "description": newest.map(|contract| &contract.description),
                   "benefit": newest.map(|contract| &contract.benefit) },
        "purpose": kept.table.purpose().map(|purpose| rules(purpose.name(), policy.purposes().rules(purpose))),
        "columns": columns,
        "mentions": kept.mentions,
        "rows": kept.json(),
    })
}

fn rules(name: &str, rules: &PurposeRules) -> Value {
    json!({ "name": name, "description": rules.description, "lawful_basis": rules.lawful_basis.name(),
            "retention_days": rules.retention_days, "recipients": rules.recipients })
}

/// Says in words what a column holds: as its contract does, or else what all columns of its class hold.
fn meaning(column: &str, class: Option<&str>, contract: Option<&Contract>) -> String {
    if let Some((_, words)) = SYSTEM.iter().find(|(name, _)| *name == column) {
        return (*words).to_owned();
    }
    let field = contract.and_then(|contract| contract.fields.iter().find(|field| field.column == column));
    if let Some(description) = field.and_then(|field| field.description.clone()) {
        return description;
    }
    match class {
        Some("identifier") => "An identifier, replaced by a pseudonym.",
        Some("measure") => "A number or an instant.",
        Some("quasi-identifier") => "A property that many people share, made coarse.",
        Some("word") => "A word of a closed list.",
        Some(_) | None => "A value that the contract declares.",
    }
    .to_owned()
}

/// What the columns hold that every table has.
const SYSTEM: [(&str, &str); 6] = [
    ("tenant", "The organisation whose service you used."),
    ("subject", "You: a pseudonym that differs from purpose to purpose and from time to time."),
    ("subject_epoch", "The number of the time for which that pseudonym serves."),
    ("event_id", "The event: a pseudonym of its number."),
    ("time", "When it happened, no more exact than the purpose needs."),
    ("contract_version", "The version of the contract that declares what may be kept."),
];

fn file_name(table: &TableName) -> String {
    format!("{}.parquet", table.to_string().replace('/', "."))
}

/// Makes a folder that nobody else can enter; one that is there must be empty.
fn make_folder(folder: &Path) -> anyhow::Result<()> {
    if folder.is_dir() {
        return if fs::read_dir(folder)?.next().is_none() { Ok(()) } else { Err(anyhow!("it is not empty")) };
    }
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    Ok(builder.recursive(true).create(folder)?)
}

/// Writes a file that nobody else can read.
fn write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file: File = options.open(path)?;
    file.write_all(bytes)
}
