//! The snapshot of the store: what the state topic said, sealed in a file, so that a start reads the rest only.
//!
//! ```text
//! file = sealed (see `weir_keys::Sealed`) under "consent snapshot": head in clear, then what the store knows (see `weir_consent`)
//! head = "weirsnap" · version 1 · ring 16 · written 8 · length 2 · topic · partitions 4 · partitions × (next 8 · end 8)
//! ```
//! Numbers are little-endian. `topic` names the cluster and the topic's incarnation, `next` is the first offset that was not read before
//! the copy began, `end` the highest end that was seen; the topic starts at offset 0, or it is not followed at all.
//!
//! A snapshot is never trusted further than the topic backs it. Whatever does not fit, the whole topic is read as if there were
//! none. It must be far younger than the time for which the topic keeps tombstones (`delete.retention.ms`): one that was
//! written after it and is gone again would leave a permission standing.

mod writer;

use std::{
    fs::{self, File},
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use weir_consent::ConsentStore;
use weir_keys::{KeySet, Sealed};

pub(super) use writer::Snapshots;

/// Where the snapshot lies, and how often it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotSettings {
    /// The file; each daemon has its own.
    pub path: PathBuf,
    /// Shortest time between two of them.
    pub interval: Duration,
}

/// A snapshot that could be loaded now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// When its copy began, in milliseconds since 1970.
    pub written_ms: i64,
    /// Bytes of the file.
    pub bytes: u64,
    /// First offset of each partition that was not read before.
    next: Vec<i64>,
}

/// Why a snapshot is not used; the whole topic is read instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum SnapshotRefusal {
    /// There is none.
    #[error("there is no snapshot")]
    Absent,
    /// A tombstone that came after it may be gone by now; or the clock was set back.
    #[error("the snapshot is too old, or from the future")]
    Aged,
    /// It was cut or changed, or is none.
    #[error("the snapshot was cut or changed")]
    Broken,
    /// The topic cannot be told from another of its name, or nobody knows how long it keeps tombstones.
    #[error("the brokers do not say which topic it is, or for how long it keeps tombstones")]
    Indistinct,
    /// The store holds something already, because the topics are opened again.
    #[error("the store is not empty")]
    Filled,
    /// A later weir wrote it.
    #[error("a newer weir wrote the snapshot")]
    NewerFormat,
    /// It was sealed by another key ring.
    #[error("the snapshot is of another key ring")]
    OtherRing,
    /// It is of another topic, or of one that was made anew.
    #[error("the snapshot is of another topic")]
    OtherTopic,
    /// The topic got partitions.
    #[error("the topic has another number of partitions than the snapshot")]
    Repartitioned,
    /// The topic ends before the place that the snapshot was read to.
    #[error("the topic ends before the snapshot does")]
    Shrank,
    /// It cannot be read.
    #[error("the snapshot cannot be read")]
    Unreadable,
}

impl SnapshotRefusal {
    /// Returns the word for metrics and logs.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Aged => "aged",
            Self::Broken => "broken",
            Self::Filled => "filled",
            Self::Indistinct => "indistinct",
            Self::NewerFormat => "newer_format",
            Self::OtherRing => "other_ring",
            Self::OtherTopic => "other_topic",
            Self::Repartitioned => "repartitioned",
            Self::Shrank => "shrank",
            Self::Unreadable => "unreadable",
        }
    }
}

impl From<io::Error> for SnapshotRefusal {
    fn from(error: io::Error) -> Self {
        let kind = error.kind();
        let known = [
            (ErrorKind::AlreadyExists, Self::Filled),
            (ErrorKind::InvalidData, Self::Broken),
            (ErrorKind::NotFound, Self::Absent),
            (ErrorKind::UnexpectedEof, Self::Broken),
        ];
        known.into_iter().find(|(known, _)| *known == kind).map_or(Self::Unreadable, |(_, refusal)| refusal)
    }
}

/// The state topic as it is now.
pub(super) struct Topic {
    /// Cluster and incarnation.
    pub(super) incarnation: Arc<str>,
    /// How far each partition was read, and where it ends.
    pub(super) reached: Vec<Reached>,
    /// How old a snapshot may be: half of the time for which tombstones stay.
    pub(super) age_max_ms: i64,
}

/// How far one partition was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reached {
    pub(super) next: i64,
    pub(super) end: i64,
}

/// Fills an empty store from a file that fits the topic; nothing is taken from one that does not.
pub(super) fn load(
    path: &Path,
    keys: &KeySet,
    topic: &Topic,
    store: &ConsentStore,
    wall_ms: i64,
) -> Result<Snapshot, SnapshotRefusal> {
    // A pipe would never end, and who can put a link there could let it lead to one.
    let metadata = fs::symlink_metadata(path)?;
    if !metadata.is_file() {
        return Err(SnapshotRefusal::Unreadable);
    }
    let file = Sealed::read(File::open(path)?)?;
    let head = Head::decode(file.head())?;
    head.check(keys, topic, wall_ms)?;
    store.restore(&mut file.open(keys, CONTEXT))?;
    let next = head.reached.iter().map(|reached| reached.next).collect();
    Ok(Snapshot { written_ms: head.written_ms, bytes: metadata.len(), next })
}

impl Snapshot {
    /// Returns the first offset of each partition that is still to be read.
    pub(super) fn next(&self) -> &[i64] {
        &self.next
    }
}

/// What a snapshot says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Head {
    ring: [u8; 16],
    written_ms: i64,
    topic: String,
    reached: Vec<Reached>,
}

impl Head {
    fn encode(&self) -> io::Result<Vec<u8>> {
        let too_long = |_| io::Error::from(ErrorKind::InvalidInput);
        let mut head = [&MAGIC[..], &[VERSION], &self.ring, &self.written_ms.to_le_bytes()].concat();
        head.extend_from_slice(&u16::try_from(self.topic.len()).map_err(too_long)?.to_le_bytes());
        head.extend_from_slice(self.topic.as_bytes());
        head.extend_from_slice(&u32::try_from(self.reached.len()).map_err(too_long)?.to_le_bytes());
        for Reached { next, end } in &self.reached {
            head.extend_from_slice(&next.to_le_bytes());
            head.extend_from_slice(&end.to_le_bytes());
        }
        Ok(head)
    }

    fn decode(bytes: &[u8]) -> Result<Self, SnapshotRefusal> {
        let (magic, rest) = bytes.split_at_checked(MAGIC.len()).ok_or(SnapshotRefusal::Broken)?;
        let (version, rest) = rest.split_first().filter(|_| magic == MAGIC).ok_or(SnapshotRefusal::Broken)?;
        if *version > VERSION {
            return Err(SnapshotRefusal::NewerFormat);
        }
        Self::decode_rest(rest).filter(|_| *version == VERSION).ok_or(SnapshotRefusal::Broken)
    }

    fn decode_rest(rest: &[u8]) -> Option<Self> {
        let (ring, rest) = rest.split_first_chunk()?;
        let (written, rest) = rest.split_first_chunk()?;
        let (length, rest) = rest.split_first_chunk()?;
        let (topic, rest) = rest.split_at_checked(u16::from_le_bytes(*length).into())?;
        let (count, rest) = rest.split_first_chunk()?;
        let (reached, rest) = rest.as_chunks::<16>();
        let numbers = |bytes: &[u8; 16]| {
            let [next, end] = [0, 8].map(|at| bytes[at..].first_chunk().map_or(-1, |eight| i64::from_le_bytes(*eight)));
            Reached { next, end }
        };
        let is_whole = rest.is_empty() && u32::try_from(reached.len()) == Ok(u32::from_le_bytes(*count));
        is_whole.then_some(())?;
        Some(Self {
            ring: *ring,
            written_ms: i64::from_le_bytes(*written),
            topic: std::str::from_utf8(topic).ok()?.to_owned(),
            reached: reached.iter().map(numbers).collect(),
        })
    }

    /// Tells whether the topic backs the snapshot.
    fn check(&self, keys: &KeySet, topic: &Topic, wall_ms: i64) -> Result<(), SnapshotRefusal> {
        if self.ring != keys.id().bytes() {
            return Err(SnapshotRefusal::OtherRing);
        }
        if *self.topic != *topic.incarnation {
            return Err(SnapshotRefusal::OtherTopic);
        }
        if self.reached.len() != topic.reached.len() {
            return Err(SnapshotRefusal::Repartitioned);
        }
        let fits = |(then, now): (&Reached, &Reached)| (0..=now.end).contains(&then.next) && then.end <= now.end;
        if !self.reached.iter().zip(&topic.reached).all(fits) {
            return Err(SnapshotRefusal::Shrank);
        }
        let age_ms = wall_ms.saturating_sub(self.written_ms);
        if (0..topic.age_max_ms).contains(&age_ms) { Ok(()) } else { Err(SnapshotRefusal::Aged) }
    }
}

const MAGIC: &[u8; 8] = b"weirsnap";
const VERSION: u8 = 1;
const CONTEXT: &str = "consent snapshot";

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use tempfile::TempDir;
    use weir_consent::{Standing, StateKey, StateRecord, Status};
    use weir_keys::{KeyRing, PersonKey};
    use weir_policy::PurposeId;

    use super::{writer::write, *};

    const NOW_MS: i64 = 1_795_429_200_000;
    /// More than the head and its salt take.
    const HEAD_BYTES: usize = 160;

    /// A snapshot of one person's choice on a disk, and the topic that backs it.
    struct Scene {
        folder: TempDir,
        keys: Arc<KeySet>,
        topic: Topic,
    }

    fn reached(ends: &[(i64, i64)]) -> Vec<Reached> {
        ends.iter().map(|(next, end)| Reached { next: *next, end: *end }).collect()
    }

    fn ring(folder: &Path) -> Arc<KeySet> {
        KeyRing::init(folder).unwrap().snapshot()
    }

    fn key() -> StateKey {
        StateKey::Choice { person: PersonKey::from_bytes([7; 16]).unwrap(), purpose: PurposeId::Reliability }
    }

    impl Scene {
        fn new() -> Self {
            let folder = TempDir::new().unwrap();
            let keys = ring(&folder.path().join("keys"));
            let topic = Topic {
                incarnation: "kafka:cluster/topic".into(),
                reached: reached(&[(0, 12), (0, 40)]),
                age_max_ms: 1_000,
            };
            let scene = Self { folder, keys, topic };
            scene.write(&reached(&[(10, 10), (40, 40)]));
            scene
        }

        fn path(&self) -> PathBuf {
            self.folder.path().join("consent.snapshot")
        }

        fn write(&self, reached: &[Reached]) -> Snapshot {
            let store = ConsentStore::new();
            let StateKey::Choice { person, purpose } = key() else { panic!("a choice") };
            let standing = Standing::new(Status::Given, 3, None).unwrap();
            store.apply(StateRecord::Choice { person, purpose, standing });
            let (ring, topic) = (self.keys.id().bytes(), self.topic.incarnation.to_string());
            let head = Head { ring, written_ms: NOW_MS, topic, reached: reached.to_vec() };
            write(&self.path(), &self.keys, &head, &store).unwrap()
        }

        /// Loads; whatever is refused has put nothing into the store.
        fn load_at(&self, wall_ms: i64) -> Result<Snapshot, SnapshotRefusal> {
            let store = ConsentStore::new();
            let loaded = load(&self.path(), &self.keys, &self.topic, &store, wall_ms);
            assert_eq!(store.current(&key()).is_some(), loaded.is_ok());
            assert_eq!(store.age_ms(0), None, "a snapshot makes nothing current");
            loaded
        }

        fn load(&self) -> Result<Snapshot, SnapshotRefusal> {
            self.load_at(NOW_MS + 1)
        }
    }

    #[test]
    fn snapshot_that_the_topic_backs_is_loaded() {
        let scene = Scene::new();
        let loaded = scene.load().unwrap();
        assert_eq!((loaded.next(), loaded.written_ms), (&[10, 40][..], NOW_MS));
        assert_eq!(loaded.bytes, fs::metadata(scene.path()).unwrap().len());
    }

    #[test]
    fn snapshot_of_another_ring_is_refused() {
        let mut scene = Scene::new();
        scene.keys = ring(&scene.folder.path().join("others"));
        assert_eq!(scene.load(), Err(SnapshotRefusal::OtherRing));
    }

    #[test]
    fn snapshot_that_the_topic_does_not_back_is_refused() {
        let mut scene = Scene::new();
        scene.topic.incarnation = "kafka:cluster/topic-made-anew".into();
        assert_eq!(scene.load(), Err(SnapshotRefusal::OtherTopic));
        let mut scene = Scene::new();
        scene.topic.reached.push(Reached { next: 0, end: 50 });
        assert_eq!(scene.load(), Err(SnapshotRefusal::Repartitioned));
        let mut scene = Scene::new();
        scene.topic.reached[1].end = 39;
        assert_eq!(scene.load(), Err(SnapshotRefusal::Shrank));
        let scene = Scene::new();
        scene.write(&reached(&[(10, 13), (40, 40)]));
        assert_eq!(scene.load(), Err(SnapshotRefusal::Shrank), "it had seen an end that is gone");
    }

    #[test]
    fn snapshot_that_tombstones_may_have_outlived_is_refused() {
        let scene = Scene::new();
        assert!(scene.load_at(NOW_MS + 999).is_ok());
        assert_eq!(scene.load_at(NOW_MS + 1_000), Err(SnapshotRefusal::Aged));
        assert_eq!(scene.load_at(NOW_MS - 1), Err(SnapshotRefusal::Aged), "the clock was set back");
    }

    /// Goal: nothing of a file that was tampered with is taken. Method: bits flipped and cuts, at every byte of the head and many behind it.
    #[test]
    fn snapshot_with_a_flipped_bit_or_a_cut_is_refused() {
        let scene = Scene::new();
        let whole = fs::read(scene.path()).unwrap();
        for at in (0..HEAD_BYTES).chain((HEAD_BYTES..whole.len()).step_by(17)) {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << (at % 8);
            fs::write(scene.path(), &bytes).unwrap();
            assert!(scene.load().is_err(), "flipped in byte {at}");
            fs::write(scene.path(), &whole[..at]).unwrap();
            assert_eq!(scene.load(), Err(SnapshotRefusal::Broken), "cut at {at}");
        }
    }

    #[test]
    fn absence_a_newer_format_and_a_folder_are_told_apart() {
        let scene = Scene::new();
        let mut bytes = fs::read(scene.path()).unwrap();
        bytes[4 + MAGIC.len()] = VERSION + 1;
        fs::write(scene.path(), &bytes).unwrap();
        assert_eq!(scene.load(), Err(SnapshotRefusal::NewerFormat));
        fs::remove_file(scene.path()).unwrap();
        assert_eq!(scene.load(), Err(SnapshotRefusal::Absent));
        fs::create_dir(scene.path()).unwrap();
        assert_eq!(scene.load(), Err(SnapshotRefusal::Unreadable));
    }

    /// Goal: a kill while it is written costs nothing. Method: half a file under the name of a write under way.
    #[test]
    fn snapshot_is_private_and_replaced_whole() {
        let scene = Scene::new();
        let part = scene.folder.path().join("consent.snapshot.part");
        fs::write(&part, "half").unwrap();
        assert!(scene.load().is_ok());
        let written = scene.write(&reached(&[(12, 12), (40, 40)]));
        assert_eq!(scene.load(), Ok(written));
        assert!(!part.exists());
        assert_eq!(fs::metadata(scene.path()).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
