//! A row of the filter, as named cells: what `weir test` compares and `weir demo` shows.

use weir_filter::{Cells, Column, Rows, Storable, Values};
use weir_policy::contract_test::Cell;
use weir_policy::values::{number, time};
use weir_policy::{Field, FieldType, Policy, Purpose};

/// How many of the system's columns come first in a row.
pub(crate) const SYSTEM: usize = 4;

/// A column's name and its value in one row.
pub(crate) type Named = (String, Cell);

/// Returns a row's cells: the system's columns that can be foretold, then the declared ones, nulls included.
pub(crate) fn of_row<P: Purpose>(policy: &Policy, rows: &Rows<P>, row: usize, tenant: &str) -> Vec<Named> {
    let contract = policy.contract(rows.contract());
    let head = &rows.heads()[row];
    let subject = head.subject().map_or(Cell::Null, |_| Cell::Pseudonym);
    let system: [_; SYSTEM] = [
        ("tenant", Cell::Text(tenant.to_owned())),
        ("subject", subject),
        ("time", Cell::Text(time::render(head.time()))),
        ("contract_version", Cell::Number(rows.contract_version().to_string())),
    ];
    let row = [row];
    let declared = rows.columns(&row).map(|column| {
        let field = &contract.fields[column.field()];
        (field.column.clone(), cell(field, &column))
    });
    system.into_iter().map(|(name, cell)| (name.to_owned(), cell)).chain(declared).collect()
}

/// Writes a cell as contract tests do, texts in quotes.
pub(crate) fn render(cell: &Cell) -> String {
    match cell {
        Cell::Bool(value) => value.to_string(),
        Cell::List(items) => format!("[{}]", items.iter().map(render).collect::<Vec<_>>().join(", ")),
        Cell::Null => "null".to_owned(),
        Cell::Number(text) => text.clone(),
        Cell::Pseudonym => "<pseudonym>".to_owned(),
        Cell::Text(text) => format!("{text:?}"),
    }
}

/// Returns what a column of one row holds.
fn cell<P: Purpose>(field: &Field, column: &Column<P>) -> Cell {
    let Some(lists) = column.lists() else { return item(field, column.values(), 0) };
    if !lists.validity().is_valid(0) {
        return Cell::Null;
    }
    Cell::List((0..column.values().len()).map(|at| item(field, column.values(), at)).collect())
}

fn item<P: Purpose>(field: &Field, values: &Values<P>, at: usize) -> Cell {
    let shown = match values {
        Values::Bool(cells) => value(cells, at).map(Cell::Bool),
        Values::Decimal(cells) => value(cells, at).map(|number| decimal(field, number)),
        Values::Float(cells) => value(cells, at).map(|number| Cell::Number(number.to_string())),
        Values::Int(cells) => value(cells, at).map(|number| whole(field, number)),
        Values::Network(cells) => value(cells, at).map(|network| Cell::Text(network.to_string())),
        Values::Pseudonym(cells) => value(cells, at).map(|_| Cell::Pseudonym),
        Values::Semver(cells) => {
            value(cells, at).map(|[major, minor, patch]| Cell::Text(format!("{major}.{minor}.{patch}")))
        }
        Values::Token(cells) => value(cells, at).map(|token| Cell::Text(field.field_type.render(token).into_owned())),
        Values::UserAgent(cells) => {
            value(cells, at).map(|(family, major)| Cell::Text(format!("{}/{major}", field.field_type.render(family))))
        }
    };
    shown.unwrap_or(Cell::Null)
}

fn value<T: Storable>(cells: &Cells<T>, at: usize) -> Option<T> {
    cells.validity().is_valid(at).then(|| cells.values()[at])
}

fn decimal(field: &Field, number: i128) -> Cell {
    let scale = if let FieldType::Decimal { scale, .. } = field.field_type { scale } else { 0 };
    Cell::Number(number::render_decimal(number, scale))
}

fn whole(field: &Field, number: i64) -> Cell {
    if matches!(field.field_type, FieldType::Timestamp { .. }) {
        Cell::Text(time::render(number))
    } else {
        Cell::Number(number.to_string())
    }
}
