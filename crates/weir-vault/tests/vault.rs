//! The client and the ring on a real OpenBao, with policies and roles as an operator makes them.
#![expect(clippy::disallowed_methods, reason = "a real vault takes real time")]
#![expect(clippy::unwrap_used, reason = "a test says what went wrong by panicking")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use rcgen::{KeyPair, PKCS_ED25519, SigningKey as _};
use tempfile::TempDir;
use weir_keys::{KeyError, KeyRing, Wrap, WrapError};
use weir_policy::{PurposeId, Purposes};
use weir_testkit::vault::Vault as Bao;
use weir_vault::{Address, Auth, Certificate, Settings, Vault};

#[path = "common/ring.rs"]
mod ring;
#[path = "common/secrets.rs"]
mod secrets;

use ring::{NOW_MS, full, pseudonym};
use secrets::{files, secrets_in_clear};

/// What docs/security.md gives the daemon and an operator together.
const POLICY: &str = r#"
path "transit/encrypt/weir-*" { capabilities = ["update"] }
path "transit/decrypt/weir-*" { capabilities = ["update"] }
path "transit/rewrap/weir-*" { capabilities = ["update"] }
path "transit/keys/weir-*" { capabilities = ["create", "read", "update", "delete"] }
"#;

/// A vault, weir's role in it, and a folder for a ring.
struct Place {
    bao: Bao,
    folder: TempDir,
    settings: Settings,
}

impl Place {
    fn new() -> Self {
        let bao = Bao::start();
        let (role, secret_file) = bao.role("weir", POLICY, "1h");
        let auth = Auth::AppRole { mount: "approle".to_owned(), role, secret_file };
        let settings = Settings {
            address: Address::parse(&bao.address()).unwrap(),
            mount: "transit".to_owned(),
            prefix: "weir".to_owned(),
            namespace: None,
            ca: Some(bao.path("ca.pem")),
            certificate: None,
            auth,
            timeout: Duration::from_secs(2),
        };
        Self { bao, folder: tempfile::tempdir().unwrap(), settings }
    }

    fn with_token(mut self, token: &str) -> Self {
        let file = self.bao.secret("token", token);
        self.settings.auth = Auth::Token { file };
        self
    }

    fn client(&self) -> Arc<Vault> {
        Arc::new(Vault::new(self.settings.clone()).unwrap())
    }

    fn vault(&self) -> Arc<dyn Wrap> {
        self.client()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn init(&self) -> KeyRing {
        KeyRing::init_with(&self.path("keys"), Some(self.vault())).unwrap()
    }

    fn open(&self) -> Result<KeyRing, KeyError> {
        KeyRing::open_with(&self.path("keys"), Some(self.vault()))
    }

    fn token(&self, options: &[&str]) -> String {
        let more = ["token", "create", "-field=token", "-policy=weir"];
        self.bao.bao(more.iter().chain(options)).trim().to_owned()
    }
}

fn holds(folder: &Path, secret: &[u8]) -> bool {
    files(folder).iter().any(|path| fs::read(path).unwrap().windows(secret.len()).any(|window| window == secret))
}

fn refusal(result: Result<KeyRing, KeyError>) -> WrapError {
    match result.err() {
        Some(KeyError::Vault(error)) => error,
        Some(other) => panic!("{other}"),
        None => panic!("the ring opens"),
    }
}

#[test]
fn wrapped_ring_makes_the_same_pseudonyms_for_whoever_opens_it() {
    let place = Place::new();
    let ring = place.init();
    full(&ring);
    let again = place.open().unwrap();
    assert_eq!(again.id(), ring.id());
    let expected = pseudonym(&ring.snapshot(), "acme");
    assert!(expected.is_some() && pseudonym(&again.snapshot(), "acme") == expected);
    assert_eq!(again.snapshot().tenants(), 2);
    let keys = place.bao.bao(["list", "transit/keys"]);
    assert!(
        keys.contains("weir-ring") && keys.contains("weir-tenant-") && keys.contains("weir-reliability-"),
        "{keys}"
    );
    assert!(!keys.contains("acme"), "the vault knows a tenant by name");
    // Without its vault nothing of it opens, and the message says what is missing.
    let error = KeyRing::open(&place.path("keys")).err().unwrap();
    assert!(matches!(error, KeyError::Wrapped { .. }) && error.to_string().contains("[keys.vault]"), "{error}");
}

#[test]
fn no_secret_lies_in_the_folder_of_a_wrapped_ring_and_all_lie_in_a_clear_one() {
    let place = Place::new();
    let clear = KeyRing::init(&place.path("keys")).unwrap();
    full(&clear);
    let secrets = secrets_in_clear(&place.path("keys"));
    assert!(secrets.len() > 5 && secrets.iter().all(|secret| holds(&place.path("keys"), secret)));
    let expected = pseudonym(&clear.snapshot(), "acme");

    let moved = KeyRing::wrap(&place.path("keys"), &place.vault()).unwrap();
    assert_eq!(usize::try_from(moved.files).unwrap(), secrets.len());
    assert!(secrets.iter().all(|secret| !holds(&place.path("keys"), secret)));
    assert!(secrets_in_clear(&place.path("keys")).is_empty());
    assert!(pseudonym(&place.open().unwrap().snapshot(), "acme") == expected);
    // Nobody puts a file in clear back: not by accident, and not to have a tenant under a secret of their own.
    let other = KeyRing::init(&place.path("other")).unwrap();
    other.ensure_tenant("acme").unwrap();
    fs::copy(files(&place.path("other/tenants")).remove(0), files(&place.path("keys/tenants")).remove(0)).unwrap();
    assert!(place.open().is_err());
}

#[test]
fn move_that_was_cut_short_goes_on_and_is_refused_until_then() {
    let place = Place::new();
    full(&KeyRing::init(&place.path("keys")).unwrap());
    let whole = files(&place.path("keys"));
    KeyRing::init(&place.path("spare")).unwrap().backup(&place.path("unused")).unwrap();
    let before: Vec<_> = whole.iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect();
    KeyRing::wrap(&place.path("keys"), &place.vault()).unwrap();
    // As it is after a move that ended halfway: the ring's own file is moved first.
    let clear: Vec<_> = before.iter().filter(|(path, _)| path.parent() == Some(&place.path("keys/tenants"))).collect();
    for (path, bytes) in &clear {
        fs::write(path, bytes).unwrap();
    }
    let error = place.open().err().unwrap();
    assert!(matches!(error, KeyError::InClear { .. }) && error.to_string().contains("weir keys wrap"), "{error}");
    let moved = KeyRing::wrap(&place.path("keys"), &place.vault()).unwrap();
    assert_eq!((usize::try_from(moved.files).unwrap(), moved.before > 5), (clear.len(), true));
    assert_eq!(place.open().unwrap().snapshot().tenants(), 2);
}

#[test]
fn destroyed_secrets_are_gone_everywhere_and_no_backup_brings_them_back() {
    let place = Place::new();
    let ring = place.init();
    full(&ring);
    let backup = place.path("backup");
    ring.backup(&backup).unwrap();
    let other = place.open().unwrap();
    let expected = pseudonym(&other.snapshot(), "globex");
    let (purpose, epoch) = (PurposeId::Troubleshooting, Purposes::default().epoch(PurposeId::Troubleshooting, NOW_MS));
    assert!(ring.destroy_tenant("acme").unwrap() && ring.destroy_epoch(purpose, epoch).unwrap());
    assert!(!ring.destroy_tenant("acme").unwrap(), "it was destroyed already");

    // A process that had them loses them at its next look, and cannot make them again.
    other.reload().unwrap();
    for ring in [&ring, &other, &place.open().unwrap()] {
        let keys = ring.snapshot();
        assert!(pseudonym(&keys, "acme").is_none() && !keys.has_epoch(purpose, epoch));
        assert!(pseudonym(&keys, "globex") == expected);
        assert!(!ring.ensure_tenant("acme").unwrap());
    }
    // The backup has both, as the vault wrapped them; the vault has their keys no more.
    fs::rename(place.path("keys"), place.path("lost")).unwrap();
    let restored = KeyRing::restore_with(&place.path("keys"), &backup, Some(place.vault())).unwrap();
    restored.ensure_epochs(&Purposes::default(), NOW_MS).unwrap();
    assert!(!restored.ensure_tenant("acme").unwrap());
    let keys = restored.snapshot();
    assert!(pseudonym(&keys, "acme").is_none() && !keys.has_epoch(purpose, epoch));
    assert!(pseudonym(&keys, "globex") == expected);
    assert_eq!(restored.standing().unwrap().gone, 2);
}

#[test]
fn key_that_is_deleted_in_the_vault_itself_ends_its_tenant_and_is_marked() {
    let place = Place::new();
    let ring = place.init();
    full(&ring);
    let key = format!("transit/keys/weir-{}", ring.tenant_key("acme"));
    place.bao.bao(["write", &format!("{key}/config"), "deletion_allowed=true"]);
    place.bao.bao(["delete", &key]);
    ring.reload().unwrap();
    assert!(pseudonym(&ring.snapshot(), "acme").is_none() && pseudonym(&ring.snapshot(), "globex").is_some());
    let standing = ring.standing().unwrap();
    assert_eq!((standing.destroyed, standing.gone), (1, 0), "the folder says so too");

    // The ring's own key is another matter: nothing may be taken for destroyed in the wrong vault.
    place.bao.bao(["write", "transit/keys/weir-ring/config", "deletion_allowed=true"]);
    place.bao.bao(["delete", "transit/keys/weir-ring"]);
    assert!(matches!(ring.reload(), Err(KeyError::Vault(WrapError::Gone { .. }))));
    assert!(pseudonym(&ring.snapshot(), "globex").is_some());
    assert_eq!(ring.standing().unwrap().destroyed, 1);
}

#[test]
fn key_that_producers_seal_to_is_wrapped_and_ends_with_its_key_in_the_vault() {
    let place = Place::new();
    let ring = place.init();
    let (first, second) = (ring.rotate_sealing().unwrap(), ring.rotate_sealing().unwrap());
    assert!(secrets_in_clear(&place.path("keys")).is_empty());
    let backup = place.path("backup");
    ring.backup(&backup).unwrap();
    let kids = |ring: &KeyRing| ring.snapshot().sealing_keys().map(|key| key.kid().to_owned()).collect::<Vec<_>>();
    let other = place.open().unwrap();
    assert_eq!(kids(&other), [second.kid(), first.kid()]);
    let standing = other.standing().unwrap();
    assert_eq!((standing.sealing, standing.destroyed, standing.gone), (2, 0, 0));

    place.bao.bao(["write", "transit/keys/weir-sealing-2/config", "deletion_allowed=true"]);
    place.bao.bao(["delete", "transit/keys/weir-sealing-2"]);
    other.reload().unwrap();
    assert_eq!(kids(&other), [first.kid()]);
    assert!(other.destroy_sealing(first.kid()).unwrap());
    assert_eq!(other.standing().unwrap().destroyed, 2);
    fs::rename(place.path("keys"), place.path("lost")).unwrap();
    let restored = KeyRing::restore_with(&place.path("keys"), &backup, Some(place.vault())).unwrap();
    assert!(kids(&restored).is_empty());
    assert_eq!(restored.standing().unwrap().gone, 2);
}

#[test]
fn keys_are_rotated_and_files_wrapped_anew_without_a_change_of_any_pseudonym() {
    let place = Place::new();
    let ring = place.init();
    full(&ring);
    let expected = pseudonym(&ring.snapshot(), "acme");
    let count = ring.rotate().unwrap();
    assert_eq!(usize::try_from(count).unwrap(), files(&place.path("keys")).len());
    let standing = ring.standing().unwrap();
    assert_eq!((standing.oldest_version, standing.ring_versions.unwrap().newest), (Some(1), 2));
    let done = ring.rewrap().unwrap();
    assert_eq!((done.files, done.current), (count, 0));
    assert_eq!(ring.rewrap().unwrap().current, count, "a second run has nothing to do");
    assert_eq!(ring.standing().unwrap().oldest_version, Some(2));
    // Nothing needs the old version any more.
    place.bao.bao(["write", "transit/keys/weir-ring/config", "min_decryption_version=2"]);
    assert!(pseudonym(&place.open().unwrap().snapshot(), "acme") == expected);

    ring.rotate().unwrap();
    place.bao.bao(["write", "transit/keys/weir-ring/config", "min_decryption_version=3"]);
    let error = refusal(place.open());
    assert!(matches!(&error, WrapError::Version { key } if key == "weir-ring"), "{error}");
    assert!(error.to_string().contains("rewrap"), "{error}");
}

#[test]
fn missing_right_is_named_with_its_path() {
    let place = Place::new();
    full(&place.init());
    for (without, right, path) in [
        ("transit/decrypt/weir-*", "update", "transit/decrypt/weir-ring"),
        ("transit/encrypt/weir-*", "update", "transit/encrypt/weir-tenant-"),
        ("transit/keys/weir-*", "read", "transit/keys/weir-tenant-"),
    ] {
        place.bao.policy("weir", &POLICY.lines().filter(|line| !line.contains(without)).collect::<Vec<_>>().join("\n"));
        let tried = place.open().and_then(|ring| ring.ensure_tenant("initech").map(|_| ring));
        let error = refusal(tried);
        assert!(matches!(&error, WrapError::Refused { .. }), "{error}");
        assert!(error.to_string().contains(right) && error.to_string().contains(path), "{error}");
    }
}

#[test]
fn vault_that_is_sealed_or_does_not_answer_is_away_and_nothing_changes() {
    let place = Place::new();
    let ring = place.init();
    full(&ring);
    let before = pseudonym(&ring.snapshot(), "acme");
    place.bao.seal();
    let error = ring.reload().unwrap_err();
    assert!(error.may_pass() && error.to_string().contains("sealed"), "{error}");
    assert!(ring.ensure_tenant("initech").unwrap_err().may_pass());
    assert!(files(&place.path("keys/tenants")).len() == 2, "nothing is put where it could not be wrapped");
    assert!(pseudonym(&ring.snapshot(), "acme") == before);
    place.bao.unseal();
    ring.reload().unwrap();
    place.bao.freeze(true);
    let error = ring.reload().unwrap_err();
    place.bao.freeze(false);
    assert!(error.may_pass() && error.to_string().contains("2000 ms"), "{error}");
    ring.reload().unwrap();
}

#[test]
fn login_is_renewed_before_it_ends_and_made_anew_when_it_is_revoked() {
    let mut place = Place::new();
    let ends_soon = place.token(&["-ttl=6s"]);
    place = place.with_token(&ends_soon);
    let client = place.client();
    assert!(client.make("one").unwrap());
    std::thread::sleep(Duration::from_secs(9));
    assert!(client.make("two").unwrap(), "the token was renewed");

    place.bao.bao(["token", "revoke", &ends_soon]);
    let error = client.make("three").unwrap_err();
    assert!(matches!(error, WrapError::Login { .. }) && error.to_string().contains("put a new one"), "{error}");
    place.bao.secret("token", &place.token(&[]));
    assert!(client.make("three").unwrap(), "the file is read again");

    let place = Place::new();
    let client = place.client();
    assert!(client.make("one").unwrap());
    place.bao.bao(["lease", "revoke", "-sync", "-prefix", "auth/approle/login"]);
    assert!(client.make("two").unwrap(), "weir logged in again");
}

#[test]
fn token_that_others_may_read_is_refused() {
    let place = Place::new();
    let token = place.token(&[]);
    let place = place.with_token(&token);
    let file = place.bao.path("token");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let error = place.client().make("one").unwrap_err();
    assert!(error.to_string().contains("mode 0644") && error.to_string().contains("chmod 600"), "{error}");
    assert!(!error.to_string().contains(&token));
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    assert!(place.client().make("one").unwrap());
}

#[test]
fn certificate_logs_in_and_a_vault_of_another_ca_is_not_trusted() {
    let mut place = Place::new();
    place.bao.bao(["auth", "enable", "cert"]);
    let certificate = format!("certificate=@{}", place.bao.path("client.pem").display());
    place.bao.bao(["write", "auth/cert/certs/weir", "policies=weir", &certificate]);
    let (chain, key) = (place.bao.path("client.pem"), place.bao.path("client-key.pem"));
    place.settings.auth = Auth::Certificate { mount: "cert".to_owned(), role: Some("weir".to_owned()) };
    let error = place.client().make("one").unwrap_err();
    assert!(matches!(error, WrapError::Login { .. }), "{error}");
    place.settings.certificate = Some(Certificate { chain, key });
    assert!(place.client().make("one").unwrap());
    let other = Bao::start();
    place.settings.ca = Some(other.path("ca.pem"));
    let error = place.client().make("two").unwrap_err();
    assert!(error.to_string().contains("check `ca`"), "{error}");
}

#[test]
fn token_that_somebody_else_signed_logs_in() {
    let mut place = Place::new();
    let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
    place.bao.bao(["auth", "enable", "jwt"]);
    place.bao.bao(["write", "auth/jwt/config", &format!("jwt_validation_pubkeys={}", key.public_key_pem())]);
    let role =
        ["role_type=jwt", "user_claim=sub", "bound_subject=weir", "bound_audiences=vault", "token_policies=weir"];
    place.bao.bao(["write", "auth/jwt/role/weir"].iter().chain(&role));
    let signed = |subject: &str| {
        let claims = format!(r#"{{"sub":"{subject}","aud":"vault","iat":1,"nbf":1,"exp":4102444800}}"#);
        let text = format!("{}.{}", BASE64.encode(r#"{"alg":"EdDSA","typ":"JWT"}"#), BASE64.encode(claims));
        format!("{text}.{}", BASE64.encode(key.sign(text.as_bytes()).unwrap()))
    };
    let file = place.bao.secret("jwt", &signed("somebody"));
    let auth =
        |is_private| Auth::Jwt { mount: "jwt".to_owned(), role: "weir".to_owned(), file: file.clone(), is_private };
    place.settings.auth = auth(true);
    let client = place.client();
    assert!(matches!(client.make("one").unwrap_err(), WrapError::Login { .. }));
    place.bao.secret("jwt", &signed("weir"));
    assert!(client.make("one").unwrap(), "the file is read again");

    // In a pod the file is open to others.
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(place.client().make("two").is_err());
    place.settings.auth = auth(false);
    assert!(place.client().make("two").unwrap());
}

#[test]
fn namespace_holds_keys_of_its_own() {
    let mut place = Place::new();
    place.client().make("one").unwrap();
    place.bao.bao(["namespace", "create", "team"]);
    let within = |arguments: &[&str]| {
        let (verb, rest) = arguments.split_at(2);
        place.bao.bao(verb.iter().chain(&["-namespace=team"]).chain(rest))
    };
    within(&["secrets", "enable", "transit"]);
    let policy = place.bao.secret("team.hcl", POLICY);
    within(&["policy", "write", "weir", policy.to_str().unwrap()]);
    let token = within(&["token", "create", "-field=token", "-policy=weir"]);
    place = place.with_token(token.trim());
    assert!(place.client().make("one").is_err(), "its token is worth nothing outside");
    place.settings.namespace = Some("team".to_owned());
    assert!(place.client().make("one").unwrap(), "the key outside is another");
}

#[test]
fn second_ring_needs_another_prefix() {
    let mut place = Place::new();
    place.init();
    let error = KeyRing::init_with(&place.path("second"), Some(place.vault())).err().unwrap();
    assert!(matches!(error, KeyError::Taken { .. }) && error.to_string().contains("prefix"), "{error}");
    place.bao.policy("weir", &format!("{POLICY}{}", POLICY.replace("weir-", "second-")));
    place.settings.prefix = "second".to_owned();
    let second = KeyRing::init_with(&place.path("third"), Some(place.vault())).unwrap();
    // Under the wrong prefix it is not this ring, and nothing is taken for destroyed.
    let error = refusal(place.open());
    assert!(matches!(error, WrapError::Foreign { .. }), "{error}");
    drop(second);
}

#[test]
fn thousands_of_secrets_are_confirmed_in_seconds() {
    let place = Place::new();
    let client = place.client();
    client.make("one").unwrap();
    let wrapped = client.wrap("one", b"secret").unwrap();
    let asked: Vec<_> = (0..2_000).map(|_| ("one".to_owned(), wrapped.clone())).collect();
    let started = Instant::now();
    let answers = client.unwrap(&asked);
    // What a machine takes is no test's business; the documents have a figure.
    println!("2,000 secrets in {} ms", started.elapsed().as_millis());
    assert!(
        answers.len() == 2_000
            && answers.iter().all(|answer| answer.as_ref().is_ok_and(|secret| **secret == b"secret"[..]))
    );
}
