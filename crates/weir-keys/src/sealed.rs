//! A file that only the ring can read, and nobody else can have changed: written and read as a stream.
//!
//! ```text
//! file  = length of the head 4 ‖ head ‖ salt 32 ‖ chunk ‖ chunk ‖ …         (the head is the caller's and in clear, the salt random)
//! key   = derive("weir 2026 sealed file key", lp(lake secret) ‖ lp(context) ‖ lp(head) ‖ lp(salt))
//! chunk = AES-256-GCM(key, nonce, 65,536 bytes of text) ‖ tag 16            (the last has fewer bytes of text, and may have none)
//! nonce = number of the chunk from 0, 8 bytes little-endian ‖ 0 0 0 ‖ 1 for the last chunk, else 0
//! ```
//! The construction is STREAM. The head is part of the key, so a changed head, another ring and another use open nothing; the
//! number is part of the nonce, so chunks cannot change places; the last chunk says that it is the last, so the file cannot be cut or
//! added to. The salt makes a key for one file, so a nonce is never used twice.

use std::io::{self, ErrorKind, Read, Write};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

use crate::{key_set::KeySet, secret::Secret};

/// Text of a chunk.
pub(crate) const CHUNK_BYTES: usize = 1 << 16;
pub(crate) const TAG_BYTES: usize = 16;
pub(crate) const SALT_BYTES: usize = 32;
/// A head is a few hundred bytes; more than this is something else.
const HEAD_BYTES_MAX: usize = 1 << 20;

impl KeySet {
    /// Starts a sealed file of one use with its head; each context has independent keys.
    ///
    /// # Errors
    ///
    /// When the head is longer than a MiB or cannot be written, or the operating system has no random bytes.
    pub fn seal<W: Write>(&self, context: &str, head: &[u8], mut file: W) -> io::Result<Sealing<W>> {
        let length = u32::try_from(head.len()).ok().filter(|_| head.len() <= HEAD_BYTES_MAX);
        let length = length.ok_or(io::Error::new(ErrorKind::InvalidInput, "the head is too long"))?;
        let mut salt = [0; SALT_BYTES];
        getrandom::fill(&mut salt).map_err(io::Error::other)?;
        file.write_all(&length.to_le_bytes())?;
        file.write_all(head)?;
        file.write_all(&salt)?;
        let key = cipher(&self.file_secret(context, head, &salt));
        Ok(Sealing::new(key, file))
    }
}

/// A sealed file whose head was read; nothing in it is proved yet.
#[derive(Debug)]
pub struct Sealed<R> {
    head: Vec<u8>,
    salt: [u8; SALT_BYTES],
    file: R,
}

impl<R: Read> Sealed<R> {
    /// Reads the head of a file.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or is too short or too long.
    pub fn read(mut file: R) -> io::Result<Self> {
        let mut length = [0; 4];
        file.read_exact(&mut length)?;
        let length = usize::try_from(u32::from_le_bytes(length)).ok().filter(|length| *length <= HEAD_BYTES_MAX);
        let mut head = vec![0; length.ok_or_else(broken)?];
        file.read_exact(&mut head)?;
        let mut salt = [0; SALT_BYTES];
        file.read_exact(&mut salt)?;
        Ok(Self { head, salt, file })
    }

    /// Returns the head as it stands there; only what is read from the [opened](Self::open) file proves it.
    pub fn head(&self) -> &[u8] {
        &self.head
    }

    /// Starts to read the text.
    ///
    /// A read fails with [`ErrorKind::InvalidData`] where the file is not what was sealed; its end is only told once it is proved.
    pub fn open(self, keys: &KeySet, context: &str) -> Opening<R> {
        let key = cipher(&keys.file_secret(context, &self.head, &self.salt));
        Opening { key, file: self.file, number: 0, text: Vec::new(), at: 0, is_whole: false }
    }
}

/// A file that is being sealed; it opens only if it was [finished](Self::finish).
#[expect(missing_debug_implementations, reason = "holds a key and text that is to be sealed")]
pub struct Sealing<W> {
    key: LessSafeKey,
    file: W,
    number: u64,
    text: Vec<u8>,
}

impl<W: Write> Sealing<W> {
    pub(crate) fn new(key: LessSafeKey, file: W) -> Self {
        Self { key, file, number: 0, text: Vec::with_capacity(CHUNK_BYTES + TAG_BYTES) }
    }

    /// Writes the last chunk; hands the file back.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn finish(mut self) -> io::Result<W> {
        self.put(Place::Last)?;
        Ok(self.file)
    }

    fn put(&mut self, place: Place) -> io::Result<()> {
        let sealed = self.key.seal_in_place_append_tag(nonce(self.number, place), Aad::empty(), &mut self.text);
        sealed.map_err(|_unspecified| io::Error::other("the text of a chunk is longer than the cipher takes"))?;
        self.file.write_all(&self.text)?;
        self.number += 1;
        self.text.clear();
        Ok(())
    }
}

impl<W: Write> Write for Sealing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(CHUNK_BYTES - self.text.len());
        self.text.extend_from_slice(&bytes[..taken]);
        if self.text.len() == CHUNK_BYTES {
            self.put(Place::Before)?;
        }
        Ok(taken)
    }

    /// Does nothing: a chunk is written when it is full, and the last one by [`Self::finish`].
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A sealed file that is being read.
#[expect(missing_debug_implementations, reason = "holds a key and text that was sealed")]
pub struct Opening<R> {
    key: LessSafeKey,
    file: R,
    number: u64,
    text: Vec<u8>,
    at: usize,
    is_whole: bool,
}

impl<R: Read> Opening<R> {
    fn next(&mut self) -> io::Result<()> {
        // Taken away, so that after a failure nothing unproved is left to be read.
        let mut text = std::mem::take(&mut self.text);
        self.at = 0;
        text.clear();
        let length_max = u64::try_from(CHUNK_BYTES + TAG_BYTES).unwrap_or(u64::MAX);
        self.file.by_ref().take(length_max).read_to_end(&mut text)?;
        let place = if text.len() == CHUNK_BYTES + TAG_BYTES { Place::Before } else { Place::Last };
        let opened = self.key.open_in_place(nonce(self.number, place), Aad::empty(), &mut text);
        let length = opened.map_err(|_unspecified| broken())?.len();
        text.truncate(length);
        self.text = text;
        self.number += 1;
        self.is_whole = matches!(place, Place::Last);
        Ok(())
    }
}

impl<R: Read> Read for Opening<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.at == self.text.len() && !self.is_whole {
            self.next()?;
        }
        let taken = out.len().min(self.text.len() - self.at);
        out[..taken].copy_from_slice(&self.text[self.at..self.at + taken]);
        self.at += taken;
        Ok(taken)
    }
}

/// Where a chunk stands: only the last one may end the file.
#[derive(Clone, Copy)]
pub(crate) enum Place {
    Before,
    Last,
}

fn cipher(secret: &Secret) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, secret.expose()).expect("a secret is 32 bytes, as a key is"))
}

pub(crate) fn nonce(number: u64, place: Place) -> Nonce {
    let mut nonce = [0; 12];
    nonce[..8].copy_from_slice(&number.to_le_bytes());
    nonce[11] = match place {
        Place::Before => 0,
        Place::Last => 1,
    };
    Nonce::assume_unique_for_key(nonce)
}

fn broken() -> io::Error {
    io::Error::new(ErrorKind::InvalidData, "the file was cut or changed, or is of another key ring")
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, collections::HashMap, sync::Arc};

    use super::*;
    use crate::keys::RingId;

    const START: usize = 4 + HEAD.len() + SALT_BYTES;
    const FULL: usize = CHUNK_BYTES + TAG_BYTES;
    const HEAD: &[u8] = b"of a test";

    fn keys(lake: u8) -> KeySet {
        let secret = |number| Arc::new(Secret::from_bytes(&[number; 32]));
        let (epochs, tenants) = (BTreeMap::new(), HashMap::new());
        let epoch_days = [None; 3];
        let (consent, lake) = (secret(1), secret(lake));
        KeySet {
            id: RingId([0; 16]),
            consent,
            lake,
            epochs,
            tenants,
            sealing: BTreeMap::new(),
            has_lapsed: false,
            epoch_days,
        }
    }

    fn text(length: usize) -> Vec<u8> {
        (0..length).map(|at| u8::try_from(at % 251).unwrap()).collect()
    }

    fn sealed(length: usize) -> Vec<u8> {
        let mut sealing = keys(1).seal("test", HEAD, Vec::new()).unwrap();
        sealing.write_all(&text(length)).unwrap();
        sealing.finish().unwrap()
    }

    fn opened(lake: u8, context: &str, file: &[u8]) -> io::Result<Vec<u8>> {
        let mut text = Vec::new();
        Sealed::read(file)?.open(&keys(lake), context).read_to_end(&mut text).map(|_| text)
    }

    #[test]
    fn text_of_any_length_comes_back() {
        for length in [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES] {
            assert!(opened(1, "test", &sealed(length)).unwrap() == text(length), "{length}");
        }
    }

    #[test]
    fn every_cut_is_refused() {
        let file = sealed(2 * CHUNK_BYTES + 9);
        let ends = [START, START + FULL, START + 2 * FULL, file.len() - 1];
        for length in (0..START).chain((START..file.len()).step_by(997)).chain(ends) {
            assert!(opened(1, "test", &file[..length]).is_err(), "cut at {length}");
        }
    }

    #[test]
    fn every_flipped_bit_is_refused() {
        let file = sealed(CHUNK_BYTES + 9);
        for at in (0..START).chain((START..file.len()).step_by(499)).chain(START + FULL - 1..file.len()) {
            let mut file = file.clone();
            file[at] ^= 1 << (at % 8);
            assert!(opened(1, "test", &file).is_err(), "flipped in byte {at}");
        }
    }

    #[test]
    fn chunks_that_changed_places_or_came_twice_are_refused() {
        let file = sealed(2 * CHUNK_BYTES + 9);
        let (head, chunks) = file.split_at(START);
        let (first, second, last) = (&chunks[..FULL], &chunks[FULL..2 * FULL], &chunks[2 * FULL..]);
        for parts in [[second, first, last], [first, first, last], [first, last, last], [first, second, &[]]] {
            assert!(opened(1, "test", &[head, &parts.concat()].concat()).is_err());
        }
        assert!(opened(1, "test", &[&file[..], last].concat()).is_err(), "something was added");
    }

    #[test]
    fn file_of_another_ring_or_use_is_refused() {
        for (lake, context) in [(2, "test"), (1, "tests")] {
            assert_eq!(opened(lake, context, &sealed(9)).unwrap_err().kind(), ErrorKind::InvalidData);
        }
    }

    #[test]
    fn nothing_unproved_is_read_after_a_failure() {
        let mut file = sealed(CHUNK_BYTES + 9);
        file[START + FULL + 2] ^= 1;
        let mut opening = Sealed::read(&file[..]).unwrap().open(&keys(1), "test");
        opening.read_exact(&mut vec![0; CHUNK_BYTES]).unwrap();
        assert!(opening.read(&mut [0; 9]).is_err());
        assert!(opening.read(&mut [0; 9]).is_err());
    }
}
