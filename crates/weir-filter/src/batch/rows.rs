//! The rows of one table and day: the system's columns, the declared ones, and what is never stored.

use super::column::Column;
use super::layout::{ITEM_WORDS, Layout, Place, Word};
use super::open_columns::{OpenColumns, TILE_ROWS};
use super::pool::Pool;
use crate::json::usize_of;
use crate::pseudonymize::Pseudonym;
use crate::record::Origin;
use std::sync::Arc;
use weir_consent::TenantIx;
use weir_keys::PersonKey;
use weir_policy::{ContractIx, Purpose};

/// Rows of one contract and one day, for one purpose, in the order in which their records came.
#[expect(missing_debug_implementations, reason = "values of events must not be printable")]
pub struct Rows<P: Purpose> {
    contract: ContractIx,
    contract_version: u32,
    date: i32,
    layout: Arc<Layout<P>>,
    body: Body<P>,
    /// Where the buffers go when the rows are dropped.
    pool: Pool<P>,
}

/// The buffers of rows.
pub(super) struct Body<P: Purpose> {
    heads: Vec<Head<P>>,
    /// The declared columns of a few rows each, one row after the other; those past the last row wait for the next ones.
    chunks: Vec<Box<[Word]>>,
    /// The items of lists: whether there is a value, and the value.
    items: Vec<Item>,
    /// Everyone beside the subjects whom the events name, row after row.
    others: Vec<PersonKey>,
}

/// An item of a list: 1 if there is a value, and the value.
pub(crate) type Item = (Word, [Word; ITEM_WORDS]);

/// What a row has beside its declared columns: the system's, and what is never stored.
#[expect(missing_debug_implementations, reason = "values of events must not be printable")]
pub struct Head<P: Purpose> {
    pub(crate) tenant: TenantIx,
    pub(crate) subject: Option<Pseudonym<P>>,
    pub(crate) subject_epoch: i32,
    pub(crate) event_id: Pseudonym<P>,
    /// In µs, at the purpose's precision.
    pub(crate) time: i64,
    pub(crate) hidden: Hidden,
}

/// What is known of a row and never stored: whom to ask consent of again, and where to count it.
#[derive(Clone, Copy)]
pub(crate) struct Hidden {
    pub(crate) origin: Origin,
    /// As exact as it came.
    pub(crate) event_ms: i64,
    pub(crate) person: Option<PersonKey>,
    /// How many others the event names.
    pub(crate) others: u32,
}

impl<P: Purpose> Head<P> {
    /// Returns the column `tenant`; the consent view knows the name.
    pub fn tenant(&self) -> TenantIx {
        self.tenant
    }

    /// Returns the column `subject`; null where the contract declares none.
    pub fn subject(&self) -> Option<Pseudonym<P>> {
        self.subject
    }

    /// Returns the column `subject_epoch`.
    pub fn subject_epoch(&self) -> i32 {
        self.subject_epoch
    }

    /// Returns the column `event_id`.
    pub fn event_id(&self) -> Pseudonym<P> {
        self.event_id
    }

    /// Returns the column `time`: µs since 1970, at the purpose's precision.
    pub fn time(&self) -> i64 {
        self.time
    }

    /// Returns the partition that the row came from, which is never stored.
    pub fn origin(&self) -> Origin {
        self.hidden.origin
    }
}

impl<P: Purpose> Rows<P> {
    /// Returns the contract of all the rows.
    pub fn contract(&self) -> ContractIx {
        self.contract
    }

    /// Returns the column `contract_version`, the same for all the rows.
    pub fn contract_version(&self) -> u32 {
        self.contract_version
    }

    /// Returns the UTC day of the events' times, in days since 1970.
    pub fn date(&self) -> i32 {
        self.date
    }

    /// Returns the number of rows.
    pub fn len(&self) -> usize {
        self.body.heads.len()
    }

    /// Tells whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.body.heads.is_empty()
    }

    /// Returns the system's columns, row after row.
    pub fn heads(&self) -> &[Head<P>] {
        &self.body.heads
    }

    /// Returns the time of the oldest event, in milliseconds since 1970 and as exact as it came.
    pub fn earliest_ms(&self) -> Option<i64> {
        self.heads().iter().map(|head| head.hidden.event_ms).min()
    }

    /// Returns the declared columns, in the order of [`Contract::columns`](weir_policy::Contract::columns), with the rows at some
    /// places, in the order of the places.
    pub fn columns(&self, rows: &[usize]) -> impl Iterator<Item = Column<P>> {
        let mut columns = OpenColumns::new(&self.layout, &self.body.items, rows.len());
        for some in rows.chunks(TILE_ROWS) {
            columns.push(some.iter().map(|row| self.words(*row)));
        }
        columns.close()
    }

    /// Returns the number of different people, for the audit's warning about small commits.
    pub fn people(&self) -> usize {
        let mut people: Vec<_> = self.heads().iter().filter_map(Head::subject).map(Pseudonym::bytes).collect();
        people.sort_unstable();
        people.dedup();
        people.len()
    }

    /// Returns the bytes that the rows occupy.
    ///
    /// Asked for between polls, of every table: it looks at no row.
    pub fn memory(&self) -> usize {
        let Body { heads, chunks, items, others } = &self.body;
        let words = size_of::<Word>() * self.layout.stride * rows_before(chunks.len());
        size_of_val(&heads[..]) + words + size_of_val(&items[..]) + size_of_val(&others[..])
    }

    pub(crate) fn new(
        (contract, contract_version): (ContractIx, u32),
        date: i32,
        layout: Arc<Layout<P>>,
        pool: &Pool<P>,
    ) -> Self {
        let body = pool.take(contract).unwrap_or_default();
        Self { contract, contract_version, date, layout, body, pool: pool.clone() }
    }

    /// Looks at all that adding a row will need, so that it is near by then.
    pub(crate) fn bring_near(&self) {
        self.layout.bring_near();
        let (Body { heads, chunks, .. }, stride) = (&self.body, self.layout.stride);
        let (chunk, start) = place_of(heads.len(), stride);
        let row = chunks.get(chunk).map(|words| &words[start..start + stride]);
        // Each line of the cache that the row will lie in.
        let words = row.map(|row| row.chunks(LINE_WORDS).fold(0, |words, line| words | line[0]));
        std::hint::black_box((heads.last().map(|head| head.time), words));
    }

    /// Adds a row, whose cells its caller then fills.
    #[inline]
    pub(crate) fn push(&mut self, head: Head<P>, others: &[PersonKey]) -> NewRow<'_> {
        let Self { layout, body, .. } = self;
        let (chunk, start) = place_of(body.heads.len(), layout.stride);
        make_room(&mut body.heads);
        body.heads.push(head);
        body.others.extend_from_slice(others);
        if chunk == body.chunks.len() {
            body.chunks.push(vec![0; rows_of(chunk) * layout.stride].into());
        }
        let row = &mut body.chunks[chunk][start..start + layout.stride];
        NewRow::new(row, layout, &mut body.items)
    }

    /// Returns a row's words.
    #[inline]
    fn words(&self, row: usize) -> &[Word] {
        let (chunk, start) = place_of(row, self.layout.stride);
        &self.body.chunks[chunk][start..start + self.layout.stride]
    }

    /// Returns the items of a row's list, if it has one.
    fn list(&self, place: Place, row: &[Word]) -> Option<&[Item]> {
        place.is_there(row).then(|| place.items(row, &self.body.items))
    }

    /// Returns what is never stored, row after row: with everyone whom the events name beside the subjects.
    pub(super) fn hidden(&self) -> impl Iterator<Item = (&Head<P>, &[PersonKey])> {
        let mut others = &self.body.others[..];
        self.heads().iter().map(move |head| {
            let (own, rest) = others.split_at(usize_of(head.hidden.others));
            others = rest;
            (head, own)
        })
    }

    /// Keeps the rows whose place is true in `keep`, which has one place for each.
    pub(super) fn retain(&mut self, keep: &[bool]) {
        assert_eq!(keep.len(), self.len(), "one verdict for each row");
        if keep.iter().all(|keep| *keep) {
            return;
        }
        let old = std::mem::take(&mut self.body);
        let old = Self { body: old, layout: Arc::clone(&self.layout), pool: self.pool.clone(), ..*self };
        let lists = || old.layout.places.iter().filter(|place| place.is_list);
        for (row, (head, others)) in old.hidden().enumerate().filter(|(row, _)| keep[*row]) {
            self.push(*head, others);
            let (chunk, start) = place_of(self.len() - 1, self.layout.stride);
            let words = &mut self.body.chunks[chunk][start..start + old.layout.stride];
            words.copy_from_slice(old.words(row));
            for place in lists() {
                let Some(items) = old.list(*place, old.words(row)) else { continue };
                words[place.word] = small(self.body.items.len());
                self.body.items.extend_from_slice(items);
            }
        }
    }
}

/// The cells of a row that is being filled, by the groups of its layout's columns.
pub(crate) struct NewRow<'r> {
    pub(crate) wide: Group<'r>,
    pub(crate) narrow: Group<'r>,
    pub(crate) made: Group<'r>,
    /// Where items of lists go.
    pub(crate) items: &'r mut Vec<Item>,
}

/// Cells: the bits that say which have a value, and the values.
pub(crate) struct Group<'r> {
    pub(crate) there: &'r mut [Word],
    pub(crate) words: &'r mut [Word],
}

impl<'r> NewRow<'r> {
    fn new<P: Purpose>(row: &'r mut [Word], layout: &Layout<P>, items: &'r mut Vec<Item>) -> Self {
        let [wide_bits, narrow_bits, made_bits] = layout.validity_words();
        let (wide_there, rest) = row.split_at_mut(wide_bits);
        let (narrow_there, rest) = rest.split_at_mut(narrow_bits);
        let (made_there, rest) = rest.split_at_mut(made_bits);
        let (wide, rest) = rest.split_at_mut(2 * layout.wide.len());
        let (narrow, made) = rest.split_at_mut(layout.narrow.len());
        // All other cells are written, also those without a value.
        made_there.fill(0);
        made.fill(0);
        let group = |there, words| Group { there, words };
        Self {
            wide: group(wide_there, wide),
            narrow: group(narrow_there, narrow),
            made: group(made_there, made),
            items,
        }
    }
}

impl<P: Purpose> Body<P> {
    pub(super) fn clear(&mut self) {
        let Self { heads, items, others, .. } = self;
        heads.clear();
        items.clear();
        others.clear();
    }
}

impl<P: Purpose> Default for Body<P> {
    fn default() -> Self {
        Self { heads: Vec::new(), chunks: Vec::new(), items: Vec::new(), others: Vec::new() }
    }
}

impl<P: Purpose> Drop for Rows<P> {
    fn drop(&mut self) {
        self.pool.put(self.contract, self.memory(), std::mem::take(&mut self.body));
    }
}

/// Words in a line of the cache.
const LINE_WORDS: usize = 16;
/// Rows whose words lie together, while a table has few: many tables have fewer.
const FEW_ROWS: usize = 8;
/// Chunks of [`FEW_ROWS`] rows: as many rows as one of the chunks behind them.
const SMALL_CHUNKS: usize = 8;
/// Rows whose words lie together behind those: enough that asking for memory costs little.
const MANY_ROWS: usize = FEW_ROWS * SMALL_CHUNKS;

/// Returns the chunk of a row, and where it starts there.
#[inline]
fn place_of(row: usize, stride: usize) -> (usize, usize) {
    if row < MANY_ROWS {
        return (row / FEW_ROWS, row % FEW_ROWS * stride);
    }
    (row / MANY_ROWS + SMALL_CHUNKS - 1, row % MANY_ROWS * stride)
}

/// Returns how many rows a chunk has.
fn rows_of(chunk: usize) -> usize {
    if chunk < SMALL_CHUNKS { FEW_ROWS } else { MANY_ROWS }
}

/// Returns how many rows the first chunks have together.
fn rows_before(chunk: usize) -> usize {
    chunk.min(SMALL_CHUNKS) * FEW_ROWS + chunk.saturating_sub(SMALL_CHUNKS) * MANY_ROWS
}

/// Grows a buffer where it is full, a small one by as much again and others by half.
///
/// What is reserved counts against nobody's budget, so it must be little.
#[inline]
fn make_room<T>(values: &mut Vec<T>) {
    if values.capacity() == values.len() {
        let step = if values.len() < SMALL { values.len() } else { values.len() / 2 };
        values.reserve_exact(step.max(FEW_ROWS));
    }
}

/// A buffer of fewer elements is small.
const SMALL: usize = 1024;

/// Returns a number of items or people: open rows hold fewer than 2^32.
pub(crate) fn small(number: usize) -> u32 {
    u32::try_from(number).expect("open rows are bounded well below 2^32 values")
}

impl<P: Purpose> Clone for Head<P> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P: Purpose> Copy for Head<P> {}
