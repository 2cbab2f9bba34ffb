//! Tables of text for people: a heading, rows, columns as wide as they must be.
//!
//! Numbers stand right, words left. Nothing is drawn, so that a table can be cut and sorted with the usual tools.

use std::fmt;

/// A table that is being filled.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    heading: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Starts a table of these columns.
    pub(crate) fn new<const N: usize>(heading: [&'static str; N]) -> Self {
        Self { heading: heading.to_vec(), rows: Vec::new() }
    }

    /// Adds a row.
    pub(crate) fn push<const N: usize>(&mut self, row: [String; N]) {
        assert_eq!(N, self.heading.len(), "a cell for each column");
        self.rows.push(row.to_vec());
    }

    fn is_number(&self, column: usize) -> bool {
        let is_number = |cell: &String| cell.is_empty() || cell.trim_end_matches('%').parse::<f64>().is_ok();
        self.rows.iter().all(|row| is_number(&row[column]))
    }

    fn width(&self, column: usize) -> usize {
        let cells = self.rows.iter().map(|row| row[column].chars().count());
        cells.chain([self.heading[column].len()]).max().unwrap_or_default()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shape: Vec<_> = (0..self.heading.len()).map(|at| (self.is_number(at), self.width(at))).collect();
        let heading: Vec<String> = self.heading.iter().map(ToString::to_string).collect();
        for row in [&heading].into_iter().chain(&self.rows) {
            let mut line = String::new();
            for (cell, (is_number, width)) in row.iter().zip(&shape) {
                let cell = if *is_number { format!("{cell:>width$}") } else { format!("{cell:<width$}") };
                line.push_str(&cell);
                line.push_str("  ");
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stand_left_and_numbers_right() {
        let mut table = Table::new(["purpose", "rows", "why"]);
        table.push(["reliability".to_owned(), "7".to_owned(), String::new()]);
        table.push(["personalization".to_owned(), "12345".to_owned(), "gpc".to_owned()]);
        let want = "\
purpose           rows  why
reliability          7
personalization  12345  gpc
";
        assert_eq!(table.to_string(), want);
    }
}
