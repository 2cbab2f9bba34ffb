//! The kinds of values that configuration keys take, and how each is written.
//!
//! A kind says in words what it wants, so that a fault can; it is parsed once, here, and the rest of the daemon sees bytes
//! as bytes and time as time.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use weir_bucket::{Secret, is_bucket, is_key};
use weir_lake::TableName;
use weir_policy::reader::{Node, Value};

/// A kind of value.
pub(crate) trait Setting: Sized {
    /// What the key wants, as in "wants a size such as `256MiB`".
    const WANTS: &'static str;

    /// Reads the value of a key that stands in a file of `folder`; `None` when it is not such a value.
    fn read(node: &Node, folder: &Path) -> Option<Self>;
}

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

impl ByteSize {
    /// Returns the number of bytes as a length in memory.
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl Setting for ByteSize {
    const WANTS: &'static str = "a size above zero such as \"256MiB\"";

    fn read(node: &Node, _: &Path) -> Option<Self> {
        let (number, unit) = match &node.value {
            Value::Number(number) => (number.parse().ok()?, "B"),
            Value::Text(text) => split_unit(text)?,
            Value::Array(_) | Value::Bool(_) | Value::Moment(_) | Value::Table(_) => return None,
        };
        let bytes = number.checked_mul(byte_unit(unit)?)?;
        (bytes > 0).then_some(Self(bytes))
    }
}

/// A number above zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Count(pub u64);

impl Count {
    /// Returns the number as a length in memory.
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl Setting for bool {
    const WANTS: &'static str = "true or false";

    fn read(node: &Node, _: &Path) -> Option<Self> {
        let Value::Bool(truth) = &node.value else { return None };
        Some(*truth)
    }
}

impl Setting for Count {
    const WANTS: &'static str = "a whole number above zero";

    fn read(node: &Node, _: &Path) -> Option<Self> {
        let Value::Number(number) = &node.value else { return None };
        number.parse().ok().filter(|number| *number > 0).map(Self)
    }
}

impl Setting for Duration {
    const WANTS: &'static str = "a time above zero such as \"250ms\", \"5s\", \"5m\", \"1h\" or \"7d\"";

    fn read(node: &Node, _: &Path) -> Option<Self> {
        let Value::Text(text) = &node.value else { return None };
        parse_duration(text).filter(|time| !time.is_zero())
    }
}

/// Reads a time such as `5m`: a whole number and one of `ms`, `s`, `m`, `h`, `d`.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let (number, unit) = split_unit(text)?;
    let unit_ms = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number.checked_mul(unit_ms).map(Duration::from_millis)
}

impl Setting for String {
    const WANTS: &'static str = "a text that is not empty";

    fn read(node: &Node, _: &Path) -> Option<Self> {
        let Value::Text(text) = &node.value else { return None };
        (!text.trim().is_empty()).then(|| text.clone())
    }
}

impl Setting for PathBuf {
    const WANTS: &'static str = "a path";

    fn read(node: &Node, folder: &Path) -> Option<Self> {
        String::read(node, folder).map(|path| folder.join(path))
    }
}

/// A folder of this machine, written `file:DIR`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileUrl(pub PathBuf);

impl Setting for FileUrl {
    const WANTS: &'static str = "a folder of this machine such as \"file:keys\"";

    fn read(node: &Node, folder: &Path) -> Option<Self> {
        let text = String::read(node, folder)?;
        let path = text.strip_prefix("file:").filter(|path| !path.is_empty())?;
        // `file:///srv/lake` is the same folder as `file:/srv/lake`.
        let path = path.strip_prefix("//").unwrap_or(path);
        Some(Self(folder.join(path)))
    }
}

/// Where a lake lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LakeUrl {
    /// In a folder of this machine, written `file:DIR`.
    Folder(PathBuf),
    /// In a bucket, written `s3://BUCKET/PREFIX`.
    Bucket {
        /// Its name.
        bucket: String,
        /// What the names of all objects of the lake begin with; empty for the whole bucket.
        prefix: String,
    },
}

impl Setting for LakeUrl {
    const WANTS: &'static str =
        "a folder such as \"file:lake\", or a bucket such as \"s3://bucket/prefix\"; other stores are not there";

    fn read(node: &Node, folder: &Path) -> Option<Self> {
        let text = String::read(node, folder)?;
        let Some(rest) = text.strip_prefix("s3://") else {
            return FileUrl::read(node, folder).map(|folder| Self::Folder(folder.0));
        };
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
        let is_one = is_bucket(bucket) && (prefix.is_empty() || is_key(prefix));
        is_one.then(|| Self::Bucket { bucket: bucket.to_owned(), prefix: prefix.to_owned() })
    }
}

/// What stands where a secret is to be named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NamedSecret {
    /// The place of a secret.
    Named(Secret),
    /// Something else, maybe the secret itself: it is forgotten, and a fault must not show its line.
    Written,
}

impl Setting for NamedSecret {
    const WANTS: &'static str = "the place of a secret: \"file:PATH\" (mode 0600) or \"env:NAME\"";

    fn read(node: &Node, folder: &Path) -> Option<Self> {
        let text = String::read(node, folder).unwrap_or_default();
        Some(match text.split_once(':') {
            Some(("file", path)) if !path.is_empty() => Self::Named(Secret::File(folder.join(path))),
            Some(("env", name)) if !name.is_empty() => Self::Named(Secret::Variable(name.to_owned())),
            Some(_) | None => Self::Written,
        })
    }
}

/// Who encrypts the objects of a bucket, below what weir does itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreLayer {
    /// The store, with a key of its provider's.
    Provider,
}

impl Setting for StoreLayer {
    const WANTS: &'static str = "\"provider\"; `store_keys` says that weir seals the objects itself";

    fn read(node: &Node, folder: &Path) -> Option<Self> {
        (String::read(node, folder)? == "provider").then_some(Self::Provider)
    }
}

impl Setting for SocketAddr {
    const WANTS: &'static str = "an address and port such as \"127.0.0.1:9464\"";

    fn read(node: &Node, folder: &Path) -> Option<Self> {
        String::read(node, folder)?.parse().ok()
    }
}

impl Setting for Vec<String> {
    const WANTS: &'static str = "a list of texts, at least one";

    fn read(node: &Node, folder: &Path) -> Option<Self> {
        let Value::Array(items) = &node.value else { return None };
        let texts: Option<Self> = items.iter().map(|item| String::read(item, folder)).collect();
        texts.filter(|texts| !texts.is_empty())
    }
}

impl Setting for Vec<TableName> {
    const WANTS: &'static str =
        "a list of tables of events such as [\"reliability/com.example.checkout.completed\"], at least one";

    fn read(node: &Node, folder: &Path) -> Option<Self> {
        let names = Vec::<String>::read(node, folder)?;
        let table = |name: &String| name.parse().ok().filter(|table: &TableName| table.purpose().is_some());
        names.iter().map(table).collect()
    }
}

impl Setting for BTreeMap<String, Vec<String>> {
    const WANTS: &'static str = "a table of lists of texts, none of them empty";

    fn read(node: &Node, folder: &Path) -> Option<Self> {
        let Value::Table(table) = &node.value else { return None };
        let list = |node: &Node| Vec::<String>::read(node, folder);
        table.entries.iter().map(|entry| Some((entry.key.clone(), list(&entry.node)?))).collect()
    }
}

impl Setting for BTreeMap<String, String> {
    const WANTS: &'static str = "a table of texts, numbers and booleans";

    fn read(node: &Node, folder: &Path) -> Option<Self> {
        let Value::Table(table) = &node.value else { return None };
        let plain = |node: &Node| match &node.value {
            Value::Text(text) => match text.strip_prefix("file:") {
                Some(path) => Some(format!("file:{}", folder.join(path).display())),
                None => Some(text.clone()),
            },
            Value::Number(text) => Some(text.clone()),
            Value::Bool(boolean) => Some(boolean.to_string()),
            Value::Array(_) | Value::Moment(_) | Value::Table(_) => None,
        };
        table.entries.iter().map(|entry| Some((entry.key.clone(), plain(&entry.node)?))).collect()
    }
}

/// Where a group without any watermark in the lake starts to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// At the first record that the broker still has.
    Earliest,
    /// After the last record: what was sent before is never read.
    Latest,
}

impl Setting for Start {
    const WANTS: &'static str = "\"earliest\" or \"latest\"";

    fn read(node: &Node, folder: &Path) -> Option<Self> {
        match String::read(node, folder)?.as_str() {
            "earliest" => Some(Self::Earliest),
            "latest" => Some(Self::Latest),
            _ => None,
        }
    }
}

/// How files of rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Files {
    /// As plain Parquet.
    Clear,
    /// As encrypted Parquet.
    Encrypted,
}

impl Setting for Files {
    const WANTS: &'static str = "\"clear\" or \"encrypted\"";

    fn read(node: &Node, folder: &Path) -> Option<Self> {
        match String::read(node, folder)?.as_str() {
            "clear" => Some(Self::Clear),
            "encrypted" => Some(Self::Encrypted),
            _ => None,
        }
    }
}

impl<T: Setting> Setting for Option<T> {
    const WANTS: &'static str = T::WANTS;

    fn read(node: &Node, folder: &Path) -> Option<Self> {
        T::read(node, folder).map(Some)
    }
}

fn split_unit(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
    Some((number.parse().ok()?, unit.trim_start()))
}

fn byte_unit(unit: &str) -> Option<u64> {
    match unit {
        "B" => Some(1),
        "kB" | "KB" => Some(1_000),
        "MB" => Some(1_000_000),
        "GB" => Some(1_000_000_000),
        "KiB" => Some(1 << 10),
        "MiB" => Some(1 << 20),
        "GiB" => Some(1 << 30),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use weir_policy::diagnostic::{Place, Source};

    use super::*;

    fn text(text: &str) -> Node {
        Node { place: Place::start_of(&Source::new("weir.toml", "")), value: Value::Text(text.to_owned()) }
    }

    fn read<T: Setting>(node: &Node) -> Option<T> {
        T::read(node, Path::new("/etc/weir"))
    }

    #[test]
    fn sizes_are_read_with_their_units() {
        let cases = [("256MiB", Some(268_435_456)), ("1 GB", Some(1_000_000_000)), ("12B", Some(12))];
        let refused =
            [("MiB", None), ("1MiBs", None), ("0B", None), ("-1B", None), ("99999999999GiB", None), ("5", None)];
        for (written, bytes) in cases.into_iter().chain(refused) {
            assert_eq!(read::<ByteSize>(&text(written)), bytes.map(ByteSize), "{written}");
        }
    }

    #[test]
    fn times_are_read_with_their_units() {
        let cases = [("250ms", Some(250)), ("5s", Some(5_000)), ("5m", Some(300_000)), ("7d", Some(604_800_000))];
        let refused = [("5", None), ("5 weeks", None), ("0s", None), ("", None), ("1.5s", None)];
        for (written, millis) in cases.into_iter().chain(refused) {
            assert_eq!(read::<Duration>(&text(written)), millis.map(Duration::from_millis), "{written}");
        }
    }

    #[test]
    fn relative_paths_start_at_the_folder_of_their_file() {
        assert_eq!(read(&text("../schemas")), Some(PathBuf::from("/etc/weir/../schemas")));
        assert_eq!(read(&text("/schemas")), Some(PathBuf::from("/schemas")));
        assert_eq!(read(&text("file:lake")), Some(FileUrl("/etc/weir/lake".into())));
        assert_eq!(read(&text("file:///srv/lake")), Some(FileUrl("/srv/lake".into())));
        assert_eq!(read::<FileUrl>(&text("s3://bucket")), None);
    }
}
