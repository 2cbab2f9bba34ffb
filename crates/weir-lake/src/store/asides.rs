//! The folder of one table's rows that are set aside.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::layout::ASIDE_ENDING;

use super::{FoundFile, INDEX_ENDING, Objects, StoreError, entries, io_error, is_dot, opened, present, sync_folder};

/// Beside the tables and not in them: who may read a table must not see it.
///
/// A bucket has no renames: a file has its name from the start there, and counts as soon as a mark is beside it. A mark that somebody
/// sets late, after the file was removed, makes nothing count.
#[derive(Clone, Debug)]
pub(crate) struct AsideFolder {
    path: PathBuf,
    objects: Objects,
}

impl AsideFolder {
    pub(super) const fn new(path: PathBuf, objects: Objects) -> Self {
        Self { path, objects }
    }

    /// Tells whether anything ever was set aside.
    pub(crate) fn exists(&self) -> Result<bool, StoreError> {
        match self.objects.bucket() {
            None => Ok(self.path.exists()),
            Some(bucket) => bucket.holds(&self.path).map_err(self.objects.failed("list", &self.path)),
        }
    }

    /// Writes a file under its dot name, durably; and its index, of which a loss costs no more than time.
    pub(crate) fn stage(&self, path: &str, sealed: &[u8], index: &[u8]) -> Result<(), StoreError> {
        let staged = self.staged(path);
        if let Some(folder) = staged.parent() {
            self.objects.make_folder(folder)?;
        }
        let mut file = self.objects.create(&staged, &self.path.join(path))?;
        let beside = self.index(path);
        self.objects.write(&beside, &beside, index)?;
        let written = file.write_all(sealed).and_then(|()| file.finish()?.sync_all());
        written.map_err(self.objects.failed("write", &staged))?;
        match self.objects.bucket() {
            None => staged.parent().map_or(Ok(()), sync_folder),
            Some(_) => Ok(()),
        }
    }

    /// Removes a file that no commit names; absent is fine.
    pub(crate) fn discard(&self, path: &str) -> Result<(), StoreError> {
        let written = if self.objects.bucket().is_none() { self.staged(path) } else { self.path.join(path) };
        self.objects.remove(&written)?;
        self.objects.remove(&self.index(path))
    }

    /// Gives files their names and removes others, as far as that is not done: whoever looks at the table does it.
    pub(crate) fn settle<'p>(
        &self,
        added: impl Iterator<Item = &'p str>,
        gone: impl Iterator<Item = &'p str>,
    ) -> Result<(), StoreError> {
        if self.objects.bucket().is_some() {
            return self.settle_marks(&added.collect::<Vec<_>>(), &gone.collect::<Vec<_>>());
        }
        let mut folders = BTreeSet::new();
        for path in added {
            let (staged, named) = (self.staged(path), self.path.join(path));
            match fs::rename(&staged, &named) {
                // Named by somebody else, and maybe removed again since.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(io_error("rename", &staged)(error)),
                Ok(()) => {
                    folders.extend(named.parent().map(Path::to_path_buf));
                }
            }
        }
        // The names of the new come first: a crash in between leaves both, and what the log says is done again.
        folders.iter().try_for_each(|folder| sync_folder(folder))?;
        for path in gone {
            self.objects.remove(&self.path.join(path))?;
            self.objects.remove(&self.index(path))?;
        }
        Ok(())
    }

    /// The same in a bucket.
    fn settle_marks(&self, added: &[&str], gone: &[&str]) -> Result<(), StoreError> {
        if added.is_empty() && gone.is_empty() {
            return Ok(());
        }
        let there = self.names()?;
        for path in added.iter().filter(|path| there.contains(**path) && !there.contains(&mark_of(path))) {
            let mark = self.path.join(mark_of(path));
            self.objects.write(&mark, &mark, MARK)?;
        }
        for path in gone {
            // The rows come first: a crash leaves a mark that nothing is beside.
            for path in [(*path).to_owned(), path.replace(ASIDE_ENDING, INDEX_ENDING), mark_of(path)] {
                if there.contains(&path) {
                    self.objects.remove(&self.path.join(path))?;
                }
            }
        }
        Ok(())
    }

    fn names(&self) -> Result<BTreeSet<String>, StoreError> {
        Ok(self.objects.all(&self.path)?.into_iter().map(|file| file.path).collect())
    }

    /// Reads the index of a file; `None` if it has none.
    pub(crate) fn index_of(&self, path: &str) -> Result<Option<Vec<u8>>, StoreError> {
        present(self.objects.read(&self.index(path)))
    }

    /// Reads a file; `None` if it is an object that does not open.
    pub(crate) fn read(&self, path: &str) -> Result<Option<Vec<u8>>, StoreError> {
        opened(self.objects.read(&self.path.join(path)))
    }

    /// Lists the files that count, in order.
    pub(crate) fn list(&self) -> Result<Vec<String>, StoreError> {
        let mut paths: Vec<_> = if self.objects.bucket().is_none() {
            let counts = |file: &FoundFile| is_rows(file) && !is_staged(file);
            self.all()?.into_iter().filter(counts).map(|file| file.path).collect()
        } else {
            let there = self.names()?;
            let counts = |path: &&String| path.ends_with(ASIDE_ENDING) && there.contains(&mark_of(path));
            there.iter().filter(counts).cloned().collect()
        };
        paths.sort();
        Ok(paths)
    }

    /// Removes files that no commit named for so long that none will, and folders that are empty.
    pub(crate) fn remove_strays(&self, older_than_ms: i64) -> Result<(), StoreError> {
        if self.objects.bucket().is_some() {
            return self.remove_stray_objects(older_than_ms);
        }
        for file in self.all()?.iter().filter(|file| file.modified_ms <= older_than_ms) {
            let of_rows = file.path.replace(INDEX_ENDING, ASIDE_ENDING);
            let is_stray_index = !self.path.join(&of_rows).exists() && !self.staged(&of_rows).exists();
            if is_staged(file) || !is_rows(file) && is_stray_index {
                self.objects.remove(&self.path.join(&file.path))?;
            }
        }
        for folder in entries(&self.path)?.iter().map(fs::DirEntry::path).filter(|path| path.is_dir()) {
            if entries(&folder)?.is_empty() {
                // Another writer may have put a file into it since; the system then refuses, which is right.
                drop(fs::remove_dir(&folder));
            }
        }
        Ok(())
    }

    /// The same in a bucket: rows without a mark, and what is beside no rows.
    fn remove_stray_objects(&self, older_than_ms: i64) -> Result<(), StoreError> {
        let files = self.objects.all(&self.path)?;
        let there: BTreeSet<&str> = files.iter().map(|file| file.path.as_str()).collect();
        for file in files.iter().filter(|file| file.modified_ms <= older_than_ms) {
            let beside = if is_rows(file) {
                mark_of(&file.path)
            } else {
                file.path.replace(INDEX_ENDING, ASIDE_ENDING).replace(MARK_ENDING, ASIDE_ENDING)
            };
            if !there.contains(beside.as_str()) {
                self.objects.remove(&self.path.join(&file.path))?;
            }
        }
        Ok(())
    }

    fn all(&self) -> Result<Vec<FoundFile>, StoreError> {
        let mut found = Vec::new();
        for day in self.objects.entries(&self.path)?.iter().filter(|entry| entry.is_folder()) {
            for entry in self.objects.entries(&day.path())? {
                let path = format!("{}/{}", day.name(), entry.name());
                found.push(self.objects.found(&entry, path)?);
            }
        }
        Ok(found)
    }

    fn index(&self, path: &str) -> PathBuf {
        self.path.join(path.replace(ASIDE_ENDING, INDEX_ENDING))
    }

    fn staged(&self, path: &str) -> PathBuf {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        self.path.join(folder).join(format!(".{name}"))
    }
}

fn is_rows(file: &FoundFile) -> bool {
    file.path.ends_with(ASIDE_ENDING)
}

fn is_staged(file: &FoundFile) -> bool {
    is_dot(file.path.rsplit('/').next().unwrap_or_default())
}

fn mark_of(path: &str) -> String {
    path.replace(ASIDE_ENDING, MARK_ENDING)
}

/// How the name of a mark ends.
const MARK_ENDING: &str = ".counts";
/// What is in it; that it is there is what counts.
const MARK: &[u8] = b"counts";
