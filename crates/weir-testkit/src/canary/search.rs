//! The search itself: over bytes, files and folders, and inside Parquet files, whose pages are compressed.

use std::fmt;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use aho_corasick::AhoCorasick;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::reader::{FileReader, SerializedFileReader};

use super::spelling::Form;

/// A compiled search for all forms of all markers.
#[derive(Clone, Debug)]
pub struct Searcher {
    automaton: AhoCorasick,
    /// Place and form of each pattern of the automaton.
    needles: Vec<(String, Form)>,
}

/// A marker that left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Where the marker was planted.
    pub place: String,
    /// The form in which it left.
    pub form: Form,
    /// Where it was found: a file, a part of it, or nothing for plain bytes.
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
    /// Compiles the search for `needles`: place, form and bytes of each.
    ///
    /// # Panics
    /// Panics when there are more needles than the automaton can number, some hundred millions.
    pub(super) fn new(needles: impl Iterator<Item = (String, Form, Vec<u8>)>) -> Self {
        let (names, patterns): (Vec<_>, Vec<_>) = needles.map(|(place, form, bytes)| ((place, form), bytes)).unzip();
        let automaton = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .build(patterns)
            .expect("the needles of a test fit the automaton");
        Self { automaton, needles: names }
    }

    /// Searches `bytes`; `found_in` names them in findings.
    pub fn bytes(&self, found_in: &str, bytes: &[u8]) -> Vec<Finding> {
        self.automaton
            .find_overlapping_iter(bytes)
            .map(|hit| {
                let (place, form) = self.needles[hit.pattern().as_usize()].clone();
                Finding { place, form, found_in: found_in.to_owned(), at: hit.start() }
            })
            .collect()
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
