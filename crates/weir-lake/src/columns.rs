//! Rows become Arrow arrays, in the order of their pseudonyms.
//!
//! Arrival order would let a reader line up the files of two purposes and so undo the pseudonyms (LK-37), so each file
//! has an order of its own: by subject, then by event id, both keyed hashes. Arrays are made a slice of rows at a time:
//! beside the open columns only one slice is ever in memory. Words become dictionary arrays, so that a text is copied
//! once a slice and not once a row.

mod order;
mod places;
mod words;

use std::sync::Arc;

use arrow::array::{
    ArrayRef, ArrowPrimitiveType, BinaryArray, BooleanArray, BooleanBufferBuilder, Int32Array, ListArray,
    PrimitiveArray, StructArray, TimestampMicrosecondArray,
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
use order::order;
use words::words;

/// The rows that are turned into arrays at once: their words stay in a core's second cache, and larger slices make the encoder no faster.
const SLICE_ROWS: usize = 2048;

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

fn arrays<P: Purpose>(
    rows: &Rows<P>,
    contract: &Contract,
    picked: &[usize],
    tenant_name: &dyn Fn(TenantIx) -> String,
) -> Result<Vec<ArrayRef>, ArrowError> {
    let mut arrays = system_arrays(rows, picked, tenant_name)?;
    for column in rows.columns(picked) {
        let field = &contract.fields[column.field()];
        arrays.push(column_array(column, field)?);
    }
    Ok(arrays)
}

/// Makes the arrays of the system's columns.
fn system_arrays<P: Purpose>(
    rows: &Rows<P>,
    picked: &[usize],
    tenant_name: &dyn Fn(TenantIx) -> String,
) -> Result<Vec<ArrayRef>, ArrowError> {
    let version = i32::try_from(rows.contract_version()).expect("contract versions are small");
    let count = picked.len();
    let (mut tenants, mut subjects, mut epochs) =
        (Vec::with_capacity(count), Vec::with_capacity(count), Vec::with_capacity(count));
    let (mut ids, mut times, mut are_known) =
        (Vec::with_capacity(count), Vec::with_capacity(count), BooleanBufferBuilder::new(count));
    for head in picked.iter().map(|row| &rows.heads()[*row]) {
        tenants.push(head.tenant());
        subjects.push(head.subject().unwrap_or(Pseudonym::BLANK));
        are_known.append(head.subject().is_some());
        epochs.push(head.subject_epoch());
        ids.push(head.event_id());
        times.push(head.time());
    }
    let subjects_known = Some(NullBuffer::new(are_known.finish())).filter(|nulls| nulls.null_count() > 0);
    Ok(vec![
        words(&tenants, None, |tenant| tenant.0.into(), |tenant, text| text.push_str(&tenant_name(tenant)))?,
        pseudonyms(subjects, subjects_known)?,
        Arc::new(Int32Array::from(epochs)),
        pseudonyms(ids, None)?,
        Arc::new(TimestampMicrosecondArray::from(times).with_timezone("UTC")),
        Arc::new(Int32Array::from_value(version, count)),
    ])
}

fn column_array<P: Purpose>(column: Column<P>, field: &Field) -> Result<ArrayRef, ArrowError> {
    let (values, lists) = column.into_parts();
    let items = values_array(values, field)?;
    let Some(lists) = lists else { return Ok(items) };
    let DataType::List(item) = arrow_type(&schema::column(field).delta_type) else {
        return Err(ArrowError::SchemaError("an array path is stored as a list".into()));
    };
    let (offsets, validity) = lists.into_parts();
    Ok(Arc::new(ListArray::try_new(item, OffsetBuffer::new(offsets.into()), items, nulls(validity))?))
}

fn values_array<P: Purpose>(values: Values<P>, field: &Field) -> Result<ArrayRef, ArrowError> {
    let stored = schema::delta_type(&field.field_type);
    Ok(match values {
        Values::Bool(cells) => {
            let (values, validity) = cells.into_parts();
            Arc::new(BooleanArray::new(BooleanBuffer::from(values), nulls(validity)))
        }
        Values::Decimal(cells) => Arc::new(numbers::<Decimal128Type>(cells)?.with_data_type(stored.arrow())),
        Values::Float(cells) => Arc::new(numbers::<Float64Type>(cells)?),
        Values::Int(cells) => integers(&stored, cells)?,
        Values::Network(cells) => {
            let (values, validity) = cells.into_parts();
            words(&values, nulls(validity), Network::number, Network::write)?
        }
        Values::Pseudonym(cells) => {
            let (values, validity) = cells.into_parts();
            pseudonyms(values, nulls(validity))?
        }
        Values::Semver(cells) => semver(cells)?,
        Values::Token(cells) => {
            let (values, validity) = cells.into_parts();
            tokens(field, &values, nulls(validity))?
        }
        Values::UserAgent(cells) => user_agents(field, cells)?,
    })
}

fn integers(stored: &DeltaType, cells: Cells<i64>) -> Result<ArrayRef, ArrowError> {
    Ok(match stored {
        DeltaType::Byte => narrow::<Int8Type>(cells)?,
        DeltaType::Short => narrow::<Int16Type>(cells)?,
        DeltaType::Integer => narrow::<Int32Type>(cells)?,
        DeltaType::Timestamp => Arc::new(numbers::<TimestampMicrosecondType>(cells)?.with_timezone("UTC")),
        DeltaType::Long
        | DeltaType::Binary
        | DeltaType::Boolean
        | DeltaType::Decimal(..)
        | DeltaType::Double
        | DeltaType::List(_)
        | DeltaType::String
        | DeltaType::Struct(_) => Arc::new(numbers::<Int64Type>(cells)?),
    })
}

fn narrow<T: ArrowPrimitiveType<Native: TryFrom<i64>>>(cells: Cells<i64>) -> Result<ArrayRef, ArrowError> {
    let (values, validity) = cells.into_parts();
    let fit = |value| T::Native::try_from(value).ok().expect("the filter nulls what is outside the type");
    let values: Vec<_> = values.into_iter().map(fit).collect();
    Ok(Arc::new(PrimitiveArray::<T>::try_new(values.into(), nulls(validity))?))
}

fn numbers<T: ArrowPrimitiveType<Native: Storable>>(cells: Cells<T::Native>) -> Result<PrimitiveArray<T>, ArrowError> {
    let (values, validity) = cells.into_parts();
    PrimitiveArray::try_new(values.into(), nulls(validity))
}

fn semver(versions: Cells<[i32; 3]>) -> Result<ArrayRef, ArrowError> {
    let (versions, validity) = versions.into_parts();
    let nulls = nulls(validity);
    let part = |at: usize| -> Result<ArrayRef, ArrowError> {
        let values: Vec<_> = versions.iter().map(|version| version[at]).collect();
        Ok(Arc::new(Int32Array::try_new(values.into(), nulls.clone())?))
    };
    let parts = vec![part(0)?, part(1)?, part(2)?];
    structs(
        &DeltaType::Struct(vec![
            ("major", DeltaType::Integer),
            ("minor", DeltaType::Integer),
            ("patch", DeltaType::Integer),
        ]),
        parts,
        nulls,
    )
}

fn user_agents(field: &Field, agents: Cells<(Token, i32)>) -> Result<ArrayRef, ArrowError> {
    let (agents, validity) = agents.into_parts();
    let nulls = nulls(validity);
    let (families, majors): (Vec<_>, Vec<_>) = agents.into_iter().unzip();
    let majors = Int32Array::try_new(majors.into(), nulls.clone())?;
    structs(
        &DeltaType::Struct(vec![("family", DeltaType::String), ("major", DeltaType::Integer)]),
        vec![tokens(field, &families, nulls.clone())?, Arc::new(majors)],
        nulls,
    )
}

fn structs(stored: &DeltaType, columns: Vec<ArrayRef>, nulls: Option<NullBuffer>) -> Result<ArrayRef, ArrowError> {
    let DataType::Struct(fields) = arrow_type(stored) else {
        return Err(ArrowError::SchemaError("a value of several parts is stored as a struct".into()));
    };
    Ok(Arc::new(StructArray::try_new(fields, columns, nulls)?))
}

/// Pseudonyms lie one after the other; a null takes no room.
fn pseudonyms<P: Purpose>(values: Vec<Pseudonym<P>>, nulls: Option<NullBuffer>) -> Result<ArrayRef, ArrowError> {
    let length = size_of::<Pseudonym<P>>();
    let mut bytes: Vec<_> = values.into_iter().map(Pseudonym::bytes).collect();
    let offsets = match &nulls {
        None => OffsetBuffer::from_repeated_length(length, bytes.len()),
        Some(nulls) => {
            let mut valid = 0;
            for (at, is_valid) in nulls.iter().enumerate() {
                // A null's is written over.
                bytes[valid] = bytes[at];
                valid += usize::from(is_valid);
            }
            bytes.truncate(valid);
            OffsetBuffer::from_lengths(nulls.iter().map(|is_valid| if is_valid { length } else { 0 }))
        }
    };
    Ok(Arc::new(BinaryArray::try_new(offsets, bytes.into_flattened().into(), nulls)?))
}

fn tokens(field: &Field, values: &[Token], nulls: Option<NullBuffer>) -> Result<ArrayRef, ArrowError> {
    let write = |token, text: &mut String| text.push_str(&field.field_type.render(token));
    words(values, nulls, |token| token.number().into(), write)
}

/// Returns which values are null, if any is.
fn nulls(validity: Validity) -> Option<NullBuffer> {
    let (len, nulls) = (validity.len(), validity.nulls());
    (nulls > 0).then(|| NullBuffer::new(BooleanBuffer::new(validity.into_bits().into(), 0, len)))
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
