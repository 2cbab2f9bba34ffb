//! The filter once more, slow and plain: what the fast one must agree with.

pub mod json;
