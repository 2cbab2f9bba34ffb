//! The walk over an event's data, along its contract.
//!
//! Every token is checked; a declared value is read as its type, content is measured, and everything else is passed over
//! and counted. A key that is declared and stands twice is noted: one reader would take the first, another the last.

use super::bytes::{Bytes, Place};
use super::value::{self, Nothing, Scalar, Value};
use super::words::Words;
use crate::json::{Cursor, Frame, NotJson, Text, unescape};
use crate::plan::{Array, Member, Plan};
use crate::tally::FieldCounts;
use weir_policy::{Contract, Field, FieldClass};

/// What a walk fills; used again for the next event.
#[derive(Default)]
pub(super) struct Slots {
    /// One a field.
    pub(super) values: Vec<Value>,
    /// One a field: the items, where the value is a list.
    pub(super) lists: Vec<Vec<Value>>,
    /// Identifiers beside the subject, with their fields.
    pub(super) others: Vec<(usize, Place)>,
    /// The object in which each member was met last.
    met_in: Vec<u64>,
    /// The number of objects entered so far, in all events.
    objects: u64,
    pub(super) frames: Vec<Frame>,
    words: Words,
}

/// A walk over one event's data.
pub(super) struct Walk<'w, 't> {
    pub(super) cursor: Cursor<'t>,
    pub(super) bytes: Bytes<'w>,
    pub(super) slots: &'w mut Slots,
    pub(super) plan: &'w Plan,
    pub(super) contract: &'w Contract,
    pub(super) counts: FieldCounts,
    pub(super) is_doubled: bool,
}

/// Whether the walk is among an array's items.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    Event,
    Item,
}

impl Slots {
    /// Forgets the last event.
    pub(super) fn clear(&mut self, plan: &Plan, contract: &Contract) {
        let fields = contract.fields.len();
        self.values.clear();
        self.values.resize(fields, Value::ABSENT);
        if self.lists.len() < fields {
            self.lists.resize_with(fields, Vec::new);
        }
        if self.met_in.len() < plan.members.len() {
            self.met_in.resize(plan.members.len(), 0);
        }
        self.others.clear();
    }
}

impl Walk<'_, '_> {
    /// Walks the object at hand, which is data itself.
    pub(super) fn data(&mut self) -> Result<(), NotJson> {
        self.object(0, Level::Event)
    }

    fn object(&mut self, place: usize, level: Level) -> Result<(), NotJson> {
        self.slots.objects += 1;
        let this = self.slots.objects;
        let mut more = self.cursor.enter(b'}')?;
        while more {
            let key = self.cursor.key()?;
            match self.find(place, key) {
                None => {
                    self.counts.undeclared += 1;
                    self.cursor.skip(&mut self.slots.frames)?;
                }
                Some(number) => {
                    self.is_doubled |= self.slots.met_in[number] == this;
                    self.slots.met_in[number] = this;
                    self.member(&self.plan.members[number], level)?;
                }
            }
            more = self.cursor.next(b'}')?;
        }
        Ok(())
    }

    #[inline]
    fn find(&mut self, place: usize, key: Text) -> Option<usize> {
        let names = &self.plan.objects[place].names;
        let number = if key.escaped {
            let cursor = &self.cursor;
            let name = self.bytes.append(|out| unescape(cursor.bytes(key), out))?;
            let name = self.bytes.at(name);
            names.find(name, 0, name.len())
        } else {
            names.find(self.cursor.text(), key.start, key.end)
        };
        number.map(|number| usize::try_from(number).expect("usize has at least 32 bits"))
    }

    #[inline]
    fn member(&mut self, member: &Member, level: Level) -> Result<(), NotJson> {
        match (self.cursor.peek(), member) {
            (b'{', Member { object: Some(object), .. }) => self.object(*object, level),
            (b'[', Member { array: Some(array), .. }) => self.array(array),
            (_, Member { field: Some(field), .. }) => {
                let value = self.field(*field)?;
                self.keep(*field, value, level);
                Ok(())
            }
            (b'n', _) => self.cursor.literal(b"null"),
            (_, _) => {
                // The way to a field leads through an object or array that is none.
                self.counts.wrong_type += 1;
                self.cursor.skip(&mut self.slots.frames)
            }
        }
    }

    fn keep(&mut self, field: usize, value: Value, level: Level) {
        match level {
            Level::Event => self.slots.values[field] = value,
            Level::Item => {
                if let Some(item) = self.slots.lists[field].last_mut() {
                    *item = value;
                }
            }
        }
    }

    /// Reads the value of a field, of whatever JSON type it is.
    #[inline]
    fn field(&mut self, place: usize) -> Result<Value, NotJson> {
        let field = &self.contract.fields[place];
        if field.class == FieldClass::Content {
            return self.content();
        }
        let scalar = match self.cursor.peek() {
            b'"' => {
                let text = self.cursor.string()?;
                self.text(text)
            }
            b'-' | b'0'..=b'9' => Scalar::Number(self.cursor.number()?),
            b't' => self.cursor.literal(b"true").map(|()| Scalar::Bool(true))?,
            b'f' => self.cursor.literal(b"false").map(|()| Scalar::Bool(false))?,
            b'n' => return self.cursor.literal(b"null").map(|()| Value::ABSENT),
            _ => {
                self.counts.wrong_type += 1;
                self.cursor.skip(&mut self.slots.frames)?;
                return Ok(Value::Nothing(Nothing::WrongType));
            }
        };
        Ok(self.read(place, field, &scalar))
    }

    #[inline]
    fn read(&mut self, place: usize, field: &Field, scalar: &Scalar) -> Value {
        let number = self.plan.number_of(place);
        let value = value::read(field, number, scalar, &mut self.bytes, &mut self.slots.words, &mut self.counts);
        if let Value::Identifier(identifier) = value
            && self.contract.subject != Some(place)
        {
            self.slots.others.push((place, identifier));
        }
        value
    }

    #[inline]
    fn text(&mut self, text: Text) -> Scalar {
        if !text.escaped {
            return Scalar::Text(Place::of_record(text.start, text.end));
        }
        let cursor = &self.cursor;
        self.bytes.append(|out| unescape(cursor.bytes(text), out)).map_or(Scalar::Broken, Scalar::Text)
    }

    /// Passes over content; its length is all that is left of it.
    fn content(&mut self) -> Result<Value, NotJson> {
        self.cursor.peek();
        let start = self.cursor.place().0;
        self.cursor.skip(&mut self.slots.frames)?;
        self.counts.content += 1;
        Ok(Value::Nothing(Nothing::Content(self.cursor.place().0 - start)))
    }

    fn array(&mut self, array: &Array) -> Result<(), NotJson> {
        for field in &array.fields {
            self.slots.lists[*field].clear();
            self.slots.values[*field] = Value::List;
        }
        let mut items = 0;
        let mut more = self.cursor.enter(b']')?;
        while more {
            items += 1;
            for field in &array.fields {
                self.slots.lists[*field].push(Value::ABSENT);
            }
            self.item(array)?;
            more = self.cursor.next(b']')?;
        }
        self.cursor.sizes.items = self.cursor.sizes.items.max(items);
        Ok(())
    }

    fn item(&mut self, array: &Array) -> Result<(), NotJson> {
        match (self.cursor.peek(), array) {
            (b'{', Array { object: Some(object), .. }) => self.object(*object, Level::Item),
            (_, Array { field: Some(field), .. }) => {
                let value = self.field(*field)?;
                self.keep(*field, value, Level::Item);
                Ok(())
            }
            (b'n', _) => self.cursor.literal(b"null"),
            (_, _) => {
                self.counts.wrong_type += 1;
                self.cursor.skip(&mut self.slots.frames)
            }
        }
    }
}
