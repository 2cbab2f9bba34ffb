//! The life of a key ring in a folder.
#![expect(clippy::unwrap_used, reason = "a test says what went wrong by panicking")]

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    thread,
};

use tempfile::TempDir;
use weir_keys::{KeyError, KeyRing, KeySet};
use weir_policy::{PurposeId, Purposes};

const DAY_MS: i64 = 86_400_000;
const NOW_MS: i64 = 20_000 * DAY_MS;

struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("keys")
    }

    fn init(&self) -> KeyRing {
        KeyRing::init(&self.path()).unwrap()
    }

    fn open(&self) -> KeyRing {
        KeyRing::open(&self.path()).unwrap()
    }
}

fn pseudonym(keys: &KeySet, purpose: PurposeId, epoch: i32, tenant: &str) -> Option<[u8; 16]> {
    Some(keys.pseudonym_key(purpose, epoch, tenant, "user")?.digest(b"u-81"))
}

fn now(purpose: PurposeId) -> i32 {
    Purposes::default().epoch(purpose, NOW_MS)
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[test]
fn ring_is_private_and_is_refused_once_it_is_not() {
    let place = Place::new();
    let ring = place.init();
    ring.ensure_tenant("acme").unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert!(files(&place.path()).iter().all(|path| mode(path) == 0o600));
    for (name, wider, narrow) in [("", 0o750, 0o700), ("epochs", 0o701, 0o700), ("ring", 0o640, 0o600)] {
        let path = place.path().join(name);
        fs::set_permissions(&path, fs::Permissions::from_mode(wider)).unwrap();
        let error = KeyRing::open(&place.path()).err().unwrap();
        assert!(matches!(error, KeyError::ModeTooWide { .. }) && error.to_string().contains("chmod"), "{error}");
        fs::set_permissions(&path, fs::Permissions::from_mode(narrow)).unwrap();
    }
    place.open();
}

/// Goal: a pseudonym cannot be made without the ring's secrets (LK-36). Method: a ring that derived its secrets from anything but chance
/// would make the same as another.
#[test]
fn two_rings_make_nothing_alike() {
    let purposes = Purposes::default();
    let rings = [Place::new(), Place::new()].map(|place| {
        let ring = place.init();
        ring.ensure_tenant("acme").unwrap();
        ring.ensure_epochs(&purposes, NOW_MS).unwrap();
        ring.snapshot()
    });
    let of_purpose = |keys: &KeySet, purpose| pseudonym(keys, purpose, now(purpose), "acme").unwrap();
    let all = rings.iter().flat_map(|keys| PurposeId::ALL.map(|purpose| of_purpose(keys, purpose)));
    assert_eq!(all.collect::<BTreeSet<_>>().len(), 2 * PurposeId::ALL.len());
    let [one, other] = rings.map(|keys| keys.person_key("acme", "user", "u-81"));
    assert!(one != other);
}

#[test]
fn init_refuses_a_folder_with_something_in_it() {
    let place = Place::new();
    place.init();
    assert!(matches!(KeyRing::init(&place.path()), Err(KeyError::NotEmpty { .. })));
    assert!(matches!(KeyRing::open(place.folder.path()), Err(KeyError::Missing { .. } | KeyError::ModeTooWide { .. })));
}

#[test]
fn epochs_reach_from_the_oldest_kept_row_to_one_ahead() {
    let place = Place::new();
    let ring = place.init();
    let purposes = Purposes::default();
    ring.ensure_epochs(&purposes, NOW_MS).unwrap();
    let keys = ring.snapshot();
    for purpose in PurposeId::ALL {
        let oldest = purposes.epoch(purpose, NOW_MS - purposes.retention_ms(purpose));
        assert!((oldest..=now(purpose) + 1).all(|epoch| keys.has_epoch(purpose, epoch)));
        assert!(!keys.has_epoch(purpose, oldest - 1) && !keys.has_epoch(purpose, now(purpose) + 2));
    }
    assert_eq!(ring.ensure_epochs(&purposes, NOW_MS).unwrap(), 0);
}

#[test]
fn racing_processes_make_one_secret() {
    let place = Place::new();
    place.init();
    let race = |_| {
        let path = place.path();
        thread::spawn(move || {
            let ring = KeyRing::open(&path).unwrap();
            ring.ensure_tenant("acme").unwrap();
            ring.ensure_epochs(&Purposes::default(), NOW_MS).unwrap();
            pseudonym(&ring.snapshot(), PurposeId::Reliability, now(PurposeId::Reliability), "acme").unwrap()
        })
    };
    let racers: Vec<_> = (0..8).map(race).collect();
    let made: Vec<_> = racers.into_iter().map(|racer| racer.join().unwrap()).collect();
    assert!(made.iter().all(|pseudonym| *pseudonym == made[0]));
    assert!(files(&place.path()).iter().all(|path| !path.to_string_lossy().contains(".new-")));
}

#[test]
fn destroyed_secret_is_gone_from_the_ring_and_never_made_again() {
    let place = Place::new();
    let ring = place.init();
    let purposes = Purposes::default();
    ring.ensure_tenant("acme").unwrap();
    ring.ensure_epochs(&purposes, NOW_MS).unwrap();
    let late = place.open();
    let purpose = PurposeId::Troubleshooting;
    let epoch = now(purpose);
    let file = place.path().join("epochs").join(format!("{}-{epoch}", purpose.name()));
    let bytes = fs::read(&file).unwrap();
    let secret = &bytes[bytes.len() - 48..bytes.len() - 16];

    let kept_until = purposes.epoch_end_ms(purpose, epoch) + purposes.retention_ms(purpose);
    ring.destroy_expired(&purposes, kept_until - 1).unwrap();
    assert!(ring.snapshot().has_epoch(purpose, epoch));
    assert!(ring.destroy_expired(&purposes, kept_until).unwrap() > 0);

    // Another process, which saw the epoch before, and one that starts with a clock that is behind.
    late.reload().unwrap();
    for other in [&ring, &late, &place.open()] {
        other.ensure_epochs(&purposes, NOW_MS).unwrap();
        assert!(pseudonym(&other.snapshot(), purpose, epoch, "acme").is_none());
    }
    let left = files(&place.path());
    assert!(left.contains(&file));
    assert!(left.iter().all(|path| !fs::read(path).unwrap().windows(32).any(|window| window == secret)));
}

#[test]
fn destroyed_tenant_has_no_pseudonyms_and_stays_a_person_to_consent() {
    let place = Place::new();
    let ring = place.init();
    ring.ensure_tenant("acme").unwrap();
    ring.ensure_epochs(&Purposes::default(), NOW_MS).unwrap();
    let person = ring.snapshot().person_key("acme", "user", "u-81");
    assert!(ring.destroy_tenant("acme").unwrap());
    assert!(!ring.ensure_tenant("acme").unwrap());
    for ring in [ring, place.open()] {
        let keys = ring.snapshot();
        assert!(pseudonym(&keys, PurposeId::Reliability, now(PurposeId::Reliability), "acme").is_none());
        assert!(keys.person_key("acme", "user", "u-81") == person);
    }
}

#[test]
fn tenant_name_reaches_no_path() {
    let place = Place::new();
    let ring = place.init();
    for name in ["..", "ring", ".hidden", "bücher", "a b"] {
        ring.ensure_tenant(name).unwrap();
    }
    for name in ["", "../ring", "a/b", " acme", "a\nb", &"x".repeat(129)] {
        assert!(matches!(ring.ensure_tenant(name), Err(KeyError::TenantName)));
    }
    let mut names: Vec<_> =
        fs::read_dir(place.path().join("tenants")).unwrap().map(|file| file.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names.len(), 5);
    assert!(
        names
            .iter()
            .all(|name| name.len() == 32 && name.to_string_lossy().bytes().all(|byte| byte.is_ascii_hexdigit()))
    );
    assert!(place.open().snapshot().has_tenant("bücher"));
}

#[test]
fn key_file_under_another_name_is_refused() {
    let place = Place::new();
    let ring = place.init();
    ring.ensure_epochs(&Purposes::default(), NOW_MS).unwrap();
    let file = files(&place.path().join("epochs")).into_iter().next().unwrap();
    fs::rename(&file, file.with_file_name("reliability-7")).unwrap();
    assert!(matches!(KeyRing::open(&place.path()), Err(KeyError::Damaged { .. })));
}

#[test]
fn restored_ring_makes_the_same_pseudonyms() {
    let place = Place::new();
    let ring = place.init();
    ring.ensure_tenant("acme").unwrap();
    ring.ensure_tenant("gone").unwrap();
    ring.ensure_epochs(&Purposes::default(), NOW_MS).unwrap();
    ring.destroy_tenant("gone").unwrap();
    let backup = place.folder.path().join("backup");
    ring.backup(&backup).unwrap();
    assert_eq!(fs::metadata(&backup).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(matches!(ring.backup(&backup), Err(KeyError::Exists { .. })));

    let restored = KeyRing::restore(&place.folder.path().join("again"), &backup).unwrap();
    assert_eq!(restored.id(), ring.id());
    for purpose in PurposeId::ALL {
        let expected = pseudonym(&ring.snapshot(), purpose, now(purpose), "acme");
        assert!(expected.is_some());
        assert_eq!(pseudonym(&restored.snapshot(), purpose, now(purpose), "acme"), expected);
    }
    assert!(!restored.ensure_tenant("gone").unwrap() && !restored.snapshot().has_tenant("gone"));
    assert!(matches!(KeyRing::restore(&place.path(), &backup), Err(KeyError::NotEmpty { .. })));

    let mut cut = fs::read(&backup).unwrap();
    cut.truncate(cut.len() / 2);
    fs::write(&backup, cut).unwrap();
    assert!(matches!(KeyRing::restore(&place.folder.path().join("third"), &backup), Err(KeyError::Damaged { .. })));
}

#[test]
fn keys_that_producers_seal_to_overlap_until_they_are_destroyed() {
    let place = Place::new();
    let ring = place.init();
    assert_eq!(ring.snapshot().sealing_keys().count(), 0);
    let first = ring.rotate_sealing().unwrap();
    let second = ring.rotate_sealing().unwrap();
    let kids = |ring: &KeyRing| ring.snapshot().sealing_keys().map(|key| key.kid().to_owned()).collect::<Vec<_>>();
    assert_eq!(kids(&ring), [second.kid(), first.kid()], "the newest first");
    assert_eq!(kids(&place.open()), kids(&ring));
    assert_eq!(ring.standing().unwrap().sealing, 2);

    let backup = place.folder.path().join("backup");
    ring.backup(&backup).unwrap();
    let restored = KeyRing::restore(&place.folder.path().join("restored"), &backup).unwrap();
    assert_eq!(kids(&restored), kids(&ring));

    let other = place.open();
    assert!(other.destroy_sealing(first.kid()).unwrap());
    assert!(!other.destroy_sealing(first.kid()).unwrap(), "once");
    ring.reload().unwrap();
    assert_eq!(kids(&ring), [second.kid()]);
    assert_eq!(ring.standing().unwrap().destroyed, 1);
    assert!(other.destroy_sealing(second.kid()).unwrap());
    let third = other.rotate_sealing().unwrap();
    assert_eq!(kids(&place.open()), [third.kid()], "what was destroyed is not made again");
    ring.lapse();
    assert_eq!(ring.snapshot().sealing_keys().count(), 0, "lapsed secrets leave memory");
}
