//! Rows become Arrow arrays, in the order of their pseudonyms.
//!
//! Arrival order would let a reader line up the files of two purposes and so undo the pseudonyms (LK-37), so each file
//! has an order of its own: by subject, then by event id, both keyed hashes. Arrays are made a slice of rows at a time:
//! beside the open columns only one slice is ever in memory. Words become dictionary arrays, so that a text is copied
//! once a slice and not once a row.

mod places;

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, ArrowPrimitiveType, BinaryArray, BooleanArray, DictionaryArray, Int32Array, ListArray, PrimitiveArray,
    StringArray, StructArray, TimestampMicrosecondArray,
};
use arrow::buffer::{BooleanBuffer, NullBuffer, OffsetBuffer};
use arrow::datatypes::{
    DataType, Decimal128Type, Field as ArrowField, Fields, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    Schema, SchemaRef, TimestampMicrosecondType,
};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use weir_consent::TenantIx;
use weir_filter::{Cells, Column, Pseudonym, Rows, Storable, Validity, Values};
use weir_policy::{Contract, Field, Network, Purpose, PurposeId, Token};

use crate::delta_type::{ColumnType, DeltaType};
use crate::schema;
use places::Places;

/// The rows that are turned into arrays at once; larger slices make the encoder no faster.
const SLICE_ROWS: usize = 8192;

/// Returns the Arrow schema in which the rows of a contract are handed to Parquet.
pub(crate) fn arrow_schema(contract: &Contract, purpose: PurposeId) -> SchemaRef {
    let fields: Vec<_> = schema::columns(contract, purpose).iter().map(field).collect();
    Arc::new(Schema::new(fields))
}

/// Turns rows into record batches of a few thousand rows each, in pseudonym order.
pub fn record_batches<'r, P: Purpose>(
    rows: &'r Rows<P>,
    contract: &'r Contract,
    tenant_name: &'r dyn Fn(TenantIx) -> String,
) -> impl Iterator<Item = Result<RecordBatch, ArrowError>> + 'r {
    let arrow_schema = arrow_schema(contract, P::ID);
    let order = order(rows);
    let slices = order.len().div_ceil(SLICE_ROWS);
    (0..slices).map(move |slice| {
        let start = slice * SLICE_ROWS;
        let picked = &order[start..order.len().min(start + SLICE_ROWS)];
        RecordBatch::try_new(arrow_schema.clone(), arrays(rows, contract, picked, tenant_name)?)
    })
}

/// Returns the places of the rows in the order in which they are written.
fn order<P: Purpose>(rows: &Rows<P>) -> Vec<usize> {
    let (subjects, ids) = (rows.subjects(), rows.event_ids());
    let (names, validity) = (subjects.values(), subjects.validity());
    let number = |pseudonym: Pseudonym<P>| u128::from_be_bytes(pseudonym.bytes());
    // Rows without a subject come first, in the order of their event ids alone.
    let whole = |row: usize| (validity.is_valid(row).then(|| number(names[row])), number(ids[row]));
    // The first bits tell nearly all people apart: what is sorted is small, and the rest is looked at where they do not.
    let sketch = |row: usize| match whole(row) {
        (None, id) => upper_half(id) >> 1,
        (Some(subject), _) => upper_half(subject) >> 1 | 1 << 63,
    };
    let mut order: Vec<_> = (0..rows.len()).map(|row| (sketch(row), row)).collect();
    order.sort_unstable_by_key(|(sketch, _)| *sketch);
    for alike in order.chunk_by_mut(|(one, _), (other, _)| one == other) {
        alike.sort_unstable_by_key(|(_, row)| whole(*row));
    }
    order.into_iter().map(|(_, row)| row).collect()
}

fn upper_half(number: u128) -> u64 {
    u64::try_from(number >> 64).expect("half of 128 bits")
}

fn arrays<P: Purpose>(
    rows: &Rows<P>,
    contract: &Contract,
    picked: &[usize],
    tenant_name: &dyn Fn(TenantIx) -> String,
) -> Result<Vec<ArrayRef>, ArrowError> {
    let version = i32::try_from(rows.contract_version()).expect("contract versions are small");
    let tenants = Picked { values: gather(rows.tenants(), picked), nulls: None };
    let ids = Picked { values: gather(rows.event_ids(), picked), nulls: None };
    let times = TimestampMicrosecondArray::from(gather(rows.times(), picked));
    let mut arrays: Vec<ArrayRef> = vec![
        words(&tenants, |tenant| tenant.0.into(), |tenant, text| text.push_str(&tenant_name(tenant)))?,
        pseudonyms(pick(rows.subjects(), picked))?,
        Arc::new(Int32Array::from(gather(rows.subject_epochs(), picked))),
        pseudonyms(ids)?,
        Arc::new(times.with_timezone("UTC")),
        Arc::new(Int32Array::from_value(version, picked.len())),
    ];
    for column in rows.columns() {
        let field = &contract.fields[column.field()];
        arrays.push(column_array(column, field, picked)?);
    }
    Ok(arrays)
}

fn column_array<P: Purpose>(column: &Column<P>, field: &Field, picked: &[usize]) -> Result<ArrayRef, ArrowError> {
    let Some(lists) = column.lists() else { return values_array(column.values(), field, picked) };
    let place = |offset: i32| usize::try_from(offset).expect("offsets are never below 0");
    let bounds = |row: usize| -> Range<usize> { place(lists.offsets()[row])..place(lists.offsets()[row + 1]) };
    let items: Vec<_> = picked.iter().flat_map(|row| bounds(*row)).collect();
    let lengths = picked.iter().map(|row| bounds(*row).len());
    let items = values_array(column.values(), field, &items)?;
    let DataType::List(item) = arrow_type(&schema::column(field).delta_type) else {
        return Err(ArrowError::SchemaError("an array path is stored as a list".into()));
    };
    let nulls = pick_nulls(lists.validity(), picked);
    Ok(Arc::new(ListArray::try_new(item, OffsetBuffer::from_lengths(lengths), items, nulls)?))
}

fn values_array<P: Purpose>(values: &Values<P>, field: &Field, picked: &[usize]) -> Result<ArrayRef, ArrowError> {
    let stored = schema::column(field).delta_type.item();
    Ok(match values {
        Values::Bool(cells) => {
            let truths = BooleanBuffer::collect_bool(picked.len(), |at| cells.values()[picked[at]]);
            Arc::new(BooleanArray::new(truths, pick_nulls(cells.validity(), picked)))
        }
        Values::Decimal(cells) => {
            Arc::new(numbers::<Decimal128Type>(pick(cells, picked))?.with_data_type(stored.arrow()))
        }
        Values::Float(cells) => Arc::new(numbers::<Float64Type>(pick(cells, picked))?),
        Values::Int(cells) => integers(&stored, pick(cells, picked))?,
        Values::Network(cells) => words(&pick(cells, picked), Network::number, Network::write)?,
        Values::Pseudonym(cells) => pseudonyms(pick(cells, picked))?,
        Values::Semver(cells) => semver(pick(cells, picked))?,
        Values::Token(cells) => tokens(field, &pick(cells, picked))?,
        Values::UserAgent(cells) => user_agents(field, pick(cells, picked))?,
    })
}

fn integers(stored: &DeltaType, picked: Picked<i64>) -> Result<ArrayRef, ArrowError> {
    const FITS: &str = "the filter nulls what is outside the type";
    Ok(match stored {
        DeltaType::Byte => Arc::new(numbers::<Int8Type>(picked.map(|value| i8::try_from(value).expect(FITS)))?),
        DeltaType::Short => Arc::new(numbers::<Int16Type>(picked.map(|value| i16::try_from(value).expect(FITS)))?),
        DeltaType::Integer => Arc::new(numbers::<Int32Type>(picked.map(|value| i32::try_from(value).expect(FITS)))?),
        DeltaType::Timestamp => Arc::new(numbers::<TimestampMicrosecondType>(picked)?.with_timezone("UTC")),
        DeltaType::Long
        | DeltaType::Binary
        | DeltaType::Boolean
        | DeltaType::Decimal(..)
        | DeltaType::Double
        | DeltaType::List(_)
        | DeltaType::String
        | DeltaType::Struct(_) => Arc::new(numbers::<Int64Type>(picked)?),
    })
}

fn numbers<T: ArrowPrimitiveType>(picked: Picked<T::Native>) -> Result<PrimitiveArray<T>, ArrowError> {
    PrimitiveArray::try_new(picked.values.into(), picked.nulls)
}

fn semver(versions: Picked<[i32; 3]>) -> Result<ArrayRef, ArrowError> {
    let part = |at: usize| -> Result<ArrayRef, ArrowError> {
        let values: Vec<_> = versions.values.iter().map(|version| version[at]).collect();
        Ok(Arc::new(Int32Array::try_new(values.into(), versions.nulls.clone())?))
    };
    let parts = vec![part(0)?, part(1)?, part(2)?];
    structs(
        &DeltaType::Struct(vec![
            ("major", DeltaType::Integer),
            ("minor", DeltaType::Integer),
            ("patch", DeltaType::Integer),
        ]),
        parts,
        versions.nulls,
    )
}

fn user_agents(field: &Field, agents: Picked<(Token, i32)>) -> Result<ArrayRef, ArrowError> {
    let majors: Vec<_> = agents.values.iter().map(|(_, major)| *major).collect();
    let majors = Int32Array::try_new(majors.into(), agents.nulls.clone())?;
    let families = agents.map(|(family, _)| family);
    structs(
        &DeltaType::Struct(vec![("family", DeltaType::String), ("major", DeltaType::Integer)]),
        vec![tokens(field, &families)?, Arc::new(majors)],
        families.nulls,
    )
}

fn structs(stored: &DeltaType, columns: Vec<ArrayRef>, nulls: Option<NullBuffer>) -> Result<ArrayRef, ArrowError> {
    let DataType::Struct(fields) = arrow_type(stored) else {
        return Err(ArrowError::SchemaError("a value of several parts is stored as a struct".into()));
    };
    Ok(Arc::new(StructArray::try_new(fields, columns, nulls)?))
}

/// Pseudonyms lie one after the other; a null takes no room.
fn pseudonyms<P: Purpose>(picked: Picked<Pseudonym<P>>) -> Result<ArrayRef, ArrowError> {
    let Picked { values, nulls } = picked;
    let is_there = |at: usize| nulls.as_ref().is_none_or(|nulls| nulls.is_valid(at));
    let lengths = (0..values.len()).map(|at| if is_there(at) { size_of::<Pseudonym<P>>() } else { 0 });
    let offsets = OffsetBuffer::from_lengths(lengths);
    let there = values.iter().enumerate().filter(|(at, _)| is_there(*at));
    let mut bytes = Vec::with_capacity(values.len());
    bytes.extend(there.map(|(_, value)| value.bytes()));
    Ok(Arc::new(BinaryArray::try_new(offsets, bytes.into_flattened().into(), nulls)?))
}

fn tokens(field: &Field, picked: &Picked<Token>) -> Result<ArrayRef, ArrowError> {
    let write = |token, text: &mut String| text.push_str(&field.field_type.render(token));
    words(picked, |token| token.number().into(), write)
}

/// Makes a dictionary array: each different value is written once.
fn words<T: Copy>(
    picked: &Picked<T>,
    number: impl Fn(T) -> u64,
    write: impl Fn(T, &mut String),
) -> Result<ArrayRef, ArrowError> {
    let mut places = Places::new();
    let (mut text, mut ends) = (String::new(), vec![0]);
    let mut keys = Vec::with_capacity(picked.values.len());
    for (at, value) in picked.values.iter().enumerate() {
        if picked.nulls.as_ref().is_some_and(|nulls| nulls.is_null(at)) {
            keys.push(0);
            continue;
        }
        let place = places.find(number(*value));
        if place.is_new {
            write(*value, &mut text);
            ends.push(i32::try_from(text.len()).expect("a slice has few rows, and words are short"));
        }
        keys.push(place.number);
    }
    let keys = Int32Array::try_new(keys.into(), picked.nulls.clone())?;
    let texts = StringArray::try_new(OffsetBuffer::new(ends.into()), text.into_bytes().into(), None)?;
    Ok(Arc::new(DictionaryArray::<Int32Type>::try_new(keys, Arc::new(texts))?))
}

/// The values at some places, one after the other; a null's is blank.
struct Picked<T> {
    values: Vec<T>,
    nulls: Option<NullBuffer>,
}

impl<T: Copy> Picked<T> {
    fn map<U>(self, change: impl Fn(T) -> U) -> Picked<U> {
        Picked { values: self.values.into_iter().map(change).collect(), nulls: self.nulls }
    }
}

fn pick<T: Storable>(cells: &Cells<T>, picked: &[usize]) -> Picked<T> {
    Picked { values: gather(cells.values(), picked), nulls: pick_nulls(cells.validity(), picked) }
}

fn gather<T: Copy>(values: &[T], picked: &[usize]) -> Vec<T> {
    picked.iter().map(|row| values[*row]).collect()
}

/// Returns which of the values at some places are null, if any is.
fn pick_nulls(validity: &Validity, picked: &[usize]) -> Option<NullBuffer> {
    if validity.nulls() == 0 {
        return None;
    }
    let bits = validity.bits();
    let valid = BooleanBuffer::collect_bool(picked.len(), |at| {
        let row = picked[at];
        bits[row / 8] >> (row % 8) & 1 == 1
    });
    Some(NullBuffer::new(valid)).filter(|nulls| nulls.null_count() > 0)
}

fn field(column: &ColumnType) -> ArrowField {
    ArrowField::new(&column.name, arrow_type(&column.delta_type), true)
}

/// The Arrow type as written: text is a dictionary of words, the rest as Delta reads it.
fn arrow_type(stored: &DeltaType) -> DataType {
    match stored {
        DeltaType::String => DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)),
        DeltaType::List(of) => DataType::List(Arc::new(ArrowField::new("element", arrow_type(of), true))),
        DeltaType::Struct(fields) => DataType::Struct(
            fields.iter().map(|(name, of)| ArrowField::new(*name, arrow_type(of), true)).collect::<Fields>(),
        ),
        DeltaType::Binary
        | DeltaType::Boolean
        | DeltaType::Byte
        | DeltaType::Decimal(..)
        | DeltaType::Double
        | DeltaType::Integer
        | DeltaType::Long
        | DeltaType::Short
        | DeltaType::Timestamp => stored.arrow(),
    }
}
