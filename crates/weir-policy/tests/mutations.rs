//! Whatever somebody writes into a contract, the loader answers with a policy or a report, and never panics.

use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;
use weir_policy::diagnostic::{Faults, Look, Source, render};
use weir_policy::{Policy, contract_test};

/// Pieces of contracts that are sound, and of some that are not.
const PIECES: &[&str] = &[
    "[fields.\"a.b\"]\n",
    "[fields.\"a[].b\"]\n",
    "[event]\n",
    "[[case]]\n",
    "class = \"measure\"\n",
    "type = \"decimal(38,38)\"\n",
    "type = \"timestamp\"\n",
    "type = \"float64\"\n",
    "range = [-1e400, 1e308]\n",
    "range = [0, 18446744073709551616]\n",
    "precision = 1e-300\n",
    "precision = nan\n",
    "buckets = [inf]\n",
    "values = [\"é\", \"\\u0000\"]\n",
    "expires = 0000-01-01\n",
    "expires = 9999-12-31T00:00:00Z\n",
    "version = 0xffffffffffffffffffff\n",
    "\"\"\"",
    "'''",
    "{",
    "}",
    "[",
    "]",
    "=",
    ".",
    "é",
    "\r\n",
    "purposes = [\"marketing\"]\n",
    "routes = [\"/{\", \"//\", \"/é/{x}\"]\n",
    "bands = [-1, 300]\n",
    "unit = \"d\"\n",
    "consent = {}\n",
];

fn seeds() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    [
        "schemas/checkout/completed.toml",
        "schemas/checkout/health.toml",
        "schemas/desktop/feature_used.toml",
        "config/purposes.toml",
        "schemas/checkout/completed.test.toml",
    ]
    .map(|path| std::fs::read_to_string(root.join(path)).expect("the repository ships it"))
    .into()
}

/// A text with some stretches taken out, put in or doubled.
fn mutated() -> impl Strategy<Value = String> {
    let edit = (any::<prop::sample::Index>(), 0_usize..40, prop::sample::select(PIECES), any::<bool>());
    (prop::sample::select(seeds()), prop::collection::vec(edit, 1..6)).prop_map(|(text, edits)| {
        let mut letters: Vec<char> = text.chars().collect();
        for (place, length, piece, doubles) in edits {
            let start = place.index(letters.len() + 1);
            let end = (start + length).min(letters.len());
            let taken: Vec<char> = letters.drain(start..end).collect();
            let put: Vec<char> = piece.chars().chain(if doubles { taken } else { Vec::new() }).collect();
            letters.splice(start..start, put);
        }
        letters.into_iter().collect()
    })
}

fn shipped() -> Policy {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas/checkout");
    let path = root.join("completed.toml");
    let source = Source::new(path.clone(), std::fs::read_to_string(path).expect("shipped"));
    Policy::parse(&[source], None, Faults::default()).expect("sound").0
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn the_loader_reports_and_never_panics(text in mutated(), other in mutated()) {
        let sources: Vec<Arc<Source>> = vec![Source::new("a.toml", text.clone()), Source::new("b.toml", other)];
        match Policy::parse(&sources, Some(&Source::new("purposes.toml", text)), Faults::default()) {
            Ok((_, warnings)) => { render(&warnings, Look::Plain); }
            Err(report) => {
                prop_assert!(!report.diagnostics.is_empty());
                prop_assert!(report.to_string().contains("error["));
            }
        }
    }

    #[test]
    fn the_reader_of_contract_tests_reports_and_never_panics(text in mutated()) {
        let policy = shipped();
        let beside = policy.contracts()[0].file.with_extension("test.toml");
        let faults = Faults::default();
        contract_test::suite(&policy, &Source::new(beside, text), &faults);
        if let Err(report) = faults.into_result(Some(())) {
            prop_assert!(report.to_string().contains("error["));
        }
    }
}
