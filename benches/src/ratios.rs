//! The table of ratios: the filter against parsers, the reference and a copy, in one run.

use std::io::Write;

use anyhow::{Context as _, Result, bail};

use crate::contestants::{self, FILTER, TO_ARROW};
use crate::goals::{self, FILTER_GOALS};
use crate::race;
use crate::world::{Events, Mode, World};

/// Measures and prints the table, in Markdown.
///
/// # Errors
/// When there is no room for temporary files, or the output is closed.
pub fn print(size: &Size, out: &mut impl Write) -> Result<()> {
    let world = World::new(8, size.people)?;
    let [mixed, stable, one] = Mode::ALL.map(|mode| world.corpus(mode, size.events));
    let (mixed_corpus, few) = (mixed?, (size.events / 50).max(200));
    let mixed = Events::generate(&mixed_corpus, size.events);
    let (stable, one) = (Events::generate(&stable?, size.events), Events::generate(&one?, size.events));
    let first = Events::generate(&mixed_corpus, few);

    let mut all = Vec::new();
    all.extend(contestants::weir(&world, &mixed, ""));
    for (name, level) in weir_filter::levels().into_iter().skip(1) {
        all.extend(contestants::weir_at(level, &world, &mixed, &format!(", {name}")));
    }
    all.push(contestants::simd_json(&mixed));
    all.push(contestants::ignored_any(&mixed));
    all.extend(contestants::weir(&world, &stable, ", stable"));
    all.extend(contestants::weir(&world, &one, ", one shape"));
    all.push(contestants::value(&mixed));
    all.push(contestants::memcpy(&mixed));
    all.push(contestants::reference(&world, &mixed_corpus, &first));
    let results = race::run(all, size.rounds);

    writeln!(
        out,
        "{} events of {} bytes, {} people, {} rounds in turn; the fastest counts, spread is the middle round's excess\n",
        mixed.len(),
        mixed.bytes().len() / mixed.len().max(1),
        size.people,
        size.rounds
    )?;
    writeln!(out, "{}", race::table(&results, WHOLE))?;
    writeln!(out, "{}", goals::table(FILTER_GOALS, &results))?;
    Ok(())
}

/// The name of what is measured: the filter, and on to Arrow where the lake is.
pub const WHOLE: &str = if cfg!(feature = "lake") { TO_ARROW } else { FILTER };

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Events of a corpus.
    pub events: u64,
    /// Persons whom they are about.
    pub people: u32,
    /// Rounds of each contestant.
    pub rounds: usize,
}

impl Size {
    /// Enough to see that everything runs.
    pub const SMALL: Self = Self { events: 2_000, people: 2_000, rounds: 2 };

    /// Enough for figures that hold from run to run.
    pub const USUAL: Self = Self { events: 200_000, people: 1_000_000, rounds: 7 };

    /// Changes the size by options such as `--events 1000`.
    ///
    /// # Errors
    /// When an option is not known or its number none.
    pub fn parse(self, arguments: impl Iterator<Item = String>) -> Result<Self> {
        self.parse_with("", arguments).map(|(size, _)| size)
    }

    /// Does the same, and returns the number of one more option.
    ///
    /// # Errors
    /// When an option is not known or its number none.
    pub fn parse_with(self, more: &str, mut arguments: impl Iterator<Item = String>) -> Result<(Self, Option<u32>)> {
        let (mut size, mut number_of_more) = (self, None);
        while let Some(argument) = arguments.next() {
            let mut number = || -> Result<u32> {
                let text = arguments.next().with_context(|| format!("{argument} wants a number"))?;
                text.parse().with_context(|| format!("{argument} wants a number, not {text}"))
            };
            match argument.as_str() {
                "--events" => size.events = number()?.max(1).into(),
                "--people" => size.people = number()?,
                "--rounds" => size.rounds = usize::try_from(number()?.max(1))?,
                "--small" => size = Self::SMALL,
                known if known == more => number_of_more = Some(number()?),
                other => bail!("no such option: {other}"),
            }
        }
        Ok((size, number_of_more))
    }
}
