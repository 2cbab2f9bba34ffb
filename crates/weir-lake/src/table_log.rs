//! One table as its log tells it, kept up to date in memory: transaction ids, recent cells, the newest version.
//!
//! Whoever reads a table through this file has checked it: it is a Delta table of protocol 1/2, made by this lake's weir with
//! this lake's keys, and every commit read since carries a cell that opens.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use uuid::Uuid;

use crate::cell::{Body, Cell};
use crate::delta_type::ColumnType;
use crate::encryption::NoFileKey;
use crate::kernel::{Change, Definition, Kernel, KernelRefusal, Put, TableVersion};
use crate::layout::TableName;
use crate::log::{self, Commit, Listing, LogError, Protocol};
use crate::partition::PartitionId;
use crate::seal::SealError;
use crate::secrets::{CellBroken, Secrets};
use crate::store::{Holds, StoreError, TableFolder};

/// A table must not be used, or could not be.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// A column has another type than its contract says.
    #[error("column {column} is stored as another type than its contract says")]
    ColumnType {
        /// The column.
        column: String,
    },
    /// A data file can't be decrypted.
    #[error(transparent)]
    FileKey(NoFileKey),
    /// Another program committed to the table.
    #[error("version {version} was not written by this lake's weir; only weir may write here")]
    Foreign {
        /// The first version that is not weir's.
        version: u64,
    },
    /// The Delta kernel said no.
    #[error("the table can't be used as a Delta table")]
    Kernel(#[from] KernelRefusal),
    /// The log could not be read.
    #[error("read the log")]
    Log(#[from] LogError),
    /// The table needs a newer protocol than weir writes.
    #[error("the table needs Delta protocol {reader}/{writer}; weir writes 1/2 only")]
    Newer {
        /// Least version of a reader.
        reader: i32,
        /// Least version of a writer.
        writer: i32,
    },
    /// The folder has files but no Delta log.
    #[error("the folder holds files and is not a Delta table")]
    NotDelta,
    /// The table was made with other keys.
    #[error("the table was made with another key ring")]
    OtherKeys,
    /// The table was made by another program.
    #[error("the table is a Delta table of another program")]
    OtherProgram,
    /// A file could not be written.
    #[error("write a file")]
    Seal(#[from] SealError),
    /// A cell could not be sealed.
    #[error("seal a cell")]
    Sealing(#[source] CellBroken),
    /// The folder could not be used.
    #[error("use the folder")]
    Store(#[from] StoreError),
}

/// How an attempt to commit ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attempt {
    Done,
    /// Someone else's commit came first; what it says has been read.
    Lost,
}

/// A table's log, as far as it has been read.
pub(crate) struct TableLog {
    pub(crate) name: TableName,
    pub(crate) folder: TableFolder,
    secrets: Arc<Secrets>,
    read_to: Option<u64>,
    txns: HashMap<String, i64>,
    cells: VecDeque<(u64, Cell)>,
    head: Option<TableVersion>,
}

impl TableLog {
    pub(crate) fn new(name: TableName, folder: TableFolder, secrets: Arc<Secrets>) -> Self {
        let (txns, cells) = (HashMap::new(), VecDeque::new());
        Self { name, folder, secrets, read_to: None, txns, cells, head: None }
    }

    /// Reads what is new; tells whether the table exists.
    pub(crate) fn refresh(&mut self) -> Result<bool, TableError> {
        if self.read_to.is_none() && !self.load()? {
            return Ok(false);
        }
        while let Some(next) = self.read_to.map(|version| version + 1) {
            let Some(commit) = log::read_commit(&self.folder, next)? else { break };
            self.take(commit)?;
        }
        Ok(true)
    }

    /// Makes the table unless it exists, and reads it.
    pub(crate) fn create(
        &mut self,
        kernel: &Kernel,
        columns: &[ColumnType],
        by_date: bool,
        now_ms: i64,
    ) -> Result<(), TableError> {
        self.folder.make_log()?;
        let cell = Cell { at_ms: Some(now_ms), ..Cell::new(Uuid::new_v4(), Body::Created) };
        let cell = self.seal(&cell)?;
        let properties = vec![(FORMAT_KEY, FORMAT.to_owned()), (MARK_KEY, self.secrets.mark(&self.name))];
        let id = Uuid::new_v4().to_string();
        kernel.create(self.folder.url(), &Definition { id, columns, by_date, properties, cell: &cell, now_ms })?;
        self.refresh()?;
        Ok(())
    }

    /// Puts a commit right after the version that was read last.
    ///
    /// An answer that leaves open whether the commit is there is resolved by reading back: the cell's id is random, so
    /// whoever's commit carries it is ours.
    pub(crate) fn put(&mut self, kernel: &Kernel, change: Change, cell: &Cell) -> Result<Attempt, TableError> {
        let Some(base) = self.head(kernel)? else { return Ok(Attempt::Lost) };
        let at_ms = Some(jiff::Timestamp::now().as_millisecond());
        let text = self.seal(&Cell { at_ms, ..cell.clone() })?;
        let answer = kernel.put(&base, change, &text);
        let before = self.read_to;
        self.refresh()?;
        let is_there = self.cells.iter().any(|(version, known)| Some(*version) > before && known.id == cell.id);
        match answer {
            Ok(Put::Done(version)) => {
                self.head = Some(version);
                self.checkpoint(kernel);
                Ok(Attempt::Done)
            }
            Ok(Put::Conflict) | Err(_) if is_there => Ok(Attempt::Done),
            Ok(Put::Conflict) => {
                if self.read_to == before {
                    // The log was cleaned past what we know: read it anew.
                    self.forget();
                }
                Ok(Attempt::Lost)
            }
            Err(refusal) => Err(refusal.into()),
        }
    }

    /// Returns the newest version if it is the one that was read last; else reads on.
    pub(crate) fn head(&mut self, kernel: &Kernel) -> Result<Option<TableVersion>, TableError> {
        let head = kernel.read(self.folder.url(), self.head.as_ref())?;
        self.head = Some(head.clone());
        if Some(head.number()) == self.read_to {
            return Ok(Some(head));
        }
        let before = self.read_to;
        self.refresh()?;
        if self.read_to == before {
            // The log was cleaned past what we know: read it anew.
            self.forget();
        }
        Ok(None)
    }

    /// Returns the offset that the table holds next of a partition.
    pub(crate) fn watermark(&self, partition: &PartitionId) -> Option<i64> {
        self.number(&self.secrets.offset_id(&self.name, partition))
    }

    /// Returns the `txn` that moves a partition to an offset.
    pub(crate) fn offset_txn(&self, partition: &PartitionId, offset: i64) -> (String, i64) {
        self.txn(self.secrets.offset_id(&self.name, partition), offset)
    }

    /// Returns a veiled number under an application id.
    pub(crate) fn number(&self, id: &str) -> Option<i64> {
        self.secrets.permutation(id).unveil(*self.txns.get(id)?)
    }

    pub(crate) fn txn(&self, id: String, number: i64) -> (String, i64) {
        let veiled = self.secrets.permutation(&id).veil(number).expect("offsets and generations are never below 0");
        (id, veiled)
    }

    /// Returns the plain number under an application id.
    pub(crate) fn plain_txn(&self, id: &str) -> Option<i64> {
        self.txns.get(id).copied()
    }

    /// Returns the cells that are in memory, oldest first.
    pub(crate) fn cells(&self) -> impl DoubleEndedIterator<Item = &Cell> {
        self.cells.iter().map(|(_, cell)| cell)
    }

    /// Hands out the cells that were read since the last call.
    pub(crate) fn take_cells(&mut self) -> Vec<Cell> {
        self.cells.drain(..).map(|(_, cell)| cell).collect()
    }

    /// Returns every commit that the log still holds, with its cell, oldest first; what is damaged is told, not hidden.
    pub(crate) fn history(&self) -> Result<Vec<(Commit, Option<Cell>)>, TableError> {
        let mut history = Vec::new();
        for version in Listing::read(&self.folder)?.commits {
            if let Some(mut commit) = log::read_commit(&self.folder, version)? {
                let cell = self.open(&commit);
                commit.timestamp_ms = cell.as_ref().and_then(|cell| cell.at_ms).or(commit.timestamp_ms);
                history.push((commit, cell));
            }
        }
        Ok(history)
    }

    /// Returns the cell of a version; `None` if the log no longer holds it.
    pub(crate) fn cell_of(&self, version: u64) -> Result<Option<Cell>, TableError> {
        let Some(commit) = log::read_commit(&self.folder, version)? else { return Ok(None) };
        self.open(&commit).map(Some).ok_or(TableError::Foreign { version })
    }

    /// Writes a checkpoint of the newest version.
    pub(crate) fn checkpoint_now(&mut self, kernel: &Kernel) -> Result<(), TableError> {
        if let Some(head) = self.head(kernel)? {
            self.head = Some(kernel.checkpoint(&head)?);
        }
        Ok(())
    }

    /// Keeps all cells in memory from the next reading on: for the coverage, whose every entry counts.
    pub(crate) fn load_whole(&mut self) -> Result<bool, TableError> {
        if self.read_to.is_none() {
            let whole = self.load_from(|_| 0)?;
            return Ok(whole && self.refresh()?);
        }
        self.refresh()
    }

    pub(crate) fn version(&self) -> Option<u64> {
        self.read_to
    }

    fn load(&mut self) -> Result<bool, TableError> {
        self.load_from(|checkpoint| checkpoint.saturating_sub(CELLS_KEPT))
    }

    /// Reads a table for the first time; cells from the version on that is given for the newest checkpoint's.
    fn load_from(&mut self, first: impl Fn(u64) -> u64) -> Result<bool, TableError> {
        match self.folder.holds()? {
            Holds::Nothing => return Ok(false),
            Holds::OtherFiles => return Err(TableError::NotDelta),
            Holds::DeltaLog => {}
        }
        let listing = Listing::read(&self.folder)?;
        let Some((version, names)) = listing.checkpoints.last() else {
            let commit = log::read_commit(&self.folder, 0)?.ok_or(TableError::OtherProgram)?;
            self.check_properties(commit.properties.as_ref())?;
            self.take(commit)?;
            return Ok(true);
        };
        let checkpoint = log::read_checkpoint(&self.folder, *version, names)?;
        self.check_properties(checkpoint.properties.as_ref())?;
        check_protocol(checkpoint.protocol)?;
        for old in listing.commits.iter().filter(|old| (first(*version)..=*version).contains(*old)) {
            if let Some(commit) = log::read_commit(&self.folder, *old)? {
                self.take(commit)?;
            }
        }
        self.txns = checkpoint.txns;
        self.read_to = Some(checkpoint.version);
        Ok(true)
    }

    fn check_properties(&self, properties: Option<&HashMap<String, String>>) -> Result<(), TableError> {
        let value = |key| properties.and_then(|properties| properties.get(key));
        if value(FORMAT_KEY).map(String::as_str) != Some(FORMAT) {
            return Err(TableError::OtherProgram);
        }
        if value(MARK_KEY) != Some(&self.secrets.mark(&self.name)) {
            return Err(TableError::OtherKeys);
        }
        Ok(())
    }

    fn take(&mut self, commit: Commit) -> Result<(), TableError> {
        check_protocol(commit.protocol)?;
        let version = commit.version;
        let cell = self.open(&commit).ok_or(TableError::Foreign { version })?;
        self.txns.extend(commit.txns);
        self.read_to = Some(version);
        self.cells.push_back((version, cell));
        if self.name != TableName::Coverage && self.cells.len() > KEPT {
            self.cells.pop_front();
        }
        Ok(())
    }

    fn open(&self, commit: &Commit) -> Option<Cell> {
        let bytes = self.secrets.open(&self.name, commit.cell.as_deref()?).ok()?;
        let cell: Cell = serde_json::from_slice(&bytes).ok()?;
        // A cell copied from another commit of the same table names other files.
        let mut added: Vec<_> = commit.adds.iter().map(String::as_str).collect();
        let mut named: Vec<_> = cell.files.iter().map(|file| file.path.as_str()).collect();
        added.sort_unstable();
        named.sort_unstable();
        (added == named).then_some(cell)
    }

    fn seal(&self, cell: &Cell) -> Result<String, TableError> {
        let bytes = serde_json::to_vec(cell).ok().ok_or(TableError::Sealing(CellBroken))?;
        self.secrets.seal(&self.name, &bytes).map_err(TableError::Sealing)
    }

    fn checkpoint(&mut self, kernel: &Kernel) {
        let Some(head) = self.head.clone().filter(|head| head.number() % CHECKPOINT_COMMITS == 0) else { return };
        // Only reading gets slower without it, and the next one comes: not worth failing a commit that is done.
        match kernel.checkpoint(&head) {
            Ok(head) => self.head = Some(head),
            Err(refusal) => tracing::warn!(table = %self.name, error = %refusal, "checkpoint failed"),
        }
    }

    fn forget(&mut self) {
        *self = Self::new(self.name.clone(), self.folder.clone(), self.secrets.clone());
    }
}

fn check_protocol(protocol: Option<Protocol>) -> Result<(), TableError> {
    match protocol {
        Some(Protocol { min_reader_version: reader, min_writer_version: writer }) if (reader, writer) != (1, 2) => {
            Err(TableError::Newer { reader, writer })
        }
        Some(_) | None => Ok(()),
    }
}

const FORMAT_KEY: &str = "weir.format";
/// 2: digests of files are SHA-256.
const FORMAT: &str = "2";
const MARK_KEY: &str = "weir.lake";
/// A reader then replays fifty entries at most.
const CHECKPOINT_COMMITS: u64 = 50;
/// Cells in memory a table: an interrupted batch is nearly always among the last few.
const KEPT: usize = 64;
const CELLS_KEPT: u64 = 64;
