//! Text could be wrapped and declared storable.

#[derive(Clone, Copy)]
struct Note(&'static str);

impl weir_filter::Storable for Note {
    const BLANK: Self = Note("");
}

fn main() {}
