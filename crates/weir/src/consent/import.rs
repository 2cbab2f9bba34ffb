//! `weir consent import`: many records of the inbox, all of them checked before the first is sent.
//!
//! They are statements, as services write them: what each says counts by its own instant. The file is read twice, so that it
//! need not fit into memory; standard input must.

use std::fs::File;
use std::io::{BufRead, BufReader, Cursor, Read as _, Seek, SeekFrom};
use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use weir_consent::{InboxRecord, LineFault};
use weir_daemon::SystemClock;
use weir_daemon::config::ConsentSource;

use crate::cli::Global;
use crate::exit::{Exit, Failure, OrExit as _};
use crate::{output, setup, validate};

use super::ImportArgs;
use super::place::{Inbox, Place};

/// Sends every record of a file.
///
/// # Errors
/// With each faulty line, before anything is sent; or when the brokers do not take the records.
pub(super) fn import(global: &Global, args: &ImportArgs) -> Result<Exit, Failure> {
    let config = setup::config(global)?;
    let named = || format!("cannot read {}", args.file.display());
    let count = if args.file == Path::new("-") {
        let mut text = Vec::new();
        std::io::stdin().lock().read_to_end(&mut text).with_context(named).or_exit(Exit::NoInput)?;
        Input { lines: Cursor::new(text), args }.send(&config)?
    } else {
        let file = File::open(&args.file).with_context(named).or_exit(Exit::NoInput)?;
        Input { lines: BufReader::new(file), args }.send(&config)?
    };
    output::print(format_args!("{count} records are in the inbox\n"))?;
    Ok(Exit::Done)
}

/// What is to be sent.
struct Input<'a, L> {
    lines: L,
    args: &'a ImportArgs,
}

impl<L: BufRead + Seek> Input<'_, L> {
    fn send(mut self, config: &weir_daemon::Config) -> Result<u64, Failure> {
        let now_ms = setup::now_ms();
        let (mut faults, mut count, mut sound) = (Vec::new(), 0, 0);
        self.each(now_ms, |line, record| {
            match record {
                Ok(_) => sound += 1,
                Err(fault) => {
                    count += 1;
                    if faults.len() < LISTED_MAX {
                        faults.push(LineFault { line, fault });
                    }
                }
            }
            Ok(())
        })?;
        if count > 0 {
            let listed = validate::line_faults(&self.args.file, &faults, count);
            return Err(Failure::new(Exit::Data, anyhow!("nothing was sent\n{listed}")));
        }
        match &config.consent {
            ConsentSource::Path(_) => self.append(config, now_ms)?,
            ConsentSource::Topic(topic) => self.produce(&Inbox::of(config, topic)?, now_ms)?,
        }
        Ok(sound)
    }

    /// Sends a tenth of a second's records at a time.
    fn produce(&mut self, inbox: &Inbox, now_ms: i64) -> Result<(), Failure> {
        let most = usize::try_from(self.args.rate.div_ceil(10)).unwrap_or(usize::MAX);
        let clock = SystemClock::start();
        let sender = inbox.sender()?;
        let mut batch = Vec::with_capacity(most);
        let mut due_ms = 0;
        self.each(now_ms, |_, record| {
            batch.push(record.map_err(|_fault| changed())?);
            if batch.len() == most {
                let wait_ms = u64::try_from(due_ms - clock.elapsed_ms()).unwrap_or(0);
                thread::sleep(Duration::from_millis(wait_ms));
                due_ms = clock.elapsed_ms() + 100;
                sender.send(&batch)?;
                batch.clear();
            }
            Ok(())
        })?;
        sender.send(&batch)
    }

    /// Appends to the consent file, of which nobody needs a bound rate.
    fn append(&mut self, config: &weir_daemon::Config, now_ms: i64) -> Result<(), Failure> {
        let keys = setup::key_ring(config)?.snapshot();
        let mut records = Vec::new();
        self.each(now_ms, |_, record| {
            records.push(record.map_err(|_fault| changed())?);
            Ok(())
        })?;
        Place::open(config, &keys)?.say(&records, &keys, Duration::ZERO)
    }

    /// Hands out each line that is not blank, from the first, with its number.
    fn each(
        &mut self,
        now_ms: i64,
        mut take: impl FnMut(u64, Result<InboxRecord, weir_consent::InboxFault>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        self.lines.seek(SeekFrom::Start(0)).or_exit(Exit::Io)?;
        let mut line = Vec::new();
        for number in 1.. {
            line.clear();
            if self.lines.read_until(b'\n', &mut line).or_exit(Exit::Io)? == 0 {
                break;
            }
            let text = line.trim_ascii();
            if !text.is_empty() {
                take(number, InboxRecord::parse(text, now_ms))?;
            }
        }
        Ok(())
    }
}

fn changed() -> Failure {
    Failure::new(Exit::Data, anyhow!("the file changed while it was read; what was sent stays in the inbox"))
}

/// Faults that are listed; the rest is counted.
const LISTED_MAX: usize = 100;
