//! The folder of one table's rows that are set aside.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::layout::ASIDE_ENDING;

use super::{
    FoundFile, INDEX_ENDING, Objects, StoreError, entries, found_file, io_error, is_dot, make_folder, opened, present,
    remove, sync_folder,
};

/// Beside the tables and not in them: who may read a table must not see it.
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
    pub(crate) fn exists(&self) -> bool {
        self.path.exists()
    }

    /// Writes a file under its dot name, durably; and its index, of which a loss costs no more than time.
    pub(crate) fn stage(&self, path: &str, sealed: &[u8], index: &[u8]) -> Result<(), StoreError> {
        let staged = self.staged(path);
        if let Some(folder) = staged.parent() {
            make_folder(folder)?;
        }
        let mut file = self.objects.create(&staged, &self.path.join(path))?;
        let beside = self.index(path);
        self.objects.write(&beside, &beside, index)?;
        let written = file.write_all(sealed).and_then(|()| file.finish()?.sync_all());
        written.map_err(io_error("write", &staged))?;
        staged.parent().map_or(Ok(()), sync_folder)
    }

    /// Removes a file that no commit names; absent is fine.
    pub(crate) fn discard(&self, path: &str) -> Result<(), StoreError> {
        remove(&self.staged(path))?;
        remove(&self.index(path))
    }

    /// Gives files their names and removes others, as far as that is not done: whoever looks at the table does it.
    pub(crate) fn settle<'p>(
        &self,
        added: impl Iterator<Item = &'p str>,
        gone: impl Iterator<Item = &'p str>,
    ) -> Result<(), StoreError> {
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
            remove(&self.path.join(path))?;
            remove(&self.index(path))?;
        }
        Ok(())
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
        let counts = |file: &FoundFile| is_rows(file) && !is_staged(file);
        let mut paths: Vec<_> = self.all()?.into_iter().filter(counts).map(|file| file.path).collect();
        paths.sort();
        Ok(paths)
    }

    /// Removes files that no commit named for so long that none will, and folders that are empty.
    pub(crate) fn remove_strays(&self, older_than_ms: i64) -> Result<(), StoreError> {
        for file in self.all()?.iter().filter(|file| file.modified_ms <= older_than_ms) {
            let of_rows = file.path.replace(INDEX_ENDING, ASIDE_ENDING);
            let is_stray_index = !self.path.join(&of_rows).exists() && !self.staged(&of_rows).exists();
            if is_staged(file) || !is_rows(file) && is_stray_index {
                remove(&self.path.join(&file.path))?;
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

    fn all(&self) -> Result<Vec<FoundFile>, StoreError> {
        let mut found = Vec::new();
        for day in entries(&self.path)?.iter().filter(|entry| entry.path().is_dir()) {
            for entry in entries(&day.path())? {
                let path = format!("{}/{}", day.file_name().to_string_lossy(), entry.file_name().to_string_lossy());
                found.push(found_file(&entry, path, &self.objects)?);
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
