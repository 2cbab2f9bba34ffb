//! `[keys.vault]` and `[lake.store_vault]`: who wraps the key ring and the store's own keys, and how weir logs in there.
//!
//! The two layers hold apart only as far as their vaults do: both in one mount, or behind one login, are refused.

use std::path::{Path, PathBuf};
use std::time::Duration;

use weir_policy::diagnostic::Diagnostic;
use weir_policy::reader::{Node, Section};
use weir_vault::{Address, Auth, Certificate, Settings};

use super::section::{KeyPage, SectionPage, section};
use super::setting::Setting;

section! {
    /// A vault that wraps the secrets of the ring, so that its folder alone opens nothing: HashiCorp Vault or OpenBao, their transit
    /// engine. Without this section the secrets lie in the folder in clear. Each ring needs a prefix of its own.
    pub struct VaultRules at "keys.vault" {
        /// Where the vault is: https, or http to a loopback.
        address: String = required(r#""https://vault.example.com:8200""#),
        /// Where its transit engine is mounted.
        mount: String = standard(r#""transit""#),
        /// What the names of weir's keys there begin with: "weir-ring", "weir-tenant-…", "weir-reliability-…", "weir-sealing-…".
        prefix: String = standard(r#""weir""#),
        /// The namespace, for vaults that have them.
        namespace: Option<String> = optional(r#""team-a""#),
        /// The CA that the vault's certificate is of, in PEM; without it, those that the machine trusts.
        ca: Option<PathBuf> = optional(r#""vault-ca.pem""#),
        /// weir's own certificate and those between it and its CA, in PEM, for a vault that wants one,
        certificate: Option<PathBuf> = optional(r#""vault-client.pem""#),
        /// and its private key: a file that only its owner may read.
        key: Option<PathBuf> = optional(r#""vault-client-key.pem""#),
        /// How weir logs in: "approle", "certificate", "jwt", "kubernetes" or "token".
        auth: AuthMethod = required(r#""approle""#),
        /// Where that method is mounted; without it "approle", "cert", "jwt" or "kubernetes".
        auth_mount: Option<String> = optional(r#""approle""#),
        /// The role: the role id of "approle", the name of a role elsewhere; "token" has none.
        role: Option<String> = proposed(r#""0b1f9d1c-weir""#),
        /// The file of the secret id, of the JWT or of the token, which only its owner may read. It is read again at each login.
        secret: Option<PathBuf> = proposed(r#""vault-secret-id""#),
        /// How long secrets may be used after the vault last confirmed them; a third of it is the time between two confirmations.
        /// Longer bridges longer absences of the vault; shorter ends what was destroyed or revoked there sooner.
        cache_ttl: Duration = standard(r#""10m""#),
        /// How long one request may take; what may pass is tried three times.
        timeout: Duration = standard(r#""5s""#),
    }
}

/// What the default file says of the vault of the store's keys: the settings are the same, and what must differ does.
pub(crate) const STORE_PAGE: SectionPage = SectionPage {
    path: "lake.store_vault",
    doc: &[
        " A vault that wraps the store's own keys, with the settings of `[keys.vault]`; without this section they lie in their folder in",
        " clear. It is another vault, or another mount with another login, so that nobody opens both layers who administers or has one.",
    ],
    keys: &[
        KeyPage {
            key: "address",
            mode: "required",
            sample: r#""https://store-vault.example.com:8200""#,
            doc: &[" Where the vault is."],
        },
        KeyPage {
            key: "mount",
            mode: "standard",
            sample: r#""transit-store""#,
            doc: &[" Where its transit engine is mounted. The daemon's login needs nothing but to decrypt there."],
        },
        KeyPage { key: "auth", mode: "required", sample: r#""approle""#, doc: &[" A login of its own."] },
        KeyPage { key: "role", mode: "proposed", sample: r#""5c7e2a40-weir-store""#, doc: &[" Its role,"] },
        KeyPage {
            key: "secret",
            mode: "proposed",
            sample: r#""store-vault-secret-id""#,
            doc: &[" and the file of its secret. Every other key of `[keys.vault]` may stand here, too."],
        },
    ],
};

/// How weir logs in to a vault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthMethod {
    /// A role id and a secret id.
    AppRole,
    /// weir's TLS certificate.
    Certificate,
    /// A JWT that somebody else signed.
    Jwt,
    /// The JWT that Kubernetes gives a pod.
    Kubernetes,
    /// A token.
    Token,
}

impl Setting for AuthMethod {
    const WANTS: &'static str = "\"approle\", \"certificate\", \"jwt\", \"kubernetes\" or \"token\"";

    fn read(node: &Node, folder: &Path) -> Option<Self> {
        match String::read(node, folder)?.as_str() {
            "approle" => Some(Self::AppRole),
            "certificate" => Some(Self::Certificate),
            "jwt" => Some(Self::Jwt),
            "kubernetes" => Some(Self::Kubernetes),
            "token" => Some(Self::Token),
            _ => None,
        }
    }
}

/// A vault, and for how long what it opened may be used.
#[derive(Clone, Debug, PartialEq)]
pub struct Vault {
    /// Which vault, and how weir logs in.
    pub settings: Settings,
    /// How long secrets may be used after the vault last confirmed them.
    pub cache_ttl: Duration,
}

/// Reads the section of a path and checks that no secret crosses a network in clear, and that the login is whole.
pub(super) fn read(section: &mut Section<'_>, path: &str) -> Option<Vault> {
    let rules = VaultRules::read(section)?;
    let cache_ttl = rules.cache_ttl;
    match settings(rules) {
        Ok(settings) => Some(Vault { settings, cache_ttl }),
        Err((code, message, hint)) => {
            let message = message.replace("`keys.vault", &format!("`{path}"));
            section.faults().add(Diagnostic::error(section.place(), code, message).hint(hint));
            None
        }
    }
}

/// Says what two vaults have in common, so that who has one layer has both.
pub(super) fn shared(ring: &Settings, store: &Settings) -> Option<Fault> {
    let is_same_vault = ring.address.is_same(&store.address) && ring.namespace == store.namespace;
    if is_same_vault && ring.mount == store.mount {
        return Some((
            "vault_shared",
            "`keys.vault` and `lake.store_vault` name one mount of one vault, so that the layers would fall together",
            "`bao secrets enable -path=transit-store transit` makes a mount for the store's keys; or use another vault",
        ));
    }
    let is_same_role = is_same_vault && role(&ring.auth).is_some() && role(&ring.auth) == role(&store.auth);
    (is_same_role || login(ring) == login(store)).then_some((
        "vault_shared",
        "`keys.vault` and `lake.store_vault` log in as one, so that the layers would fall together",
        "give the store's keys a role and a secret of their own, whose policy is for their mount alone",
    ))
}

/// Returns the file that a login needs.
fn login(settings: &Settings) -> Option<&Path> {
    match &settings.auth {
        Auth::AppRole { secret_file: file, .. } | Auth::Jwt { file, .. } | Auth::Token { file } => Some(file),
        Auth::Certificate { .. } => settings.certificate.as_ref().map(|certificate| certificate.key.as_path()),
    }
}

/// Returns the role that a login has in its vault, and where it has it; a token says so itself.
fn role(auth: &Auth) -> Option<(&str, &str)> {
    match auth {
        Auth::AppRole { mount, role, .. } | Auth::Jwt { mount, role, .. } => Some((mount, role)),
        Auth::Certificate { mount, role } => role.as_deref().map(|role| (mount.as_str(), role)),
        Auth::Token { .. } => None,
    }
}

type Fault = (&'static str, &'static str, &'static str);

fn settings(rules: VaultRules) -> Result<Settings, Fault> {
    let address = Address::parse(&rules.address).ok_or((
        "vault_address",
        "`keys.vault.address` is no address with https, or has more than a host and a port",
        "https, or http to a loopback such as \"http://127.0.0.1:8200\": secrets would cross the network in clear",
    ))?;
    if !is_path(&rules.mount) || !is_path(&rules.prefix) || rules.prefix.contains('/') {
        let hint = "letters, digits, `-` and `_`; a mount may have `/` between them";
        return Err(("vault_name", "`keys.vault` has a mount or prefix that cannot be one", hint));
    }
    let certificate = match (&rules.certificate, &rules.key) {
        (Some(chain), Some(key)) => Some(Certificate { chain: chain.clone(), key: key.clone() }),
        (None, None) => None,
        (Some(_), None) | (None, Some(_)) => {
            let hint = "name both files, or none";
            return Err((
                "vault_certificate",
                "`keys.vault` has a certificate without its key, or the key alone",
                hint,
            ));
        }
    };
    let auth = auth(&rules, certificate.is_some())?;
    let VaultRules { mount, prefix, namespace, ca, timeout, .. } = rules;
    Ok(Settings { address, mount, prefix, namespace, ca, certificate, auth, timeout })
}

fn auth(rules: &VaultRules, has_certificate: bool) -> Result<Auth, Fault> {
    let missing = |what, hint| ("vault_auth", what, hint);
    let role = || {
        let hint = "name the role that weir is to have in the vault";
        rules.role.clone().ok_or_else(|| missing("`keys.vault.role` is missing", hint))
    };
    let secret = || {
        let hint = "name the file of the secret id, the JWT or the token; it is never in the configuration itself";
        rules.secret.clone().ok_or_else(|| missing("`keys.vault.secret` is missing", hint))
    };
    let mount = |usual: &str| rules.auth_mount.clone().unwrap_or_else(|| usual.to_owned());
    if rules.auth_mount.as_deref().is_some_and(|mount| !is_path(mount)) {
        return Err(("vault_name", "`keys.vault.auth_mount` cannot be a mount", "letters, digits, `-`, `_` and `/`"));
    }
    Ok(match rules.auth {
        AuthMethod::AppRole => Auth::AppRole { mount: mount("approle"), role: role()?, secret_file: secret()? },
        AuthMethod::Certificate if has_certificate => {
            Auth::Certificate { mount: mount("cert"), role: rules.role.clone() }
        }
        AuthMethod::Certificate => {
            return Err(missing("`keys.vault.certificate` is missing", "name weir's certificate and its key"));
        }
        AuthMethod::Jwt => Auth::Jwt { mount: mount("jwt"), role: role()?, file: secret()?, is_private: true },
        AuthMethod::Kubernetes => {
            let file = rules.secret.clone().unwrap_or_else(|| PathBuf::from(KUBERNETES_TOKEN));
            Auth::Jwt { mount: mount("kubernetes"), role: role()?, file, is_private: false }
        }
        AuthMethod::Token => Auth::Token { file: secret()? },
    })
}

/// Tells whether a text can be part of a request's path as it stands.
fn is_path(text: &str) -> bool {
    let is_word = |word: &str| {
        !word.is_empty() && word.chars().all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_'))
    };
    text.split('/').all(is_word)
}

/// Where Kubernetes puts the token of a pod, which is open to everybody in it.
const KUBERNETES_TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> VaultRules {
        VaultRules {
            address: "https://vault.example.com:8200".to_owned(),
            mount: "transit".to_owned(),
            prefix: "weir".to_owned(),
            namespace: None,
            ca: None,
            certificate: None,
            key: None,
            auth: AuthMethod::AppRole,
            auth_mount: None,
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
            settings(rules).map_or_else(|(code, ..)| code, |_| "none")
        };
        assert_eq!(code(&|_| {}), "none");
        assert_eq!(code(&|rules| rules.address = "http://vault.example.com:8200".to_owned()), "vault_address");
        assert_eq!(code(&|rules| rules.address = "http://127.0.0.1:8200".to_owned()), "none");
        assert_eq!(code(&|rules| rules.prefix = "a/b".to_owned()), "vault_name");
        assert_eq!(code(&|rules| rules.mount = "a/../sys".to_owned()), "vault_name");
        assert_eq!(code(&|rules| rules.auth_mount = Some("a?b".to_owned())), "vault_name");
        assert_eq!(code(&|rules| rules.key = Some("k".into())), "vault_certificate");
        assert_eq!(code(&|rules| rules.secret = None), "vault_auth");
        assert_eq!(code(&|rules| rules.role = None), "vault_auth");
        assert_eq!(code(&|rules| rules.auth = AuthMethod::Certificate), "vault_auth");
        assert_eq!(code(&|rules| (rules.auth, rules.role) = (AuthMethod::Token, None)), "none");
    }

    /// One vault with two mounts and two logins is two layers, and so are two vaults; one mount or one login is not.
    #[test]
    fn layers_share_neither_mount_nor_login() {
        let code = |change: &dyn Fn(&mut VaultRules)| {
            let mut store = VaultRules {
                mount: "transit-store".to_owned(),
                role: Some("s".to_owned()),
                secret: Some("/etc/weir/t".into()),
                ..rules()
            };
            change(&mut store);
            let ring = settings(VaultRules { secret: Some("/etc/weir/s".into()), ..rules() }).unwrap();
            let store = settings(store).unwrap();
            shared(&ring, &store).map_or("none", |(code, message, _)| {
                assert_eq!(code, "vault_shared");
                if message.contains("one mount") { "mount" } else { "login" }
            })
        };
        assert_eq!(code(&|_| {}), "none");
        assert_eq!(code(&|store| store.mount = "transit".to_owned()), "mount");
        // A policy for `weir-*` is one for `weir-store-*`, too.
        assert_eq!(
            code(&|store| (store.mount, store.prefix) = ("transit".to_owned(), "weir-store".to_owned())),
            "mount"
        );
        let same_mount_elsewhere =
            |address: &str| code(&|store| (store.mount, store.address) = ("transit".to_owned(), address.to_owned()));
        assert_eq!(same_mount_elsewhere("https://other.example.com:8200"), "none");
        assert_eq!(same_mount_elsewhere("https://Vault.example.com:8200/"), "mount");
        assert_eq!(code(&|store| store.secret = Some("/etc/weir/./s".into())), "login");
        assert_eq!(code(&|store| store.role = Some("r".to_owned())), "login");
        let other_vault = |store: &mut VaultRules| store.address = "https://other.example.com:8200".to_owned();
        assert_eq!(code(&|store| (other_vault(store), store.role = Some("r".to_owned())).1), "none");
        assert_eq!(code(&|store| (other_vault(store), store.secret = Some("/etc/weir/s".into())).1), "login");
    }

    #[test]
    fn kubernetes_puts_the_token_where_it_always_does() {
        let found =
            settings(VaultRules { auth: AuthMethod::Kubernetes, secret: None, ..rules() }).map(|found| found.auth);
        let file = PathBuf::from(KUBERNETES_TOKEN);
        let expected = Auth::Jwt { mount: "kubernetes".to_owned(), role: "r".to_owned(), file, is_private: false };
        assert_eq!(found, Ok(expected));
    }
}
