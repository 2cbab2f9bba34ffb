//! The walk over an event's data, along its contract.
//!
//! Every token is checked; a declared value is read as its type, content is measured, and everything else is passed over
//! and counted. A key that is declared and stands twice is noted: one reader would take the first, another the last.

use super::bytes::Place;
use super::events::Named;
use super::value::{Kind, Reader, Value};
use crate::json::{Cursor, Nesting, NotJson, unescape};
use crate::names::Names;
use crate::plan::{Array, Leads, Member, Plan, Slot, Ways};
use crate::tally::FieldCounts;

/// A walk over one record.
pub(super) struct Walk<'w, 't> {
    pub(super) cursor: Cursor<'t>,
    pub(super) reader: Reader<'w>,
    pub(super) nesting: &'w mut Nesting,
    pub(super) found: Found<'w>,
    pub(super) subject: Option<Named>,
    pub(super) is_doubled: bool,
}

/// Where a walk puts what it reads: after what earlier events left.
pub(super) struct Found<'w> {
    values: &'w mut Vec<Value>,
    items: &'w mut Vec<Value>,
    others: &'w mut Vec<Named>,
    first_value: usize,
    first_item: usize,
    first_other: usize,
}

/// Whether the walk is among an array's items, and where the values of this one start.
#[derive(Clone, Copy)]
enum Level {
    Event,
    Item(usize),
}

impl Walk<'_, '_> {
    /// Forgets what was found along another plan.
    pub(super) fn begin(&mut self, plan: &Plan) {
        self.found.clear();
        self.found.values.resize(self.found.first_value + plan.slots.len(), Value::ABSENT);
        self.reader.counts = FieldCounts::default();
        self.subject = None;
        self.is_doubled = false;
    }

    /// Walks the object at hand, which is data itself.
    pub(super) fn data(&mut self, plan: &Plan) -> Result<(), NotJson> {
        self.begin(plan);
        let mark = self.object(self.cursor.mark(), plan, 0, Level::Event)?;
        self.cursor.go_behind(mark);
        Ok(())
    }

    /// Passes over any value.
    pub(super) fn skip(&mut self) -> Result<(), NotJson> {
        self.cursor.skip(self.nesting)
    }

    /// Walks the object that opens at a mark; returns the mark behind it.
    fn object(&mut self, mark: usize, plan: &Plan, place: usize, level: Level) -> Result<usize, NotJson> {
        let members = &plan.objects[place].members;
        let mut met = Met::default();
        let mut count = 0;
        // A copy, so that it is kept in registers: what is called takes a mark and returns one.
        let mut cursor = self.cursor;
        cursor.go_to(mark);
        self.nesting.enter();
        let mut more = cursor.enter(b'}')?;
        while more {
            let key = cursor.key()?;
            count += 1;
            let member = if key.escaped {
                self.find_escaped(members, cursor.bytes(key))
            } else {
                members.find(cursor.text(), key.start, key.end)
            };
            self.member(&mut cursor, plan, member, &mut met, level)?;
            more = cursor.next(b'}')?;
        }
        self.nesting.leave();
        self.nesting.members += count;
        Ok(cursor.mark())
    }

    /// An escaped key means what it says.
    #[cold]
    fn find_escaped(&mut self, members: &Names<Member>, key: &[u8]) -> Member {
        let Some(name) = self.unescaped(key) else { return Member::UNDECLARED };
        let (text, start, end) = self.reader.bytes.around(name);
        members.find(text, start, end)
    }

    /// Reads a member's value as what its declaration says it mostly is; what is something else takes the longer way.
    #[inline(always)]
    fn member(
        &mut self,
        cursor: &mut Cursor<'_>,
        plan: &Plan,
        member: Member,
        met: &mut Met,
        level: Level,
    ) -> Result<(), NotJson> {
        if member.leads == Leads::Nowhere {
            self.reader.counts.undeclared += 1;
            return cursor.skip(self.nesting);
        }
        self.is_doubled |= met.again(member.place);
        let index = index(member.index);
        if member.leads == Leads::On {
            return self.on(cursor, plan, &plan.ways[index], level);
        }
        let slot = &plan.slots[index];
        let value = match (member.leads, cursor.peek()) {
            (Leads::Content, _) => self.content(cursor)?,
            (Leads::Float, b'0'..=b'9' | b'-') => self.reader.float(slot, &cursor.number()?),
            (Leads::Whole, b'0'..=b'9' | b'-') => self.reader.whole(slot, &cursor.number()?),
            (Leads::Listed, b'"') => match self.string(cursor)? {
                Some(place) => self.reader.listed(slot, place),
                None => self.reader.misfit(),
            },
            (Leads::Identifier, b'"') => match self.string(cursor)? {
                Some(place) => self.reader.named(place),
                None => self.reader.misfit(),
            },
            (Leads::Truth, b't') => cursor.literal(b"true").map(|()| self.reader.truth(slot, true))?,
            (Leads::Truth, b'f') => cursor.literal(b"false").map(|()| self.reader.truth(slot, false))?,
            (_, _) => self.value(cursor, slot)?,
        };
        self.keep(slot, index, value, level);
        Ok(())
    }

    /// Reads a string; none if it is no text.
    #[inline(always)]
    fn string(&mut self, cursor: &mut Cursor<'_>) -> Result<Option<Place>, NotJson> {
        let text = cursor.string()?;
        if text.escaped {
            // Half a surrogate pair is JSON, and no text.
            return Ok(self.unescaped(cursor.bytes(text)));
        }
        Ok(Some(Place::of_record(text.start, text.end)))
    }

    /// Writes a string that has escapes; none if it is no text.
    #[cold]
    pub(super) fn unescaped(&mut self, text: &[u8]) -> Option<Place> {
        self.reader.bytes.append(|out| unescape(text, out))
    }

    /// Follows a member that leads on.
    #[inline(always)]
    fn on(&mut self, cursor: &mut Cursor<'_>, plan: &Plan, ways: &Ways, level: Level) -> Result<(), NotJson> {
        match (cursor.peek(), ways) {
            (b'{', Ways { object: Some(object), .. }) => {
                let mark = self.object(cursor.mark(), plan, *object, level)?;
                cursor.go_behind(mark);
                Ok(())
            }
            (b'[', Ways { array: Some(array), .. }) => {
                let mark = self.array(cursor.mark(), plan, array)?;
                cursor.go_behind(mark);
                Ok(())
            }
            (_, Ways { field: Some(field), .. }) => self.field(cursor, plan, *field, level),
            (b'n', _) => cursor.literal(b"null"),
            // The way to a field leads through an object or array that is none.
            (_, _) => self.misfit(cursor).map(drop),
        }
    }

    /// Reads the value of a field.
    #[inline(always)]
    fn field(&mut self, cursor: &mut Cursor<'_>, plan: &Plan, field: usize, level: Level) -> Result<(), NotJson> {
        let slot = &plan.slots[field];
        let value = self.value(cursor, slot)?;
        self.keep(slot, field, value, level);
        Ok(())
    }

    #[inline(always)]
    fn keep(&mut self, slot: &Slot, field: usize, value: Value, level: Level) {
        if value.kind() == Kind::Identifier {
            let named = Named { kind: slot.kind, place: value.as_place() };
            if slot.is_subject { self.subject = Some(named) } else { self.found.others.push(named) }
        }
        match level {
            Level::Event => self.found.values[self.found.first_value + field] = value,
            Level::Item(start) => self.found.items[start + usize::from(slot.of_item)] = value,
        }
    }

    /// Reads the value of a field, of whatever JSON type it is.
    #[inline(always)]
    fn value(&mut self, cursor: &mut Cursor<'_>, slot: &Slot) -> Result<Value, NotJson> {
        // The longer way takes a copy, or the cursor could not be kept in registers.
        let (value, after) = self.any_value(*cursor, slot)?;
        *cursor = after;
        Ok(value)
    }

    fn any_value<'t>(&mut self, mut cursor: Cursor<'t>, slot: &Slot) -> Result<(Value, Cursor<'t>), NotJson> {
        if slot.is_content {
            return Ok((self.content(&mut cursor)?, cursor));
        }
        let value = match cursor.peek() {
            b'"' => match self.string(&mut cursor)? {
                Some(place) => self.reader.text(slot, place),
                None => self.reader.misfit(),
            },
            b'-' | b'0'..=b'9' => self.reader.number(slot, &cursor.number()?),
            b't' => cursor.literal(b"true").map(|()| self.reader.truth(slot, true))?,
            b'f' => cursor.literal(b"false").map(|()| self.reader.truth(slot, false))?,
            b'n' => cursor.literal(b"null").map(|()| Value::ABSENT)?,
            _ => self.misfit(&mut cursor)?,
        };
        Ok((value, cursor))
    }

    /// Passes over a value of a JSON type that has no place here.
    #[inline(always)]
    fn misfit(&mut self, cursor: &mut Cursor<'_>) -> Result<Value, NotJson> {
        cursor.skip(self.nesting)?;
        Ok(self.reader.misfit())
    }

    /// Passes over content; its length is all that is left of it.
    #[inline(always)]
    fn content(&mut self, cursor: &mut Cursor<'_>) -> Result<Value, NotJson> {
        let start = cursor.position();
        cursor.skip(self.nesting)?;
        let length = cursor.position() - start;
        Ok(self.reader.counted(Value::content(length)))
    }

    /// Walks the array that opens at a mark; returns the mark behind it.
    fn array(&mut self, mark: usize, plan: &Plan, array: &Array) -> Result<usize, NotJson> {
        let start = self.found.items.len();
        let mut length = 0;
        let mut cursor = self.cursor;
        cursor.go_to(mark);
        self.nesting.enter();
        let mut more = cursor.enter(b']')?;
        while more {
            length += 1;
            let item = self.found.items.len();
            self.found.items.resize(item + array.fields.len(), Value::ABSENT);
            self.item(&mut cursor, plan, array, Level::Item(item))?;
            more = cursor.next(b']')?;
        }
        self.nesting.leave();
        self.nesting.items = self.nesting.items.max(length);
        let small = |number| u32::try_from(number).expect("events read together have fewer than 2^32 items");
        for field in &array.fields {
            self.found.values[self.found.first_value + field] = Value::list(small(start), small(length));
        }
        Ok(cursor.mark())
    }

    #[inline(always)]
    fn item(&mut self, cursor: &mut Cursor<'_>, plan: &Plan, array: &Array, level: Level) -> Result<(), NotJson> {
        match (cursor.peek(), array) {
            (b'{', Array { object: Some(object), .. }) => {
                let mark = self.object(cursor.mark(), plan, *object, level)?;
                cursor.go_behind(mark);
                Ok(())
            }
            (_, Array { field: Some(field), .. }) => self.field(cursor, plan, *field, level),
            (b'n', _) => cursor.literal(b"null"),
            (_, _) => self.misfit(cursor).map(drop),
        }
    }
}

/// The members of one object that were met.
#[derive(Default)]
struct Met {
    /// A bit for each of the first ones.
    first: u64,
    /// Those of the rest, which few objects have.
    rest: Vec<u16>,
}

impl Met {
    /// Notes a member; true if it was met before.
    #[inline(always)]
    fn again(&mut self, place: u16) -> bool {
        let Some(bit) = 1_u64.checked_shl(place.into()) else { return self.again_among_rest(place) };
        let again = self.first & bit != 0;
        self.first |= bit;
        again
    }

    #[cold]
    fn again_among_rest(&mut self, place: u16) -> bool {
        let again = self.rest.contains(&place);
        self.rest.push(place);
        again
    }
}

#[inline(always)]
fn index(number: u32) -> usize {
    #[expect(clippy::as_conversions, reason = "no target of weir has a usize below 32 bits")]
    let wide = number as usize;
    wide
}

impl<'w> Found<'w> {
    /// Starts behind what earlier events left.
    pub(super) fn after(values: &'w mut Vec<Value>, items: &'w mut Vec<Value>, others: &'w mut Vec<Named>) -> Self {
        let (first_value, first_item, first_other) = (values.len(), items.len(), others.len());
        Self { values, items, others, first_value, first_item, first_other }
    }

    fn clear(&mut self) {
        self.values.truncate(self.first_value);
        self.items.truncate(self.first_item);
        self.others.truncate(self.first_other);
    }
}
