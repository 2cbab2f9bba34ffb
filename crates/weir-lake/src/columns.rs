//! Rows become Arrow arrays, in the order of their pseudonyms.
//!
//! Arrival order would let a reader line up the files of two purposes and so undo the pseudonyms (LK-37), so each file
//! has an order of its own: by subject, then by event id, both keyed hashes. Arrays are made a slice of rows at a time:
//! beside the open columns only one slice is ever in memory. Words become dictionary arrays: those of closed lists share one
//! dictionary for all tables, of others a text is copied once a slice and not once a row.

mod order;
mod places;
mod schemas;
mod words;

use std::sync::Arc;

use arrow::array::{
    ArrayRef, ArrowPrimitiveType, BinaryArray, BooleanArray, BooleanBufferBuilder, DictionaryArray, Int32Array,
    ListArray, PrimitiveArray, StructArray, TimestampMicrosecondArray,
};
use arrow::buffer::{BooleanBuffer, NullBuffer, OffsetBuffer};
use arrow::datatypes::{
    DataType, Decimal128Type, Field as ArrowField, Fields, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimestampMicrosecondType,
};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use weir_consent::TenantIx;
use weir_filter::{Cells, Column, Pseudonym, Rows, Storable, Validity, Values};
use weir_policy::{FieldType, Network, Purpose, Token};

use crate::delta_type::DeltaType;
use order::order;
pub use schemas::Schemas;
use schemas::TableSchema;
use words::words;

/// The rows that are turned into arrays at once: their words stay in a core's second cache, and larger slices make the encoder no faster.
const SLICE_ROWS: usize = 2048;

/// What tenants are called.
pub type TenantNames<'n> = &'n dyn Fn(TenantIx) -> &'n str;

/// Turns rows into record batches of a few thousand rows each, in pseudonym order.
pub fn record_batches<'r, 'n: 'r, P: Purpose>(
    rows: &'r Rows<P>,
    schemas: &'r Schemas,
    tenant_name: TenantNames<'n>,
) -> impl Iterator<Item = Result<RecordBatch, ArrowError>> + 'r {
    let order = order(rows);
    let slices = order.len().div_ceil(SLICE_ROWS);
    (0..slices).map(move |slice| {
        let start = slice * SLICE_ROWS;
        let picked = &order[start..order.len().min(start + SLICE_ROWS)];
        let arrow_schema = &schemas.of(rows.contract(), P::ID).arrow;
        RecordBatch::try_new(Arc::clone(arrow_schema), arrays(rows, schemas, picked, tenant_name)?)
    })
}

fn arrays<P: Purpose>(
    rows: &Rows<P>,
    schemas: &Schemas,
    picked: &[usize],
    tenant_name: TenantNames<'_>,
) -> Result<Vec<ArrayRef>, ArrowError> {
    let mut arrays = system_arrays(rows, picked, tenant_name)?;
    let contract = schemas.policy().contract(rows.contract());
    let TableSchema { arrow, words } = schemas.of(rows.contract(), P::ID);
    let declared = arrow.fields().iter().skip(arrays.len()).zip(words);
    for (column, (field, words)) in rows.columns(picked).zip(declared) {
        let field_type = &contract.fields[column.field()].field_type;
        arrays.push(Stored { arrow: field.data_type(), words: words.as_ref(), field_type }.array(column)?);
    }
    Ok(arrays)
}

/// Makes the arrays of the system's columns.
fn system_arrays<P: Purpose>(
    rows: &Rows<P>,
    picked: &[usize],
    tenant_name: TenantNames<'_>,
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
        words(&tenants, None, |tenant| tenant.0.into(), |tenant, text| text.push_str(tenant_name(tenant)))?,
        pseudonyms(subjects, subjects_known)?,
        Arc::new(Int32Array::from(epochs)),
        pseudonyms(ids, None)?,
        Arc::new(TimestampMicrosecondArray::from(times).with_timezone("UTC")),
        Arc::new(Int32Array::from_value(version, count)),
    ])
}

/// How a column, or an item of its lists, is stored.
#[derive(Clone, Copy)]
struct Stored<'s> {
    arrow: &'s DataType,
    words: Option<&'s ArrayRef>,
    field_type: &'s FieldType,
}

impl Stored<'_> {
    fn array<P: Purpose>(self, column: Column<P>) -> Result<ArrayRef, ArrowError> {
        let (values, lists) = column.into_parts();
        let Some(lists) = lists else { return self.values(values) };
        let DataType::List(item) = self.arrow else { return Err(misfit()) };
        let items = Stored { arrow: item.data_type(), ..self }.values(values)?;
        let (offsets, validity) = lists.into_parts();
        Ok(Arc::new(ListArray::try_new(Arc::clone(item), OffsetBuffer::new(offsets.into()), items, nulls(validity))?))
    }

    fn values<P: Purpose>(self, values: Values<P>) -> Result<ArrayRef, ArrowError> {
        Ok(match values {
            Values::Bool(cells) => {
                let (values, validity) = cells.into_parts();
                Arc::new(BooleanArray::new(BooleanBuffer::from(values), nulls(validity)))
            }
            Values::Decimal(cells) => Arc::new(numbers::<Decimal128Type>(cells)?.with_data_type(self.arrow.clone())),
            Values::Float(cells) => Arc::new(numbers::<Float64Type>(cells)?),
            Values::Int(cells) => self.integers(cells)?,
            Values::Network(cells) => {
                let (values, validity) = cells.into_parts();
                words(&values, nulls(validity), Network::number, Network::write)?
            }
            Values::Pseudonym(cells) => {
                let (values, validity) = cells.into_parts();
                pseudonyms(values, nulls(validity))?
            }
            Values::Semver(cells) => self.semver(cells)?,
            Values::Token(cells) => {
                let (values, validity) = cells.into_parts();
                self.tokens(values, nulls(validity))?
            }
            Values::UserAgent(cells) => self.user_agents(cells)?,
        })
    }

    fn integers(self, cells: Cells<i64>) -> Result<ArrayRef, ArrowError> {
        if let DataType::Timestamp(_, zone) = self.arrow {
            return Ok(Arc::new(numbers::<TimestampMicrosecondType>(cells)?.with_timezone_opt(zone.clone())));
        }
        Ok(match self.arrow.primitive_width() {
            Some(1) => narrow::<Int8Type>(cells)?,
            Some(2) => narrow::<Int16Type>(cells)?,
            Some(4) => narrow::<Int32Type>(cells)?,
            Some(_) | None => Arc::new(numbers::<Int64Type>(cells)?),
        })
    }

    fn tokens(self, values: Vec<Token>, nulls: Option<NullBuffer>) -> Result<ArrayRef, ArrowError> {
        let Some(list) = self.words else {
            let write = |token, text: &mut String| text.push_str(&self.field_type.render(token));
            return words(&values, nulls, |token| token.number().into(), write);
        };
        // A null's key is 0, of the word that stands for all others; nobody looks at it.
        let keys: Vec<_> = values.into_iter().map(|token| token.number().cast_signed()).collect();
        let keys = Int32Array::try_new(keys.into(), nulls)?;
        Ok(Arc::new(DictionaryArray::<Int32Type>::try_new(keys, Arc::clone(list))?))
    }

    fn semver(self, versions: Cells<[i32; 3]>) -> Result<ArrayRef, ArrowError> {
        let (versions, validity) = versions.into_parts();
        let nulls = nulls(validity);
        let part = |at: usize| -> Result<ArrayRef, ArrowError> {
            let values: Vec<_> = versions.iter().map(|version| version[at]).collect();
            Ok(Arc::new(Int32Array::try_new(values.into(), nulls.clone())?))
        };
        let parts = vec![part(0)?, part(1)?, part(2)?];
        self.parts(parts, nulls)
    }

    fn user_agents(self, agents: Cells<(Token, i32)>) -> Result<ArrayRef, ArrowError> {
        let (agents, validity) = agents.into_parts();
        let nulls = nulls(validity);
        let (families, majors): (Vec<_>, Vec<_>) = agents.into_iter().unzip();
        let majors = Int32Array::try_new(majors.into(), nulls.clone())?;
        self.parts(vec![self.tokens(families, nulls.clone())?, Arc::new(majors)], nulls)
    }

    /// Puts together a value of several parts.
    fn parts(self, parts: Vec<ArrayRef>, nulls: Option<NullBuffer>) -> Result<ArrayRef, ArrowError> {
        let DataType::Struct(fields) = self.arrow else { return Err(misfit()) };
        Ok(Arc::new(StructArray::try_new(fields.clone(), parts, nulls)?))
    }
}

fn misfit() -> ArrowError {
    ArrowError::SchemaError("a column is not of its field's type".into())
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

/// Returns which values are null, if any is.
fn nulls(validity: Validity) -> Option<NullBuffer> {
    let (len, nulls) = (validity.len(), validity.nulls());
    (nulls > 0).then(|| NullBuffer::new(BooleanBuffer::new(validity.into_bits().into(), 0, len)))
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
