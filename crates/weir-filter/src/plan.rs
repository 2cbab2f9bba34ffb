//! A contract, compiled for the walk over an event's data.
//!
//! Its dotted paths become a tree of objects, each with a table of the names it declares. Compiled once per policy, so
//! that the walk asks one question a key and never compares a path.

use crate::json::usize_of;
use crate::names::{Names, Within};
use std::collections::BTreeMap;
use std::sync::Arc;
use weir_policy::{
    Contract, ContractIx, Field, FieldClass, FieldType, Policy, PurposeId, PurposeSet, Range, Storage, Token,
};

/// The contracts of a policy, compiled; in the order of their places.
pub(crate) struct Plans {
    all: Vec<Plan>,
    /// Every kind of identifier in the policy, by its number.
    pub(crate) kinds: Arc<[Arc<str>]>,
    /// Tells where the contracts of each event type are among all of them.
    types: Names<Versions>,
    /// The contracts, by event type and version.
    by_type: Vec<ContractIx>,
}

/// The contracts of an event type: the first one's place, and how many there are.
#[derive(Clone, Copy, Default)]
struct Versions {
    first: u32,
    count: u32,
}

/// A compiled contract.
pub(crate) struct Plan {
    /// The objects that are walked; the first is the event's data.
    pub(crate) objects: Vec<Object>,
    /// What members lead to that are not just a field.
    pub(crate) ways: Vec<Ways>,
    /// The contract's fields, as the walk needs them.
    pub(crate) slots: Vec<Slot>,
    /// The columns of identifiers, in their order: first those of the first purpose.
    identifiers: Box<[IdentifierColumn]>,
    /// Where those of each purpose end.
    identifiers_end: [u32; 3],
    /// For each set of purposes, the fields that none of them has; content is never among them.
    lost: [Box<[usize]>; 8],
}

/// A column of identifiers; by itself, so that to find an event's takes one look and not one at each slot.
pub(crate) struct IdentifierColumn {
    pub(crate) field: u32,
    /// The number of their kind.
    pub(crate) kind: u32,
}

/// What the walk must know of a field, in one line of the cache: with a thousand event types none of it is near.
#[repr(align(64))]
pub(crate) struct Slot {
    pub(crate) bounds: Bounds,
    /// The words of its list, if they are a contract's own and few.
    pub(crate) words: Option<Arc<Names<Token>>>,
    /// The same for all fields of the type.
    pub(crate) field_type: Arc<FieldType>,
    /// The number of its type, and so of its closed list.
    pub(crate) list: u32,
    /// The number of its kind of identifier; 0 where it has none.
    pub(crate) kind: u32,
    /// Its place among the values of the event or, inside an array, of the item.
    pub(crate) at: u32,
    /// How many values an item has.
    pub(crate) item_values: u32,
    /// Whether its values are words of a closed list.
    pub(crate) is_listed: bool,
    pub(crate) is_content: bool,
    pub(crate) is_subject: bool,
}

const _: () = assert!(size_of::<Slot>() == 64, "one line");

/// The least and the greatest value that a field's type and range hold.
pub(crate) enum Bounds {
    Float { min: f64, max: f64 },
    Whole { min: i64, max: i64 },
    Wide(Box<(i128, i128)>),
}

impl Bounds {
    fn of(field: &Field) -> Self {
        if let FieldType::Float64 = field.field_type {
            return match field.range {
                Some(Range::Float { min, max }) => Self::Float { min: min.max(f64::MIN), max: max.min(f64::MAX) },
                Some(Range::Whole { .. }) | None => Self::Float { min: f64::MIN, max: f64::MAX },
            };
        }
        let (mut min, mut max) = field.field_type.bounds().unwrap_or((i64::MIN.into(), i64::MAX.into()));
        if let Some(Range::Whole { min: least, max: greatest }) = field.range {
            (min, max) = (min.max(least), max.min(greatest));
        }
        match (i64::try_from(min), i64::try_from(max), field.field_type.storage()) {
            (Ok(min), Ok(max), storage) if storage != Storage::Decimal => Self::Whole { min, max },
            _ => Self::Wide(Box::new((min, max))),
        }
    }

    #[inline]
    pub(crate) fn hold(&self, number: i64) -> bool {
        match self {
            Self::Whole { min, max } => *min <= number && number <= *max,
            Self::Float { .. } | Self::Wide(_) => self.hold_wide(number.into()),
        }
    }

    pub(crate) fn hold_wide(&self, number: i128) -> bool {
        match self {
            Self::Whole { min, max } => i128::from(*min) <= number && number <= i128::from(*max),
            Self::Wide(bounds) => bounds.0 <= number && number <= bounds.1,
            Self::Float { .. } => false,
        }
    }

    /// Tells whether a finite number lies within.
    #[inline]
    pub(crate) fn hold_float(&self, number: f64) -> bool {
        match self {
            Self::Float { min, max } => *min <= number && number <= *max,
            Self::Whole { .. } | Self::Wide(_) => false,
        }
    }
}

/// An object with declared members.
pub(crate) struct Object {
    pub(crate) members: Names<Member>,
}

/// A member of an object, in one word.
#[derive(Clone, Copy)]
pub(crate) struct Member {
    pub(crate) leads: Leads,
    /// Its place among the object's members.
    pub(crate) place: u16,
    /// The field, or the place among the plan's ways.
    pub(crate) index: u32,
}

impl Member {
    pub(crate) const UNDECLARED: Self = Self { leads: Leads::Nowhere, place: 0, index: 0 };
}

/// What a member leads to, and of which type a field's value mostly is: one question for each member.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leads {
    /// Nobody declared it.
    Nowhere,
    /// Further, see the plan's ways.
    On,
    Content,
    Float,
    Identifier,
    /// A word of a closed list.
    Listed,
    /// A field of another type.
    Other,
    /// Text of a form of its own.
    Text,
    Truth,
    /// A whole number.
    Whole,
}

impl Leads {
    fn to(slot: &Slot) -> Self {
        if slot.is_listed {
            // What fits a template is the event's own text, and takes longer to find.
            return if let FieldType::Route(_) = *slot.field_type { Self::Text } else { Self::Listed };
        }
        match slot.field_type.storage() {
            Storage::Bool => Self::Truth,
            Storage::Float => Self::Float,
            Storage::Int if matches!(*slot.field_type, FieldType::HttpStatus | FieldType::Int(_)) => Self::Whole,
            Storage::Nothing => Self::Content,
            Storage::Pseudonym => Self::Identifier,
            Storage::Network | Storage::Semver | Storage::UserAgent => Self::Text,
            Storage::Int if matches!(*slot.field_type, FieldType::Timestamp { unit: None, .. }) => Self::Text,
            Storage::Decimal | Storage::Int | Storage::Token => Self::Other,
        }
    }
}

/// What a member's value may be; another leads to no field and is dropped.
#[derive(Default)]
pub(crate) struct Ways {
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
        let (mut kinds, mut types) = (Vec::new(), Types::default());
        let plans = policy.contracts().iter().map(|contract| Plan::new(contract, &mut types, &mut kinds)).collect();
        let mut versions: BTreeMap<&str, Vec<ContractIx>> = BTreeMap::new();
        for (place, contract) in policy.iter() {
            versions.entry(&contract.event_type).or_default().push(place);
        }
        let mut first = 0;
        let event_types = versions.iter().map(|(name, contracts)| {
            let count = small(contracts.len());
            first += count;
            (name.as_bytes(), Versions { first: first - count, count })
        });
        let event_types = Names::new(event_types, Versions::default());
        let by_type = versions.into_values().flatten().collect();
        Self { all: plans, kinds: kinds.into(), types: event_types, by_type }
    }

    /// Returns the contracts of an event type, by version; none of a type that nobody declared.
    pub(crate) fn versions(&self, event_type: Within<'_>) -> &[ContractIx] {
        let Versions { first, count } = self.types.find(event_type);
        &self.by_type[usize_of(first)..][..usize_of(count)]
    }

    pub(crate) fn plan(&self, contract: ContractIx) -> &Plan {
        &self.all[contract.index()]
    }

    /// Returns the plan for a walk that is about to begin.
    #[inline]
    pub(crate) fn plan_for_walk(&self, contract: ContractIx) -> &Plan {
        let plan = self.plan(contract);
        if self.all.len() > NEAR_PLANS {
            plan.bring_near();
        }
        plan
    }
}

/// As many plans as a core's second cache holds beside everything else.
const NEAR_PLANS: usize = 64;

impl Plan {
    /// Looks at all that a walk will ask.
    ///
    /// These looks do not depend on each other, so that the processor has many under way at once; the walk would wait for one after the
    /// other, and with a thousand event types for each of them.
    fn bring_near(&self) {
        self.objects.iter().for_each(|object| object.members.bring_near());
        for slot in &self.slots {
            std::hint::black_box(slot.list);
        }
    }

    /// Returns the columns of identifiers that a purpose has, in their order.
    #[inline]
    pub(crate) fn identifiers(&self, purpose: PurposeId) -> &[IdentifierColumn] {
        let end = |at: usize| usize_of(self.identifiers_end[at]);
        &self.identifiers[purpose.index().checked_sub(1).map_or(0, end)..end(purpose.index())]
    }

    /// Returns the fields whose values no row carries when those of these purposes are written.
    pub(crate) fn lost(&self, written: PurposeSet) -> &[usize] {
        &self.lost[place_of(written)]
    }

    fn new(contract: &Contract, types: &mut Types, kinds: &mut Vec<Arc<str>>) -> Self {
        let mut root = Branch::default();
        for (place, field) in contract.fields.iter().enumerate() {
            root.declare(place, field);
        }
        let slots = contract.fields.iter().enumerate().map(|(place, field)| {
            let Known { number, field_type, words } = types.of(&field.field_type);
            Slot {
                bounds: Bounds::of(field),
                words,
                field_type,
                list: number,
                kind: number_of_kind(field, kinds),
                at: small(place),
                item_values: 1,
                is_listed: field.class == FieldClass::Word && field.field_type.storage() == Storage::Token,
                is_content: field.class == FieldClass::Content,
                is_subject: contract.subject == Some(place),
            }
        });
        let slots: Vec<_> = slots.collect();
        let mut identifiers = Vec::new();
        let identifiers_end = PurposeId::ALL.map(|purpose| {
            let columns = contract.columns(purpose).filter(|(_, field)| field.class == FieldClass::Identifier);
            let column = |(place, _): (usize, _)| IdentifierColumn { field: small(place), kind: slots[place].kind };
            identifiers.extend(columns.map(column));
            small(identifiers.len())
        });
        let mut lost = <[Box<[usize]>; 8]>::default();
        for written in (0..8)
            .map(|bits: u8| PurposeId::ALL.into_iter().filter(|purpose| bits >> purpose.index() & 1 == 1).collect())
        {
            let fields = contract.fields.iter().enumerate();
            // Content is counted as that, also where it stands in an array.
            let fields = fields.filter(|(_, field)| field.class != FieldClass::Content && written != contract.purposes);
            let fields = fields.filter(|(_, field)| field.purposes.and(written).is_empty());
            lost[place_of(written)] = fields.map(|(place, _)| place).collect();
        }
        let mut plan = Self {
            objects: Vec::new(),
            ways: Vec::new(),
            slots,
            identifiers: identifiers.into(),
            identifiers_end,
            lost,
        };
        plan.compile(&root);
        plan
    }

    /// Compiles a branch and what is under it; returns its place among the objects.
    fn compile(&mut self, branch: &Branch<'_>) -> usize {
        let place = self.objects.len();
        self.objects.push(Object { members: Names::new([], Member::UNDECLARED) });
        let members = branch.members.iter().zip(0..).map(|((name, under), place)| {
            let (leads, index) = match under {
                Under { field: Some(field), object: None, array: None } => {
                    (Leads::to(&self.slots[*field]), small(*field))
                }
                under => (Leads::On, self.compile_ways(under)),
            };
            (name.as_bytes(), Member { leads, place, index })
        });
        self.objects[place].members = Names::new(members.collect::<Vec<_>>(), Member::UNDECLARED);
        place
    }

    fn compile_ways(&mut self, under: &Under<'_>) -> u32 {
        let ways = Ways {
            field: under.field,
            object: under.object.as_ref().map(|object| self.compile(object)),
            array: under.array.as_ref().map(|array| self.compile_array(array)),
        };
        self.ways.push(ways);
        small(self.ways.len() - 1)
    }

    fn compile_array(&mut self, array: &ArrayBranch<'_>) -> Array {
        for (of_item, field) in (0..).zip(&array.fields) {
            let slot = &mut self.slots[*field];
            slot.at = of_item;
            slot.item_values = small(array.fields.len());
        }
        let object = array.object.as_ref().map(|object| self.compile(object));
        Array { field: array.field, object, fields: array.fields.clone() }
    }
}

/// Returns a number below 8 that stands for a set.
fn place_of(set: PurposeSet) -> usize {
    set.iter().map(|purpose| 1 << purpose.index()).sum()
}

fn small(number: usize) -> u32 {
    u32::try_from(number).expect("a policy has fewer than 2^32 fields")
}

/// The types of a policy's fields: contracts repeat each other's, so that what reading them takes is near, and share what was looked
/// up lately.
#[derive(Default)]
struct Types(Vec<Known>);

#[derive(Clone)]
struct Known {
    number: u32,
    field_type: Arc<FieldType>,
    words: Option<Arc<Names<Token>>>,
}

impl Types {
    fn of(&mut self, field_type: &FieldType) -> Known {
        if let Some(known) = self.0.iter().find(|known| *known.field_type == *field_type) {
            return known.clone();
        }
        let (number, words) = (small(self.0.len()), few_words(field_type).map(Arc::new));
        let new = Known { number, field_type: Arc::new(field_type.clone()), words };
        self.0.push(new.clone());
        new
    }
}

/// Makes the table of a contract's own words, unless they are many.
fn few_words(field_type: &FieldType) -> Option<Names<Token>> {
    const FEW: usize = 64;
    let FieldType::Words(list) = field_type else { return None };
    let words = list.words().filter_map(|word| Some((word.as_bytes(), list.token(word.as_bytes())?)));
    (list.words().len() <= FEW).then(|| Names::new(words, Token::OTHER))
}

fn number_of_kind(field: &Field, kinds: &mut Vec<Arc<str>>) -> u32 {
    let FieldType::Identifier { kind } = &field.field_type else { return 0 };
    small(kinds.iter().position(|known| known == kind).unwrap_or_else(|| {
        kinds.push(Arc::clone(kind));
        kinds.len() - 1
    }))
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
