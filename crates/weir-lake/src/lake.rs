//! A lake that is open for use: its folder, its keys, and what is known of its tables.

use std::collections::{BTreeSet, HashMap};
use std::io::ErrorKind;
use std::sync::Arc;

use object_store::ObjectStore;
use parking_lot::Mutex;
use uuid::Uuid;
use weir_bucket::Root;
use weir_keys::{HeadFile, KeyError, LakeKey, SigningKey, StoreKeys};
use weir_ledger::{Decision, Entry as Told, Ledger, LedgerError};
use weir_policy::Policy;

use crate::cell::Entry;
use crate::columns::Schemas;
use crate::coverage::Coverage;
use crate::encryption::DataFiles;
use crate::kernel::{Kernel, KernelRefusal};
use crate::layout::TableName;
use crate::log::LogError;
use crate::partition::PartitionId;
use crate::positions::Owned;
use crate::secrets::Secrets;
use crate::store::{self, LEDGER, RegionFolder, SealedStore, StoreError};
use crate::table_log::{Attempt, TableError, TableLog};

/// Where a lake is and who writes it.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "holds secrets")]
pub struct LakeConfig {
    /// The folder of all regions, or the bucket.
    pub root: Root,
    /// The region whose tables are used.
    pub region: String,
    /// The consumer group that the lake belongs to.
    pub group: String,
    /// Tables that are left alone: their rows are denied as `table_refused` instead of written.
    pub skip: BTreeSet<TableName>,
    /// How many tables are committed at the same time.
    pub commit_threads: usize,
    /// The store's own keys, if every object of the lake is sealed with them.
    pub store_keys: Option<Arc<StoreKeys>>,
    /// How data files are written: once encrypted, always.
    pub files: DataFiles,
}

impl LakeConfig {
    /// Returns the ledger that lies in the lake.
    pub fn ledger(&self, key: SigningKey, head_file: HeadFile) -> Ledger {
        Ledger::new(self.root.below(&self.region).below(LEDGER), key, head_file)
    }

    /// Returns what the coverage keeps of these settings.
    pub(crate) fn txns(&self, coverage: &Coverage) -> impl Iterator<Item = (String, i64)> {
        let encrypted = matches!(self.files, DataFiles::Encrypted(_)).then(|| coverage.encrypted_txn());
        encrypted.into_iter().chain([coverage.group_txn(&self.group)])
    }

    /// Returns the usual settings for a folder, region and group.
    pub fn new(root: impl Into<Root>, region: impl Into<String>, group: impl Into<String>) -> Self {
        let (root, region, group) = (root.into(), region.into(), group.into());
        let (skip, files) = (BTreeSet::new(), DataFiles::Clear);
        Self { root, region, group, skip, commit_threads: COMMIT_THREADS, store_keys: None, files }
    }
}

/// Counts the objects of a lake, of all regions in its folder, that a version of the store's keys seals.
///
/// Those that are just being written count, too: they do not tell yet.
///
/// # Errors
///
/// A folder or an object can't be read.
pub fn sealed_with(root: &Root, version: u32) -> Result<u64, LakeError> {
    Ok(store::sealed_with(root, version)?)
}

/// The lake can't be used, or a table of it.
#[derive(Debug, thiserror::Error)]
pub enum LakeError {
    /// The folder can't be used.
    #[error("use the lake's folder")]
    Store(#[from] StoreError),
    /// The store's keys can't be used.
    #[error("use the store's keys")]
    StoreKeys(#[from] KeyError),
    /// The Delta kernel did not start.
    #[error("start the Delta kernel")]
    Kernel(#[from] KernelRefusal),
    /// The ledger can't be used, or is not what it was.
    #[error("use the ledger")]
    Ledger(#[from] LedgerError),
    /// A table can't be used.
    #[error("use table {table}")]
    Table {
        /// The table.
        table: TableName,
        /// Why.
        source: TableError,
    },
    /// A crash left a batch of which it is open whether its rows count: they can't be set aside.
    #[error(
        "an interrupted batch of {table} holds rows of the person; it is settled when `weir run` has its partition again"
    )]
    OpenBatch {
        /// The table.
        table: TableName,
    },
    /// The lake's files are encrypted, and others would be written in clear beside them.
    #[error(
        "the files of this lake are encrypted, and no other may be written: set `files = \"encrypted\"` below [lake]"
    )]
    Encrypted,
    /// The secrets of epochs were not confirmed by their vault for too long: nobody could be found.
    #[error("the vault did not confirm the key ring's secrets for too long, and without them nobody is found")]
    KeysLapsed,
    /// There are tables and no coverage to say what is in them.
    #[error("the folder has tables and no _coverage: it is not a whole lake")]
    NoCoverage,
    /// A topic was deleted and made anew under the same name: its offsets mean other records now.
    #[error(
        "the topic of {partition} was made anew, and its records would mix with its predecessor's; give it another name"
    )]
    MadeAnew {
        /// The partition that the lake knows of another incarnation.
        partition: PartitionId,
    },
    /// The lake belongs to another consumer group.
    #[error("the lake belongs to another consumer group than {group:?}; `weir lake take-over` changes that")]
    OtherGroup {
        /// The group that was refused.
        group: String,
    },
}

impl LakeError {
    /// Tells whether the place of the lake did not do what it was asked, which may pass by itself, rather than what is there being wrong.
    pub fn may_pass(&self) -> bool {
        let is_away = |store: &StoreError| matches!(store, StoreError::Io { source, .. } if source.kind() != ErrorKind::InvalidData);
        match self {
            Self::Store(store)
            | Self::Table { source: TableError::Store(store) | TableError::Log(LogError::Store(store)), .. } => {
                is_away(store)
            }
            Self::Table { source: TableError::Kernel(refusal), .. } => refusal.is_away(),
            Self::Ledger(ledger) => !ledger.is_refusal(),
            Self::StoreKeys(keys) => keys.may_pass(),
            Self::KeysLapsed => true,
            Self::Encrypted
            | Self::Kernel(_)
            | Self::MadeAnew { .. }
            | Self::NoCoverage
            | Self::OpenBatch { .. }
            | Self::OtherGroup { .. }
            | Self::Table { .. } => false,
        }
    }

    /// Returns the table that stands in the way, if it is one.
    pub fn table(&self) -> Option<&TableName> {
        match self {
            Self::OpenBatch { table } | Self::Table { table, .. } => Some(table),
            Self::Encrypted
            | Self::Kernel(_)
            | Self::KeysLapsed
            | Self::Ledger(_)
            | Self::MadeAnew { .. }
            | Self::NoCoverage
            | Self::OtherGroup { .. }
            | Self::Store(_)
            | Self::StoreKeys(_) => None,
        }
    }
}

/// An open lake; shared by all threads.
#[expect(missing_debug_implementations, reason = "holds keys")]
pub struct Lake {
    pub(crate) config: LakeConfig,
    pub(crate) folder: RegionFolder,
    pub(crate) kernel: Kernel,
    pub(crate) secrets: Arc<Secrets>,
    pub(crate) ledger: Ledger,
    pub(crate) coverage: Mutex<Coverage>,
    pub(crate) owned: Mutex<HashMap<PartitionId, Owned>>,
    tables: Mutex<HashMap<TableName, Arc<Mutex<TableLog>>>>,
    /// Of the policy of the last batch.
    schemas: Mutex<Option<Arc<Schemas>>>,
}

impl Lake {
    /// Opens the lake in a folder, which is made if it is absent; its ledger is read when it is first needed.
    ///
    /// # Errors
    ///
    /// The folder can't be used, or it holds a lake of another key ring or consumer group.
    pub fn open(config: LakeConfig, key: &LakeKey, ledger: Ledger) -> Result<Self, LakeError> {
        let objects = store::kernel_store(&config.root)?;
        Self::open_with_store(config, key, ledger, objects)
    }

    /// Opens the lake with another way to write log entries, for tests of what can go wrong there.
    ///
    /// # Errors
    ///
    /// As [`Self::open`].
    pub fn open_with_store(
        config: LakeConfig,
        key: &LakeKey,
        ledger: Ledger,
        objects: Arc<dyn ObjectStore>,
    ) -> Result<Self, LakeError> {
        let folder = RegionFolder::open(&config.root, &config.region, &config.files, config.store_keys.clone())?;
        let secrets = Arc::new(Secrets::new(key.expose()));
        let log = TableLog::new(TableName::Coverage, folder.table(&TableName::Coverage)?, secrets.clone());
        let lake = Self {
            kernel: Kernel::new(SealedStore::over(objects, folder.objects()))?,
            coverage: Mutex::new(Coverage::new(log, secrets.clone())),
            owned: Mutex::default(),
            tables: Mutex::default(),
            schemas: Mutex::default(),
            config,
            folder,
            secrets,
            ledger,
        };
        lake.check()?;
        Ok(lake)
    }

    /// Returns the schemas of a batch's policy, which mostly is the policy of the one before.
    pub(crate) fn schemas(&self, policy: Arc<Policy>) -> Arc<Schemas> {
        let mut last = self.schemas.lock();
        let known = last.take().filter(|known| Arc::ptr_eq(known.policy(), &policy));
        let schemas = known.unwrap_or_else(|| Arc::new(Schemas::new(policy)));
        Arc::clone(last.insert(schemas))
    }

    /// Returns the path of the region's folder, as readers name it.
    pub fn folder(&self) -> String {
        self.folder.shown()
    }

    /// Returns what the objects are sealed with, if they are.
    pub const fn store_keys(&self) -> Option<&Arc<StoreKeys>> {
        self.config.store_keys.as_ref()
    }

    /// Returns the ledger, which is told more than commits.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Gives the lake to this consumer group, whoever had it.
    ///
    /// # Errors
    ///
    /// The ledger or the coverage could not be written.
    pub fn take_over(config: LakeConfig, key: &LakeKey, ledger: &Ledger, now_ms: i64) -> Result<(), LakeError> {
        let folder = RegionFolder::open(&config.root, &config.region, &config.files, config.store_keys.clone())?;
        let secrets = Arc::new(Secrets::new(key.expose()));
        let objects = store::kernel_store(&config.root)?;
        let kernel = Kernel::new(SealedStore::over(objects, folder.objects()))?;
        let log = TableLog::new(TableName::Coverage, folder.table(&TableName::Coverage)?, secrets.clone());
        let mut coverage = Coverage::new(log, secrets);
        let at_coverage = |source| LakeError::Table { table: TableName::Coverage, source };
        ledger.append(now_ms, Told::Decision(Decision::TakeOver))?;
        coverage.create(&kernel, now_ms).map_err(at_coverage)?;
        let id = Uuid::new_v4();
        loop {
            let txns = config.txns(&coverage).collect();
            let entry = Entry::Taken { partitions: Vec::new() };
            match coverage.put(&kernel, id, entry, txns, None, now_ms).map_err(at_coverage)? {
                Attempt::Done => return Ok(()),
                Attempt::Lost => {}
            }
        }
    }

    /// Seals every object anew that an older version of the store's keys sealed; returns how many.
    ///
    /// Done again it does the rest; readers and writers go on meanwhile.
    ///
    /// # Errors
    ///
    /// An object can't be read or written.
    pub fn reseal(&self) -> Result<u64, LakeError> {
        Ok(self.folder.reseal()?)
    }

    /// Lists the event tables that are there, and the quarantine, without those that are skipped.
    ///
    /// An operator skips a table because it can't be used, so nobody asks it anything.
    pub(crate) fn tables_in_use(&self) -> Result<Vec<TableName>, LakeError> {
        let mut names = self.folder.event_tables()?;
        names.push(TableName::Quarantine);
        names.retain(|name| !self.config.skip.contains(name));
        Ok(names)
    }

    /// Returns the log of a table, shared with everyone who uses it.
    pub(crate) fn table(&self, name: &TableName) -> Result<Arc<Mutex<TableLog>>, LakeError> {
        let mut tables = self.tables.lock();
        if let Some(table) = tables.get(name) {
            return Ok(table.clone());
        }
        let log = TableLog::new(name.clone(), self.folder.table(name)?, self.secrets.clone());
        Ok(tables.entry(name.clone()).or_insert_with(|| Arc::new(Mutex::new(log))).clone())
    }

    /// Refuses a folder that holds what this key ring and group must not touch.
    fn check(&self) -> Result<(), LakeError> {
        let mut coverage = self.coverage.lock();
        let exists = coverage.refresh().map_err(|source| at(&TableName::Coverage, source))?;
        if !exists && !self.folder.event_tables()?.is_empty() {
            return Err(LakeError::NoCoverage);
        }
        self.check_settings(&coverage)?;
        if exists { self.begin_encryption(&mut coverage) } else { Ok(()) }
    }

    /// Refuses a lake of another group, and to write in clear where files are encrypted.
    pub(crate) fn check_settings(&self, coverage: &Coverage) -> Result<(), LakeError> {
        if coverage.is_of_another_group(&self.config.group) {
            return Err(LakeError::OtherGroup { group: self.config.group.clone() });
        }
        match self.config.files {
            DataFiles::Clear if coverage.is_encrypted() => Err(LakeError::Encrypted),
            DataFiles::Clear | DataFiles::Encrypted(_) => Ok(()),
        }
    }

    /// Says in a lake whose files were in clear that they are encrypted from now on, before the first one is.
    fn begin_encryption(&self, coverage: &mut Coverage) -> Result<(), LakeError> {
        let at_coverage = |source| at(&TableName::Coverage, source);
        let id = Uuid::new_v4();
        while matches!(self.config.files, DataFiles::Encrypted(_)) && !coverage.is_encrypted() {
            let entry = Entry::Taken { partitions: Vec::new() };
            let txns = vec![coverage.encrypted_txn()];
            // The entry has no file whose time would be told.
            coverage.put(&self.kernel, id, entry, txns, None, 0).map_err(at_coverage)?;
            coverage.refresh().map_err(at_coverage)?;
        }
        Ok(())
    }
}

/// Says which table an error is about.
pub(crate) fn at(table: &TableName, source: TableError) -> LakeError {
    LakeError::Table { table: table.clone(), source }
}

/// Commits mostly wait for the disk to sync.
const COMMIT_THREADS: usize = 8;
