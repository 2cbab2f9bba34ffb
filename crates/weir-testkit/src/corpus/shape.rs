//! A contract as the tree of JSON that its events have.

use weir_policy::{Contract, Field};

use crate::random::mix;

/// What events of one contract look like.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    pub(crate) event_type: String,
    pub(crate) version: u32,
    pub(crate) fields: Vec<Field>,
    /// Place of the subject in `fields`.
    pub(crate) subject: Option<usize>,
    subject_kind: String,
    /// The tree of `data`, once a producer: they order their members differently.
    trees: [Node; PRODUCERS],
}

/// A place in the tree. Contracts may declare a value and something below it; an event then has one of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Node {
    /// The declared field that stands here.
    pub(crate) field: Option<usize>,
    /// Members of the object that stands here.
    pub(crate) members: Vec<(String, Node)>,
    /// Whether the field that names the person stands here or below.
    pub(crate) names_person: bool,
    /// Element of the array that stands here.
    pub(crate) element: Option<Box<Node>>,
}

impl Shape {
    pub(crate) fn new(contract: &Contract) -> Self {
        let mut tree = Node::default();
        for (place, field) in contract.fields.iter().enumerate() {
            tree.insert(field, place, contract.subject == Some(place));
        }
        let mut producer = 0;
        let trees = [(); PRODUCERS].map(|()| {
            let mut tree = tree.clone();
            tree.order_as(producer);
            producer += 1;
            tree
        });
        Self {
            event_type: contract.event_type.clone(),
            version: contract.version,
            fields: contract.fields.clone(),
            subject: contract.subject,
            subject_kind: super::subject_kind(contract).unwrap_or("none").to_owned(),
            trees,
        }
    }

    /// Returns the kind of the subject; `none` where the contract has no subject.
    pub(crate) fn subject_kind(&self) -> &str {
        &self.subject_kind
    }

    pub(crate) fn tree(&self, producer: usize) -> &Node {
        &self.trees[producer % PRODUCERS]
    }
}

impl Node {
    fn insert(&mut self, field: &Field, place: usize, names_person: bool) {
        let mut node = self;
        for (depth, segment) in field.segments.iter().enumerate() {
            node = node.member(segment);
            node.names_person |= names_person;
            if field.array == Some(depth) {
                node = node.element.get_or_insert_default();
            }
        }
        node.field = Some(place);
    }

    fn member(&mut self, key: &str) -> &mut Self {
        let place = self.members.iter().position(|(name, _)| name == key).unwrap_or_else(|| {
            self.members.push((key.to_owned(), Self::default()));
            self.members.len() - 1
        });
        &mut self.members[place].1
    }

    /// Producer 0 keeps the contract's order, the others have one of their own.
    fn order_as(&mut self, producer: u64) {
        if producer > 0 {
            self.members.sort_by_key(|(key, _)| key.bytes().fold(producer, |hash, byte| mix(hash ^ u64::from(byte))));
        }
        for (_, member) in &mut self.members {
            member.order_as(producer);
        }
        if let Some(element) = &mut self.element {
            element.order_as(producer);
        }
    }
}

/// Number of client libraries whose habits differ.
pub(crate) const PRODUCERS: usize = 4;
