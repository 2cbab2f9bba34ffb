//! The walk over an event's data, along its contract.
//!
//! Every token is checked; a declared value is read as its type, content is measured, and everything else is passed over
//! and counted. A key that is declared and stands twice is noted: one reader would take the first, another the last.

use super::bytes::Place;
use super::events::Named;
use super::value::{Kind, Reader, Value};
use crate::json::{Cursor, Marked, Nesting, NotJson, unescape, usize_of};
use crate::names::Names;
use crate::plan::{Array, Leads, Member, Plan, Slot, Ways};
use crate::tally::FieldCounts;

/// A walk over one record.
pub(super) struct Walk<'w, M> {
    pub(super) cursor: Cursor<M>,
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

impl<M: Marked> Walk<'_, M> {
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
        let mut values = std::mem::take(self.found.values);
        let met = self.object(self.cursor.met(), plan, 0, &mut values[self.found.first_value..]);
        *self.found.values = values;
        self.cursor.go_behind(met?);
        Ok(())
    }

    /// Passes over any value.
    pub(super) fn skip(&mut self) -> Result<(), NotJson> {
        self.cursor.skip(self.nesting)
    }

    /// Walks the object at whose bracket so many marks were met, into the values of its event or item.
    ///
    /// Returns how many marks were met behind it.
    fn object(&mut self, met: usize, plan: &Plan, place: usize, out: &mut [Value]) -> Result<usize, NotJson> {
        let members = &plan.objects[place].members;
        let mut known = Met::default();
        let (mut count, mut undeclared) = (0, 0);
        // A copy, so that it is kept in registers: what is called takes how many marks were met, and returns it.
        let mut cursor = self.cursor;
        cursor.go_to(met);
        self.nesting.enter();
        let mut more = cursor.enter(b'}')?;
        while more {
            let key = cursor.key()?;
            count += 1;
            let member = if key.escaped {
                self.find_escaped(members, cursor.bytes(key))
            } else {
                members.find(cursor.piece(key))
            };
            if member.leads == Leads::Nowhere {
                undeclared += 1;
                cursor.skip(self.nesting)?;
            } else {
                known.note(member.place);
                self.member(&mut cursor, plan, member, out)?;
            }
            more = cursor.next(b'}')?;
        }
        self.nesting.leave();
        self.nesting.members += count;
        self.reader.counts.undeclared += undeclared;
        self.is_doubled |= known.is_doubled;
        self.cursor.learn(&cursor);
        Ok(cursor.met())
    }

    /// An escaped key means what it says.
    #[cold]
    fn find_escaped(&mut self, members: &Names<Member>, key: &[u8]) -> Member {
        let Some(name) = self.unescaped(key) else { return Member::UNDECLARED };
        members.find(self.reader.bytes.around(name))
    }

    /// Reads a declared member's value as what its declaration says it mostly is; what is something else takes the longer way.
    #[inline(always)]
    fn member(
        &mut self,
        cursor: &mut Cursor<M>,
        plan: &Plan,
        member: Member,
        out: &mut [Value],
    ) -> Result<(), NotJson> {
        let index = usize_of(member.index);
        if member.leads == Leads::On {
            return self.on(cursor, plan, &plan.ways[index], out);
        }
        let slot = &plan.slots[index];
        out[usize_of(slot.at)] = match (member.leads, cursor.peek()) {
            (Leads::Content, _) => self.content(cursor)?,
            (Leads::Float, b'0'..=b'9') => match cursor.short() {
                Some(number) => self.reader.float(slot, number.float()),
                None => self.value(cursor, slot)?,
            },
            (Leads::Whole, b'0'..=b'9') => match cursor.short_whole() {
                Some(number) => self.reader.whole(slot, number),
                None => self.value(cursor, slot)?,
            },
            (Leads::Listed, b'"') => match cursor.string()? {
                text if text.escaped => self.escaped(slot, cursor.bytes(text)),
                text => self.reader.listed(slot, cursor.piece(text)),
            },
            (Leads::Identifier, b'"') => match self.string(cursor)? {
                Some(place) => self.named(slot, place),
                None => self.reader.misfit(),
            },
            (Leads::Text, b'"') => match self.string(cursor)? {
                Some(place) => self.reader.text(slot, place),
                None => self.reader.misfit(),
            },
            (Leads::Truth, b't') => cursor.literal(b"true").map(|()| Value::truth(true))?,
            (Leads::Truth, b'f') => cursor.literal(b"false").map(|()| Value::truth(false))?,
            (_, _) => self.value(cursor, slot)?,
        };
        Ok(())
    }

    /// Reads a text as an identifier.
    #[inline(always)]
    fn named(&mut self, slot: &Slot, place: Place) -> Value {
        let value = self.reader.named(place);
        self.note(slot, value);
        value
    }

    /// Notes whom a value names, if it is an identifier.
    #[inline]
    fn note(&mut self, slot: &Slot, value: Value) {
        if value.kind() == Kind::Identifier {
            let named = Named { kind: slot.kind, place: value.as_place() };
            if slot.is_subject { self.subject = Some(named) } else { self.found.others.push(named) }
        }
    }

    /// Reads a string; none if it is no text.
    #[inline(always)]
    fn string(&mut self, cursor: &mut Cursor<M>) -> Result<Option<Place>, NotJson> {
        let text = cursor.string()?;
        if text.escaped {
            // Half a surrogate pair is JSON, and no text.
            return Ok(self.unescaped(cursor.bytes(text)));
        }
        Ok(Some(Place::of_record(text.start, text.end)))
    }

    /// Reads a string that has escapes as what it says.
    #[cold]
    fn escaped(&mut self, slot: &Slot, text: &[u8]) -> Value {
        match self.unescaped(text) {
            Some(place) => self.reader.text(slot, place),
            None => self.reader.misfit(),
        }
    }

    /// Writes a string that has escapes; none if it is no text.
    #[cold]
    pub(super) fn unescaped(&mut self, text: &[u8]) -> Option<Place> {
        self.reader.bytes.append(|out| unescape(text, out))
    }

    /// Follows a member that leads on.
    #[inline(always)]
    fn on(&mut self, cursor: &mut Cursor<M>, plan: &Plan, ways: &Ways, out: &mut [Value]) -> Result<(), NotJson> {
        match (cursor.peek(), ways) {
            (b'{', Ways { object: Some(object), .. }) => {
                self.cursor.learn(cursor);
                let met = self.object(cursor.met(), plan, *object, out)?;
                cursor.go_behind(met);
                cursor.learn(&self.cursor);
                Ok(())
            }
            (b'[', Ways { array: Some(array), .. }) => {
                self.cursor.learn(cursor);
                let met = self.array(cursor.met(), plan, array, out)?;
                cursor.go_behind(met);
                cursor.learn(&self.cursor);
                Ok(())
            }
            (_, Ways { field: Some(field), .. }) => self.field(cursor, plan, *field, out),
            (b'n', _) => cursor.literal(b"null"),
            // The way to a field leads through an object or array that is none.
            (_, _) => self.misfit(cursor).map(drop),
        }
    }

    /// Reads the value of a field.
    #[inline(always)]
    fn field(&mut self, cursor: &mut Cursor<M>, plan: &Plan, field: usize, out: &mut [Value]) -> Result<(), NotJson> {
        let slot = &plan.slots[field];
        out[usize_of(slot.at)] = self.value(cursor, slot)?;
        Ok(())
    }

    /// Reads the value of a field, of whatever JSON type it is.
    #[inline(always)]
    fn value(&mut self, cursor: &mut Cursor<M>, slot: &Slot) -> Result<Value, NotJson> {
        // The longer way takes a copy, or the cursor could not be kept in registers.
        let (value, after) = self.any_value(*cursor, slot)?;
        *cursor = after;
        Ok(value)
    }

    #[inline(never)]
    fn any_value(&mut self, mut cursor: Cursor<M>, slot: &Slot) -> Result<(Value, Cursor<M>), NotJson> {
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
        self.note(slot, value);
        Ok((value, cursor))
    }

    /// Passes over a value of a JSON type that has no place here.
    #[inline(always)]
    fn misfit(&mut self, cursor: &mut Cursor<M>) -> Result<Value, NotJson> {
        cursor.skip(self.nesting)?;
        Ok(self.reader.misfit())
    }

    /// Passes over content; its length is all that is left of it.
    #[inline(always)]
    fn content(&mut self, cursor: &mut Cursor<M>) -> Result<Value, NotJson> {
        let start = cursor.position();
        cursor.skip(self.nesting)?;
        let length = cursor.position() - start;
        Ok(self.reader.counted(Value::content(length)))
    }

    /// Walks the array at whose bracket so many marks were met; returns how many were met behind it.
    fn array(&mut self, met: usize, plan: &Plan, array: &Array, out: &mut [Value]) -> Result<usize, NotJson> {
        // Items stand beside each other and hold no arrays, so that nobody else needs them meanwhile.
        let mut items = std::mem::take(self.found.items);
        let start = items.len();
        let walked = self.items(met, plan, array, &mut items);
        *self.found.items = items;
        let (met, length) = walked?;
        self.nesting.items = self.nesting.items.max(length);
        let small = |number| u32::try_from(number).expect("events read together have fewer than 2^32 items");
        for field in &array.fields {
            out[*field] = Value::list(small(start), small(length));
        }
        Ok(met)
    }

    /// Walks an array's items; returns how many marks were met behind it, and how many items it has.
    fn items(
        &mut self,
        met: usize,
        plan: &Plan,
        array: &Array,
        items: &mut Vec<Value>,
    ) -> Result<(usize, usize), NotJson> {
        let (mut length, start) = (0, items.len());
        let mut cursor = self.cursor;
        cursor.go_to(met);
        self.nesting.enter();
        let mut more = cursor.enter(b']')?;
        while more {
            length += 1;
            if length > self.nesting.most_items {
                // The record is refused; its items in memory would be a hundred times its size.
                items.truncate(start + self.nesting.most_items * array.fields.len());
            }
            let item = items.len();
            items.resize(item + array.fields.len(), Value::ABSENT);
            self.item(&mut cursor, plan, array, &mut items[item..])?;
            more = cursor.next(b']')?;
        }
        self.nesting.leave();
        self.cursor.learn(&cursor);
        Ok((cursor.met(), length))
    }

    #[inline(always)]
    fn item(&mut self, cursor: &mut Cursor<M>, plan: &Plan, array: &Array, out: &mut [Value]) -> Result<(), NotJson> {
        match (cursor.peek(), array) {
            (b'{', Array { object: Some(object), .. }) => {
                self.cursor.learn(cursor);
                let met = self.object(cursor.met(), plan, *object, out)?;
                cursor.go_behind(met);
                cursor.learn(&self.cursor);
                Ok(())
            }
            (_, Array { field: Some(field), .. }) => self.field(cursor, plan, *field, out),
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
    is_doubled: bool,
}

impl Met {
    /// Notes a member, and whether it was met before.
    #[inline(always)]
    fn note(&mut self, place: u16) {
        let Some(bit) = 1_u64.checked_shl(place.into()) else { return self.note_among_rest(place) };
        self.is_doubled |= self.first & bit != 0;
        self.first |= bit;
    }

    #[cold]
    fn note_among_rest(&mut self, place: u16) {
        self.is_doubled |= self.rest.contains(&place);
        self.rest.push(place);
    }
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
