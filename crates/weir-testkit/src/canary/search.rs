//! The search itself: over bytes, files and folders, and inside Parquet files, whose pages are compressed.

mod windows;

use std::collections::HashMap;
use std::fmt;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use aho_corasick::AhoCorasick;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::reader::{FileReader, SerializedFileReader};

use super::spelling::Spelling;
use super::{MARKER_DIGITS, MARKER_LETTERS, NUMBERS_PREFIX, PREFIX, digest};
use windows::Windows;

/// A compiled search for all forms of all markers.
#[derive(Clone, Debug)]
pub struct Searcher {
    /// Finds the common beginnings of all markers, in every spelling.
    beginnings: AhoCorasick,
    /// The beginning and the spelling of each pattern.
    patterns: Vec<(&'static str, Spelling)>,
    /// The places of markers, by marker.
    places: HashMap<String, String>,
    /// Finds digests and numbers in eight bytes.
    windows: Windows,
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
    /// Compiles a search for markers of which none is known yet.
    pub(super) fn new() -> Self {
        let mut patterns = Vec::new();
        let mut needles = Vec::new();
        for beginning in [PREFIX, NUMBERS_PREFIX] {
            for spelling in Spelling::ALL {
                patterns.push((beginning, spelling));
                needles.push(spelling.spell(beginning));
            }
        }
        let beginnings = AhoCorasick::builder().ascii_case_insensitive(true).build(needles);
        let beginnings = beginnings.expect("two dozen needles fit the automaton");
        Self { beginnings, patterns, places: HashMap::new(), windows: Windows::default() }
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

    /// Searches `bytes`; `found_in` names them in findings.
    pub fn bytes(&self, found_in: &str, bytes: &[u8]) -> Vec<Finding> {
        let spelled = self.beginnings.find_overlapping_iter(bytes).map(|hit| {
            let (beginning, spelling) = self.patterns[hit.pattern().as_usize()];
            let place = self.place(beginning, spelling, bytes, hit.start()).unwrap_or("an unknown place");
            (place.to_owned(), format!("{spelling:?}"), hit.start())
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
        findings.extend(self.bytes(&name, &bytes));
        if bytes.starts_with(PARQUET_MAGIC) {
            for (part, bytes) in parquet_parts(path).map_err(io::Error::other)? {
                findings.extend(self.bytes(&format!("{part} of {name}"), &bytes));
            }
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

fn files_below(folder: &Path) -> io::Result<Vec<PathBuf>> {
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

/// Unpacks a Parquet file twice: its pages as stored but decompressed, and its values with every encoding undone.
fn parquet_parts(path: &Path) -> parquet::errors::Result<Vec<(String, Vec<u8>)>> {
    let mut parts = Vec::new();
    let reader = SerializedFileReader::new(File::open(path)?)?;
    for group in 0..reader.num_row_groups() {
        let row_group = reader.get_row_group(group)?;
        for column in 0..row_group.num_columns() {
            let mut pages = row_group.get_column_page_reader(column)?;
            while let Some(page) = pages.get_next_page()? {
                parts.push((format!("a page of row group {group}, column {column}"), page.buffer().to_vec()));
            }
        }
    }
    for batch in ParquetRecordBatchReaderBuilder::try_new(File::open(path)?)?.build()? {
        for (column, array) in batch?.columns().iter().enumerate() {
            collect_buffers(&format!("the values of column {column}"), &array.to_data(), &mut parts);
        }
    }
    Ok(parts)
}

fn collect_buffers(name: &str, data: &arrow::array::ArrayData, parts: &mut Vec<(String, Vec<u8>)>) {
    parts.extend(data.buffers().iter().map(|buffer| (name.to_owned(), buffer.as_slice().to_vec())));
    data.child_data().iter().for_each(|child| collect_buffers(name, child, parts));
}

/// First bytes of a Parquet file with a plain footer.
const PARQUET_MAGIC: &[u8] = b"PAR1";
