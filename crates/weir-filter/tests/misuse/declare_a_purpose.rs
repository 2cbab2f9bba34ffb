//! A fourth purpose could be declared outside.

enum Marketing {}

impl weir_policy::Purpose for Marketing {
    const ID: weir_policy::PurposeId = weir_policy::PurposeId::Personalization;
}

fn main() {}
