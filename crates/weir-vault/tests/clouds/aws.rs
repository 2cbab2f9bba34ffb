//! AWS KMS.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use weir_keys::{KeyError, KeyRing, Wrap, WrapError};
use weir_policy::Purposes;
use weir_testkit::aws::Aws;
use weir_vault::{Address, AwsAuth, AwsSettings, Seal, Vault};

use crate::ring::NOW_MS;
use crate::{Cloud, secret};

/// AWS, with credentials in a file.
pub(crate) struct AwsPlace {
    aws: Aws,
    folder: TempDir,
    settings: AwsSettings,
}

impl AwsPlace {
    pub(crate) fn new() -> Self {
        let (aws, folder) = (Aws::start(), tempfile::tempdir().unwrap());
        let address = Address::parse(&aws.address());
        let file = folder.path().join("credentials");
        let settings = AwsSettings {
            region: Aws::REGION.to_owned(),
            login_address: address.clone(),
            address,
            prefix: "weir".to_owned(),
            ca: None,
            auth: AwsAuth::File { file, profile: "weir".to_owned() },
            timeout: Duration::from_secs(2),
        };
        let place = Self { aws, folder, settings };
        place.log_in_as("AKIAWEIR");
        place
    }

    /// Gives weir the credentials of somebody.
    fn log_in_as(&self, id: &str) -> String {
        let key = self.aws.user(id);
        let text = format!(
            "# of AWS's own tools\n[default]\naws_access_key_id = AKIANOBODY\naws_secret_access_key = x\n\n[weir]\n\
             aws_access_key_id = {id}\naws_secret_access_key={key}\n"
        );
        secret(&self.path("credentials"), &text);
        key
    }

    fn vault(&self, auth: AwsAuth) -> Vault {
        Vault::new(AwsSettings { auth, ..self.settings.clone() }).unwrap()
    }
}

impl Cloud for AwsPlace {
    fn client(&self) -> Arc<dyn Wrap> {
        Arc::new(Vault::new(self.settings.clone()).unwrap())
    }

    fn folder(&self) -> &TempDir {
        &self.folder
    }

    fn names(&self) -> Vec<String> {
        self.aws.names().iter().map(|name| name.trim_start_matches("alias/").to_owned()).collect()
    }

    fn delete(&self, name: &str) {
        self.aws.set_state(&format!("alias/{name}"), "PendingDeletion");
    }

    fn disable(&self, name: &str, is_disabled: bool) {
        self.aws.set_state(&format!("alias/{name}"), if is_disabled { "Disabled" } else { "Enabled" });
    }

    fn set_gone(&self, is_gone: bool) {
        self.aws.set_gone(is_gone);
    }

    fn throttle(&self, times: usize) {
        self.aws.trouble("Decrypt", 400, "ThrottlingException", times);
    }
}

fn unwrapped(vault: &Vault, key: &str, text: &str) -> Result<Vec<u8>, WrapError> {
    vault.unwrap(&[(key.to_owned(), text.to_owned())]).remove(0).map(|secret| secret.to_vec())
}

/// Destroying schedules the key's deletion and takes its name; who makes the key again gets another one, which opens nothing old.
#[test]
fn destroyed_key_is_scheduled_for_deletion_and_has_no_name() {
    let place = AwsPlace::new();
    let vault = Vault::new(place.settings.clone()).unwrap();
    vault.make("ring").unwrap();
    let wrapped = vault.wrap("ring", b"s").unwrap();
    // Cut short between the two: the key is gone already, and is made by nobody under its name.
    place.aws.trouble("DeleteAlias", 400, "AccessDeniedException", 1);
    let error = vault.destroy("ring").unwrap_err();
    assert!(matches!(error, WrapError::Refused { right: "kms:DeleteAlias", .. }), "{error}");
    assert_eq!(vault.versions("ring"), Ok(None));
    assert!(matches!(unwrapped(&vault, "ring", &wrapped), Err(WrapError::Gone { .. })));
    assert!(matches!(vault.make("ring"), Err(WrapError::Gone { .. })));
    vault.destroy("ring").unwrap();
    assert_eq!((place.aws.states("weir-ring"), place.names()), (vec!["PendingDeletion"], Vec::new()));
    assert!(matches!(unwrapped(&vault, "ring", &wrapped), Err(WrapError::Gone { .. })));
    assert!(vault.make("ring").unwrap());
    assert!(matches!(unwrapped(&vault, "ring", &wrapped), Err(WrapError::Foreign { .. })));
}

/// The context binds a secret to its name, even where somebody has two aliases stand for one key.
#[test]
fn alias_that_is_pointed_elsewhere_opens_nothing() {
    let place = AwsPlace::new();
    let vault = Vault::new(place.settings.clone()).unwrap();
    vault.make("tenant-1").unwrap();
    vault.make("tenant-2").unwrap();
    let wrapped = vault.wrap("tenant-1", b"s").unwrap();
    place.aws.point("alias/weir-tenant-2", "alias/weir-tenant-1");
    assert!(matches!(unwrapped(&vault, "tenant-2", &wrapped), Err(WrapError::Foreign { .. })));
    assert_eq!(unwrapped(&vault, "tenant-1", &wrapped).unwrap(), b"s");
}

/// A key that was just made is waited for where AWS has not heard of it, and never taken for destroyed.
#[test]
fn key_that_aws_has_not_heard_of_everywhere_is_waited_for() {
    let place = AwsPlace::new();
    let vault = Vault::new(place.settings.clone()).unwrap();
    vault.make("tenant-1").unwrap();
    place.aws.forget_names(2);
    let wrapped = vault.wrap("tenant-1", b"s").unwrap();
    place.aws.forget_names(1);
    assert_eq!(unwrapped(&vault, "tenant-1", &wrapped).unwrap(), b"s");
    place.aws.forget_names(100);
    assert!(matches!(unwrapped(&vault, "tenant-1", &wrapped), Err(WrapError::Away { .. })));
    // Who did not make it believes what AWS says.
    let other = Vault::new(place.settings.clone()).unwrap();
    assert!(matches!(unwrapped(&other, "tenant-1", &wrapped), Err(WrapError::Gone { .. })));
}

/// Of two processes that make a key at once, one makes it; the other's leaves no key behind that anybody pays for.
#[test]
fn key_that_another_process_made_first_is_the_one() {
    let place = AwsPlace::new();
    let (one, other) = (Vault::new(place.settings.clone()).unwrap(), Vault::new(place.settings.clone()).unwrap());
    one.make("ring").unwrap();
    place.aws.trouble("DescribeKey", 400, "NotFoundException", 1);
    assert_eq!(other.make("ring"), Ok(false));
    let mut states = place.aws.states("weir-ring");
    states.sort_unstable();
    assert_eq!(states, ["Enabled", "PendingDeletion"]);
    let wrapped = other.wrap("ring", b"s").unwrap();
    assert_eq!(unwrapped(&one, "ring", &wrapped).unwrap(), b"s");
    place.aws.trouble("CreateAlias", 400, "AccessDeniedException", 1);
    assert!(matches!(one.make("store-1"), Err(WrapError::Refused { right: "kms:CreateAlias", .. })));
    assert_eq!(place.aws.states("weir-store-1"), ["PendingDeletion"]);
}

/// A name that was given, and whose answer was lost, is the key's: it is not scheduled for deletion as one that came second.
#[test]
fn key_whose_name_was_given_without_an_answer_is_kept() {
    let place = AwsPlace::new();
    let vault = Vault::new(place.settings.clone()).unwrap();
    let lost = |key: &str, more| {
        place.aws.lose_answer("CreateAlias");
        place.aws.trouble("CreateAlias", 503, "", more);
        assert_eq!(vault.make(key), Ok(true), "{key}");
        assert_eq!(place.aws.states(&format!("weir-{key}")), ["Enabled"]);
        let wrapped = vault.wrap(key, b"s").unwrap();
        assert_eq!(unwrapped(&vault, key, &wrapped).unwrap(), b"s");
    };
    // The second time it is said that there is one; or no time anything is said.
    lost("ring", 0);
    lost("tenant-1", ASKED - 1);
    // Nobody says whether there is a name: it may be that one does not see it yet.
    place.aws.trouble("CreateAlias", 503, "", ASKED);
    assert!(matches!(vault.make("tenant-2"), Err(WrapError::Away { .. })));
    assert_eq!(place.aws.states("weir-tenant-2"), ["Enabled"]);
    assert_eq!(vault.make("tenant-2"), Ok(true), "the next time helps");
}

/// A ring whose vault opens all secrets and makes or destroys none goes on until events need one that is not there.
#[test]
fn ring_goes_on_without_the_right_to_make_keys_until_an_epoch_lacks_its_secret() {
    let place = AwsPlace::new();
    let ring = KeyRing::init_with(&place.path("keys"), Some(place.client())).unwrap();
    let purposes = Purposes::default();
    let tend = |days: i64| ring.tend(&purposes, NOW_MS + days * DAY_MS);
    let due = |days: i64| tend(days).map(|tended| (tended.due, tended.trouble.is_some()));
    assert!(tend(0).unwrap().made > 0 && matches!(due(0), Ok((0, false))));
    place.aws.limit("AKIAWEIR", &["Decrypt", "DescribeKey", "Encrypt", "ListKeyRotations"], "alias/weir-");
    ring.reload().unwrap();
    assert!(matches!(due(0), Ok((0, false))), "nothing is to be done");
    // Troubleshooting's epochs last a week: the one that was made ahead has begun, and one is over.
    assert!(matches!(due(7), Ok((2, true))), "{:?}", tend(7));
    let error = tend(14).unwrap_err();
    assert!(matches!(error, KeyError::Vault(WrapError::Refused { .. })), "{error}");
    place.aws.user("AKIAWEIR");
    assert!(matches!(due(14), Ok((0, false))), "{:?}", tend(14));
}

/// Each way that a login or a right can be missing has its own words, none of which is a secret.
#[test]
fn missing_rights_and_logins_are_named_and_no_secret_is() {
    let place = AwsPlace::new();
    let vault = Vault::new(place.settings.clone()).unwrap();
    vault.make("ring").unwrap();
    let wrapped = vault.wrap("ring", b"s").unwrap();
    assert_eq!(vault.seal(), Ok(Seal::Answers));
    place.aws.limit("AKIAWEIR", &["Decrypt"], "alias/weir-");
    assert_eq!(unwrapped(&vault, "ring", &wrapped).unwrap(), b"s");
    let refused = |right, path: &str| WrapError::Refused { right, path: path.to_owned() };
    assert_eq!(vault.versions("ring"), Err(refused("kms:DescribeKey", "alias/weir-ring")));
    assert_eq!(vault.seal(), Ok(Seal::Answers), "AWS knows who asks");
    place.aws.limit("AKIAWEIR", &["DescribeKey", "Encrypt"], "alias/weir-");
    assert_eq!(unwrapped(&vault, "ring", &wrapped), Err(refused("kms:Decrypt", "alias/weir-ring")));

    // Credentials that were replaced are read again; those that nobody knows are refused.
    place.aws.revoke("AKIAWEIR");
    let error = vault.seal().unwrap_err();
    assert!(matches!(error, WrapError::Login { .. }) && !error.may_pass(), "{error}");
    let key = place.log_in_as("AKIAOTHER");
    assert_eq!(unwrapped(&vault, "ring", &wrapped).unwrap(), b"s");
    let wrong = place.path("wrong");
    secret(&wrong, &format!("[weir]\naws_access_key_id=AKIAOTHER\naws_secret_access_key={key}x\n"));
    let auth = AwsAuth::File { file: wrong.clone(), profile: "weir".to_owned() };
    let errors = [error, place.vault(auth.clone()).seal().unwrap_err()];
    fs::set_permissions(&wrong, fs::Permissions::from_mode(0o640)).unwrap();
    let open = place.vault(auth).seal().unwrap_err();
    assert!(open.to_string().contains("chmod 600"), "{open}");
    let missing = AwsAuth::File { file: place.path("credentials"), profile: "other".to_owned() };
    let missing = place.vault(missing).seal().unwrap_err();
    assert!(missing.to_string().contains("[other]"), "{missing}");
    for error in errors.iter().chain([&open, &missing]) {
        let text = format!("{error} {error:?}");
        assert!(matches!(error, WrapError::Login { .. }), "{text}");
        assert!(!text.contains(&key) && !text.contains("AKIA") && !text.contains("no word of this"), "{text}");
    }
}

/// Roles are asked for where AWS has them asked for, and their sessions sign with their token.
#[test]
fn roles_are_taken_by_web_identity_and_from_the_instance() {
    let place = AwsPlace::new();
    let token = place.path("token");
    let role = "arn:aws:iam::111122223333:role/weir".to_owned();
    let web = |is_private| AwsAuth::WebIdentity { role: role.clone(), file: token.clone(), is_private };
    fs::write(&token, "good.jwt+of/k8s").unwrap();
    fs::set_permissions(&token, fs::Permissions::from_mode(0o644)).unwrap();
    let vault = place.vault(web(false));
    assert!(vault.make("ring").unwrap());
    assert!(place.aws.asked().iter().all(|asked| asked.starts_with("ASIA")));
    assert!(matches!(place.vault(web(true)).seal(), Err(WrapError::Login { .. })), "others may read it");
    assert_eq!(place.vault(AwsAuth::Instance).seal(), Ok(Seal::Answers));
    fs::write(&token, "bad").unwrap();
    let error = place.vault(web(false)).seal().unwrap_err();
    assert!(matches!(error, WrapError::Login { .. }) && error.to_string().contains("the role"), "{error}");
    place.aws.set_gone(true);
    let error = place.vault(web(false)).seal().unwrap_err();
    assert!(matches!(error, WrapError::Away { .. }), "{error}");
}

/// What AWS answers is told apart by its kind, and what may pass is asked again.
#[test]
fn troubles_are_told_apart() {
    let place = AwsPlace::new();
    let vault = Vault::new(place.settings.clone()).unwrap();
    vault.make("ring").unwrap();
    let wrapped = vault.wrap("ring", b"s").unwrap();
    for (status, kind) in [(500, "KMSInternalException"), (503, "DependencyTimeoutException"), (502, "")] {
        place.aws.trouble("Decrypt", status, kind, 1);
        assert_eq!(unwrapped(&vault, "ring", &wrapped).unwrap(), b"s", "{kind}");
    }
    let once = |action, kind| {
        place.aws.trouble(action, 400, kind, 1);
        match action {
            "Decrypt" => unwrapped(&vault, "ring", &wrapped).err(),
            "CreateKey" => vault.make("tenant-1").err(),
            _ => vault.rotate("ring").err(),
        }
    };
    assert!(matches!(once("Decrypt", "com.amazonaws.kms#DisabledException"), Some(WrapError::Disabled { .. })));
    assert!(matches!(once("Decrypt", "InvalidCiphertextException"), Some(WrapError::Foreign { .. })));
    assert!(matches!(once("Decrypt", "ValidationException"), Some(WrapError::Unexpected { .. })));
    assert_eq!(once("Decrypt", "ExpiredTokenException"), None, "another login helped");
    assert_eq!(once("RotateKeyOnDemand", "ConflictException"), None, "one is under way");
    let error = once("RotateKeyOnDemand", "LimitExceededException").unwrap();
    assert!(error.to_string().contains("25 times"), "{error}");
    let error = once("CreateKey", "LimitExceededException").unwrap();
    assert!(error.to_string().contains("quotas"), "{error}");
    for state in ["Unavailable", "Creating", "Updating"] {
        place.aws.set_state("alias/weir-ring", state);
        let error = unwrapped(&vault, "ring", &wrapped).unwrap_err();
        assert!(matches!(error, WrapError::Away { .. }), "{state}: {error}");
    }
}

/// How often a question is asked that is not answered.
const ASKED: usize = 4;
const DAY_MS: i64 = 86_400_000;
