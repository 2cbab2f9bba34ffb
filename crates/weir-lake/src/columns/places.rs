//! Which of the words of a slice came before, and as which.
//!
//! Words are numbers here, and few different ones: a table of them, asked once a value, is all that a dictionary needs.

/// Numbers, each with its place in the order in which they came.
pub(super) struct Places {
    /// A power of two of them, at most half of them used.
    slots: Vec<Slot>,
    /// How far a product is shifted to become the place of a slot.
    shift: u32,
    used: i32,
}

#[derive(Clone, Copy)]
struct Slot {
    number: u64,
    /// Below 0 where the slot is free.
    place: i32,
}

/// Where a number stands.
pub(super) struct Place {
    pub(super) number: i32,
    pub(super) is_new: bool,
}

impl Places {
    /// Makes room for the words of so many values, which are mostly few.
    pub(super) fn for_values(count: usize) -> Self {
        let slots = (2 * count.max(1)).next_power_of_two().min(SLOTS_AT_FIRST);
        Self { slots: vec![FREE; slots], shift: u64::BITS - slots.trailing_zeros(), used: 0 }
    }

    /// Leaves a number out: it gets place 0, which the first of the others also gets.
    pub(super) fn skip(&mut self, number: u64) {
        let slot = self.slot(number);
        self.slots[slot] = Slot { number, place: 0 };
    }

    /// Returns a number's place; gives it the next one if it has none.
    #[inline]
    pub(super) fn find(&mut self, number: u64) -> Place {
        let slot = self.slot(number);
        let place = self.slots[slot].place;
        if place >= 0 {
            return Place { number: place, is_new: false };
        }
        self.add(slot, number)
    }

    /// Returns the slot of a number, or the free one where it belongs.
    #[inline]
    fn slot(&self, number: u64) -> usize {
        let mut slot = usize::try_from(number.wrapping_mul(MULTIPLIER) >> self.shift).expect("few bits are left");
        while self.slots[slot].place >= 0 && self.slots[slot].number != number {
            slot = (slot + 1) % self.slots.len();
        }
        slot
    }

    #[cold]
    fn add(&mut self, slot: usize, number: u64) -> Place {
        let place = self.used;
        self.slots[slot] = Slot { number, place };
        self.used += 1;
        if usize::try_from(self.used).is_ok_and(|used| used * 2 >= self.slots.len()) {
            self.grow();
        }
        Place { number: place, is_new: true }
    }

    fn grow(&mut self) {
        // Words that are many are mostly very many.
        let more = vec![FREE; self.slots.len() * 4];
        let old = std::mem::replace(&mut self.slots, more);
        self.shift -= 2;
        for used in old.into_iter().filter(|slot| slot.place >= 0) {
            let slot = self.slot(used.number);
            self.slots[slot] = used;
        }
    }
}

const FREE: Slot = Slot { number: 0, place: -1 };
/// Many columns have fewer than 16 words.
const SLOTS_AT_FIRST: usize = 32;
/// The odd number nearest 2^64 divided by the golden ratio.
const MULTIPLIER: u64 = 0x9E37_79B9_7F4A_7C15;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_get_places_in_the_order_in_which_they_come() {
        let mut places = Places::for_values(1);
        // An odd factor: no number comes twice.
        let numbers = (0..5_000_u64).map(|n| n.wrapping_mul(0x0123_4567_89AB_CDEF));
        for (number, want) in numbers.clone().zip(0..) {
            let place = places.find(number);
            assert!(place.is_new);
            assert_eq!(place.number, want);
        }
        for (number, want) in numbers.zip(0..) {
            let place = places.find(number);
            assert!(!place.is_new);
            assert_eq!(place.number, want);
        }
    }
}
