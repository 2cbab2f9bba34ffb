//! Settings of vaults that are refused, and what two layers may not share.

use std::path::PathBuf;
use std::time::Duration;

use weir_vault::{Auth, AwsAuth};

use super::transit::{KUBERNETES_TOKEN, settings};
use super::*;

fn rules() -> VaultRules {
    VaultRules {
        provider: Make::Vault,
        address: Some("https://vault.example.com:8200".to_owned()),
        mount: Some("transit".to_owned()),
        prefix: "weir".to_owned(),
        namespace: None,
        region: None,
        ca: None,
        certificate: None,
        key: None,
        auth: AuthMethod::AppRole,
        auth_mount: None,
        login_address: None,
        role: Some("r".to_owned()),
        secret: Some("s".into()),
        cache_ttl: Duration::from_mins(10),
        timeout: Duration::from_secs(5),
    }
}

#[test]
fn vault_is_reached_by_tls_and_has_a_whole_login() {
    let code = |change: &dyn Fn(&mut VaultRules)| {
        let mut rules = rules();
        change(&mut rules);
        provider(rules).map_or_else(|(code, ..)| code, |_| "none")
    };
    assert_eq!(code(&|_| {}), "none");
    assert_eq!(code(&|rules| rules.address = Some("http://vault.example.com:8200".to_owned())), "vault_address");
    assert_eq!(code(&|rules| rules.address = Some("http://127.0.0.1:8200".to_owned())), "none");
    assert_eq!(code(&|rules| rules.prefix = "a/b".to_owned()), "vault_name");
    assert_eq!(code(&|rules| rules.mount = Some("a/../sys".to_owned())), "vault_name");
    assert_eq!(code(&|rules| rules.auth_mount = Some("a?b".to_owned())), "vault_name");
    assert_eq!(code(&|rules| rules.key = Some("k".into())), "vault_certificate");
    assert_eq!(code(&|rules| rules.secret = None), "vault_auth");
    assert_eq!(code(&|rules| rules.role = None), "vault_auth");
    assert_eq!(code(&|rules| rules.auth = AuthMethod::Certificate), "vault_auth");
    assert_eq!(code(&|rules| rules.auth = AuthMethod::Instance), "vault_auth");
    assert_eq!(code(&|rules| rules.address = None), "vault_address");
    assert_eq!(code(&|rules| rules.region = Some("eu-central-1".to_owned())), "vault_setting");
    assert_eq!(code(&|rules| rules.mount = None), "none");
    assert_eq!(code(&|rules| (rules.auth, rules.role) = (AuthMethod::Token, None)), "none");
}

/// One vault with two mounts and two logins is two layers, and so are two vaults; one mount or one login is not.
#[test]
fn layers_share_neither_mount_nor_login() {
    let code = |change: &dyn Fn(&mut VaultRules)| {
        let mut store = VaultRules {
            mount: Some("transit-store".to_owned()),
            role: Some("s".to_owned()),
            secret: Some("/etc/weir/t".into()),
            ..rules()
        };
        change(&mut store);
        let ring = provider(VaultRules { secret: Some("/etc/weir/s".into()), ..rules() }).unwrap();
        let store = provider(store).unwrap();
        shared(&ring, &store).map_or("none", |(code, message, _)| {
            assert_eq!(code, "vault_shared");
            if message.contains("one mount") { "mount" } else { "login" }
        })
    };
    assert_eq!(code(&|_| {}), "none");
    assert_eq!(code(&|store| store.mount = Some("transit".to_owned())), "mount");
    // A policy for `weir-*` is one for `weir-store-*`, too.
    assert_eq!(
        code(&|store| (store.mount, store.prefix) = (Some("transit".to_owned()), "weir-store".to_owned())),
        "mount"
    );
    let same_mount_elsewhere = |address: &str| {
        code(&|store| (store.mount, store.address) = (Some("transit".to_owned()), Some(address.to_owned())))
    };
    assert_eq!(same_mount_elsewhere("https://other.example.com:8200"), "none");
    assert_eq!(same_mount_elsewhere("https://Vault.example.com:8200/"), "mount");
    assert_eq!(code(&|store| store.secret = Some("/etc/weir/./s".into())), "login");
    assert_eq!(code(&|store| store.role = Some("r".to_owned())), "login");
    let other_vault = |store: &mut VaultRules| store.address = Some("https://other.example.com:8200".to_owned());
    assert_eq!(code(&|store| (other_vault(store), store.role = Some("r".to_owned())).1), "none");
    assert_eq!(code(&|store| (other_vault(store), store.secret = Some("/etc/weir/s".into())).1), "login");
}

#[test]
fn kubernetes_puts_the_token_where_it_always_does() {
    let found = settings(VaultRules { auth: AuthMethod::Kubernetes, secret: None, ..rules() }).map(|found| found.auth);
    let file = PathBuf::from(KUBERNETES_TOKEN);
    let expected = Auth::Jwt { mount: "kubernetes".to_owned(), role: "r".to_owned(), file, is_private: false };
    assert_eq!(found, Ok(expected));
}

fn aws() -> VaultRules {
    VaultRules {
        provider: Make::Aws,
        address: None,
        mount: None,
        region: Some("eu-central-1".to_owned()),
        auth: AuthMethod::WebIdentity,
        role: Some("arn:aws:iam::111122223333:role/weir".to_owned()),
        secret: None,
        ..rules()
    }
}

#[test]
fn aws_has_settings_of_its_own_and_a_whole_login() {
    let code = |change: &dyn Fn(&mut VaultRules)| {
        let mut rules = aws();
        change(&mut rules);
        provider(rules).map_or_else(|(code, ..)| code, |_| "none")
    };
    assert_eq!(code(&|_| {}), "none");
    assert_eq!(code(&|rules| rules.mount = Some("transit".to_owned())), "vault_setting");
    assert_eq!(code(&|rules| rules.namespace = Some("n".to_owned())), "vault_setting");
    assert_eq!(code(&|rules| rules.region = None), "vault_region");
    assert_eq!(code(&|rules| rules.region = Some("eu.example.com/".to_owned())), "vault_region");
    assert_eq!(code(&|rules| rules.address = Some("http://kms.example.com".to_owned())), "vault_address");
    assert_eq!(code(&|rules| rules.login_address = Some("http://10.0.0.1".to_owned())), "vault_address");
    assert_eq!(code(&|rules| rules.auth = AuthMethod::AppRole), "vault_auth");
    assert_eq!(code(&|rules| rules.role = Some("weir".to_owned())), "vault_auth");
    assert_eq!(code(&|rules| rules.auth = AuthMethod::CredentialsFile), "vault_auth");
    assert_eq!(code(&|rules| rules.auth = AuthMethod::Environment), "vault_setting");
    assert_eq!(code(&|rules| (rules.auth, rules.role) = (AuthMethod::Environment, None)), "none");
    assert_eq!(code(&|rules| rules.prefix = "a/b".to_owned()), "vault_name");
}

#[test]
fn token_that_kubernetes_mounts_may_be_open_and_another_may_not() {
    let auth = |secret| match provider(VaultRules { secret, ..aws() }).unwrap() {
        Provider::Aws(settings) => settings.auth,
        Provider::Vault(_) => panic!("it is AWS"),
    };
    assert!(matches!(auth(None), AwsAuth::WebIdentity { is_private: false, .. }));
    assert!(matches!(auth(Some("/etc/weir/token".into())), AwsAuth::WebIdentity { is_private: true, .. }));
}

/// Two layers in one cloud have another prefix or region, and another login; one in a vault and one in a cloud, another login.
#[test]
fn layers_in_a_cloud_share_neither_keys_nor_login() {
    let store = || VaultRules {
        prefix: "seal".to_owned(),
        role: Some("arn:aws:iam::111122223333:role/seal".to_owned()),
        secret: Some("/var/run/secrets/seal/token".into()),
        ..aws()
    };
    let code = |ring: VaultRules, change: &dyn Fn(&mut VaultRules)| {
        let mut store = store();
        change(&mut store);
        shared(&provider(ring).unwrap(), &provider(store).unwrap()).map_or("none", |(code, message, _)| {
            assert_eq!(code, "vault_shared");
            if message.contains("one prefix") { "prefix" } else { "login" }
        })
    };
    assert_eq!(code(aws(), &|_| {}), "none");
    for prefix in ["weir", "weir-store"] {
        assert_eq!(code(aws(), &|store| store.prefix = prefix.to_owned()), "prefix");
    }
    assert_eq!(code(aws(), &|store| store.prefix = "weirstore".to_owned()), "none");
    let elsewhere = |store: &mut VaultRules| store.region = Some("eu-west-1".to_owned());
    assert_eq!(code(aws(), &|store| (elsewhere(store), store.prefix = "weir".to_owned()).1), "none");
    assert_eq!(code(aws(), &|store| (elsewhere(store), store.role = aws().role).1), "login");
    assert_eq!(code(aws(), &|store| (elsewhere(store), store.secret = None).1), "login");
    let bare = |auth| VaultRules { auth, role: None, secret: None, ..aws() };
    for auth in [AuthMethod::Container, AuthMethod::Environment, AuthMethod::Instance] {
        let same = |store: &mut VaultRules| (store.auth, store.role, store.secret) = (auth, None, None);
        assert_eq!(code(bare(auth), &same), "login");
    }
    let other = |store: &mut VaultRules| (store.auth, store.role, store.secret) = (AuthMethod::Instance, None, None);
    assert_eq!(code(bare(AuthMethod::Environment), &other), "none");
    let file = |profile: &str| VaultRules {
        auth: AuthMethod::CredentialsFile,
        role: Some(profile.to_owned()),
        secret: Some("/etc/weir/credentials".into()),
        ..aws()
    };
    let in_it = |store: &mut VaultRules| *store = VaultRules { prefix: "seal".to_owned(), ..file("two") };
    assert_eq!(code(file("one"), &in_it), "login", "who took the file has both");
    // One in a vault.
    assert_eq!(code(VaultRules { secret: Some("/etc/weir/s".into()), ..rules() }, &|_| {}), "none");
    let token = |store: &mut VaultRules| store.secret = Some("/etc/weir/s".into());
    assert_eq!(code(VaultRules { secret: Some("/etc/weir/s".into()), ..rules() }, &token), "login");
}
