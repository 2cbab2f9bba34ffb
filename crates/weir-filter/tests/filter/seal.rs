//! Sealing, for tests of what opens it.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{ECDH_P256, PrivateKey, UnparsedPublicKey, agree};
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;

/// Seals as a producer does: with the public key, and what RFC 7516 and RFC 7518 say.
pub(crate) fn seal(jwk: &str, attributes: &str, data: &[u8]) -> String {
    let member = |name: &str| {
        let (_, rest) = jwk.split_once(&format!("\"{name}\":\"")).unwrap();
        rest.split_once('"').unwrap().0
    };
    let point = ["x", "y"].map(|name| BASE64.decode(member(name)).unwrap()).concat();
    let own = PrivateKey::generate(&ECDH_P256).unwrap();
    let peer = UnparsedPublicKey::new(&ECDH_P256, [&[4], &point[..]].concat());
    let info = b"\0\0\0\x07A256GCM\0\0\0\0\0\0\0\0\0\0\x01\0";
    let key = agree(&own, peer, (), |shared| Ok(digest(&SHA256, &[&[0, 0, 0, 1], shared, info].concat()))).unwrap();
    let public = own.compute_public_key().unwrap();
    let (x, y) = public.as_ref()[1..].split_at(32);
    let epk = format!(r#"{{"kty":"EC","crv":"P-256","x":"{}","y":"{}"}}"#, BASE64.encode(x), BASE64.encode(y));
    let kid = member("kid");
    let header = format!(r#"{{"alg":"ECDH-ES","enc":"A256GCM","kid":"{kid}","epk":{epk},"ce":{{{attributes}}}}}"#);
    let head = BASE64.encode(header);
    let cipher = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key.as_ref()).unwrap());
    let mut bytes = data.to_vec();
    let nonce = Nonce::assume_unique_for_key([5; 12]);
    let tag = cipher.seal_in_place_separate_tag(nonce, Aad::from(head.as_bytes()), &mut bytes).unwrap();
    format!("{head}..{}.{}.{}", BASE64.encode([5; 12]), BASE64.encode(bytes), BASE64.encode(tag))
}
