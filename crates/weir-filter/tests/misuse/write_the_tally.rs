//! A loss could be counted away.

fn hide(tally: &mut weir_filter::Tally, origin: weir_filter::Origin) {
    tally.add_quarantined(origin, weir_policy::MalformedCode::Json);
}

fn main() {}
