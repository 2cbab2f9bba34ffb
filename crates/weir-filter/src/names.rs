//! The declared names of one object, found by their bytes in one probe.
//!
//! A perfect hash over the first 16 bytes, of longer names also the last 8, and the length: the names are known beforehand,
//! so a multiplier is searched for that gives each of them a place of its own. Whatever the probe finds is compared byte by
//! byte before it counts.

use crate::json::sixteen;

/// A name that is looked up.
pub(crate) trait Name {
    /// Returns its length.
    fn len(&self) -> usize;

    /// Returns its first sixteen bytes; where it is shorter, anything follows.
    fn sixteen(&self) -> [u64; 2];

    /// Returns its bytes.
    fn bytes(&self) -> &[u8];
}

/// What stands between two places of a text.
#[derive(Clone, Copy)]
pub(crate) struct Within<'t>(pub(crate) &'t [u8], pub(crate) usize, pub(crate) usize);

impl Name for Within<'_> {
    #[inline(always)]
    fn len(&self) -> usize {
        self.2 - self.1
    }

    #[inline(always)]
    fn sixteen(&self) -> [u64; 2] {
        sixteen(self.0, self.1)
    }

    #[inline]
    fn bytes(&self) -> &[u8] {
        &self.0[self.1..self.2]
    }
}

/// A closed set of names, each with what it means.
pub(crate) struct Names<T> {
    multiplier: u64,
    shift: u32,
    /// Whether every name has a slot of its own and is in its probe, whole.
    is_perfect: bool,
    /// How many slots a name may be behind its own.
    reach: usize,
    slots: Vec<Slot<T>>,
    /// Whole names, of those longer than a probe sees, one after the other.
    long: Vec<u8>,
    /// Names that a probe cannot tell from another: long, and alike but for their middles.
    crowded: Vec<(Box<[u8]>, T)>,
    /// The meaning of all other names.
    nothing: T,
}

/// Half a cache line.
#[derive(Clone, Copy)]
#[repr(align(32))]
struct Slot<T> {
    low: u64,
    high: u64,
    length: u32,
    /// Where its name starts in `long`.
    long: u32,
    meaning: T,
}

impl<T> Slot<T> {
    #[inline(always)]
    fn probe(&self) -> Probe {
        Probe { low: self.low, high: self.high, length: self.length }
    }
}

/// What is hashed and compared at once.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Probe {
    low: u64,
    high: u64,
    length: u32,
}

/// The length in an empty place: no name is so long.
const EMPTY: u32 = u32::MAX;
/// Multipliers that are tried for each size of a table.
const TRIES: u32 = 1024;

impl<T: Copy> Names<T> {
    /// Makes the table of names and their meanings, and of the meaning of all others; no name stands twice.
    pub(crate) fn new<'n>(names: impl IntoIterator<Item = (&'n [u8], T)>, nothing: T) -> Self {
        let (mut long, mut crowded, mut slots) = (Vec::<u8>::new(), Vec::new(), Vec::<Slot<T>>::new());
        for (name, meaning) in names {
            let probe = Probe::of(name);
            if slots.iter().any(|slot| slot.probe() == probe) {
                crowded.push((Box::from(name), meaning));
                continue;
            }
            let Probe { low, high, length } = probe;
            slots.push(Slot { low, high, length, meaning, long: u32::try_from(long.len()).expect("names are few") });
            if !probe.is_whole() {
                long.extend_from_slice(name);
            }
        }
        let Table { multiplier, shift, reach, slots } = spread(&slots, nothing);
        let is_perfect = reach == 0 && long.is_empty();
        Self { multiplier, shift, is_perfect, reach, slots, long, crowded, nothing }
    }

    /// Returns what a name means.
    #[inline(always)]
    pub(crate) fn find(&self, name: impl Name) -> T {
        if name.len() <= Probe::SEEN {
            let probe = Probe::short(&name);
            let slot = &self.slots[probe.place(self.multiplier, self.shift)];
            if slot.probe().is(probe) {
                return slot.meaning;
            }
        }
        if self.is_perfect {
            return self.nothing;
        }
        self.find_further(name.bytes())
    }

    /// Looks at all slots, so that look-ups soon find them near.
    pub(crate) fn bring_near(&self) {
        for line in self.slots.chunks(2) {
            std::hint::black_box(line[0].length);
        }
    }

    /// Looks for a name that may not be in its own slot, or that a probe does not see whole.
    #[inline(never)]
    fn find_further(&self, name: &[u8]) -> T {
        // Made again, so that the short way need not keep the probe in memory.
        let probe = Probe::of(name);
        let first = probe.place(self.multiplier, self.shift);
        for slot in &self.slots[first..=first + self.reach] {
            if slot.probe() == probe && (probe.is_whole() || self.long[index(slot.long)..].starts_with(name)) {
                return slot.meaning;
            }
        }
        self.crowded.iter().find(|(crowded, _)| **crowded == *name).map_or(self.nothing, |(_, meaning)| *meaning)
    }
}

impl Probe {
    /// Names up to this length are in their probe, whole.
    pub(crate) const SEEN: usize = 16;

    /// Tells whether two probes are the same, without a branch.
    #[inline(always)]
    fn is(self, other: Self) -> bool {
        (self.low ^ other.low) | (self.high ^ other.high) | u64::from(self.length ^ other.length) == 0
    }

    /// Tells whether the probe sees the name whole.
    #[inline(always)]
    fn is_whole(self) -> bool {
        self.length <= SEEN_LENGTH
    }

    /// Makes the probe of a name.
    #[inline]
    pub(crate) fn of(name: &[u8]) -> Self {
        let probe = Self::short(&Within(name, 0, name.len()));
        if name.len() <= Self::SEEN {
            return probe;
        }
        // Long names often begin alike, and differ at their ends.
        let end = name.last_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        Self { low: probe.low.rotate_left(11) ^ end, ..probe }
    }

    /// Makes the probe of the first bytes, which are all that a short name has.
    #[inline(always)]
    pub(crate) fn short(name: &impl Name) -> Self {
        let length = name.len();
        let [low, high] = name.sixteen();
        let [of_low, of_high] = MASKS[length.min(Probe::SEEN)];
        #[expect(clippy::as_conversions, clippy::cast_possible_truncation, reason = "a record is shorter than 4 GiB")]
        let length = length as u32;
        Self { low: low & of_low, high: high & of_high, length }
    }

    /// Returns a number of `64 - shift` bits.
    #[inline(always)]
    pub(crate) fn place(self, multiplier: u64, shift: u32) -> usize {
        let mixed = (self.low ^ self.high.rotate_left(29) ^ u64::from(self.length) << 56).wrapping_mul(multiplier);
        #[expect(clippy::as_conversions, clippy::cast_possible_truncation, reason = "the shift leaves few bits")]
        let place = (mixed >> shift) as usize;
        place
    }
}

/// For each length, the bytes of two words that belong to a name: a look-up takes fewer steps than shifts.
static MASKS: [[u64; 2]; Probe::SEEN + 1] = {
    let mut masks = [[u64::MAX; 2]; Probe::SEEN + 1];
    let mut length = 0;
    while length < 8 {
        masks[length] = [(1 << (8 * length)) - 1, 0];
        masks[length + 8] = [u64::MAX, (1 << (8 * length)) - 1];
        length += 1;
    }
    masks
};

/// [`Probe::SEEN`] as a probe has it.
const SEEN_LENGTH: u32 = 16;

/// Names in their slots.
struct Table<T> {
    multiplier: u64,
    shift: u32,
    reach: usize,
    slots: Vec<Slot<T>>,
}

/// Gives each name a slot: its own, where a multiplier is found with which no two share one, as it is for a few dozen names.
///
/// The smallest table comes first: with a thousand event types none of theirs is near, and each line of them counts.
fn spread<T: Copy>(names: &[Slot<T>], nothing: T) -> Table<T> {
    let bits = names.len().max(2).next_power_of_two().trailing_zeros();
    let mut multiplier = 0x9E37_79B9_7F4A_7C15_u64;
    for bits in bits..bits + 4 {
        let shift = 64 - bits;
        let mut taken = vec![false; 1 << bits];
        for _ in 0..TRIES {
            // Any full-period generator does; this one is Knuth's.
            multiplier = multiplier.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let multiplier = multiplier | 1;
            taken.fill(false);
            let is_alone = |name: &Slot<T>| !std::mem::replace(&mut taken[name.probe().place(multiplier, shift)], true);
            if names.iter().all(is_alone) {
                let slots = place_all(names, nothing, (multiplier, shift), 0).expect("each has a slot of its own");
                return Table { multiplier, shift, reach: 0, slots };
            }
        }
    }
    // Many names: some are a few slots behind their own, at half the slots in use or less.
    let (multiplier, shift) = (multiplier | 1, 64 - bits - 1);
    let found = (1..).find_map(|reach| Some((reach, place_all(names, nothing, (multiplier, shift), reach)?)));
    let (reach, slots) = found.expect("with enough reach every name has a slot");
    Table { multiplier, shift, reach, slots }
}

/// Puts each name into the first free slot from its own on; gives up where none is in reach.
fn place_all<T: Copy>(
    names: &[Slot<T>],
    nothing: T,
    (multiplier, shift): (u64, u32),
    reach: usize,
) -> Option<Vec<Slot<T>>> {
    let empty = Slot { low: 0, high: 0, length: EMPTY, meaning: nothing, long: 0 };
    let mut slots = vec![empty; (1 << (64 - shift)) + reach];
    for name in names {
        let first = name.probe().place(multiplier, shift);
        *slots[first..=first + reach].iter_mut().find(|slot| slot.length == EMPTY)? = *name;
    }
    Some(slots)
}

fn index(place: u32) -> usize {
    usize::try_from(place).expect("usize has at least 32 bits")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_the_declared_names_are_found() {
        let mut declared = vec!["", "a", "b", "ab", "user", "usr", "sixteen-bytes-is", "seventeen-bytes-i", "é"];
        declared.extend(["a-long-name-that-ends-in-1", "a-long-name-that-ends-in-2", "a-long-name-that-ends-in-33"]);
        let many: Vec<_> = (0..3000).map(|n| format!("field_{n}")).collect();
        declared.extend(many.iter().map(String::as_str));
        let names =
            Names::new(declared.iter().zip(0_u32..).map(|(name, number)| (name.as_bytes(), Some(number))), None);
        for (name, number) in declared.iter().zip(0..) {
            for (before, after) in [("", ""), ("\"", "\":1}"), ("{\"", "\":\"a text that goes on for a while\"}")] {
                let text = format!("{before}{name}{after}");
                let found = names.find(Within(text.as_bytes(), before.len(), before.len() + name.len()));
                assert_eq!(found, Some(number), "{name}");
            }
        }
        for other in
            ["c", "User", "user\0", "use", "users", "a-long-name-that-ends-in-3", "sixteen-bytes-i", "field_3000"]
        {
            assert_eq!(names.find(Within(other.as_bytes(), 0, other.len())), None, "{other}");
        }
    }
}
