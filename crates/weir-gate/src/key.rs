//! Which files of the lake are objects, and what they are called.
//!
//! ```text
//! <purpose>/<event type>/_delta_log/00000000000000000007.json
//!                                   00000000000000000050.checkpoint.parquet
//!                                   _last_checkpoint
//!                        date=2026-11-28/5b0c….parquet
//! ```
//! A key is read into these words and numbers, and a path is made from them alone: nothing that came from outside is ever a path.
//! What is not one of these names is nobody's object: staged files, other tables, `..`, and whatever else there is.

use std::fmt;

use uuid::Uuid;
use weir_lake::TableName;
use weir_policy::PurposeId;
use weir_policy::values::time;

/// The name of an object, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) purpose: PurposeId,
    event_type: String,
    part: Part,
}

/// What lies in a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Checkpoint(u64),
    LastCheckpoint,
    Rows { day: Day, name: Uuid },
    Version(u64),
}

/// A day of rows: year, month, day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Day(i64, u8, u8);

impl Key {
    /// Reads a key; none if no object of any lake is called so.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let mut words = text.split('/');
        let (purpose, event_type, folder, file) = (words.next()?, words.next()?, words.next()?, words.next()?);
        let (purpose, event_type) = table(purpose, event_type)?;
        let part = match folder {
            LOG => Part::of_log(file)?,
            _ => Part::Rows { day: Day::read(folder)?, name: file.strip_suffix(ROWS).and_then(uuid)? },
        };
        let key = Self { purpose, event_type, part };
        // Whatever the readers above let through: what is written again is what was meant.
        (words.next().is_none() && key.to_string() == text).then_some(key)
    }

    pub(crate) fn event_type(&self) -> &str {
        &self.event_type
    }

    /// The folder that the object lies in, by its names below the region's, and its own name.
    pub(crate) fn place(&self) -> ([String; 3], String) {
        let (folder, file) = self.part.place();
        ([self.purpose.name().to_owned(), self.event_type.clone(), folder], file)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (folder, file) = self.part.place();
        write!(f, "{}/{}/{folder}/{file}", self.purpose.name(), self.event_type)
    }
}

impl Part {
    fn of_log(file: &str) -> Option<Self> {
        if file == LAST {
            return Some(Self::LastCheckpoint);
        }
        let (number, ending) = file.split_at_checked(VERSION_DIGITS)?;
        let number = number.bytes().all(|byte| byte.is_ascii_digit()).then(|| number.parse().ok())??;
        match ending {
            VERSION => Some(Self::Version(number)),
            CHECKPOINT => Some(Self::Checkpoint(number)),
            _ => None,
        }
    }

    fn place(self) -> (String, String) {
        match self {
            Self::Checkpoint(number) => (LOG.to_owned(), format!("{number:020}{CHECKPOINT}")),
            Self::LastCheckpoint => (LOG.to_owned(), LAST.to_owned()),
            Self::Rows { day, name } => (day.folder(), format!("{name}{ROWS}")),
            Self::Version(number) => (LOG.to_owned(), format!("{number:020}{VERSION}")),
        }
    }
}

impl Day {
    fn read(folder: &str) -> Option<Self> {
        let mut numbers = folder.strip_prefix(DAY)?.split('-');
        let (year, month, day) = (numbers.next()?, numbers.next()?, numbers.next()?);
        let day = Self(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?);
        time::days(day.0, day.1.into(), day.2.into())?;
        (day.folder() == folder).then_some(day)
    }

    fn folder(self) -> String {
        format!("{DAY}{:04}-{:02}-{:02}", self.0, self.1, self.2)
    }
}

/// Returns the names of the table of events that two words name.
pub(crate) fn table(purpose: &str, event_type: &str) -> Option<(PurposeId, String)> {
    let name: TableName = format!("{purpose}/{event_type}").parse().ok()?;
    Some((name.purpose()?, name.event_type()?.to_owned()))
}

/// Tells whether a folder of a table may hold objects.
pub(crate) fn is_folder(name: &str) -> bool {
    name == LOG || Day::read(name).is_some()
}

fn uuid(text: &str) -> Option<Uuid> {
    Uuid::try_parse(text).ok()
}

const LOG: &str = "_delta_log";
const LAST: &str = "_last_checkpoint";
const VERSION: &str = ".json";
const CHECKPOINT: &str = ".checkpoint.parquet";
const VERSION_DIGITS: usize = 20;
const DAY: &str = "date=";
const ROWS: &str = ".parquet";

#[cfg(test)]
mod tests {
    use super::*;

    const ROWS_KEY: &str = "reliability/com.example.a/date=2026-11-28/5b0cb3f8-18f2-49a3-81c2-79ed2896a254.parquet";

    #[test]
    fn names_of_objects_are_read_as_they_are_written() {
        let log = "troubleshooting/com.example.a/_delta_log/";
        let others = ["00000000000000000007.json", "00000000000000000050.checkpoint.parquet", "_last_checkpoint"];
        for text in others.map(|name| format!("{log}{name}")).into_iter().chain([ROWS_KEY.to_owned()]) {
            let key = Key::read(&text).unwrap();
            assert_eq!(key.to_string(), text);
            let (folder, file) = key.place();
            assert_eq!(format!("{}/{file}", folder.join("/")), text);
        }
    }

    /// What is beside the tables, staged, or spelled in another way is the name of nothing.
    #[test]
    fn whatever_else_there_is_is_no_object() {
        let name = "5b0cb3f8-18f2-49a3-81c2-79ed2896a254";
        let table = "reliability/com.example.a";
        let others = [
            String::new(),
            "/".to_owned(),
            table.to_owned(),
            format!("/{ROWS_KEY}"),
            format!("{ROWS_KEY}/"),
            format!("{ROWS_KEY}\n"),
            format!("{ROWS_KEY}\0"),
            ROWS_KEY.replace("/date", "//date"),
            ROWS_KEY.replace("5b0c", "5B0C"),
            ROWS_KEY.replace("reliability", "Reliability"),
            ROWS_KEY.replace("reliability", "marketing"),
            ROWS_KEY.replace("reliability", "reliabi\u{2113}ity"),
            ROWS_KEY.replace("com.example.a", ".."),
            ROWS_KEY.replace("com.example.a", "_index"),
            ROWS_KEY.replace("2026-11-28", "2026-11-31"),
            ROWS_KEY.replace("2026-11-28", "2026-11-8"),
            ROWS_KEY.replace("2026-11-28", "+026-11-28"),
            ROWS_KEY.replace("date=2026-11-28", "date%3D2026-11-28"),
            ROWS_KEY.replace("date=2026-11-28", ".."),
            format!("{table}/date=2026-11-28/.{name}.parquet"),
            format!("{table}/date=2026-11-28/{{{name}}}.parquet"),
            format!("{table}/date=2026-11-28/{}.parquet", name.replace('-', "")),
            format!("{table}/date=2026-11-28/{name}.sealed"),
            format!("{table}/{name}.parquet"),
            format!("{table}/_delta_log/7.json"),
            format!("{table}/_delta_log/0000000000000000007é.json"),
            format!("{table}/_delta_log/99999999999999999999.json"),
            format!("{table}/_delta_log/.00000000000000000007.json"),
            format!("{table}/_delta_log/00000000000000000007.json.tmp"),
            format!("{table}/_delta_log/../../../x"),
            "_coverage/_delta_log/00000000000000000007.json".to_owned(),
            "_ledger/2026-11-28/00000000000000000001.json".to_owned(),
            format!("_quarantine/date=2026-11-28/{name}.parquet"),
            format!("_restricted/{ROWS_KEY}"),
        ];
        for text in others {
            assert_eq!(Key::read(&text), None, "{text:?}");
        }
    }
}
