//! A small seeded generator of numbers: the same seed gives the same corpus on every machine and in every version.
//!
//! It is `SplitMix64`, written out because a corpus that figures are quoted for must not change with a dependency.

/// A stream of numbers that its seed fixes.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// Starts the stream of `seed`.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Starts the stream of the `index`-th item under `seed`, independent of all others.
    pub const fn of(seed: u64, index: u64) -> Self {
        Self(mix(seed ^ mix(index)))
    }

    /// Returns the next 64 bits.
    pub const fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        mix(self.0)
    }

    /// Returns a number below `bound`; 0 when `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        // Multiply-shift instead of a division: the bias is below 2^-32 for every bound that the corpus uses.
        u64::try_from((u128::from(self.bits()) * u128::from(bound)) >> 64).unwrap_or(0)
    }

    /// Returns an index into a list of `len` items; 0 when it is empty.
    pub fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(u64::try_from(len).unwrap_or(u64::MAX))).unwrap_or(0)
    }

    /// Returns a number in `low..=high`.
    pub fn between(&mut self, low: i64, high: i64) -> i64 {
        let width = high.abs_diff(low).saturating_add(1);
        low.wrapping_add_unsigned(self.below(width))
    }

    /// Is true `per_mille` times in a thousand.
    pub fn chance(&mut self, per_mille: u32) -> bool {
        self.below(1000) < u64::from(per_mille)
    }

    /// Returns one of `items`.
    ///
    /// # Panics
    /// Panics when `items` is empty: the lists are constants of this crate.
    pub fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.index(items.len())]
    }

    /// Returns a number in `0.0..1.0`.
    pub fn fraction(&mut self) -> f64 {
        let high = u32::try_from(self.bits() >> 32).unwrap_or(0);
        f64::from(high) / 4_294_967_296.0
    }
}

/// Scrambles 64 bits so that near inputs give unrelated outputs.
pub const fn mix(bits: u64) -> u64 {
    let bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// Increment of `SplitMix64`: 2^64 divided by the golden ratio, made odd.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// A draw in which few items are frequent and many are rare, as people and tenants are.
#[derive(Clone, Debug)]
pub struct Zipf {
    /// Upper edge of each item's share of `0.0..1.0`.
    edges: Vec<f64>,
}

impl Zipf {
    /// Prepares a draw of `items` items in which the n-th weighs `1 / n^exponent`.
    pub fn new(items: u32, exponent: f64) -> Self {
        Self::with_head(items, exponent, 0)
    }

    /// Prepares a draw in which the first `head` items are about equally frequent: the n-th weighs `1 / (n + head)^exponent`.
    pub fn with_head(items: u32, exponent: f64, head: u32) -> Self {
        let mut sum = 0.0;
        let mut edges: Vec<f64> = (1..=items.max(1))
            .map(|rank| {
                sum += (f64::from(rank) + f64::from(head)).powf(-exponent);
                sum
            })
            .collect();
        for edge in &mut edges {
            *edge /= sum;
        }
        Self { edges }
    }

    /// Returns the item that stands at `place` of `0.0..1.0`.
    pub fn at(&self, place: f64) -> usize {
        self.edges.partition_point(|edge| *edge <= place).min(self.edges.len() - 1)
    }

    /// Draws an item.
    pub fn draw(&self, random: &mut Random) -> usize {
        self.at(random.fraction())
    }
}

#[cfg(test)]
mod tests {
    use super::{Random, Zipf};

    /// The stream is part of what figures and failing seeds rely on: these are the published values of the algorithm.
    #[test]
    fn stream_is_split_mix_64() {
        let mut random = Random::new(1_234_567);
        let expected = [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423_u64];
        assert_eq!(expected.map(|_| random.bits()), expected);
    }

    #[test]
    fn zipf_prefers_the_first_items() {
        let (zipf, mut random) = (Zipf::new(1000, 1.05), Random::new(7));
        let mut counts = vec![0_u32; 1000];
        for _ in 0..100_000 {
            counts[zipf.draw(&mut random)] += 1;
        }
        assert!(counts[0] > 5 * counts[9], "the first of {} draws, the tenth {}", counts[0], counts[9]);
        assert!(counts[500..].iter().sum::<u32>() > 1000, "the rare half must occur");
    }
}
