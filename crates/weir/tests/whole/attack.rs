//! Attackers who were given one of each, and how many bytes of value every one of them recovers: `cargo xtask attack` prints the figures.
//!
//! A value is what stands in a row: a text, a number that is no small one, a time, a pseudonym as its bytes or in hex. Names of tables and
//! columns, and days, are no values: both layers leave them in names of folders, and layer A alone in logs. Each attacker searches all bytes, and
//! opens as Parquet whatever opens. Where a layer is switched off the same attacker must find values: else the search proves nothing.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use aho_corasick::AhoCorasick;
use serde_json::Value;
use weir_keys::{SealedObject, StoreKeys};
use weir_policy::PurposeId;
#[cfg(feature = "real-kafka")]
use weir_testkit::corpus::Options;
use weir_testkit::readers::{Endpoint, Engine, attack};

use crate::expected::Expected;
use crate::gate::{end_the_grant, filled, granted, opened, wrong_is_refused};
use crate::program::Weir;
use crate::world::{Settings, World, copy, every_file};

/// Who has all objects, and everything of one layer; or both layers for one purpose.
#[test]
fn one_layer_gives_nothing_and_a_grant_its_purpose_only() {
    let both = Prey::new(true, "encrypted");
    let (files_only, store_only) = (Prey::new(false, "encrypted"), Prey::new(true, "clear"));
    let told = [
        ("all objects", both.with_objects(), 0..1),
        ("all objects, and all that layer A's vault gives", both.with_layer_a(), 0..1),
        ("   the same without layer B", files_only.with_layer_a(), 1_000..u64::MAX),
        ("all objects, and all that layer B's vault gives", both.with_layer_b(), 0..1),
        ("   the same without layer A", store_only.with_layer_b(), 1_000..u64::MAX),
        ("all objects, and reliability's keys and grant: of other purposes", both.with_a_grant(), 0..1),
    ];
    for (who, bytes, _) in &told {
        println!("{bytes:>10} bytes of value: {who}");
    }
    for (who, bytes, wanted) in told {
        assert!(wanted.contains(&bytes), "{who}: {bytes} bytes");
    }
}

/// Whatever is flipped, swapped, cut, removed or set back is found out by `weir lake verify`, which says that an untouched lake is sound.
#[test]
fn what_is_changed_in_a_lake_is_found_out() {
    let prey = Prey::new(true, "encrypted");
    let (world, lake) = (&prey.world, prey.world.path("lake"));
    let verify = || Weir::new(world, ["lake", "verify"]).run();
    let older = copied(world, "older");
    // The same events once more: to weir another file, since it holds them in another order.
    let (file, events) = (world.path("more.ndjson"), fs::read(world.path("events.ndjson")).unwrap());
    let mut lines: Vec<_> = events.split_inclusive(|byte| *byte == b'\n').collect();
    lines.reverse();
    fs::write(&file, lines.concat()).unwrap();
    Weir::new(world, ["filter", "--decision", "TEST-2", file.to_str().unwrap()]).run().assert_done();
    let said = verify().assert_done();
    assert!(said.contains("the ledger is sound"), "{said}");

    let paths: Vec<_> = prey.kinds();
    assert!(paths.len() >= 8, "{paths:?}");
    for (path, other) in paths.iter().zip(paths.iter().cycle().skip(1)) {
        let bytes = fs::read(path).unwrap();
        let mut flipped = bytes.clone();
        flipped[bytes.len() / 2] ^= 1;
        let changes =
            [("flipped", flipped), ("cut", bytes[..bytes.len() / 2].to_vec()), ("swapped", fs::read(other).unwrap())];
        for (how, changed) in changes {
            fs::write(path, changed).unwrap();
            assert!(!verify().status.success(), "{} was {how}, and nobody sees it", path.display());
        }
        fs::write(path, bytes).unwrap();
    }
    verify().assert_done();

    let newer = copied(world, "newer");
    // A table alone, then all of the lake; and a table that is gone.
    for part in ["eu/reliability", "eu"] {
        fs::remove_dir_all(lake.join(part)).unwrap();
        copy(&older.join(part), &lake.join(part));
        assert!(!verify().status.success(), "{part} was set back, and nobody sees it");
        fs::remove_dir_all(lake.join(part)).unwrap();
        copy(&newer.join(part), &lake.join(part));
    }
    fs::remove_dir_all(lake.join("eu/reliability")).unwrap();
    assert!(!verify().status.success(), "a purpose was removed, and nobody sees it");
}

/// Who has a shell on the daemon's machine and no keys: process listings, logs, pages, temporary files. The raw topic shows that the search finds
/// what is there: whoever administers the broker reads what producers do not seal.
#[cfg(feature = "real-kafka")]
#[test]
fn shell_without_keys_gives_nothing() {
    use crate::broker::Broker;
    use crate::program::{Daemon, has_committed};
    use crate::world::name;

    let broker = Broker::given();
    let settings = Settings {
        commit_interval: "1s",
        sealed: true,
        files: "encrypted",
        ..Settings::of_kafka(&broker.address, &name("attack"))
    };
    let world = World::new(&settings);
    broker.create_topics(&settings, 2);
    let corpus = world.corpus(29, Options { people: 200, tenants: 20, events: EVENTS, ..Options::ending(0) });
    let events = || (0..EVENTS).map(|number| corpus.event(number));
    broker.consent(&settings, world.consents(&corpus));
    let topic = &settings.kafka.as_ref().unwrap().topic;
    broker.produce(topic, 2, events());
    let mut lines: Vec<_> = events().filter_map(|event| String::from_utf8(event.value?).ok()).collect();
    Expected::split(&world, &corpus, world.consents(&corpus), events(), |row| {
        lines.push(row.to_owned());
        true
    });
    let values = Values::telling(&world, &lines);

    let mut daemon = Daemon::start(&world, ["-vv"]);
    daemon.until("all is committed", |daemon| has_committed(daemon, EVENTS));
    let mut seen: Vec<u8> = ["/metrics", "/readyz", "/version"].map(|page| daemon.page(page)).concat().into_bytes();
    for process in fs::read_dir("/proc").unwrap() {
        // Some end meanwhile, and not every one is ours to look at.
        seen.extend(fs::read(process.unwrap().path().join("cmdline")).unwrap_or_default());
    }
    assert!(seen.windows(8).any(|part| part == b"weir.tom"), "the listing has the daemon");
    seen.extend(fs::read(format!("/proc/{}/environ", daemon.id())).unwrap_or_default());
    daemon.signal("TERM");
    let ended = daemon.end(std::time::Duration::from_secs(30));
    assert!(ended.stderr.contains("its own folders"), "{}", ended.stderr);
    ended.assert_done();
    let mut told = vec![("process listings, pages", values.in_bytes(&seen))];
    for (what, folder) in [("logs", "output"), ("temporary folders", "tmp"), ("the lake", "lake")] {
        told.push((what, values.in_folder(&world.path(folder))));
    }
    let raw = values.in_bytes(&broker.bytes_of(topic));
    println!("{raw:>10} bytes of value: a copy of the raw topic, of producers that do not seal");
    for (what, bytes) in &told {
        println!("{bytes:>10} bytes of value: a shell without keys, {what}");
    }
    assert!(raw > 10_000, "the search finds nothing where everything is");
    assert!(told.iter().all(|(_, bytes)| *bytes == 0), "{told:?}");
}

/// A lake that somebody is after.
struct Prey {
    world: World,
    expected: Expected,
    values: Values,
}

impl Prey {
    fn new(sealed: bool, files: &'static str) -> Self {
        let mut lines = Vec::new();
        let (world, expected) =
            filled(&Settings { sealed, files, ..Settings::default() }, |row| lines.push(row.to_owned()));
        let values = Values::of(&world, &lines);
        Self { world, expected, values }
    }

    fn lake(&self) -> PathBuf {
        self.world.path("lake")
    }

    fn with_objects(&self) -> u64 {
        self.recovered(&self.lake(), &[])
    }

    fn with_layer_a(&self) -> u64 {
        self.recovered(&self.lake(), &PurposeId::ALL)
    }

    /// Opens every object with the store's keys, and looks at what is inside.
    fn with_layer_b(&self) -> u64 {
        let keys = StoreKeys::open(&self.world.path("store-keys")).unwrap();
        let opened = self.world.path("opened");
        for path in every_file(&self.lake()) {
            let place = path.strip_prefix(self.lake()).unwrap();
            let bytes = fs::read(&path).unwrap();
            let text = unsealed(&keys, place.to_str().unwrap(), &bytes).unwrap_or(bytes);
            fs::create_dir_all(opened.join(place).parent().unwrap()).unwrap();
            fs::write(opened.join(place), text).unwrap();
        }
        let bytes = self.recovered(&opened, &[]);
        fs::remove_dir_all(opened).unwrap();
        bytes
    }

    /// Reads all of reliability through the gate, and tries what else there is, also once the grant is over; returns the bytes of value of
    /// other purposes.
    fn with_a_grant(&self) -> u64 {
        let (endpoint, mut gate) = opened(&self.world, "https");
        let (names, digests) = granted(&self.expected);
        let snippets = |reader| names.iter().map(|name| self.snippet(&endpoint, name, reader)).collect::<Vec<_>>();
        let read = |engine: Engine, snippets: &[(String, String)]| {
            let paths: Vec<_> = snippets.iter().map(|(path, _)| path.clone()).collect();
            engine.digests_at(&endpoint, &paths)
        };
        let [polars, pyarrow, spark] = ["polars", "pyarrow", "spark"].map(snippets);
        let whole = [(Engine::PolarsKeys, &polars), (Engine::PyArrowKeys, &pyarrow), (Engine::SparkKeys, &spark)];
        for (engine, snippets) in whole {
            assert_eq!(read(engine, snippets).as_ref(), Ok(&digests), "both layers, for who may: {engine:?}");
        }
        let flat = read(Engine::DuckDbKeys, &snippets("duckdb"));
        assert_eq!(
            flat,
            read(Engine::PyArrowFlatKeys, &pyarrow),
            "DuckDB reads no arrays and structs of encrypted files"
        );
        assert!(flat.is_ok());

        // One table, as Spark takes long to start.
        let (event_type, _) = self.expected.of_purpose(PurposeId::Troubleshooting).next().unwrap();
        let (own, other) = (names[0].replacen("s3", "s3a", 1), format!("s3a://eu/troubleshooting/{event_type}"));
        wrong_is_refused(Engine::SparkKeys, &endpoint, &self.forged(&spark[0].1, &own, &other));
        let mut others = 0;
        for purpose in [PurposeId::Troubleshooting, PurposeId::Personalization] {
            for (event_type, _) in self.expected.of_purpose(purpose) {
                let place = format!("s3://eu/{}/{event_type}", purpose.name());
                let tables = [place.clone(), self.forged(&pyarrow[0].1, &names[0], &place)];
                for (engine, table) in
                    [(Engine::Deltalake, &tables[0]), (Engine::PyArrow, &tables[0]), (Engine::PyArrowKeys, &tables[1])]
                {
                    let read = engine.digests_at(&endpoint, std::slice::from_ref(table));
                    others += read.map_or(0, |digests| digests[0].rows);
                }
            }
        }
        end_the_grant(&self.world, &mut gate);
        for (engine, snippets) in whole {
            wrong_is_refused(engine, &endpoint, &snippets[0].0);
        }
        others + self.recovered(&self.lake(), &[PurposeId::Reliability])
    }

    /// Lets keys that were handed out open another place; returns where that is said.
    fn forged(&self, snippet: &str, own: &str, other: &str) -> String {
        let (forged, text) = (self.world.path("forged"), snippet.replace(own, other));
        assert_ne!(snippet, text);
        fs::write(&forged, text).unwrap();
        forged.display().to_string()
    }

    /// Has `weir keys reader` print what opens a table through the gate; returns where that is, and what it says.
    fn snippet(&self, endpoint: &Endpoint, name: &str, reader: &str) -> (String, String) {
        let table = name.trim_start_matches("s3://eu/");
        let arguments = ["keys", "reader", table, "--for", reader, "--gate", &endpoint.url];
        let text = Weir::new(&self.world, arguments).run().assert_done();
        let path = self.world.path(&format!("{}.{reader}", table.replace('/', "-")));
        fs::write(&path, &text).unwrap();
        (path.display().to_string(), text)
    }

    /// Returns the bytes of value in what lies in a folder, and in what opens there with the keys of some purposes' tables.
    fn recovered(&self, folder: &Path, purposes: &[PurposeId]) -> u64 {
        let mut keys = Vec::new();
        for purpose in purposes {
            for (event_type, _) in self.expected.of_purpose(*purpose) {
                let table = format!("{}/{event_type}", purpose.name());
                let printed = Weir::new(&self.world, ["keys", "reader", &table]).run().assert_done();
                keys.extend(serde_json::from_str::<Vec<Value>>(&printed).unwrap());
            }
        }
        assert!(purposes.is_empty() || !keys.is_empty());
        let file = self.world.path("keys.json");
        fs::write(&file, serde_json::to_vec(&keys).unwrap()).unwrap();
        self.values.in_folder(folder) + attack(&file, folder)
    }

    /// Returns an object of each kind.
    fn kinds(&self) -> Vec<PathBuf> {
        let mut kinds = BTreeMap::new();
        for path in every_file(&self.lake().join("eu")) {
            let below = path.strip_prefix(self.lake().join("eu")).unwrap();
            let folder = below.iter().next().unwrap().to_owned();
            let is_log = below.iter().any(|part| part == "_delta_log");
            kinds.insert((folder, is_log), path);
        }
        kinds.into_values().collect()
    }
}

/// What stands in rows, to be searched for.
struct Values(AhoCorasick);

impl Values {
    fn of(world: &World, lines: &[String]) -> Self {
        // Zeros and the like stand anywhere.
        let letters = |text: &str| text.bytes().collect::<BTreeSet<_>>().len();
        Self::such(world, lines, |text| text.len() >= SHORTEST && letters(text) > 3)
    }

    /// Only those that stand nowhere by chance, not even in text that people wrote.
    #[cfg(feature = "real-kafka")]
    fn telling(world: &World, lines: &[String]) -> Self {
        let digits = |text: &str| text.bytes().filter(u8::is_ascii_digit).count();
        let kinds = |text: &str| text.bytes().collect::<BTreeSet<_>>().len();
        Self::such(world, lines, |text| digits(text) >= DIGITS && kinds(text) > 4)
    }

    fn such(world: &World, lines: &[String], is_telling: impl Fn(&str) -> bool) -> Self {
        let contracts = world.policy.contracts();
        let mut names: BTreeSet<String> = contracts.iter().map(|contract| contract.event_type.clone()).collect();
        names.extend(PurposeId::ALL.map(|purpose| purpose.name().to_owned()));
        let mut values = HashSet::new();
        for line in lines {
            // A broken event has no values.
            let Ok(row) = serde_json::from_str(line) else { continue };
            collect(&row, &mut |text, is_number| {
                let is_day = text.len() == 10 && text.as_bytes()[4] == b'-';
                if names.contains(text) || is_day || !is_telling(text) {
                    return;
                }
                if is_number && let Ok(number) = text.parse::<i64>() {
                    values.insert(number.to_le_bytes().to_vec());
                }
                if text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                    let pairs = text.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
                    values.insert(pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect());
                }
                values.insert(text.as_bytes().to_vec());
            });
        }
        assert!(values.len() > 1_000, "{} values", values.len());
        Self(AhoCorasick::new(values).unwrap())
    }

    fn in_bytes(&self, bytes: &[u8]) -> u64 {
        self.0.find_iter(bytes).map(|found| u64::try_from(found.len()).unwrap()).sum()
    }

    fn in_folder(&self, folder: &Path) -> u64 {
        every_file(folder).iter().map(|path| self.in_bytes(&fs::read(path).unwrap())).sum()
    }
}

/// Hands out the texts and numbers in a value; numbers are told apart.
fn collect(value: &Value, take: &mut impl FnMut(&str, bool)) {
    match value {
        Value::String(text) => take(text, false),
        Value::Number(number) => take(&number.to_string(), true),
        Value::Array(items) => items.iter().for_each(|item| collect(item, take)),
        Value::Object(members) => members.values().for_each(|member| collect(member, take)),
        Value::Null | Value::Bool(_) => {}
    }
}

fn unsealed(keys: &StoreKeys, place: &str, bytes: &[u8]) -> io::Result<Vec<u8>> {
    let head = bytes.get(..SealedObject::HEAD_BYTES).ok_or(io::ErrorKind::UnexpectedEof)?;
    let object = keys.open_object(place, head, u64::try_from(bytes.len()).unwrap())?;
    let at = |bytes: u64| usize::try_from(bytes).unwrap();
    object.read(0..object.len(), |part| Ok(bytes[at(part.start)..at(part.end)].to_vec()))
}

fn copied(world: &World, name: &str) -> PathBuf {
    copy(&world.path("lake"), &world.path(name));
    world.path(name)
}

#[cfg(feature = "real-kafka")]
const EVENTS: u64 = 2_000;
#[cfg(feature = "real-kafka")]
const DIGITS: usize = 10;
/// What is shorter stands anywhere by chance, in names of tables for one.
const SHORTEST: usize = 8;
