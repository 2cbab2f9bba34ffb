//! A lake in a bucket of an object store, with the readers that people use.

use std::fs;
use std::os::unix::fs::symlink;
use std::time::{Duration, SystemTime};

use weir_policy::PurposeId;
use weir_testkit::object_store::{BUCKET, ID, REGION, SECRET, Store};
use weir_testkit::readers::{Digest, Endpoint, Engine};

use crate::expected::Expected;
use crate::gate::{filled_in, granted, opened};
use crate::program::Weir;
use crate::world::{Settings, World, every_file};

/// A store, and the settings of a lake in it.
pub(crate) struct Place {
    pub(crate) store: Store,
    pub(crate) settings: Settings,
    _folder: tempfile::TempDir,
}

impl Place {
    pub(crate) fn new(settings: Settings) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::start(folder.path());
        let (id, secret) = (store.id_file().display().to_string(), store.secret_file().display().to_string());
        let s3 = format!(
            "[lake.s3]\nendpoint = \"{}\"\nregion = \"{REGION}\"\naccess_key = \"file:{id}\"\n\
             secret_key = \"file:{secret}\"\ntimeout = \"5s\"\n",
            store.address()
        );
        let root = Some(format!("s3://{BUCKET}/team/lake"));
        let settings = Settings { root, more: format!("{s3}{}", settings.more), ..settings };
        Self { store, settings, _folder: folder }
    }

    /// Lets the tests find the objects where those of a folder would be.
    pub(crate) fn show_in(&self, world: &World) {
        symlink(self.store.bucket().join("team/lake"), world.path("lake")).unwrap();
    }

    fn endpoint(&self) -> Endpoint {
        let text = str::to_owned;
        let (region, access_key, secret) = (text(REGION), text(ID), text(SECRET));
        Endpoint { url: self.store.address(), ca: "no TLS on this machine".into(), region, access_key, secret }
    }

    /// Demands that each engine reads exactly these rows, from the store and not from behind it.
    #[track_caller]
    pub(crate) fn assert_read(&self, expected: &Expected, engines: &[Engine]) {
        let tables = PurposeId::ALL.into_iter().flat_map(|purpose| {
            let place = move |event_type: &str| format!("s3://{BUCKET}/team/lake/eu/{}/{event_type}", purpose.name());
            expected.of_purpose(purpose).map(move |(event_type, digest)| (place(event_type), digest))
        });
        let (names, digests): (Vec<String>, Vec<Digest>) = tables.unzip();
        for engine in engines {
            assert_eq!(engine.digests_at(&self.endpoint(), &names).as_ref(), Ok(&digests), "{engine:?}");
        }
    }
}

/// Files into a bucket: what four readers read there is what the reference makes, the verbs work, and nothing tells the credentials.
#[test]
fn files_go_into_a_bucket_and_come_back_by_every_reader() {
    let place = Place::new(Settings::default());
    let (world, expected) = filled_in(&place.settings, |world| place.show_in(world), |_| ());
    assert!(expected.rows() > 1_000, "{} rows prove little", expected.rows());
    place.assert_read(&expected, &Engine::REMOTE);
    let verb = |line: &str| Weir::new(&world, line.split(' ')).run();
    let file = world.path("events.ndjson");
    verb(&format!("filter --decision TEST-1 {}", file.display())).assert_done();
    place.assert_read(&expected, &[Engine::Deltalake]);
    let listed = verb("lake ls").assert_done();
    assert!(listed.contains(&format!("s3://{BUCKET}/team/lake/eu")), "{listed}");
    for line in ["audit", "audit --ledger", "lake verify", "lake vacuum --older-than 0s --force", "lake expire"] {
        verb(line).assert_done();
    }
    place.assert_read(&expected, &[Engine::DuckDb]);
    for path in every_file(&world.path("output")) {
        let text = fs::read_to_string(&path).unwrap();
        assert!(!text.contains(SECRET) && !text.contains(ID), "{}: {text}", path.display());
    }
}

/// A lake with both layers in a bucket: its objects tell nothing, and the gate serves them as rows.
#[test]
fn sealed_lake_in_a_bucket_is_read_through_the_gate() {
    let place = Place::new(Settings { sealed: true, ..Settings::default() });
    let (world, expected) = filled_in(&place.settings, |world| place.show_in(world), |_| ());
    assert_eq!(crate::sealed::versions(&world), [1]);
    let (endpoint, _gate) = opened(&world, "https");
    let (names, digests) = granted(&expected);
    for engine in [Engine::Deltalake, Engine::PyArrow] {
        assert_eq!(engine.digests_at(&endpoint, &names).as_ref(), Ok(&digests), "{engine:?}");
    }
    let other = "s3://eu/troubleshooting/com.example.checkout.completed".to_owned();
    assert!(Engine::Deltalake.digests_at(&endpoint, &[other]).is_err(), "a table that was not granted was read");
    let verb = |line: &str| Weir::new(&world, line.split(' ')).run();
    verb("keys rotate-store").assert_done();
    verb("lake reseal").assert_done();
    assert_eq!(crate::sealed::versions(&world), [2]);
    // A bucket does not show what is under way to it, so all that was begun with the old version gets its time.
    let why = verb("keys destroy --store-version 1").assert_refused(77);
    assert!(why.contains("under way to the bucket"), "{why}");
    let newest = fs::File::open(world.path("store-keys/2")).unwrap();
    newest.set_modified(SystemTime::now() - Duration::from_mins(61)).unwrap();
    verb("keys destroy --store-version 1").assert_done();
    verb("audit").assert_done();
}

/// What cannot be is said in words before anything is written.
#[test]
fn bucket_that_cannot_be_used_is_refused_in_words() {
    let mut place = Place::new(Settings::default());
    let world = World::new(&place.settings);
    fs::write(world.path("consent.ndjson"), "").unwrap();
    fs::write(world.path("events.ndjson"), "{}\n").unwrap();
    let filter = |more: &[&str]| {
        let file = world.path("events.ndjson");
        let line = ["filter", "--decision", "TEST-1", file.to_str().unwrap()].into_iter().chain(more.iter().copied());
        Weir::new(&world, line.collect::<Vec<_>>()).run()
    };
    // VersityGW takes the demand to encrypt, and drops it without a word.
    let kms = ["--set", "lake.store=provider", "--set", "lake.s3.kms_key=1234abcd"];
    let why = filter(&kms).assert_refused(74);
    assert!(why.contains("does not confirm that it encrypts"), "{why}");
    assert!(every_file(&place.store.bucket()).is_empty(), "what was not confirmed is taken back");
    let why = filter(&["--set", "lake.root=s3://weir-other/lake"]).assert_refused(74);
    assert!(why.contains("NoSuchBucket"), "{why}");
    let why = filter(&["--set", "lake.s3.endpoint=http://s3.example.com"]).assert_refused(78);
    assert!(why.contains("s3_endpoint"), "{why}");
    place.store.kill();
    let why = filter(&[]).assert_refused(74);
    assert!(why.contains("no connection to the store") && !why.contains(SECRET), "{why}");
}
