//! Which of 64 bytes are what: one bit a byte, least significant first.

use fearless_simd::{Simd, prelude::*, u8x64};

/// Bytes that are classified together.
pub(super) const BLOCK: usize = 64;

/// The bytes of a block that matter to JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Block {
    /// `"`.
    pub(super) quotes: u64,
    /// `\`.
    pub(super) backslashes: u64,
    /// `{`, `}`, `[` and `]`.
    pub(super) brackets: u64,
    /// Below U+0020.
    pub(super) controls: u64,
    /// Not ASCII.
    pub(super) high: u64,
}

/// Tells what the bytes of a block are.
#[inline(always)]
pub(super) fn classify<S: Simd>(simd: S, bytes: &[u8; BLOCK]) -> Block {
    let bytes = u8x64::from_slice(simd, bytes);
    // Setting bit 5 makes `[` and `]` into `{` and `}`, and nothing else.
    let folded = bytes | 0x20;
    Block {
        quotes: bytes.simd_eq(b'"').to_bitmask(),
        backslashes: bytes.simd_eq(b'\\').to_bitmask(),
        brackets: (folded.simd_eq(b'{') | folded.simd_eq(b'}')).to_bitmask(),
        controls: bytes.simd_lt(0x20).to_bitmask(),
        high: bytes.simd_ge(0x80).to_bitmask(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fearless_simd::{Level, dispatch};

    fn obvious(bytes: &[u8; BLOCK]) -> Block {
        let bits = |is: &dyn Fn(u8) -> bool| {
            bytes.iter().enumerate().map(|(at, byte)| u64::from(is(*byte)) << at).fold(0, |all, bit| all | bit)
        };
        Block {
            quotes: bits(&|byte| byte == b'"'),
            backslashes: bits(&|byte| byte == b'\\'),
            brackets: bits(&|byte| b"{}[]".contains(&byte)),
            controls: bits(&|byte| byte < 0x20),
            high: bits(&|byte| byte >= 0x80),
        }
    }

    #[test]
    fn every_processor_gives_the_same_answer() {
        // Each byte value at each place, among neighbours that would carry into it.
        for around in [0x00, 0x1F, 0x20, b'"', 0x7F, 0x80, 0xFF] {
            for byte in 0..=u8::MAX {
                for place in 0..BLOCK {
                    let mut bytes = [around; BLOCK];
                    bytes[place] = byte;
                    let want = obvious(&bytes);
                    for level in [Level::new(), Level::baseline(), Level::fallback()] {
                        assert_eq!(dispatch!(level, simd => classify(simd, &bytes)), want);
                    }
                }
            }
        }
    }
}
