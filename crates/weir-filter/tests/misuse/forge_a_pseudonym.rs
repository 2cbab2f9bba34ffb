//! An identifier could be passed off as its pseudonym.

use std::marker::PhantomData;
use weir_filter::Pseudonym;
use weir_policy::Reliability;

fn forge(bytes: [u8; 16]) -> Pseudonym<Reliability> {
    Pseudonym { bytes, purpose: PhantomData }
}

fn main() {}
