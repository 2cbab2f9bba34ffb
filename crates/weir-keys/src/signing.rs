//! Signatures that anybody can check: Ed25519, in the compact form of JSON Web Signature.
//!
//! ```text
//! seed = derive("weir 2026 signing key", lp(lake secret) ‖ lp(context))          (see `key_set`)
//! JWS  = base64url(header) "." base64url(payload) "." base64url(Ed25519 signature of what stands before)
//! header = {"alg":"EdDSA","kid":"<RFC 7638 thumbprint of the public key>","typ":"<type>"}
//! ```
//! RFC 7515, RFC 8037 and RFC 7638. One context signs one thing, so a head of the ledger is never taken for a receipt; the type
//! in the header says it again. A verifier takes this one algorithm and no other, whatever a header asks for.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;

use crate::secret::Secret;

/// Length of a public key.
const PUBLIC_BYTES: usize = 32;

/// Signs for one context.
#[expect(missing_debug_implementations, reason = "a key is never printed")]
pub struct SigningKey {
    pair: Ed25519KeyPair,
    public: PublicKey,
}

impl SigningKey {
    pub(crate) fn new(seed: &Secret) -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed.expose()).expect("a seed is 32 bytes, and any 32 serve");
        let mut public = [0; PUBLIC_BYTES];
        public.copy_from_slice(pair.public_key().as_ref());
        Self { pair, public: PublicKey(public) }
    }

    /// Returns the key that others check signatures with.
    pub const fn public(&self) -> PublicKey {
        self.public
    }

    /// Signs a payload of a type, such as `weir-receipt+jwt`; the type is a word without quotes.
    pub fn sign(&self, typ: &str, payload: &[u8]) -> String {
        let header = format!(r#"{{"alg":"EdDSA","kid":"{}","typ":"{typ}"}}"#, self.public.kid());
        let signed = format!("{}.{}", BASE64.encode(header), BASE64.encode(payload));
        let signature = self.pair.sign(signed.as_bytes());
        format!("{signed}.{}", BASE64.encode(signature))
    }
}

/// Checks signatures; not a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicKey([u8; PUBLIC_BYTES]);

impl PublicKey {
    /// Returns the key's name: the thumbprint of RFC 7638.
    pub fn kid(&self) -> String {
        BASE64.encode(digest(&SHA256, self.required().as_bytes()))
    }

    /// Returns the key as a JSON Web Key, on one line.
    pub fn jwk(&self) -> String {
        let required = self.required();
        let required = required.trim_start_matches('{');
        format!(r#"{{"alg":"EdDSA","kid":"{}","use":"sig",{required}"#, self.kid())
    }

    /// Makes a key of the member `x` of a JSON Web Key whose `kty` is `OKP` and `crv` is `Ed25519`.
    pub fn of_x(x: &str) -> Option<Self> {
        Some(Self(BASE64.decode(x).ok()?.try_into().ok()?))
    }

    /// Returns the payload of a JWS of this key and type.
    ///
    /// # Errors
    ///
    /// It is none, of another key or type, or not as it was signed.
    pub fn verify(&self, typ: &str, jws: &str) -> Result<Vec<u8>, SignatureFault> {
        let (signed, signature) = jws.rsplit_once('.').ok_or(SignatureFault::Form)?;
        let (header, payload) = signed.split_once('.').ok_or(SignatureFault::Form)?;
        let decode = |part: &str| BASE64.decode(part).map_err(|_not_base64| SignatureFault::Form);
        let expected = format!(r#"{{"alg":"EdDSA","kid":"{}","typ":"{typ}"}}"#, self.kid());
        // The header is compared whole: there is one that weir writes, and nothing in it is a choice.
        if decode(header)? != expected.as_bytes() {
            return Err(SignatureFault::OtherKey);
        }
        let (payload, signature) = (decode(payload)?, decode(signature)?);
        let checked = UnparsedPublicKey::new(&ED25519, self.0).verify(signed.as_bytes(), &signature);
        checked.map(|()| payload).map_err(|_unspecified| SignatureFault::Broken)
    }

    /// Returns the members that name the key, in the order of RFC 7638.
    fn required(&self) -> String {
        format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, BASE64.encode(self.0))
    }
}

/// Why a signature is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureFault {
    /// The signature is not of these bytes.
    #[error("the signature does not fit: what was signed has been changed")]
    Broken,
    /// Not three parts in base64url.
    #[error("it is not a JSON Web Signature in the compact form")]
    Form,
    /// Signed by another key, with another algorithm, or for another use.
    #[error("it was signed by another key, or for another use")]
    OtherKey,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> SigningKey {
        SigningKey::new(&Secret::from_bytes(&[7; 32]))
    }

    #[test]
    fn signature_holds_for_its_key_type_and_bytes_only() {
        let jws = key().sign("a+jwt", b"payload");
        let public = key().public();
        assert_eq!(public.verify("a+jwt", &jws).unwrap(), b"payload");
        assert_eq!(public.verify("b+jwt", &jws), Err(SignatureFault::OtherKey));
        let other = SigningKey::new(&Secret::from_bytes(&[8; 32]));
        assert_eq!(other.public().verify("a+jwt", &jws), Err(SignatureFault::OtherKey));
        let (before, _) = jws.rsplit_once('.').unwrap();
        let forged = format!("{before}.{}", BASE64.encode([0; 64]));
        assert_eq!(public.verify("a+jwt", &forged), Err(SignatureFault::Broken));
        for at in 0..jws.len() {
            assert!(public.verify("a+jwt", jws.split_at(at).0).is_err());
        }
        assert_eq!(PublicKey::of_x(public.required().split('"').nth(11).unwrap()), Some(public));
    }

    /// The example of RFC 8037, appendix A.3.
    #[test]
    fn kid_is_the_thumbprint_of_the_rfc() {
        let key = PublicKey::of_x("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo").unwrap();
        assert_eq!(key.kid(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }
}
