//! A Parquet file taken apart: each column as it is stored, its pages decompressed, its values, and what stands between columns.

use std::fs::File;
use std::path::Path;

use arrow::array::{ArrayData, ArrayRef};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::errors::Result;
use parquet::file::reader::{FileReader, SerializedFileReader};

/// Some bytes of a Parquet file.
pub(super) struct Part {
    pub(super) name: String,
    /// The column of the table whose bytes they are.
    pub(super) column: Option<String>,
    pub(super) bytes: Vec<u8>,
}

/// Tells whether a file is a table with a plain footer. A kill may have cut it off: then it is bytes, and no table has it.
pub(in super::super) fn is_whole(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC) && bytes.ends_with(MAGIC)
}

/// Unpacks a file: every byte of it, its pages as stored but decompressed, and its values with every encoding undone.
pub(super) fn of(path: &Path, bytes: &[u8]) -> Result<Vec<Part>> {
    let mut parts = Vec::new();
    let reader = SerializedFileReader::new(File::open(path)?)?;
    let mut chunks = Vec::new();
    for group in 0..reader.num_row_groups() {
        let row_group = reader.get_row_group(group)?;
        for (at, chunk) in row_group.metadata().columns().iter().enumerate() {
            let column = Some(chunk.column_path().parts()[0].clone());
            let (start, length) = chunk.byte_range();
            let [start, length] =
                [start, length].map(|bytes| usize::try_from(bytes).expect("a file of a test is small"));
            chunks.push(start..start + length);
            let stored = bytes[start..start + length].to_vec();
            parts.push(Part { name: format!("column {at} as stored"), column: column.clone(), bytes: stored });
            let mut pages = row_group.get_column_page_reader(at)?;
            while let Some(page) = pages.get_next_page()? {
                let (name, bytes) = (format!("a page of column {at}"), page.buffer().to_vec());
                parts.push(Part { name, column: column.clone(), bytes });
            }
        }
    }
    chunks.sort_by_key(|chunk| chunk.start);
    let ends = std::iter::once(0).chain(chunks.iter().map(|chunk| chunk.end));
    let starts = chunks.iter().map(|chunk| chunk.start).chain([bytes.len()]);
    for (end, start) in ends.zip(starts) {
        parts.push(Part { name: "what is no column".to_owned(), column: None, bytes: bytes[end..start].to_vec() });
    }
    for (name, values) in values(path)? {
        collect_buffers(&name, &values.to_data(), &mut parts);
    }
    Ok(parts)
}

/// Returns the values of each column, batch by batch.
pub(in super::super) fn values(path: &Path) -> Result<Vec<(String, ArrayRef)>> {
    let mut values = Vec::new();
    for batch in ParquetRecordBatchReaderBuilder::try_new(File::open(path)?)?.build()? {
        let batch = batch?;
        let schema = batch.schema();
        let names = schema.fields().iter().map(|field| field.name().clone());
        values.extend(names.zip(batch.columns().iter().cloned()));
    }
    Ok(values)
}

fn collect_buffers(column: &str, data: &ArrayData, parts: &mut Vec<Part>) {
    parts.extend(data.buffers().iter().map(|buffer| Part {
        name: format!("the values of {column}"),
        column: Some(column.to_owned()),
        bytes: buffer.as_slice().to_vec(),
    }));
    data.child_data().iter().for_each(|child| collect_buffers(column, child, parts));
}

const MAGIC: &[u8] = b"PAR1";
