//! Every fault of a contract is reported at once, with its place and a hint.
//!
//! `tests/faults/NAME.toml` (with `NAME.1.toml`, … where several belong together) gives the report `NAME.txt`. Run with
//! `WEIR_BLESS=1` to write the reports anew, and read the difference.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use weir_policy::diagnostic::{Faults, Look, Source, render};
use weir_policy::{Policy, Report, contract_test};

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/faults")
}

/// Returns the sources by the first part of their names.
fn cases() -> BTreeMap<String, Vec<Arc<Source>>> {
    let mut cases: BTreeMap<String, Vec<Arc<Source>>> = BTreeMap::new();
    let entries = fs::read_dir(folder()).expect("the folder is there");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("readable").file_name().into_string().expect("UTF-8")).collect();
    names.sort();
    for name in names.iter().filter(|name| name.strip_suffix(".toml").is_some()) {
        let text = fs::read_to_string(folder().join(name)).expect("readable");
        let case = name.split('.').next().expect("a name").to_owned();
        cases.entry(case).or_default().push(Source::new(name, text));
    }
    cases
}

fn report(case: &str, sources: &[Arc<Source>]) -> String {
    let outcome = match case {
        "cases" => return report_of_tests(&sources[1], &sources[0]),
        "config" => Policy::parse(&[], sources.first(), Faults::default()),
        _ => Policy::parse(sources, None, Faults::default()),
    };
    match outcome {
        Ok((_, warnings)) => render(&warnings, Look::Plain),
        Err(Report { diagnostics }) => render(&diagnostics, Look::Plain),
    }
}

/// Contract tests are read against the contract that they test.
fn report_of_tests(contract: &Arc<Source>, tests: &Arc<Source>) -> String {
    let (policy, _) = Policy::parse(&[Arc::clone(contract)], None, Faults::default()).expect("the contract is sound");
    let faults = Faults::default();
    contract_test::suite(&policy, tests, &faults);
    faults.into_result(Some(())).expect_err("the tests are not").to_string()
}

#[test]
fn every_fault_is_reported_with_its_place_and_a_hint() {
    for (case, sources) in cases() {
        let golden = folder().join(format!("{case}.txt"));
        let report = report(&case, &sources) + "\n";
        if std::env::var_os("WEIR_BLESS").is_some() {
            fs::write(&golden, &report).expect("writable");
        }
        let expected = fs::read_to_string(&golden).unwrap_or_default();
        assert!(report == expected, "{case}: the report changed (WEIR_BLESS=1 accepts it):\n{report}");
    }
}
