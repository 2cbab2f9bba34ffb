//! HashiCorp Vault and OpenBao.

use std::path::{Path, PathBuf};

use weir_vault::{Auth, Certificate, Settings};

use super::{AuthMethod, Fault, VaultRules, address, fault, is_path, refuse};

/// Checks that the settings are those of a vault, and that the login is whole.
pub(super) fn settings(rules: VaultRules) -> Result<Settings, Fault> {
    refuse("\"vault\"", &[("region", rules.region.is_some()), ("login_address", rules.login_address.is_some())])?;
    let missing =
        || fault("vault_address", "`keys.vault.address` is missing", "name it: \"https://vault.example.com:8200\"");
    let address = address("address", rules.address.as_deref().ok_or_else(missing)?)?;
    let mount = rules.mount.clone().unwrap_or_else(|| "transit".to_owned());
    if !is_path(&mount) {
        return Err(fault("vault_name", "`keys.vault.mount` cannot be one", "letters, digits, `-`, `_` and `/`"));
    }
    let certificate = match (&rules.certificate, &rules.key) {
        (Some(chain), Some(key)) => Some(Certificate { chain: chain.clone(), key: key.clone() }),
        (None, None) => None,
        (Some(_), None) | (None, Some(_)) => {
            let hint = "name both files, or none";
            let message = "`keys.vault` has a certificate without its key, or the key alone";
            return Err(fault("vault_certificate", message, hint));
        }
    };
    let auth = auth(&rules, certificate.is_some())?;
    let VaultRules { prefix, namespace, ca, timeout, .. } = rules;
    Ok(Settings { address, mount, prefix, namespace, ca, certificate, auth, timeout })
}

fn auth(rules: &VaultRules, has_certificate: bool) -> Result<Auth, Fault> {
    let missing = |what: &str, hint| fault("vault_auth", what, hint);
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
        return Err(fault(
            "vault_name",
            "`keys.vault.auth_mount` cannot be a mount",
            "letters, digits, `-`, `_` and `/`",
        ));
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
        AuthMethod::Container
        | AuthMethod::CredentialsFile
        | AuthMethod::Environment
        | AuthMethod::Instance
        | AuthMethod::WebIdentity => {
            let hint = "\"approle\", \"certificate\", \"jwt\", \"kubernetes\" or \"token\"";
            return Err(missing("`keys.vault.auth` is no way into Vault or OpenBao", hint));
        }
    })
}

/// Tells whether both are one mount of one vault.
pub(super) fn is_same_place(one: &Settings, other: &Settings) -> bool {
    is_same_vault(one, other) && one.mount == other.mount
}

/// Tells whether both logins have one role of one vault.
pub(super) fn is_same_login(one: &Settings, other: &Settings) -> bool {
    is_same_vault(one, other) && role(&one.auth).is_some() && role(&one.auth) == role(&other.auth)
}

fn is_same_vault(one: &Settings, other: &Settings) -> bool {
    one.address.is_same(&other.address) && one.namespace == other.namespace
}

/// Returns the file that a login needs.
pub(super) fn login_file(settings: &Settings) -> Option<&Path> {
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

/// Where Kubernetes puts the token of a pod, which is open to everybody in it.
pub(super) const KUBERNETES_TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";
