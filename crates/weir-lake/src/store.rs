//! The folder or bucket that the lake lives in: the only module that touches the file system, or asks an object store.
//!
//! A data file is written under a dot name, synced, and renamed just before the commit that names it; folders are synced
//! after names change in them. So a crash leaves either a file that no commit names (vacuum takes it) or a whole one.
//!
//! A bucket has no renames and no folders. A data file is written straight under its name there: it appears whole, and readers see it
//! when a commit names it. A crash leaves the same two things.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use parquet::file::reader::Length as _;
use url::Url;
use weir_bucket::{Root, is_key};
use weir_keys::StoreKeys;
use weir_ledger::Sha256;
use weir_policy::PurposeId;

use crate::encryption::{DataFiles, Encryption};
use crate::layout::{FilePlace, TableName};

mod asides;
mod entry;
mod objects;
mod reseal;
mod sealed_store;

pub(crate) use asides::AsideFolder;
use entry::{Entry, entries};
pub(crate) use objects::{Input, Objects, Output};
pub(crate) use reseal::sealed_with;
pub(crate) use sealed_store::SealedStore;

/// The folder or bucket could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The system refused; the message says what was tried.
    #[error("{doing} {path}")]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On which file or folder.
        path: String,
        /// The system's answer.
        source: io::Error,
    },
    /// The file system has no hard links, which the commits need to be all or nothing.
    #[error("{path} is on a file system without hard links, so two writers could overwrite each other's commits")]
    NoHardLinks {
        /// The folder.
        path: String,
    },
    /// The store has no put that only succeeds where nothing is, which the commits need to be all or nothing.
    #[error(
        "the store of {path} puts an object in the place of another although it was told not to (If-None-Match), so two writers could overwrite each other's commits"
    )]
    NoConditionalPut {
        /// The folder.
        path: String,
    },
    /// The name of a region cannot be part of the name of an object.
    #[error("region {region:?} cannot be part of an object's name: letters, digits, `.`, `_` and `-` can")]
    NoKey {
        /// The region.
        region: String,
    },
    /// The store's keys are not given, and the object is sealed with them.
    #[error("{path} is sealed with store keys: name their folder as lake.store_keys")]
    Sealed {
        /// The object.
        path: String,
    },
    /// The path can't be written as a URL.
    #[error("{path} can't be written as a file URL")]
    NoUrl {
        /// The folder.
        path: String,
    },
}

/// `<root>/<region>`: the folder of all tables of a region.
#[derive(Clone)]
pub(crate) struct RegionFolder {
    path: PathBuf,
    region: Arc<str>,
    files: DataFiles,
    objects: Objects,
}

impl RegionFolder {
    /// Opens the folder, makes it if it is absent, and tries whether hard links work in it; in a bucket, whether the store puts an
    /// object only where none is.
    pub(crate) fn open(
        root: &Root,
        region: &str,
        files: &DataFiles,
        keys: Option<Arc<StoreKeys>>,
    ) -> Result<Self, StoreError> {
        let root = match root {
            Root::Folder(folder) => {
                make_folder(&folder.join(region))?;
                let folder = fs::canonicalize(folder).map_err(io_error("open", folder))?;
                probe_hard_links(&folder.join(region))?;
                Root::Folder(folder)
            }
            Root::Bucket(_) if !is_key(region) => return Err(StoreError::NoKey { region: region.to_owned() }),
            Root::Bucket(_) => root.clone(),
        };
        let path = root.path().join(region);
        let objects = Objects::new(root, keys);
        if let Some(bucket) = objects.bucket() {
            let probe = path.join(format!(".{}.probe", uuid::Uuid::new_v4()));
            let puts = bucket.puts_if_absent(&probe).map_err(objects.failed("try a put in", &path))?;
            if !puts {
                return Err(StoreError::NoConditionalPut { path: objects.root().shown(&path) });
            }
        }
        Ok(Self { path, region: region.into(), files: files.clone(), objects })
    }

    pub(crate) fn objects(&self) -> &Objects {
        &self.objects
    }

    pub(crate) fn table(&self, name: &TableName) -> Result<TableFolder, StoreError> {
        let path = self.path.join(name.to_string());
        let no_url = || StoreError::NoUrl { path: self.objects.root().shown(&path) };
        let url = self.objects.root().folder_url(&path).ok_or_else(no_url)?;
        let beside = |folder: &str| self.path.join(folder).join(name.to_string());
        let encryption = Encryption::new(&self.files, &self.region, name);
        let objects = self.objects.clone();
        let (indexes, asides) = (beside(INDEXES), AsideFolder::new(beside(ASIDES), objects.clone()));
        Ok(TableFolder { path, url, indexes, asides, encryption, objects })
    }

    /// Writes the folder's path as people name it.
    pub(crate) fn shown(&self) -> String {
        self.objects.root().shown(&self.path)
    }

    /// Lists the event tables: every folder below a purpose's whose name is an event type.
    pub(crate) fn event_tables(&self) -> Result<Vec<TableName>, StoreError> {
        let mut tables = Vec::new();
        for purpose in PurposeId::ALL {
            for entry in self.objects.entries(&self.path.join(purpose.name()))? {
                let name = format!("{}/{}", purpose.name(), entry.name());
                if entry.is_folder()
                    && let Ok(table) = name.parse()
                {
                    tables.push(table);
                }
            }
        }
        tables.sort();
        Ok(tables)
    }
}

/// The folder of one table.
#[derive(Clone)]
pub(crate) struct TableFolder {
    path: PathBuf,
    url: Url,
    /// Beside the tables and not in them: who may read a table need not see it.
    indexes: PathBuf,
    pub(crate) asides: AsideFolder,
    /// Of the data files; the log is not encrypted.
    pub(crate) encryption: Encryption,
    objects: Objects,
}

/// What a folder turned out to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holds {
    /// Nothing that a reader could see.
    Nothing,
    /// A Delta log.
    DeltaLog,
    /// Files without a Delta log.
    OtherFiles,
}

/// A file below a table, as vacuum sees it.
#[derive(Clone, Debug)]
pub(crate) struct FoundFile {
    /// The path relative to the table.
    pub(crate) path: String,
    pub(crate) bytes: u64,
    pub(crate) modified_ms: i64,
}

impl TableFolder {
    pub(crate) fn url(&self) -> &Url {
        &self.url
    }

    /// Writes the path of a file as people name it.
    pub(crate) fn shown(&self, relative: &str) -> PathBuf {
        self.objects.shown(&self.path.join(relative))
    }

    pub(crate) fn holds(&self) -> Result<Holds, StoreError> {
        // Anything else in the log's folder is an entry that another writer is about to make.
        let extension = |name: &String| Path::new(name).extension().map(std::ffi::OsStr::to_owned);
        let is_entry = |name: &String| extension(name).is_some_and(|kind| kind == "json" || kind == "parquet");
        if self.log_names()?.iter().any(is_entry) {
            return Ok(Holds::DeltaLog);
        }
        let others = self.objects.entries(&self.path)?.iter().any(|entry| {
            let name = entry.name();
            name != LOG && !is_dot(&name) && !entry.is_folder()
        });
        Ok(if others { Holds::OtherFiles } else { Holds::Nothing })
    }

    /// Makes the table's log folder, durably.
    pub(crate) fn make_log(&self) -> Result<(), StoreError> {
        self.objects.make_folder(&self.log())
    }

    /// Lists the names in the log folder, sorted.
    pub(crate) fn log_names(&self) -> Result<Vec<String>, StoreError> {
        let mut names: Vec<_> = self.objects.entries(&self.log())?.iter().map(Entry::name).collect();
        names.sort();
        Ok(names)
    }

    /// Reads a file of the log; `None` if it is not there.
    pub(crate) fn read_log(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        present(self.objects.read(&self.log().join(name)))
    }

    /// Opens a file of the log or of the data.
    pub(crate) fn open(&self, relative: &str) -> Result<Input, StoreError> {
        self.objects.open(&self.path.join(relative))
    }

    /// Opens a new data file under its dot name.
    pub(crate) fn create_staged(&self, place: &FilePlace) -> Result<Output, StoreError> {
        self.objects.make_folder(&self.path.join(&place.folder))?;
        self.objects.create(&self.path.join(place.staged_path()), &self.path.join(place.path()))
    }

    /// Renames staged, synced files to the names that a commit will give to readers; in a bucket they have them already.
    pub(crate) fn publish<'p>(&self, places: impl IntoIterator<Item = &'p FilePlace>) -> Result<(), StoreError> {
        if self.objects.bucket().is_some() {
            return Ok(());
        }
        let mut folders = BTreeSet::new();
        for place in places {
            let path = self.path.join(place.staged_path());
            match fs::rename(&path, self.path.join(place.path())) {
                Ok(()) => {
                    folders.insert(&place.folder);
                }
                // A retry of the same commit finds its files renamed already.
                Err(error) if error.kind() == io::ErrorKind::NotFound && self.path.join(place.path()).exists() => {}
                Err(error) => return Err(io_error("rename", &path)(error)),
            }
        }
        folders.into_iter().try_for_each(|folder| sync_folder(&self.path.join(folder)))
    }

    /// Removes a file that no commit names, under whichever of its names, and its index; absent is fine.
    pub(crate) fn discard(&self, place: &FilePlace) -> Result<(), StoreError> {
        if self.objects.bucket().is_none() {
            self.remove(&place.staged_path())?;
        }
        self.remove(&place.path())?;
        self.remove_index(&place.path())
    }

    /// Writes the index of a data file.
    ///
    /// It is not synced: one that a crash tears does not open, and its file is then read instead.
    pub(crate) fn write_index(&self, path: &str, sealed: &[u8]) -> Result<(), StoreError> {
        let index = self.index(path);
        index.parent().map_or(Ok(()), |folder| self.objects.make_folder(folder))?;
        self.objects.write(&index, &index, sealed)
    }

    /// Reads the index of a data file; `None` if it has none.
    pub(crate) fn index_of(&self, path: &str) -> Result<Option<Vec<u8>>, StoreError> {
        present(self.objects.read(&self.index(path)))
    }

    /// Removes the index of a data file; absent is fine.
    pub(crate) fn remove_index(&self, path: &str) -> Result<(), StoreError> {
        self.objects.remove(&self.index(path))
    }

    /// Removes the indexes whose data file is gone, and the folders that are empty then.
    pub(crate) fn remove_stray_indexes(&self) -> Result<(), StoreError> {
        if self.objects.bucket().is_some() {
            return self.remove_stray_objects();
        }
        for folder in entries(&self.indexes)?.iter().filter(|entry| entry.path().is_dir()) {
            for index in entries(&folder.path())? {
                let name = index.file_name().to_string_lossy().replace(INDEX_ENDING, DATA_ENDING);
                let data = self.path.join(folder.file_name());
                // In this order: a writer renames the staged file to the other name, never back.
                if !data.join(format!(".{name}")).exists() && !data.join(&name).exists() {
                    remove_file(&index.path())?;
                }
            }
            if entries(&folder.path())?.is_empty() {
                drop(fs::remove_dir(folder.path()));
            }
        }
        Ok(())
    }

    /// The same in a bucket, where a file is there before its index is.
    fn remove_stray_objects(&self) -> Result<(), StoreError> {
        // In this order: an index that is listed here has a file that is listed then, unless that was removed.
        let indexes = self.objects.all(&self.indexes)?;
        let data: BTreeSet<_> = self.data_files()?.into_iter().map(|file| file.path).collect();
        for index in indexes.iter().filter(|index| !data.contains(&index.path.replace(INDEX_ENDING, DATA_ENDING))) {
            self.objects.remove(&self.indexes.join(&index.path))?;
        }
        Ok(())
    }

    /// Removes a file below the table; absent is fine.
    pub(crate) fn remove(&self, relative: &str) -> Result<(), StoreError> {
        self.objects.remove(&self.path.join(relative))
    }

    /// Removes the day folders that became empty; a bucket has none.
    pub(crate) fn remove_empty_folders(&self) -> Result<(), StoreError> {
        if self.objects.bucket().is_some() {
            return Ok(());
        }
        for entry in entries(&self.path)? {
            let path = entry.path();
            if path.is_dir() && entry.file_name() != LOG && entries(&path)?.is_empty() {
                // Another writer may have put a file into it since; the system then refuses, which is right.
                drop(fs::remove_dir(&path));
            }
        }
        Ok(())
    }

    /// Lists all files of the table outside its log, dot names too.
    pub(crate) fn data_files(&self) -> Result<Vec<FoundFile>, StoreError> {
        if self.objects.bucket().is_some() {
            let mut found = self.objects.all(&self.path)?;
            found.retain(|file| !file.path.starts_with(LOG));
            return Ok(found);
        }
        let mut found = Vec::new();
        for entry in self.objects.entries(&self.path)? {
            let name = entry.name();
            if !entry.is_folder() {
                found.push(self.objects.found(&entry, name)?);
            } else if name != LOG {
                for inner in self.objects.entries(&entry.path())? {
                    let path = format!("{name}/{}", inner.name());
                    found.push(self.objects.found(&inner, path)?);
                }
            }
        }
        Ok(found)
    }

    /// Lists the files of the log with their times.
    pub(crate) fn log_files(&self) -> Result<Vec<FoundFile>, StoreError> {
        let found = |entry: &Entry| self.objects.found(entry, format!("{LOG}/{}", entry.name()));
        self.objects.entries(&self.log())?.iter().filter(|entry| !entry.is_folder()).map(found).collect()
    }

    /// Hashes the bytes of a file of the data or of the log; returns hex.
    pub(crate) fn sha256(&self, relative: &str) -> Result<String, StoreError> {
        let path = self.path.join(relative);
        let input = self.objects.open(&path)?;
        let (mut hasher, mut at) = (Sha256::new(), 0);
        while at < input.len() {
            hasher.update(&input.read(at..at + input.step()).map_err(self.objects.failed("read", &path))?);
            at += input.step();
        }
        Ok(hasher.hex())
    }

    /// Tells whether a file of the data or of the log has these bytes; a sealed one that does not open has not.
    pub(crate) fn has_sha256(&self, relative: &str, sha256: &str) -> Result<bool, StoreError> {
        Ok(opened(self.sha256(relative))?.is_some_and(|found| found == sha256))
    }

    fn log(&self) -> PathBuf {
        self.path.join(LOG)
    }

    fn index(&self, path: &str) -> PathBuf {
        self.indexes.join(path.replace(DATA_ENDING, INDEX_ENDING))
    }
}

/// Tells objects that are not there from everything else that can go wrong.
fn present<T>(read: Result<T, StoreError>) -> Result<Option<T>, StoreError> {
    match read {
        Err(StoreError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(None),
        read => read.map(Some),
    }
}

/// Tells objects that do not open from everything else that can go wrong.
fn opened<T>(read: Result<T, StoreError>) -> Result<Option<T>, StoreError> {
    match read {
        Err(StoreError::Io { source, .. }) if source.kind() == io::ErrorKind::InvalidData => Ok(None),
        read => read.map(Some),
    }
}

fn remove_file(path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io_error("remove", path)(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Tells whether readers pass over a file of this name.
pub(crate) fn is_dot(name: &str) -> bool {
    name.starts_with('.')
}

/// Makes a folder and those above it; each new name is synced into the folder that holds it.
fn make_folder(path: &Path) -> Result<(), StoreError> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    if let Some(parent) = parent {
        make_folder(parent)?;
    }
    match fs::create_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(io_error("create", path)(error)),
        Ok(()) | Err(_) => {}
    }
    parent.map_or(Ok(()), sync_folder)
}

fn sync_folder(path: &Path) -> Result<(), StoreError> {
    File::open(path).and_then(|folder| folder.sync_all()).map_err(io_error("sync", path))
}

/// Commits are hard links of synced temporary files: the one way to make a whole file appear only if absent.
fn probe_hard_links(path: &Path) -> Result<(), StoreError> {
    let name = uuid::Uuid::new_v4();
    let (one, two) = (path.join(format!(".{name}.probe")), path.join(format!(".{name}.probe-link")));
    File::create_new(&one).map_err(io_error("create a file in", path))?;
    let linked = fs::hard_link(&one, &two).and_then(|()| match fs::hard_link(&one, &two) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
        Ok(()) => Err(io::Error::other("a hard link replaced a file")),
    });
    drop(fs::remove_file(&two));
    fs::remove_file(&one).map_err(io_error("remove", &one))?;
    linked.ok().ok_or_else(|| StoreError::NoHardLinks { path: shown(path) })
}

pub(crate) fn io_error(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    move |source| StoreError::Io { doing, path: shown(path), source }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

impl Objects {
    /// Makes a folder and those above it, durably; a bucket has none.
    fn make_folder(&self, path: &Path) -> Result<(), StoreError> {
        if self.bucket().is_some() { Ok(()) } else { make_folder(path) }
    }
}

/// Returns the store that the kernel works on.
pub(crate) fn kernel_store(root: &Root) -> Result<Arc<dyn ObjectStore>, StoreError> {
    match root {
        // `fsync`: a commit that a receipt was given for must survive the machine.
        Root::Folder(_) => Ok(Arc::new(LocalFileSystem::new().with_fsync(true))),
        Root::Bucket(bucket) => bucket.store().map_err(io_error("use", Path::new(&root.to_string()))),
    }
}

/// Where the ledger of the region is; not a purpose, so no table's folder.
pub(crate) const LEDGER: &str = "_ledger";
/// Where Delta keeps a table's log.
pub(crate) const LOG: &str = "_delta_log";
/// Where the indexes of all tables lie; not a purpose, so no table's folder.
pub(crate) const INDEXES: &str = "_index";
/// Where the rows of all tables lie that are set aside.
pub(crate) const ASIDES: &str = "_restricted";
const DATA_ENDING: &str = ".parquet";
pub(crate) const INDEX_ENDING: &str = ".index";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_staged_file_shows_only_after_it_is_published() {
        let root = tempfile::tempdir().unwrap();
        let region = RegionFolder::open(&root.path().into(), "eu", &DataFiles::Clear, None).unwrap();
        let table = region.table(&TableName::events(PurposeId::Reliability, "a")).unwrap();
        let place = FilePlace::new(Some(0));
        drop(table.create_staged(&place).unwrap());
        assert_eq!(table.data_files().unwrap()[0].path, place.staged_path());
        table.publish([&place]).unwrap();
        table.publish([&place]).unwrap();
        assert_eq!(table.data_files().unwrap()[0].path, place.path());
        table.discard(&place).unwrap();
        table.remove_empty_folders().unwrap();
        assert!(table.data_files().unwrap().is_empty());
    }

    #[test]
    fn a_folder_of_other_files_is_told_apart() {
        let root = tempfile::tempdir().unwrap();
        let region = RegionFolder::open(&root.path().into(), "eu", &DataFiles::Clear, None).unwrap();
        let table = region.table(&TableName::Coverage).unwrap();
        assert_eq!(table.holds().unwrap(), Holds::Nothing);
        table.make_log().unwrap();
        assert_eq!(table.holds().unwrap(), Holds::Nothing);
        fs::write(table.shown("notes.txt"), "x").unwrap();
        assert_eq!(table.holds().unwrap(), Holds::OtherFiles);
    }
}
