//! Events from files: one event a line, whose place is its byte position.
//!
//! A file is a source as a partition is: it is named by the digest of its bytes, so that the same file is read once whatever
//! its name, and its watermark is the byte after the last line accounted for. Standard input has no digest before it
//! ends; whoever pipes it names it. A line longer than a record may be is cut, not kept: memory is bounded by the limits.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read, Seek},
    ops::Range,
    path::Path,
};

use weir_filter::{Headers, Origin, Record};
use weir_lake::{PartitionId, Span};

use crate::poll::PollLimits;

/// The lines of one input, in order.
#[expect(missing_debug_implementations, reason = "it holds raw input")]
pub struct Lines<R> {
    input: BufReader<R>,
    id: PartitionId,
    /// The byte that comes next.
    position: i64,
    /// Lines before this byte are accounted for.
    watermark: i64,
    record_bytes: usize,
    proof: Option<Proof>,
}

/// Shows that the bytes read are those that named the file.
struct Proof {
    named: blake3::Hash,
    seen: blake3::Hasher,
}

/// Why an input cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The file's bytes are not those that it had when it was opened.
    #[error("{name} changed while it was read; what was committed of it is accounted for under its former digest")]
    Changed {
        /// Name of the file.
        name: String,
    },
    /// The input could not be opened or read.
    #[error("could not read {name}")]
    Read {
        /// Name of the input.
        name: String,
        /// Why.
        source: io::Error,
    },
}

impl Lines<File> {
    /// Opens a file and names it by its digest; reads it once for that.
    ///
    /// # Errors
    /// [`FileError::Read`] when it cannot be opened or read.
    pub fn open(path: &Path, record_bytes: usize) -> Result<Self, FileError> {
        let name = path.file_name().map_or_else(|| path.to_string_lossy(), |name| name.to_string_lossy()).into_owned();
        let digest = |mut file: File| -> io::Result<(File, blake3::Hash)> {
            let mut hasher = blake3::Hasher::new();
            io::copy(&mut file, &mut hasher)?;
            file.rewind()?;
            Ok((file, hasher.finalize()))
        };
        let opened = File::open(path).and_then(digest);
        let (file, named) = opened.map_err(|source| FileError::Read { name: name.clone(), source })?;
        let mut lines = Self::named(file, &format!("blake3:{}", named.to_hex()), &name, record_bytes);
        lines.proof = Some(Proof { named, seen: blake3::Hasher::new() });
        Ok(lines)
    }
}

impl<R: Read> Lines<R> {
    /// Takes an input that is read once, as standard input is; `source` has to tell it from every other.
    pub fn named(input: R, source: &str, name: &str, record_bytes: usize) -> Self {
        let id = PartitionId { source: source.into(), topic: name.into(), partition: 0 };
        let input = BufReader::with_capacity(READ_BYTES, input);
        Self { input, id, position: 0, watermark: 0, record_bytes, proof: None }
    }

    /// Returns the input's place in the lake's accounting.
    pub fn partition(&self) -> &PartitionId {
        &self.id
    }

    /// Passes over what is accounted for; to be told before the first read.
    pub fn skip_to(&mut self, watermark: i64) {
        self.watermark = watermark;
    }

    /// Reads lines up to the limits, and not past `fence` if there is one; none at the end of the input.
    ///
    /// Empty lines are no records. `limits.wait` has no meaning here: reading waits for the input.
    ///
    /// # Errors
    /// When the input cannot be read, or is not the one that was opened.
    pub fn read(&mut self, limits: &PollLimits, fence: Option<i64>) -> Result<Option<LineBatch>, FileError> {
        let mut batch = LineBatch { bytes: Vec::new(), lines: Vec::new(), span: self.span(self.position) };
        while batch.lines.len() < limits.records && batch.bytes.len() < limits.bytes {
            if fence.is_some_and(|fence| self.position >= fence) {
                break;
            }
            let (start, begin) = (self.position, batch.bytes.len());
            if !self.line(&mut batch.bytes)? {
                break;
            }
            if start < self.watermark {
                batch.bytes.truncate(begin);
                batch.span.from = self.position.min(self.watermark);
            } else if batch.bytes[begin..].iter().all(u8::is_ascii_whitespace) {
                batch.bytes.truncate(begin);
            } else {
                batch.lines.push((start, begin..batch.bytes.len()));
            }
        }
        batch.span.to = self.position;
        if batch.span.from < batch.span.to {
            return Ok(Some(batch));
        }
        // At a fence or at the watermark there may be more; only the input's own end proves the digest.
        if fence.is_none() { self.prove().map(|()| None) } else { Ok(None) }
    }

    /// Reads one line to its end, and keeps no more of it than shows that it is too long; `false` at the end.
    fn line(&mut self, into: &mut Vec<u8>) -> Result<bool, FileError> {
        let begin = into.len();
        let most = u64::try_from(self.record_bytes).unwrap_or(u64::MAX).saturating_add(2);
        let mut read = self.piece(into, most)?;
        if read == 0 {
            return Ok(false);
        }
        let mut rest = Vec::new();
        let mut ended = into.ends_with(b"\n");
        if ended {
            into.pop();
        }
        while !ended && read > 0 {
            rest.clear();
            read = self.piece(&mut rest, READ_BYTES_U64)?;
            ended = rest.ends_with(b"\n");
        }
        into.truncate(begin + self.record_bytes.saturating_add(1));
        Ok(true)
    }

    fn piece(&mut self, into: &mut Vec<u8>, most: u64) -> Result<usize, FileError> {
        let begin = into.len();
        let read = self.input.by_ref().take(most).read_until(b'\n', into);
        let read = read.map_err(|source| FileError::Read { name: self.id.topic.to_string(), source })?;
        if let Some(proof) = &mut self.proof {
            proof.seen.update(&into[begin..]);
        }
        self.position += i64::try_from(read).expect("a piece is no longer than a record");
        Ok(read)
    }

    fn prove(&self) -> Result<(), FileError> {
        match &self.proof {
            Some(proof) if proof.seen.finalize() != proof.named => {
                Err(FileError::Changed { name: self.id.topic.to_string() })
            }
            Some(_) | None => Ok(()),
        }
    }

    fn span(&self, at: i64) -> Span {
        Span { partition: self.id.clone(), from: at, to: at }
    }
}

/// Some lines, copied out of the input.
#[expect(missing_debug_implementations, reason = "it holds raw input")]
pub struct LineBatch {
    bytes: Vec<u8>,
    lines: Vec<(i64, Range<usize>)>,
    span: Span,
}

impl LineBatch {
    /// Returns the bytes of the input that this batch accounts for.
    pub fn span(&self) -> &Span {
        &self.span
    }

    /// Returns the number of lines.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Tells whether there is no line, only bytes to account for.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Returns the bytes of all lines.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Returns where each line starts.
    pub fn places(&self) -> impl Iterator<Item = i64> {
        self.lines.iter().map(|(position, _)| *position)
    }

    /// Lends the lines, in the form that the filter takes.
    pub fn lend<T>(&self, origin: Origin, take: impl FnOnce(&[Record<'_>]) -> T) -> T {
        let record = |(position, range): &(i64, Range<usize>)| {
            Record::new(origin, *position, Some(&self.bytes[range.clone()]), Headers::NONE)
        };
        take(&self.lines.iter().map(record).collect::<Vec<_>>())
    }
}

/// Large enough that a system call is rare next to the filter's work on what it brings.
const READ_BYTES: usize = 256 << 10;
const READ_BYTES_U64: u64 = 256 << 10;

#[cfg(test)]
mod tests {
    use std::{fs, io::Write};

    use super::*;

    const LIMITS: PollLimits = PollLimits { records: 2, bytes: 1 << 20, wait: std::time::Duration::ZERO };

    fn lines(text: &str) -> Lines<&[u8]> {
        Lines::named(text.as_bytes(), "stdin:test", "-", 8)
    }

    fn all(lines: &mut Lines<&[u8]>) -> Vec<(i64, Vec<u8>)> {
        let mut found = Vec::new();
        while let Some(batch) = lines.read(&LIMITS, None).expect("memory can be read") {
            found.extend(batch.lines.iter().map(|(position, range)| (*position, batch.bytes[range.clone()].to_vec())));
        }
        found
    }

    #[test]
    fn place_of_a_line_is_its_first_byte() {
        let found = all(&mut lines("{\"a\":1}\n\n  \r\n{}\n[]"));
        assert_eq!(found, [(0, b"{\"a\":1}".to_vec()), (13, b"{}".to_vec()), (16, b"[]".to_vec())]);
    }

    /// Goal: a line of any length takes no more memory than a record may have, and is seen as longer than that.
    #[test]
    fn long_line_is_cut_just_past_the_limit() {
        let long = "x".repeat(600 << 10);
        let found = all(&mut lines(&format!("12345678\n123456789\n1234567890\n{long}\n{{}}\n{long}")));
        let cut = |position, text: &str| (position, text.as_bytes().to_vec());
        let after = 30 + i64::try_from(long.len()).expect("fits") + 1;
        assert_eq!(
            found,
            [
                cut(0, "12345678"),
                cut(9, "123456789"),
                cut(19, "123456789"),
                cut(30, "xxxxxxxxx"),
                cut(after, "{}"),
                cut(after + 3, "xxxxxxxxx")
            ]
        );
    }

    #[test]
    fn spans_tile_the_input_from_the_watermark_to_its_end() {
        let text = "1\n2\n3\n\n4\n5\n";
        let mut lines = lines(text);
        lines.skip_to(2);
        let (mut at, mut places) = (2, Vec::new());
        while let Some(batch) = lines.read(&LIMITS, None).expect("memory can be read") {
            assert_eq!(batch.span().from, at);
            at = batch.span().to;
            places.extend(batch.places());
        }
        assert_eq!((at, places), (11, vec![2, 4, 7, 9]));
    }

    #[test]
    fn reading_stops_at_the_fence() {
        let mut lines = lines("1\n2\n3\n");
        let batch = lines.read(&LIMITS, Some(2)).expect("memory can be read").expect("a line");
        assert_eq!((batch.span().to, batch.len()), (2, 1));
        assert!(lines.read(&LIMITS, Some(2)).expect("memory can be read").is_none());
        assert_eq!(lines.read(&LIMITS, None).expect("memory can be read").expect("lines").len(), 2);
    }

    #[test]
    fn file_is_its_bytes_and_not_its_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let (one, two) = (folder.path().join("one.ndjson"), folder.path().join("two.ndjson"));
        fs::write(&one, "{}\n").expect("a file");
        fs::copy(&one, &two).expect("a copy");
        let source = |path: &Path| Lines::open(path, 8).expect("a file").partition().source.clone();
        assert_eq!(source(&one), source(&two));
        fs::write(&two, "[]\n").expect("a file");
        assert_ne!(source(&one), source(&two));
    }

    #[test]
    fn file_that_grows_while_it_is_read_is_told() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("grows.ndjson");
        fs::write(&path, "{}\n").expect("a file");
        let mut lines = Lines::open(&path, 8).expect("a file");
        let mut file = fs::OpenOptions::new().append(true).open(&path).expect("the file");
        file.write_all(b"[]\n").expect("room");
        let mut read = || lines.read(&LIMITS, None);
        assert!(matches!(read(), Ok(Some(_))));
        assert!(matches!(read(), Err(FileError::Changed { .. })));
    }
}
