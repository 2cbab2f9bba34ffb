//! The order in which a table's rows become visible: read on, ask consent again, put; whatever starts over asks again.
//!
//! A withdrawal counts for rows in sealed files because of this order and of nothing else. So it stands alone, and a model checker
//! walks every interleaving of it with what the keeper does (`attempt/model.rs`, `cargo xtask model`). Between the answers of the
//! store and the end of the put lies the commit "at that moment": a withdrawal that comes in between counts from the next one on. A
//! table that took long to write its files starts over with them, so that this moment is no longer where the store is slow.

use crate::commit::{CommitError, Recheck};
use crate::table_log::Attempt;
use crate::work::{Removals, Work};

/// The table that rows are put into.
pub(crate) trait Target {
    /// Reads what the table is by now; [`Attempt::Lost`] when it has to be read once more.
    fn read_on(&mut self) -> Result<Attempt, CommitError>;

    /// Puts the rows that are left; `removals` left since the last call. [`Attempt::Lost`] when someone else was first.
    fn put(&mut self, work: &mut dyn Work, removals: Removals) -> Result<Attempt, CommitError>;
}

/// Puts the rows that consent permits; asks again before each attempt.
pub(crate) fn put_permitted(
    recheck: &Recheck<'_>,
    work: &mut dyn Work,
    table: &mut dyn Target,
) -> Result<(), CommitError> {
    loop {
        if table.read_on()? == Attempt::Lost {
            continue;
        }
        let removals = ask_again(recheck, work)?;
        if table.put(work, removals)? == Attempt::Done {
            return Ok(());
        }
    }
}

/// Asks consent again for every row that is left, and takes out what it no longer permits.
fn ask_again(recheck: &Recheck<'_>, work: &mut dyn Work) -> Result<Removals, CommitError> {
    let view = recheck.view()?;
    Ok(work.recheck(&view, (recheck.now_ms)()))
}

#[cfg(feature = "model")]
pub mod model;
