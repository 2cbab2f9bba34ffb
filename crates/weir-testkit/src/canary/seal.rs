//! Seals data as a producer does: with a public key of weir's, and what RFC 7516 and RFC 7518 say.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::agreement::{ECDH_P256, PrivateKey, UnparsedPublicKey, agree};
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// A public key, and the name under which weir knows it.
#[derive(Clone, Debug)]
pub struct SealingKey {
    /// The key's name.
    pub kid: String,
    point: Vec<u8>,
}

impl SealingKey {
    /// Takes a JSON Web Key, as `weir keys export-public` prints it.
    ///
    /// # Panics
    /// Panics when it is none.
    pub fn of(jwk: &Value) -> Self {
        let text = |name: &str| jwk[name].as_str().expect("a key has this member");
        let coordinate = |name: &str| URL_SAFE_NO_PAD.decode(text(name)).expect("a coordinate is base64");
        let point = [vec![UNCOMPRESSED], coordinate("x"), coordinate("y")].concat();
        Self { kid: text("kid").to_owned(), point }
    }

    /// Makes a key that nobody has, under the name of one that somebody has.
    pub fn of_nobody(kid: &str) -> Self {
        Self { kid: kid.to_owned(), point: public(&ephemeral()) }
    }

    /// Returns the header of the one kind of JWE that weir reads, for an event's attributes.
    pub fn header(&self, attributes: &[(String, String)]) -> Value {
        let bound = attributes.iter().filter(|(name, _)| BOUND.contains(&name.as_str()));
        let bound: serde_json::Map<_, _> = bound.map(|(name, text)| (name.clone(), json!(text))).collect();
        json!({ "alg": "ECDH-ES", "enc": "A256GCM", "kid": self.kid, "ce": bound })
    }

    /// Seals data under a header, to which it adds the key that it makes.
    pub fn seal(&self, mut header: Value, data: &[u8]) -> String {
        let own = ephemeral();
        let public = public(&own);
        let (x, y) = public[1..].split_at(COORDINATE);
        header["epk"] = json!({
            "kty": "EC", "crv": "P-256", "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y),
        });
        let peer = UnparsedPublicKey::new(&ECDH_P256, &self.point);
        let info = b"\0\0\0\x07A256GCM\0\0\0\0\0\0\0\0\0\0\x01\0";
        let derive = |shared: &[u8]| Ok(digest(&SHA256, &[&[0, 0, 0, 1], shared, info].concat()));
        let key = agree(&own, peer, aws_lc_rs::error::Unspecified, derive).expect("both are points of the curve");
        let cipher = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key.as_ref()).expect("a hash has 32 bytes"));
        let head = URL_SAFE_NO_PAD.encode(header.to_string());
        let mut bytes = data.to_vec();
        // A key of its own for each event seals once.
        let nonce = Nonce::assume_unique_for_key([5; NONCE_LEN]);
        let tag = cipher.seal_in_place_separate_tag(nonce, Aad::from(head.as_bytes()), &mut bytes);
        let tag = tag.expect("an event is no longer than a cipher can take");
        let [nonce, bytes, tag] = [&[5; NONCE_LEN][..], &bytes, tag.as_ref()].map(|part| URL_SAFE_NO_PAD.encode(part));
        format!("{head}..{nonce}.{bytes}.{tag}")
    }
}

fn ephemeral() -> PrivateKey {
    PrivateKey::generate(&ECDH_P256).expect("the machine has randomness")
}

fn public(key: &PrivateKey) -> Vec<u8> {
    key.compute_public_key().expect("a private key has a public one").as_ref().to_vec()
}

/// The attributes that a header repeats.
const BOUND: [&str; 8] = ["id", "source", "type", "time", "tenant", "contractversion", "purposes", "secgpc"];
const COORDINATE: usize = 32;
/// What a point that stands uncompressed begins with (SEC 1, section 2.3.3).
const UNCOMPRESSED: u8 = 4;
