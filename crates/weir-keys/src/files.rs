//! Keys of the lake's data files, and the keys that readers open them with.
//!
//! A table has one data key an epoch. It hangs on the epoch's secret, so that the rows of a destroyed epoch can be read by nobody,
//! with whatever key a reader was given before. Beside its rows a file carries its data key, wrapped by the reader key of its region,
//! purpose and epoch: who has that key opens all tables of the purpose and epoch, and no other.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use weir_policy::PurposeId;

use crate::error::KeyError;
use crate::key_set::{KeySet, derive};
use crate::secret::{SECRET_BYTES, Secret};

const FILE_CONTEXT: &str = "weir 2026 data file key";
const READER_CONTEXT: &str = "weir 2026 reader key";
/// What stands for the purpose in the keys of weir's own tables; no purpose's name.
const WEIR: &str = "weir";

/// Whose rows a data file holds, as far as its keys go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RowsOf {
    /// A purpose's, of one epoch.
    Epoch(PurposeId, i32),
    /// Nobody's: a table of weir's own.
    Weir,
}

impl RowsOf {
    /// Returns the name of the key that readers open such files of a region with: `eu/reliability/230`, or `eu/weir`.
    pub fn reader_id(self, region: &str) -> String {
        match self {
            Self::Epoch(purpose, epoch) => format!("{region}/{}/{epoch}", purpose.name()),
            Self::Weir => format!("{region}/{WEIR}"),
        }
    }

    /// Reads the name of such a key; none if it is another region's or no name.
    pub fn parse(reader_id: &str, region: &str) -> Option<Self> {
        let name = reader_id.strip_prefix(region)?.strip_prefix('/')?;
        if name == WEIR {
            return Some(Self::Weir);
        }
        let (purpose, epoch) = name.split_once('/')?;
        let rows = Self::Epoch(PurposeId::parse(purpose)?, epoch.parse().ok()?);
        (rows.reader_id(region) == reader_id).then_some(rows)
    }
}

/// Encrypts the data files of one table and epoch: AES-256.
#[expect(missing_debug_implementations, reason = "a key is never printed")]
pub struct FileKey(Secret);

impl FileKey {
    /// Hands out the bytes, to a cipher or to who may read the table.
    pub fn expose(&self) -> &[u8; SECRET_BYTES] {
        self.0.expose()
    }
}

/// Opens the wrapped keys of one region, purpose and epoch: AES-256.
#[expect(missing_debug_implementations, reason = "a key is never printed")]
pub struct ReaderKey {
    id: String,
    secret: Secret,
}

impl ReaderKey {
    /// Returns the name under which files name it.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Hands out the bytes, to who may read.
    pub fn expose(&self) -> &[u8; SECRET_BYTES] {
        self.secret.expose()
    }

    /// Wraps a file's key as Parquet's own key tools do: nonce, AES-GCM with the key's name as associated data, tag; in base64.
    ///
    /// # Errors
    ///
    /// The operating system gave no random bytes.
    pub fn wrap(&self, key: &FileKey) -> Result<String, KeyError> {
        let mut nonce = [0; NONCE_LEN];
        getrandom::fill(&mut nonce).map_err(KeyError::Random)?;
        Ok(self.wrap_with(nonce, key))
    }

    fn wrap_with(&self, nonce: [u8; NONCE_LEN], key: &FileKey) -> String {
        let cipher = UnboundKey::new(&AES_256_GCM, self.expose()).expect("a secret is as long as an AES-256 key");
        let mut sealed = key.expose().to_vec();
        let tag = LessSafeKey::new(cipher).seal_in_place_separate_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(self.id.as_bytes()),
            &mut sealed,
        );
        let tag = tag.expect("a key is far shorter than what AES-GCM takes");
        STANDARD.encode([&nonce[..], &sealed, tag.as_ref()].concat())
    }
}

impl KeySet {
    /// Returns whose rows of a day a purpose's file holds; none if the ring has no epoch of the purpose.
    pub fn rows_of(&self, purpose: PurposeId, day: i32) -> Option<RowsOf> {
        let days = self.epoch_days[purpose.index()].filter(|days| *days > 0)?;
        let epoch = i64::from(day).div_euclid(i64::from(days));
        Some(RowsOf::Epoch(purpose, i32::try_from(epoch).ok()?))
    }

    /// Returns the first day of an epoch and the first after it, counted from 1970; none if the ring has no epoch of the purpose.
    pub fn days_of(&self, purpose: PurposeId, epoch: i32) -> Option<[i32; 2]> {
        let days = i32::try_from(self.epoch_days[purpose.index()]?).ok()?;
        let first = epoch.checked_mul(days)?;
        Some([first, first.checked_add(days)?])
    }

    /// Returns the key of a table's files; none if the epoch's secret was destroyed or never made.
    pub fn file_key(&self, region: &str, table: &str, rows: RowsOf) -> Option<FileKey> {
        let (secret, id) = (self.secret_of(rows)?, rows.reader_id(region));
        Some(FileKey(derive(FILE_CONTEXT, [secret.expose(), id.as_bytes(), table.as_bytes()])))
    }

    /// Returns the key that readers open such files of a region with; none if the epoch's secret was destroyed or never made.
    pub fn reader_key(&self, region: &str, rows: RowsOf) -> Option<ReaderKey> {
        let (secret, id) = (self.secret_of(rows)?, rows.reader_id(region));
        Some(ReaderKey { secret: derive(READER_CONTEXT, [secret.expose(), id.as_bytes()]), id })
    }

    fn secret_of(&self, rows: RowsOf) -> Option<&Secret> {
        match rows {
            RowsOf::Epoch(purpose, epoch) => self.epochs.get(&(purpose, epoch)).map(AsRef::as_ref),
            RowsOf::Weir => Some(&self.lake),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::key_set::vectors;

    #[test]
    fn every_vector_of_a_file_holds() {
        let vectors: Value = serde_json::from_str(include_str!("../vectors.json")).unwrap();
        let keys = vectors::key_set(&vectors["secrets"]);
        for case in vectors["files"].as_array().unwrap() {
            let text = |name: &str| case[name].as_str().unwrap();
            let rows = RowsOf::parse(text("reader"), text("region")).unwrap();
            let key = keys.file_key(text("region"), text("table"), rows).unwrap();
            let reader = keys.reader_key(text("region"), rows).unwrap();
            assert_eq!(vectors::hex(key.expose()), text("key"));
            assert_eq!(vectors::hex(reader.expose()), text("reader_key"));
            assert_eq!(
                reader.wrap_with(std::array::from_fn(|place| u8::try_from(place).unwrap()), &key),
                text("wrapped")
            );
        }
    }

    #[test]
    fn a_name_is_read_as_it_is_written_and_in_its_region_only() {
        for rows in [RowsOf::Weir, RowsOf::Epoch(PurposeId::Reliability, -3)] {
            assert_eq!(RowsOf::parse(&rows.reader_id("eu"), "eu"), Some(rows));
            assert_eq!(RowsOf::parse(&rows.reader_id("eu"), "us"), None);
        }
        for wrong in ["eu", "eu/", "eu/marketing/1", "eu/reliability", "eu/reliability/+3", "eu/reliability/3/x"] {
            assert_eq!(RowsOf::parse(wrong, "eu"), None, "{wrong}");
        }
    }

    #[test]
    fn a_day_belongs_to_the_epoch_that_its_rows_have() {
        let vectors: Value = serde_json::from_str(include_str!("../vectors.json")).unwrap();
        let mut keys = vectors::key_set(&vectors["secrets"]);
        let purposes = weir_policy::Purposes::default();
        for purpose in PurposeId::ALL {
            keys.epoch_days[purpose.index()] = Some(purposes.rules(purpose).epoch_days);
            for day in [-91, -1, 0, 1, 20_700, 20_781] {
                let epoch = purposes.epoch(purpose, i64::from(day) * 86_400_000);
                assert_eq!(keys.rows_of(purpose, day), Some(RowsOf::Epoch(purpose, epoch)));
                let [first, end] = keys.days_of(purpose, epoch).unwrap();
                assert!((first..end).contains(&day));
            }
        }
    }

    #[test]
    fn a_destroyed_epoch_has_no_key() {
        let vectors: Value = serde_json::from_str(include_str!("../vectors.json")).unwrap();
        let mut keys = vectors::key_set(&vectors["secrets"]);
        let rows = RowsOf::Epoch(PurposeId::Reliability, 230);
        assert!(keys.file_key("eu", "reliability/a", rows).is_some());
        keys.epochs.clear();
        assert!(keys.file_key("eu", "reliability/a", rows).is_none());
        assert!(keys.reader_key("eu", rows).is_none());
        assert!(keys.file_key("eu", "_coverage", RowsOf::Weir).is_some());
    }
}
