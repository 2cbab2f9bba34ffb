//! An event's data along its contract: for each declared path, what stands there.

use weir_filter::FieldCounts;
use weir_policy::{Contract, Field, FieldClass};

use super::json::{Json, Text};
use super::value::{self, Nothing, Value};

/// What each field of the contract holds in one event.
#[derive(Clone, Debug)]
pub struct Walked {
    /// One a field.
    pub fields: Vec<Held>,
    /// What was dropped or replaced on the way.
    pub counts: FieldCounts,
    /// Whether a declared key stands twice in its object.
    pub is_doubled: bool,
}

/// What one field holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Held {
    /// One value, or none.
    One(Result<Value, Nothing>),
    /// The values of an array's items.
    Many(Vec<Result<Value, Nothing>>),
}

/// A field whose path has led here.
#[derive(Clone, Copy)]
struct Way<'c> {
    /// The field's place in the contract.
    place: usize,
    /// The keys that are left of the path.
    rest: &'c [String],
    /// Whether the key passed last is the one whose value is the field's array.
    is_array: bool,
}

/// Walks the data of an event along its contract.
pub fn walk<'c>(contract: &'c Contract, data: Option<&Json<'_>>) -> Walked {
    let absent = Held::One(Err(Nothing::Absent));
    let mut walked =
        Walked { fields: vec![absent; contract.fields.len()], counts: FieldCounts::default(), is_doubled: false };
    if let Some(Json::Object(members)) = data {
        let start = |(place, field): (usize, &'c Field)| Way { place, rest: &field.segments, is_array: false };
        let ways: Vec<Way<'c>> = contract.fields.iter().enumerate().map(start).collect();
        walked.object(contract, members, &ways);
    }
    walked
}

impl Walked {
    fn object(&mut self, contract: &Contract, members: &[(Text<'_>, Json<'_>)], ways: &[Way<'_>]) {
        let mut met: Vec<&str> = Vec::new();
        for (name, value) in members {
            let name = name.text();
            let further: Vec<Way<'_>> =
                ways.iter().filter_map(|way| way.through(name?, &contract.fields[way.place])).collect();
            let Some(name) = name.filter(|_| !further.is_empty()) else {
                self.counts.undeclared += 1;
                continue;
            };
            self.is_doubled |= met.contains(&name);
            met.push(name);
            self.member(contract, value, &further);
        }
    }

    /// Takes the value of a declared key. The contract may declare there a value, an object, an array, or all three.
    fn member(&mut self, contract: &Contract, value: &Json<'_>, ways: &[Way<'_>]) {
        let here = ways.iter().find(|way| way.rest.is_empty() && !way.is_array);
        let members: Vec<Way<'_>> = ways.iter().filter(|way| !way.rest.is_empty() && !way.is_array).copied().collect();
        let items: Vec<Way<'_>> = ways.iter().filter(|way| way.is_array).copied().collect();
        if let (Json::Object(object), false) = (value, members.is_empty()) {
            self.object(contract, object, &members);
        } else if let (Json::Array(array), false) = (value, items.is_empty()) {
            self.array(contract, array, &items);
        } else {
            self.scalar(contract, value, here);
        }
    }

    fn array(&mut self, contract: &Contract, items: &[Json<'_>], ways: &[Way<'_>]) {
        for way in ways {
            self.fields[way.place] = Held::Many(Vec::new());
        }
        let here = ways.iter().find(|way| way.rest.is_empty());
        let members: Vec<Way<'_>> = ways.iter().filter(|way| !way.rest.is_empty()).copied().collect();
        let absent = vec![Held::One(Err(Nothing::Absent)); self.fields.len()];
        let mut inner = Self { fields: absent, counts: self.counts, is_doubled: self.is_doubled };
        for item in items {
            // The item is walked as an event of its own, and its values are moved to the lists.
            if let (Json::Object(object), false) = (item, members.is_empty()) {
                inner.object(contract, object, &members);
            } else {
                inner.scalar(contract, item, here);
            }
            for way in ways {
                let absent = Held::One(Err(Nothing::Absent));
                let held = std::mem::replace(&mut inner.fields[way.place], absent);
                if let (Held::Many(list), Held::One(one)) = (&mut self.fields[way.place], held) {
                    list.push(one);
                }
            }
        }
        (self.counts, self.is_doubled) = (inner.counts, inner.is_doubled);
    }

    /// Takes a value that is not walked into; without a field here, only null is in its place.
    fn scalar(&mut self, contract: &Contract, value: &Json<'_>, here: Option<&Way<'_>>) {
        match here {
            Some(way) => self.fields[way.place] = Held::One(self.value(&contract.fields[way.place], value)),
            None if *value == Json::Null => {}
            // The way to a field leads through an object or array, and this is none.
            None => self.counts.wrong_type += 1,
        }
    }

    /// Reads one value of a field, and counts what becomes of it.
    fn value(&mut self, field: &Field, json: &Json<'_>) -> Result<Value, Nothing> {
        if field.class == FieldClass::Content {
            self.counts.content += 1;
            return Err(Nothing::Absent);
        }
        let held = value::read(field, json);
        match &held {
            Err(Nothing::WrongType) => self.counts.wrong_type += 1,
            Err(Nothing::OutOfRange) => self.counts.out_of_range += 1,
            Ok(Value::Other(_)) => self.counts.other_word += 1,
            Ok(_) | Err(Nothing::Absent) => {}
        }
        held
    }
}

impl Way<'_> {
    /// Returns the way on through the member of this name; none if the path does not lead there.
    fn through(self, name: &str, field: &Field) -> Option<Self> {
        let (first, rest) = self.rest.split_first()?;
        let passed = field.segments.len() - self.rest.len();
        (first == name).then_some(Self { rest, is_array: field.array == Some(passed), ..self })
    }
}

impl Held {
    /// Returns every identifier that the field holds.
    pub fn identifiers(&self) -> impl Iterator<Item = &str> {
        let all = match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        };
        all.iter().filter_map(|held| if let Ok(Value::Identifier(text)) = held { Some(text.as_str()) } else { None })
    }
}
