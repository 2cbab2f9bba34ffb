//! Receipts of erasures and restrictions: what left which table, by digests that the ledger knows too; signed as consent receipts are.
//!
//! One person gets one receipt. Of many people there is an account of the whole, without anybody in it, and one receipt each,
//! with their rows and the account's digest: nobody's receipt says who else was erased. A person is a pseudonym of the
//! consent domain. The type in the signature's header is `weir-erasure+jwt`, the key that of consent receipts.

use serde_json::{Value, json};
use weir_consent::{instant_text, receipt_key};
use weir_keys::{KeySet, PublicKey, SignatureFault};
use weir_lake::{Lake, LakeError};
use weir_ledger::{Entry, sha256_hex};

use crate::rights::{Account, Subject};

/// Signed receipts, the account first where there are several.
#[expect(missing_debug_implementations, reason = "says of people that they are gone")]
pub struct Receipts(Vec<String>);

impl Receipts {
    /// Signs what each person is given.
    pub fn sign(account: &Account, subjects: &[Subject], keys: &KeySet) -> Self {
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

    /// Signs what people are given whose rows were set aside, or came back: one for each.
    pub fn of_restriction(contents: impl Iterator<Item = Value>, keys: &KeySet) -> Self {
        let key = receipt_key(keys);
        Self(contents.map(|content| key.sign(RESTRICTION, content.to_string().as_bytes())).collect())
    }

    /// Tells the ledger of them, in as many entries as it takes.
    ///
    /// # Errors
    /// The ledger cannot be written.
    pub fn tell(
        &self,
        lake: &Lake,
        now_ms: &dyn Fn() -> i64,
        entry: impl Fn(Vec<String>) -> Entry,
    ) -> Result<(), LakeError> {
        for digests in self.digests().chunks(DIGESTS_MAX) {
            lake.ledger().append(now_ms(), entry(digests.to_vec()))?;
        }
        Ok(())
    }

    /// Returns the SHA-256 of each, as the ledger is told.
    fn digests(&self) -> Vec<String> {
        self.0.iter().map(|receipt| sha256(receipt)).collect()
    }

    /// Returns the receipts, one a line.
    pub fn text(&self) -> String {
        self.0.iter().flat_map(|receipt| [receipt, "\n"]).collect()
    }

    /// Returns the receipts.
    pub fn lines(&self) -> Vec<String> {
        self.0.clone()
    }
}

/// Returns what a receipt of an erasure or a restriction says, if one of the keys signed it.
///
/// # Errors
/// None did, or it is another kind of receipt.
pub fn verify(jws: &str, keys: &[PublicKey]) -> Result<Value, SignatureFault> {
    let opened = |key: &PublicKey| [TYPE, RESTRICTION].into_iter().find_map(|kind| key.verify(kind, jws).ok());
    let payload = keys.iter().find_map(opened).ok_or(SignatureFault::OtherKey)?;
    serde_json::from_slice(&payload).ok().ok_or(SignatureFault::Form)
}

fn sha256(text: &str) -> String {
    sha256_hex(text.as_bytes())
}

/// Digests in one entry of the ledger.
const DIGESTS_MAX: usize = 1_000;
/// The type in the header of the signature.
const TYPE: &str = "weir-erasure+jwt";
/// The same of a restriction.
const RESTRICTION: &str = "weir-restriction+jwt";
