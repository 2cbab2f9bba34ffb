//! One file of the ledger: an entry on the first line, its signed head on the second.
//!
//! The digest is of the first line with its line break: `head -n 1 FILE | sha256sum` prints it. The entry cannot hold its own
//! digest, and a file of its own for the head could be lost alone.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use weir_keys::{PublicKey, SigningKey};
use weir_policy::values::time;

use crate::digest::sha256_hex;
use crate::entry::Entry;
use crate::head::Head;

/// An entry in its place.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    pub(crate) line: Line,
    /// None if this version of weir does not know the kind.
    pub(crate) entry: Option<Entry>,
    pub(crate) head: Head,
}

/// The first line.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Line {
    pub(crate) seq: u64,
    pub(crate) at: String,
    pub(crate) kind: String,
    pub(crate) body: Value,
    /// Where the last entry of each kind before this one is: the way back to a policy is not through every commit.
    pub(crate) last: BTreeMap<String, String>,
    /// SHA-256 of the first line of the entry before, in hex; none before the first.
    pub(crate) previous: Option<String>,
}

/// The second line.
#[derive(Serialize, Deserialize)]
struct Signed {
    head: String,
}

/// What is wrong with a file of the ledger, as far as the file alone tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LinkFault {
    /// It is not two lines of JSON.
    Form,
    /// The head is not signed by the ledger's key.
    Forged,
    /// The head is of other bytes.
    Changed,
    /// The head is of an entry that lies elsewhere.
    Misplaced,
}

impl Link {
    /// Makes the bytes of the entry that comes next.
    pub(crate) fn write(after: Option<&Self>, at_ms: i64, entry: Entry, key: &SigningKey) -> (Self, Vec<u8>) {
        let (seq, last) = after.map_or_else(Default::default, |after| (after.line.seq + 1, after.standing()));
        let path = after.map_or_else(|| name(0), Self::next_path);
        let (kind, body) = apart(&entry);
        let at = time::render(at_ms.saturating_mul(1000));
        let previous = after.map(|after| after.head.sha256.clone());
        let line = Line { seq, at: at.clone(), kind, body, last, previous };
        let mut bytes = serde_json::to_vec(&line).expect("an entry is JSON");
        bytes.push(b'\n');
        let head = Head::sign(key, seq, at, path, sha256_hex(&bytes));
        bytes.extend(serde_json::to_vec(&Signed { head: head.jws.clone() }).expect("a text is JSON"));
        bytes.push(b'\n');
        (Self { line, entry: Some(entry), head }, bytes)
    }

    /// Reads a file; everything that can be told from it alone is checked.
    pub(crate) fn read(path: &str, bytes: &[u8], key: &PublicKey) -> Result<Self, LinkFault> {
        let end = bytes.iter().position(|byte| *byte == b'\n').ok_or(LinkFault::Form)? + 1;
        let (first, second) = bytes.split_at(end);
        let signed: Signed = serde_json::from_slice(second).ok().ok_or(LinkFault::Form)?;
        let head = Head::read(key, &signed.head).map_err(|_fault| LinkFault::Forged)?;
        if head.sha256 != sha256_hex(first) || second.last() != Some(&b'\n') {
            return Err(LinkFault::Changed);
        }
        let line: Line = serde_json::from_slice(first).ok().ok_or(LinkFault::Form)?;
        if path != head.entry {
            return Err(LinkFault::Misplaced);
        }
        let entry = together(&line.kind, line.body.clone());
        Ok(Self { line, entry, head })
    }

    /// Returns where the entry after this one lies: in the folder of the day on which this one was made.
    pub(crate) fn next_path(&self) -> String {
        let day = self.line.at.get(..10).unwrap_or_default();
        format!("{day}/{}", name(self.line.seq + 1))
    }

    /// Returns where the last entry of each kind is, this one among them.
    pub(crate) fn standing(&self) -> BTreeMap<String, String> {
        let mut standing = self.line.last.clone();
        standing.insert(self.line.label(), self.head.entry.clone());
        standing
    }

    /// Returns when the entry was made, in milliseconds since 1970.
    pub(crate) fn at_ms(&self) -> Option<i64> {
        Some(time::parse(self.line.at.as_bytes())?.div_euclid(1000))
    }
}

impl Line {
    /// Returns the name of the kind; what was decided, and whose policy it is, stands after a dot.
    pub(crate) fn label(&self) -> String {
        let member = match self.kind.as_str() {
            "decision" | "gate" => "what",
            "policy" => "by",
            _ => return self.kind.clone(),
        };
        let which = self.body.get(member).and_then(Value::as_str).unwrap_or_default();
        format!("{}.{which}", self.kind)
    }
}

/// The name of the file of an entry.
pub(crate) fn name(seq: u64) -> String {
    format!("{seq:020}.json")
}

/// Takes an entry apart into its kind and its body.
fn apart(entry: &Entry) -> (String, Value) {
    let value = serde_json::to_value(entry).expect("an entry is JSON");
    let Value::Object(object) = value else { unreachable!("each variant of an entry has a body") };
    object.into_iter().next().expect("a variant has a name")
}

fn together(kind: &str, body: Value) -> Option<Entry> {
    serde_json::from_value(Value::Object([(kind.to_owned(), body)].into_iter().collect())).ok()
}
