//! Text that strangers wrote, read by a binding that panics where it is no UTF-8.
//!
//! Anybody who may write to a topic, or commit for a group, can send as many of these as they like: that is no fault of weir's, and ends
//! nothing.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

thread_local! {
    static READS_FOREIGN_TEXT: Cell<bool> = const { Cell::new(false) };
}

/// Tells whether this thread reads text that strangers wrote: nobody need be told of a panic then.
pub fn reads_foreign_text() -> bool {
    READS_FOREIGN_TEXT.get()
}

/// Reads such a text; none where the binding panics.
pub(crate) fn read<T>(read: impl FnOnce() -> T) -> Option<T> {
    READS_FOREIGN_TEXT.set(true);
    let text = catch_unwind(AssertUnwindSafe(read)).ok();
    READS_FOREIGN_TEXT.set(false);
    text
}
