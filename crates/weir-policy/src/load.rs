//! From files to a checked policy.
//!
//! Each file is read as far as it is sound and every fault is collected, so that one run of `weir validate` shows all of
//! them; a [`Policy`] comes out only if there is none.

mod columns;
mod event;
mod field;
mod field_type;
mod numbers;
mod purposes;
mod versions;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::contract::Contract;
use crate::diagnostic::{Diagnostic, Faults, Place, Report, Source};
use crate::policy::{Policy, PolicySource};
use crate::purposes::Purposes;
use crate::reader::{self, Section};

impl Policy {
    /// Reads, checks and compiles contracts and purposes; returns the policy and its warnings.
    ///
    /// # Errors
    /// Every fault and warning of every file, if there is a fault.
    pub fn load(from: &PolicySource) -> Result<(Self, Vec<Diagnostic>), Report> {
        let faults = Faults::default();
        let contracts = sources(&from.contracts, is_contract, &faults);
        let purposes = from.purposes.as_deref().map(|path| read(path, &faults));
        Self::parse(&contracts, purposes.flatten().as_ref(), faults)
    }

    /// Checks and compiles contracts and purposes that were read already; `values_file` is relative to a source's name.
    ///
    /// # Errors
    /// Everything in `faults` and every fault and warning of the sources, if there is a fault.
    pub fn parse(
        contracts: &[Arc<Source>],
        purposes: Option<&Arc<Source>>,
        faults: Faults,
    ) -> Result<(Self, Vec<Diagnostic>), Report> {
        let rules = purposes.map_or_else(Purposes::default, |source| purposes::read(source, &faults));
        let mut drafts: Vec<Draft> = contracts.iter().filter_map(|source| contract(source, &faults)).collect();
        drafts.retain(|draft| !draft.contract.event_type.is_empty() && draft.contract.version > 0);
        versions::check(&mut drafts, &faults);
        let contracts = drafts.into_iter().map(|draft| draft.contract).collect();
        let policy = (faults.errors() == 0).then(|| Self::new(contracts, rules));
        faults.into_result(policy)
    }
}

/// A contract that was read, and where its parts stand, for checks across files.
#[derive(Debug)]
struct Draft {
    contract: Contract,
    /// Where the version (or what stands for it) is.
    place: Place,
    /// Where each field's path stands.
    fields: Vec<Place>,
}

/// Returns the files below `folder` that `wanted` names, read, in the order of their paths.
pub(crate) fn sources(folder: &Path, wanted: fn(&str) -> bool, faults: &Faults) -> Vec<Arc<Source>> {
    let mut paths = Vec::new();
    collect(folder, wanted, &mut paths, faults);
    paths.sort();
    if paths.is_empty() && faults.errors() == 0 {
        let place = Place::start_of(&Source::new(folder, ""));
        faults.add(Diagnostic::error(&place, "nothing_found", "the folder holds no such file"));
    }
    paths.iter().filter_map(|path| read(path, faults)).collect()
}

/// Tells whether a file of this name declares a contract; `*.test.toml` are tests, a leading dot hides.
fn is_contract(name: &str) -> bool {
    let stem = name.strip_suffix(".toml");
    stem.is_some_and(|stem| stem.strip_suffix(".test").is_none())
}

fn collect(folder: &Path, wanted: fn(&str) -> bool, paths: &mut Vec<PathBuf>, faults: &Faults) {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => return unreadable(folder, &error, faults),
    };
    for entry in entries {
        let path = match entry {
            Ok(entry) => entry.path(),
            Err(error) => return unreadable(folder, &error, faults),
        };
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if name.starts_with('.') {
            continue;
        }
        if path.is_dir() {
            collect(&path, wanted, paths, faults);
        } else if wanted(&name) {
            paths.push(path);
        }
    }
}

/// Returns the text of a file as a source; that it cannot be read is a fault.
pub(crate) fn read(path: &Path, faults: &Faults) -> Option<Arc<Source>> {
    match fs::read_to_string(path) {
        Ok(text) => Some(Source::new(path, text)),
        Err(error) => {
            unreadable(path, &error, faults);
            None
        }
    }
}

fn unreadable(path: &Path, error: &std::io::Error, faults: &Faults) {
    let place = Place::start_of(&Source::new(path, ""));
    faults.add(Diagnostic::error(&place, "unreadable", format!("cannot be read: {error}")));
}

/// Reads one contract; what is returned may lack what was faulty.
fn contract(source: &Arc<Source>, faults: &Faults) -> Option<Draft> {
    let root = reader::parse(source, faults)?;
    let mut root = Section::new(&root, faults);
    let head = root.need("event", "the table that says what the event is and who answers for it");
    let fields = root.need("fields", "one table for each path that may be kept: [fields.\"user.id\"]");
    root.finish();
    let head = head.and_then(|node| node.table(faults)).map(|table| event::read(table, faults));
    let declared = fields.and_then(|node| node.table(faults))?;
    let subject = head.as_ref().map_or(&event::Subject::Missing, |head| &head.subject);
    let fields = declared.entries.iter().filter_map(|entry| field::read(entry, subject, source.name(), faults));
    let mut fields: Vec<field::Draft> = fields.collect();
    let head = head?;
    let (subject, purposes) = columns::check(&head, declared, &mut fields, faults);
    let (fields, places) = fields.into_iter().map(|draft| (draft.field, draft.place)).unzip();
    let contract = Contract {
        event_type: head.event_type,
        version: head.version,
        description: head.description,
        benefit: head.benefit,
        owner: head.owner,
        review: head.review,
        expires: head.expires,
        fields,
        subject,
        purposes,
        file: source.name().to_owned(),
    };
    Some(Draft { contract, place: head.place, fields: places })
}
