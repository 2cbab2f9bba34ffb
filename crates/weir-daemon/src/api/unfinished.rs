//! Erasures that were taken in and are not done, in sealed files: a daemon that is started anew goes on with them.
//!
//! A file lies in the folder of answers and is named by the word of the request, which tells nothing. Sealed under a key of the ring are
//! who asked and who is meant. It is on the disk before the request is answered, and gone when that is done. Who
//! ended it with the process finds it again; rows that came after the person asked go with the others.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tracing::error;
use weir_keys::{KeySet, Sealed};

use crate::api::rights::is_word;
use crate::rights::Subject;

/// The files of a folder.
pub(crate) struct Unfinished {
    folder: PathBuf,
    keys: Arc<KeySet>,
}

/// A request as it was taken in.
pub(crate) struct Taken {
    pub(crate) id: Box<str>,
    pub(crate) asked_by: Arc<str>,
    pub(crate) subject: Subject,
}

/// What a file says.
#[derive(Serialize, Deserialize)]
struct Content {
    asked_by: String,
    tenant: String,
    /// Kind and identifier.
    names: Vec<(String, String)>,
}

impl Unfinished {
    /// Keeps requests in a folder that is there.
    pub(crate) const fn new(folder: PathBuf, keys: Arc<KeySet>) -> Self {
        Self { folder, keys }
    }

    /// Writes a request down; it is on the disk when this returns.
    pub(crate) fn keep(&self, Taken { id, asked_by, subject }: &Taken) -> io::Result<()> {
        let names = subject.names().map(|(_, kind, id)| (kind.to_owned(), id.to_owned())).collect();
        let content = Content { asked_by: asked_by.to_string(), tenant: subject.tenant().to_owned(), names };
        let staged = self.folder.join(format!(".{id}{ENDING}"));
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&staged)?;
        let mut sealing = self.keys.seal(CONTEXT, id.as_bytes(), file)?;
        serde_json::to_writer(&mut sealing, &content)?;
        sealing.finish()?.sync_all()?;
        fs::rename(&staged, self.path(id))?;
        let synced = File::open(&self.folder).and_then(|folder| folder.sync_all());
        if synced.is_err() {
            // Whoever hears that nothing was done is not to be erased at the next start.
            self.end(id);
        }
        synced
    }

    /// Forgets a request that is done.
    pub(crate) fn end(&self, id: &str) {
        if let Err(error) = fs::remove_file(self.path(id)) {
            error!(%error, "a request that is done is still written down, and will be done once more at the next start");
        }
    }

    /// Returns the requests that the process before this one left. What it did not answer yet is removed; what does not open is left
    /// for a person to look at.
    pub(crate) fn all(&self) -> io::Result<Vec<Taken>> {
        let mut all = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(ENDING));
            match name {
                Some(id) if is_word(id) => match self.read(&path, id) {
                    Ok(taken) => all.push(taken),
                    Err(error) => {
                        error!(file = id, %error, "somebody asked to be erased, and their request does not open");
                    }
                },
                Some(staged) if staged.strip_prefix('.').is_some_and(is_word) => fs::remove_file(&path)?,
                Some(_) | None => {}
            }
        }
        Ok(all)
    }

    fn read(&self, path: &Path, id: &str) -> io::Result<Taken> {
        let sealed = Sealed::read(File::open(path)?)?;
        if sealed.head() != id.as_bytes() {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut text = Vec::new();
        sealed.open(&self.keys, CONTEXT).read_to_end(&mut text)?;
        // The error of serde_json quotes its input.
        let content: Option<Content> = serde_json::from_slice(&text).ok();
        let Content { asked_by, tenant, names } = content.ok_or(io::ErrorKind::InvalidData)?;
        let subject = Subject::checked(tenant, names, &self.keys).map_err(|_fault| io::ErrorKind::InvalidData)?;
        Ok(Taken { id: id.into(), asked_by: asked_by.into(), subject })
    }

    fn path(&self, id: &str) -> PathBuf {
        self.folder.join(format!("{id}{ENDING}"))
    }
}

const CONTEXT: &str = "unfinished erasure";
const ENDING: &str = ".erasure";

#[cfg(test)]
mod tests {
    use weir_keys::KeyRing;

    use super::*;

    fn keys() -> (tempfile::TempDir, Arc<KeySet>) {
        let folder = tempfile::tempdir().unwrap();
        let ring = KeyRing::init(&folder.path().join("keys")).unwrap();
        fs::create_dir(folder.path().join("answers")).unwrap();
        (folder, ring.snapshot())
    }

    #[test]
    fn request_is_found_again_until_it_ends_and_names_nobody_meanwhile() {
        let (folder, keys) = keys();
        let answers = folder.path().join("answers");
        let unfinished = Unfinished::new(answers.clone(), Arc::clone(&keys));
        let names = vec![("user".to_owned(), "marker-81".to_owned()), ("device".to_owned(), "7".to_owned())];
        let subject = Subject::checked("acme".to_owned(), names, &keys).unwrap();
        let [id, other] = ["0123456789abcdef0123456789abcdef", "00000000000000000000000000000000"];
        unfinished.keep(&Taken { id: id.into(), asked_by: "portal".into(), subject }).unwrap();
        fs::write(answers.join(format!(".{other}{ENDING}")), "half").unwrap();
        fs::write(answers.join("notes.txt"), "an operator's").unwrap();

        let found = unfinished.all().unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!((&*found[0].id, &*found[0].asked_by, found[0].subject.tenant()), (id, "portal", "acme"));
        assert_eq!(found[0].subject.names().last(), Some(("acme", "device", "7")));
        let files: Vec<_> = fs::read_dir(&answers).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(files.len(), 2, "what was not answered is gone");
        for file in files {
            assert!(!fs::read(file).unwrap().windows(6).any(|window| window == b"marker"));
        }

        // A file of another ring, under another name or changed is nobody's request.
        let path = answers.join(format!("{id}{ENDING}"));
        let bytes = fs::read(&path).unwrap();
        fs::rename(&path, answers.join(format!("{other}{ENDING}"))).unwrap();
        assert_eq!(unfinished.all().unwrap().len(), 0);
        fs::rename(answers.join(format!("{other}{ENDING}")), &path).unwrap();
        let (_kept, others) = self::keys();
        assert_eq!(Unfinished::new(answers.clone(), others).all().unwrap().len(), 0);
        fs::write(&path, [&bytes[..bytes.len() - 1], b"x"].concat()).unwrap();
        assert_eq!(unfinished.all().unwrap().len(), 0);

        fs::write(&path, bytes).unwrap();
        unfinished.end(id);
        assert_eq!(unfinished.all().unwrap().len(), 0);
        assert_eq!(fs::read_dir(&answers).unwrap().count(), 1);
    }
}
