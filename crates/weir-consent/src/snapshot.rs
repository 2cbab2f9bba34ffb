//! All that a store knows as bytes, so that a daemon need not read the whole state topic again when it starts.
//!
//! ```text
//! snapshot = records ‖ people
//! records  = count 4 ‖ count × (length 2 ‖ key ‖ length 2 ‖ value)        agreements and erasures, as on the state topic
//! people   = 256 × (count 4 ‖ count × place 54)                           shard after shard, each place as it is in memory
//! ```
//! Numbers are little-endian. The bytes name people by keyed hashes and are neither secret nor proved: the caller seals them, and
//! says in the head of the file how far the state topic was read before it began.
//!
//! # Why a store may change while it is copied
//!
//! Only one shard is held at a time, so the copy may know some records that lie behind the offset `from` which the caller noted
//! before, and not others. Whoever restores it reads the topic on from `from`, and so takes some records twice. Of one key, let `S` be
//! what the copy knows: all records before `from`, and any number of those behind it.
//! - Without tombstones a state is the greatest of its records, by a total order. `S` lies between the records before `from` and all
//!   of them, so the records from `from` on lift it to the greatest of all: what reading everything gives.
//! - A tombstone ends permissions only. It is taken again with the records around it, and whatever came after it comes after it again.
//!   A permission that it ended is ended again. A denial that a late writer left behind a greater permission may stand in the
//!   end, where reading everything would have passed it over: stricter, never looser.
//! - A restored store is not current, so nobody sees it before the tail has been read to its end.

use std::io::{self, ErrorKind, Read, Write};

use crate::{
    people::{Copied, SHARDS},
    state::{StateKey, StateRecord},
    store::{ConsentStore, Known},
};

impl ConsentStore {
    /// Writes all that is known; no lock is held while it writes, and none for longer than one of 256 shards takes to copy.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn write_snapshot(&self, out: &mut impl Write) -> io::Result<()> {
        let records = self.known().records();
        let count = u32::try_from(records.len()).map_err(|_too_many| too_long())?;
        out.write_all(&count.to_le_bytes())?;
        for record in records {
            put(out, &record.key().encode())?;
            put(out, &record.encode().unwrap_or_default())?;
        }
        let mut copied = Copied::default();
        for shard in 0..SHARDS {
            copied.take(&self.known().people, shard);
            copied.write(out)?;
        }
        Ok(())
    }

    /// Fills an empty store from a snapshot; nothing is taken unless all of it can be read. The store is not current after it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidData`] when it is no snapshot, [`ErrorKind::AlreadyExists`] when the store is not empty, or what the reader says.
    pub fn restore(&self, from: &mut impl Read) -> io::Result<()> {
        let mut known = Known::default();
        for _ in 0..u32::from_le_bytes(array(from)?) {
            let (key, value) = (string(from)?, string(from)?);
            let record = StateRecord::decode(&key, Some(&value)).map_err(|_fault| unsound())?;
            if matches!(record.key(), StateKey::Choice { .. }) {
                return Err(unsound());
            }
            known.put(record);
        }
        for shard in 0..SHARDS {
            let count = u32::from_le_bytes(array(from)?);
            known.people.read_shard(shard, count, from)?;
        }
        // A sealed file proves that it is whole at its end only.
        if from.read(&mut [0])? != 0 {
            return Err(unsound());
        }
        self.fill(known).map_err(|_filled| ErrorKind::AlreadyExists.into())
    }
}

fn put(out: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    let length = u16::try_from(bytes.len()).map_err(|_too_long| too_long())?;
    out.write_all(&length.to_le_bytes())?;
    out.write_all(bytes)
}

fn string(from: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; u16::from_le_bytes(array(from)?).into()];
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn array<const N: usize>(from: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn too_long() -> io::Error {
    io::Error::new(ErrorKind::InvalidInput, "a snapshot cannot hold a list or text this long")
}

/// The error of bytes that no store wrote.
pub(crate) fn unsound() -> io::Error {
    io::Error::new(ErrorKind::InvalidData, "no snapshot of a consent store")
}
