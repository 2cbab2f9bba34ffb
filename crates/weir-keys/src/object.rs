//! An object of the lake, sealed with the store's keys for its place: written as a stream, read from anywhere.
//!
//! ```text
//! object = "weirobj" 0x01 ‖ version of the key 4 ‖ salt 32 ‖ chunk ‖ chunk ‖ …
//! key    = derive("weir 2026 sealed object key", lp(secret of the version) ‖ lp(place) ‖ lp(salt))
//! chunk  = ChaCha20-Poly1305(key, nonce, 65,536 bytes of text) ‖ tag 16     (the last has fewer bytes of text, and may have none)
//! nonce  = number of the chunk from 0, 8 bytes little-endian ‖ 0 0 0 ‖ 1 for the last chunk, else 0
//! ```
//! Numbers are little-endian. The construction is that of [`sealed`](crate::sealed), by another cipher: what breaks the one that the
//! files themselves are encrypted with need not break this one. The place is the path below the lake's root, so an object opens where it was
//! put and nowhere else. The length of an object tells the length of its text.

use std::{
    io::{self, ErrorKind, Write},
    ops::Range,
    sync::{Arc, Weak},
};

use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, UnboundKey};

use crate::{
    error::KeyError,
    key_set::derive,
    sealed::{CHUNK_BYTES, Place, SALT_BYTES, Sealing, TAG_BYTES, nonce},
    secret::Secret,
    store_keys::StoreKeys,
};

impl StoreKeys {
    /// Starts to write the object of a place.
    ///
    /// # Errors
    ///
    /// When it cannot be written, the keys cannot be read, or the operating system has no random bytes.
    pub fn seal<W: Write>(&self, place: &str, mut file: W) -> io::Result<Sealing<W>> {
        let (version, _) = self.newest().map_err(io::Error::other)?;
        let mut head = [0; SealedObject::HEAD_BYTES];
        head[..8].copy_from_slice(SealedObject::MAGIC);
        head[8..12].copy_from_slice(&version.to_le_bytes());
        getrandom::fill(&mut head[12..]).map_err(io::Error::other)?;
        file.write_all(&head)?;
        Ok(Sealing::new(self.object_key(place, &head)?.0, file))
    }

    /// Tells whether an object with this head is sealed with the newest version.
    ///
    /// # Errors
    ///
    /// When the keys cannot be read.
    pub fn is_newest(&self, head: &[u8]) -> io::Result<bool> {
        let (version, _) = self.newest().map_err(io::Error::other)?;
        Ok(head.get(8..12) == Some(&version.to_le_bytes()))
    }

    /// Opens the object of a place, of which the head and the length are known; nothing in it is proved yet.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidData`] when it is no sealed object, was cut, or its key's version is not there.
    pub fn open_object(&self, place: &str, head: &[u8], bytes: u64) -> io::Result<SealedObject> {
        let head = head.try_into().ok().ok_or_else(cut)?;
        let (key, secret) = self.object_key(place, head)?;
        let text_bytes = SealedObject::text_bytes(bytes).ok_or_else(cut)?;
        Ok(SealedObject { key, secret: Arc::downgrade(&secret), text_bytes })
    }

    fn object_key(&self, place: &str, head: &[u8; SealedObject::HEAD_BYTES]) -> io::Result<(LessSafeKey, Arc<Secret>)> {
        let (magic, rest) = head.split_at(8);
        let (version, salt) = rest.split_at(4);
        if magic != SealedObject::MAGIC {
            return Err(invalid("the object is not sealed with the store's keys"));
        }
        let version = u32::from_le_bytes([version[0], version[1], version[2], version[3]]);
        let secret = self.version(version).map_err(io::Error::other)?;
        let secret = secret.ok_or_else(|| invalid("the store keys lack the version that the object is sealed with"))?;
        let key = derive(CONTEXT, [secret.expose(), place.as_bytes(), salt]);
        let key = UnboundKey::new(&CHACHA20_POLY1305, key.expose());
        Ok((LessSafeKey::new(key.expect("a secret is 32 bytes, as a key is")), secret))
    }
}

/// A sealed object, to be read from anywhere.
#[expect(missing_debug_implementations, reason = "holds a key")]
pub struct SealedObject {
    key: LessSafeKey,
    /// Gone once the keys lapse, or the version is destroyed.
    secret: Weak<Secret>,
    text_bytes: u64,
}

/// The chunks that hold a part of an object's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunks {
    /// Where they lie in the object.
    pub bytes: Range<u64>,
    first: u64,
    skip: usize,
    take: usize,
}

impl SealedObject {
    /// Bytes at the start of an object that it is opened with.
    pub const HEAD_BYTES: usize = 8 + 4 + SALT_BYTES;
    /// The first bytes of every sealed object.
    pub const MAGIC: &[u8; 8] = b"weirobj\x01";

    /// Says where the head lies in an object of so many bytes; of one that is shorter than a head it is all.
    pub fn head(bytes: u64) -> Range<u64> {
        0..bytes.min(number(Self::HEAD_BYTES))
    }

    /// Returns the version of the keys that an object with this head is sealed with; none if it is not sealed.
    pub fn version(head: &[u8]) -> Option<u32> {
        let (version, _) = head.strip_prefix(Self::MAGIC)?.split_first_chunk::<4>()?;
        Some(u32::from_le_bytes(*version))
    }

    /// Returns how long the text of an object is; none if no object has so many bytes.
    pub fn text_bytes(bytes: u64) -> Option<u64> {
        let chunks = bytes.checked_sub(number(Self::HEAD_BYTES))?;
        let (full, rest) = (chunks / number(CHUNK_BYTES + TAG_BYTES), chunks % number(CHUNK_BYTES + TAG_BYTES));
        Some(full * number(CHUNK_BYTES) + rest.checked_sub(number(TAG_BYTES))?)
    }

    /// Returns how long the text is.
    pub const fn len(&self) -> u64 {
        self.text_bytes
    }

    /// Tells whether there is no text.
    pub const fn is_empty(&self) -> bool {
        self.text_bytes == 0
    }

    /// Reads a part of the text, of which `read` gets the chunks; what lies beyond the end is left out.
    ///
    /// # Errors
    ///
    /// Those of `read`, and [`ErrorKind::InvalidData`] when the chunks are not what was sealed there.
    pub fn read(&self, text: Range<u64>, read: impl FnOnce(Range<u64>) -> io::Result<Vec<u8>>) -> io::Result<Vec<u8>> {
        let chunks = self.chunks(text);
        self.open(&chunks, read(chunks.bytes.clone())?)
    }

    /// Says which chunks hold a part of the text; what lies beyond its end is left out.
    pub fn chunks(&self, text: Range<u64>) -> Chunks {
        let (start, end) = (text.start.min(self.text_bytes), text.end.min(self.text_bytes));
        let first = start / number(CHUNK_BYTES);
        // The last chunk stands for the end: it is read even when nothing of it is wanted there.
        let after = if end == self.text_bytes { self.count() } else { end.div_ceil(number(CHUNK_BYTES)) };
        let at = |chunk: u64| number(Self::HEAD_BYTES) + chunk * number(CHUNK_BYTES + TAG_BYTES);
        let whole = number(Self::HEAD_BYTES) + self.text_bytes + self.count() * number(TAG_BYTES);
        let size = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
        Chunks {
            bytes: at(first)..at(after).min(whole),
            first,
            skip: size(start - first * number(CHUNK_BYTES)),
            take: size(end.saturating_sub(start)),
        }
    }

    /// Opens chunks in place and returns the part of the text that was asked for.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidData`] when they are not what was sealed there; [`KeyError::Lapsed`] when the key may not be used any more.
    pub fn open(&self, chunks: &Chunks, mut sealed: Vec<u8>) -> io::Result<Vec<u8>> {
        if number(sealed.len()) != chunks.bytes.end - chunks.bytes.start {
            return Err(cut());
        }
        if self.secret.strong_count() == 0 {
            return Err(io::Error::other(KeyError::Lapsed));
        }
        let mut length = 0;
        for (at, chunk) in (0..sealed.len()).step_by(CHUNK_BYTES + TAG_BYTES).zip(chunks.first..) {
            let place = if chunk + 1 == self.count() { Place::Last } else { Place::Before };
            let end = sealed.len().min(at + CHUNK_BYTES + TAG_BYTES);
            let opened = self.key.open_in_place(nonce(chunk, place), Aad::empty(), &mut sealed[at..end]);
            let text = opened.map_err(|_unspecified| changed())?.len();
            sealed.copy_within(at..at + text, length);
            length += text;
        }
        sealed.truncate(length.min(chunks.skip + chunks.take));
        sealed.drain(..chunks.skip.min(sealed.len()));
        Ok(sealed)
    }

    fn count(&self) -> u64 {
        self.text_bytes / number(CHUNK_BYTES) + 1
    }
}

fn number(bytes: usize) -> u64 {
    u64::try_from(bytes).expect("lengths fit 64 bits")
}

fn changed() -> io::Error {
    invalid("the object was changed, is another's, or is sealed with other store keys")
}

fn cut() -> io::Error {
    invalid("the object was cut, or is not sealed with the store's keys")
}

fn invalid(why: &'static str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, why)
}

const CONTEXT: &str = "weir 2026 sealed object key";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PLACE: &str = "eu/reliability/a/date=2026-01-01/x.parquet";

    fn keys() -> (tempfile::TempDir, StoreKeys) {
        let folder = tempfile::tempdir().unwrap();
        let keys = StoreKeys::init(&folder.path().join("keys")).unwrap();
        (folder, keys)
    }

    fn seal(keys: &StoreKeys, text: &[u8]) -> Vec<u8> {
        let mut file = keys.seal(PLACE, Vec::new()).unwrap();
        file.write_all(text).unwrap();
        file.finish().unwrap()
    }

    fn read(keys: &StoreKeys, place: &str, object: &[u8], text: Range<u64>) -> io::Result<Vec<u8>> {
        let at = |bytes: u64| usize::try_from(bytes).unwrap();
        let part = |part: Range<u64>| object[at(part.start)..at(part.end)].to_vec();
        let bytes = number(object.len());
        let opened = keys.open_object(place, &part(SealedObject::head(bytes)), bytes)?;
        opened.read(text, |chunks| Ok(part(chunks)))
    }

    proptest! {
        #[test]
        fn any_part_of_an_object_is_read_as_it_was_written(
            length in prop::sample::select(vec![0_u64, 1, 65_535, 65_536, 65_537, 131_072, 200_000]),
            ends in (0_u64..=200_000, 0_u64..=200_000),
        ) {
            let (_folder, keys) = keys();
            let text: Vec<u8> = (0..length).map(|at| u8::try_from(at % 251).unwrap()).collect();
            let object = seal(&keys, &text);
            prop_assert_eq!(SealedObject::text_bytes(number(object.len())), Some(length));
            let (one, other) = (ends.0.min(length), ends.1.min(length));
            let part = one.min(other)..one.max(other);
            let expected = &text[usize::try_from(part.start).unwrap()..usize::try_from(part.end).unwrap()];
            prop_assert_eq!(read(&keys, PLACE, &object, part).unwrap(), expected);
        }
    }

    #[test]
    fn an_object_opens_nowhere_else_and_with_no_other_keys() {
        let (_folder, keys) = keys();
        let object = seal(&keys, b"rows");
        assert_eq!(read(&keys, PLACE, &object, 0..4).unwrap(), b"rows");
        assert!(read(&keys, "eu/reliability/a/date=2026-01-01/y.parquet", &object, 0..4).is_err());
        let (_other_folder, other) = self::keys();
        assert!(read(&other, PLACE, &object, 0..4).is_err());
        assert!(read(&keys, PLACE, b"PAR1, and so on, in clear, for as long as a head is, and a bit", 0..4).is_err());
    }

    #[test]
    fn every_cut_flip_and_exchange_of_chunks_is_noticed() {
        let (_folder, keys) = keys();
        let object = seal(&keys, &vec![7; 3 * CHUNK_BYTES + 5]);
        let whole = |object: &[u8]| read(&keys, PLACE, object, 0..u64::MAX);
        assert_eq!(whole(&object).unwrap().len(), 3 * CHUNK_BYTES + 5);
        let chunk = |place: usize| SealedObject::HEAD_BYTES + place * (CHUNK_BYTES + TAG_BYTES);
        for cut in [0, 7, SealedObject::HEAD_BYTES, chunk(1), chunk(1) + 16, chunk(2), chunk(3), object.len() - 1] {
            assert!(whole(&object[..cut]).is_err(), "cut at {cut}");
        }
        for at in [0, 8, 12, SealedObject::HEAD_BYTES, chunk(1), chunk(2) - 1, object.len() - 1] {
            let mut other = object.clone();
            other[at] ^= 1;
            assert!(whole(&other).is_err(), "flipped at {at}");
        }
        let mut exchanged = object.clone();
        exchanged[chunk(0)..chunk(2)].rotate_left(CHUNK_BYTES + TAG_BYTES);
        assert!(whole(&exchanged).is_err());
        assert!(whole(&[&object[..], &[0; 40]].concat()).is_err(), "longer");
    }

    /// Keys that were forgotten seal and open nothing, not even the rest of an object that is under way, and that is no damage.
    #[test]
    fn keys_that_lapsed_open_nothing_until_they_are_read_anew() {
        let (_folder, keys) = keys();
        let object = seal(&keys, b"rows");
        let head = &object[..SealedObject::HEAD_BYTES];
        let under_way = keys.open_object(PLACE, head, number(object.len())).unwrap();
        let rest = || under_way.open(&under_way.chunks(0..4), object[SealedObject::HEAD_BYTES..].to_vec());
        keys.reload().unwrap();
        assert_eq!(rest().unwrap(), b"rows", "nothing differs");
        keys.lapse();
        assert!(keys.has_lapsed());
        let why = |error: Option<io::Error>| error.map(|error| (error.kind(), error.to_string()));
        let lapsed = Some((ErrorKind::Other, KeyError::Lapsed.to_string()));
        assert_eq!(why(rest().err()), lapsed);
        assert_eq!(why(keys.seal(PLACE, Vec::new()).err()), lapsed);
        assert_eq!(why(keys.open_object(PLACE, head, number(object.len())).err()), lapsed);
        keys.reload().unwrap();
        assert_eq!(read(&keys, PLACE, &object, 0..4).unwrap(), b"rows");
    }

    /// A version is destroyed for good, in every process; the newest, and the file of another version, are not taken.
    #[test]
    fn an_old_version_is_destroyed_and_the_newest_is_not() {
        let (folder, keys) = keys();
        let folder = folder.path().join("keys");
        let elsewhere = StoreKeys::open(&folder).unwrap();
        let old = seal(&keys, b"old");
        assert!(matches!(keys.destroy(1), Err(KeyError::NewestVersion { version: 1 })));
        keys.rotate().unwrap();
        assert!(keys.destroy(1).unwrap() && !keys.destroy(1).unwrap() && !keys.destroy(7).unwrap());
        elsewhere.reload().unwrap();
        for keys in [&keys, &elsewhere, &StoreKeys::open(&folder).unwrap()] {
            assert_eq!(read(keys, PLACE, &old, 0..3).unwrap_err().kind(), ErrorKind::InvalidData);
            assert_eq!(seal(keys, b"new")[8], 2);
        }
        let standing = keys.standing().unwrap();
        assert_eq!((standing.newest, standing.live, standing.destroyed), (2, 1, 1));
        std::fs::copy(folder.join("2"), folder.join("3")).unwrap();
        assert!(matches!(StoreKeys::open(&folder), Err(KeyError::Damaged { .. })));
    }

    #[test]
    fn a_new_version_seals_what_is_new_and_all_processes_find_it() {
        let (folder, keys) = keys();
        let elsewhere = StoreKeys::open(&folder.path().join("keys")).unwrap();
        let old = seal(&keys, b"old");
        assert_eq!(keys.rotate().unwrap(), 2);
        let new = seal(&elsewhere, b"new");
        assert_eq!((old[8], new[8]), (1, 2));
        for process in [&keys, &elsewhere] {
            assert_eq!(read(process, PLACE, &old, 0..3).unwrap(), b"old");
            assert_eq!(read(process, PLACE, &new, 0..3).unwrap(), b"new");
        }
    }
}
