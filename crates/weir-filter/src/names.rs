//! The declared names of one object, found by their bytes in one probe.
//!
//! A perfect hash over the first 16 bytes and the length: the names are known beforehand, so a multiplier is searched for
//! that gives each of them a place of its own. Whatever the probe finds is compared byte by byte before it counts.

/// A closed set of names, each with a number.
pub(crate) struct Names {
    multiplier: u64,
    shift: u32,
    slots: Vec<Slot>,
    /// Whole names, of those longer than a probe sees.
    long: Vec<(Box<[u8]>, u32)>,
    /// Names that a probe cannot tell from another: the same beginning and length.
    crowded: Vec<(Box<[u8]>, u32)>,
}

#[derive(Clone, Copy)]
struct Slot {
    probe: Probe,
    number: u32,
    /// Place in `long`.
    long: u32,
}

/// What is hashed and compared at once.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Probe {
    low: u64,
    high: u64,
    length: u64,
}

/// An empty place: no name is so long.
const EMPTY: Slot = Slot { probe: Probe { low: 0, high: 0, length: u64::MAX }, number: 0, long: 0 };
/// Multipliers that are tried before the table is doubled.
const TRIES: u32 = 64;

impl Names {
    /// Makes the table of names and their numbers; no name stands twice.
    pub(crate) fn new(names: Vec<(&[u8], u32)>) -> Self {
        let (mut long, mut crowded, mut slots) = (Vec::new(), Vec::new(), Vec::<Slot>::new());
        for (name, number) in names {
            let probe = Probe::of(name, 0, name.len());
            if slots.iter().any(|slot| slot.probe == probe) {
                crowded.push((Box::from(name), number));
                continue;
            }
            slots.push(Slot { probe, number, long: u32::try_from(long.len()).unwrap_or(u32::MAX) });
            if name.len() > Probe::SEEN {
                long.push((Box::from(name), number));
            }
        }
        let (multiplier, shift, slots) = spread(&slots);
        Self { multiplier, shift, slots, long, crowded }
    }

    /// Returns the number of the name that stands at `start..end` of a text.
    #[inline]
    pub(crate) fn find(&self, text: &[u8], start: usize, end: usize) -> Option<u32> {
        let probe = Probe::of(text, start, end);
        let slot = &self.slots[probe.place(self.multiplier, self.shift)];
        if slot.probe == probe && (end - start <= Probe::SEEN || *self.long[index(slot.long)].0 == text[start..end]) {
            return Some(slot.number);
        }
        if self.crowded.is_empty() {
            return None;
        }
        self.crowded.iter().find(|(name, _)| **name == text[start..end]).map(|(_, number)| *number)
    }
}

impl Probe {
    /// Bytes of a name that a probe sees.
    pub(crate) const SEEN: usize = 16;

    /// Makes the probe of what stands at `start..end` of a text.
    #[inline]
    pub(crate) fn of(text: &[u8], start: usize, end: usize) -> Self {
        let length = end - start;
        let bytes = match text.get(start..start + Probe::SEEN) {
            Some(bytes) => bytes.try_into().expect("the range has this length"),
            None => tail(text, start),
        };
        let word = u128::from_le_bytes(bytes);
        let seen = if length >= Probe::SEEN { word } else { word & ((1 << (8 * length)) - 1) };
        let [low, high] = [seen, seen >> 64].map(|word| {
            #[expect(clippy::as_conversions, clippy::cast_possible_truncation, reason = "the lower half is meant")]
            let half = word as u64;
            half
        });
        #[expect(clippy::as_conversions, reason = "no target of weir has a usize above 64 bits")]
        let length = length as u64;
        Self { low, high, length }
    }

    /// Returns a number of `64 - shift` bits.
    #[inline]
    pub(crate) fn place(self, multiplier: u64, shift: u32) -> usize {
        let mixed = (self.low ^ self.high.rotate_left(29) ^ self.length << 56).wrapping_mul(multiplier);
        #[expect(clippy::as_conversions, clippy::cast_possible_truncation, reason = "the shift leaves few bits")]
        let place = (mixed >> shift) as usize;
        place
    }
}

/// Returns the 16 bytes at `start`, with zeros for those past the end.
#[cold]
fn tail(text: &[u8], start: usize) -> [u8; Probe::SEEN] {
    let mut bytes = [0; Probe::SEEN];
    let left = text.len().saturating_sub(start).min(Probe::SEEN);
    bytes[..left].copy_from_slice(&text[start..start + left]);
    bytes
}

/// Finds a multiplier with which no two of the names share a place.
fn spread(names: &[Slot]) -> (u64, u32, Vec<Slot>) {
    // Four places a name: a handful of tries succeed, and a table still fits a few cache lines.
    let mut bits = (names.len() * 4).max(16).next_power_of_two().trailing_zeros();
    let mut multiplier = 0x9E37_79B9_7F4A_7C15_u64;
    loop {
        for _ in 0..TRIES {
            // Any full-period generator does; this one is Knuth's.
            multiplier = multiplier.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            if let Some(slots) = place_all(names, multiplier | 1, 64 - bits) {
                return (multiplier | 1, 64 - bits, slots);
            }
        }
        bits += 1;
    }
}

fn place_all(names: &[Slot], multiplier: u64, shift: u32) -> Option<Vec<Slot>> {
    let mut slots = vec![EMPTY; 1 << (64 - shift)];
    for name in names {
        let slot = &mut slots[name.probe.place(multiplier, shift)];
        if slot.probe != EMPTY.probe {
            return None;
        }
        *slot = *name;
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
        let many: Vec<_> = (0..300).map(|n| format!("field_{n}")).collect();
        declared.extend(many.iter().map(String::as_str));
        let names = Names::new(declared.iter().zip(0..).map(|(name, number)| (name.as_bytes(), number)).collect());
        for (name, number) in declared.iter().zip(0..) {
            for (before, after) in [("", ""), ("\"", "\":1}"), ("{\"", "\":\"a text that goes on for a while\"}")] {
                let text = format!("{before}{name}{after}");
                let found = names.find(text.as_bytes(), before.len(), before.len() + name.len());
                assert_eq!(found, Some(number), "{name}");
            }
        }
        for other in
            ["c", "User", "user\0", "use", "users", "a-long-name-that-ends-in-3", "sixteen-bytes-i", "field_300"]
        {
            assert_eq!(names.find(other.as_bytes(), 0, other.len()), None, "{other}");
        }
    }
}
