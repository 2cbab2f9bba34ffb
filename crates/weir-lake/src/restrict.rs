//! People's rows are set aside for as long as that is asked for, and come back.
//!
//! [`Lake::restrict`] is called when the consent store of every writer says that nothing more is collected for these purposes, or is too
//! old to be asked; so the commit that it puts to every table makes whatever was judged before give way, as an
//! [erasure](Lake::erase) does. Rows that are set aside are erased, shown to the person and over in their time as those in the tables
//! are. See docs/rights.md.

use std::collections::BTreeMap;

use uuid::Uuid;
use weir_keys::KeySet;
use weir_policy::PurposeSet;

use crate::aside::{discard_asides, settle};
use crate::cell::{AsideChange, Body, Cell};
use crate::erase::{Deed, Progress, Request, modified_ms};
use crate::kernel::Change;
use crate::lake::{Lake, LakeError, at};
use crate::layout::{FilePlace, TableName};
use crate::person::{Person, Pseudonyms, Wanted};
use crate::rewrite::write_back;
use crate::seal::WrittenFile;
use crate::store::TableFolder;
use crate::table_log::{Attempt, TableError};

/// What setting rows aside, or bringing them back, did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Restriction {
    /// For each person, in the order they were given, their rows that were moved, by table.
    pub people: Vec<BTreeMap<TableName, u64>>,
    /// Tables that were looked into.
    pub tables: u64,
    /// Tables that the configuration skips: nobody looked into them.
    pub skipped: Vec<TableName>,
}

impl Lake {
    /// Sets aside every row of some purposes that holds one of these people, in any identifier column.
    ///
    /// Where an interrupted batch holds rows of theirs, `wait` is asked: it waits a while, and tells whether to look again.
    ///
    /// # Errors
    ///
    /// A table, the coverage or the ledger can't be read or written, or it is open whether rows count. What was set aside before
    /// stays so; ask again.
    pub fn restrict(
        &self,
        keys: &KeySet,
        people: &[Person],
        purposes: PurposeSet,
        request: &Request<'_>,
        wait: &dyn Fn() -> bool,
    ) -> Result<Restriction, LakeError> {
        let now_ms = (request.now_ms)();
        let decided = self.decided()?;
        self.each_table(keys, people, purposes, request, |name, wanted, progress, restriction| {
            let table = self.table(name)?;
            let mut log = table.lock();
            if log.refresh().map_err(|source| at(name, source))? {
                // Rows that can never count must not come back.
                self.remove_unclaimed(&mut log, &decided, now_ms)?;
            }
            drop(log);
            loop {
                match self.take_out(name, wanted, (Deed::Restrict, request), progress, &mut restriction.people) {
                    // A daemon that is committing right now is done in a moment.
                    Err(LakeError::OpenBatch { .. }) if wait() => {}
                    taken => return taken,
                }
            }
        })
    }

    /// Brings back the rows of some purposes that are set aside for these people and for nobody else.
    ///
    /// # Errors
    ///
    /// As [`Self::restrict`].
    pub fn lift(
        &self,
        keys: &KeySet,
        people: &[Person],
        purposes: PurposeSet,
        request: &Request<'_>,
    ) -> Result<Restriction, LakeError> {
        self.each_table(keys, people, purposes, request, |name, wanted, _, restriction| {
            self.bring_back(name, wanted, request, &mut restriction.people)
        })
    }

    fn each_table(
        &self,
        keys: &KeySet,
        people: &[Person],
        purposes: PurposeSet,
        request: &Request<'_>,
        one: impl Fn(&TableName, &Wanted, &(dyn Fn((usize, usize)) + Sync), &mut Restriction) -> Result<bool, LakeError>,
    ) -> Result<Restriction, LakeError> {
        // What the ledger cannot be told must not be done.
        self.tell_ledger((request.now_ms)())?;
        let wanted = Wanted::of(people, keys, &self.secrets)?;
        let (names, skipped) = self.tables_of(purposes)?;
        let mut restriction = Restriction { skipped, people: vec![BTreeMap::new(); people.len()], tables: 0 };
        for (done, name) in names.iter().enumerate() {
            let progress = |files| (request.progress)(Progress { tables: (done, names.len()), files });
            restriction.tables += u64::from(one(name, &wanted, &progress, &mut restriction)?);
            progress((1, 1));
        }
        let decided = self.decided()?;
        for name in &names {
            self.record_removals(&self.table(name)?.lock(), &decided, (request.now_ms)())?;
        }
        self.tell_ledger((request.now_ms)())?;
        Ok(restriction)
    }

    /// Brings people's rows back to one table; tells whether there is such a table.
    fn bring_back(
        &self,
        name: &TableName,
        wanted: &Wanted,
        request: &Request<'_>,
        people: &mut [BTreeMap<TableName, u64>],
    ) -> Result<bool, LakeError> {
        let at_table = |source| at(name, source);
        let table = self.table(name)?;
        let Some(pseudonyms) = name.purpose().and_then(|purpose| wanted.in_purpose(purpose)) else { return Ok(true) };
        let id = Uuid::new_v4();
        loop {
            let mut log = table.lock();
            if !log.refresh().map_err(at_table)? {
                return Ok(false);
            }
            Self::settle(&log).map_err(at_table)?;
            let back = self.write_all_back((name, &log.folder), pseudonyms, wanted.people).map_err(at_table)?;
            if back.change.is_empty() {
                return Ok(true);
            }
            log.folder.publish(back.files.iter().map(|file| &file.place)).map_err(|error| at_table(error.into()))?;
            let mut cell = Cell::new(id, Body::Lifted);
            cell.files = back.files.iter().map(WrittenFile::mark).collect();
            cell.aside = back.change;
            let modified_ms = modified_ms(name, request);
            let adds = back.files.iter().map(|file| file.added(modified_ms)).collect();
            match log.put(&self.kernel, Change { adds, ..Change::default() }, &cell).map_err(at_table)? {
                Attempt::Done => {
                    settle(&log.folder, &cell.aside).map_err(at_table)?;
                    for (person, rows) in people.iter_mut().zip(back.people).filter(|(_, rows)| *rows > 0) {
                        *person.entry(name.clone()).or_default() += rows;
                    }
                    return Ok(true);
                }
                Attempt::Lost => {
                    discard_asides(&log.folder, &cell.aside.added).map_err(at_table)?;
                    let discarded = back.files.iter().try_for_each(|file| log.folder.discard(&file.place));
                    discarded.map_err(|error| at_table(error.into()))?;
                }
            }
        }
    }

    fn write_all_back(
        &self,
        table: (&TableName, &TableFolder),
        wanted: &Pseudonyms,
        people: usize,
    ) -> Result<Back, TableError> {
        let (mut files, mut counts) = (Vec::new(), vec![0; people]);
        let change = self.change_asides(table, wanted, |path, aside| {
            let Some((back, stays)) = aside.lifted_for(wanted, &mut counts)? else { return Ok(None) };
            let rows = back.plain()?;
            if rows.num_rows() > 0 {
                files.push(write_back(table.1, FilePlace::day_of(path), &rows, back.notes())?);
            }
            Ok(Some(stays))
        })?;
        self.write_indexes(table, &files)?;
        Ok(Back { files, change, people: counts })
    }
}

/// Rows that come back to a table.
struct Back {
    files: Vec<WrittenFile>,
    change: AsideChange,
    /// How many rows hold each person.
    people: Vec<u64>,
}
