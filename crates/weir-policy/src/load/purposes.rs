//! `config/purposes.toml`: what the three purposes mean here. What it leaves out is as it ships.

use std::sync::Arc;

use super::event::is_permitted;
use super::field::no_purpose;
use crate::crosswalk::{self, DPV_BASE};
use crate::diagnostic::{Diagnostic, Faults, Place, Source};
use crate::purpose::PurposeId;
use crate::purposes::{LawfulBasis, PurposeRules, Purposes, TimePrecision};
use crate::reader::{self, Node, Section, Table};
use crate::refused;

/// Reads the rules of the purposes.
pub(super) fn read(source: &Arc<Source>, faults: &Faults) -> Purposes {
    let mut purposes = Purposes::default();
    let Some(root) = reader::parse(source, faults) else { return purposes };
    for entry in &root.entries {
        match PurposeId::parse(&entry.key) {
            Some(purpose) => {
                if let Some(table) = entry.node.table(faults) {
                    rules(purpose, table, &mut purposes.rules[purpose.index()], faults);
                }
            }
            None => faults.add(no_purpose(&entry.key, &entry.place)),
        }
    }
    purposes
}

fn rules(purpose: PurposeId, table: &Table, rules: &mut PurposeRules, faults: &Faults) {
    let words = crosswalk::words(purpose);
    let mut section = Section::new(table, faults);
    if let Some((text, place)) = section.text("description")
        && is_permitted(text, place, faults)
    {
        text.clone_into(&mut rules.description);
    }
    if let Some(node) = section.take("dpv") {
        rules.dpv = terms(node, faults, |iri, place| {
            let term = iri.strip_prefix(DPV_BASE).or_else(|| iri.strip_prefix("dpv:")).unwrap_or(iri);
            is_word((term, "DPV"), refused::dpv(term), words.dpv, place, faults).then(|| format!("{DPV_BASE}{term}"))
        });
    }
    if let Some((clause, place)) = section.text("iso19944")
        && is_word((clause, "ISO/IEC 19944-1"), refused::iso19944(clause), &[words.iso19944], place, faults)
    {
        clause.clone_into(&mut rules.iso19944);
    }
    if let Some(node) = section.take("fideslang") {
        rules.fideslang = terms(node, faults, |key, place| {
            is_word((key, "fideslang"), refused::purpose(key), words.fideslang, place, faults).then(|| key.to_owned())
        });
    }
    if let Some(node) = section.take("tcf") {
        check_tcf(node, words.tcf, faults);
    }
    if let Some(node) = section.take("recipients") {
        rules.recipients =
            terms(node, faults, |text, place| is_permitted(text, place, faults).then(|| text.to_owned()));
    }
    lawful_basis(purpose, &mut section, rules);
    times(&mut section, rules);
    section.finish();
}

/// Reads the texts of an array that `accept` takes.
fn terms(node: &Node, faults: &Faults, accept: impl Fn(&str, &Place) -> Option<String>) -> Vec<String> {
    let texts = node.texts(faults).unwrap_or_default();
    texts.into_iter().filter_map(|(text, place)| accept(text, place)).collect()
}

/// Tells whether a word of another vocabulary means this purpose; if not, a fault is added.
fn is_word(
    (word, vocabulary): (&str, &str),
    refused: Option<refused::Use>,
    known: &[&str],
    place: &Place,
    faults: &Faults,
) -> bool {
    if known.contains(&word) {
        return true;
    }
    let known = if known.is_empty() { "no word of it does".to_owned() } else { format!("known: {}", known.join(", ")) };
    let fault = if let Some(refused) = refused {
        let message = format!("`{word}` of {vocabulary} is {refused}, which weir refuses by name");
        let fault = Diagnostic::error(place, "refused_use", message);
        fault.hint("no configuration can allow it: the three purposes are part of the program")
    } else {
        let message = format!("`{word}` of {vocabulary} does not mean this purpose");
        Diagnostic::error(place, "unknown_word", message).hint(known)
    };
    faults.add(fault);
    false
}

fn check_tcf(node: &Node, known: &[u8], faults: &Faults) {
    for item in node.array(faults).unwrap_or_default() {
        let Some(number) = item.whole_in(1..=11, faults) else { continue };
        let known: Vec<String> = known.iter().map(ToString::to_string).collect();
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        is_word((&number.to_string(), "the IAB TCF"), refused::tcf(number), &known, &item.place, faults);
    }
}

fn lawful_basis(purpose: PurposeId, section: &mut Section<'_>, rules: &mut PurposeRules) {
    let Some((name, place)) = section.text("lawful_basis") else { return };
    let Some(basis) = LawfulBasis::parse(name) else {
        let fault = Diagnostic::error(place, "lawful_basis", format!("`{name}` is no lawful basis"));
        return section.faults().add(fault.hint("consent, contract or legitimate_interests"));
    };
    if purpose == PurposeId::Personalization && basis != LawfulBasis::Consent {
        let fault = Diagnostic::error(place, "lawful_basis", "personalization rests on consent only");
        return section.faults().add(fault.hint("lawful_basis = \"consent\""));
    }
    rules.lawful_basis = basis;
}

fn times(section: &mut Section<'_>, rules: &mut PurposeRules) {
    let faults = section.faults();
    if let Some(days) = section.take("retention_days").and_then(|node| node.whole_in(1..=RETENTION_DAYS_MAX, faults)) {
        rules.retention_days = days;
    }
    let epoch = section.take("epoch_days");
    if let Some(days) = epoch.and_then(|node| node.whole_in(1..=RETENTION_DAYS_MAX, faults)) {
        rules.epoch_days = days;
    }
    if rules.epoch_days > rules.retention_days {
        let place = epoch.map_or(section.place(), |node| &node.place);
        let fault = Diagnostic::error(place, "epoch", "an epoch is longer than its rows are kept");
        faults.add(fault.hint("at most retention_days: a pseudonym need not outlive the rows that bear it"));
    }
    if let Some((name, place)) = section.text("time_precision") {
        if let Some(precision) = TimePrecision::parse(name) {
            rules.time_precision = precision;
        } else {
            let fault = Diagnostic::error(place, "precision", format!("`{name}` is no precision of a time"));
            faults.add(fault.hint("second, minute, hour or day"));
        }
    }
}

/// Ten years: what is kept longer is an archive, not telemetry.
const RETENTION_DAYS_MAX: u32 = 3_650;
