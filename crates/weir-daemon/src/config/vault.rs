//! `[keys.vault]` and `[lake.store_vault]`: who wraps the key ring and the store's own keys, and how weir logs in there.
//!
//! The two layers hold apart only as far as their vaults do: both in one mount, or behind one login, are refused.

mod aws;
mod shared;
mod transit;

use std::path::{Path, PathBuf};
use std::time::Duration;

use weir_policy::diagnostic::Diagnostic;
use weir_policy::reader::{Node, Section};
use weir_vault::{Address, Provider};

pub(super) use shared::shared;

use super::section::{KeyPage, SectionPage, section};
use super::setting::Setting;

section! {
    /// A vault that wraps the secrets of the ring, so that its folder alone opens nothing: HashiCorp Vault or OpenBao with their
    /// transit engine, or a cloud's key service. Without this section the secrets lie in the folder in clear. Each ring needs a prefix
    /// of its own. Which settings each provider wants: crates/weir/docs/security.md.
    pub struct VaultRules at "keys.vault" {
        /// What it is: "vault" (HashiCorp Vault, OpenBao) or "aws-kms".
        provider: Make = standard(r#""vault""#),
        /// Where the vault is: https, or http to a loopback. "aws-kms" needs none, but for an endpoint of one's own.
        address: Option<String> = proposed(r#""https://vault.example.com:8200""#),
        /// Where its transit engine is mounted, if not at "transit"; only "vault" has one.
        mount: Option<String> = proposed(r#""transit""#),
        /// What the names of weir's keys there begin with: "weir-ring", "weir-tenant-…", "weir-reliability-…", "weir-sealing-…".
        prefix: String = standard(r#""weir""#),
        /// The namespace, for vaults that have them.
        namespace: Option<String> = optional(r#""team-a""#),
        /// The region of "aws-kms".
        region: Option<String> = optional(r#""eu-central-1""#),
        /// The CA that the vault's certificate is of, in PEM; without it, those that the machine trusts.
        ca: Option<PathBuf> = optional(r#""vault-ca.pem""#),
        /// weir's own certificate and those between it and its CA, in PEM, for a vault that wants one.
        certificate: Option<PathBuf> = optional(r#""vault-client.pem""#),
        /// The private key of that certificate: a file that only its owner may read.
        key: Option<PathBuf> = optional(r#""vault-client-key.pem""#),
        /// How weir logs in: to "vault" by "approle", "certificate", "jwt", "kubernetes" or "token"; to "aws-kms" by "container",
        /// "credentials-file", "environment", "instance" or "web-identity".
        auth: AuthMethod = required(r#""approle""#),
        /// Where that method is mounted; without it "approle", "cert", "jwt" or "kubernetes".
        auth_mount: Option<String> = optional(r#""approle""#),
        /// Where a cloud's logins are asked for, if not at the usual place: https, or http to a loopback.
        login_address: Option<String> = optional(r#""https://sts.example.com""#),
        /// The role: the role id of "approle", the ARN for "web-identity", the profile in a "credentials-file", the name of a role
        /// elsewhere; "token", "container", "environment" and "instance" have none.
        role: Option<String> = proposed(r#""0b1f9d1c-weir""#),
        /// The file of the secret id, of the JWT, of the token or of the credentials, which only its owner may read. It is read again
        /// at each login.
        secret: Option<PathBuf> = proposed(r#""vault-secret-id""#),
        /// How long secrets may be used after the vault last confirmed them; a third of it is the time between two confirmations.
        /// Longer bridges longer absences of the vault; shorter ends what was destroyed or revoked there sooner.
        cache_ttl: Duration = standard(r#""10m""#),
        /// How long one request may take; what may pass is tried a few times.
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

/// What a vault is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Make {
    /// AWS KMS.
    Aws,
    /// HashiCorp Vault or OpenBao.
    Vault,
}

impl Setting for Make {
    const WANTS: &'static str = "\"vault\" or \"aws-kms\"";

    fn read(node: &Node, folder: &Path) -> Option<Self> {
        match String::read(node, folder)?.as_str() {
            "aws-kms" => Some(Self::Aws),
            "vault" => Some(Self::Vault),
            _ => None,
        }
    }
}

/// How weir logs in to a vault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthMethod {
    /// A role id and a secret id.
    AppRole,
    /// weir's TLS certificate.
    Certificate,
    /// What a container is told.
    Container,
    /// A file as a cloud's own tools have it.
    CredentialsFile,
    /// Variables of the environment.
    Environment,
    /// What an instance is told.
    Instance,
    /// A JWT that somebody else signed.
    Jwt,
    /// The JWT that Kubernetes gives a pod.
    Kubernetes,
    /// A token.
    Token,
    /// A JWT that a cloud takes for a role.
    WebIdentity,
}

impl Setting for AuthMethod {
    const WANTS: &'static str = "\"approle\", \"certificate\", \"jwt\", \"kubernetes\" or \"token\"; of a cloud \"container\", \
         \"credentials-file\", \"environment\", \"instance\" or \"web-identity\"";

    fn read(node: &Node, folder: &Path) -> Option<Self> {
        match String::read(node, folder)?.as_str() {
            "approle" => Some(Self::AppRole),
            "certificate" => Some(Self::Certificate),
            "container" => Some(Self::Container),
            "credentials-file" => Some(Self::CredentialsFile),
            "environment" => Some(Self::Environment),
            "instance" => Some(Self::Instance),
            "jwt" => Some(Self::Jwt),
            "kubernetes" => Some(Self::Kubernetes),
            "token" => Some(Self::Token),
            "web-identity" => Some(Self::WebIdentity),
            _ => None,
        }
    }
}

/// A vault, and for how long what it opened may be used.
#[derive(Clone, Debug, PartialEq)]
pub struct Vault {
    /// Which vault, and how weir logs in.
    pub settings: Provider,
    /// How long secrets may be used after the vault last confirmed them.
    pub cache_ttl: Duration,
}

/// Reads the section of a path and checks that no secret crosses a network in clear, and that the login is whole.
pub(super) fn read(section: &mut Section<'_>, path: &str) -> Option<Vault> {
    let rules = VaultRules::read(section)?;
    let cache_ttl = rules.cache_ttl;
    match provider(rules) {
        Ok(settings) => Some(Vault { settings, cache_ttl }),
        Err((code, message, hint)) => {
            let message = message.replace("`keys.vault", &format!("`{path}"));
            section.faults().add(Diagnostic::error(section.place(), code, message).hint(hint));
            None
        }
    }
}

/// A code, what is wrong and what to do.
type Fault = (&'static str, String, &'static str);

fn provider(rules: VaultRules) -> Result<Provider, Fault> {
    if !is_path(&rules.prefix) || rules.prefix.contains('/') {
        return Err(fault("vault_name", "`keys.vault.prefix` cannot be one", "letters, digits, `-` and `_`"));
    }
    match rules.provider {
        Make::Aws => aws::settings(rules).map(Provider::Aws),
        Make::Vault => transit::settings(rules).map(Provider::Vault),
    }
}

fn fault(code: &'static str, message: impl Into<String>, hint: &'static str) -> Fault {
    (code, message.into(), hint)
}

/// Refuses settings that mean nothing to a provider.
fn refuse(provider: &str, given: &[(&str, bool)]) -> Result<(), Fault> {
    match given.iter().find(|(_, is_there)| *is_there) {
        Some((key, _)) => {
            let hint = "take it away; `config/weir.toml` says which provider has what";
            Err(fault("vault_setting", format!("`keys.vault.{key}` means nothing to {provider}"), hint))
        }
        None => Ok(()),
    }
}

/// Reads an address that has to be one which nobody listens to on the way.
fn address(key: &str, text: &str) -> Result<Address, Fault> {
    Address::parse(text).ok_or_else(|| {
        fault(
            "vault_address",
            format!("`keys.vault.{key}` is no address with https, or has more than a host and a port"),
            "https, or http to a loopback such as \"http://127.0.0.1:8200\": secrets would cross the network in clear",
        )
    })
}

/// Tells whether a text can be part of a request's path as it stands.
fn is_path(text: &str) -> bool {
    let is_word = |word: &str| {
        !word.is_empty() && word.chars().all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_'))
    };
    text.split('/').all(is_word)
}

#[cfg(test)]
mod tests;
