//! The search itself: over bytes, files and folders, and inside Parquet files, whose pages are compressed.

pub(super) mod parquet_parts;
mod windows;

use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use aho_corasick::AhoCorasick;

use super::spelling::Spelling;
use super::{MARKER_DIGITS, MARKER_LETTERS, NUMBERS_PREFIX, PREFIX, digest};
use crate::corpus::rfc_3339;
use windows::Windows;

/// A compiled search for all forms of all markers.
#[derive(Clone, Debug)]
pub struct Searcher {
    /// Finds the common beginnings of all markers, in every spelling, and the beginnings of instants.
    beginnings: AhoCorasick,
    /// What each pattern is.
    patterns: Vec<Pattern>,
    /// The places of markers, by marker.
    places: HashMap<String, String>,
    /// The column of the lake that may hold the markers of a place.
    columns: HashMap<String, &'static str>,
    /// Finds digests and numbers in eight bytes.
    windows: Windows,
}

/// What a pattern of the automaton is.
#[derive(Clone, Debug)]
enum Pattern {
    /// The minute or the second of an instant, as text in a spelling.
    Instant { spelling: Spelling, place: String },
    /// What markers begin with, in a spelling.
    Marker { beginning: &'static str, spelling: Spelling },
}

/// An instant that was planted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Instant<'a> {
    pub(super) at_ms: i64,
    pub(super) place: &'a str,
}

/// A marker that left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Where the marker was planted.
    pub place: String,
    /// The form in which it left: a spelling, or the name of a digest.
    pub form: String,
    /// Where it was found: a file, or a part of it.
    pub found_in: String,
    /// Position of the first byte in there.
    pub at: usize,
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "marker of {} as {} in {} at byte {}", self.place, self.form, self.found_in, self.at)
    }
}

impl Searcher {
    /// Compiles a search for instants, and for markers of which none is known yet.
    pub(super) fn new(instants: &[Instant<'_>]) -> Self {
        let mut patterns = Vec::new();
        let mut needles = Vec::new();
        for spelling in Spelling::ALL {
            for beginning in [PREFIX, NUMBERS_PREFIX] {
                patterns.push(Pattern::Marker { beginning, spelling });
                needles.push(spelling.spell(beginning));
            }
            for instant in instants {
                for text in instant.beginnings() {
                    patterns.push(Pattern::Instant { spelling, place: instant.place.to_owned() });
                    needles.push(spelling.spell(&text));
                }
            }
        }
        let beginnings = AhoCorasick::builder().ascii_case_insensitive(true).build(needles);
        let beginnings = beginnings.expect("a few dozen needles fit the automaton");
        let windows = Windows::default();
        Self { beginnings, patterns, places: HashMap::new(), columns: HashMap::new(), windows }
    }

    /// Lets one column of the lake hold the markers of a place.
    pub(super) fn allow(&mut self, place: &str, column: &'static str) {
        self.columns.insert(place.to_owned(), column);
    }

    /// Remembers the place of a marker.
    pub(super) fn name(&mut self, marker: &str, place: &str) {
        self.places.insert(marker.to_owned(), place.to_owned());
    }

    /// Adds the digests of a text.
    pub(super) fn digests_of(&mut self, text: &[u8], place: &str) {
        for (name, digest) in digest::all(text) {
            self.windows.add(digest[..8].try_into().expect("digests are longer"), name, place);
        }
    }

    /// Adds the bytes of a number, in either order.
    pub(super) fn bytes_of(&mut self, number: i64, place: &str) {
        self.windows.add(number.to_be_bytes(), "number, big-endian", place);
        self.windows.add(number.to_le_bytes(), "number, little-endian", place);
    }

    /// Adds the bytes of an instant, and of its second and its minute, in each unit that software counts in.
    pub(super) fn bytes_of_instant(&mut self, at_ms: i64, place: &str) {
        for coarse_ms in [at_ms, at_ms - at_ms % 1_000, at_ms - at_ms % 60_000] {
            for in_ms in [1, 1_000, 1_000_000] {
                self.bytes_of(coarse_ms * in_ms, place);
            }
        }
    }

    /// Searches `bytes`; `found_in` names them in findings.
    pub fn bytes(&self, found_in: &str, bytes: &[u8]) -> Vec<Finding> {
        let spelled = self.beginnings.find_overlapping_iter(bytes).map(|hit| {
            let (spelling, place) = match &self.patterns[hit.pattern().as_usize()] {
                Pattern::Instant { spelling, place } => (spelling, Some(place.as_str())),
                Pattern::Marker { beginning, spelling } => {
                    (spelling, self.place(beginning, *spelling, bytes, hit.start()))
                }
            };
            (place.unwrap_or("an unknown place").to_owned(), format!("{spelling:?}"), hit.start())
        });
        let windows = self.windows.find(bytes);
        let all = spelled.chain(windows);
        all.map(|(place, form, at)| Finding { place, form, found_in: found_in.to_owned(), at }).collect()
    }

    /// Returns the place of the marker that starts at `at`: the one whose spelling stands there.
    fn place(&self, beginning: &str, spelling: Spelling, bytes: &[u8], at: usize) -> Option<&str> {
        if spelling == Spelling::Plain {
            let length = if beginning == PREFIX { MARKER_LETTERS } else { MARKER_DIGITS };
            let marker = std::str::from_utf8(bytes.get(at..at + length)?).ok()?;
            return self.places.get(&marker.to_ascii_lowercase()).map(String::as_str);
        }
        // Other findings are rare, so that trying all markers is no burden, and needs no reader for each spelling.
        let stands = |marker: &&String| {
            let spelled = spelling.spell(marker);
            // What is spelled back to front ends with its beginning.
            let back = if spelling == Spelling::Reversed { spelled.len() - beginning.len() } else { 0 };
            let start = at.checked_sub(back);
            let there = start.and_then(|start| bytes.get(start..start + spelled.len()));
            there.is_some_and(|there| there.eq_ignore_ascii_case(&spelled))
        };
        self.places.keys().find(stands).and_then(|marker| self.places.get(marker)).map(String::as_str)
    }

    /// Searches a file: its name, its bytes, and what a Parquet file holds when it is unpacked.
    ///
    /// # Errors
    /// Fails when the file cannot be read, or says that it is Parquet and cannot be unpacked.
    pub fn file(&self, path: &Path) -> io::Result<Vec<Finding>> {
        let name = path.display().to_string();
        let mut findings = self.bytes(&format!("the name of {name}"), name.as_bytes());
        let bytes = fs::read(path)?;
        if !parquet_parts::is_whole(&bytes) {
            findings.extend(self.bytes(&name, &bytes));
            return Ok(findings);
        }
        for part in parquet_parts::of(path, &bytes).map_err(io::Error::other)? {
            let found = self.bytes(&format!("{} of {name}", part.name), &part.bytes);
            let is_open = |finding: &Finding| {
                let column = self.columns.get(&finding.place);
                column.is_some() && column.copied() == part.column.as_deref()
            };
            findings.extend(found.into_iter().filter(|finding| !is_open(finding)));
        }
        Ok(findings)
    }

    /// Searches all files below `folder`, links not followed; the result starts with how many were searched.
    ///
    /// # Errors
    /// Fails as [`Self::file`] does.
    pub fn folder(&self, folder: &Path) -> io::Result<(usize, Vec<Finding>)> {
        let mut findings = Vec::new();
        let files = files_below(folder)?;
        for file in &files {
            findings.extend(self.file(file)?);
        }
        Ok((files.len(), findings))
    }
}

impl Instant<'_> {
    /// Returns how it begins as a text, to the minute, and as a number of any unit, to the second.
    fn beginnings(&self) -> [String; 3] {
        let minute: String = rfc_3339(self.at_ms).chars().take("2026-11-24T10:00".len()).collect();
        [minute.replace('T', " "), minute, (self.at_ms / 1_000).to_string()]
    }
}

pub(super) fn files_below(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() {
                files.push(entry.path());
            }
        }
    }
    files.sort();
    Ok(files)
}
