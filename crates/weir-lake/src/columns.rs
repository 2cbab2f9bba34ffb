//! Rows become Arrow arrays, in the order of their pseudonyms.
//!
//! Arrival order would let a reader line up the files of two purposes and so undo the pseudonyms (LK-37), so each file
//! has an order of its own: by subject, then by event id, both keyed hashes. Arrays are made a slice of rows at a time:
//! beside the open columns only one slice is ever in memory. Words become dictionary arrays, so that a text is copied
//! once a slice and not once a row.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Decimal128Array, DictionaryArray, Float64Array, Int8Array, Int16Array,
    Int32Array, Int64Array, ListArray, StringArray, StructArray, TimestampMicrosecondArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field as ArrowField, Fields, Int32Type, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use weir_consent::TenantIx;
use weir_filter::{Cells, Column, Pseudonym, Rows, Storable, Values};
use weir_policy::{Contract, Field, Network, Purpose, PurposeId, Token};

use crate::delta_type::{ColumnType, DeltaType};
use crate::schema;

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
    let subjects = rows.subjects();
    let mut order: Vec<_> = (0..rows.len()).collect();
    // Rows without a subject are in the order of their event ids alone.
    order.sort_unstable_by_key(|row| {
        let subject = subjects.validity().is_valid(*row).then(|| subjects.values()[*row].bytes());
        (subject, rows.event_ids()[*row].bytes())
    });
    order
}

fn arrays<P: Purpose>(
    rows: &Rows<P>,
    contract: &Contract,
    picked: &[usize],
    tenant_name: &dyn Fn(TenantIx) -> String,
) -> Result<Vec<ArrayRef>, ArrowError> {
    let tenants = picked.iter().map(|row| Some(rows.tenants()[*row]));
    let ids = picked.iter().map(|row| rows.event_ids()[*row].bytes());
    let times = picked.iter().map(|row| rows.times()[*row]);
    let version = i32::try_from(rows.contract_version()).expect("contract versions are small");
    let mut arrays: Vec<ArrayRef> = vec![
        words(tenants, |tenant| tenant_name(*tenant))?,
        Arc::new(pick(rows.subjects(), picked).map(|subject| subject.map(Pseudonym::bytes)).collect::<BinaryArray>()),
        Arc::new(Int32Array::from_iter_values(picked.iter().map(|row| rows.subject_epochs()[*row]))),
        Arc::new(BinaryArray::from_iter_values(ids)),
        Arc::new(TimestampMicrosecondArray::from_iter_values(times).with_timezone("UTC")),
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
    let valid: NullBuffer = picked.iter().map(|row| lists.validity().is_valid(*row)).collect();
    let items = values_array(column.values(), field, &items)?;
    let DataType::List(item) = arrow_type(&schema::column(field).delta_type) else {
        return Err(ArrowError::SchemaError("an array path is stored as a list".into()));
    };
    Ok(Arc::new(ListArray::try_new(item, OffsetBuffer::from_lengths(lengths), items, Some(valid))?))
}

fn values_array<P: Purpose>(values: &Values<P>, field: &Field, picked: &[usize]) -> Result<ArrayRef, ArrowError> {
    let stored = schema::column(field).delta_type.item();
    Ok(match values {
        Values::Bool(cells) => Arc::new(pick(cells, picked).collect::<BooleanArray>()),
        Values::Decimal(cells) => {
            let array = pick(cells, picked).collect::<Decimal128Array>();
            Arc::new(array.with_data_type(stored.arrow()))
        }
        Values::Float(cells) => Arc::new(pick(cells, picked).collect::<Float64Array>()),
        Values::Int(cells) => integers(&stored, pick(cells, picked)),
        Values::Network(cells) => words(pick(cells, picked), Network::to_string)?,
        Values::Pseudonym(cells) => {
            Arc::new(pick(cells, picked).map(|value| value.map(Pseudonym::bytes)).collect::<BinaryArray>())
        }
        Values::Semver(cells) => semver(pick(cells, picked).collect())?,
        Values::Token(cells) => words(pick(cells, picked), |token| field.field_type.render(*token).into_owned())?,
        Values::UserAgent(cells) => user_agents(field, &pick(cells, picked).collect::<Vec<_>>())?,
    })
}

fn integers(stored: &DeltaType, values: impl Iterator<Item = Option<i64>>) -> ArrayRef {
    const FITS: &str = "the filter nulls what is outside the type";
    match stored {
        DeltaType::Byte => {
            Arc::new(values.map(|value| value.map(|value| i8::try_from(value).expect(FITS))).collect::<Int8Array>())
        }
        DeltaType::Short => {
            Arc::new(values.map(|value| value.map(|value| i16::try_from(value).expect(FITS))).collect::<Int16Array>())
        }
        DeltaType::Integer => {
            Arc::new(values.map(|value| value.map(|value| i32::try_from(value).expect(FITS))).collect::<Int32Array>())
        }
        DeltaType::Timestamp => Arc::new(values.collect::<TimestampMicrosecondArray>().with_timezone("UTC")),
        DeltaType::Long
        | DeltaType::Binary
        | DeltaType::Boolean
        | DeltaType::Decimal(..)
        | DeltaType::Double
        | DeltaType::List(_)
        | DeltaType::String
        | DeltaType::Struct(_) => Arc::new(values.collect::<Int64Array>()),
    }
}

fn semver(versions: Vec<Option<[i32; 3]>>) -> Result<ArrayRef, ArrowError> {
    let part = |at: usize| -> ArrayRef {
        Arc::new(versions.iter().map(|version| version.map(|version| version[at])).collect::<Int32Array>())
    };
    let valid = versions.iter().map(Option::is_some).collect();
    structs(
        &DeltaType::Struct(vec![
            ("major", DeltaType::Integer),
            ("minor", DeltaType::Integer),
            ("patch", DeltaType::Integer),
        ]),
        vec![part(0), part(1), part(2)],
        valid,
    )
}

fn user_agents(field: &Field, agents: &[Option<(Token, i32)>]) -> Result<ArrayRef, ArrowError> {
    let families = words(agents.iter().map(|agent| agent.map(|(family, _)| family)), |family| {
        field.field_type.render(*family).into_owned()
    })?;
    let majors: ArrayRef = Arc::new(agents.iter().map(|agent| agent.map(|(_, major)| major)).collect::<Int32Array>());
    let valid = agents.iter().map(Option::is_some).collect();
    structs(
        &DeltaType::Struct(vec![("family", DeltaType::String), ("major", DeltaType::Integer)]),
        vec![families, majors],
        valid,
    )
}

fn structs(stored: &DeltaType, columns: Vec<ArrayRef>, valid: NullBuffer) -> Result<ArrayRef, ArrowError> {
    let DataType::Struct(fields) = arrow_type(stored) else {
        return Err(ArrowError::SchemaError("a value of several parts is stored as a struct".into()));
    };
    Ok(Arc::new(StructArray::try_new(fields, columns, Some(valid))?))
}

/// Makes a dictionary array: each different value is rendered once.
fn words<T: Copy + Eq + std::hash::Hash>(
    values: impl Iterator<Item = Option<T>>,
    render: impl Fn(&T) -> String,
) -> Result<ArrayRef, ArrowError> {
    let mut places = HashMap::new();
    let mut texts = Vec::new();
    let keys: Int32Array = values
        .map(|value| {
            value.map(|value| {
                *places.entry(value).or_insert_with(|| {
                    texts.push(render(&value));
                    i32::try_from(texts.len() - 1).expect("a slice has few rows")
                })
            })
        })
        .collect();
    let texts: ArrayRef = Arc::new(StringArray::from_iter_values(&texts));
    Ok(Arc::new(DictionaryArray::<Int32Type>::try_new(keys, texts)?))
}

fn pick<'c, T: Storable>(cells: &'c Cells<T>, picked: &'c [usize]) -> impl Iterator<Item = Option<T>> + 'c {
    let (values, validity) = (cells.values(), cells.validity());
    picked.iter().map(move |at| validity.is_valid(*at).then(|| values[*at]))
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
