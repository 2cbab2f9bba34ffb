//! Keys that a cloud's key service wraps, by the verbs that their operators use.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use weir_testkit::aws::Aws;

use crate::program::Weir;
use crate::world::{Settings, World, every_file};

/// Both layers lie in AWS KMS, with a login each; every verb works there, and neither a secret nor a login is shown or written.
#[test]
fn verbs_keep_both_layers_in_aws() {
    let (aws, folder) = (Aws::start(), tempfile::tempdir().unwrap());
    let login = |name: &str| {
        let (path, secret) = (folder.path().join(name), aws.user(&format!("AKIA{name}")));
        fs::write(&path, format!("[default]\naws_access_key_id=AKIA{name}\naws_secret_access_key={secret}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        (path, secret)
    };
    let ((ring, ring_secret), (store, store_secret)) = (login("RING"), login("STORE"));
    aws.limit("AKIARING", &OPERATOR, "alias/weir-");
    aws.limit("AKIASTORE", &OPERATOR, "alias/seal-");
    let section = |name: &str, prefix: &str, file: &std::path::Path| {
        format!(
            "[{name}]\nprovider = \"aws-kms\"\nregion = \"{}\"\naddress = \"{}\"\nprefix = \"{prefix}\"\n\
             auth = \"credentials-file\"\nsecret = \"{}\"\ncache_ttl = \"60s\"\n",
            Aws::REGION,
            aws.address(),
            file.display()
        )
    };
    let more = section("keys.vault", "weir", &ring) + &section("lake.store_vault", "seal", &store);
    let world = World::new(&Settings { sealed: true, more, ..Settings::default() });
    let weir = |arguments: &[&str]| Weir::new(&world, arguments.iter().copied()).run().assert_done();

    weir(&["keys", "rotate-sealing"]);
    assert!(weir(&["keys", "rotate"]).contains("2 keys have a new version"));
    assert!(weir(&["keys", "rewrap"]).contains("2 files are wrapped anew"));
    weir(&["keys", "rotate-store"]);
    assert!(weir(&["keys", "rewrap-store"]).contains("1 files are wrapped anew"));
    weir(&["keys", "destroy", "--store-version", "1", "--yes"]);
    let status = weir(&["keys", "status", "--format", "json"]);
    for part in [
        r#""vault": "answers""#,
        r#""newest_version": "2""#,
        r#""oldest_version_in_use": "2""#,
        r#""store_vault": "answers""#,
        r#""store_destroyed": "1""#,
        "keys alias/seal-…",
    ] {
        assert!(status.contains(part), "{part}: {status}");
    }
    assert_eq!(aws.states("seal-store-1"), ["PendingDeletion"]);
    let backup = world.path("backup");
    weir(&["keys", "backup", backup.to_str().unwrap()]);
    fs::rename(world.path("keys"), world.path("lost")).unwrap();
    weir(&["keys", "restore", backup.to_str().unwrap()]);
    weir(&["keys", "status"]);

    aws.limit("AKIARING", &["DescribeKey"], "alias/weir-");
    let why = Weir::new(&world, ["keys", "status"]).run().assert_refused(77);
    assert!(why.contains("kms:Decrypt") && why.contains("alias/weir-ring"), "{why}");
    aws.set_gone(true);
    Weir::new(&world, ["keys", "status"]).run().assert_refused(69);
    for file in every_file(world.path("").as_path()) {
        let bytes = fs::read(&file).unwrap();
        for secret in [&ring_secret, &store_secret] {
            assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()), "{}", file.display());
        }
    }
}

/// What docs/security.md gives an operator.
const OPERATOR: [&str; 10] = [
    "CreateAlias",
    "CreateKey",
    "Decrypt",
    "DeleteAlias",
    "DescribeKey",
    "Encrypt",
    "ListKeyRotations",
    "ReEncrypt",
    "RotateKeyOnDemand",
    "ScheduleKeyDeletion",
];
