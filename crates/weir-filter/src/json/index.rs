//! Where strings begin and end, and where brackets are.
//!
//! One pass over the text, 64 bytes at a time and without a branch on what they are, finds every unescaped quote and every
//! bracket outside strings. Afterwards a string's end is known without looking at it, so skipping content costs the same
//! whatever its length.

use super::block::{BLOCK, Block, classify};
use fearless_simd::{Level, Simd, dispatch};
use weir_policy::MalformedCode;

/// The marks of one text; its buffers are used again for the next.
pub(crate) struct Index {
    /// The processor's instructions, found out once.
    level: Level,
    /// Positions of unescaped quotes and of brackets outside strings, then [`END`].
    marks: Vec<u32>,
    /// Number of marks before [`END`].
    len: usize,
    /// Which of the marks are brackets.
    brackets: Vec<u32>,
    /// A bit for each byte of the text that is a backslash.
    backslashes: Vec<u64>,
    /// Whether there is any backslash.
    escapes: bool,
    /// Deepest nesting.
    depth: usize,
}

/// Follows the last mark, as often as a walker may look ahead: no text has this position.
pub(super) const END: u32 = u32::MAX;
/// How many [`END`]s there are.
const ENDS: usize = 4;
/// Marks that are written at once; more than a block has is written and then overwritten.
const BURST: usize = 8;

impl Index {
    /// Reads a text that is shorter than 4 GiB.
    ///
    /// Fails with `utf8` where the text is not UTF-8, and with `json` where a string does not end, holds a control
    /// character, or brackets do not balance; [`Cursor`](super::Cursor) checks the rest.
    pub(crate) fn read(&mut self, text: &[u8]) -> Result<(), MalformedCode> {
        self.reserve(text.len());
        let scan = dispatch!(self.level, simd => self.scan(simd, text));
        self.len = scan.marks;
        self.marks[self.len..self.len + ENDS].fill(END);
        self.escapes = scan.any_backslash != 0;
        if scan.high != 0 && std::str::from_utf8(text).is_err() {
            return Err(MalformedCode::Utf8);
        }
        if scan.in_string != 0 || scan.controls != 0 {
            return Err(MalformedCode::Json);
        }
        self.depth = self.nesting(text).ok_or(MalformedCode::Json)?;
        Ok(())
    }

    /// Returns the marks, ended by [`END`].
    pub(super) fn marks(&self) -> &[u32] {
        &self.marks
    }

    /// Returns the deepest nesting of objects and arrays.
    pub(crate) fn depth(&self) -> usize {
        self.depth
    }

    /// Tells whether a backslash stands in `start..end`.
    pub(super) fn has_escape(&self, start: usize, end: usize) -> bool {
        if !self.escapes || start >= end {
            return false;
        }
        let (first, last) = (start / BLOCK, (end - 1) / BLOCK);
        self.backslashes[first..=last].iter().zip(first..).any(|(&word, at)| {
            let from = if at == first { u64::MAX << (start % BLOCK) } else { u64::MAX };
            let to = if at == last { u64::MAX >> (BLOCK - 1 - (end - 1) % BLOCK) } else { u64::MAX };
            word & from & to != 0
        })
    }

    /// Returns the mark of the bracket that closes the one at mark `open`, by counting.
    pub(super) fn close_of(&self, text: &[u8], open: usize) -> Option<usize> {
        let open = u32::try_from(open).ok()?;
        let from = self.brackets.partition_point(|mark| *mark < open);
        let mut depth = 0_usize;
        for mark in &self.brackets[from..] {
            let mark = usize_of(*mark);
            depth = if is_open(text[usize_of(self.marks[mark])]) { depth + 1 } else { depth.checked_sub(1)? };
            if depth == 0 {
                return Some(mark);
            }
        }
        None
    }

    fn reserve(&mut self, bytes: usize) {
        let most = bytes.next_multiple_of(BLOCK) + BURST + ENDS;
        if self.marks.len() < most {
            self.marks.resize(most, 0);
        }
        self.brackets.clear();
        self.backslashes.clear();
    }

    #[expect(clippy::inline_always, reason = "it must be compiled for the processor it was dispatched to")]
    #[inline(always)]
    fn scan<S: Simd>(&mut self, simd: S, text: &[u8]) -> Scan {
        let mut scan = Scan::default();
        let (blocks, rest) = text.as_chunks::<BLOCK>();
        for block in blocks {
            self.block(&mut scan, classify(simd, block));
        }
        if !rest.is_empty() {
            let mut block = [b' '; BLOCK];
            block[..rest.len()].copy_from_slice(rest);
            self.block(&mut scan, classify(simd, &block));
        }
        scan
    }

    #[expect(clippy::inline_always, reason = "it must be compiled for the processor it was dispatched to")]
    #[inline(always)]
    fn block(&mut self, scan: &mut Scan, block: Block) {
        let strings = scan.strings(&block);
        let brackets = block.brackets & !strings.inside;
        let marks = strings.quotes | brackets;
        let before = scan.marks;
        scan.marks = write_positions(&mut self.marks, before, scan.base, marks);
        self.backslashes.push(block.backslashes);
        let mut left = brackets;
        while left != 0 {
            let below = (left & left.wrapping_neg()) - 1;
            let mark = before + usize_of((marks & below).count_ones());
            self.brackets.push(u32::try_from(mark).expect("a text has fewer than 2^32 marks"));
            left &= left - 1;
        }
        scan.base += 64;
    }

    /// Returns the deepest nesting; none where brackets do not balance in number.
    fn nesting(&self, text: &[u8]) -> Option<usize> {
        let (mut depth, mut deepest) = (0_usize, 0);
        for mark in &self.brackets {
            let position = usize_of(self.marks[usize_of(*mark)]);
            depth = if is_open(text[position]) { depth + 1 } else { depth.checked_sub(1)? };
            deepest = deepest.max(depth);
        }
        (depth == 0).then_some(deepest)
    }
}

impl Default for Index {
    fn default() -> Self {
        Self {
            level: Level::new(),
            marks: Vec::new(),
            len: 0,
            brackets: Vec::new(),
            backslashes: Vec::new(),
            escapes: false,
            depth: 0,
        }
    }
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
    high: u64,
    any_backslash: u64,
}

struct Strings {
    quotes: u64,
    inside: u64,
}

impl Scan {
    #[expect(clippy::inline_always, reason = "it must be compiled for the processor it was dispatched to")]
    #[inline(always)]
    fn strings(&mut self, block: &Block) -> Strings {
        self.any_backslash |= block.backslashes;
        self.high |= block.high;
        let quotes = block.quotes & !self.escaped_bytes(block.backslashes);
        // From each opening quote to the byte before its closing one.
        let inside = prefix_xor(quotes) ^ self.in_string;
        self.in_string = 0_u64.wrapping_sub(inside >> 63);
        self.controls |= block.controls & inside;
        Strings { quotes, inside }
    }

    /// Marks the bytes that a backslash escapes: those after a run of backslashes of odd length.
    #[expect(clippy::inline_always, reason = "it must be compiled for the processor it was dispatched to")]
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
#[expect(clippy::inline_always, reason = "it must be compiled for the processor it was dispatched to")]
#[inline(always)]
fn prefix_xor(mut bits: u64) -> u64 {
    for shift in [1, 2, 4, 8, 16, 32] {
        bits ^= bits << shift;
    }
    bits
}

/// Writes the positions of the set bits from `at` on; returns where they end.
#[expect(clippy::inline_always, reason = "it must be compiled for the processor it was dispatched to")]
#[inline(always)]
fn write_positions(marks: &mut [u32], at: usize, base: u32, mut bits: u64) -> usize {
    let end = at + usize_of(bits.count_ones());
    let mut next = at;
    while bits != 0 {
        // A fixed number at once: the branch that counts them would be mispredicted for every block.
        let burst: &mut [u32; BURST] = marks[next..].first_chunk_mut().expect("room for a burst is reserved");
        for mark in burst {
            *mark = base.wrapping_add(bits.trailing_zeros());
            bits &= bits.wrapping_sub(1);
        }
        next += BURST;
    }
    end
}

#[inline]
fn is_open(bracket: u8) -> bool {
    // `{` and `[` against `}` and `]`: they differ in this bit.
    bracket & 0b100 == 0
}

#[inline]
pub(super) fn usize_of(small: u32) -> usize {
    #[expect(clippy::as_conversions, reason = "no target of weir has a usize below 32 bits")]
    let wide = small as usize;
    wide
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks(text: &str) -> Result<Vec<u32>, MalformedCode> {
        let mut index = Index::default();
        index.read(text.as_bytes())?;
        Ok(index.marks()[..index.len].to_vec())
    }

    /// Byte after byte, as one would by hand.
    fn obvious(text: &str) -> Result<Vec<u32>, MalformedCode> {
        let (mut marks, mut inside, mut escaped, mut depth) = (Vec::new(), false, false, 0_i64);
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
                b'{' | b'[' | b'}' | b']' if !inside => {
                    depth += if b"{[".contains(&byte) { 1 } else { -1 };
                    if depth < 0 {
                        return Err(MalformedCode::Json);
                    }
                    marks.push(at);
                }
                _ => {}
            }
        }
        if inside || depth != 0 { Err(MalformedCode::Json) } else { Ok(marks) }
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
        assert_eq!(Index::default().read(b"{\"\xFF"), Err(MalformedCode::Utf8));
        assert_eq!(Index::default().read(b"{\""), Err(MalformedCode::Json));
    }

    #[test]
    fn the_bracket_that_closes_is_found_by_counting() {
        let text = br#"{"a":{"b":[{}],"c":"}"},"d":1}"#;
        let mut index = Index::default();
        index.read(text).unwrap();
        let close = index.close_of(text, 3).unwrap();
        assert_eq!(index.marks()[close], 22);
        assert_eq!(index.depth(), 4);
    }

    #[test]
    fn escapes_are_found_in_their_range_only() {
        let mut text = "x".repeat(200);
        text.replace_range(130..132, "\\n");
        let mut index = Index::default();
        index.read(text.as_bytes()).unwrap();
        assert!(index.has_escape(0, 200) && index.has_escape(130, 131) && index.has_escape(64, 131));
        assert!(!index.has_escape(0, 130) && !index.has_escape(131, 200) && !index.has_escape(130, 130));
    }
}
