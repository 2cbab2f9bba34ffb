//! Which make of vault it is.

use std::sync::Arc;

use crate::aws::{AwsSettings, Kms};
use crate::client::Service;
use crate::session::Session;
use crate::settings::Settings;

/// Which vault, of which make, and who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Provider {
    /// AWS KMS.
    Aws(AwsSettings),
    /// HashiCorp Vault or OpenBao.
    Vault(Settings),
}

impl Provider {
    pub(crate) fn service(self) -> Arc<dyn Service> {
        match self {
            Self::Aws(settings) => Arc::new(Kms::new(settings)),
            Self::Vault(settings) => Arc::new(Session::new(settings)),
        }
    }
}

impl From<AwsSettings> for Provider {
    fn from(settings: AwsSettings) -> Self {
        Self::Aws(settings)
    }
}

impl From<Settings> for Provider {
    fn from(settings: Settings) -> Self {
        Self::Vault(settings)
    }
}
