//! What is kept about a person, for them to read and to take elsewhere.
//!
//! A page for people, JSON for programs, and a Parquet file for each table. Each says what it is, what for, how long it is kept
//! and who receives it (GDPR, articles 15 and 20). Rows of others are not in it, nor others' pseudonyms.

use serde_json::{Value, json};
use weir_consent::instant_text;
use weir_keys::KeySet;
use weir_lake::{Kept, Lake, LakeError, Progress, TableName};
use weir_ledger::{Entry, sha256_hex};
use weir_policy::{FieldClass, Policy, PurposeRules, plain};

use crate::rights::Subject;
use crate::rights::page::page;

/// Where to look, and by which rules.
#[derive(Clone, Copy)]
#[expect(missing_debug_implementations, reason = "holds keys")]
pub struct Question<'q> {
    /// Where the rows are.
    pub lake: &'q Lake,
    /// What they mean.
    pub policy: &'q Policy,
    /// Whose pseudonyms they have.
    pub keys: &'q KeySet,
    /// The region of the lake.
    pub region: &'q str,
    /// The time, in milliseconds since 1970.
    pub now_ms: i64,
}

/// What is kept about a person.
#[expect(missing_debug_implementations, reason = "holds a person's rows")]
pub struct Answer {
    kept: Vec<Kept>,
    skipped: Vec<TableName>,
    data: Value,
}

impl Answer {
    /// Gathers it.
    ///
    /// # Errors
    /// A table cannot be read.
    pub fn gather(question: &Question<'_>, subject: &Subject, progress: &dyn Fn(Progress)) -> Result<Self, LakeError> {
        let kept = question.lake.access(question.keys, &subject.person(), progress)?;
        let tables: Vec<Value> = kept.iter().map(|table| describe(table, question.policy)).collect();
        let skipped: Vec<_> = question.lake.skipped().cloned().collect();
        let data = json!({
            "made_at": instant_text(question.now_ms),
            "person": subject.pseudonyms(question.keys),
            "region": question.region,
            "tables": tables,
            "skipped": skipped.iter().map(ToString::to_string).collect::<Vec<_>>(),
        });
        Ok(Self { kept, skipped, data })
    }

    /// Returns how many tables hold something, and how many rows.
    pub fn counts(&self) -> (usize, usize) {
        (self.kept.len(), self.kept.iter().map(|table| table.rows.num_rows()).sum())
    }

    /// Returns the tables that nobody looked into.
    pub fn skipped(&self) -> &[TableName] {
        &self.skipped
    }

    /// Tells the ledger that somebody takes this copy, before they have it: by its digest, and by nothing of the person.
    ///
    /// # Errors
    /// When the ledger cannot be written, or is not what it was; then nobody may have the copy.
    pub fn tell(&self, lake: &Lake, now_ms: i64) -> Result<(), LakeError> {
        let entry = Entry::Access { digest: sha256_hex(&self.data_file()) };
        lake.ledger().append(now_ms, entry)?;
        Ok(())
    }

    /// Makes the files, one after the other: each one's name, and what is in it.
    ///
    /// # Errors
    /// Rows do not fit together: a fault of this program.
    pub fn files(&self) -> impl Iterator<Item = Result<(String, Vec<u8>), LakeError>> {
        let with_rows = self.kept.iter().filter(|table| table.rows.num_rows() > 0);
        let tables = with_rows.map(|table| Ok((file_name(&table.table), table.parquet()?)));
        let data = std::iter::once_with(|| Ok(("data.json".to_owned(), self.data_file())));
        let read = std::iter::once_with(|| Ok(("index.html".to_owned(), page(&self.data).into_bytes())));
        tables.chain(data).chain(read)
    }

    fn data_file(&self) -> Vec<u8> {
        serde_json::to_vec_pretty(&self.data).expect("text and numbers always have a JSON form")
    }
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
            let meaning = plain::column(column.name(), class.and_then(FieldClass::parse), newest);
            json!({ "name": column.name(), "meaning": meaning, "class": class, "category": category.flatten() })
        })
        .collect();
    json!({
        "table": kept.table.to_string(),
        "file": (kept.rows.num_rows() > 0).then(|| file_name(&kept.table)),
        "event": { "type": event_type, "description": newest.map(|contract| &contract.description),
                   "benefit": newest.map(|contract| &contract.benefit) },
        "purpose": kept.table.purpose().map(|purpose| rules(purpose.name(), policy.purposes().rules(purpose))),
        "columns": columns,
        "set_aside": kept.set_aside,
        "mentions": kept.mentions,
        "rows": kept.json(),
    })
}

fn rules(name: &str, rules: &PurposeRules) -> Value {
    json!({ "name": name, "description": rules.description, "lawful_basis": rules.lawful_basis.name(),
            "retention_days": rules.retention_days, "recipients": rules.recipients })
}

fn file_name(table: &TableName) -> String {
    format!("{}.parquet", table.to_string().replace('/', "."))
}
