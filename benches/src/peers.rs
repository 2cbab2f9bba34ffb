//! Other programs that could do what weir does: each gets the same events and the same plan, and is compared with weir.
//!
//! `cargo xtask bench peers` builds them. What they put out is counted and compared before their time is worth anything:
//! rows of each purpose, and values that are not null. They may do less than weir does, which [`plan`] lists.

mod configs;
pub mod plan;

use std::cell::RefCell;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;

use anyhow::{Context as _, Result, ensure};
use weir_consent::{Agreement, ConsentStore, Question, Standing, StateRecord, Status};
use weir_filter::Filtered;
use weir_keys::canonical;
use weir_policy::PurposeId;
use weir_testkit::corpus::Corpus;

use crate::contestants::{self, TO_ARROW, TO_PARQUET};
use crate::outcome::{Counts, counts};
use crate::race::{self, Contestant};
use crate::ratios::Size;
use crate::world::{Events, Mode, NOW_MS, REGION, World};
use plan::{Kind, Plan, PlannedField};

/// Runs all programs that were built in `folder` and prints a table, in Markdown.
///
/// # Errors
/// When a program is missing or fails.
pub fn print(size: &Size, folder: &Path, out: &mut impl Write) -> Result<()> {
    let mut world = World::new(8, size.people)?;
    let corpus = world.corpus(Mode::Mixed, size.events)?;
    let events = Events::generate(&corpus, size.events);
    let data = folder.join("data");
    fs::create_dir_all(&data)?;
    settle(&mut world, &corpus, &data)?;
    let expected = export(&world, &events, &data)?;

    let peers = peers(folder, &data, &expected);
    let mut all = contestants::weir(&world, &events, "");
    all.push(contestants::to_parquet(&world, &events, &data.join("lake")));
    all.extend(peers.iter().map(|peer| peer.contestant(&events)));
    let results = race::run(all, size.rounds);
    writeln!(
        out,
        "{} events of {} bytes, {} rounds in turn\n",
        events.len(),
        events.bytes().len() / events.len(),
        size.rounds
    )?;
    writeln!(out, "{}", race::table(&results, TO_ARROW))?;
    writeln!(out, "{}", table(&peers, &results))?;
    Ok(())
}

/// Writes who agrees to what at this moment, and makes it what weir goes by too: the others ask for a person, not for an instant.
fn settle(world: &mut World, corpus: &Corpus, data: &Path) -> Result<()> {
    let mut file = BufWriter::new(File::create(data.join("consent.csv"))?);
    let settled = ConsentStore::new();
    settled.mark_current(i64::MAX);
    let standing = Standing::new(Status::Given, 0, None).context("1970 can be known")?;
    for (tenant, purpose) in corpus.tenants().flat_map(|tenant| PurposeId::ALL.map(|purpose| (tenant, purpose))) {
        let agreement = Agreement { standing, regions: None };
        settled.apply(StateRecord::Agreement { tenant: tenant.into(), purpose, agreement });
    }
    let view = world.consent.view(NOW_MS, i64::MAX).context("the store is current for ever")?;
    for number in 0..world.people() {
        let (named, lawful) = (corpus.person(number), world.policy.purposes());
        let (Some(tenant), user) = (view.tenant(named.tenant), named.identifier("user")) else { continue };
        let person = world.keys.person_key(named.tenant, "user", &canonical(&user));
        let (event_ms, now_ms, region, others) = (NOW_MS, NOW_MS, REGION, &[]);
        let question = Question { tenant, person: Some(person), others, event_ms, now_ms, region, lawful };
        let judged = view.judge_all(question);
        let agreed = || PurposeId::ALL.into_iter().filter(|purpose| judged[purpose.index()].is_ok());
        settled.apply_all(agreed().map(|purpose| StateRecord::Choice { person, purpose, standing }));
        let mask: u32 = agreed().map(|purpose| 1 << purpose.index()).sum();
        writeln!(file, "{},{user},{mask}", named.tenant)?;
    }
    file.flush()?;
    drop(view);
    world.consent = settled;
    Ok(())
}

/// What must come out of a program.
struct Expected {
    /// Of all events.
    all: [Counts; 3],
    /// Of those that are sound in every value.
    sound: [Counts; 3],
    /// Events that are JSON.
    json: u64,
}

/// Writes the events and the configurations, and says what must come of them.
fn export(world: &World, events: &Events, data: &Path) -> Result<Expected> {
    let mut all = BufWriter::new(File::create(data.join("events.ndjson"))?);
    let mut sound = BufWriter::new(File::create(data.join("sound.ndjson"))?);
    File::create(data.join("nothing.ndjson"))?;
    let plan = Plan::new(&world.policy);
    let kept = plan.all_fields();
    let view = world.consent.view(NOW_MS, i64::MAX).context("the store is current for ever")?;
    let (mut filter, mut whole, mut of_sound, mut json) = (world.filter(), Filtered::default(), Filtered::default(), 0);
    for (event, record) in events.iter().zip(events.records()) {
        all.write_all(event)?;
        all.write_all(b"\n")?;
        json += u64::from(serde_json::from_slice::<serde::de::IgnoredAny>(event).is_ok());
        let mut alone = Filtered::default();
        let record = std::slice::from_ref(&record);
        filter.apply(record, &view, NOW_MS, &mut alone);
        filter.apply(record, &view, NOW_MS, &mut whole);
        if alone.quarantine.is_empty() && is_sound(event, &kept) {
            sound.write_all(event)?;
            sound.write_all(b"\n")?;
            filter.apply(record, &view, NOW_MS, &mut of_sound);
        }
    }
    all.flush()?;
    sound.flush()?;

    configs::write(&plan, data)?;
    Ok(Expected { all: counts(&whole), sound: counts(&of_sound), json })
}

/// Whether every value that is kept is of the JSON type that a reader with a schema wants, or absent.
fn is_sound(event: &[u8], kept: &[PlannedField]) -> bool {
    // What Polars parses with stops at numbers that no double holds, also in fields that nobody keeps.
    if simd_json::to_tape(&mut event.to_vec()).is_err() {
        return false;
    }
    let Ok(event) = serde_json::from_slice::<serde_json::Value>(event) else { return false };
    kept.iter().all(|field| {
        let mut value = Some(&event);
        for segment in &field.path {
            let holder = value.filter(|value| !value.is_null());
            if holder.is_some_and(|holder| !holder.is_object()) {
                return false;
            }
            value = holder.and_then(|holder| holder.get(segment));
        }
        value.is_none_or(|value| match field.kind {
            Kind::Bool => value.is_boolean() || value.is_null(),
            Kind::Float => value.is_number() || value.is_null(),
            Kind::Whole => value.is_i64() || value.is_null(),
            Kind::Identifier | Kind::Ip | Kind::Text | Kind::Time => value.is_string() || value.is_null(),
        })
    })
}

/// Another program.
struct Peer {
    name: &'static str,
    /// What of weir its time is compared with.
    beside: &'static str,
    /// How many times as long as weir it must take, and should.
    goal: Option<(f64, f64)>,
    /// Makes a pass.
    pass: Box<dyn Fn() -> Result<Came>>,
    expected: Expectation,
    /// What the first pass gave.
    came: Rc<RefCell<Option<Came>>>,
}

/// What a peer's output is compared with.
enum Expectation {
    /// Rows and values of each purpose.
    Counts([Counts; 3]),
    /// Rows of the first purpose alone, for everybody.
    Rows(u64),
}

/// What came of a pass.
#[derive(Clone, Copy, Debug, Default)]
struct Came {
    nanos: u64,
    rows: [u64; 3],
    cells: [u64; 3],
}

fn peers(folder: &Path, data: &Path, expected: &Expected) -> Vec<Peer> {
    let events = data.join("events.ndjson");
    let speaking = |program: PathBuf, arguments: Vec<PathBuf>| -> Box<dyn Fn() -> Result<Came>> {
        Box::new(move || {
            let mut command = Command::new(&program);
            came(&said(command.args(&arguments).env("GOMAXPROCS", "1"))?)
        })
    };
    let python = folder.join("python/bin/python");
    let peer = |name, beside, goal, pass, expected| Peer { name, beside, goal, pass, expected, came: Rc::default() };
    let (own, sound) = (Expectation::Counts, Expectation::Counts(expected.sound));
    vec![
        peer(
            "VRL",
            TO_ARROW,
            Some((16.0, 25.0)),
            speaking(folder.join("vrl/run"), vec![data.into(), events.clone()]),
            own(expected.all),
        ),
        peer(
            "OTTL",
            TO_ARROW,
            Some((20.0, 30.0)),
            speaking(folder.join("ottl/run"), vec![data.into(), events]),
            Expectation::Rows(expected.json),
        ),
        peer(
            "Bento",
            TO_ARROW,
            Some((80.0, 130.0)),
            bento(folder.join("bento/run"), data.to_owned()),
            own(expected.all),
        ),
        peer(
            "DuckDB",
            TO_PARQUET,
            Some((4.0, 6.0)),
            speaking(python.clone(), vec![folder.join("duckdb.py"), data.into()]),
            own(expected.all),
        ),
        peer(
            "Polars",
            TO_PARQUET,
            Some((5.5, 9.0)),
            speaking(python, vec![folder.join("polars.py"), data.into()]),
            sound,
        ),
    ]
}

/// Bento says nothing of its time or rows: the first is the system's word, less that of a run on nothing, the others are
/// counted in what a run into a file leaves.
fn bento(program: PathBuf, data: PathBuf) -> Box<dyn Fn() -> Result<Came>> {
    Box::new(move || {
        let run = |config: &str| {
            let mut command = Command::new(&program);
            command.arg("-c").arg(data.join(config)).env("CONSENT", data.join("consent.csv")).env("GOMAXPROCS", "1");
            let before = children_nanos()?;
            said(&mut command)?;
            Ok::<_, anyhow::Error>(children_nanos()? - before)
        };
        let counted = data.join("bento.ndjson");
        let mut came = Came { nanos: run("filter.yaml")?.saturating_sub(run("nothing.yaml")?), ..Came::default() };
        if !counted.exists() {
            run("rows.yaml")?;
        }
        for line in BufReader::new(File::open(&counted)?).lines() {
            for row in serde_json::from_str::<Vec<serde_json::Map<_, _>>>(&line?)? {
                let place = plan::LETTERS.iter().position(|letter| row["purpose"] == letter.to_string().as_str());
                let place = place.context("a row has a purpose")?;
                came.rows[place] += 1;
                // Purpose and type are no values.
                let values = row.values().filter(|value| !value.is_null()).count() - 2;
                came.cells[place] += u64::try_from(values)?;
            }
        }
        Ok(came)
    })
}

impl Peer {
    fn contestant<'c>(&'c self, events: &Events) -> Contestant<'c> {
        let round = move || {
            let came = (self.pass)().unwrap_or_else(|error| panic!("{} failed: {error:#}", self.name));
            self.came.borrow_mut().get_or_insert(came);
            came.nanos
        };
        Contestant {
            name: self.name.to_owned(),
            events: events.len(),
            bytes: events.bytes().len(),
            round: Box::new(round),
        }
    }

    /// Says how its output differs from weir's, as parts of weir's; the first is the greatest difference.
    fn differences(&self) -> (f64, String) {
        let Some(came) = *self.came.borrow() else { return (f64::NAN, "nothing came".to_owned()) };
        let (mut worst, mut said) = (0.0_f64, String::new());
        let mut compare = |what: &str, theirs: u64, ours: u64| {
            let off = race::ratio(theirs, ours) - 1.0;
            worst = worst.max(off.abs());
            write!(said, "{what} {:+.2} % ", off * 100.0).expect("a string has room");
        };
        match &self.expected {
            Expectation::Rows(ours) => compare("rows", came.rows[0], *ours),
            Expectation::Counts(ours) => {
                for (place, letter) in plan::LETTERS.into_iter().enumerate() {
                    compare(&format!("{letter} rows"), came.rows[place], ours[place].rows);
                    compare("values", came.cells[place], ours[place].cells);
                }
            }
        }
        (worst, said.trim_end().to_owned())
    }
}

fn table(peers: &[Peer], results: &[race::Result]) -> String {
    let mut out = "| peer | beside | weir is faster | must | stretch | | its output beside weir's |\n|---|---|--:|--:|--:|---|---|\n".to_owned();
    for peer in peers {
        let (Some(theirs), Some(ours)) = (race::find(results, peer.name), race::find(results, peer.beside)) else {
            continue;
        };
        let faster = theirs.nanos / ours.nanos;
        let (worst, differences) = peer.differences();
        let (must, stretch) = peer.goal.unwrap_or((f64::NAN, f64::NAN));
        let verdict = match faster {
            _ if worst.is_nan() || worst > DIFFERENCE_MAX => "output differs",
            high if high >= stretch => "stretch",
            high if high >= must => "must",
            _ => "**missed**",
        };
        writeln!(
            out,
            "| {} | {} | {faster:.1}× | {must}× | {stretch}× | {verdict} | {differences} |",
            peer.name, peer.beside
        )
        .expect("a string has room");
    }
    out
}

/// Reads `nanos N rows T R P cells T R P`.
fn came(said: &str) -> Result<Came> {
    let line = said.lines().find(|line| line.starts_with("nanos ")).context("it says no time")?;
    let numbers: Vec<u64> = line.split(' ').filter_map(|word| word.parse().ok()).collect();
    let [nanos, t, r, p, ct, cr, cp] = numbers[..] else { anyhow::bail!("it says {line}") };
    Ok(Came { nanos, rows: [t, r, p], cells: [ct, cr, cp] })
}

/// Runs a program and returns what it printed.
fn said(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("could not start {}", command.get_program().display()))?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Returns the processor time of children that have ended, which Linux counts in hundredths of a second.
fn children_nanos() -> Result<u64> {
    let text = fs::read_to_string("/proc/self/stat")?;
    let after_name = text.rsplit(')').next().unwrap_or_default();
    let ticks: u64 = after_name.split_whitespace().skip(13).take(2).filter_map(|word| word.parse::<u64>().ok()).sum();
    Ok(ticks * 10_000_000)
}

/// What a peer's output may differ by before its time is worth nothing: broken UTF-8 that is read as something, keys that
/// stand twice, one value of the wrong type that takes the whole event with it.
const DIFFERENCE_MAX: f64 = 0.02;
