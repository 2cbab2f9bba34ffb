//! The store's own encryption: demanded with each object, and confirmed in each answer, or the object does not count.
//!
//! Some stores take the demand and drop it without a word. So an answer is looked at before anybody believes that something was
//! written, and an object that is read must be said to be encrypted, too: that also covers what was written by a request whose answer
//! was lost.

use async_trait::async_trait;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
    SpawnedReqwestConnector,
};
use tokio::runtime::Handle;

/// The store did not say that it encrypts as it must.
#[derive(Debug, thiserror::Error)]
#[error("the store does not confirm that it encrypts with the key of lake.s3.kms_key")]
pub(crate) struct Unconfirmed;

/// Makes HTTP clients whose answers are looked at.
#[derive(Debug)]
pub(crate) struct Connector {
    below: SpawnedReqwestConnector,
    kms_key: Option<String>,
}

impl Connector {
    pub(crate) fn new(runtime: Handle, kms_key: Option<String>) -> Self {
        Self { below: SpawnedReqwestConnector::new(runtime), kms_key }
    }
}

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let below = self.below.connect(options)?;
        Ok(match &self.kms_key {
            None => below,
            Some(kms_key) => HttpClient::new(Looking { below, kms_key: kms_key.clone() }),
        })
    }
}

#[derive(Debug)]
struct Looking {
    below: HttpClient,
    kms_key: String,
}

/// What an answer has to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Demand {
    /// Nothing.
    Nothing,
    /// That the object is encrypted by a key of the provider's.
    Encrypted,
    /// That it is, and by our key.
    ByOurKey,
}

#[async_trait]
impl HttpService for Looking {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let demand = demand(request.method().as_str(), request.uri().query().unwrap_or_default());
        let answer = self.below.execute(request).await?;
        let header = |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok());
        let is_encrypted = header(ENCRYPTION) == Some(BY_KMS);
        let is_met = match demand {
            Demand::Nothing => true,
            Demand::Encrypted => is_encrypted,
            Demand::ByOurKey => is_encrypted && header(KEY).is_some_and(|key| is_key(key, &self.kms_key)),
        };
        if is_met || !answer.status().is_success() {
            return Ok(answer);
        }
        // This kind is not tried again: the object is there.
        Err(HttpError::new(HttpErrorKind::Unknown, Unconfirmed))
    }
}

/// Returns what the answer to a request has to say.
fn demand(method: &str, query: &str) -> Demand {
    let has = |name: &str| query.split('&').any(|pair| pair.split('=').next() == Some(name));
    match method {
        // A part is encrypted as its upload is, whose begin and end are looked at.
        "PUT" if !has("partNumber") => Demand::ByOurKey,
        "POST" if has("uploads") || has("uploadId") => Demand::ByOurKey,
        "GET" | "HEAD" if !has("list-type") => Demand::Encrypted,
        _ => Demand::Nothing,
    }
}

/// Tells whether an answer names the key: stores answer with its whole name, whatever it was called in the request.
fn is_key(answered: &str, key: &str) -> bool {
    answered == key || answered.rsplit_once(":key/").is_some_and(|(_, id)| id == key)
}

const ENCRYPTION: &str = "x-amz-server-side-encryption";
const KEY: &str = "x-amz-server-side-encryption-aws-kms-key-id";
const BY_KMS: &str = "aws:kms";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_write_is_looked_at_and_so_is_every_reading() {
        for (method, query, wanted) in [
            ("PUT", "", Demand::ByOurKey),
            ("POST", "uploads=", Demand::ByOurKey),
            ("POST", "uploads", Demand::ByOurKey),
            ("POST", "uploadId=x", Demand::ByOurKey),
            ("PUT", "partNumber=1&uploadId=x", Demand::Nothing),
            ("GET", "", Demand::Encrypted),
            ("HEAD", "", Demand::Encrypted),
            ("GET", "list-type=2&prefix=a", Demand::Nothing),
            ("DELETE", "", Demand::Nothing),
            ("DELETE", "uploadId=x", Demand::Nothing),
        ] {
            assert_eq!(demand(method, query), wanted, "{method} {query}");
        }
    }

    #[test]
    fn key_is_named_in_full_or_by_its_id() {
        let full = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd";
        assert!(is_key(full, full) && is_key(full, "1234abcd") && is_key("1234abcd", "1234abcd"));
        assert!(!is_key(full, "abcd") && !is_key(full, "key/1234abcd") && !is_key("", "1234abcd"));
    }
}
