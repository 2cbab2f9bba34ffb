//! One `[[case]]`.

use super::record::{Envelope, cloud_event};
use super::{Cell, Expected, ExpectedCell, ExpectedFate, TestCase, TestConsent};
use crate::contract::Contract;
use crate::diagnostic::{Diagnostic, Faults};
use crate::fate::{DenyReason, MalformedCode};
use crate::field::{Field, FieldType, Storage};
use crate::purpose::{PurposeId, PurposeSet};
use crate::reader::{Entry, Node, Section, Table, Value, nearest};
use crate::values::time;

/// Reads a case of a contract; none if it lacks what a run needs.
pub(super) fn read(contract: &Contract, table: &Table, faults: &Faults) -> Option<TestCase> {
    let mut case = Section::new(table, faults);
    let name = case.need_text("name", "what the case shows, as a sentence");
    let (record, time_ms, tenant) = record(contract, &mut case);
    let now_ms = instant("now", &mut case).or(time_ms);
    let agreement = case.take("agreement").map_or(PurposeSet::ALL, |node| purposes(node, faults));
    let (consent, consent_at) = case.take("consent").map_or((GIVEN, None), |node| consent(node, faults));
    let erased_before_ms = instant("erased_before", &mut case);
    let malformed = case.take("malformed").map(|node| malformed(node, faults));
    let fates = PurposeId::ALL.map(|purpose| fate(contract, purpose, malformed.is_some(), &mut case));
    case.finish();
    let expected = if let Some(code) = malformed {
        Expected::Malformed(code?)
    } else {
        let [one, two, three] = fates;
        Expected::Fates([one?, two?, three?])
    };
    Some(TestCase {
        name: name?.0.to_owned(),
        place: table.place.clone(),
        record: record?,
        tenant,
        now_ms: now_ms?,
        agreement,
        consent,
        consent_at_ms: consent_at.unwrap_or_default(),
        erased_before_ms,
        expected,
    })
}

/// Reads the event; returns the record's text, the event's time and its tenant.
fn record(contract: &Contract, case: &mut Section<'_>) -> (Option<String>, Option<i64>, String) {
    let faults = case.faults();
    let raw = case.entry("record");
    let data = case.entry("data");
    let mut attribute = |key| case.text(key).map(|(text, _)| text);
    let tenant = attribute("tenant").unwrap_or(TENANT);
    let envelope = Envelope {
        id: attribute("id").unwrap_or(ID),
        event_type: &contract.event_type,
        tenant,
        contractversion: attribute("contractversion"),
        purposes: attribute("purposes"),
        secgpc: attribute("secgpc"),
        time: case.take("time").and_then(|node| node.text(faults)).unwrap_or(TIME),
    };
    let time_ms = millis(envelope.time);
    let own_version = contract.version.to_string();
    let record = match (raw, data) {
        (Some(_), Some(data)) => {
            let fault = Diagnostic::error(&data.place, "twice", "`record` and `data` exclude each other");
            faults.add(fault.hint("`record` is the whole record, `data` the event's data in a sound envelope"));
            None
        }
        (Some(raw), None) => raw.node.text(faults).map(str::to_owned),
        (None, Some(data)) => data.node.text(faults).map(|data| {
            let version = envelope.contractversion.unwrap_or(&own_version);
            cloud_event(&Envelope { contractversion: Some(version), ..envelope }, data)
        }),
        (None, None) => {
            case.need("data", "the event's data, as JSON text");
            None
        }
    };
    // A case about a broken `time` still needs a clock.
    (record, time_ms.or_else(|| millis(TIME)), tenant.to_owned())
}

fn millis(text: &str) -> Option<i64> {
    time::parse(text.as_bytes()).map(|micros| micros.div_euclid(1_000))
}

fn instant(key: &'static str, case: &mut Section<'_>) -> Option<i64> {
    let node = case.take(key)?;
    instant_of(node, case.faults())
}

fn instant_of(node: &Node, faults: &Faults) -> Option<i64> {
    let text = node.text(faults)?;
    let instant = millis(text);
    if instant.is_none() {
        let fault = Diagnostic::error(&node.place, "instant", "not an instant of RFC 3339");
        faults.add(fault.hint("such as \"2026-11-23T10:15:30Z\""));
    }
    instant
}

fn purposes(node: &Node, faults: &Faults) -> PurposeSet {
    let names = node.texts(faults).unwrap_or_default();
    names
        .into_iter()
        .filter_map(|(name, place)| {
            let purpose = PurposeId::parse(name);
            if purpose.is_none() {
                faults.add(Diagnostic::error(place, "unknown_purpose", format!("`{name}` is no purpose")));
            }
            purpose
        })
        .collect()
}

/// Reads `{ PURPOSE = "STATE", …, at = "INSTANT" }`.
fn consent(node: &Node, faults: &Faults) -> ([TestConsent; 3], Option<i64>) {
    let mut consent = GIVEN;
    let Some(table) = node.table(faults) else { return (consent, None) };
    let mut section = Section::new(table, faults);
    for purpose in PurposeId::ALL {
        let Some((word, place)) = section.text(purpose.name()) else { continue };
        if let Some(state) = TestConsent::parse(word) {
            consent[purpose.index()] = state;
        } else {
            let known = TestConsent::ALL.map(TestConsent::word).join(", ");
            let fault = Diagnostic::error(place, "consent", format!("`{word}` is no state of consent"));
            faults.add(fault.hint(format!("one of {known}")));
        }
    }
    let at = instant("at", &mut section);
    section.finish();
    (consent, at)
}

fn malformed(node: &Node, faults: &Faults) -> Option<MalformedCode> {
    let code = node.text(faults)?;
    let found = MalformedCode::parse(code);
    if found.is_none() {
        let known: Vec<&str> = MalformedCode::ALL.iter().map(|code| code.code()).collect();
        faults.add(unknown_code(node, code, &known));
    }
    found
}

fn unknown_code(node: &Node, code: &str, known: &[&str]) -> Diagnostic {
    let fault = Diagnostic::error(&node.place, "unknown_reason", format!("`{code}` is no reason"));
    match nearest(code, known) {
        Some(near) => fault.hint(format!("did you mean \"{near}\"?")),
        None => fault.hint(format!("one of {}", known.join(", "))),
    }
}

/// Reads what must become of the event for one purpose.
fn fate(contract: &Contract, purpose: PurposeId, is_malformed: bool, case: &mut Section<'_>) -> Option<ExpectedFate> {
    let faults = case.faults();
    let Some(entry) = case.entry(purpose.name()) else {
        if contract.purposes.contains(purpose) && !is_malformed {
            case.need(purpose.name(), "a table of the row's columns, or the reason why there is no row");
            return None;
        }
        return Some(ExpectedFate::Denied(DenyReason::NotDeclared));
    };
    if is_malformed {
        let message = "a malformed record has no fate by purpose";
        faults.add(Diagnostic::error(&entry.place, "twice", message).hint("remove it, or `malformed`"));
        return None;
    }
    let Value::Table(row) = &entry.node.value else {
        let code = entry.node.text(faults)?;
        let reason = DenyReason::parse(code);
        if reason.is_none() {
            let known: Vec<&str> = DenyReason::ALL.iter().map(|reason| reason.code()).collect();
            faults.add(unknown_code(&entry.node, code, &known));
        }
        return reason.map(ExpectedFate::Denied);
    };
    // Each cell is read before any is missed, so that all faults show.
    let cells: Vec<Option<ExpectedCell>> = row
        .entries
        .iter()
        .map(|entry| {
            let value = cell(contract, purpose, entry, faults)?;
            Some(ExpectedCell { column: entry.key.clone(), value, place: entry.place.clone() })
        })
        .collect();
    let cells: Option<Vec<ExpectedCell>> = cells.into_iter().collect();
    cells.map(ExpectedFate::Row)
}

/// Reads the value of a column, and checks that the purpose's table has the column and that it can hold the value.
fn cell(contract: &Contract, purpose: PurposeId, entry: &Entry, faults: &Faults) -> Option<Cell> {
    let column = entry.key.as_str();
    let declared = contract.columns(purpose).map(|(_, field)| field).find(|field| field.column == column);
    let wanted = match declared {
        Some(field) => wanted(field),
        None => SYSTEM.iter().find(|(name, _)| *name == column).map_or(Wanted::Nothing, |(_, wanted)| *wanted),
    };
    if wanted == Wanted::Nothing {
        let columns: Vec<&str> = contract.columns(purpose).map(|(_, field)| field.column.as_str()).collect();
        let message = format!("{} has no column `{column}`", purpose.name());
        let fault = Diagnostic::error(&entry.place, "unknown_column", message);
        faults.add(match nearest(column, &columns) {
            Some(near) => fault.hint(format!("did you mean `{near}`?")),
            None => fault.hint(format!("its columns: {}", columns.join(", "))),
        });
        return None;
    }
    match (declared.is_some_and(|field| field.array.is_some()), &entry.node.value) {
        (true, Value::Array(items)) => {
            let items: Option<Vec<Cell>> = items.iter().map(|item| scalar(wanted, item, faults)).collect();
            items.map(Cell::List)
        }
        (true, _) if !is_null(&entry.node) => {
            faults
                .add(Diagnostic::error(&entry.node.place, "wrong_type", "the column holds arrays").hint("write [ … ]"));
            None
        }
        (_, _) => scalar(wanted, &entry.node, faults),
    }
}

/// What a cell must be written as.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Bool,
    Instant,
    Nothing,
    Number,
    Pseudonym,
    Text,
}

fn wanted(field: &Field) -> Wanted {
    match field.field_type.storage() {
        Storage::Bool => Wanted::Bool,
        Storage::Int if matches!(field.field_type, FieldType::Timestamp { .. }) => Wanted::Instant,
        Storage::Decimal | Storage::Float | Storage::Int => Wanted::Number,
        Storage::Pseudonym => Wanted::Pseudonym,
        Storage::Network | Storage::Semver | Storage::Token | Storage::UserAgent => Wanted::Text,
        Storage::Nothing => Wanted::Nothing,
    }
}

fn scalar(wanted: Wanted, node: &Node, faults: &Faults) -> Option<Cell> {
    if is_null(node) {
        return Some(Cell::Null);
    }
    match wanted {
        Wanted::Bool => node.bool(faults).map(Cell::Bool),
        Wanted::Number => node.number(faults).map(|text| Cell::Number(text.to_owned())),
        Wanted::Text => node.text(faults).map(|text| Cell::Text(text.to_owned())),
        Wanted::Instant => {
            let text = node.text(faults)?;
            instant_of(node, faults)?;
            time::parse(text.as_bytes()).map(|micros| Cell::Text(time::render(micros)))
        }
        Wanted::Pseudonym => {
            let is_mark = matches!(&node.value, Value::Text(text) if text == PSEUDONYM);
            if !is_mark {
                let fault = Diagnostic::error(&node.place, "pseudonym", "a pseudonym cannot be foretold");
                faults.add(fault.hint(format!("write \"{PSEUDONYM}\"")));
            }
            is_mark.then_some(Cell::Pseudonym)
        }
        Wanted::Nothing => None,
    }
}

fn is_null(node: &Node) -> bool {
    matches!(&node.value, Value::Text(text) if text == NULL)
}

const GIVEN: [TestConsent; 3] = [TestConsent::GIVEN; 3];
/// The columns of every table that a case may name.
const SYSTEM: [(&str, Wanted); 4] = [
    ("contract_version", Wanted::Number),
    ("subject", Wanted::Pseudonym),
    ("tenant", Wanted::Text),
    ("time", Wanted::Instant),
];
const ID: &str = "event-1";
const NULL: &str = "<null>";
const PSEUDONYM: &str = "<pseudonym>";
const TENANT: &str = "acme";
const TIME: &str = "2026-11-23T10:15:30.123Z";
