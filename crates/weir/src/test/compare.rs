//! What a case expects beside what came out.

use weir_filter::{Fate, Filtered};
use weir_policy::contract_test::{Cell, Expected, ExpectedCell, ExpectedFate, TestCase};
use weir_policy::{Policy, Purpose, PurposeId};

use crate::cells::{self, Named};
use crate::sandbox;

/// One thing that is not as the case says.
pub(crate) struct Difference {
    /// The purpose, or the purpose and the column, or the event as a whole.
    pub(crate) at: String,
    /// The line of the test file that expects it.
    pub(crate) line: usize,
    /// What the case says.
    pub(crate) expected: String,
    /// What came out.
    pub(crate) found: String,
}

/// Compares what became of a case's event with what the case says.
pub(crate) fn differences(policy: &Policy, case: &TestCase, filtered: &Filtered) -> Vec<Difference> {
    let found = sandbox::fates(filtered);
    match &case.expected {
        Expected::Malformed(code) => whole(case, Fate::Quarantined(*code), found[0]).into_iter().collect(),
        Expected::Fates(expected) => {
            let mut differences = Vec::new();
            if let quarantined @ Fate::Quarantined(_) = found[0] {
                let expected = "a fate for each purpose".to_owned();
                let line = line(case);
                return vec![Difference { at: "event".to_owned(), line, expected, found: word(quarantined) }];
            }
            for (purpose, expected) in PurposeId::ALL.into_iter().zip(expected) {
                match (expected, found[purpose.index()]) {
                    (ExpectedFate::Row(wanted), Fate::Written) => {
                        let row = row(policy, filtered, purpose, &case.tenant);
                        differences.extend(in_row(case, purpose, wanted, &row));
                    }
                    (ExpectedFate::Row(_), found) => differences.push(fate(case, purpose, "a row", &word(found))),
                    (ExpectedFate::Denied(reason), found) if found != Fate::Denied(*reason) => {
                        differences.push(fate(case, purpose, &word(Fate::Denied(*reason)), &word(found)));
                    }
                    (ExpectedFate::Denied(_), _) => {}
                }
            }
            differences
        }
    }
}

fn whole(case: &TestCase, expected: Fate, found: Fate) -> Option<Difference> {
    let difference =
        || Difference { at: "event".to_owned(), line: line(case), expected: word(expected), found: word(found) };
    (expected != found).then(difference)
}

fn fate(case: &TestCase, purpose: PurposeId, expected: &str, found: &str) -> Difference {
    Difference {
        at: purpose.name().to_owned(),
        line: line(case),
        expected: expected.to_owned(),
        found: found.to_owned(),
    }
}

/// Compares cells: each that the case names, then each declared one that it does not, which must be null.
fn in_row(case: &TestCase, purpose: PurposeId, wanted: &[ExpectedCell], row: &[Named]) -> Vec<Difference> {
    let difference = |column: &str, line: usize, expected: &Cell, found: &Cell| Difference {
        at: format!("{}.{column}", purpose.name()),
        line,
        expected: cells::render(expected),
        found: cells::render(found),
    };
    let named = wanted.iter().filter_map(|cell| {
        let found = row.iter().find(|(column, _)| *column == cell.column).map_or(&Cell::Null, |(_, found)| found);
        let line = cell.place.line_column().0;
        (!cell.value.matches(found)).then(|| difference(&cell.column, line, &cell.value, found))
    });
    let unnamed = row.iter().skip(cells::SYSTEM).filter_map(|(column, found)| {
        let is_named = wanted.iter().any(|cell| cell.column == *column);
        (!is_named && *found != Cell::Null).then(|| difference(column, line(case), &Cell::Null, found))
    });
    named.chain(unnamed).collect()
}

fn row(policy: &Policy, filtered: &Filtered, purpose: PurposeId, tenant: &str) -> Vec<Named> {
    match purpose {
        PurposeId::Personalization => only(policy, &filtered.personalization, tenant),
        PurposeId::Reliability => only(policy, &filtered.reliability, tenant),
        PurposeId::Troubleshooting => only(policy, &filtered.troubleshooting, tenant),
    }
}

fn only<P: Purpose>(policy: &Policy, batch: &weir_filter::Batch<P>, tenant: &str) -> Vec<Named> {
    let rows = batch.tables().first().expect("a written event has a row");
    cells::of_row(policy, rows, 0, tenant)
}

fn word(fate: Fate) -> String {
    match fate.code() {
        Some(code) => format!("{}: {code}", fate.name()),
        None => "a row".to_owned(),
    }
}

fn line(case: &TestCase) -> usize {
    case.place.line_column().0
}
