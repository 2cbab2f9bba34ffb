//! The store's own keys on a real OpenBao, in a mount of their own.
#![expect(clippy::unwrap_used, reason = "a test says what went wrong by panicking")]

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use weir_keys::{KeyError, KeyRing, SealedObject, StoreKeys, Wrap, WrapError};
use weir_testkit::vault::Vault as Bao;
use weir_vault::{Address, Auth, Settings, Vault};

#[path = "common/secrets.rs"]
mod secrets;

use secrets::secrets_in_clear;

/// What docs/security.md gives an operator of the store's keys, and what it gives a daemon.
const OPERATOR: &str = r#"
path "transit-store/encrypt/weir-store-*" { capabilities = ["update"] }
path "transit-store/decrypt/weir-store-*" { capabilities = ["update"] }
path "transit-store/rewrap/weir-store-*" { capabilities = ["update"] }
path "transit-store/keys/weir-store-*" { capabilities = ["create", "read", "update", "delete"] }
"#;
const DAEMON: &str = r#"path "transit-store/decrypt/weir-store-*" { capabilities = ["update"] }"#;
const PLACE: &str = "eu/reliability/a/date=2026-01-01/x.parquet";

/// A vault with two mounts, and a folder for the keys.
struct Place {
    bao: Bao,
    folder: TempDir,
    operator: Settings,
    daemon: Settings,
}

impl Place {
    fn new() -> Self {
        let bao = Bao::start();
        bao.bao(["secrets", "enable", "-path=transit-store", "transit"]);
        let [operator, daemon] = [("operator", OPERATOR), ("daemon", DAEMON)].map(|(name, policy)| {
            let (role, secret_file) = bao.role(name, policy, "1h");
            Settings {
                address: Address::parse(&bao.address()).unwrap(),
                mount: "transit-store".to_owned(),
                prefix: "weir".to_owned(),
                namespace: None,
                ca: Some(bao.path("ca.pem")),
                certificate: None,
                auth: Auth::AppRole { mount: "approle".to_owned(), role, secret_file },
                timeout: Duration::from_secs(2),
            }
        });
        Self { bao, folder: tempfile::tempdir().unwrap(), operator, daemon }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn init(&self) -> StoreKeys {
        StoreKeys::init_with(&self.path("keys"), Some(client(&self.operator))).unwrap()
    }

    fn open(&self) -> Result<StoreKeys, KeyError> {
        StoreKeys::open_with(&self.path("keys"), Some(client(&self.daemon)))
    }

    /// Deletes a key in the vault, as its operator may.
    fn delete(&self, key: &str) {
        let key = format!("transit-store/keys/{key}");
        self.bao.bao(["write", &format!("{key}/config"), "deletion_allowed=true"]);
        self.bao.bao(["delete", &key]);
    }
}

fn client(settings: &Settings) -> Arc<dyn Wrap> {
    Arc::new(Vault::new(settings.clone()).unwrap())
}

fn seal(keys: &StoreKeys, text: &[u8]) -> Vec<u8> {
    let mut file = keys.seal(PLACE, Vec::new()).unwrap();
    file.write_all(text).unwrap();
    file.finish().unwrap()
}

fn read(keys: &StoreKeys, object: &[u8]) -> io::Result<Vec<u8>> {
    let (head, rest) = object.split_at(SealedObject::HEAD_BYTES);
    let opened = keys.open_object(PLACE, head, u64::try_from(object.len()).unwrap())?;
    opened.open(&opened.chunks(0..u64::MAX), rest.to_vec())
}

fn copy(from: &Path, to: &Path) {
    assert!(std::process::Command::new("cp").arg("-a").args([from, to]).status().unwrap().success());
}

#[track_caller]
fn refused<T>(result: Result<T, KeyError>) -> WrapError {
    match result {
        Err(KeyError::Vault(error)) => error,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it was done"),
    }
}

/// Keys in clear are moved into the vault, and what they sealed before opens after; no secret is left in the folder, and a mix of
/// both kinds is refused.
#[test]
fn keys_move_into_the_vault_and_open_what_they_sealed() {
    let place = Place::new();
    let clear = StoreKeys::init(&place.path("keys")).unwrap();
    let old = seal(&clear, b"old");
    clear.rotate().unwrap();
    let new = seal(&clear, b"new");
    let secrets = secrets_in_clear(&place.path("keys"));
    assert_eq!(secrets.len(), 2);
    let first = fs::read(place.path("keys/1")).unwrap();
    let moved = StoreKeys::wrap(&place.path("keys"), &client(&place.operator)).unwrap();
    assert_eq!((moved.files, moved.before), (2, 0));
    assert!(secrets_in_clear(&place.path("keys")).is_empty());
    for file in ["1", "2"].map(|name| fs::read(place.path("keys").join(name)).unwrap()) {
        assert!(!secrets.iter().any(|secret| file.windows(secret.len()).any(|window| window == secret)));
    }
    let keys = place.open().unwrap();
    assert_eq!((read(&keys, &old).unwrap(), read(&keys, &new).unwrap()), (b"old".to_vec(), b"new".to_vec()));
    // The daemon's login opens, and can do nothing else.
    assert!(matches!(refused(keys.rotate()), WrapError::Refused { .. }));
    assert!(matches!(refused(keys.destroy(1)), WrapError::Refused { .. }));
    assert!(matches!(refused(keys.standing()), WrapError::Refused { .. }));

    let error = StoreKeys::open(&place.path("keys")).unwrap_err();
    assert!(matches!(error, KeyError::Wrapped { .. }) && error.to_string().contains("[lake.store_vault]"), "{error}");
    fs::write(place.path("keys/1"), first).unwrap();
    let error = place.open().unwrap_err();
    assert!(matches!(error, KeyError::InClear { .. }) && error.to_string().contains("wrap-store"), "{error}");
    let moved = StoreKeys::wrap(&place.path("keys"), &client(&place.operator)).unwrap();
    assert_eq!((moved.files, moved.before), (1, 1), "it goes on where it was cut short");
    assert_eq!(read(&place.open().unwrap(), &old).unwrap(), b"old");
    // Another store's keys do not go under the same names.
    StoreKeys::init(&place.path("other")).unwrap();
    let error = StoreKeys::wrap(&place.path("other"), &client(&place.operator)).unwrap_err();
    assert!(matches!(error, KeyError::Taken { .. }), "{error}");
    let error = StoreKeys::init_with(&place.path("third"), Some(client(&place.operator))).unwrap_err();
    assert!(matches!(error, KeyError::Taken { .. }), "{error}");
}

/// New versions of secrets and of the vault's keys change nothing that is sealed; a destroyed version opens nothing, wherever it was
/// open, and no old copy of the folder brings it back.
#[test]
fn destroyed_version_is_gone_everywhere_and_no_copy_brings_it_back() {
    let place = Place::new();
    let keys = place.init();
    let old = seal(&keys, b"old");
    let daemon = place.open().unwrap();
    assert_eq!(keys.rotate().unwrap(), 2);
    // What another process has made is found at the next object, to seal as to read.
    let new = seal(&daemon, b"new");
    assert_eq!(new[8], 2);
    let standing = keys.standing().unwrap();
    assert_eq!((standing.newest, standing.live, standing.behind), (2, 2, 1));
    let rewrapped = keys.rewrap().unwrap();
    assert_eq!((rewrapped.files, rewrapped.current), (1, 1));
    assert_eq!(keys.standing().unwrap().behind, 0);
    place.bao.bao(["write", "transit-store/keys/weir-store-1/config", "min_decryption_version=2"]);
    assert_eq!(read(&place.open().unwrap(), &old).unwrap(), b"old");

    copy(&place.path("keys"), &place.path("backup"));
    assert!(keys.destroy(1).unwrap());
    assert_eq!(read(&daemon, &old).unwrap(), b"old", "it was not asked since");
    daemon.reload().unwrap();
    fs::remove_dir_all(place.path("keys")).unwrap();
    copy(&place.path("backup"), &place.path("keys"));
    for keys in [&keys, &daemon, &place.open().unwrap()] {
        assert_eq!(read(keys, &old).unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert_eq!(read(keys, &new).unwrap(), b"new");
    }
    let operator = StoreKeys::open_with(&place.path("keys"), Some(client(&place.operator))).unwrap();
    let standing = operator.standing().unwrap();
    assert_eq!((standing.live, standing.destroyed, standing.gone), (1, 0, 1));
    // A folder that is older than the newest version makes no second secret under its number.
    assert_eq!(operator.rotate().unwrap(), 3);
    fs::remove_file(place.path("keys/3")).unwrap();
    let operator = StoreKeys::open_with(&place.path("keys"), Some(client(&place.operator))).unwrap();
    assert!(matches!(operator.rotate(), Err(KeyError::Taken { key, .. }) if key == "store-3"));
}

/// What the vault itself deleted is gone at the next confirmation. Without the newest nothing is confirmed, and nothing ends:
/// neither for a deleted key, nor in a mount that is the wrong one.
#[test]
fn wrong_mount_ends_nothing() {
    let place = Place::new();
    let keys = place.init();
    let old = seal(&keys, b"old");
    keys.rotate().unwrap();
    let new = seal(&keys, b"new");
    let before = ["1", "2"].map(|name| fs::read(place.path("keys").join(name)).unwrap());

    place.bao.bao(["secrets", "enable", "-path=transit-other", "transit"]);
    place.bao.policy("daemon", &DAEMON.replace("transit-store", "transit-other"));
    let elsewhere = Settings { mount: "transit-other".to_owned(), ..place.daemon.clone() };
    let error = refused(StoreKeys::open_with(&place.path("keys"), Some(client(&elsewhere))));
    assert!(matches!(&error, WrapError::Gone { key } if key == "weir-store-2"), "{error}");
    assert!(error.to_string().contains("mount or prefix"), "{error}");
    let error = refused(place.open());
    assert!(error.to_string().contains("transit-store/decrypt/weir-store-"), "{error}");
    place.bao.policy("daemon", DAEMON);
    let daemon = place.open().unwrap();

    place.delete("weir-store-1");
    daemon.reload().unwrap();
    assert_eq!(read(&daemon, &old).unwrap_err().kind(), io::ErrorKind::InvalidData);
    assert_eq!(read(&daemon, &new).unwrap(), b"new");
    place.delete("weir-store-2");
    assert!(matches!(refused(daemon.reload()), WrapError::Gone { .. }));
    assert_eq!(read(&daemon, &new).unwrap(), b"new", "that is for who watches the time to end");
    let after = ["1", "2"].map(|name| fs::read(place.path("keys").join(name)).unwrap());
    assert!(before == after, "a file was changed");
}

/// Two layers in one vault: neither login does anything in the other's mount.
#[test]
fn login_of_one_layer_opens_nothing_of_the_other() {
    let place = Place::new();
    let ring_policy = OPERATOR.replace("transit-store", "transit").replace("weir-store-*", "weir-*");
    let (role, secret_file) = place.bao.role("ring", &ring_policy, "1h");
    let auth = Auth::AppRole { mount: "approle".to_owned(), role, secret_file };
    let ring = Settings { mount: "transit".to_owned(), auth, ..place.operator.clone() };
    place.init();
    KeyRing::init_with(&place.path("ring"), Some(client(&ring))).unwrap();
    KeyRing::open_own_with(&place.path("ring"), Some(client(&ring))).unwrap().confirm_own().unwrap();
    let is_refused = |error: &WrapError| matches!(error, WrapError::Refused { .. });
    for (login, mount, key) in [(&ring, "transit-store", "store-1"), (&place.operator, "transit", "ring")] {
        let vault = client(&Settings { mount: mount.to_owned(), ..login.clone() });
        assert!(
            vault
                .unwrap(&[(key.to_owned(), "vault:v1:AAAA".to_owned())])
                .iter()
                .all(|answer| { answer.as_ref().is_err_and(is_refused) })
        );
        assert!(vault.wrap(key, b"secret").is_err_and(|error| is_refused(&error)));
        assert!(vault.versions(key).is_err_and(|error| is_refused(&error)));
        assert!(vault.rotate(key).is_err_and(|error| is_refused(&error)));
        assert!(vault.destroy(key).is_err_and(|error| is_refused(&error)));
    }
}
