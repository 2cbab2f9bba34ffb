//! Who asks, and whether they may: signatures, grants, sessions.
//!
//! A key that nobody has is checked against a secret that nobody has, so that it ends as a wrong secret does: in the same words and
//! after the same time. What a request is for is decided on the grant alone, before the lake is looked at.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::{S3Auth, SecretKey};
use s3s::{S3Error, S3ErrorCode, S3Result};
use weir_daemon::metrics::labels::GateOperation;

use crate::Gate;
use crate::sessions::Untold;

/// What became known of a request, for whoever counts it.
#[derive(Clone, Default)]
pub(crate) struct Seen(Arc<OnceLock<GateOperation>>);

impl Seen {
    /// Returns what was asked for, as far as it was understood.
    pub(crate) fn operation(&self) -> GateOperation {
        self.0.get().copied().unwrap_or(GateOperation::Other)
    }
}

/// Checks signatures, and then grants.
#[derive(Clone)]
pub(crate) struct Door(pub(crate) Arc<Gate>);

#[async_trait]
impl S3Auth for Door {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        let grants = &self.0.in_force().grants;
        Ok(grants.by_key(access_key).map_or_else(|| self.0.decoy.clone(), |grant| grant.secret().clone()))
    }
}

#[async_trait]
impl S3Access for Door {
    async fn check(&self, request: &mut S3AccessContext<'_>) -> S3Result<()> {
        let operation = operation(request.s3_op().name());
        if let Some(seen) = request.extensions_mut().get::<Seen>() {
            seen.0.get_or_init(|| operation);
        }
        let in_force = self.0.in_force();
        let signer = request.credentials().ok_or_else(denied)?;
        let grant = in_force.grants.by_signature(&signer.access_key, &signer.secret_key).ok_or_else(denied)?;
        if operation == GateOperation::Other || !grant.stands(self.0.clock.now_ms()) {
            return Err(denied());
        }
        if !self.0.keys_are_current() {
            return Err(S3Error::new(S3ErrorCode::ServiceUnavailable));
        }
        let session = self.0.sessions.enter(grant).await;
        let session = session.map_err(|Untold| S3Error::new(S3ErrorCode::ServiceUnavailable))?;
        request.extensions_mut().insert(session);
        Ok(())
    }
}

/// Returns what an operation of S3 is here; nothing that the gate does writes.
fn operation(name: &str) -> GateOperation {
    match name {
        "GetBucketLocation" => GateOperation::GetBucketLocation,
        "GetObject" => GateOperation::GetObject,
        "HeadBucket" => GateOperation::HeadBucket,
        "HeadObject" => GateOperation::HeadObject,
        "ListObjects" | "ListObjectsV2" => GateOperation::ListObjects,
        _ => GateOperation::Other,
    }
}

/// The refusal, in the same words whatever the reason.
pub(crate) fn denied() -> S3Error {
    S3Error::new(S3ErrorCode::AccessDenied)
}
