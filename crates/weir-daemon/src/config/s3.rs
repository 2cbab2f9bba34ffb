//! `[lake.s3]`: how the bucket of a lake is spoken to.

use std::path::PathBuf;
use std::time::Duration;

use weir_bucket::{Credentials, Endpoint, Secret};
use weir_policy::diagnostic::Diagnostic;
use weir_policy::reader::Section;

use super::section::section;
use super::setting::{LakeUrl, NamedSecret};
use super::{Lake, StoreLayer};

section! {
    /// How the bucket is spoken to, where `root` is one: Amazon S3, or a store that speaks as it does. It must put an object only where
    /// none is when it is told to (If-None-Match); every start tries that.
    pub struct S3Rules at "lake.s3" {
        /// Where the store is: https, or http to a loopback; without it, Amazon's of the region.
        endpoint: Option<String> = optional(r#""https://s3.example.com""#),
        /// The region that requests are signed for.
        region: String = standard(r#""us-east-1""#),
        /// The access key: `file:PATH` (mode 0600) or `env:NAME`, read again for each request. Without one, credentials are those of the
        /// environment, of a web identity, of the container or of the instance.
        access_key: Option<NamedSecret> = optional(r#""file:s3-access-key""#),
        /// Its secret, named in the same way.
        secret_key: Option<NamedSecret> = optional(r#""file:s3-secret-key""#),
        /// The token of a session, if they are of one.
        session_token: Option<NamedSecret> = optional(r#""file:s3-session-token""#),
        /// The CA that the store's certificate is of, in PEM; without it, those that the machine trusts.
        ca: Option<PathBuf> = optional(r#""s3-ca.pem""#),
        /// How long one request may take; what may pass is tried five times, the last within half a minute.
        timeout: Duration = standard(r#""20s""#),
        /// With `store = "provider"`: the key that the store must encrypt with, by its whole name or its id, not by an alias.
        kms_key: Option<String> = optional(r#""arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab""#),
    }
}

/// How a bucket is spoken to, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct S3 {
    /// What the section says.
    pub rules: S3Rules,
    /// Where the store is.
    pub endpoint: Option<Endpoint>,
    /// Whose requests they are.
    pub credentials: Credentials,
}

/// Reads the section and checks that no row crosses a network in clear, and that the credentials are whole.
pub(super) fn read(section: &mut Section<'_>) -> Option<S3> {
    let rules = S3Rules::read(section)?;
    match checked(rules) {
        Ok(s3) => Some(s3),
        Err((code, message, hint)) => {
            section.faults().add(Diagnostic::error(section.place(), code, message).hint(hint));
            None
        }
    }
}

fn checked(rules: S3Rules) -> Result<S3, Fault> {
    let endpoint = rules.endpoint.as_deref().map(|text| {
        Endpoint::parse(text).ok_or((
            "s3_endpoint",
            "`lake.s3.endpoint` is no address with https, or has more than a host and a port",
            "https, or http to a loopback such as \"http://127.0.0.1:9000\": rows would cross the network in clear",
        ))
    });
    let credentials = match (named(rules.access_key.as_ref())?, named(rules.secret_key.as_ref())?) {
        (Some(id), Some(secret)) => Credentials::Given { id, secret, token: named(rules.session_token.as_ref())? },
        (None, None) if rules.session_token.is_none() => Credentials::Environment,
        (None | Some(_), None) | (None, Some(_)) => {
            let hint = "name both, or none: then the environment's are used";
            return Err(("s3_credentials", "`lake.s3` has half of an access key", hint));
        }
    };
    if rules.kms_key.as_deref().is_some_and(|key| key.contains("alias/")) {
        let hint = "stores answer with the key and not with its alias, so an answer could not be checked";
        return Err(("s3_kms_key", "`lake.s3.kms_key` names an alias", hint));
    }
    Ok(S3 { endpoint: endpoint.transpose()?, credentials, rules })
}

fn named(secret: Option<&NamedSecret>) -> Result<Option<Secret>, Fault> {
    match secret {
        None => Ok(None),
        Some(NamedSecret::Named(secret)) => Ok(Some(secret.clone())),
        Some(NamedSecret::Written) => Err((
            "secret_in_config",
            "`lake.s3` has credentials that are not named by \"file:PATH\" or \"env:NAME\"",
            "put each into a file of mode 0600 and say \"file:PATH\", or say \"env:NAME\"",
        )),
    }
}

/// Says what in `[lake]` does not go together.
pub(super) fn mismatch(lake: &Lake, s3: Option<&S3>) -> Option<Fault> {
    let key = s3.and_then(|s3| s3.rules.kms_key.as_ref());
    match (&lake.root, &lake.store, s3, key) {
        (LakeUrl::Folder(_), _, Some(_), _) => Some((
            "s3_without_bucket",
            "`lake.s3` says how a bucket is spoken to, and `lake.root` is a folder",
            "say `root = \"s3://bucket/prefix\"`, or leave `[lake.s3]` out",
        )),
        (LakeUrl::Folder(_), Some(StoreLayer::Provider), ..) => Some((
            "store_without_bucket",
            "`lake.store = \"provider\"` is for buckets, and `lake.root` is a folder",
            "`lake.store_keys` seals the objects of a folder",
        )),
        (LakeUrl::Bucket { .. }, Some(StoreLayer::Provider), _, None) => Some((
            "s3_kms_key",
            "`lake.store = \"provider\"` needs `lake.s3.kms_key`",
            "name the key that the store must encrypt every object with",
        )),
        (LakeUrl::Bucket { .. }, None, _, Some(_)) => Some((
            "s3_kms_key",
            "`lake.s3.kms_key` needs `lake.store = \"provider\"`",
            "say so: answers that do not confirm the key are refused then",
        )),
        (LakeUrl::Folder(_), None, None, _)
        | (LakeUrl::Bucket { .. }, Some(StoreLayer::Provider), _, Some(_))
        | (LakeUrl::Bucket { .. }, None, _, None) => None,
    }
}

type Fault = (&'static str, &'static str, &'static str);

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;

    fn of(lake: &str) -> Result<Config, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("weir.toml");
        let text = format!(
            "contracts = \"schemas\"\nregion = \"eu\"\n[consent]\npath = \"c.ndjson\"\n[keys]\nprovider = \"file:keys\"\n\
             [lake]\n{lake}\n"
        );
        std::fs::write(&path, text).unwrap();
        Config::load(&[path], &[]).map_err(|report| report.to_string())
    }

    const ROOT: &str = "root = \"s3://weir-lake/a/b\"";

    #[test]
    fn bucket_is_named_by_its_address() {
        let config = of(ROOT).unwrap();
        assert_eq!(config.lake.root, LakeUrl::Bucket { bucket: "weir-lake".into(), prefix: "a/b".into() });
        for bad in ["s3://", "s3://Weir", "s3://weir-lake//a", "s3://weir-lake/a b", "gs://weir-lake", "az://weir-lake"]
        {
            assert!(of(&format!("root = \"{bad}\"")).unwrap_err().contains("s3://"), "{bad}");
        }
    }

    #[test]
    fn rows_never_cross_a_network_in_clear() {
        let with = |endpoint: &str| of(&format!("{ROOT}\n[lake.s3]\nendpoint = \"{endpoint}\""));
        for closed in ["https://s3.example.com", "http://127.0.0.1:9000", "http://localhost:1"] {
            with(closed).unwrap();
        }
        for open in ["http://s3.example.com", "http://10.0.0.1", "s3.example.com"] {
            assert!(with(open).unwrap_err().contains("s3_endpoint"), "{open}");
        }
    }

    #[test]
    fn secrets_are_named_and_never_written_into_the_configuration() {
        let with = |keys: &str| of(&format!("{ROOT}\n[lake.s3]\n{keys}"));
        let why = with("access_key = \"env:ID\"\nsecret_key = \"hunter2\"").unwrap_err();
        assert!(why.contains("secret_in_config") && !why.contains("hunter2"), "{why}");
        for half in ["access_key = \"env:ID\"", "secret_key = \"env:KEY\"", "session_token = \"env:TOKEN\""] {
            assert!(with(half).unwrap_err().contains("s3_credentials"), "{half}");
        }
        let s3 = with("access_key = \"env:ID\"\nsecret_key = \"file:key\"").unwrap().s3.unwrap();
        assert!(
            matches!(s3.credentials, Credentials::Given { secret: Secret::File(path), .. } if path.ends_with("key"))
        );
        assert_eq!(of(ROOT).unwrap().s3, None);
    }

    #[test]
    fn encryption_by_the_provider_is_said_twice_or_not_at_all() {
        let key = "kms_key = \"arn:aws:kms:x:1:key/2\"";
        of(&format!("{ROOT}\nstore = \"provider\"\n[lake.s3]\n{key}")).unwrap();
        for (lake, code) in [
            (format!("{ROOT}\nstore = \"provider\""), "s3_kms_key"),
            (format!("{ROOT}\n[lake.s3]\n{key}"), "s3_kms_key"),
            (format!("{ROOT}\nstore = \"provider\"\n[lake.s3]\nkms_key = \"alias/weir\""), "s3_kms_key"),
            ("root = \"file:lake\"\nstore = \"provider\"".to_owned(), "store_without_bucket"),
            (format!("root = \"file:lake\"\n[lake.s3]\n{key}"), "s3_without_bucket"),
        ] {
            let why = of(&lake).unwrap_err();
            assert!(why.contains(code), "{why}");
        }
    }
}
