//! How the text of a value becomes the number that a column holds.
//!
//! All functions are pure and allocate nothing. `None` means that the text is not a value of the type, or not exactly
//! one; the caller stores null and counts it. Where exactness cannot be had the rule is: `float64` takes the nearest
//! double, and what is finer than a microsecond is rounded down.

pub mod number;
pub mod time;
