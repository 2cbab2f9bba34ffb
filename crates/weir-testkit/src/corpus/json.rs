//! The payload of an event: the tree of its contract, filled in and spoiled a little.

use super::envelope::Dialect;
use super::people::{People, Person};
use super::shape::{Node, Shape};
use super::text::{write_digits, write_escaped, write_hex, write_int, write_string, write_words};
use super::{Options, value};
use crate::random::Random;

/// What every part of a payload needs to know.
pub(super) struct Context<'c> {
    pub(super) shape: &'c Shape,
    pub(super) person: &'c Person<'c>,
    pub(super) people: &'c People,
    pub(super) dialect: &'c Dialect,
    pub(super) options: &'c Options,
}

/// Writes the payload, padded with undeclared text to about the size that the options ask for.
pub(super) fn write_data(context: &Context<'_>, random: &mut Random, out: &mut Vec<u8>) {
    let tree = context.shape.tree(context.dialect.producer);
    let mut object = Object::begin(context, out);
    object.members(tree, random);
    let missing = context.options.bytes.saturating_sub(object.out.len());
    if missing > MARGIN && context.options.flaws.undeclared_field > 0 {
        object.key("client_log", false);
        write_words(missing - MARGIN, context.dialect.verbose, random, object.out);
    }
    object.end();
}

/// An object that is being written.
struct Object<'c, 'o> {
    context: &'c Context<'c>,
    out: &'o mut Vec<u8>,
    started: bool,
}

impl<'c, 'o> Object<'c, 'o> {
    fn begin(context: &'c Context<'c>, out: &'o mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { context, out, started: false }
    }

    fn end(self) {
        self.out.push(b'}');
    }

    fn members(&mut self, node: &Node, random: &mut Random) {
        let (dialect, flaws) = (self.context.dialect, &self.context.options.flaws);
        for place in dialect.order(node.members.len()) {
            let (key, member) = &node.members[place];
            if random.chance(flaws.undeclared_field) {
                self.undeclared(random);
            }
            if random.chance(if member.names_person { flaws.missing_subject } else { flaws.missing_field }) {
                continue;
            }
            self.key(key, dialect.escaped_key && random.chance(300));
            self.node(member, random);
            if dialect.duplicate_key && random.chance(200) {
                self.key(key, false);
                self.node(member, random);
            }
        }
    }

    fn key(&mut self, key: &str, escaped: bool) {
        if self.started {
            self.out.extend_from_slice(if self.context.dialect.verbose { b", " } else { b"," });
        }
        self.started = true;
        self.out.push(b'"');
        let mut rest = key.chars();
        if escaped && let Some(first) = rest.next() {
            self.out.extend_from_slice(b"\\u");
            write_hex(u32::from(first).into(), 4, self.out);
        }
        write_escaped(rest.as_str(), self.context.dialect.verbose, self.out);
        self.out.extend_from_slice(if self.context.dialect.verbose { b"\": " } else { b"\":" });
    }

    fn node(&mut self, node: &Node, random: &mut Random) {
        let context = self.context;
        let flaws = &context.options.flaws;
        if random.chance(if node.names_person { flaws.null_field.min(flaws.missing_subject) } else { flaws.null_field })
        {
            self.out.extend_from_slice(b"null");
        } else if let Some(element) = &node.element {
            self.array(element, random);
        } else if !node.members.is_empty() {
            let mut object = Object::begin(context, self.out);
            object.members(node, random);
            object.end();
        } else if let Some(place) = node.field {
            value::write_value(context, place, random, self.out);
        } else {
            self.out.extend_from_slice(b"{}");
        }
    }

    fn array(&mut self, element: &Node, random: &mut Random) {
        self.out.push(b'[');
        for place in 0..random.below(4) {
            if place > 0 {
                self.out.push(b',');
            }
            self.node(element, random);
        }
        self.out.push(b']');
    }

    /// Writes a field that no contract declares.
    fn undeclared(&mut self, random: &mut Random) {
        let ascii = self.context.dialect.verbose;
        let (key, kind) = random.pick(UNDECLARED);
        self.key(key, false);
        let out = &mut *self.out;
        match kind {
            Undeclared::Flag => out.extend_from_slice(b"true"),
            Undeclared::Hex => {
                out.push(b'"');
                write_hex(random.bits(), 12, out);
                out.push(b'"');
            }
            Undeclared::Number => write_int(random.between(0, 2_000_000_000), out),
            Undeclared::Object => {
                out.extend_from_slice(b"{\"cohort\":\"c");
                write_digits(random.below(9), 1, out);
                out.extend_from_slice(b"\",\"new_ui\":true,\"nested\":{\"deep\":[1,{\"x\":null}]}}");
            }
            Undeclared::Text => write_words(8 + random.index(32), ascii, random, out),
            Undeclared::Texts => {
                out.push(b'[');
                write_words(6, ascii, random, out);
                out.push(b',');
                write_string("second", ascii, out);
                out.push(b']');
            }
        }
    }
}

#[derive(Clone, Copy)]
enum Undeclared {
    Flag,
    Hex,
    Number,
    Object,
    Text,
    Texts,
}

const UNDECLARED: &[(&str, Undeclared)] = &[
    ("x_debug", Undeclared::Hex),
    ("exp_bucket", Undeclared::Number),
    ("tmp_note", Undeclared::Text),
    ("ab_test", Undeclared::Flag),
    ("feature_flags", Undeclared::Object),
    ("tags", Undeclared::Texts),
    ("phone_raw", Undeclared::Hex),
    ("hint", Undeclared::Text),
];

/// Room for the key and what follows the padding.
const MARGIN: usize = 30;
