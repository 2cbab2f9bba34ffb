//! Contract tests: events beside a contract, and what must become of them.
//!
//! `NAME.test.toml` tests `NAME.toml`. Each `[[case]]` is an event, the consent that it meets, and for each purpose the
//! row that is written or the reason why none is. This module reads and checks them; `weir test` runs them.
//!
//! ```toml
//! [[case]]
//! name            = "a refusal is heeded"            # a sentence
//! data            = '''{"user": {"id": "u-81"}}'''   # or `record`: a whole record as it comes from Kafka
//! consent         = { reliability = "refused" }      # of the person; what is not named is given
//! agreement       = ["reliability"]                  # of the tenant; without it, to everything
//! time            = "2026-11-23T10:15:30Z"           # and: id, tenant, purposes, secgpc, contractversion
//! now             = "2026-11-23T10:16:00Z"           # without it, the event's time
//! reliability     = "consent_refused"                # a reason, or a row:
//! troubleshooting = { client_ip = "203.0.113.0/24", order_id = "<pseudonym>" }
//! ```
//!
//! In a row every declared column that is not named must be null; `tenant`, `subject`, `time` and `contract_version` are
//! compared where they are named. Instants are RFC 3339, durations a number of µs, decimals and other numbers numbers,
//! versions `1.2.3`, user agents `Chrome/126` or `__other__/0`, a null in an array `"<null>"`. A purpose that the contract does not serve
//! need not be named; it must be denied as `not_declared`. `malformed = "duplicate_key"` stands in place of all three.

mod case;
mod record;

use std::path::Path;
use std::sync::Arc;

use crate::contract::{Contract, ContractIx};
use crate::diagnostic::{Diagnostic, Faults, Place, Report, Source};
use crate::fate::{DenyReason, MalformedCode};
use crate::load;
use crate::policy::Policy;
use crate::purpose::PurposeSet;
use crate::reader::{self, Section};
use crate::values::number;

/// The tests of one contract.
#[derive(Clone, Debug)]
pub struct TestSuite {
    /// The contract.
    pub contract: ContractIx,
    /// The file that holds the tests.
    pub source: Arc<Source>,
    /// The cases, in the order of the file.
    pub cases: Vec<TestCase>,
}

/// An event, what it meets, and what must become of it.
#[derive(Clone, Debug)]
pub struct TestCase {
    /// What the case shows, as a sentence.
    pub name: String,
    /// Where it stands.
    pub place: Place,
    /// The record's value: CloudEvents in structured mode, unless the case wants it otherwise.
    pub record: String,
    /// The tenant whose agreement is set up.
    pub tenant: String,
    /// The clock.
    pub now_ms: i64,
    /// What the tenant agreed to.
    pub agreement: PurposeSet,
    /// The person's choices, one place a purpose.
    pub consent: [TestConsent; 3],
    /// The instant since which the choices hold.
    pub consent_at_ms: i64,
    /// Set where the person was erased.
    pub erased_before_ms: Option<i64>,
    /// What must become of the event.
    pub expected: Expected,
}

/// The state of a person's consent, by its word in DPV and in consent records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TestConsent(&'static str);

impl TestConsent {
    /// Every state; `unknown` means that there is no record.
    pub const ALL: [Self; 10] = [
        Self("unknown"),
        Self("requested"),
        Self("deferred"),
        Self("refused"),
        Self("given"),
        Self("renewed"),
        Self("expired"),
        Self("withdrawn"),
        Self("revoked"),
        Self("invalidated"),
    ];

    /// The state of a choice that a case does not name.
    pub const GIVEN: Self = Self("given");

    /// Returns the word, as a consent record has it.
    pub const fn word(self) -> &'static str {
        self.0
    }

    /// Tells whether there is a record at all.
    pub fn is_recorded(self) -> bool {
        self.0 != "unknown"
    }

    fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.0 == word)
    }
}

/// What must become of an event.
#[derive(Clone, Debug)]
pub enum Expected {
    /// One fate a purpose.
    Fates([ExpectedFate; 3]),
    /// It cannot be read, or has no contract.
    Malformed(MalformedCode),
}

/// What must become of an event for one purpose.
#[derive(Clone, Debug)]
pub enum ExpectedFate {
    /// No row, for this reason.
    Denied(DenyReason),
    /// A row with these cells; declared columns that are not named are null.
    Row(Vec<ExpectedCell>),
}

/// The value of a column.
#[derive(Clone, Debug)]
pub struct ExpectedCell {
    /// The column's name.
    pub column: String,
    /// Its value.
    pub value: Cell,
    /// Where it stands.
    pub place: Place,
}

/// A value as tests write it and runners render it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cell {
    /// True or false.
    Bool(bool),
    /// An array.
    List(Vec<Self>),
    /// No value.
    Null,
    /// A number, as JSON writes it.
    Number(String),
    /// Any pseudonym.
    Pseudonym,
    /// A text.
    Text(String),
}

impl Cell {
    /// Tells whether two cells are the same value; `1.50` is the number `1.5`.
    pub fn matches(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Number(one), Self::Number(other)) => number::same(one.as_bytes(), other.as_bytes()),
            (Self::List(one), Self::List(other)) => {
                one.len() == other.len() && one.iter().zip(other).all(|(one, other)| one.matches(other))
            }
            _ => self == other,
        }
    }
}

/// Reads the contract tests below `folder`; returns them and a warning for each contract that has none.
///
/// # Errors
/// Every fault of every test file, if there is one.
pub fn load(policy: &Policy, folder: &Path) -> Result<(Vec<TestSuite>, Vec<Diagnostic>), Report> {
    let faults = Faults::default();
    let sources = load::sources(folder, |name| name.ends_with(SUFFIX), &faults);
    let suites: Vec<TestSuite> = sources.iter().filter_map(|source| suite(policy, source, &faults)).collect();
    for (place, contract) in policy.iter() {
        if !suites.iter().any(|suite| suite.contract == place) {
            warn_untested(contract, &faults);
        }
    }
    faults.into_result(Some(suites))
}

/// Reads one test file; none if it tests no contract.
pub fn suite(policy: &Policy, source: &Arc<Source>, faults: &Faults) -> Option<TestSuite> {
    let tested = source.name().to_string_lossy().strip_suffix(SUFFIX).map(|stem| format!("{stem}.toml"))?;
    let Some((contract, declared)) = policy.iter().find(|(_, contract)| contract.file == Path::new(&tested)) else {
        let place = Place::start_of(source);
        let fault = Diagnostic::error(&place, "no_contract", "the file tests no contract");
        faults.add(fault.hint(format!("NAME{SUFFIX} stands beside the NAME.toml that it tests")));
        return None;
    };
    let root = reader::parse(source, faults)?;
    let mut root = Section::new(&root, faults);
    let cases = root.need("case", "one [[case]] for each event");
    root.finish();
    let cases = cases?.array(faults)?;
    let cases = cases.iter().filter_map(|node| case::read(declared, node.table(faults)?, faults)).collect();
    Some(TestSuite { contract, source: Arc::clone(source), cases })
}

fn warn_untested(contract: &Contract, faults: &Faults) {
    let place = Place::start_of(&Source::new(contract.file.clone(), ""));
    let message = format!("version {} of `{}` has no test", contract.version, contract.event_type);
    let warning = Diagnostic::warning(&place, "untested", message);
    faults.add(warning.hint(format!("put NAME{SUFFIX} beside it: an event, and what must become of it")));
}

/// What the name of a test file ends with.
const SUFFIX: &str = ".test.toml";
