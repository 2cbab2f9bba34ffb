//! `cargo xtask bench`: prints a table of ratios, measured in one run.

use anyhow::Result;
use weir_bench::ratios::{self, Size};

fn main() -> Result<()> {
    let size = Size::parse(std::env::args().skip(1))?;
    ratios::print(&size, &mut std::io::stdout().lock())
}

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
