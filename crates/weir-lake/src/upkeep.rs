//! What is done to every table from time to time: one that stands in the way does not keep the others from it.

use crate::lake::{Lake, LakeError};
use crate::layout::TableName;

/// What was done to the tables, and to which it was not.
#[derive(Debug)]
#[must_use = "tables may be as they were"]
pub struct Upkeep<T> {
    /// What was done to the others.
    pub done: T,
    /// Tables that nobody looked into, because the configuration skips them.
    pub skipped: Vec<TableName>,
    /// Why it was not done to the first of those that could not be read or written.
    pub refused: Option<LakeError>,
}

impl<T> Upkeep<T> {
    /// Tells whether it was done to all tables.
    pub fn is_whole(&self) -> bool {
        self.skipped.is_empty() && self.refused.is_none()
    }
}

impl Lake {
    /// Does something to every table.
    pub(crate) fn keep_up<T: Default>(
        &self,
        act: impl Fn(&TableName, &mut T) -> Result<(), LakeError>,
    ) -> Result<Upkeep<T>, LakeError> {
        let skipped = self.config.skip.iter().cloned().collect();
        let mut upkeep = Upkeep { done: T::default(), skipped, refused: None };
        for name in self.tables_in_use()? {
            match act(&name, &mut upkeep.done) {
                Ok(()) => {}
                Err(error) if error.may_pass() || error.table() != Some(&name) => return Err(error),
                Err(error) => upkeep.refused = upkeep.refused.or(Some(error)),
            }
        }
        Ok(upkeep)
    }
}
