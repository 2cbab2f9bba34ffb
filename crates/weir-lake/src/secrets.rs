//! What the lake's key is used for: veiled offsets, sealed cells and indexes, and a mark that tells whose lake it is.
//!
//! Everything here hangs on one secret of the key ring. Without it a table's log shows that commits happened and how
//! many rows they had, and nothing of where the rows came from.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};

use crate::layout::TableName;
use crate::partition::PartitionId;
use crate::permutation::Permutation;

/// The keys of one lake, derived from the key ring's lake secret.
pub(crate) struct Secrets {
    ids: [u8; 32],
    offsets: [u8; 32],
    mark: [u8; 32],
    cells: XChaCha20Poly1305,
    indexes: XChaCha20Poly1305,
    requests: [u8; 32],
    asides: XChaCha20Poly1305,
}

/// A cell could not be opened: made under another key, for another table, or changed since.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the sealed cell does not open")]
pub struct CellBroken;

impl Secrets {
    pub(crate) fn new(lake_key: &[u8; 32]) -> Self {
        Self {
            ids: blake3::derive_key("weir 2026 lake transaction ids", lake_key),
            offsets: blake3::derive_key("weir 2026 lake offsets", lake_key),
            mark: blake3::derive_key("weir 2026 lake mark", lake_key),
            cells: XChaCha20Poly1305::new(&blake3::derive_key("weir 2026 lake cells", lake_key).into()),
            indexes: XChaCha20Poly1305::new(&blake3::derive_key("weir 2026 lake indexes", lake_key).into()),
            requests: blake3::derive_key("weir 2026 lake requests", lake_key),
            asides: XChaCha20Poly1305::new(&blake3::derive_key("weir 2026 lake rows set aside", lake_key).into()),
        }
    }

    /// Returns the application id under which `table` keeps the next offset of `partition`.
    pub(crate) fn offset_id(&self, table: &TableName, partition: &PartitionId) -> String {
        self.id("offset", table, partition)
    }

    /// Returns the application id under which the coverage keeps the owner generation of `partition`.
    pub(crate) fn generation_id(&self, partition: &PartitionId) -> String {
        self.id("generation", &TableName::Coverage, partition)
    }

    /// Returns the application id under which the coverage keeps a topic's incarnation, and the number that stands for it.
    pub(crate) fn incarnation(&self, partition: &PartitionId) -> (String, i64) {
        let PartitionId { source, topic, partition } = partition;
        let place: [&[u8]; 3] = [b"incarnation", topic.as_bytes(), &partition.to_le_bytes()];
        let hash = keyed(&self.ids, &[b"incarnation's source", topic.as_bytes(), place[2], source.as_bytes()]);
        let first = hash.as_bytes().first_chunk().expect("a hash has more than eight bytes");
        (keyed_text(&self.ids, &place), i64::from_be_bytes(*first) & i64::MAX)
    }

    /// Returns the application id under which the coverage keeps the consumer group.
    pub(crate) fn group_id(&self) -> String {
        keyed_text(&self.ids, &[b"group"])
    }

    /// Returns the number that stands for a consumer group, at least 0.
    pub(crate) fn group_number(&self, group: &str) -> i64 {
        let hash = keyed(&self.ids, &[b"group name", group.as_bytes()]);
        let first = hash.as_bytes().first_chunk().expect("a hash has more than eight bytes");
        i64::from_be_bytes(*first) & i64::MAX
    }

    /// Returns the application id under which the coverage says that the lake's files are encrypted.
    pub(crate) fn files_id(&self) -> String {
        keyed_text(&self.ids, &[b"files"])
    }

    /// Returns the mark that a table of this lake carries in its properties.
    pub(crate) fn mark(&self, table: &TableName) -> String {
        keyed_text(&self.mark, &[table.to_string().as_bytes()])
    }

    /// Returns the permutation that belongs to an application id.
    pub(crate) fn permutation(&self, id: &str) -> Permutation {
        Permutation::new(*keyed(&self.offsets, &[id.as_bytes()]).as_bytes())
    }

    /// Seals the bytes of a cell for the log of `table`, as text.
    pub(crate) fn seal(&self, table: &TableName, cell: &[u8]) -> Result<String, CellBroken> {
        Ok(STANDARD_NO_PAD.encode(encrypt(&self.cells, &table.to_string(), &pad(cell))?))
    }

    /// Opens a cell that was sealed for the log of `table`.
    pub(crate) fn open(&self, table: &TableName, text: &str) -> Result<Vec<u8>, CellBroken> {
        let bytes = STANDARD_NO_PAD.decode(text).ok().ok_or(CellBroken)?;
        unpad(decrypt(&self.cells, &table.to_string(), &bytes)?).ok_or(CellBroken)
    }

    /// Seals the index of a file of `table`, for that file only.
    pub(crate) fn seal_index(&self, table: &TableName, path: &str, index: &[u8]) -> Result<Vec<u8>, CellBroken> {
        encrypt(&self.indexes, &format!("{table}/{path}"), index)
    }

    /// Opens the index of a file of `table`.
    pub(crate) fn open_index(&self, table: &TableName, path: &str, sealed: &[u8]) -> Result<Vec<u8>, CellBroken> {
        decrypt(&self.indexes, &format!("{table}/{path}"), sealed)
    }

    /// Seals rows of `table` that are set aside in a file, for that file only.
    pub(crate) fn seal_aside(&self, table: &TableName, path: &str, rows: &[u8]) -> Result<Vec<u8>, CellBroken> {
        encrypt(&self.asides, &format!("{table}/{path}"), rows)
    }

    /// Opens rows of `table` that are set aside in a file.
    pub(crate) fn open_aside(&self, table: &TableName, path: &str, sealed: &[u8]) -> Result<Vec<u8>, CellBroken> {
        decrypt(&self.asides, &format!("{table}/{path}"), sealed)
    }

    /// Returns the mark of a request about people: the same for the same people, and nobody's without the key.
    pub(crate) fn request(&self, names: &[&[u8]]) -> String {
        keyed_text(&self.requests, names)
    }

    fn id(&self, use_: &str, table: &TableName, partition: &PartitionId) -> String {
        let table = table.to_string();
        let number = partition.partition.to_le_bytes();
        let parts: [&[u8]; 5] =
            [use_.as_bytes(), table.as_bytes(), partition.source.as_bytes(), partition.topic.as_bytes(), &number];
        keyed_text(&self.ids, &parts)
    }
}

fn encrypt(cipher: &XChaCha20Poly1305, place: &str, text: &[u8]) -> Result<Vec<u8>, CellBroken> {
    let mut nonce = [0; NONCE_BYTES];
    getrandom::fill(&mut nonce).ok().ok_or(CellBroken)?;
    let payload = Payload { msg: text, aad: place.as_bytes() };
    let sealed = cipher.encrypt(XNonce::from_slice(&nonce), payload).ok().ok_or(CellBroken)?;
    Ok([&nonce[..], &sealed].concat())
}

fn decrypt(cipher: &XChaCha20Poly1305, place: &str, bytes: &[u8]) -> Result<Vec<u8>, CellBroken> {
    let (nonce, sealed) = bytes.split_at_checked(NONCE_BYTES).ok_or(CellBroken)?;
    let payload = Payload { msg: sealed, aad: place.as_bytes() };
    cipher.decrypt(XNonce::from_slice(nonce), payload).ok().ok_or(CellBroken)
}

/// Hashes the parts with a length before each, so that no two lists of parts hash alike.
fn keyed(key: &[u8; 32], parts: &[&[u8]]) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new_keyed(key);
    for part in parts {
        hasher.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
        hasher.update(part);
    }
    hasher.finalize()
}

/// The first half of the hash in hex: 128 bits, as long as a UUID.
fn keyed_text(key: &[u8; 32], parts: &[&[u8]]) -> String {
    let mut text = keyed(key, parts).to_hex().to_string();
    text.truncate(32);
    text
}

/// Fills up to a multiple of the step, so that a cell's length does not tell its counts.
fn pad(cell: &[u8]) -> Vec<u8> {
    let mut padded = cell.to_vec();
    padded.push(PAD_MARK);
    padded.resize(padded.len().next_multiple_of(PAD_BYTES), 0);
    padded
}

fn unpad(mut padded: Vec<u8>) -> Option<Vec<u8>> {
    let end = padded.iter().rposition(|byte| *byte != 0)?;
    (padded[end] == PAD_MARK).then(|| {
        padded.truncate(end);
        padded
    })
}

const NONCE_BYTES: usize = 24;
/// Most cells of one partition fit in one step.
const PAD_BYTES: usize = 512;
const PAD_MARK: u8 = 0x80;

#[cfg(test)]
mod tests {
    use weir_policy::PurposeId;

    use super::*;

    fn partition() -> PartitionId {
        PartitionId { source: "kafka:c:t".into(), topic: "telemetry".into(), partition: 3 }
    }

    #[test]
    fn a_cell_opens_only_for_its_own_table_and_key() {
        let secrets = Secrets::new(&[1; 32]);
        let table = TableName::events(PurposeId::Reliability, "a");
        let text = secrets.seal(&table, b"counts").unwrap();
        assert_eq!(secrets.open(&table, &text).unwrap(), b"counts");
        assert_eq!(secrets.open(&TableName::Coverage, &text), Err(CellBroken));
        assert_eq!(Secrets::new(&[2; 32]).open(&table, &text), Err(CellBroken));
        assert_eq!(secrets.open(&table, "bm8"), Err(CellBroken));
    }

    #[test]
    fn cells_of_different_counts_have_one_length() {
        let secrets = Secrets::new(&[1; 32]);
        let length = |cell: &[u8]| secrets.seal(&TableName::Coverage, cell).unwrap().len();
        assert_eq!(length(b"1"), length(b"1000000"));
    }

    #[test]
    fn ids_differ_by_table_partition_and_use() {
        let secrets = Secrets::new(&[1; 32]);
        let other = PartitionId { partition: 4, ..partition() };
        let ids = [
            secrets.offset_id(&TableName::Coverage, &partition()),
            secrets.offset_id(&TableName::Quarantine, &partition()),
            secrets.offset_id(&TableName::Coverage, &other),
            secrets.generation_id(&partition()),
            secrets.group_id(),
        ];
        let distinct: std::collections::BTreeSet<_> = ids.iter().collect();
        assert_eq!(distinct.len(), ids.len());
    }
}
