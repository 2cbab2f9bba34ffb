//! AWS KMS.

use std::path::{Path, PathBuf};

use weir_vault::{AwsAuth, AwsSettings};

use super::{AuthMethod, Fault, VaultRules, address, fault, refuse};

/// Checks that the settings are those of AWS KMS, and that the login is whole.
pub(super) fn settings(rules: VaultRules) -> Result<AwsSettings, Fault> {
    refuse(
        "aws-kms",
        &[
            ("mount", rules.mount.is_some()),
            ("namespace", rules.namespace.is_some()),
            ("certificate", rules.certificate.is_some()),
            ("key", rules.key.is_some()),
            ("auth_mount", rules.auth_mount.is_some()),
        ],
    )?;
    let is_region = |region: &String| {
        region.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-')
    };
    let region = rules.region.clone().filter(is_region).ok_or_else(|| {
        fault(
            "vault_region",
            "`keys.vault.region` is missing, or cannot be one",
            "name it as AWS does: \"eu-central-1\"",
        )
    })?;
    let auth = auth(&rules)?;
    let place = rules.address.as_deref().map(|text| address("address", text)).transpose()?;
    let login_address = rules.login_address.as_deref().map(|text| address("login_address", text)).transpose()?;
    let VaultRules { prefix, ca, timeout, .. } = rules;
    Ok(AwsSettings { region, address: place, login_address, prefix, ca, auth, timeout })
}

fn auth(rules: &VaultRules) -> Result<AwsAuth, Fault> {
    let bare = |auth| {
        let given = [("role", rules.role.is_some()), ("secret", rules.secret.is_some())];
        refuse("this `keys.vault.auth`", &given).map(|()| auth)
    };
    match rules.auth {
        AuthMethod::Container => bare(AwsAuth::Container),
        AuthMethod::Environment => bare(AwsAuth::Environment),
        AuthMethod::Instance => bare(AwsAuth::Instance),
        AuthMethod::CredentialsFile => {
            let file = rules.secret.clone().ok_or_else(|| {
                fault("vault_auth", "`keys.vault.secret` is missing", "name the file with the credentials")
            })?;
            let profile = rules.role.clone().unwrap_or_else(|| "default".to_owned());
            Ok(AwsAuth::File { file, profile })
        }
        AuthMethod::WebIdentity => {
            let role = rules.role.clone().filter(|role| role.starts_with("arn:")).ok_or_else(|| {
                let hint = "name it by its ARN: \"arn:aws:iam::111122223333:role/weir\"";
                fault("vault_auth", "`keys.vault.role` is missing, or is no role's ARN", hint)
            })?;
            let file = rules.secret.clone().unwrap_or_else(|| PathBuf::from(POD_TOKEN));
            let is_private = !file.starts_with(MOUNTED);
            Ok(AwsAuth::WebIdentity { role, file, is_private })
        }
        AuthMethod::AppRole
        | AuthMethod::Certificate
        | AuthMethod::Jwt
        | AuthMethod::Kubernetes
        | AuthMethod::Token => Err(fault(
            "vault_auth",
            "`keys.vault.auth` is no way into AWS",
            "\"container\", \"credentials-file\", \"environment\", \"instance\" or \"web-identity\"",
        )),
    }
}

/// Returns the file that a login needs.
pub(super) fn login_file(auth: &AwsAuth) -> Option<&Path> {
    match auth {
        AwsAuth::File { file, .. } | AwsAuth::WebIdentity { file, .. } => Some(file),
        AwsAuth::Container | AwsAuth::Environment | AwsAuth::Instance => None,
    }
}

/// Tells whether two logins are one, whatever files they have.
pub(super) fn is_same_login(one: &AwsAuth, other: &AwsAuth) -> bool {
    match (one, other) {
        (AwsAuth::WebIdentity { role: one, .. }, AwsAuth::WebIdentity { role: other, .. }) => one == other,
        (AwsAuth::File { .. } | AwsAuth::WebIdentity { .. }, _) => false,
        (AwsAuth::Container | AwsAuth::Environment | AwsAuth::Instance, other) => one == other,
    }
}

/// Tells whether both may be in one account, and who may use keys of the one prefix may use those of the other.
pub(super) fn is_same_place(one: &AwsSettings, other: &AwsSettings) -> bool {
    let is_same_address = match (&one.address, &other.address) {
        (Some(one), Some(other)) => one.is_same(other),
        // An endpoint of one's own leads to the same keys as the public one.
        (None, _) | (_, None) => true,
    };
    let (first, second) = (format!("{}-", one.prefix), format!("{}-", other.prefix));
    one.region == other.region && is_same_address && (first.starts_with(&second) || second.starts_with(&first))
}

/// Where Kubernetes on AWS puts the token of a pod, which is open to everybody in it.
const POD_TOKEN: &str = "/var/run/secrets/eks.amazonaws.com/serviceaccount/token";
/// Where Kubernetes puts such things.
const MOUNTED: &str = "/var/run/secrets";
