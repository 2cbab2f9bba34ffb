//! Many keyed hashes at once: one in each lane of the processor's vectors.
//!
//! An identifier fits one block of BLAKE3, and hashing it alone leaves most of the processor idle: sixteen of them, each
//! under a key of its own, take hardly longer than one. The result is that of [`blake3::keyed_hash`] to the bit, which a
//! test holds for every length; what is longer than a block goes there directly.

use fearless_simd::{Level, Simd, dispatch, prelude::*, u32x4};
use zeroize::Zeroize;

use crate::{
    key_set::PersonDomain,
    keys::{PersonKey, PseudonymKey, first_half},
    secret::SECRET_BYTES,
};

/// Identifiers that wait to become pseudonyms.
#[expect(missing_debug_implementations, reason = "holds keys and identifiers")]
#[derive(Default)]
pub struct PseudonymQueue(Queue);

impl PseudonymQueue {
    /// Makes an empty queue.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an identifier in its canonical form.
    pub fn push(&mut self, key: &PseudonymKey, canonical: &[u8]) {
        self.0.push(key.expose(), canonical);
    }

    /// Empties the queue; returns the pseudonyms, as [`PseudonymKey::digest`] would, in the order of the identifiers.
    pub fn finish(&mut self) -> &[[u8; 16]] {
        self.0.finish()
    }
}

/// Identifiers that wait to become people of the consent domain.
#[expect(missing_debug_implementations, reason = "holds keys and identifiers")]
#[derive(Default)]
pub struct PersonQueue(Queue);

impl PersonQueue {
    /// Makes an empty queue.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an identifier in its canonical form.
    pub fn push(&mut self, domain: &PersonDomain, canonical: &[u8]) {
        self.0.push(domain.expose(), canonical);
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

/// Blocks that wait, by groups of [`LANES`].
struct Queue {
    level: Level,
    groups: Vec<Group>,
    /// Blocks pushed since the last [`finish`](Self::finish).
    len: usize,
    /// What did not fit a block, hashed, with its place.
    long: Vec<(usize, [u8; 16])>,
    digests: Vec<[u8; 16]>,
}

/// Blocks and their keys, one after the other.
#[derive(Clone)]
struct Group {
    keys: [[u32; KEY_WORDS]; LANES],
    blocks: [[u32; BLOCK_WORDS]; LANES],
    lengths: [u32; LANES],
}

impl Group {
    const EMPTY: Self = Self { keys: [[0; KEY_WORDS]; LANES], blocks: [[0; BLOCK_WORDS]; LANES], lengths: [0; LANES] };
}

impl Queue {
    fn push(&mut self, key: &[u8; SECRET_BYTES], message: &[u8]) {
        let (group, lane) = (self.len / LANES, self.len % LANES);
        if group == self.groups.len() {
            self.groups.push(Group::EMPTY);
        }
        if message.len() > BLOCK_BYTES {
            self.long.push((self.len, first_half(&blake3::keyed_hash(key, message))));
        } else {
            self.groups[group].set(lane, key, message);
        }
        self.len += 1;
    }

    fn finish(&mut self) -> &[[u8; 16]] {
        self.digests.resize(self.len.next_multiple_of(LANES), [0; 16]);
        let groups = self.len.div_ceil(LANES);
        for (at, (group, digests)) in self.groups[..groups].iter().zip(self.digests.chunks_mut(LANES)).enumerate() {
            let used = (self.len - at * LANES).min(LANES);
            dispatch!(self.level, simd => group.hash(simd, used, digests));
        }
        for (at, digest) in self.long.drain(..) {
            self.digests[at] = digest;
        }
        &self.digests[..std::mem::take(&mut self.len)]
    }
}

impl Default for Queue {
    fn default() -> Self {
        Self { level: Level::new(), groups: Vec::new(), len: 0, long: Vec::new(), digests: Vec::new() }
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        for group in &mut self.groups {
            group.keys.zeroize();
            group.blocks.zeroize();
        }
    }
}

impl Group {
    #[inline]
    fn set(&mut self, lane: usize, key: &[u8; SECRET_BYTES], message: &[u8]) {
        let mut block = [0; BLOCK_BYTES];
        block[..message.len()].copy_from_slice(message);
        self.keys[lane] = words(key);
        self.blocks[lane] = words(&block);
        self.lengths[lane] = u32::try_from(message.len()).expect("a block has 64 bytes");
    }

    /// Hashes the first `used` lanes, as many at a time as the processor's vectors have.
    #[expect(clippy::inline_always, reason = "it must be compiled for the processor it was dispatched to")]
    #[inline(always)]
    fn hash<S: Simd>(&self, simd: S, used: usize, digests: &mut [[u8; 16]]) {
        let (mut keys, mut blocks) = ([[0; LANES]; KEY_WORDS], [[0; LANES]; BLOCK_WORDS]);
        transpose(simd, &self.keys, &mut keys);
        transpose(simd, &self.blocks, &mut blocks);
        let mut words = [[0; LANES]; 4];
        for from in (0..used).step_by(S::u32s::LEN) {
            self.compress(simd, (&keys, &blocks), from, &mut words);
        }
        for (lane, digest) in digests.iter_mut().enumerate().take(used) {
            for (bytes, row) in digest.as_chunks_mut::<4>().0.iter_mut().zip(&words) {
                *bytes = row[lane].to_le_bytes();
            }
        }
    }

    /// The compression function of BLAKE3 (section 2.2) for one block that is chunk and root in one.
    #[expect(clippy::inline_always, reason = "it must be compiled for the processor it was dispatched to")]
    #[inline(always)]
    fn compress<S: Simd>(
        &self,
        simd: S,
        (keys, blocks): (&[[u32; LANES]; KEY_WORDS], &[[u32; LANES]; BLOCK_WORDS]),
        from: usize,
        words: &mut [[u32; LANES]; 4],
    ) {
        let lanes = from..from + S::u32s::LEN;
        let load = |row: &[u32; LANES]| S::u32s::from_slice(simd, &row[lanes.clone()]);
        let splat = |word| S::u32s::splat(simd, word);
        let block: [_; BLOCK_WORDS] = std::array::from_fn(|word| load(&blocks[word]));
        let mut state: [_; 16] = std::array::from_fn(|word| match word {
            0..8 => load(&keys[word]),
            8..12 => splat(IV[word - 8]),
            12 | 13 => splat(0),
            14 => load(&self.lengths),
            _ => splat(FLAGS),
        });
        round::<S, 0>(&mut state, &block);
        round::<S, 1>(&mut state, &block);
        round::<S, 2>(&mut state, &block);
        round::<S, 3>(&mut state, &block);
        round::<S, 4>(&mut state, &block);
        round::<S, 5>(&mut state, &block);
        round::<S, 6>(&mut state, &block);
        for (word, row) in words.iter_mut().enumerate() {
            (state[word] ^ state[word + 8]).store_slice(&mut row[lanes.clone()]);
        }
    }
}

fn words<const BYTES: usize, const WORDS: usize>(bytes: &[u8; BYTES]) -> [u32; WORDS] {
    let mut words = [0; WORDS];
    for (word, bytes) in words.iter_mut().zip(bytes.as_chunks::<4>().0) {
        *word = u32::from_le_bytes(*bytes);
    }
    words
}

/// Puts blocks side by side: a row for each word, a column for each lane.
#[expect(clippy::inline_always, reason = "it must be compiled for the processor it was dispatched to")]
#[inline(always)]
fn transpose<S: Simd, const WORDS: usize>(simd: S, rows: &[[u32; WORDS]; LANES], columns: &mut [[u32; LANES]; WORDS]) {
    for lane in (0..LANES).step_by(4) {
        for word in (0..WORDS).step_by(4) {
            let load = |at: usize| u32x4::from_slice(simd, &rows[lane + at][word..word + 4]);
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
/// `CHUNK_START`, `CHUNK_END`, `ROOT` and `KEYED_HASH`.
const FLAGS: u32 = 1 | 2 | 8 | 16;
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
        let message: Vec<u8> = (0..120).collect();
        for level in [Level::new(), Level::baseline()] {
            let mut queue = Queue::default();
            queue.level = level;
            for count in 0..=40 {
                for offset in 0..70 {
                    let inputs: Vec<_> = (0..count)
                        .map(|at| {
                            let key = [u8::try_from(at + 3 * offset).unwrap(); SECRET_BYTES];
                            (key, &message[at..at + (at * 31 + offset) % 66])
                        })
                        .collect();
                    for (key, input) in &inputs {
                        queue.push(key, input);
                    }
                    let want: Vec<_> =
                        inputs.iter().map(|(key, input)| first_half(&blake3::keyed_hash(key, input))).collect();
                    assert_eq!(queue.finish(), want);
                }
            }
        }
    }
}
