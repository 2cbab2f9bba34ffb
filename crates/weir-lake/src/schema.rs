//! Which columns a table has: the system's, then those that its contracts declare for the purpose.

use weir_policy::{Contract, Field, FieldType, IntType, PurposeId};

use crate::delta_type::{ColumnType, DeltaType};

/// Returns the columns that every event table starts with.
pub(crate) fn system_columns() -> Vec<ColumnType> {
    vec![
        ColumnType::new("tenant", DeltaType::String),
        ColumnType::new("subject", DeltaType::Binary),
        ColumnType::new("subject_epoch", DeltaType::Integer),
        ColumnType::new("event_id", DeltaType::Binary),
        ColumnType::new("time", DeltaType::Timestamp),
        ColumnType::new("contract_version", DeltaType::Integer),
    ]
}

/// Returns all columns of the rows that a contract makes for a purpose, without the partition column.
pub(crate) fn columns(contract: &Contract, purpose: PurposeId) -> Vec<ColumnType> {
    let declared = contract.columns(purpose).map(|(_, field)| column(field));
    system_columns().into_iter().chain(declared).collect()
}

/// Returns the column of one field.
pub(crate) fn column(field: &Field) -> ColumnType {
    let one = delta_type(&field.field_type);
    let stored = if field.array.is_some() { DeltaType::List(Box::new(one)) } else { one };
    ColumnType::new(&field.column, stored)
}

/// Returns how a value, or a list's item, of a type is stored.
pub(crate) fn delta_type(field_type: &FieldType) -> DeltaType {
    match field_type {
        FieldType::Bool => DeltaType::Boolean,
        FieldType::Int(IntType::Int8) => DeltaType::Byte,
        // Delta has no unsigned types: each goes to the smallest signed one that holds it.
        FieldType::Int(IntType::Int16 | IntType::UInt8) | FieldType::HttpStatus => DeltaType::Short,
        FieldType::Int(IntType::Int32 | IntType::UInt16) => DeltaType::Integer,
        FieldType::Int(IntType::Int64 | IntType::UInt32) | FieldType::Duration(_) => DeltaType::Long,
        FieldType::UInt64 => DeltaType::Decimal(UINT64_DIGITS, 0),
        FieldType::Float64 => DeltaType::Double,
        FieldType::Decimal { precision, scale } => {
            DeltaType::Decimal(*precision, i8::try_from(*scale).expect("a scale is at most 38"))
        }
        FieldType::Timestamp { .. } => DeltaType::Timestamp,
        FieldType::Identifier { .. } => DeltaType::Binary,
        FieldType::Semver => DeltaType::Struct(vec![
            ("major", DeltaType::Integer),
            ("minor", DeltaType::Integer),
            ("patch", DeltaType::Integer),
        ]),
        FieldType::UserAgent => {
            DeltaType::Struct(vec![("family", DeltaType::String), ("major", DeltaType::Integer)])
        }
        FieldType::Age(_)
        | FieldType::Country
        | FieldType::Currency
        | FieldType::Geo
        | FieldType::HttpMethod
        | FieldType::Ip
        | FieldType::Locale
        | FieldType::Route(_)
        | FieldType::Words(_)
        // Content has no column; `Contract::columns` leaves it out.
        | FieldType::Content => DeltaType::String,
    }
}

/// 2⁶⁴ − 1 has twenty digits.
const UINT64_DIGITS: u8 = 20;
