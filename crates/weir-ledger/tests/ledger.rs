//! The ledger from outside: a chain that writers share, and everything that breaks it.
#![expect(clippy::unwrap_used, reason = "a test says what went wrong by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use weir_keys::KeyRing;
use weir_ledger::{Collector, Decision, Entry, Fault, Ledger, LedgerError, PolicyInForce, sha256_hex};

/// 2026-11-28T23:59:00Z: the chain goes past midnight.
const NOW_MS: i64 = 1_795_910_340_000;
const MINUTE_MS: i64 = 60_000;

struct World {
    folder: TempDir,
    ring: KeyRing,
}

impl World {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let ring = KeyRing::init(&folder.path().join("keys")).unwrap();
        Self { folder, ring }
    }

    fn ledger(&self) -> Ledger {
        Ledger::new(self.path(""), self.ring.snapshot().signing_key("ledger"), self.ring.head_file("eu"))
    }

    fn path(&self, entry: &str) -> PathBuf {
        self.folder.path().join("lake/eu/_ledger").join(entry)
    }

    /// Adds entries 1 to `count`, a minute after each other, behind the first one.
    fn filled(count: i64) -> Self {
        let world = Self::new();
        let ledger = world.ledger();
        for number in 1..=count {
            let head = ledger.append(NOW_MS + number * MINUTE_MS, receipts(number)).unwrap();
            assert_eq!(i64::try_from(head.seq).unwrap(), number);
        }
        world
    }

    fn faults(&self) -> Vec<Fault> {
        self.ledger().verify(&[]).unwrap().faults
    }

    fn kept(&self) -> String {
        fs::read_to_string(self.ring.head_file("eu").path()).unwrap()
    }
}

fn receipts(number: i64) -> Entry {
    Entry::Receipts { digests: vec![sha256_hex(&number.to_le_bytes())] }
}

/// Where the entries of `World::filled` lie: the one that comes first after midnight closes the day before.
const ENTRIES: [&str; 5] = [
    "00000000000000000000.json",
    "2026-11-29/00000000000000000001.json",
    "2026-11-29/00000000000000000002.json",
    "2026-11-29/00000000000000000003.json",
    "2026-11-29/00000000000000000004.json",
];

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            assert!(fs::copy(entry.path(), target).is_ok());
        }
    }
}

#[test]
fn chain_is_sound_and_goes_past_midnight() {
    let world = World::new();
    let ledger = world.ledger();
    for at in [0, 30_000, MINUTE_MS, 2 * MINUTE_MS] {
        ledger.append(NOW_MS + at, receipts(at)).unwrap();
    }
    let verified = world.ledger().verify(&[]).unwrap();
    assert_eq!(verified.faults, []);
    let paths: Vec<_> = verified.entries.iter().map(|entry| entry.path.as_str()).collect();
    let want = [
        "00000000000000000000.json",
        "2026-11-28/00000000000000000001.json",
        "2026-11-28/00000000000000000002.json",
        // The first of a new day: where it lies follows from the one before it.
        "2026-11-28/00000000000000000003.json",
        "2026-11-29/00000000000000000004.json",
    ];
    assert_eq!(paths, want);
    assert_eq!(verified.head.unwrap().jws, world.kept().trim());
}

/// Two writers with clocks on both sides of midnight contend for each entry and make one chain.
#[test]
fn two_writers_make_one_chain() {
    let world = World::new();
    std::thread::scope(|scope| {
        for writer in 0..2 {
            let ledger = world.ledger();
            scope.spawn(move || {
                for number in 0..50 {
                    ledger.append(NOW_MS + writer * 2 * MINUTE_MS, receipts(number)).unwrap();
                }
            });
        }
    });
    let verified = world.ledger().verify(&[]).unwrap();
    assert_eq!(verified.faults, []);
    assert_eq!(verified.entries.len(), 101);
}

#[test]
fn entry_that_follows_from_the_past_is_decided_again_when_another_was_faster() {
    let world = World::new();
    let (one, two) = (world.ledger(), world.ledger());
    let skip = |tables: &[&str]| {
        let tables = tables.iter().map(|table| (*table).to_owned()).collect();
        Entry::Decision(Decision::Skip { tables })
    };
    let told = |ledger: &Ledger, entry: &Entry| {
        ledger.append_if::<LedgerError>(NOW_MS, |past| {
            Ok((past.last("decision.skip")?.as_ref() != Some(entry)).then(|| entry.clone()))
        })
    };
    assert!(told(&one, &skip(&["a"])).unwrap().is_some());
    assert!(told(&two, &skip(&["a"])).unwrap().is_none(), "the other writer's entry is read first");
    one.append(NOW_MS, receipts(1)).unwrap();
    assert!(told(&two, &skip(&[])).unwrap().is_some());
    let found = one.look::<_, LedgerError>(|past| past.back("decision.skip").collect::<Result<Vec<_>, _>>());
    assert_eq!(found.unwrap(), [(NOW_MS, skip(&[])), (NOW_MS, skip(&["a"]))]);
}

fn policy(by: Collector, fields: &[&str]) -> Entry {
    let fields: Vec<_> = fields.iter().map(|field| format!(r#""{field}": ["reliability"]"#)).collect();
    let exposes = serde_json::from_str(&format!(r#"{{"a": {{{}}}}}"#, fields.join(","))).unwrap();
    Entry::Policy(PolicyInForce { by, hash: fields.join(" "), exposes })
}

/// Nothing is exposed at a time of which nothing is known; later, what every policy since exposes, of both collectors.
#[test]
fn what_was_exposed_is_what_was_at_every_moment_since() {
    let world = World::new();
    let ledger = world.ledger();
    let told = |minute: i64, entry| drop(ledger.append(NOW_MS + minute * MINUTE_MS, entry).unwrap());
    let since = |minute: i64| {
        let exposed = ledger.look::<_, LedgerError>(|past| past.exposed_since(NOW_MS + minute * MINUTE_MS)).unwrap();
        exposed.iter().map(|(_, field, _)| field.to_owned()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(since(0), "");
    told(10, policy(Collector::Run, &["x", "y"]));
    told(20, policy(Collector::Run, &["x"]));
    told(30, policy(Collector::Run, &["x", "y", "z"]));
    told(40, receipts(1));
    assert_eq!([since(9), since(10), since(20), since(30), since(99)], ["", "x", "x", "x y z", "x y z"]);
    // Another collector knows of less, and of a field that this one does not.
    told(50, policy(Collector::Filter, &["w", "y"]));
    assert_eq!([since(49), since(50)], ["x y z", "y"]);
}

#[test]
fn cut_tail_is_found_and_refused() {
    let world = World::filled(4);
    fs::remove_file(world.path(ENTRIES[4])).unwrap();
    assert!(matches!(&world.faults()[..], [Fault::RolledBack { seq: 4, .. }]), "{:?}", world.faults());
    let refused = world.ledger().append(NOW_MS, receipts(9)).unwrap_err();
    assert!(refused.is_refusal() && matches!(refused, LedgerError::RolledBack { seq: 4, .. }));
}

#[test]
fn cut_in_the_middle_is_found() {
    let world = World::filled(4);
    fs::remove_file(world.path(ENTRIES[2])).unwrap();
    assert_eq!(world.faults(), [Fault::Cut { from: 2, to: 3 }]);
}

#[test]
fn swapped_entries_are_found() {
    let world = World::filled(4);
    let (one, two) = (world.path(ENTRIES[1]), world.path(ENTRIES[3]));
    let (first, second) = (fs::read(&one).unwrap(), fs::read(&two).unwrap());
    fs::write(one, second).unwrap();
    fs::write(two, first).unwrap();
    let misplaced = |entry: &str| Fault::Misplaced { entry: entry.to_owned() };
    assert_eq!(world.faults(), [misplaced(ENTRIES[1]), misplaced(ENTRIES[3])]);
}

#[test]
fn every_changed_byte_is_found() {
    let world = World::filled(2);
    let path = world.path(ENTRIES[1]);
    let bytes = fs::read(&path).unwrap();
    for at in 0..bytes.len() {
        let mut other = bytes.clone();
        other[at] ^= 1;
        fs::write(&path, &other).unwrap();
        let faults = world.faults();
        assert_eq!(faults.len(), 1, "byte {at}: {faults:?}");
    }
}

/// An older copy of the ledger is sound in itself; what the ring keeps tells.
#[test]
fn older_copy_is_found_and_refused() {
    let world = World::filled(2);
    let copied = world.folder.path().join("copy");
    copy(&world.path(""), &copied);
    world.ledger().append(NOW_MS + 9 * MINUTE_MS, receipts(3)).unwrap();
    fs::remove_dir_all(world.path("")).unwrap();
    copy(&copied, &world.path(""));
    assert!(matches!(&world.faults()[..], [Fault::RolledBack { seq: 3, .. }]));
    assert!(world.ledger().check().unwrap_err().is_refusal());
    // Nor may it be replaced by none at all.
    fs::remove_dir_all(world.path("")).unwrap();
    assert!(world.ledger().check().unwrap_err().is_refusal());
}

/// A chain that was written on from an older copy has an entry of the same number, and another one.
#[test]
fn chain_that_was_written_on_elsewhere_is_refused() {
    let world = World::filled(2);
    let copied = world.folder.path().join("copy");
    copy(&world.path(""), &copied);
    world.ledger().append(NOW_MS + 9 * MINUTE_MS, receipts(3)).unwrap();
    let elsewhere = weir_keys::HeadFile::new(world.folder.path().join("elsewhere"));
    let other = Ledger::new(&copied, world.ring.snapshot().signing_key("ledger"), elsewhere);
    other.append(NOW_MS + 9 * MINUTE_MS, receipts(4)).unwrap();
    fs::remove_dir_all(world.path("")).unwrap();
    copy(&copied, &world.path(""));
    assert!(matches!(&world.faults()[..], [Fault::RolledBack { seq: 3, .. }]));
    assert!(matches!(world.ledger().check(), Err(LedgerError::RolledBack { seq: 3, .. })));
}

/// An entry of the same ring, number and place, from a chain that was written on elsewhere: only the next one can tell.
#[test]
fn entry_of_another_chain_of_the_same_ring_is_found_and_refused() {
    let world = World::filled(1);
    let (copied, first) = (world.folder.path().join("copy"), world.kept());
    copy(&world.path(""), &copied);
    let elsewhere = weir_keys::HeadFile::new(world.folder.path().join("elsewhere"));
    let other = Ledger::new(&copied, world.ring.snapshot().signing_key("ledger"), elsewhere);
    other.append(NOW_MS + 2 * MINUTE_MS, receipts(9)).unwrap();
    let ledger = world.ledger();
    (2..4).for_each(|number| drop(ledger.append(NOW_MS + number * MINUTE_MS, receipts(number)).unwrap()));
    fs::copy(copied.join(ENTRIES[2]), world.path(ENTRIES[2])).unwrap();
    assert_eq!(world.faults(), [Fault::Unchained { entry: ENTRIES[3].to_owned() }]);
    // Whoever remembers the entry before reads on from there.
    world.ring.head_file("eu").keep(first.trim()).unwrap();
    assert!(matches!(world.ledger().check(), Err(LedgerError::Changed { entry, .. }) if entry == ENTRIES[3]));
}

#[test]
fn entries_and_heads_of_another_key_are_found() {
    let world = World::filled(2);
    let forger = World::filled(2);
    fs::copy(forger.path(ENTRIES[2]), world.path(ENTRIES[2])).unwrap();
    assert_eq!(world.faults(), [Fault::Forged { entry: ENTRIES[2].to_owned() }]);
    assert!(matches!(world.ledger().check(), Err(LedgerError::Changed { .. })));

    let world = World::filled(2);
    let kept = [("a letter".to_owned(), forger.kept())];
    assert_eq!(world.ledger().verify(&kept).unwrap().faults, [Fault::ForgedHead { kept: "a letter".to_owned() }]);
    world.ring.head_file("eu").keep(&forger.kept()).unwrap();
    assert!(matches!(world.ledger().check(), Err(LedgerError::ForeignHead { .. })));
}

/// A head that was kept elsewhere stays true for as long as the chain only grows.
#[test]
fn head_that_was_kept_elsewhere_is_contained_for_ever() {
    let world = World::filled(1);
    let kept = [("a letter".to_owned(), world.kept())];
    world.ledger().append(NOW_MS, receipts(2)).unwrap();
    assert_eq!(world.ledger().verify(&kept).unwrap().faults, []);
}

#[test]
fn files_that_are_no_entries_are_named() {
    let world = World::filled(1);
    fs::copy(world.path(ENTRIES[1]), world.path("00000000000000000001.json")).unwrap();
    fs::write(world.path("note.txt"), "").unwrap();
    let stray = |path: &str| Fault::Stray { path: path.to_owned() };
    assert_eq!(world.faults(), [stray("note.txt"), stray("00000000000000000001.json")]);
}

/// A ring from a backup remembers nothing: it reads the whole chain, and remembers from there on.
#[test]
fn ring_without_a_head_remembers_again() {
    let world = World::filled(3);
    let kept = world.kept();
    fs::remove_file(world.ring.head_file("eu").path()).unwrap();
    assert_eq!(world.ledger().check().unwrap().unwrap().seq, 3);
    assert_eq!(world.kept(), kept);
}

/// What the ring was not told of in time it is told of later.
#[test]
fn ring_is_told_of_the_newest_entry_in_the_end() {
    let world = World::filled(2);
    let (ledger, heads) = (world.ledger(), world.ring.head_file("eu").path().parent().unwrap().to_owned());
    ledger.check().unwrap();
    let (older, away) = (world.kept(), heads.with_file_name("away"));
    fs::rename(&heads, &away).unwrap();
    fs::write(&heads, "no folder").unwrap();
    assert!(ledger.append(NOW_MS + 10 * MINUTE_MS, receipts(3)).is_err());
    fs::remove_file(&heads).unwrap();
    fs::rename(&away, &heads).unwrap();
    assert_eq!(world.kept(), older);
    let newest = ledger.check().unwrap().unwrap();
    assert_eq!((newest.seq, world.kept().trim()), (3, newest.jws.as_str()));
}

/// A ledger that was cut while a process had it open: its next entry does not take the place of the later one that the ring knows.
#[test]
fn ring_forgets_no_later_entry_for_an_older_one() {
    let world = World::filled(2);
    let (ledger, other) = (world.ledger(), world.ledger());
    ledger.check().unwrap();
    other.append(NOW_MS + 3 * MINUTE_MS, receipts(3)).unwrap();
    other.append(NOW_MS + 4 * MINUTE_MS, receipts(4)).unwrap();
    let known = world.kept();
    fs::remove_file(world.path(ENTRIES[3])).unwrap();
    fs::remove_file(world.path(ENTRIES[4])).unwrap();
    assert_eq!(ledger.append(NOW_MS + 5 * MINUTE_MS, receipts(5)).unwrap().seq, 3);
    assert_eq!(world.kept(), known);
    assert!(matches!(world.ledger().check(), Err(LedgerError::RolledBack { seq: 4, .. })));
}
