//! A provider of `OpenID` Connect that does as it is told: a sound id token, or one with something wrong in it.

use axum::extract::Form;
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;

use super::*;

/// What the next id token is like.
#[derive(Clone, Default)]
pub(super) struct Twist {
    /// Members that are other than they should be.
    pub(super) claims: Vec<(&'static str, Value)>,
    /// The whole token, in place of one that is signed.
    pub(super) token: Option<fn(&Value) -> String>,
    /// What the browser was sent with.
    pub(super) nonce: String,
    pub(super) challenge: String,
}

type Shared = Arc<parking_lot::Mutex<Twist>>;

struct Provider {
    issuer: String,
    key: SigningKey,
    twist: Shared,
}

#[derive(Deserialize)]
struct Exchange {
    grant_type: String,
    code: String,
    redirect_uri: String,
    code_verifier: String,
}

/// Starts one; returns its issuer.
pub(super) fn start(runtime: &tokio::runtime::Runtime, key: SigningKey, twist: Shared) -> String {
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let issuer = format!("http://{}", listener.local_addr().unwrap());
    let provider = Arc::new(Provider { issuer: issuer.clone(), key, twist });
    let routes = Router::new()
        .route("/.well-known/openid-configuration", get(describe))
        .route("/keys", get(keys))
        .route("/token", post(exchange))
        .with_state(provider);
    drop(runtime.spawn(async move { axum::serve(listener, routes).await }));
    issuer
}

async fn describe(State(provider): State<Arc<Provider>>) -> String {
    let issuer = &provider.issuer;
    json!({
        "issuer": issuer, "authorization_endpoint": format!("{issuer}/authorize?tenant=a"),
        "token_endpoint": format!("{issuer}/token"), "jwks_uri": format!("{issuer}/keys"),
    })
    .to_string()
}

async fn keys(State(provider): State<Arc<Provider>>) -> String {
    format!(
        "{{\"keys\":[{{\"kty\":\"RSA\",\"use\":\"enc\",\"n\":\"AQAB\",\"e\":\"AQAB\"}},{}]}}",
        provider.key.public().jwk()
    )
}

/// Gives an id token for the one code that there is, to whom knows the secret and the verifier.
async fn exchange(
    State(provider): State<Arc<Provider>>,
    headers: HeaderMap,
    Form(exchange): Form<Exchange>,
) -> Response {
    let twist = provider.twist.lock().clone();
    let challenge = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, exchange.code_verifier.as_bytes());
    // `portal:a secret`, each form-encoded.
    let is_client = headers["authorization"] == "Basic cG9ydGFsOmErc2VjcmV0";
    let is_sound = exchange.grant_type == "authorization_code"
        && exchange.code == "the-code"
        && exchange.redirect_uri == format!("{ADDRESS}/signed-in")
        && BASE64.encode(challenge) == twist.challenge;
    if !is_client || !is_sound {
        return (StatusCode::BAD_REQUEST, r#"{"error":"invalid_grant"}"#).into_response();
    }
    let now = NOW_MS / 1_000;
    let mut claims = json!({
        "iss": provider.issuer, "aud": "portal", "sub": "u-81", "iat": now, "exp": now + 300, "nonce": twist.nonce,
    });
    for (name, value) in twist.claims {
        claims[name] = value;
    }
    let signed = || provider.key.sign("JWT", claims.to_string().as_bytes());
    json!({ "id_token": twist.token.map_or_else(signed, |make| make(&claims)), "token_type": "Bearer" })
        .to_string()
        .into_response()
}

/// Writes a token down that nobody signed.
pub(super) fn unsigned(header: &Value, claims: &Value) -> String {
    format!("{}.{}.", BASE64.encode(header.to_string()), BASE64.encode(claims.to_string()))
}
