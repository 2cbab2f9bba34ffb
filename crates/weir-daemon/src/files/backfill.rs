//! The backfill rule: what was not exposed when events happened is not taken from them later, unless somebody decided so.
//!
//! Effective is what both then and now agree to, of people and of contracts. People's side is judged row by row in the
//! filter. Contracts' side is judged here, for the oldest row of each event type and purpose: every field that it has must
//! have been exposed at every moment since. The ledger says what was; of a time of which it says nothing, nothing was.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use weir_filter::{Batch, Filtered};
use weir_ledger::{Decision, Entry, Exposures, Ledger, LedgerError, Sha256, sha256_hex};
use weir_policy::{Policy, Purpose};

/// What may be taken although it is more than was exposed, and by whose decision.
#[derive(Default)]
pub(super) struct Backfill {
    /// Where the decision stands.
    reference: Option<String>,
    decided: BTreeMap<Digest, Exposures>,
}

/// Which digest stands for an input in the ledger.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Digest {
    /// That of a file's bytes.
    OfFile(PathBuf),
    /// That of the name of an input which can be read only once.
    OfName(String),
}

/// Why rows may not be committed.
pub(super) enum Refusal {
    /// More than was exposed, and nobody decided so.
    Broader(Exposures),
    /// The ledger cannot be asked or told.
    Ledger(LedgerError),
}

impl From<LedgerError> for Refusal {
    fn from(error: LedgerError) -> Self {
        Self::Ledger(error)
    }
}

impl Backfill {
    pub(super) fn new(reference: Option<String>) -> Self {
        Self { reference, ..Self::default() }
    }

    /// Lets rows pass that have more than was exposed, once the ledger was told of the decision; without one, refuses.
    pub(super) fn admit(
        &mut self,
        digest: &Digest,
        broader: &Exposures,
        ledger: &Ledger,
        policy: &Policy,
        now_ms: i64,
    ) -> Result<(), Refusal> {
        let decided = self.decided.entry(digest.clone()).or_default();
        let broader = broader.beyond(decided);
        if broader.is_empty() {
            return Ok(());
        }
        let Some(reference) = self.reference.clone() else { return Err(Refusal::Broader(broader)) };
        let input =
            digest.hex().map_err(|source| LedgerError::Io { doing: "hash", path: "the input".to_owned(), source })?;
        let (policy, exposes) = (policy.hash().to_string(), broader.clone());
        ledger.append(now_ms, Entry::Decision(Decision::Backfill { reference, input, policy, exposes }))?;
        decided.extend(&broader);
        Ok(())
    }
}

/// Returns what rows have that was not exposed at every moment since they happened.
pub(super) fn broader(filtered: &Filtered, policy: &Policy, ledger: &Ledger) -> Result<Exposures, LedgerError> {
    let mut broader = Exposures::default();
    of_purpose(&filtered.troubleshooting, policy, ledger, &mut broader)?;
    of_purpose(&filtered.reliability, policy, ledger, &mut broader)?;
    of_purpose(&filtered.personalization, policy, ledger, &mut broader)?;
    Ok(broader)
}

fn of_purpose<P: Purpose>(
    batch: &Batch<P>,
    policy: &Policy,
    ledger: &Ledger,
    broader: &mut Exposures,
) -> Result<(), LedgerError> {
    for rows in batch.tables() {
        let Some(earliest_ms) = rows.earliest_ms() else { continue };
        let now = Exposures::of_contracts([policy.contract(rows.contract())]).only(P::ID);
        let then = ledger.look::<_, LedgerError>(|past| past.exposed_since(earliest_ms))?;
        broader.extend(&now.beyond(&then));
    }
    Ok(())
}

impl Digest {
    fn hex(&self) -> io::Result<String> {
        match self {
            Self::OfFile(path) => sha256(path),
            Self::OfName(name) => Ok(sha256_hex(name.as_bytes())),
        }
    }
}

fn sha256(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let (mut digest, mut buffer) = (Sha256::new(), vec![0; 1 << 16]);
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok(digest.hex());
        }
        digest.update(&buffer[..read]);
    }
}
