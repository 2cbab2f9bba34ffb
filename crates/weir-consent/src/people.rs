//! What every person said about every purpose, in 54 bytes a person.
//!
//! Ten million people are to fit into 1 GB, and an event must find its person in one walk through memory. So people live in open
//! addressing with linear probing, without pointers or control bytes; keys are uniform hashes, so they are their own hash. Nothing
//! is ever deleted (a forgotten choice is a zero), so that a probe ends at the first empty place.
//!
//! ```text
//! one place:  key 16 · states 2 (4 bits a purpose, 0 = no record) · per purpose: at 6 · valid until 6   (little-endian; all ones = no end)
//! ```
//! 256 shards grow one by one: while a shard moves to a larger home, only that shard exists twice.

use std::io::{self, Read, Write};

use weir_keys::PersonKey;
use weir_policy::PurposeId;

use crate::snapshot::unsound;
use crate::status::{Standing, Status};

/// Number of shards.
pub(crate) const SHARDS: usize = 256;
const ROW_BYTES: usize = 54;
const STATES_AT: usize = 16;
const TIMES_AT: usize = 18;
/// Times of one purpose.
const TIMES_BYTES: usize = 12;
const NO_END: u64 = (1 << 48) - 1;
/// Places that a shard is made ready for before the first of them is read: 5 MB, enough for 16 million people in all.
const RESERVED_MAX: usize = 1 << 16;

/// All people of whom something is known.
pub(crate) struct People {
    shards: Vec<Shard>,
    len: usize,
}

impl Default for People {
    fn default() -> Self {
        Self { shards: (0..SHARDS).map(|_| Shard { rows: Vec::new(), len: 0 }).collect(), len: 0 }
    }
}

impl People {
    /// Returns the number of people.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// Returns the bytes that the people take.
    pub(crate) fn memory(&self) -> usize {
        self.shards.iter().map(|shard| shard.rows.capacity() * ROW_BYTES + size_of::<Shard>()).sum()
    }

    /// Returns what is known of a person.
    pub(crate) fn find(&self, person: PersonKey) -> Option<Choices<'_>> {
        let shard = &self.shards[shard_of(person)];
        let row = shard.rows.get(shard.place(person)?)?;
        row.is_of(person).then_some(Choices(row))
    }

    /// Returns everybody of whom something is known, in the order of the shards.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (PersonKey, Choices<'_>)> {
        let rows = self.shards.iter().flat_map(|shard| &shard.rows);
        rows.filter_map(|row| Some((row.person()?, Choices(row))))
    }

    /// Brings what is known of these people near, so that finding them soon costs little.
    ///
    /// The look-ups do not depend on each other: the processor has many under way at once, where one question after the other would wait for memory each time.
    pub(crate) fn warm(&self, people: impl IntoIterator<Item = PersonKey>) {
        for person in people {
            let shard = &self.shards[shard_of(person)];
            if let Some(row) = shard.rows.get(first_place(person, shard.rows.len())) {
                std::hint::black_box((row.0[0], row.0[ROW_BYTES - 1]));
            }
        }
    }

    /// Notes what holds for a person and purpose, whatever held before; none forgets it.
    pub(crate) fn set(&mut self, person: PersonKey, purpose: PurposeId, standing: Option<Standing>) {
        let shard = &mut self.shards[shard_of(person)];
        shard.make_room();
        let Some(place) = shard.place(person) else { return };
        let row = &mut shard.rows[place];
        if row.is_empty() {
            row.0[..STATES_AT].copy_from_slice(&person.bytes());
            shard.len += 1;
            self.len += 1;
        }
        row.set(purpose, standing);
    }

    /// Reads as many places of a shard, as [`Copied::write`] wrote them.
    pub(crate) fn read_shard(&mut self, number: usize, count: u32, from: &mut impl Read) -> io::Result<()> {
        let shard = &mut self.shards[number];
        // No more than a moderate shard is made ready for on the word of a number.
        shard.reserve(usize::try_from(count).unwrap_or(usize::MAX).min(RESERVED_MAX));
        for _ in 0..count {
            let mut row = Row([0; ROW_BYTES]);
            from.read_exact(&mut row.0)?;
            let person = row.person().filter(|person| shard_of(*person) == number && row.is_sound());
            let person = person.ok_or_else(unsound)?;
            shard.make_room();
            let place = shard.place(person).filter(|place| shard.rows[*place].is_empty()).ok_or_else(unsound)?;
            shard.rows[place] = row;
            shard.len += 1;
            self.len += 1;
        }
        Ok(())
    }
}

/// A copy of one shard, and the memory for it, which serves one shard after the other.
#[derive(Default)]
pub(crate) struct Copied(Vec<Row>);

impl Copied {
    /// Copies a shard, in the time that the memory takes.
    pub(crate) fn take(&mut self, people: &People, shard: usize) {
        self.0.clone_from(&people.shards[shard].rows);
    }

    /// Writes the number of people in the copy, and their places.
    pub(crate) fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let people = || self.0.iter().filter(|row| !row.is_empty());
        let count = u32::try_from(people().count()).map_err(|_too_many| io::ErrorKind::InvalidInput)?;
        out.write_all(&count.to_le_bytes())?;
        people().try_for_each(|row| out.write_all(&row.0))
    }
}

/// What one person said, a purpose each.
pub(crate) struct Choices<'s>(&'s Row);

impl Choices<'_> {
    /// Returns what holds for a purpose.
    pub(crate) fn of(&self, purpose: PurposeId) -> Option<Standing> {
        let status = Status::of_code(self.0.state(purpose))?;
        let (at, end) = self.0.times(purpose);
        Standing::new(status, at, (end != NO_END).then(|| end.cast_signed()))
    }
}

struct Shard {
    rows: Vec<Row>,
    len: usize,
}

impl Shard {
    /// Returns the place of a person, or the empty place where they belong; none when there is no place at all.
    fn place(&self, person: PersonKey) -> Option<usize> {
        if self.rows.is_empty() {
            return None;
        }
        let mut place = first_place(person, self.rows.len());
        // There is always an empty place: `make_room` keeps a quarter of them.
        while !self.rows[place].is_of(person) && !self.rows[place].is_empty() {
            place = if place + 1 == self.rows.len() { 0 } else { place + 1 };
        }
        Some(place)
    }

    /// Makes places for so many people, two in three of which will be taken; the shard is empty.
    fn reserve(&mut self, people: usize) {
        self.rows = vec![Row([0; ROW_BYTES]); people + people / 2 + 8];
    }

    /// Grows by a quarter once three quarters are taken: between 60 and 75 of 100 places are in use at any size.
    fn make_room(&mut self) {
        if self.len < self.rows.len() / 4 * 3 {
            return;
        }
        let grown = self.rows.len() / 4 * 5 + 8;
        let before = std::mem::replace(&mut self.rows, vec![Row([0; ROW_BYTES]); grown]);
        for row in before {
            if let Some(person) = row.person()
                && let Some(place) = self.place(person)
            {
                self.rows[place] = row;
            }
        }
    }
}

#[derive(Clone, Copy)]
struct Row([u8; ROW_BYTES]);

impl Row {
    fn key(&self) -> [u8; 16] {
        let mut key = [0; 16];
        key.copy_from_slice(&self.0[..STATES_AT]);
        key
    }

    fn is_of(&self, person: PersonKey) -> bool {
        self.key() == person.bytes()
    }

    fn is_empty(&self) -> bool {
        self.key() == [0; 16]
    }

    fn person(&self) -> Option<PersonKey> {
        PersonKey::from_bytes(self.key())
    }

    /// Tells whether the store could have written the row: every state and instant is one that there is.
    fn is_sound(&self) -> bool {
        let states = u16::from_le_bytes([self.0[STATES_AT], self.0[STATES_AT + 1]]);
        states >> 12 == 0
            && PurposeId::ALL.iter().all(|purpose| self.state(*purpose) == 0 || Choices(self).of(*purpose).is_some())
    }

    fn state(&self, purpose: PurposeId) -> u8 {
        let states = u16::from_le_bytes([self.0[STATES_AT], self.0[STATES_AT + 1]]);
        let [state, _] = (states >> (4 * purpose.index()) & 0xf).to_le_bytes();
        state
    }

    fn times(&self, purpose: PurposeId) -> (i64, u64) {
        let times = &self.0[TIMES_AT + TIMES_BYTES * purpose.index()..][..TIMES_BYTES];
        (six_bytes(&times[..6]).cast_signed(), six_bytes(&times[6..]))
    }

    fn set(&mut self, purpose: PurposeId, standing: Option<Standing>) {
        let shift = 4 * purpose.index();
        let code = standing.map_or(0, |standing| standing.status().code());
        let states = u16::from_le_bytes([self.0[STATES_AT], self.0[STATES_AT + 1]]);
        let states = states & !(0xf << shift) | u16::from(code) << shift;
        self.0[STATES_AT..TIMES_AT].copy_from_slice(&states.to_le_bytes());
        let at = standing.map_or(0, |standing| standing.at_ms().cast_unsigned());
        let end = standing.and_then(Standing::valid_until_ms).map_or(NO_END, i64::cast_unsigned);
        let times = &mut self.0[TIMES_AT + TIMES_BYTES * purpose.index()..][..TIMES_BYTES];
        times[..6].copy_from_slice(&at.to_le_bytes()[..6]);
        times[6..].copy_from_slice(&end.to_le_bytes()[..6]);
    }
}

fn six_bytes(bytes: &[u8]) -> u64 {
    let mut eight = [0; 8];
    eight[..6].copy_from_slice(bytes);
    u64::from_le_bytes(eight)
}

/// The key's last byte picks the shard.
fn shard_of(person: PersonKey) -> usize {
    let [.., last] = person.bytes();
    usize::from(last)
}

/// The key's low half, scaled to the shard's length, picks where to look first.
fn first_place(person: PersonKey, places: usize) -> usize {
    let [low, ..] = halves(person);
    let scaled = (u128::from(low) * u128::try_from(places).unwrap_or(u128::MAX)) >> 64;
    usize::try_from(scaled).unwrap_or(0)
}

fn halves(person: PersonKey) -> [u64; 2] {
    let number = person.number();
    let low = u64::try_from(number & u128::from(u64::MAX)).unwrap_or(0);
    let high = u64::try_from(number >> 64).unwrap_or(0);
    [low, high]
}
