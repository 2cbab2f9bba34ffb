//! Many keyed hashes at once: one in each lane of the processor's vectors.
//!
//! An identifier fits one block of BLAKE3, an event's name two, and hashing one alone leaves most of the processor idle: sixteen
//! of them, each under a key of its own, take hardly longer than one. The result is that of [`blake3::keyed_hash`] to the
//! bit, which a test holds for every length; what is longer than two blocks goes there directly.

use fearless_simd::{Level, Simd, dispatch, prelude::*, u8x16, u32x4};
use zeroize::Zeroize;

use crate::{
    key_set::PersonDomain,
    keys::{PersonKey, PseudonymKey, first_half},
    secret::SECRET_BYTES,
};

/// Identifiers that wait to become pseudonyms.
#[expect(missing_debug_implementations, reason = "holds keys and identifiers")]
pub struct PseudonymQueue(Queue);

impl PseudonymQueue {
    /// Makes an empty queue that hashes with these instructions of the processor.
    pub fn new(level: Level) -> Self {
        Self(Queue::new(level))
    }

    /// Adds an identifier in its canonical form.
    #[inline]
    pub fn push(&mut self, key: &PseudonymKey, canonical: &[u8]) {
        self.0.push(key.expose(), [canonical]);
    }

    /// Adds an identifier that is several pieces, one after the other.
    #[inline]
    pub fn push_joined<const PIECES: usize>(&mut self, key: &PseudonymKey, pieces: [&[u8]; PIECES]) {
        self.0.push(key.expose(), pieces);
    }

    /// Empties the queue; returns the pseudonyms, as [`PseudonymKey::digest`] would, in the order of the identifiers.
    pub fn finish(&mut self) -> &[[u8; 16]] {
        self.0.finish()
    }
}

/// Identifiers that wait to become people of the consent domain.
#[expect(missing_debug_implementations, reason = "holds keys and identifiers")]
pub struct PersonQueue(Queue);

impl PersonQueue {
    /// Makes an empty queue that hashes with these instructions of the processor.
    pub fn new(level: Level) -> Self {
        Self(Queue::new(level))
    }

    /// Adds an identifier in its canonical form.
    #[inline]
    pub fn push(&mut self, domain: &PersonDomain, canonical: &[u8]) {
        self.0.push(domain.expose(), [canonical]);
    }

    /// Empties the queue; returns the people, as [`PersonDomain::person`] would, in the order of the identifiers.
    pub fn finish(&mut self) -> impl Iterator<Item = PersonKey> {
        self.0.finish().iter().map(|digest| PersonKey::new(*digest))
    }
}

/// Lanes that are filled together: as many as the widest vectors have.
const LANES: usize = 16;
const BLOCK_BYTES: usize = 64;
const BLOCK_WORDS: usize = 16;
const KEY_WORDS: usize = 8;

/// Messages that wait: those of one block, and those of two.
struct Queue {
    one: Lanes<1>,
    two: Lanes<2>,
    /// Messages pushed since the last [`finish`](Self::finish).
    len: u32,
    digests: Vec<[u8; 16]>,
}

/// Messages of so many blocks, of which each [`LANES`] are hashed at once: they need not leave the nearest cache.
struct Lanes<const BLOCKS: usize> {
    level: Level,
    group: Box<Group<BLOCKS>>,
    used: usize,
}

/// Messages and their keys, one after the other.
struct Group<const BLOCKS: usize> {
    keys: [[u8; SECRET_BYTES]; LANES],
    messages: [[[u8; BLOCK_BYTES]; BLOCKS]; LANES],
    /// The bytes in each last block.
    lengths: [u32; LANES],
    /// Where each digest goes.
    places: [u32; LANES],
}

impl Queue {
    fn new(level: Level) -> Self {
        Self { one: Lanes::new(level), two: Lanes::new(level), len: 0, digests: Vec::new() }
    }

    #[inline]
    fn push<const PIECES: usize>(&mut self, key: &[u8; SECRET_BYTES], pieces: [&[u8]; PIECES]) {
        let place = self.len;
        self.len += 1;
        if self.digests.len() <= index(place) {
            self.digests.resize(2 * index(place) + LANES, [0; 16]);
        }
        let bytes = pieces.iter().map(|piece| piece.len()).sum();
        if bytes <= BLOCK_BYTES {
            self.one.push(place, key, pieces, bytes);
            self.one.hash_if_full(&mut self.digests);
        } else if bytes <= 2 * BLOCK_BYTES {
            self.two.push(place, key, pieces, bytes);
            self.two.hash_if_full(&mut self.digests);
        } else {
            self.digests[index(place)] = first_half(&blake3::keyed_hash(key, &pieces.concat()));
        }
    }

    fn finish(&mut self) -> &[[u8; 16]] {
        self.one.hash(&mut self.digests);
        self.two.hash(&mut self.digests);
        &self.digests[..index(std::mem::take(&mut self.len))]
    }
}

impl<const BLOCKS: usize> Lanes<BLOCKS> {
    fn new(level: Level) -> Self {
        Self { level, group: Box::new(Group::EMPTY), used: 0 }
    }

    #[inline]
    fn push<const PIECES: usize>(
        &mut self,
        place: u32,
        key: &[u8; SECRET_BYTES],
        pieces: [&[u8]; PIECES],
        bytes: usize,
    ) {
        let (group, lane) = (&mut *self.group, self.used);
        self.used += 1;
        (group.keys[lane], group.places[lane]) = (*key, place);
        group.lengths[lane] = u32::try_from(bytes - (BLOCKS - 1) * BLOCK_BYTES).expect("a block has 64 bytes");
        // Written in place: what is copied on at once has to wait until it was written.
        let mut message = group.messages[lane].as_flattened_mut();
        message.fill(0);
        for piece in pieces {
            let (start, rest) = message.split_at_mut(piece.len());
            start.copy_from_slice(piece);
            message = rest;
        }
    }

    #[inline]
    fn hash_if_full(&mut self, digests: &mut [[u8; 16]]) {
        if self.used == LANES {
            self.hash(digests);
        }
    }

    /// Hashes all that waits, each to its place.
    #[inline(never)]
    fn hash(&mut self, digests: &mut [[u8; 16]]) {
        let used = std::mem::take(&mut self.used);
        dispatch!(self.level, simd => self.group.hash(simd, used, digests));
    }
}

impl<const BLOCKS: usize> Drop for Lanes<BLOCKS> {
    fn drop(&mut self) {
        self.group.keys.zeroize();
        for message in &mut self.group.messages {
            message.zeroize();
        }
    }
}

impl<const BLOCKS: usize> Group<BLOCKS> {
    const EMPTY: Self = Self {
        keys: [[0; SECRET_BYTES]; LANES],
        messages: [[[0; BLOCK_BYTES]; BLOCKS]; LANES],
        lengths: [0; LANES],
        places: [0; LANES],
    };

    /// Hashes the first `used` lanes, as many at a time as the processor's vectors have.
    #[expect(clippy::inline_always, reason = "it must be compiled for the processor it was dispatched to")]
    #[inline(always)]
    fn hash<S: Simd>(&self, simd: S, used: usize, digests: &mut [[u8; 16]]) {
        // What goes from block to block starts as the key.
        let mut chain = [[0; LANES]; KEY_WORDS];
        transpose(simd, |lane| &self.keys[lane], &mut chain);
        for at in 0..BLOCKS {
            let is_last = at + 1 == BLOCKS;
            let end = if is_last { CHUNK_END | ROOT } else { 0 };
            let flags = KEYED_HASH | end | if at == 0 { CHUNK_START } else { 0 };
            let lengths = if is_last { &self.lengths } else { &[64; LANES] };
            let mut columns = [[0; LANES]; BLOCK_WORDS];
            transpose(simd, |lane| &self.messages[lane][at], &mut columns);
            for from in (0..used).step_by(S::u32s::LEN) {
                compress(simd, &mut chain, &columns, (lengths, flags), from);
            }
        }
        for (lane, place) in self.places.iter().enumerate().take(used) {
            let digest = digests[index(*place)].as_chunks_mut::<4>().0;
            for (bytes, row) in digest.iter_mut().zip(&chain) {
                *bytes = row[lane].to_le_bytes();
            }
        }
    }
}

/// The compression function of BLAKE3 (section 2.2), for blocks of messages that are one chunk.
#[expect(clippy::inline_always, reason = "it must be compiled for the processor it was dispatched to")]
#[inline(always)]
fn compress<S: Simd>(
    simd: S,
    chain: &mut [[u32; LANES]; KEY_WORDS],
    blocks: &[[u32; LANES]; BLOCK_WORDS],
    (lengths, flags): (&[u32; LANES], u32),
    from: usize,
) {
    let lanes = from..from + S::u32s::LEN;
    let load = |row: &[u32; LANES]| S::u32s::from_slice(simd, &row[lanes.clone()]);
    let splat = |word| S::u32s::splat(simd, word);
    let mut block = [splat(0); BLOCK_WORDS];
    for (word, row) in block.iter_mut().zip(blocks) {
        *word = load(row);
    }
    let mut state = [splat(0); 16];
    for (word, row) in state.iter_mut().zip(&*chain) {
        *word = load(row);
    }
    for (word, initial) in state[KEY_WORDS..].iter_mut().zip(IV) {
        *word = splat(initial);
    }
    (state[14], state[15]) = (load(lengths), splat(flags));
    round::<S, 0>(&mut state, &block);
    round::<S, 1>(&mut state, &block);
    round::<S, 2>(&mut state, &block);
    round::<S, 3>(&mut state, &block);
    round::<S, 4>(&mut state, &block);
    round::<S, 5>(&mut state, &block);
    round::<S, 6>(&mut state, &block);
    for (word, row) in chain.iter_mut().enumerate() {
        (state[word] ^ state[word + 8]).store_slice(&mut row[lanes.clone()]);
    }
}

fn index(place: u32) -> usize {
    usize::try_from(place).expect("usize has at least 32 bits")
}

/// Puts blocks side by side: a row for each word, a column for each lane.
#[expect(clippy::inline_always, reason = "it must be compiled for the processor it was dispatched to")]
#[inline(always)]
fn transpose<'r, S: Simd, const BYTES: usize, const WORDS: usize>(
    simd: S,
    row: impl Fn(usize) -> &'r [u8; BYTES],
    columns: &mut [[u32; LANES]; WORDS],
) {
    const { assert!(cfg!(target_endian = "little") && BYTES == 4 * WORDS, "words are read as they lie in memory") };
    for lane in (0..LANES).step_by(4) {
        for word in (0..WORDS).step_by(4) {
            let load =
                |at: usize| -> u32x4<S> { u8x16::from_slice(simd, &row(lane + at)[4 * word..4 * word + 16]).bitcast() };
            let [a, b, c, d] = [load(0), load(1), load(2), load(3)];
            let (ac, bd) = (a.zip_low(c), b.zip_low(d));
            let (ac_high, bd_high) = (a.zip_high(c), b.zip_high(d));
            let four = [ac.zip_low(bd), ac.zip_high(bd), ac_high.zip_low(bd_high), ac_high.zip_high(bd_high)];
            for (at, column) in four.iter().enumerate() {
                column.store_slice(&mut columns[word + at][lane..lane + 4]);
            }
        }
    }
}

/// Mixes columns, then diagonals. Everything that says which word is meant is a constant, so the state stays in registers.
#[expect(clippy::inline_always, reason = "it must be compiled for the processor it was dispatched to")]
#[inline(always)]
fn round<S: Simd, const ROUND: usize>(state: &mut [S::u32s; 16], block: &[S::u32s; BLOCK_WORDS]) {
    let word = |at: usize| block[const { SCHEDULE[ROUND] }[at]];
    mix::<S>(state, [0, 4, 8, 12], word(0), word(1));
    mix::<S>(state, [1, 5, 9, 13], word(2), word(3));
    mix::<S>(state, [2, 6, 10, 14], word(4), word(5));
    mix::<S>(state, [3, 7, 11, 15], word(6), word(7));
    mix::<S>(state, [0, 5, 10, 15], word(8), word(9));
    mix::<S>(state, [1, 6, 11, 12], word(10), word(11));
    mix::<S>(state, [2, 7, 8, 13], word(12), word(13));
    mix::<S>(state, [3, 4, 9, 14], word(14), word(15));
}

/// The quarter round, with the names of the BLAKE3 paper.
#[expect(clippy::many_single_char_names, reason = "they are the paper's")]
#[expect(clippy::inline_always, reason = "it must be compiled for the processor it was dispatched to")]
#[inline(always)]
fn mix<S: Simd>(state: &mut [S::u32s; 16], [a, b, c, d]: [usize; 4], x: S::u32s, y: S::u32s) {
    state[a] = state[a] + state[b] + x;
    state[d] = rotate::<S, 16>(state[d] ^ state[a]);
    state[c] += state[d];
    state[b] = rotate::<S, 12>(state[b] ^ state[c]);
    state[a] = state[a] + state[b] + y;
    state[d] = rotate::<S, 8>(state[d] ^ state[a]);
    state[c] += state[d];
    state[b] = rotate::<S, 7>(state[b] ^ state[c]);
}

#[expect(clippy::inline_always, reason = "it must be compiled for the processor it was dispatched to")]
#[inline(always)]
fn rotate<S: Simd, const BITS: u32>(word: S::u32s) -> S::u32s {
    (word >> BITS) | (word << (32 - BITS))
}

/// The first words of SHA-256's initial value, as BLAKE3 takes them.
const IV: [u32; 4] = [0x6A09_E667, 0xBB67_AE85, 0x3C6E_F372, 0xA54F_F53A];
const CHUNK_START: u32 = 1;
const CHUNK_END: u32 = 2;
const ROOT: u32 = 8;
const KEYED_HASH: u32 = 16;
/// In which order each of the seven rounds takes the words of the block.
const SCHEDULE: [[usize; 16]; 7] = schedule();

const fn schedule() -> [[usize; 16]; 7] {
    const PERMUTATION: [usize; 16] = [2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8];
    let mut rounds = [[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]; 7];
    let mut round = 1;
    while round < 7 {
        let mut word = 0;
        while word < 16 {
            rounds[round][word] = rounds[round - 1][PERMUTATION[word]];
            word += 1;
        }
        round += 1;
    }
    rounds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_agree_with_blake3_for_every_length_and_fill() {
        let message: Vec<u8> = (0..220).collect();
        for level in [Level::new(), Level::baseline(), Level::fallback()] {
            let mut queue = Queue::new(level);
            for count in 0..=40 {
                for offset in 0..135 {
                    let inputs: Vec<_> = (0..count)
                        .map(|at| {
                            let key = [u8::try_from(at + offset).unwrap(); SECRET_BYTES];
                            (key, &message[at..at + (at * 31 + offset) % 131])
                        })
                        .collect();
                    for (key, input) in &inputs {
                        queue.push(key, [*input]);
                    }
                    let want: Vec<_> =
                        inputs.iter().map(|(key, input)| first_half(&blake3::keyed_hash(key, input))).collect();
                    assert_eq!(queue.finish(), want);
                    for (key, input) in &inputs {
                        let (start, end) = input.split_at(input.len() / 3);
                        queue.push(key, [start, &[], end]);
                    }
                    assert_eq!(queue.finish(), want);
                }
            }
        }
    }
}
