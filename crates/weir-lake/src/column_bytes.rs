//! How much each column of a table takes, as the footers of its files say.

use std::collections::BTreeMap;

use parquet::file::metadata::RowGroupMetaData;

use crate::encryption::open;
use crate::lake::{Lake, LakeError, at};
use crate::layout::TableName;

impl Lake {
    /// Returns the bytes that each column takes in the files of a table; of a table that is not there, none.
    ///
    /// # Errors
    ///
    /// The table can't be read.
    pub fn column_bytes(&self, name: &TableName) -> Result<BTreeMap<String, u64>, LakeError> {
        let table = self.table(name)?;
        let mut log = table.lock();
        let mut bytes = BTreeMap::new();
        for file in self.live(&mut log)? {
            let builder = open(&log.folder, &file.path).map_err(|source| at(name, source))?;
            for column in builder.metadata().row_groups().iter().flat_map(RowGroupMetaData::columns) {
                let name = column.column_path().parts().first().cloned().unwrap_or_default();
                *bytes.entry(name).or_default() += u64::try_from(column.compressed_size()).unwrap_or(0);
            }
        }
        Ok(bytes)
    }
}
