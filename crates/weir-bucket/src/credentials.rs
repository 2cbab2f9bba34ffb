//! Whose requests they are.
//!
//! Secrets stand in files or in the environment, never in the configuration. They are read again for each request, so a new one
//! counts at once and needs no restart.

use std::fmt;
use std::io::{self, Read as _};
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey, AwsCredential};
use object_store::client::CredentialProvider;
use weir_keys::{NotPrivate, open_private};

/// Whose requests they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credentials {
    /// Those of the environment: variables, web identity, a container's, an instance's.
    Environment,
    /// Those that somebody gave.
    Given {
        /// The access key.
        id: Secret,
        /// Its secret.
        secret: Secret,
        /// The token of a session, if it is one.
        token: Option<Secret>,
    },
}

/// Where a secret stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Secret {
    /// In a file that only its owner may read.
    File(PathBuf),
    /// In a variable of the environment.
    Variable(String),
}

impl Secret {
    fn read(&self) -> io::Result<String> {
        match self {
            Self::File(path) => {
                let wrong = |why: String| io::Error::other(format!("the credentials in {} {why}", path.display()));
                let mut file = open_private(path).map_err(|error| match error {
                    NotPrivate::Io(error) => wrong(format!("cannot be read: {}", error.kind())),
                    NotPrivate::Open { mode } => wrong(format!("may be read by others: mode {mode:o}")),
                })?;
                let mut text = String::new();
                file.read_to_string(&mut text).map_err(|error| wrong(format!("cannot be read: {}", error.kind())))?;
                Ok(text.trim_end_matches(['\r', '\n']).to_owned())
            }
            Self::Variable(name) => std::env::var(name).map_err(|_absent| {
                io::Error::other(format!("the environment has no variable {name} with credentials"))
            }),
        }
    }
}

/// Takes the credentials of the environment: these variables and no other, so that nothing else there changes where rows go.
pub(crate) fn of_environment(mut builder: AmazonS3Builder) -> AmazonS3Builder {
    for name in VARIABLES {
        if let Ok(value) = std::env::var(name)
            && let Ok(key) = name.to_ascii_lowercase().parse::<AmazonS3ConfigKey>()
        {
            builder = builder.with_config(key, value);
        }
    }
    builder
}

/// Reads what was given anew for each request.
pub(crate) struct Reading {
    pub(crate) id: Secret,
    pub(crate) secret: Secret,
    pub(crate) token: Option<Secret>,
}

impl fmt::Debug for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reading")
    }
}

#[async_trait]
impl CredentialProvider for Reading {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let read = || {
            let token = self.token.as_ref().map(Secret::read).transpose()?;
            Ok(AwsCredential { key_id: self.id.read()?, secret_key: self.secret.read()?, token })
        };
        let failed =
            |source: io::Error| object_store::Error::Generic { store: "credentials", source: Box::new(source) };
        read().map(Arc::new).map_err(failed)
    }
}

/// What tells an S3 client who it is.
const VARIABLES: [&str; 11] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_ENDPOINT_URL_STS",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_METADATA_ENDPOINT",
];

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn secrets_are_read_where_only_their_owner_can() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        fs::write(&path, "hunter2\n").unwrap();
        let secret = Secret::File(path.clone());
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        let why = secret.read().unwrap_err().to_string();
        assert!(why.contains("others") && !why.contains("hunter2"), "{why}");
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        assert_eq!(secret.read().unwrap(), "hunter2");
        let why = Secret::Variable("WEIR_NO_SUCH_VARIABLE".into()).read().unwrap_err().to_string();
        assert!(why.contains("WEIR_NO_SUCH_VARIABLE"), "{why}");
    }

    #[test]
    fn every_variable_is_one_that_the_client_knows() {
        for name in VARIABLES {
            assert!(name.to_ascii_lowercase().parse::<AmazonS3ConfigKey>().is_ok(), "{name}");
        }
    }
}
