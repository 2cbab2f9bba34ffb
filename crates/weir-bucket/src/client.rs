//! The client of one bucket.

use std::fs;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, S3ConditionalPut};
use object_store::{BackoffConfig, Certificate, ClientOptions, ObjectStore, RetryConfig};

use crate::confirm::Connector;
use crate::credentials::{Credentials, Reading, of_environment};
use crate::failure;
use crate::guarded::Guarded;
use crate::runtime::runtime;
use crate::settings::{Endpoint, Settings};

/// Makes the client; nothing is asked of the store yet.
pub(crate) fn client(settings: &Settings) -> io::Result<Arc<dyn ObjectStore>> {
    let connector = Connector::new(runtime()?.handle().clone(), settings.kms_key.clone());
    let is_virtual = settings.endpoint.is_none() && !settings.bucket.contains('.');
    let mut builder = AmazonS3Builder::new();
    builder = match &settings.credentials {
        Credentials::Environment => of_environment(builder),
        Credentials::Given { id, secret, token } => {
            let reading = Reading { id: id.clone(), secret: secret.clone(), token: token.clone() };
            builder.with_credentials(Arc::new(reading))
        }
    };
    builder = builder
        .with_bucket_name(&settings.bucket)
        .with_region(&settings.region)
        .with_virtual_hosted_style_request(is_virtual)
        .with_conditional_put(S3ConditionalPut::ETagMatch)
        // Not every store has the request that removes many at once.
        .with_disable_bulk_delete(true)
        .with_retry(retries())
        .with_client_options(options(settings)?)
        .with_http_connector(connector);
    if let Some(endpoint) = &settings.endpoint {
        builder = builder.with_endpoint(endpoint.text());
    }
    if let Some(key) = &settings.kms_key {
        builder = builder.with_sse_kms_encryption(key);
    }
    let store = builder.build().map_err(|error| failure::io(&error))?;
    Ok(Arc::new(Guarded::over(Arc::new(store))))
}

fn options(settings: &Settings) -> io::Result<ClientOptions> {
    let is_clear = settings.endpoint.as_ref().is_some_and(Endpoint::is_clear);
    let mut options = ClientOptions::new()
        .with_allow_http(is_clear)
        .with_timeout(settings.timeout)
        .with_connect_timeout(settings.timeout.min(CONNECT));
    if let Some(ca) = &settings.ca {
        let wrong = |why: &dyn std::fmt::Display| io::Error::other(format!("the CA in {}: {why}", ca.display()));
        let pem = fs::read(ca).map_err(|error| wrong(&error.kind()))?;
        let certificates = Certificate::from_pem_bundle(&pem).map_err(|_odd| wrong(&"not certificates in PEM"))?;
        for certificate in certificates {
            options = options.with_root_certificate(certificate);
        }
    }
    Ok(options)
}

/// A store that is away for longer stops the flow, which says so and begins again by itself.
fn retries() -> RetryConfig {
    let backoff =
        BackoffConfig { init_backoff: Duration::from_millis(100), max_backoff: Duration::from_secs(2), base: 2.0 };
    RetryConfig { backoff, max_retries: RETRIES_MAX, retry_timeout: Duration::from_secs(30) }
}

const RETRIES_MAX: usize = 4;
const CONNECT: Duration = Duration::from_secs(5);
