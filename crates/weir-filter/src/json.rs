//! JSON as RFC 8259 defines it, read in place.
//!
//! First an [`Index`] notes where strings and brackets are, 64 bytes at a time; then a [`Cursor`] walks the text by it,
//! checking every token, also of what is dropped: a record is either JSON all through or malformed. Nothing here
//! allocates once its buffers have grown, and no error carries a byte of the text.

mod block;
mod cursor;
mod escape;
mod index;
mod number;
mod text;

pub(crate) use cursor::{Cursor, Nesting, NotJson};
pub(crate) use escape::unescape;
pub(crate) use index::{Index, Text as Read, usize_of};
pub(crate) use number::{Number, Unfit};
pub(crate) use text::{Marked, sixteen};
