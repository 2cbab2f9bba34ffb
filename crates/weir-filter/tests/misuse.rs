//! Mistakes with raw or personal data that must not compile.
//!
//! Each file in `tests/misuse` is one; beside it stands what the compiler says. `TRYBUILD=overwrite` writes that anew.

use serde::Serialize;
use static_assertions::assert_not_impl_any;
use std::fmt::{Debug, Display};
use std::ops::Deref;
use weir_filter::{Batch, Cells, Column, Filter, Filtered, Headers, Pseudonym, Record, Rows};
use weir_policy::Reliability;

assert_not_impl_any!(Record<'_>: Clone, Debug, Display, Deref, AsRef<[u8]>, AsRef<str>, Serialize);
assert_not_impl_any!(Headers<'_>: Debug, Display, Deref, Serialize, IntoIterator);
assert_not_impl_any!(Filter: Clone, Debug, Serialize);
assert_not_impl_any!(Filtered: Clone, Debug, Serialize);
assert_not_impl_any!(Batch<Reliability>: Clone, Debug, Serialize);
assert_not_impl_any!(Rows<Reliability>: Clone, Debug, Serialize);
assert_not_impl_any!(Column<Reliability>: Clone, Debug, Serialize);
assert_not_impl_any!(Cells<i64>: Clone, Debug, Serialize, Extend<i64>, FromIterator<i64>);
assert_not_impl_any!(Pseudonym<Reliability>: Debug, Display, Serialize, Default, From<[u8; 16]>);

#[test]
fn misuses_do_not_compile() {
    trybuild::TestCases::new().compile_fail("tests/misuse/*.rs");
}
