//! Where strings begin and end, and where brackets are.
//!
//! One pass over the text, 64 bytes at a time and without a branch on what they are, finds every unescaped quote and every
//! bracket outside strings. Afterwards a string's end is known without looking at it, so skipping content costs the same
//! whatever its length.

use super::block::{Block, classify};
use super::text::{END, Far, Near};
use fearless_simd::{Level, Simd, dispatch};
use weir_policy::MalformedCode;

pub(super) use super::block::BLOCK;

/// The marks of one text; its buffers are used again for the next.
pub(crate) struct Index {
    /// The processor's instructions, found out once.
    level: Level,
    /// A short text, with its marks and backslashes.
    near: Box<Near>,
    /// The marks of a longer text.
    marks: Vec<u32>,
    /// A bit for each byte of a longer text that is a backslash.
    backslashes: Vec<u64>,
}

/// A text that was read.
pub(crate) enum Text<'t> {
    Near(&'t Near),
    Far(Far<'t>),
}

impl Index {
    /// Makes an index that works with these instructions of the processor.
    pub(crate) fn new(level: Level) -> Self {
        Self { level, near: Near::new(), marks: Vec::new(), backslashes: Vec::new() }
    }

    /// Reads a text that is shorter than 4 GiB.
    ///
    /// Fails with `utf8` where the text is not UTF-8, and with `json` where a string does not end or holds a control
    /// character; [`Cursor`](super::Cursor) checks the rest.
    pub(crate) fn read<'t>(&'t mut self, text: &'t [u8]) -> Result<Text<'t>, MalformedCode> {
        let Self { level, near, marks, backslashes } = self;
        let blocks = text.len().div_ceil(BLOCK);
        if text.len() <= Near::LONGEST {
            let (padded, marks, backslashes) = near.take(text);
            let scan = Scan::at_best(*level, padded, marks, backslashes);
            scan.check(text)?;
            near.end(scan.marks, if scan.any_backslash == 0 { 0 } else { blocks });
            return Ok(Text::Near(near));
        }
        // Whole blocks of marks are written, and overwritten where a block has fewer.
        marks.resize(marks.len().max((blocks + 1) * BLOCK), END);
        backslashes.resize(backslashes.len().max(blocks), 0);
        let scan = Scan::at_best(*level, text, marks, backslashes);
        scan.check(text)?;
        let backslashes = if scan.any_backslash == 0 { &[] } else { &backslashes[..blocks] };
        Ok(Text::Far(Far { text, marks: &marks[..scan.marks], backslashes }))
    }

    /// Overwrites what was read last.
    pub(crate) fn forget(&mut self) {
        self.near.forget();
    }

    /// Tells whether these bytes are still there of a text that was read.
    #[cfg(test)]
    pub(crate) fn holds(&self, bytes: &[u8]) -> bool {
        self.near.text.windows(bytes.len()).any(|found| found == bytes)
    }
}

impl Scan {
    fn at_best(level: Level, text: &[u8], marks: &mut [u32], backslashes: &mut [u64]) -> Self {
        #[cfg(target_arch = "x86_64")]
        if let Some(avx512) = level.as_avx512() {
            return avx512::scan(avx512, text, marks, backslashes);
        }
        dispatch!(level, simd => Self::of(simd, text, (marks, backslashes), prefix_xor, write_positions))
    }

    /// Scans a text, with ways to do two things that some processors have instructions for.
    #[inline(always)]
    fn of<S: Simd>(
        simd: S,
        text: &[u8],
        (marks, backslashes): (&mut [u32], &mut [u64]),
        prefix_xor: impl Fn(u64) -> u64,
        write_positions: impl Fn(&mut [u32; BLOCK], u32, u64),
    ) -> Self {
        let mut scan = Self::default();
        let (blocks, rest) = text.as_chunks::<BLOCK>();
        let (whole, of_rest) = backslashes.split_at_mut(blocks.len());
        for (block, backslashes) in blocks.iter().zip(whole) {
            *backslashes = scan.block(classify(simd, block), marks, &prefix_xor, &write_positions);
        }
        if let [backslashes, ..] = of_rest {
            let mut block = [b' '; BLOCK];
            block[..rest.len()].copy_from_slice(rest);
            *backslashes = scan.block(classify(simd, &block), marks, &prefix_xor, &write_positions);
        }
        scan
    }

    /// Adds a block's marks; returns its backslashes.
    #[inline(always)]
    fn block(
        &mut self,
        block: Block,
        marks: &mut [u32],
        prefix_xor: impl Fn(u64) -> u64,
        write_positions: impl Fn(&mut [u32; BLOCK], u32, u64),
    ) -> u64 {
        let strings = self.strings(&block, prefix_xor);
        let found = strings.quotes | block.brackets & !strings.inside;
        let room = marks[self.marks..].first_chunk_mut().expect("room for a block is reserved");
        write_positions(room, self.base, found);
        self.marks += usize_of(found.count_ones());
        self.base = self.base.wrapping_add(64);
        block.backslashes
    }
}

/// What AVX-512 has of its own: it writes the positions of a block's marks at once.
#[cfg(target_arch = "x86_64")]
mod avx512 {
    use super::{BLOCK, Scan};
    use fearless_simd::{prelude::*, u32x16};
    use std::arch::x86_64 as arch;

    fearless_simd::kernel!(
        pub(super) fn scan(avx512: Avx512, text: &[u8], marks: &mut [u32], backslashes: &mut [u64]) -> Scan {
            let numbers = arch::_mm512_set_epi64(
                0x3f3e_3d3c_3b3a_3938,
                0x3736_3534_3332_3130,
                0x2f2e_2d2c_2b2a_2928,
                0x2726_2524_2322_2120,
                0x1f1e_1d1c_1b1a_1918,
                0x1716_1514_1312_1110,
                0x0f0e_0d0c_0b0a_0908,
                0x0706_0504_0302_0100,
            );
            let prefix_xor = |bits: u64| {
                let bits = arch::_mm_set_epi64x(0, bits.cast_signed());
                let product = arch::_mm_clmulepi64_si128::<0>(bits, arch::_mm_set1_epi8(-1));
                arch::_mm_cvtsi128_si64(product).cast_unsigned()
            };
            let write_positions = |room: &mut [u32; BLOCK], base: u32, bits: u64| {
                let places = arch::_mm512_maskz_compress_epi8(bits, numbers);
                let base = arch::_mm512_set1_epi32(base.cast_signed());
                let wide = |bytes| arch::_mm512_add_epi32(base, arch::_mm512_cvtepu8_epi32(bytes));
                let [first, second, third, fourth] = room.as_chunks_mut::<16>().0 else { return };
                let store = |bytes, room: &mut [u32; 16]| {
                    let words: u32x16<_> = wide(bytes).simd_into(avx512);
                    words.store_slice(room);
                };
                store(arch::_mm512_castsi512_si128(places), first);
                if bits.count_ones() > 16 {
                    store(arch::_mm512_extracti32x4_epi32::<1>(places), second);
                    store(arch::_mm512_extracti32x4_epi32::<2>(places), third);
                    store(arch::_mm512_extracti32x4_epi32::<3>(places), fourth);
                }
            };
            Scan::of(avx512, text, (marks, backslashes), prefix_xor, write_positions)
        }
    );
}

/// What one block must know of those before it.
#[derive(Default)]
struct Scan {
    marks: usize,
    base: u32,
    /// All ones if the last block ended inside a string.
    in_string: u64,
    /// 1 if the last block ended with a backslash that escapes the next byte.
    escaped: u64,
    /// Control characters inside strings, of any block.
    controls: u64,
    /// Bytes that are not ASCII, of any block.
    high: u64,
    /// How many blocks come before the first that has such bytes.
    ascii: usize,
    any_backslash: u64,
}

struct Strings {
    quotes: u64,
    inside: u64,
}

impl Scan {
    /// Fails where the text is not UTF-8, or a string does not end or holds a control character.
    fn check(&self, text: &[u8]) -> Result<(), MalformedCode> {
        if !self.is_utf8(text) {
            return Err(MalformedCode::Utf8);
        }
        if self.in_string != 0 || self.controls != 0 {
            return Err(MalformedCode::Json);
        }
        Ok(())
    }

    /// Tells whether the text is UTF-8. What comes before the first block that is not ASCII all through need not be looked at.
    #[inline]
    fn is_utf8(&self, text: &[u8]) -> bool {
        self.high == 0 || simdutf8::basic::from_utf8(&text[self.ascii * BLOCK..]).is_ok()
    }

    #[inline(always)]
    fn strings(&mut self, block: &Block, prefix_xor: impl Fn(u64) -> u64) -> Strings {
        self.any_backslash |= block.backslashes;
        self.high |= block.high;
        self.ascii += usize::from(self.high == 0);
        let quotes = block.quotes & !self.escaped_bytes(block.backslashes);
        // From each opening quote to the byte before its closing one.
        let inside = prefix_xor(quotes) ^ self.in_string;
        self.in_string = 0_u64.wrapping_sub(inside >> 63);
        self.controls |= block.controls & inside;
        Strings { quotes, inside }
    }

    /// Marks the bytes that a backslash escapes: those after a run of backslashes of odd length.
    #[inline(always)]
    fn escaped_bytes(&mut self, backslashes: u64) -> u64 {
        if backslashes | self.escaped == 0 {
            return 0;
        }
        let backslashes = backslashes & !self.escaped;
        let follows = backslashes << 1 | self.escaped;
        // Adding a run's first bit carries to the end of the run: its parity then shows in the bit it lands on.
        let odd_starts = backslashes & !EVEN & !follows;
        let (ends, carry) = odd_starts.overflowing_add(backslashes);
        self.escaped = carry.into();
        (EVEN ^ ends << 1) & follows
    }
}

/// Bits at even places.
const EVEN: u64 = 0x5555_5555_5555_5555;

/// Each bit becomes the parity of itself and all lower bits.
#[inline(always)]
fn prefix_xor(mut bits: u64) -> u64 {
    for shift in [1, 2, 4, 8, 16, 32] {
        bits ^= bits << shift;
    }
    bits
}

/// Writes the positions of the set bits.
#[inline(always)]
fn write_positions(room: &mut [u32; BLOCK], base: u32, mut bits: u64) {
    // A fixed number at once: the branch that counts them would be mispredicted for every block.
    for burst in room.as_chunks_mut::<BURST>().0 {
        for mark in burst {
            *mark = base.wrapping_add(bits.trailing_zeros());
            bits &= bits.wrapping_sub(1);
        }
        if bits == 0 {
            return;
        }
    }
}

/// Marks that are written at once.
const BURST: usize = 8;

pub(super) fn small(position: usize) -> u32 {
    u32::try_from(position).expect("a text is shorter than 4 GiB")
}

#[inline]
pub(crate) fn usize_of(small: u32) -> usize {
    #[expect(clippy::as_conversions, reason = "no target of weir has a usize below 32 bits")]
    let wide = small as usize;
    wide
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::text::Marked;
    use crate::level::levels;

    fn marks(text: &str) -> Result<Vec<u32>, MalformedCode> {
        let mut found = levels().into_iter().map(|(_, level)| {
            let mut index = Index::new(level);
            Ok(all_marks(index.read(text.as_bytes())?))
        });
        let first = found.next().unwrap();
        found.for_each(|other| assert_eq!(first, other, "all processors find the same"));
        first
    }

    fn all_marks(text: Text<'_>) -> Vec<u32> {
        fn of(text: impl Marked) -> Vec<u32> {
            (0..=text.all().len()).map(|number| text.mark(number)).take_while(|mark| *mark != END).collect()
        }
        match text {
            Text::Near(near) => of(near),
            Text::Far(far) => of(far),
        }
    }

    fn next_escape(index: &mut Index, text: &[u8], start: u32) -> u32 {
        match index.read(text).unwrap() {
            Text::Near(near) => near.next_escape(start),
            Text::Far(far) => far.next_escape(start),
        }
    }

    /// Byte after byte, as one would by hand.
    fn obvious(text: &str) -> Result<Vec<u32>, MalformedCode> {
        let (mut marks, mut inside, mut escaped) = (Vec::new(), false, false);
        for (at, byte) in (0..).zip(text.bytes()) {
            // Outside strings a backslash is never JSON, and whether it escapes a bracket is nobody's business.
            let follows = std::mem::take(&mut escaped);
            match byte {
                b'\\' | b'"' if follows => {}
                b'\\' => escaped = true,
                b'"' => {
                    inside = !inside;
                    marks.push(at);
                }
                0..0x20 if inside => return Err(MalformedCode::Json),
                b'{' | b'[' | b'}' | b']' if !inside => marks.push(at),
                _ => {}
            }
        }
        if inside { Err(MalformedCode::Json) } else { Ok(marks) }
    }

    #[test]
    fn marks_are_those_found_byte_by_byte_wherever_blocks_end() {
        let pieces = [r#"{"a\\":"b\"{","#, r#"[1,{"é":null}]"#, r#""\\\\\"x\\":true}"#, " ", r#"{"":[[]]}"#, "\\"];
        for seed in 0..20_000_u64 {
            let mut text = String::new();
            let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
            for _ in 0..state % 23 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let piece = usize::try_from(state >> 33).unwrap() % pieces.len();
                text.push_str(pieces[piece]);
            }
            assert_eq!(marks(&text), obvious(&text), "seed {seed}");
        }
    }

    #[test]
    fn a_control_character_in_a_string_is_not_json() {
        assert_eq!(marks("{\"a\tb\":1}"), Err(MalformedCode::Json));
        assert_eq!(marks("{\t\"ab\":1}"), Ok(vec![0, 2, 5, 8]));
    }

    #[test]
    fn broken_utf8_is_told_apart_from_broken_json() {
        for (text, code) in [(&b"{\"\xFF"[..], MalformedCode::Utf8), (b"{\"", MalformedCode::Json)] {
            assert_eq!(Index::new(Level::new()).read(text).err(), Some(code));
        }
    }

    #[test]
    fn next_escape_is_found_wherever_one_looks_from() {
        let mut index = Index::new(Level::new());
        // A text that is near, and one that is not.
        for longer in [0, 20_000] {
            let mut text = "x".repeat(200 + longer);
            text.replace_range(130..132, "\\n");
            for start in [0, 63, 64, 128, 129, 130] {
                assert_eq!(next_escape(&mut index, text.as_bytes(), start), 130);
            }
            for start in [131, 191, 192, 199, 200] {
                assert_eq!(next_escape(&mut index, text.as_bytes(), start), END);
            }
            // What an earlier text left does not count.
            assert_eq!(next_escape(&mut index, &text.as_bytes()[..100], 0), END);
            text.replace_range(99..101, "\\n");
            let ends = [0, 99, 100].map(|start| next_escape(&mut index, &text.as_bytes()[..102], start));
            assert_eq!(ends, [99, 99, END]);
        }
    }

    #[test]
    fn nothing_is_left_of_a_text_that_is_forgotten() {
        let mut index = Index::new(Level::new());
        index.read(b"{\"email\":\"alice@example.org\"}").unwrap();
        assert!(index.near.text.starts_with(b"{\"email"));
        index.forget();
        assert!(index.near.text.iter().all(|byte| *byte == 0));
    }

    #[test]
    fn a_text_reads_as_nuls_behind_its_end() {
        let mut index = Index::new(Level::new());
        for length in [0, 1, 48, 49, 63, 64, 65, Near::LONGEST - 1, Near::LONGEST, Near::LONGEST + 1] {
            // What an earlier and longer text left does not show.
            index.read("y".repeat(length + 200).as_bytes()).unwrap();
            let text = "x".repeat(length);
            let read = |text: &dyn Fn(usize) -> (u8, u64, [u64; 2])| {
                assert_eq!(text(length), (0, 0, [0; 2]));
                if length > 0 {
                    assert_eq!(text(length - 1), (b'x', b'x'.into(), [b'x'.into(), 0]));
                }
            };
            match index.read(text.as_bytes()).unwrap() {
                Text::Near(near) => read(&|at| (near.byte(at), near.eight(at), near.sixteen(at))),
                Text::Far(far) => read(&|at| (far.byte(at), far.eight(at), far.sixteen(at))),
            }
        }
    }
}
