//! How much of a data file each column takes, as its footer says.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use parquet::errors::ParquetError;
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::reader::{FileReader as _, SerializedFileReader};

/// Adds the bytes that each column takes in a file that is neither sealed nor encrypted.
///
/// # Errors
///
/// It cannot be read, or is no such file.
pub fn add_column_bytes(file: &Path, bytes: &mut BTreeMap<String, u64>) -> Result<(), ParquetError> {
    let reader = SerializedFileReader::new(File::open(file)?)?;
    for column in reader.metadata().row_groups().iter().flat_map(RowGroupMetaData::columns) {
        let name = column.column_path().parts().first().cloned().unwrap_or_default();
        *bytes.entry(name).or_default() += u64::try_from(column.compressed_size()).unwrap_or(0);
    }
    Ok(())
}
