//! A contract, compiled for the walk over an event's data.
//!
//! Its dotted paths become a tree of objects, each with a table of the names it declares. Compiled once per policy, so
//! that the walk asks one question a key and never compares a path.

use crate::names::Names;
use std::collections::BTreeMap;
use std::sync::Arc;
use weir_policy::{Contract, Field, FieldClass, FieldType, Policy, PurposeId};

/// The contracts of a policy, compiled; in the order of their places.
pub(crate) struct Plans {
    pub(crate) plans: Vec<Plan>,
    /// Every kind of identifier in the policy, by its number.
    pub(crate) kinds: Arc<[Arc<str>]>,
}

/// A compiled contract.
pub(crate) struct Plan {
    /// The objects that are walked; the first is the event's data.
    pub(crate) objects: Vec<Object>,
    /// The members that any of the objects declares, by their numbers.
    pub(crate) members: Vec<Member>,
    /// The number of each field's kind of identifier; 0 where it has none.
    pub(crate) kinds: Vec<usize>,
    /// The number of the first of its fields, among those of all contracts.
    first_field: u32,
    /// For each purpose, the columns of identifiers, in their order.
    pub(crate) identifiers: [Vec<usize>; 3],
}

/// An object with declared members.
pub(crate) struct Object {
    /// Gives the numbers of members.
    pub(crate) names: Names,
}

/// A declared member of an object: what its value may be.
///
/// A value that is neither leads to no field and is dropped.
#[derive(Default)]
pub(crate) struct Member {
    /// The field whose value it is.
    pub(crate) field: Option<usize>,
    /// The object (its place in the plan) whose members are declared further.
    pub(crate) object: Option<usize>,
    /// The array whose items are declared further.
    pub(crate) array: Option<Array>,
}

/// A declared array.
#[derive(Default)]
pub(crate) struct Array {
    /// The field whose values the items are.
    pub(crate) field: Option<usize>,
    /// The object that the items are.
    pub(crate) object: Option<usize>,
    /// Every field inside: each has one value, or null, for each item.
    pub(crate) fields: Vec<usize>,
}

impl Plans {
    pub(crate) fn new(policy: &Policy) -> Self {
        let mut kinds = Vec::new();
        let mut first_field = 0;
        let plans = policy.contracts().iter().map(|contract| {
            let plan = Plan::new(contract, first_field, &mut kinds);
            first_field += u32::try_from(contract.fields.len()).expect("a policy has fewer than 2^32 fields");
            plan
        });
        let plans = plans.collect();
        Self { plans, kinds: kinds.into() }
    }
}

impl Plan {
    fn new(contract: &Contract, first_field: u32, kinds: &mut Vec<Arc<str>>) -> Self {
        let mut root = Branch::default();
        for (place, field) in contract.fields.iter().enumerate() {
            root.declare(place, field);
        }
        let kinds = contract.fields.iter().map(|field| number_of_kind(field, kinds)).collect();
        let identifiers = PurposeId::ALL.map(|purpose| {
            let columns = contract.columns(purpose);
            columns.filter(|(_, field)| field.class == FieldClass::Identifier).map(|(place, _)| place).collect()
        });
        let mut plan = Self { objects: Vec::new(), members: Vec::new(), kinds, first_field, identifiers };
        plan.compile(&root);
        plan
    }

    /// Returns the number of a field among those of all contracts.
    pub(crate) fn number_of(&self, field: usize) -> u32 {
        self.first_field + u32::try_from(field).expect("a contract has fewer than 2^32 fields")
    }

    /// Compiles a branch and what is under it; returns its place among the objects.
    fn compile(&mut self, branch: &Branch<'_>) -> usize {
        let place = self.objects.len();
        self.objects.push(Object { names: Names::new(Vec::new()) });
        let mut names = Vec::new();
        for (name, under) in &branch.members {
            let number = self.members.len();
            names.push((name.as_bytes(), u32::try_from(number).expect("a contract has fewer than 2^32 fields")));
            self.members.push(Member::default());
            self.members[number] = Member {
                field: under.field,
                object: under.object.as_ref().map(|object| self.compile(object)),
                array: under.array.as_ref().map(|array| self.compile_array(array)),
            };
        }
        self.objects[place].names = Names::new(names);
        place
    }

    fn compile_array(&mut self, array: &ArrayBranch<'_>) -> Array {
        let object = array.object.as_ref().map(|object| self.compile(object));
        Array { field: array.field, object, fields: array.fields.clone() }
    }
}

fn number_of_kind(field: &Field, kinds: &mut Vec<Arc<str>>) -> usize {
    let FieldType::Identifier { kind } = &field.field_type else { return 0 };
    kinds.iter().position(|known| known == kind).unwrap_or_else(|| {
        kinds.push(Arc::clone(kind));
        kinds.len() - 1
    })
}

/// An object while the paths are gathered.
#[derive(Default)]
struct Branch<'c> {
    members: BTreeMap<&'c str, Under<'c>>,
}

/// What is declared under one name.
#[derive(Default)]
struct Under<'c> {
    field: Option<usize>,
    object: Option<Branch<'c>>,
    array: Option<ArrayBranch<'c>>,
}

#[derive(Default)]
struct ArrayBranch<'c> {
    field: Option<usize>,
    object: Option<Branch<'c>>,
    fields: Vec<usize>,
}

impl<'c> Branch<'c> {
    fn declare(&mut self, place: usize, field: &'c Field) {
        let Some(array_at) = field.array else { return self.lead(place, &field.segments) };
        let (outside, inside) = field.segments.split_at(array_at + 1);
        let (name, way) = outside.split_last().expect("a path has a segment");
        let array = self.walk(way).members.entry(name).or_default().array.get_or_insert_default();
        array.fields.push(place);
        if inside.is_empty() {
            array.field = Some(place);
        } else {
            array.object.get_or_insert_default().lead(place, inside);
        }
    }

    /// Declares a field at the end of a path without arrays.
    fn lead(&mut self, place: usize, path: &'c [String]) {
        let (name, way) = path.split_last().expect("a path has a segment");
        self.walk(way).members.entry(name).or_default().field = Some(place);
    }

    fn walk(&mut self, way: &'c [String]) -> &mut Self {
        way.iter().fold(self, |branch, name| branch.members.entry(name).or_default().object.get_or_insert_default())
    }
}
