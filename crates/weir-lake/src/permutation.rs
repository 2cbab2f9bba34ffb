//! A keyed permutation of the 63-bit offsets.
//!
//! A Delta log is plain JSON that every reader sees. The same offset in the logs of two purposes would tell which rows
//! came from the same records, so each table writes its offsets through a permutation of its own: equal offsets look
//! unrelated, and the next offset looks unrelated to this one. Order is compared after inverting, by weir alone.

/// A permutation of `0..2^63`, fixed by a key.
pub(crate) struct Permutation {
    key: [u8; 32],
}

impl Permutation {
    pub(crate) fn new(key: [u8; 32]) -> Self {
        Self { key }
    }

    /// Returns the number that stands for `offset`; `None` below zero.
    pub(crate) fn veil(&self, offset: i64) -> Option<i64> {
        let mut value = u64::try_from(offset).ok()?;
        // Walk the cycle of the 64-bit permutation until it is back below 2^63: two steps on average.
        loop {
            value = (0..ROUNDS).fold(value, |value, round| self.forward(value, round));
            if let Ok(veiled) = i64::try_from(value) {
                return Some(veiled);
            }
        }
    }

    /// Returns the offset that `veiled` stands for; `None` below zero.
    pub(crate) fn unveil(&self, veiled: i64) -> Option<i64> {
        let mut value = u64::try_from(veiled).ok()?;
        loop {
            value = (0..ROUNDS).rev().fold(value, |value, round| self.backward(value, round));
            if let Ok(offset) = i64::try_from(value) {
                return Some(offset);
            }
        }
    }

    fn forward(&self, value: u64, round: u8) -> u64 {
        let (left, right) = halves(value);
        join(right, left ^ self.mix(right, round))
    }

    fn backward(&self, value: u64, round: u8) -> u64 {
        let (left, right) = halves(value);
        join(right ^ self.mix(left, round), left)
    }

    fn mix(&self, half: u32, round: u8) -> u32 {
        let [a, b, c, d] = half.to_le_bytes();
        let hash = blake3::keyed_hash(&self.key, &[round, a, b, c, d]);
        let bytes = hash.as_bytes();
        u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
    }
}

/// Eight Feistel rounds with a pseudorandom round function; four would do against an observer, the rest is margin.
const ROUNDS: u8 = 8;

fn halves(value: u64) -> (u32, u32) {
    let half = |value: u64| u32::try_from(value & u64::from(u32::MAX)).expect("half of the bits are left");
    (half(value >> 32), half(value))
}

fn join(left: u32, right: u32) -> u64 {
    u64::from(left) << 32 | u64::from(right)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_offset_comes_back() {
        let permutation = Permutation::new([7; 32]);
        for offset in (0..1000).chain([i64::MAX, i64::MAX - 1, 1 << 40]) {
            let veiled = permutation.veil(offset).unwrap();
            assert!(veiled >= 0);
            assert_eq!(permutation.unveil(veiled), Some(offset));
        }
        assert_eq!(permutation.veil(-1), None);
        assert_eq!(permutation.unveil(i64::MIN), None);
    }

    #[test]
    fn two_keys_share_no_value() {
        let (one, two) = (Permutation::new([1; 32]), Permutation::new([2; 32]));
        assert!((0..1000).all(|offset| one.veil(offset) != two.veil(offset)));
    }

    #[test]
    fn neighbours_are_far_apart() {
        let permutation = Permutation::new([3; 32]);
        let gaps =
            (0..1000).map(|offset| permutation.veil(offset).unwrap().abs_diff(permutation.veil(offset + 1).unwrap()));
        assert!(gaps.min().unwrap() > 1_000_000_000);
    }
}
