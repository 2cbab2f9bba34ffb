//! Id tokens: whether one is of this issuer, for this client and this sign-in, and of now (`OpenID` Connect Core, 3.1.3.7).

use jsonwebtoken::jwk::{Jwk, JwkSet, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde_json::{Map, Value};

use super::NotSignedIn;

/// What an id token has to be.
#[derive(Clone, Copy)]
pub(super) struct Expected<'e> {
    pub(super) issuer: &'e str,
    pub(super) client_id: &'e str,
    pub(super) nonce: &'e str,
    pub(super) now_ms: i64,
}

/// Returns the claims of an id token, all checked.
pub(super) fn check(token: &str, keys: &JwkSet, expected: &Expected<'_>) -> Result<Map<String, Value>, NotSignedIn> {
    // A header with an algorithm that the crate does not know, such as none, is no header.
    let header = decode_header(token).map_err(|_quotes| NotSignedIn::Algorithm)?;
    if !ALGORITHMS.contains(&header.alg) {
        return Err(NotSignedIn::Algorithm);
    }
    let key = key(keys, header.kid.as_deref()).ok_or(NotSignedIn::Signature)?;
    if key.common.key_algorithm.as_ref().is_some_and(|of_key| *of_key != KeyAlgorithm::from(header.alg)) {
        return Err(NotSignedIn::Algorithm);
    }
    let key = DecodingKey::from_jwk(key).map_err(|_quotes| NotSignedIn::Signature)?;
    let mut rules = Validation::new(header.alg);
    // By the portal's own clock and words, below.
    (rules.validate_exp, rules.validate_aud) = (false, false);
    rules.required_spec_claims.clear();
    let decoded = decode::<Map<String, Value>>(token, &key, &rules);
    let claims = decoded.map_err(|_quotes| NotSignedIn::Signature)?.claims;
    if claims.get("iss").and_then(Value::as_str) != Some(expected.issuer) {
        return Err(NotSignedIn::Issuer);
    }
    if !is_for(&claims, expected.client_id) {
        return Err(NotSignedIn::Audience);
    }
    if !is_of_now(&claims, expected.now_ms.div_euclid(1_000)) {
        return Err(NotSignedIn::Expired);
    }
    if claims.get("nonce").and_then(Value::as_str) != Some(expected.nonce) {
        return Err(NotSignedIn::Nonce);
    }
    Ok(claims)
}

/// Tells whether one of a provider's keys could have signed a token; else they may be old.
pub(super) fn knows_key(token: &str, keys: &JwkSet) -> bool {
    decode_header(token).is_ok_and(|header| key(keys, header.kid.as_deref()).is_some())
}

/// Finds the key that a token names; one that names none is of the only key.
fn key<'k>(keys: &'k JwkSet, kid: Option<&str>) -> Option<&'k Jwk> {
    let signs = |key: &&Jwk| !matches!(key.common.public_key_use, Some(PublicKeyUse::Encryption));
    let mut signing = keys.keys.iter().filter(signs);
    if let Some(kid) = kid {
        return signing.find(|key| key.common.key_id.as_deref() == Some(kid));
    }
    signing.next().filter(|_| signing.next().is_none())
}

/// Of several audiences this client must be the one that the token was given to.
fn is_for(claims: &Map<String, Value>, client_id: &str) -> bool {
    let of_party = claims.get("azp").map(|party| party.as_str() == Some(client_id));
    match claims.get("aud") {
        Some(Value::String(audience)) => audience == client_id && of_party != Some(false),
        Some(Value::Array(audiences)) => {
            let is_among = audiences.iter().any(|audience| audience.as_str() == Some(client_id));
            is_among && (if audiences.len() == 1 { of_party != Some(false) } else { of_party == Some(true) })
        }
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) | None => false,
    }
}

fn is_of_now(claims: &Map<String, Value>, now_s: i64) -> bool {
    let instant = |name: &str| claims.get(name).and_then(Value::as_i64);
    let (Some(exp), Some(iat)) = (instant("exp"), instant("iat")) else { return false };
    let has_begun = claims.get("nbf").is_none_or(|_| instant("nbf").is_some_and(|nbf| nbf <= now_s + SKEW_MAX_S));
    now_s < exp && iat <= now_s + SKEW_MAX_S && has_begun
}

/// All that have a public key; a secret is shared, so whoever checks by it could have made the token.
const ALGORITHMS: [Algorithm; 9] = [
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
];
/// Seconds by which a provider's clock may be ahead.
const SKEW_MAX_S: i64 = 60;
