//! Rows as anybody can compare them: by name of column, in one text form.
//!
//! # Canonical form
//!
//! A row is a JSON object without white space, its keys in order of their bytes: the form in which
//! [`crate::readers`] shows tables. Columns are those of the row's contract, null ones included.
//!
//! | column | JSON |
//! |---|---|
//! | bool | `true`, `false` |
//! | integers, duration, `subject_epoch`, `contract_version` | number |
//! | timestamp, `time` | number of µs since 1970 |
//! | decimal, uint64 | string with all digits of the scale: `"12.50"` |
//! | float64 | string of its 64 bits in hexadecimal: `"3ff8000000000000"` |
//! | words, networks, cells, bands | string |
//! | pseudonyms, `subject`, `event_id` | string of 32 hexadecimal digits |
//! | semver, user agent | object of its parts |
//! | paths with `[]` | array, nulls kept |

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use weir_policy::Contract;

/// The value of one column in one row.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// 16 bytes: a pseudonym.
    Bytes([u8; 16]),
    /// A truth value.
    Bool(bool),
    /// A decimal at its scale.
    Decimal(i128, u8),
    /// A double.
    Float(f64),
    /// A whole number; times in µs.
    Int(i64),
    /// An array.
    List(Vec<Cell>),
    /// No value.
    Null,
    /// The parts of a version or user agent.
    Struct(Vec<(&'static str, Cell)>),
    /// A word.
    Text(String),
}

/// One row: what stands in each column. The names are shared by all rows of a contract.
pub type Row = BTreeMap<Arc<str>, Cell>;

/// The names of a contract's columns.
#[derive(Clone, Debug)]
pub struct Names {
    head: [Arc<str>; 6],
    fields: Vec<Arc<str>>,
}

impl Names {
    /// Takes the names from a contract.
    pub fn of(contract: &Contract) -> Self {
        let fields = contract.fields.iter().map(|field| field.column.as_str().into()).collect();
        Self { head: HEAD.map(Arc::from), fields }
    }

    /// Begins a row with what every row has: tenant, subject, its epoch, event id, time and the contract's version.
    pub fn head(&self, cells: [Cell; 6]) -> Row {
        self.head.iter().cloned().zip(cells).collect()
    }

    /// Returns the name of the column that holds a field.
    pub fn field(&self, place: usize) -> Arc<str> {
        Arc::clone(&self.fields[place])
    }
}

/// Tells whether two rows have the same canonical form, without writing it; false also where only a writer could tell.
pub fn is_same(one: &Row, other: &Row) -> bool {
    let is_same =
        |((name, cell), (other_name, other)): ((_, &Cell), (_, &Cell))| name == other_name && cell.is_same(other);
    one.len() == other.len() && one.iter().zip(other).all(is_same)
}

/// Returns the canonical form of a row.
pub fn canonical(row: &Row) -> String {
    let mut out = String::from("{");
    for (name, cell) in row {
        if out.len() > 1 {
            out.push(',');
        }
        write_text(name, &mut out);
        out.push(':');
        cell.write(&mut out);
    }
    out.push('}');
    out
}

impl Cell {
    /// Doubles are the same when their bits are: zero is not negative zero.
    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Float(one), Self::Float(other)) => one.to_bits() == other.to_bits(),
            (Self::List(ours), Self::List(theirs)) => {
                ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(one, other)| one.is_same(other))
            }
            (Self::Struct(ours), Self::Struct(theirs)) => {
                let is_same = |((name, part), (other_name, other)): (&(_, Self), &(_, Self))| {
                    name == other_name && part.is_same(other)
                };
                ours.len() == theirs.len() && ours.iter().zip(theirs).all(is_same)
            }
            (one, other) => one == other,
        }
    }

    fn write(&self, out: &mut String) {
        match self {
            Self::Bytes(bytes) => write_text(&hex(bytes), out),
            Self::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Self::Decimal(value, scale) => write_text(&decimal(*value, *scale), out),
            Self::Float(value) => write_text(&hex(&value.to_bits().to_be_bytes()), out),
            Self::Int(value) => out.push_str(&value.to_string()),
            Self::List(items) => {
                out.push('[');
                for (place, item) in items.iter().enumerate() {
                    if place > 0 {
                        out.push(',');
                    }
                    item.write(out);
                }
                out.push(']');
            }
            Self::Null => out.push_str("null"),
            Self::Struct(parts) => {
                let row = parts.iter().map(|(name, part)| (Arc::from(*name), part.clone())).collect();
                out.push_str(&canonical(&row));
            }
            Self::Text(text) => write_text(text, out),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes all text");
        text
    })
}

/// Writes a decimal with all digits of its scale.
fn decimal(value: i128, scale: u8) -> String {
    let digits = format!("{:0>width$}", value.unsigned_abs(), width = usize::from(scale) + 1);
    let (whole, fraction) = digits.split_at(digits.len() - usize::from(scale));
    let sign = if value < 0 { "-" } else { "" };
    if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

/// Writes a JSON string; columns and words hold no character that needs more than these escapes.
fn write_text(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c < ' ' => write!(out, "\\u{:04x}", u32::from(c)).expect("a string takes all text"),
            c => out.push(c),
        }
    }
    out.push('"');
}

/// The columns that every table has.
const HEAD: [&str; 6] = ["tenant", "subject", "subject_epoch", "event_id", "time", "contract_version"];

#[cfg(test)]
mod tests {
    use super::{Cell, Row, canonical, is_same};

    #[test]
    fn rows_have_one_form() {
        let row: Row = [
            ("b", Cell::Decimal(-5, 2)),
            ("a", Cell::Float(1.5)),
            ("d", Cell::List(vec![Cell::Null, Cell::Int(-1), Cell::Bool(true)])),
            ("c", Cell::Null),
            ("e", Cell::Struct(vec![("minor", Cell::Int(2)), ("major", Cell::Int(1))])),
            ("f", Cell::Bytes([0xab; 16])),
            ("g", Cell::Text("a\"b\\é".to_owned())),
            ("h", Cell::Decimal(1 << 64, 0)),
        ]
        .map(|(name, cell)| (name.into(), cell))
        .into();
        let expected = r#"{"a":"3ff8000000000000","b":"-0.05","c":null,"d":[null,-1,true],"e":{"major":1,"minor":2},"#
            .to_owned()
            + r#""f":"abababababababababababababababab","g":"a\"b\\é","h":"18446744073709551616"}"#;
        assert_eq!(canonical(&row), expected);
    }
    #[test]
    fn cells_are_the_same_when_their_form_is() {
        let cells = [
            Cell::Null,
            Cell::Float(0.0),
            Cell::Float(-0.0),
            Cell::Float(f64::NAN),
            Cell::Int(1),
            Cell::Decimal(1, 0),
            Cell::Decimal(1, 1),
            Cell::Decimal(10, 1),
            Cell::Text("1".to_owned()),
            Cell::Bool(true),
            Cell::Bytes([1; 16]),
            Cell::List(vec![]),
            Cell::List(vec![Cell::Float(0.0)]),
            Cell::List(vec![Cell::Float(-0.0)]),
            Cell::List(vec![Cell::Float(0.0), Cell::Null]),
            Cell::Struct(vec![("a", Cell::Int(1))]),
            Cell::Struct(vec![("b", Cell::Int(1))]),
        ];
        let row = |cell: &Cell| Row::from([("a".into(), cell.clone())]);
        for (place, one) in cells.iter().enumerate() {
            for (other_place, other) in cells.iter().enumerate() {
                assert_eq!(is_same(&row(one), &row(other)), place == other_place, "{one:?} and {other:?}");
            }
        }
        assert!(!is_same(&row(&Cell::Null), &Row::new()));
        assert!(!is_same(&row(&Cell::Null), &Row::from([("b".into(), Cell::Null)])));
    }
}
