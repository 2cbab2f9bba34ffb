//! Consent from a file: the records of the inbox, one JSON object a line.
//!
//! For one-machine use. Unlike on the topics, a later line wins over an earlier one whatever its `at`, so that a file
//! can be edited by hand; only erasures add up. Blank lines are skipped. Every faulty line is reported, by number and code.

use std::{
    fs::File,
    io::{self, BufRead, BufReader},
    path::Path,
};

use weir_keys::KeySet;

use crate::{
    inbox::{InboxFault, InboxRecord},
    store::ConsentStore,
};

/// Faults that are listed; the rest is counted.
const LISTED_MAX: usize = 100;

impl ConsentStore {
    /// Loads a file of inbox records; the store is current for ever.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or a line of it is not a record.
    pub fn load_ndjson(path: &Path, keys: &KeySet, now_ms: i64) -> Result<Self, LoadError> {
        Self::read_ndjson(BufReader::new(File::open(path)?), keys, now_ms)
    }

    /// Loads lines of inbox records; the store is current for ever.
    ///
    /// # Errors
    ///
    /// The lines cannot be read, or one of them is not a record.
    pub fn read_ndjson(lines: impl BufRead, keys: &KeySet, now_ms: i64) -> Result<Self, LoadError> {
        let store = Self::new();
        each_record(lines, now_ms, |record| store.overwrite(record.state(keys)))?;
        store.mark_current(i64::MAX);
        Ok(store)
    }

    /// Adds lines of inbox records that stand behind those of the store; none of them, where one is faulty.
    ///
    /// # Errors
    ///
    /// One of the lines is not a record.
    pub fn add_ndjson(&self, lines: &[u8], keys: &KeySet, now_ms: i64) -> Result<(), LoadError> {
        each_record(lines, now_ms, drop)?;
        each_record(lines, now_ms, |record| self.overwrite(record.state(keys)))
    }
}

/// Reads the record of each line; fails with all faulty lines together.
fn each_record(mut lines: impl BufRead, now_ms: i64, mut take: impl FnMut(InboxRecord)) -> Result<(), LoadError> {
    let (mut faults, mut count, mut line) = (Vec::new(), 0, Vec::new());
    for number in 1.. {
        line.clear();
        if lines.read_until(b'\n', &mut line)? == 0 {
            break;
        }
        let text = line.trim_ascii();
        if text.is_empty() {
            continue;
        }
        match InboxRecord::parse(text, now_ms) {
            Ok(record) => take(record),
            Err(fault) => {
                count += 1;
                if faults.len() < LISTED_MAX {
                    faults.push(LineFault { line: number, fault });
                }
            }
        }
    }
    if count > 0 { Err(LoadError::Lines { faults, count }) } else { Ok(()) }
}

/// A line that is not a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineFault {
    /// Number of the line, from 1.
    pub line: u64,
    /// What is wrong with it.
    pub fault: InboxFault,
}

/// Why a consent file could not be loaded; never quotes it.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file could not be read.
    #[error("cannot read the consent file")]
    Io(#[from] io::Error),
    /// Lines that are not records.
    #[error("{count} lines of the consent file are not records")]
    Lines {
        /// The first hundred of them.
        faults: Vec<LineFault>,
        /// How many there are.
        count: u64,
    },
}
