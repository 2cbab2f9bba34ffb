//! `cargo xtask bench`: prints tables of ratios, each measured in one run.

use anyhow::Result;
use weir_bench::ratios::{self, Size};
use weir_bench::scale::{self, Reach};

fn main() -> Result<()> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let out = &mut std::io::stdout().lock();
    match arguments.first().map(String::as_str) {
        #[cfg(feature = "lake")]
        Some("peers") => {
            let mut rest = arguments.split_off(1).into_iter();
            let Some(folder) = rest.next() else { anyhow::bail!("peers wants the folder that they were built in") };
            let size = Size { events: 200_000, people: 200_000, rounds: 3 };
            weir_bench::peers::print(&size.parse(rest)?, std::path::Path::new(&folder), out)
        }
        Some("scale") => {
            let size = Size { events: 100_000, people: 100_000, rounds: 5 };
            let (size, records) = size.parse_with("--records", arguments.split_off(1).into_iter())?;
            let reach = Reach { types: 1_000, records: records.unwrap_or(10_000_000) };
            scale::print(&size, reach, out)
        }
        _ => ratios::print(&Size::USUAL.parse(arguments.into_iter())?, out),
    }
}
