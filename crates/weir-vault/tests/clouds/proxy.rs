//! A vault's proxy that has no vault behind it.

use std::time::Duration;

use serde_json::json;
use weir_keys::{Wrap as _, WrapError};
use weir_testkit::stub::{Reply, Request, Stub};
use weir_vault::{Address, Auth, Settings, Vault};

use crate::secret;

/// Only a vault's own words say that a key is not there: by a proxy's, keys would count as destroyed that open everything.
#[test]
fn what_a_proxy_does_not_find_is_no_absent_key() {
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    secret(&token, "t");
    for (body, is_absent) in [
        (r#"{"errors":[]}"#, true),
        (r#"{"errors":["no handler for route"]}"#, false),
        (r#"{"message":"no Route matched"}"#, false),
        ("<html>404</html>", false),
        ("", false),
    ] {
        let answer = move |request: &Request| match request.path.as_str() {
            "/v1/auth/token/lookup-self" => Reply::json(200, &json!({ "data": { "ttl": 0 } })),
            _ => Reply { status: 404, body: body.to_owned() },
        };
        let stub = Stub::start(move |request| Some(answer(request)));
        let settings = Settings {
            address: Address::parse(&stub.address()).unwrap(),
            mount: "transit".to_owned(),
            prefix: "weir".to_owned(),
            namespace: None,
            ca: None,
            certificate: None,
            auth: Auth::Token { file: token.clone() },
            timeout: Duration::from_secs(2),
        };
        let vault = Vault::new(settings).unwrap();
        let (versions, destroyed) = (vault.versions("ring"), vault.destroy("ring"));
        if is_absent {
            assert_eq!((versions, destroyed), (Ok(None), Ok(())));
        } else {
            assert!(matches!(versions, Err(WrapError::Unexpected { .. })), "{body}: {versions:?}");
            assert!(matches!(destroyed, Err(WrapError::Unexpected { .. })), "{body}: {destroyed:?}");
        }
    }
}
