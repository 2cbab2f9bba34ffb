//! A small world for the lake's tests: a policy, a key ring, people who said yes, and a folder.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use parking_lot::Mutex;
use tempfile::TempDir;
use weir_bucket::{Bucket, Credentials, Endpoint, Root, Secret, Settings};
use weir_consent::{Agreement, ConsentStore, Standing, StateRecord, Status};
use weir_filter::{Filter, Filtered, Headers, Limits, Origin, Record};
use weir_keys::{KeyRing, LakeKey, StoreKeys, canonical};
use weir_lake::{
    AuditReport, ClosedBatch, CommitError, DataFiles, Lake, LakeConfig, PartitionId, Position, Receipt, Recheck, Span,
    TableName, Written,
};
use weir_ledger::Ledger;
use weir_policy::{Faults, Policy, PurposeId, Source};
use weir_testkit::object_store::{BUCKET, REGION, Store};

use crate::reader::{self, STORE_KEYS};

/// Whether lakes are encrypted: the same tests run once in clear, and once as the test `encrypted`.
pub(crate) const ENCRYPTED: bool = matches!(env!("CARGO_CRATE_NAME").as_bytes(), b"encrypted");
/// Whether lakes lie in a bucket: the same tests run on it as the test `bucket`, where a world's root is the folder behind the store.
pub(crate) const IN_BUCKET: bool = matches!(env!("CARGO_CRATE_NAME").as_bytes(), b"bucket");
/// 2026-11-23T10:20:00Z.
pub(crate) const NOW_MS: i64 = 1_795_429_200_000;
pub(crate) const DAY_MS: i64 = 86_400_000;

/// Writes a contract about a user, with one field beside.
macro_rules! contract {
    ($event_type:literal, $field:literal) => {
        concat!(
            "[event]\ntype = \"",
            $event_type,
            "\"\nversion = 1\ndescription = \"Somebody did something.\"\nbenefit = \"Lets tests see rows.\"\n",
            "owner = \"lake-team\"\nreview = \"https://reviews.example/1\"\nexpires = 2030-01-01\nsubject = \"user\"\n",
            "[fields.user]\nclass = \"identifier\"\nkind = \"user\"\ncategory = \"user.unique_id\"\n",
            $field,
        )
    };
}

/// A contract for two purposes, and one for reliability alone.
pub(crate) const SHOP: &str = contract!(
    "test.shop",
    r#"
[fields."what"]
class    = "word"
values   = ["chair", "table"]
category = "system.operations"
purposes = ["troubleshooting", "reliability"]
"#
);
pub(crate) const SPEED: &str = contract!(
    "test.speed",
    r#"
[fields."took"]
class    = "measure"
type     = "uint32"
category = "system.operations"
purposes = ["reliability"]
"#
);

pub(crate) struct World {
    pub(crate) policy: Arc<Policy>,
    pub(crate) ring: KeyRing,
    pub(crate) store: ConsentStore,
    place: Root,
    /// The store of a lake in a bucket.
    pub(crate) object_store: Option<Mutex<Store>>,
    folder: TempDir,
}

impl World {
    /// Makes a world with these contracts, in which everyone named `u0` to `u99` said yes.
    pub(crate) fn new(contracts: &[&str]) -> Self {
        let policy = policy(contracts);
        let folder = TempDir::new().unwrap();
        let ring = KeyRing::init(&folder.path().join("keys")).unwrap();
        ring.ensure_epochs(policy.purposes(), NOW_MS).unwrap();
        ring.ensure_tenant("acme").unwrap();
        let store = ConsentStore::new();
        store.mark_current(i64::MAX);
        let object_store = IN_BUCKET.then(|| Store::start(folder.path()));
        let place = match &object_store {
            Some(store) => Root::Bucket(bucket(store)),
            None => folder.path().join("lake").into(),
        };
        let world = Self { policy, ring, store, place, object_store: object_store.map(Mutex::new), folder };
        reader::remember(world.root().join("eu"), world.ring.live());
        let standing = Standing::new(Status::Given, NOW_MS - 400 * DAY_MS, None).unwrap();
        for purpose in PurposeId::ALL {
            let agreement = Agreement { standing, regions: None };
            world.store.apply(StateRecord::Agreement { tenant: "acme".into(), purpose, agreement });
            (0..100).for_each(|user| world.choose(&format!("u{user}"), purpose, Status::Given, NOW_MS - 400 * DAY_MS));
        }
        world
    }

    pub(crate) fn choose(&self, user: &str, purpose: PurposeId, status: Status, at_ms: i64) {
        let person = self.ring.snapshot().person_key("acme", "user", &canonical(user));
        let standing = Standing::new(status, at_ms, None).unwrap();
        self.store.apply(StateRecord::Choice { person, purpose, standing });
    }

    pub(crate) fn withdraw(&self, user: &str, purpose: PurposeId) {
        self.choose(user, purpose, Status::Withdrawn, NOW_MS - 1);
    }

    pub(crate) fn key(&self) -> LakeKey {
        self.ring.snapshot().lake_key("lake")
    }

    pub(crate) fn ledger(&self) -> Ledger {
        let key = self.ring.snapshot().signing_key("ledger");
        self.config().ledger(key, self.ring.head_file("eu"))
    }

    /// Returns the folder that everything of the lake lies in, also where that is behind a store.
    pub(crate) fn root(&self) -> PathBuf {
        let folder = self.folder.path();
        if self.object_store.is_some() { folder.join(BUCKET).join("lake") } else { folder.join("lake") }
    }

    /// Returns what the kernel works on.
    pub(crate) fn objects(&self) -> Arc<dyn ObjectStore> {
        match &self.place {
            Root::Folder(_) => Arc::new(LocalFileSystem::new()),
            Root::Bucket(bucket) => bucket.store().unwrap(),
        }
    }

    pub(crate) fn table_path(&self, table: &TableName) -> PathBuf {
        self.root().join("eu").join(table.to_string())
    }

    /// Makes a world whose lake is sealed with store keys.
    pub(crate) fn sealed(contracts: &[&str]) -> Self {
        let world = Self::new(contracts);
        StoreKeys::init(&world.store_keys()).unwrap();
        world
    }

    pub(crate) fn store_keys(&self) -> PathBuf {
        self.root().with_file_name(STORE_KEYS)
    }

    pub(crate) fn config(&self) -> LakeConfig {
        let folder = self.store_keys();
        let store_keys = folder.exists().then(|| Arc::new(StoreKeys::open(&folder).unwrap()));
        let files = if ENCRYPTED { self.encrypted() } else { DataFiles::Clear };
        LakeConfig { store_keys, files, ..LakeConfig::new(self.place.clone(), "eu", "weir") }
    }

    pub(crate) fn encrypted(&self) -> DataFiles {
        DataFiles::Encrypted(self.ring.live())
    }

    pub(crate) fn open(&self) -> Lake {
        Lake::open(self.config(), &self.key(), self.ledger()).unwrap()
    }

    pub(crate) fn open_with(&self, objects: Arc<dyn ObjectStore>) -> Lake {
        // One thread, so that tests know in which order tables are committed.
        let config = LakeConfig { commit_threads: 1, ..self.config() };
        Lake::open_with_store(config, &self.key(), self.ledger(), objects).unwrap()
    }

    /// Filters events whose offsets start at `from` in partition `number`.
    pub(crate) fn batch(&self, number: i32, from: i64, events: &[String]) -> ClosedBatch {
        self.batches(&[(number, from, events)])
    }

    /// Filters events of several partitions.
    pub(crate) fn batches(&self, parts: &[(i32, i64, &[String])]) -> ClosedBatch {
        let mut filtered = Filtered::default();
        let view = self.store.view(NOW_MS, i64::MAX).unwrap();
        let mut filter = Filter::new(self.policy.clone(), self.ring.snapshot(), Limits::default(), "eu".to_owned());
        let mut spans = Vec::new();
        for ((number, from, events), origin) in parts.iter().zip(0..) {
            let record = |(position, event): (i64, &'_ String)| (position, event.clone());
            let events: Vec<_> = (*from..).zip(events.iter()).map(record).collect();
            let records: Vec<_> = events
                .iter()
                .map(|(position, event)| Record::new(Origin(origin), *position, Some(event.as_bytes()), Headers::NONE))
                .collect();
            filter.apply(&records, &view, NOW_MS, &mut filtered);
            let to = from + i64::try_from(events.len()).unwrap();
            spans.push((Origin(origin), Span { partition: partition(*number), from: *from, to }));
        }
        ClosedBatch { filtered, spans, policy: self.policy.clone(), consent_position: 7 }
    }

    pub(crate) fn commit(&self, lake: &Lake, batch: ClosedBatch) -> Result<Receipt, CommitError> {
        let now_ms = &|| NOW_MS;
        lake.commit(batch, Recheck { store: &self.store, max_staleness_ms: 5000, elapsed_ms: now_ms, now_ms })
    }

    /// Commits a batch, and lets something happen after it was admitted and before anything is written.
    pub(crate) fn commit_at(
        &self,
        lake: &Lake,
        batch: ClosedBatch,
        meanwhile: &(dyn Fn() + Sync),
    ) -> Result<Receipt, CommitError> {
        let is_first = AtomicBool::new(true);
        // The first to ask for the time is the batch, once it is admitted.
        let now_ms = || {
            if is_first.swap(false, Ordering::Relaxed) {
                meanwhile();
            }
            NOW_MS
        };
        lake.commit(
            batch,
            Recheck { store: &self.store, max_staleness_ms: 5000, elapsed_ms: &|| NOW_MS, now_ms: &now_ms },
        )
    }

    /// Takes a partition, filters events from where the lake ends, and commits them.
    pub(crate) fn add(&self, lake: &Lake, number: i32, events: &[String]) -> Written {
        let from = take(lake, number).watermark.unwrap_or(0);
        self.commit(lake, self.batch(number, from, events)).unwrap().written()
    }
}

/// Returns the bucket of a store, spoken to as it is in a configuration.
pub(crate) fn bucket(store: &Store) -> Bucket {
    Bucket::new(Settings {
        bucket: BUCKET.to_owned(),
        prefix: "lake".to_owned(),
        endpoint: Endpoint::parse(&store.address()),
        region: REGION.to_owned(),
        credentials: Credentials::Given {
            id: Secret::File(store.id_file()),
            secret: Secret::File(store.secret_file()),
            token: None,
        },
        ca: None,
        timeout: Duration::from_secs(10),
        kms_key: None,
    })
}

pub(crate) fn policy(contracts: &[&str]) -> Arc<Policy> {
    let sources: Vec<_> =
        contracts.iter().enumerate().map(|(at, text)| Source::new(format!("{at}.toml"), *text)).collect();
    let parsed = Policy::parse(&sources, None, Faults::default());
    Arc::new(parsed.unwrap_or_else(|report| panic!("{report:?}")).0)
}

pub(crate) fn partition(number: i32) -> PartitionId {
    PartitionId { source: "kafka:cluster:topic".into(), topic: "telemetry".into(), partition: number }
}

pub(crate) fn take(lake: &Lake, number: i32) -> Position {
    lake.positions(&[partition(number)], NOW_MS).unwrap().remove(0)
}

pub(crate) fn shop(user: &str) -> String {
    event("test.shop", &format!(r#"{{"user": "{user}", "what": "chair"}}"#))
}

pub(crate) fn speed(user: &str) -> String {
    event("test.speed", &format!(r#"{{"user": "{user}", "took": 48}}"#))
}

/// Writes an event of ten minutes ago; ids differ by content only, which is enough here.
pub(crate) fn event(event_type: &str, data: &str) -> String {
    format!(
        r#"{{"specversion": "1.0", "id": "{}", "source": "/test", "type": "{event_type}", "time": "2026-11-23T10:10:30Z",
        "tenant": "acme", "data": {data}}}"#,
        blake3::hash(data.as_bytes())
    )
}

pub(crate) fn shops(users: std::ops::Range<u32>) -> Vec<String> {
    users.map(|user| shop(&format!("u{user}"))).collect()
}

pub(crate) fn speeds(users: std::ops::Range<u32>) -> Vec<String> {
    users.map(|user| speed(&format!("u{user}"))).collect()
}

pub(crate) fn shop_table() -> TableName {
    TableName::events(PurposeId::Reliability, "test.shop")
}

pub(crate) fn speed_table() -> TableName {
    TableName::events(PurposeId::Reliability, "test.speed")
}

/// Proves the lake, every byte of it, and returns what was counted.
pub(crate) fn audited(lake: &Lake) -> AuditReport {
    let report = lake.audit(true).unwrap();
    assert!(report.is_sound(), "{:?}", report.discrepancies);
    report
}

/// Returns the number of records with a fate, for reliability.
pub(crate) fn counted(report: &AuditReport, fate: &str, reason: Option<&str>) -> u64 {
    let key = ("reliability".to_owned(), fate.to_owned(), reason.map(str::to_owned));
    report.fates.get(&key).copied().unwrap_or(0)
}
