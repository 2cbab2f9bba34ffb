//! A column of text could hold anything.

fn column(cells: &weir_filter::Cells<String>) {}

fn main() {}
