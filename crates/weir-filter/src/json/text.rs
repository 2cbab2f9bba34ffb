//! Texts that an index has read, with their marks.
//!
//! Behind its end a text reads as NULs, which are no token, and its marks as [`END`]. So a walk asks for bytes and marks without
//! asking first whether there are any.

use super::index::{BLOCK, small, usize_of};
use crate::names::Name;
use zeroize::Zeroize;

/// A text with its marks: the positions of unescaped quotes and of brackets outside strings, in order.
pub(crate) trait Marked: Copy {
    /// Returns the text.
    fn all(&self) -> &[u8];

    /// Returns the byte at a position.
    fn byte(&self, at: usize) -> u8;

    /// Returns the eight bytes at a position, the first lowest.
    fn eight(&self, at: usize) -> u64;

    /// Returns the sixteen bytes at a position, in two words.
    fn sixteen(&self, at: usize) -> [u64; 2];

    /// Returns the mark of a number.
    fn mark(&self, number: usize) -> u32;

    /// Returns the blocks with a bit for each byte that is a backslash; none where the text has no backslash.
    fn backslashes(&self) -> &[u64];

    /// Returns the position of the first backslash from `start` on; [`END`] if there is none.
    #[inline(always)]
    fn next_escape(&self, start: u32) -> u32 {
        let backslashes = self.backslashes();
        if backslashes.is_empty() { END } else { next_escape(backslashes, start) }
    }
}

/// Follows the last mark: no text has this position.
pub(super) const END: u32 = u32::MAX;
/// How many [`END`]s there are: as far as a walk looks ahead.
pub(super) const ENDS: usize = 4;

/// A text of a few KiB, as nearly all are, in a place of its own.
///
/// Its arrays have a fixed size, and positions are cut to it: no look needs a check of bounds, and a walk keeps one pointer instead of four.
pub(crate) struct Near {
    /// The text, and NULs behind it.
    pub(super) text: [u8; NEAR_BYTES + BLOCK],
    pub(super) marks: [u32; NEAR_BYTES],
    pub(super) backslashes: [u64; NEAR_BYTES / BLOCK],
    pub(super) len: usize,
    /// The blocks of `backslashes` that count.
    pub(super) escapes: usize,
}

/// A power of two; the copy and its marks stay in a core's caches.
const NEAR_BYTES: usize = 16 << 10;

impl Near {
    /// The longest text that fits, with a block of NULs and all marks.
    pub(super) const LONGEST: usize = NEAR_BYTES - BLOCK;

    /// Makes one that holds nothing.
    #[expect(
        clippy::large_stack_arrays,
        reason = "once for each filter; safe code fills a box of several arrays from the stack"
    )]
    pub(super) fn new() -> Box<Self> {
        Box::new(Self {
            text: [0; NEAR_BYTES + BLOCK],
            marks: [END; NEAR_BYTES],
            backslashes: [0; NEAR_BYTES / BLOCK],
            len: 0,
            escapes: 0,
        })
    }

    /// Takes a text; returns it in whole blocks, and where its marks and backslashes go.
    pub(super) fn take(&mut self, text: &[u8]) -> (&[u8], &mut [u32], &mut [u64]) {
        let blocks = text.len().div_ceil(BLOCK);
        self.len = text.len();
        self.text[..text.len()].copy_from_slice(text);
        // Whoever reads sixteen bytes at the end sees no more than a block further.
        self.text[text.len()..(blocks + 1) * BLOCK].fill(0);
        (&self.text[..blocks * BLOCK], &mut self.marks, &mut self.backslashes[..blocks])
    }

    /// Ends the marks, and says how many blocks of backslashes count.
    pub(super) fn end(&mut self, marks: usize, escapes: usize) {
        self.marks[marks..marks + ENDS].fill(END);
        self.escapes = escapes;
    }

    /// Overwrites the text.
    pub(super) fn forget(&mut self) {
        self.text.zeroize();
        self.len = 0;
    }

    /// Cuts a position or a number to the arrays; none of a text that was taken is beyond.
    #[inline(always)]
    fn cut(at: usize) -> usize {
        at & (NEAR_BYTES - 1)
    }
}

impl Marked for &Near {
    #[inline(always)]
    fn all(&self) -> &[u8] {
        &self.text[..self.len]
    }

    #[inline(always)]
    fn byte(&self, at: usize) -> u8 {
        self.text[Near::cut(at)]
    }

    #[inline(always)]
    fn eight(&self, at: usize) -> u64 {
        self.text[Near::cut(at)..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
    }

    #[inline(always)]
    fn sixteen(&self, at: usize) -> [u64; 2] {
        self.text[Near::cut(at)..].first_chunk().map_or([0; 2], words)
    }

    #[inline(always)]
    fn mark(&self, number: usize) -> u32 {
        self.marks[Near::cut(number)]
    }

    #[inline(always)]
    fn backslashes(&self) -> &[u64] {
        &self.backslashes[..self.escapes]
    }
}

/// A text of any length, where it came.
#[derive(Clone, Copy)]
pub(crate) struct Far<'t> {
    pub(super) text: &'t [u8],
    pub(super) marks: &'t [u32],
    pub(super) backslashes: &'t [u64],
}

impl Marked for Far<'_> {
    fn all(&self) -> &[u8] {
        self.text
    }

    #[inline]
    fn byte(&self, at: usize) -> u8 {
        self.text.get(at).copied().unwrap_or(0)
    }

    #[inline]
    fn eight(&self, at: usize) -> u64 {
        self.sixteen(at)[0]
    }

    #[inline]
    fn sixteen(&self, at: usize) -> [u64; 2] {
        sixteen(self.text, at)
    }

    #[inline]
    fn mark(&self, number: usize) -> u32 {
        self.marks.get(number).copied().unwrap_or(END)
    }

    fn backslashes(&self) -> &[u64] {
        self.backslashes
    }
}

/// A piece of a marked text.
#[derive(Clone, Copy)]
pub(crate) struct Piece<M> {
    pub(crate) text: M,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl<M: Marked> Name for Piece<M> {
    #[inline(always)]
    fn len(&self) -> usize {
        self.end - self.start
    }

    #[inline(always)]
    fn sixteen(&self) -> [u64; 2] {
        self.text.sixteen(self.start)
    }

    fn bytes(&self) -> &[u8] {
        &self.text.all()[self.start..self.end]
    }
}

/// Returns the sixteen bytes at a position of a text, with zeros for those past its end.
#[inline(always)]
pub(crate) fn sixteen(text: &[u8], at: usize) -> [u64; 2] {
    text.get(at..).and_then(|rest| rest.first_chunk()).map_or_else(|| tail(text, at), words)
}

#[inline(always)]
fn words(bytes: &[u8; 16]) -> [u64; 2] {
    let [low, high] = *bytes.as_chunks().0 else { unreachable!("16 bytes are two words") };
    [low, high].map(u64::from_le_bytes)
}

#[cold]
fn tail(text: &[u8], at: usize) -> [u64; 2] {
    let mut bytes = [0; 16];
    let rest = text.get(at..).unwrap_or_default();
    let left = rest.len().min(bytes.len());
    bytes[..left].copy_from_slice(&rest[..left]);
    words(&bytes)
}

#[inline(never)]
fn next_escape(backslashes: &[u64], start: u32) -> u32 {
    let at = usize_of(start);
    let mut ahead = u64::MAX << (at % BLOCK);
    let blocks = backslashes.get(at / BLOCK..).unwrap_or_default();
    for (block, base) in blocks.iter().zip((at / BLOCK * BLOCK..).step_by(BLOCK)) {
        ahead &= block;
        if ahead != 0 {
            return small(base) + ahead.trailing_zeros();
        }
        ahead = u64::MAX;
    }
    END
}
