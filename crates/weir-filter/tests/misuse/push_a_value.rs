//! A value could be added that no row has.

use weir_filter::Cells;

fn smuggle(cells: &mut Cells<i64>) {
    cells.push_items(&[(1, [7, 0, 0, 0])]);
}

fn main() {}
