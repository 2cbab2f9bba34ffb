//! What every key service does for weir.

use std::fs;
use std::io::{ErrorKind, Read as _, Write as _};

use weir_keys::{KeyError, KeyRing, SealedObject, StoreKeys, WrapError};
use weir_policy::{PurposeId, Purposes};

use crate::aws::AwsPlace;
use crate::ring::{self, NOW_MS, pseudonym};
use crate::secrets::{files, secrets_in_clear};
use crate::{Cloud, refused};

const PLACE: &str = "eu/reliability/a/date=2026-01-01/x.parquet";

/// Runs a test on every cloud.
macro_rules! on_each {
    ($($name:ident;)*) => {
        mod aws {
            use super::*;
            $(#[test] fn $name() { super::$name(&AwsPlace::new()); })*
        }
    };
}

on_each! {
    wrapped_ring_opens_for_whoever_may_and_holds_no_secret;
    destroyed_secrets_are_gone_everywhere_and_no_backup_brings_them_back;
    key_that_is_destroyed_in_the_cloud_itself_ends_its_tenant_and_is_marked;
    disabled_key_destroys_nothing_and_stops_everything_until_it_is_enabled;
    keys_are_rotated_and_files_wrapped_anew_without_a_change_of_any_pseudonym;
    what_was_wrapped_for_one_name_opens_under_no_other;
    ring_in_clear_is_moved_and_goes_on_where_it_was_cut_short;
    store_keys_are_rotated_destroyed_and_not_made_twice;
    cloud_that_is_away_is_told_apart_and_one_that_is_busy_is_asked_again;
    second_ring_needs_another_prefix;
}

fn full(cloud: &dyn Cloud) -> KeyRing {
    let ring = KeyRing::init_with(&cloud.path("keys"), Some(cloud.client())).unwrap();
    ring::full(&ring);
    ring
}

fn open(cloud: &dyn Cloud) -> Result<KeyRing, KeyError> {
    KeyRing::open_with(&cloud.path("keys"), Some(cloud.client()))
}

fn wrapped_ring_opens_for_whoever_may_and_holds_no_secret(cloud: &dyn Cloud) {
    let ring = full(cloud);
    let again = open(cloud).unwrap();
    assert_eq!(again.id(), ring.id());
    let expected = pseudonym(&ring.snapshot(), "acme");
    assert!(expected.is_some() && pseudonym(&again.snapshot(), "acme") == expected);
    assert_eq!(again.snapshot().tenants(), 2);
    let names = cloud.names().join("\n");
    for name in ["weir-ring", "weir-tenant-", "weir-reliability-", "weir-troubleshooting-", "weir-personalization-"] {
        assert!(names.contains(name), "{name}: {names}");
    }
    assert!(!names.contains("acme"), "the cloud knows a tenant by name");
    assert!(secrets_in_clear(&cloud.path("keys")).is_empty());
    let error = KeyRing::open(&cloud.path("keys")).err().unwrap();
    assert!(matches!(error, KeyError::Wrapped { .. }) && error.to_string().contains("[keys.vault]"), "{error}");
}

fn destroyed_secrets_are_gone_everywhere_and_no_backup_brings_them_back(cloud: &dyn Cloud) {
    let ring = full(cloud);
    let backup = cloud.path("backup");
    ring.backup(&backup).unwrap();
    let other = open(cloud).unwrap();
    let expected = pseudonym(&other.snapshot(), "globex");
    let (purpose, epoch) = (PurposeId::Troubleshooting, Purposes::default().epoch(PurposeId::Troubleshooting, NOW_MS));
    let before = cloud.names().len();
    assert!(ring.destroy_tenant("acme").unwrap() && ring.destroy_epoch(purpose, epoch).unwrap());
    assert!(!ring.destroy_tenant("acme").unwrap(), "it was destroyed already");
    assert_eq!(cloud.names().len(), before - 2);

    // A process that had them loses them at its next look, and cannot make them again.
    other.reload().unwrap();
    for ring in [&ring, &other, &open(cloud).unwrap()] {
        let keys = ring.snapshot();
        assert!(pseudonym(&keys, "acme").is_none() && !keys.has_epoch(purpose, epoch));
        assert!(pseudonym(&keys, "globex") == expected);
        assert!(!ring.ensure_tenant("acme").unwrap());
    }
    fs::rename(cloud.path("keys"), cloud.path("lost")).unwrap();
    let restored = KeyRing::restore_with(&cloud.path("keys"), &backup, Some(cloud.client())).unwrap();
    restored.ensure_epochs(&Purposes::default(), NOW_MS).unwrap();
    assert!(!restored.ensure_tenant("acme").unwrap());
    let keys = restored.snapshot();
    assert!(pseudonym(&keys, "acme").is_none() && !keys.has_epoch(purpose, epoch));
    assert!(pseudonym(&keys, "globex") == expected);
    assert_eq!(restored.standing().unwrap().gone, 2);
}

fn key_that_is_destroyed_in_the_cloud_itself_ends_its_tenant_and_is_marked(cloud: &dyn Cloud) {
    let ring = full(cloud);
    cloud.delete(&format!("weir-{}", ring.tenant_key("acme")));
    ring.reload().unwrap();
    assert!(pseudonym(&ring.snapshot(), "acme").is_none() && pseudonym(&ring.snapshot(), "globex").is_some());
    let standing = ring.standing().unwrap();
    assert_eq!((standing.destroyed, standing.gone), (1, 0), "the folder says so too");

    // The ring's own key is another matter: nothing may be taken for destroyed in the wrong place.
    cloud.delete("weir-ring");
    assert!(matches!(refused(ring.reload()), WrapError::Gone { key } if key == "weir-ring"));
    assert!(pseudonym(&ring.snapshot(), "globex").is_some());
    assert_eq!(ring.standing().unwrap().destroyed, 1);
}

fn disabled_key_destroys_nothing_and_stops_everything_until_it_is_enabled(cloud: &dyn Cloud) {
    let ring = full(cloud);
    let name = format!("weir-{}", ring.tenant_key("acme"));
    let before: Vec<_> = files(&cloud.path("keys")).iter().map(|path| fs::read(path).unwrap()).collect();
    cloud.disable(&name, true);
    let error = refused(ring.reload());
    assert!(matches!(&error, WrapError::Disabled { key } if *key == name) && !error.may_pass(), "{error}");
    assert!(error.to_string().contains("enable it"), "{error}");
    assert!(matches!(refused(ring.rotate()), WrapError::Disabled { .. }));
    let after: Vec<_> = files(&cloud.path("keys")).iter().map(|path| fs::read(path).unwrap()).collect();
    assert!(before == after, "a file was changed");
    cloud.disable(&name, false);
    ring.reload().unwrap();
    assert!(pseudonym(&ring.snapshot(), "acme").is_some());
    cloud.disable(&name, true);
    assert!(ring.destroy_tenant("acme").unwrap(), "a disabled key is destroyed as every other");
    ring.reload().unwrap();
}

fn keys_are_rotated_and_files_wrapped_anew_without_a_change_of_any_pseudonym(cloud: &dyn Cloud) {
    let ring = full(cloud);
    let expected = pseudonym(&ring.snapshot(), "acme");
    let count = u64::try_from(cloud.names().len()).unwrap();
    assert_eq!(ring.rotate().unwrap(), count);
    let standing = ring.standing().unwrap();
    assert_eq!(standing.ring_versions.map(|versions| versions.newest), Some(2));
    assert_eq!(standing.oldest_version, Some(1));
    let first = ring.rewrap().unwrap();
    assert_eq!((first.files, first.current, first.gone), (count, 0, 0));
    let second = ring.rewrap().unwrap();
    assert_eq!((second.files, second.current), (0, count));
    assert_eq!(ring.standing().unwrap().oldest_version, Some(2));
    assert!(pseudonym(&open(cloud).unwrap().snapshot(), "acme") == expected);
    for _ in 0..3 {
        ring.rotate().unwrap();
    }
    assert_eq!(ring.standing().unwrap().ring_versions.map(|versions| versions.newest), Some(5));
    assert_eq!(ring.rewrap().unwrap().files, count);
    assert!(pseudonym(&open(cloud).unwrap().snapshot(), "acme") == expected);
}

fn what_was_wrapped_for_one_name_opens_under_no_other(cloud: &dyn Cloud) {
    let client = cloud.client();
    for key in ["ring", "tenant-1"] {
        assert!(client.make(key).unwrap() && !client.make(key).unwrap());
    }
    let wrapped = client.wrap("ring", b"the secret of a ring").unwrap();
    let ask = |key: &str, text: &str| client.unwrap(&[(key.to_owned(), text.to_owned())]).remove(0);
    assert_eq!(ask("ring", &wrapped).unwrap().as_slice(), b"the secret of a ring");
    assert_eq!(ask("tenant-1", &wrapped), Err(WrapError::Foreign { key: "weir-tenant-1".to_owned() }));
    let (kind, rest) = wrapped.split_once(':').unwrap();
    for changed in [
        format!("{kind}:v1"),
        format!("vault:{rest}"),
        format!("{}A", wrapped.trim_end_matches('=')),
        format!("{kind}:v1:AAAA"),
        String::new(),
    ] {
        assert_eq!(ask("ring", &changed), Err(WrapError::Foreign { key: "weir-ring".to_owned() }), "{changed}");
    }
    let missing = ask("tenant-2", &wrapped);
    assert_eq!(missing, Err(WrapError::Gone { key: "weir-tenant-2".to_owned() }));
    assert!(matches!(client.wrap("tenant-2", b"s"), Err(WrapError::Gone { .. })));
    assert!(matches!(client.rotate("tenant-2"), Err(WrapError::Gone { .. })));
    client.destroy("tenant-2").unwrap();
    assert_eq!(client.versions("tenant-2"), Ok(None));
}

fn ring_in_clear_is_moved_and_goes_on_where_it_was_cut_short(cloud: &dyn Cloud) {
    let clear = KeyRing::init(&cloud.path("keys")).unwrap();
    clear.ensure_epochs(&Purposes::default(), NOW_MS).unwrap();
    clear.ensure_tenant("acme").unwrap();
    let secrets = secrets_in_clear(&cloud.path("keys"));
    let before: Vec<_> = files(&cloud.path("keys")).into_iter().map(|path| (fs::read(&path).unwrap(), path)).collect();
    let expected = pseudonym(&clear.snapshot(), "acme");
    let moved = KeyRing::wrap(&cloud.path("keys"), &cloud.client()).unwrap();
    assert_eq!(usize::try_from(moved.files).unwrap(), secrets.len());
    for path in files(&cloud.path("keys")) {
        let (mut bytes, mut file) = (Vec::new(), fs::File::open(path).unwrap());
        file.read_to_end(&mut bytes).unwrap();
        assert!(!secrets.iter().any(|secret| bytes.windows(secret.len()).any(|window| window == secret)));
    }
    let (bytes, path) = before.iter().find(|(_, path)| path.parent() == Some(&cloud.path("keys/tenants"))).unwrap();
    fs::write(path, bytes).unwrap();
    assert!(matches!(open(cloud), Err(KeyError::InClear { .. })));
    assert_eq!(KeyRing::wrap(&cloud.path("keys"), &cloud.client()).unwrap().files, 1);
    assert!(pseudonym(&open(cloud).unwrap().snapshot(), "acme") == expected);
}

fn store_keys_are_rotated_destroyed_and_not_made_twice(cloud: &dyn Cloud) {
    let folder = cloud.path("store");
    let keys = StoreKeys::init_with(&folder, Some(cloud.client())).unwrap();
    let seal = |text: &[u8]| {
        let mut file = keys.seal(PLACE, Vec::new()).unwrap();
        file.write_all(text).unwrap();
        file.finish().unwrap()
    };
    let read = |keys: &StoreKeys, object: &[u8]| {
        let (head, rest) = object.split_at(SealedObject::HEAD_BYTES);
        let opened = keys.open_object(PLACE, head, u64::try_from(object.len()).unwrap())?;
        opened.open(&opened.chunks(0..u64::MAX), rest.to_vec())
    };
    let old = seal(b"old");
    let daemon = StoreKeys::open_with(&folder, Some(cloud.client())).unwrap();
    assert_eq!(keys.rotate().unwrap(), 2);
    let new = seal(b"new");
    let standing = keys.standing().unwrap();
    assert_eq!((standing.newest, standing.live, standing.behind), (2, 2, 1));
    assert_eq!(keys.rewrap().unwrap().files, 1);
    fs::copy(folder.join("1"), cloud.path("kept")).unwrap();
    assert!(keys.destroy(1).unwrap());
    fs::copy(cloud.path("kept"), folder.join("1")).unwrap();
    daemon.reload().unwrap();
    assert_eq!(read(&daemon, &old).unwrap_err().kind(), ErrorKind::InvalidData);
    assert_eq!(read(&daemon, &new).unwrap(), b"new");
    assert_eq!(keys.standing().unwrap().gone, 1);
    assert_eq!(keys.rotate().unwrap(), 3);
    fs::remove_file(folder.join("3")).unwrap();
    let older = StoreKeys::open_with(&folder, Some(cloud.client())).unwrap();
    assert!(matches!(older.rotate(), Err(KeyError::Taken { key, .. }) if key == "store-3"));
    cloud.delete("weir-store-2");
    assert!(matches!(refused(daemon.reload()), WrapError::Gone { .. }));
}

fn cloud_that_is_away_is_told_apart_and_one_that_is_busy_is_asked_again(cloud: &dyn Cloud) {
    let ring = full(cloud);
    cloud.throttle(2);
    ring.reload().unwrap();
    cloud.set_gone(true);
    let error = refused(ring.reload());
    assert!(matches!(error, WrapError::Away { .. }) && error.may_pass(), "{error}");
    cloud.set_gone(false);
    cloud.throttle(100);
    let error = refused(ring.reload());
    assert!(matches!(error, WrapError::Away { .. }), "{error}");
    assert!(pseudonym(&ring.snapshot(), "acme").is_some());
}

fn second_ring_needs_another_prefix(cloud: &dyn Cloud) {
    full(cloud);
    let error = KeyRing::init_with(&cloud.path("other"), Some(cloud.client())).err().unwrap();
    assert!(matches!(error, KeyError::Taken { .. }), "{error}");
}
