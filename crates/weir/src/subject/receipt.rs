//! Receipts of erasures: what left which table, by digests that the ledger knows too; signed as consent receipts are.
//!
//! One person gets one receipt. Of many people there is an account of the whole, without anybody in it, and one receipt each,
//! with their rows and the account's digest: nobody's receipt says who else was erased. A person is a pseudonym of the
//! consent domain. The type in the signature's header is `weir-erasure+jwt`, the key that of consent receipts.

use serde_json::{Value, json};
use weir_consent::{instant_text, receipt_key};
use weir_keys::{KeySet, PublicKey, SignatureFault};
use weir_lake::{DataFileMark, ErasedCommit, ErasedFile, Erasure};
use weir_ledger::sha256_hex;

use super::named::Subject;

/// What was done.
pub(super) struct Account<'a> {
    /// The region of the lake.
    pub(super) region: &'a str,
    /// What the lake says.
    pub(super) erasure: &'a Erasure,
    /// Nothing of theirs from before this instant is let in.
    pub(super) before_ms: i64,
    /// When it was done.
    pub(super) finished_ms: i64,
    /// Whether the replaced files are removed already.
    pub(super) vacuumed: bool,
}

/// Signed receipts, the account first where there are several.
pub(super) struct Receipts(Vec<String>);

impl Account<'_> {
    /// Returns the rows that left, by the commits of this request.
    pub(super) fn rows(&self) -> u64 {
        self.erasure.commits.iter().flat_map(|commit| &commit.files).map(|file| file.erased).sum()
    }

    /// Returns the account as JSON.
    pub(super) fn json(&self) -> Value {
        let Erasure { request, commits, people, tables, skipped } = self.erasure;
        json!({
            "request": request,
            "region": self.region,
            "erased_before": instant_text(self.before_ms),
            "finished_at": instant_text(self.finished_ms),
            "people": people.len(),
            "rows": self.rows(),
            "tables": tables,
            "skipped": skipped.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "commits": commits.iter().map(commit).collect::<Vec<_>>(),
            "replaced_files": if self.vacuumed { "removed" } else { "removed by the next vacuum" },
        })
    }
}

impl Receipts {
    /// Signs what each person is given.
    pub(super) fn sign(account: &Account<'_>, subjects: &[Subject], keys: &KeySet) -> Self {
        let key = receipt_key(keys);
        let sign = |content: &Value| key.sign(TYPE, content.to_string().as_bytes());
        let mut whole = account.json();
        if let [subject] = subjects {
            whole["person"] = subject.pseudonyms(keys).into();
            return Self(vec![sign(&whole)]);
        }
        let signed = sign(&whole);
        let digest = sha256(&signed);
        let each = subjects.iter().zip(&account.erasure.people).map(|(subject, tables)| {
            let rows: serde_json::Map<_, _> =
                tables.iter().map(|(table, rows)| (table.to_string(), json!(rows))).collect();
            sign(&json!({
                "account": digest,
                "person": subject.pseudonyms(keys),
                "erased_before": instant_text(account.before_ms),
                "finished_at": instant_text(account.finished_ms),
                "rows": rows,
            }))
        });
        Self([signed].into_iter().chain(each).collect())
    }

    /// Returns the SHA-256 of each, as the ledger is told.
    pub(super) fn digests(&self) -> Vec<String> {
        self.0.iter().map(|receipt| sha256(receipt)).collect()
    }

    /// Returns the receipts, one a line.
    pub(super) fn text(&self) -> String {
        self.0.iter().flat_map(|receipt| [receipt, "\n"]).collect()
    }

    /// Returns the receipts.
    pub(super) fn lines(&self) -> Vec<String> {
        self.0.clone()
    }
}

/// Returns what a receipt of an erasure says, if one of the keys signed it.
///
/// # Errors
/// None did, or it is another kind of receipt.
pub(crate) fn verify(jws: &str, keys: &[PublicKey]) -> Result<Value, SignatureFault> {
    let payload = keys.iter().find_map(|key| key.verify(TYPE, jws).ok()).ok_or(SignatureFault::OtherKey)?;
    serde_json::from_slice(&payload).ok().ok_or(SignatureFault::Form)
}

fn commit(commit: &ErasedCommit) -> Value {
    json!({
        "table": commit.table.to_string(),
        "version": commit.version,
        "at": instant_text(commit.at_ms),
        "files": commit.files.iter().map(file).collect::<Vec<_>>(),
    })
}

fn file(ErasedFile { before, after, erased }: &ErasedFile) -> Value {
    json!({ "before": mark(before), "after": after.as_ref().map(mark), "erased": erased })
}

fn mark(DataFileMark { path, rows, bytes, sha256 }: &DataFileMark) -> Value {
    json!({ "path": path, "rows": rows, "bytes": bytes, "sha256": sha256 })
}

fn sha256(text: &str) -> String {
    sha256_hex(text.as_bytes())
}

/// The type in the header of the signature.
const TYPE: &str = "weir-erasure+jwt";
