//! Nothing of a person is let in any more, then everything that is there goes.
//!
//! The order is what makes it hold. First `erased_before` counts with every daemon ([`erased_before`] has the records), so that
//! no replay brings anything back. Then nobody's knowledge of consent is older than that. Then [`erase`] rewrites the tables, and
//! each gets a commit that whatever was judged before has to give way to. Interrupted anywhere, it is asked for again and goes on.

use serde_json::{Value, json};
use weir_consent::{InboxFault, InboxRecord, instant_text};
use weir_keys::KeySet;
use weir_lake::{
    DataFileMark, ErasedCommit, ErasedFile, Erasure, Lake, LakeError, Person, Progress, Request, Vacuumed,
};
use weir_ledger::{Decision, Entry};
use weir_policy::Policy;

use crate::rights::{Receipts, Subject};

/// Where people are removed from, and by which rules.
#[derive(Clone, Copy)]
#[expect(missing_debug_implementations, reason = "holds keys")]
pub struct Removal<'r> {
    /// Where the rows are.
    pub lake: &'r Lake,
    /// How coarse times of files are.
    pub policy: &'r Policy,
    /// Whose pseudonyms they have, and who signs.
    pub keys: &'r KeySet,
    /// The region of the lake.
    pub region: &'r str,
    /// Nothing of theirs from before this instant is let in, by every daemon.
    pub before_ms: i64,
    /// The clock, in milliseconds since 1970.
    pub now_ms: &'r (dyn Fn() -> i64 + Sync),
    /// Told of each file that was looked into.
    pub progress: &'r (dyn Fn(Progress) + Sync),
    /// Whether the replaced files are removed at once.
    pub vacuum: bool,
}

/// What was done, and what those who are gone are given.
#[expect(missing_debug_implementations, reason = "says of people that they are gone")]
pub struct Erased {
    /// What was done.
    pub account: Account,
    /// What each person is given, signed.
    pub receipts: Receipts,
    /// What was removed at once.
    pub vacuumed: Option<Vacuumed>,
}

/// What was done.
#[derive(Debug)]
pub struct Account {
    /// The region of the lake.
    pub region: String,
    /// What the lake says.
    pub erasure: Erasure,
    /// Nothing of theirs from before this instant is let in.
    pub before_ms: i64,
    /// When it was done.
    pub finished_ms: i64,
    /// Whether the replaced files are removed already.
    pub vacuumed: bool,
}

/// Returns the records of the inbox that keep everything of these people from before an instant out, for every name.
///
/// # Errors
/// A name cannot be one.
pub fn erased_before(subjects: &[Subject], before_ms: i64) -> Result<Vec<InboxRecord>, InboxFault> {
    let mut records = Vec::new();
    for subject in subjects {
        records.extend(subject.erasures(before_ms)?);
    }
    Ok(records)
}

/// Removes people whom every daemon keeps out by now, signs their receipts, and tells the ledger of them.
///
/// # Errors
/// Lake or ledger cannot be read or written. What was removed before stays removed; ask again.
pub fn erase(subjects: &[Subject], removal: &Removal<'_>) -> Result<Erased, LakeError> {
    let Removal { lake, policy, keys, region, before_ms, now_ms, progress, vacuum } = *removal;
    let people: Vec<Person> = subjects.iter().map(Subject::person).collect();
    let erasure = lake.erase(keys, &people, &Request { purposes: policy.purposes(), now_ms, progress })?;
    let vacuumed = vacuum.then(|| vacuum_now(lake, now_ms)).transpose()?;
    let account =
        Account { region: region.to_owned(), erasure, before_ms, finished_ms: now_ms(), vacuumed: vacuumed.is_some() };
    let receipts = Receipts::sign(&account, subjects, keys);
    receipts.tell(lake, now_ms, |digests| Entry::Erasure { digests })?;
    Ok(Erased { account, receipts, vacuumed })
}

/// Removes replaced files at once, which the ledger is told of as a decision.
///
/// # Errors
/// The ledger cannot be written, or a file not be removed.
pub fn vacuum_now(lake: &Lake, now_ms: &dyn Fn() -> i64) -> Result<Vacuumed, LakeError> {
    lake.ledger().append(now_ms(), Entry::Decision(Decision::Vacuum { older_than_ms: 0 }))?;
    lake.vacuum_erased(now_ms())
}

impl Account {
    /// Returns the rows that left, by the commits of this request.
    pub fn rows(&self) -> u64 {
        self.erasure.commits.iter().map(ErasedCommit::rows).sum()
    }

    /// Returns the account as JSON.
    pub fn json(&self) -> Value {
        let Erasure { request, commits, people, tables, skipped } = &self.erasure;
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

fn commit(commit: &ErasedCommit) -> Value {
    json!({
        "table": commit.table.to_string(),
        "version": commit.version,
        "at": instant_text(commit.at_ms),
        "files": commit.files.iter().map(file).collect::<Vec<_>>(),
        "set_aside": commit.set_aside,
    })
}

fn file(ErasedFile { before, after, erased }: &ErasedFile) -> Value {
    json!({ "before": mark(before), "after": after.as_ref().map(mark), "erased": erased })
}

fn mark(DataFileMark { path, rows, bytes, sha256 }: &DataFileMark) -> Value {
    json!({ "path": path, "rows": rows, "bytes": bytes, "sha256": sha256 })
}
