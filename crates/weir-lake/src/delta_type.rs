//! The types that values have in a table, as Arrow and Delta know them: one list, so that the two never disagree.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, TimeUnit};

/// How a column's values are stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum DeltaType {
    Binary,
    Boolean,
    Byte,
    Decimal(u8, i8),
    Double,
    Integer,
    List(Box<DeltaType>),
    Long,
    Short,
    String,
    Struct(Vec<(&'static str, DeltaType)>),
    Timestamp,
}

/// A column of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ColumnType {
    pub(crate) name: String,
    pub(crate) delta_type: DeltaType,
}

impl DeltaType {
    /// Returns the Arrow type whose Parquet form every reader takes for the Delta type.
    pub(crate) fn arrow(&self) -> DataType {
        match self {
            Self::Binary => DataType::Binary,
            Self::Boolean => DataType::Boolean,
            Self::Byte => DataType::Int8,
            Self::Decimal(precision, scale) => DataType::Decimal128(*precision, *scale),
            Self::Double => DataType::Float64,
            Self::Integer => DataType::Int32,
            // `element` is the name that the Parquet format asks for, and Spark and Delta expect.
            Self::List(of) => DataType::List(Arc::new(Field::new("element", of.arrow(), true))),
            Self::Long => DataType::Int64,
            Self::Short => DataType::Int16,
            Self::String => DataType::Utf8,
            Self::Struct(fields) => DataType::Struct(
                fields.iter().map(|(name, of)| Field::new(*name, of.arrow(), true)).collect::<Fields>(),
            ),
            Self::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        }
    }
}

impl ColumnType {
    pub(crate) fn new(name: impl Into<String>, delta_type: DeltaType) -> Self {
        Self { name: name.into(), delta_type }
    }

    pub(crate) fn field(&self) -> Field {
        Field::new(&self.name, self.delta_type.arrow(), true)
    }
}
