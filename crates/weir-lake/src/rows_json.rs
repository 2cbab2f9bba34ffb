//! Rows as JSON values, for exports that people read: pseudonyms as hex, instants as RFC 3339, decimals as text.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{
    DataType, Decimal128Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimestampMicrosecondType,
};
use serde_json::{Map, Value, json};

use crate::access::Kept;

impl Kept {
    /// Returns the rows as JSON objects, nulls left out.
    pub fn json(&self) -> Vec<Map<String, Value>> {
        (0..self.rows.num_rows()).map(|row| object(&self.rows, row)).collect()
    }
}

fn object(batch: &RecordBatch, row: usize) -> Map<String, Value> {
    let schema = batch.schema();
    let cells = schema.fields().iter().zip(batch.columns());
    cells
        .filter(|(_, column)| column.is_valid(row))
        .map(|(field, column)| (field.name().clone(), value(column, row)))
        .collect()
}

/// Writes one cell.
#[expect(clippy::wildcard_enum_match_arm, reason = "the lake has these types, arrow many more")]
fn value(column: &ArrayRef, row: usize) -> Value {
    if column.is_null(row) {
        return Value::Null;
    }
    match column.data_type() {
        DataType::Binary => Value::String(hex(column.as_binary::<i32>().value(row))),
        DataType::Boolean => Value::Bool(column.as_boolean().value(row)),
        DataType::Decimal128(..) => Value::String(column.as_primitive::<Decimal128Type>().value_as_string(row)),
        DataType::Float64 => json!(column.as_primitive::<Float64Type>().value(row)),
        DataType::Int8 => json!(column.as_primitive::<Int8Type>().value(row)),
        DataType::Int16 => json!(column.as_primitive::<Int16Type>().value(row)),
        DataType::Int32 => json!(column.as_primitive::<Int32Type>().value(row)),
        DataType::Int64 => json!(column.as_primitive::<Int64Type>().value(row)),
        DataType::List(_) => {
            let items = column.as_list::<i32>().value(row);
            (0..items.len()).map(|item| value(&items, item)).collect()
        }
        DataType::Struct(fields) => {
            let parts = fields.iter().zip(column.as_struct().columns());
            Value::Object(parts.map(|(field, part)| (field.name().clone(), value(part, row))).collect())
        }
        DataType::Timestamp(..) => instant(column.as_primitive::<TimestampMicrosecondType>().value(row)),
        DataType::Utf8 => Value::String(column.as_string::<i32>().value(row).to_owned()),
        other => unreachable!("the lake stores no {other}"),
    }
}

fn instant(micros: i64) -> Value {
    jiff::Timestamp::from_microsecond(micros).map_or_else(|_| json!(micros), |instant| json!(instant.to_string()))
}

/// Writes bytes in lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(nibble.into(), 16).expect("four bits are a digit");
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}
