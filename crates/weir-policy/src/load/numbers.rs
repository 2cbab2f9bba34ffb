//! The keys that bound and coarsen a number: `range`, `precision`, `buckets`.

use std::sync::Arc;

use super::field::no_purpose;
use crate::coarsen::Coarsen;
use crate::diagnostic::{Diagnostic, Faults, Place};
use crate::field::{FieldType, Range, Unit};
use crate::purpose::{PurposeId, PurposeSet};
use crate::purposes::TimePrecision;
use crate::reader::{Entry, Node, Section, Value};
use crate::values::number;

/// What the keys say.
pub(super) struct Numbers {
    pub(super) field_type: FieldType,
    pub(super) coarsen: [Coarsen; 3],
    pub(super) range: Option<Range>,
}

/// Reads the keys of a field whose type was read; without a type it only marks them as known.
pub(super) fn read(field_type: Option<FieldType>, purposes: PurposeSet, section: &mut Section<'_>) -> Option<Numbers> {
    let (range, precision, buckets) = (section.entry("range"), section.entry("precision"), section.entry("buckets"));
    let faults = section.faults();
    let mut numbers = Numbers { field_type: field_type?, coarsen: [const { Coarsen::Exact }; 3], range: None };
    if let FieldType::Timestamp { precision: own, .. } = &mut numbers.field_type {
        if let Some(precision) = precision {
            each_purpose(&precision.node, purposes, faults, |purpose, node| {
                own[purpose.index()] = time_precision(node, faults);
            });
        }
        meaningless([range, buckets], faults);
        return Some(numbers);
    }
    let Some(kind) = Kind::of(&numbers.field_type) else {
        meaningless([range, precision, buckets], faults);
        return Some(numbers);
    };
    numbers.range = range.and_then(|entry| kind.range(&entry.node, faults));
    if let Some(entry) = precision {
        each_purpose(&entry.node, purposes, faults, |purpose, node| {
            if let Some(step) = kind.step(node, faults) {
                numbers.coarsen[purpose.index()] = step;
            }
        });
    }
    if let Some(entry) = buckets {
        each_purpose(&entry.node, purposes, faults, |purpose, node| {
            let place = &mut numbers.coarsen[purpose.index()];
            if *place != Coarsen::Exact {
                let message = format!("`precision` and `buckets` exclude each other for {}", purpose.name());
                faults.add(Diagnostic::error(&entry.place, "twice", message));
            }
            if let Some(buckets) = kind.buckets(node, numbers.range, faults) {
                *place = buckets;
            }
        });
    }
    Some(numbers)
}

fn meaningless<const N: usize>(entries: [Option<&Entry>; N], faults: &Faults) {
    for entry in entries.into_iter().flatten() {
        let message = format!("`{}` means nothing to this class and type", entry.key);
        faults.add(Diagnostic::error(&entry.place, "class_type", message).hint("remove it"));
    }
}

/// Calls `set` with the value for each purpose of the field: one for all, or a table by purpose.
fn each_purpose(node: &Node, purposes: PurposeSet, faults: &Faults, mut set: impl FnMut(PurposeId, &Node)) {
    let Value::Table(table) = &node.value else {
        let mut first = true;
        for purpose in purposes.iter() {
            // A faulty value is reported once, not once a purpose.
            if !std::mem::take(&mut first) && faults.errors_at(&node.place) {
                break;
            }
            set(purpose, node);
        }
        return;
    };
    for entry in &table.entries {
        match PurposeId::parse(&entry.key) {
            Some(purpose) if purposes.contains(purpose) => set(purpose, &entry.node),
            Some(_) => {
                let message = format!("the field does not serve `{}`", entry.key);
                faults
                    .add(Diagnostic::error(&entry.place, "no_purpose", message).hint("remove it, or add the purpose"));
            }
            None => faults.add(no_purpose(&entry.key, &entry.place)),
        }
    }
}

fn time_precision(node: &Node, faults: &Faults) -> Option<TimePrecision> {
    let name = node.text(faults)?;
    let precision = TimePrecision::parse(name);
    if precision.is_none() {
        let fault = Diagnostic::error(&node.place, "precision", format!("`{name}` is no precision of a time"));
        faults.add(fault.hint("second, minute, hour or day"));
    }
    precision
}

/// How the numbers of a type are read from a contract, and which there are.
#[derive(Clone, Copy)]
enum Kind {
    /// `float64`.
    Float,
    /// In a unit, stored in µs.
    Micros(Unit),
    /// Scaled by a power of ten; between two bounds.
    Scaled(u8, i128, i128),
}

/// A number as its type stores it.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
enum Number {
    Float(f64),
    Whole(i128),
}

impl Kind {
    fn of(field_type: &FieldType) -> Option<Self> {
        let (min, max) = field_type.bounds().unwrap_or_default();
        match field_type {
            FieldType::Float64 => Some(Self::Float),
            FieldType::Duration(unit) => Some(Self::Micros(*unit)),
            FieldType::Decimal { scale, .. } => Some(Self::Scaled(*scale, min, max)),
            FieldType::Int(_) | FieldType::UInt64 => Some(Self::Scaled(0, min, max)),
            FieldType::Age(_)
            | FieldType::Bool
            | FieldType::Content
            | FieldType::Country
            | FieldType::Currency
            | FieldType::Geo
            | FieldType::HttpMethod
            | FieldType::HttpStatus
            | FieldType::Identifier { .. }
            | FieldType::Ip
            | FieldType::Locale
            | FieldType::Route(_)
            | FieldType::Semver
            | FieldType::Timestamp { .. }
            | FieldType::UserAgent
            | FieldType::Words(_) => None,
        }
    }

    /// Reads a number that the type can hold.
    fn number(self, node: &Node, faults: &Faults) -> Option<Number> {
        let text = node.number(faults)?.as_bytes();
        let value = match self {
            Self::Float => number::float(text).filter(|value| value.is_finite()).map(Number::Float),
            Self::Micros(unit) => number::micros(text, unit).map(|value| Number::Whole(value.into())),
            Self::Scaled(scale, min, max) => {
                number::scaled(text, scale).filter(|value| (min..=max).contains(value)).map(Number::Whole)
            }
        };
        if value.is_none() {
            let fault = Diagnostic::error(&node.place, "out_of_bounds", "the type cannot hold this number");
            faults.add(fault.label("outside the type, or not exact in it"));
        }
        value
    }

    fn range(self, node: &Node, faults: &Faults) -> Option<Range> {
        let numbers: Option<Vec<Number>> = node.array(faults)?.iter().map(|item| self.number(item, faults)).collect();
        match numbers?[..] {
            [Number::Whole(min), Number::Whole(max)] if min <= max => Some(Range::Whole { min, max }),
            [Number::Float(min), Number::Float(max)] if min <= max => Some(Range::Float { min, max }),
            _ => {
                let fault = Diagnostic::error(&node.place, "range", "not a range");
                faults.add(fault.hint("two numbers, the smaller first, both kept: [0, 600000]"));
                None
            }
        }
    }

    fn step(self, node: &Node, faults: &Faults) -> Option<Coarsen> {
        match self.number(node, faults)? {
            Number::Whole(step) if step > 0 => Some(Coarsen::Multiple(step)),
            Number::Float(step) if step > 0.0 => Some(Coarsen::FloatMultiple(step)),
            Number::Whole(_) | Number::Float(_) => {
                let fault = Diagnostic::error(&node.place, "precision", "a precision is greater than 0");
                faults.add(fault.hint("values are rounded down to a multiple of it"));
                None
            }
        }
    }

    fn buckets(self, node: &Node, range: Option<Range>, faults: &Faults) -> Option<Coarsen> {
        let bounds: Option<Vec<Number>> = node.array(faults)?.iter().map(|item| self.number(item, faults)).collect();
        let bounds = bounds?;
        if bounds.is_empty() || bounds.len() > BUCKETS_MAX || !bounds.is_sorted_by(|one, other| one < other) {
            let fault = Diagnostic::error(&node.place, "buckets", "not the lower bounds of buckets");
            faults.add(fault.hint("1 to 256 ascending numbers: each value becomes the greatest that is not above it"));
            return None;
        }
        check_first(&node.place, bounds[0], range, faults);
        let whole = |bound: &Number| match bound {
            Number::Whole(bound) => Some(*bound),
            Number::Float(_) => None,
        };
        let float = |bound: &Number| match bound {
            Number::Float(bound) => Some(*bound),
            Number::Whole(_) => None,
        };
        Some(match self {
            Self::Float => Coarsen::FloatBuckets(bounds.iter().filter_map(float).collect::<Arc<[f64]>>()),
            Self::Micros(_) | Self::Scaled(..) => {
                Coarsen::Buckets(bounds.iter().filter_map(whole).collect::<Arc<[i128]>>())
            }
        })
    }
}

/// A range whose smallest values lie in no bucket would promise values that are then dropped.
fn check_first(place: &Place, first: Number, range: Option<Range>, faults: &Faults) {
    let is_above = match (first, range) {
        (Number::Whole(first), Some(Range::Whole { min, .. })) => first > min,
        (Number::Float(first), Some(Range::Float { min, .. })) => first > min,
        (Number::Whole(_) | Number::Float(_), _) => false,
    };
    if is_above {
        let fault = Diagnostic::error(place, "buckets", "the first bucket starts above the range");
        faults.add(fault.hint("start with the range's smallest value: what is below the first bucket is null"));
    }
}

/// More buckets coarsen nothing.
const BUCKETS_MAX: usize = 256;
