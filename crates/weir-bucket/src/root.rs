//! The root of a lake.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use url::Url;

use crate::bucket::Bucket;

/// Where a lake lies. Cheap to share.
#[derive(Clone, Debug)]
pub enum Root {
    /// In a folder of this machine.
    Folder(PathBuf),
    /// In a bucket of an object store, below a prefix.
    Bucket(Bucket),
}

impl Root {
    /// Returns the path that everything in the lake is below: the folder's, or `/` and the bucket's prefix.
    pub fn path(&self) -> &Path {
        match self {
            Self::Folder(path) => path,
            Self::Bucket(bucket) => bucket.root(),
        }
    }

    /// Returns a folder in it as a root of its own.
    #[must_use]
    pub fn below(&self, name: &str) -> Self {
        match self {
            Self::Folder(path) => Self::Folder(path.join(name)),
            Self::Bucket(bucket) => Self::Bucket(bucket.below(name)),
        }
    }

    /// Returns the bucket, if it is one.
    pub const fn bucket(&self) -> Option<&Bucket> {
        match self {
            Self::Folder(_) => None,
            Self::Bucket(bucket) => Some(bucket),
        }
    }

    /// Tells whether there is anything: a folder that nobody made holds no lake.
    ///
    /// # Errors
    ///
    /// The store does not answer.
    pub fn is_there(&self) -> io::Result<bool> {
        match self {
            Self::Folder(path) => Ok(path.is_dir()),
            Self::Bucket(bucket) => bucket.holds(bucket.root()),
        }
    }

    /// Writes a path below the root as people and readers name it.
    pub fn shown(&self, path: &Path) -> String {
        match self {
            Self::Folder(_) => path.display().to_string(),
            Self::Bucket(bucket) => bucket.shown(path),
        }
    }

    /// Writes a folder below the root as a URL, with a slash at its end; `None` if it cannot be one.
    pub fn folder_url(&self, path: &Path) -> Option<Url> {
        match self {
            Self::Folder(_) => Url::from_directory_path(path).ok(),
            Self::Bucket(bucket) => Url::parse(&format!("{}/", bucket.shown(path).trim_end_matches('/'))).ok(),
        }
    }
}

impl fmt::Display for Root {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown(self.path()))
    }
}

impl<P: Into<PathBuf>> From<P> for Root {
    fn from(path: P) -> Self {
        Self::Folder(path.into())
    }
}
