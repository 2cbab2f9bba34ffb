//! An event's data, sealed by its producer to weir's public key: JSON Web Encryption of one kind.
//!
//! ```text
//! JWE    = base64url(header) ".." base64url(nonce, 12 bytes) "." base64url(ciphertext) "." base64url(tag, 16 bytes)
//! header = {"alg":"ECDH-ES","enc":"A256GCM","kid":"<RFC 7638 thumbprint of weir's key>",
//!           "epk":{"kty":"EC","crv":"P-256","x":"…","y":"…"},"ce":{"id":"…","source":"…",…}}
//! key    = SHA-256(00000001 ‖ ECDH(epk, weir's key) ‖ lp("A256GCM") ‖ lp("") ‖ lp("") ‖ 00000100)
//! ```
//! RFC 7516, compact; RFC 7518, section 4.6: direct agreement, so there is no encrypted key between the first two points. `lp(x)` is
//! here the length of `x` as 4 bytes, big-endian, and `x`. The header is authenticated, and `ce` repeats the attributes of the event
//! that weir reads: what was sealed for one event opens in no other, nor with a wider purpose or another tenant.
//!
//! Nothing is negotiated: another algorithm, a member that is not listed, one that stands twice, padding or a trailing bit is another
//! form, and refused. Sealing hides; it does not tell who sealed, since anybody may have the public key.

use std::borrow::Cow;

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    agreement::{ECDH_P256, PrivateKey, UnparsedPublicKey, agree},
    digest::{self, SHA256},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::{error::KeyError, secret::Secret};

/// Length of a coordinate on P-256, and of a private key.
const COORDINATE: usize = 32;
const TAG: usize = 16;
/// What a point that stands uncompressed begins with (SEC 1, section 2.3.3).
const UNCOMPRESSED: u8 = 4;

/// What binds sealed data to its event: the attributes that weir reads, as text; those that the event lacks are absent.
#[expect(missing_debug_implementations, reason = "attributes are raw input and must not be printable")]
#[derive(Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Attributes<'e> {
    /// `id`.
    #[serde(borrow)]
    pub id: Cow<'e, str>,
    /// `source`.
    #[serde(borrow)]
    pub source: Cow<'e, str>,
    /// `type`.
    #[serde(borrow, rename = "type")]
    pub event_type: Cow<'e, str>,
    /// `time`.
    #[serde(borrow)]
    pub time: Cow<'e, str>,
    /// `tenant`.
    #[serde(borrow)]
    pub tenant: Cow<'e, str>,
    /// `contractversion`.
    #[serde(borrow, rename = "contractversion")]
    pub contract_version: Option<Cow<'e, str>>,
    /// `purposes`.
    #[serde(borrow)]
    pub purposes: Option<Cow<'e, str>>,
    /// `secgpc`.
    #[serde(borrow, rename = "secgpc")]
    pub sec_gpc: Option<Cow<'e, str>>,
}

/// Why sealed data cannot be read; nothing of it is in here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JweFault {
    /// Changed, cut, or not sealed with the key that it names.
    Broken,
    /// Sealed for another event.
    Event,
    /// Not the one kind of JWE that is read.
    Form,
    /// Sealed to a key that the ring does not have, or not any more.
    Key,
}

/// The public key that producers seal to; not a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JwePublic {
    kid: String,
    required: String,
}

impl JwePublic {
    fn new(point: &[u8]) -> Option<Self> {
        let (&UNCOMPRESSED, coordinates) = point.split_first()? else { return None };
        let (x, y) = coordinates.split_at_checked(COORDINATE)?;
        // The members that name a key, in the order of RFC 7638.
        let required = format!(r#""crv":"P-256","kty":"EC","x":"{}","y":"{}""#, BASE64.encode(x), BASE64.encode(y));
        let kid = BASE64.encode(digest::digest(&SHA256, format!("{{{required}}}").as_bytes()));
        Some(Self { kid, required })
    }

    /// Returns the key's name: the thumbprint of RFC 7638.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// Returns the key as a JSON Web Key, on one line.
    pub fn jwk(&self) -> String {
        format!(r#"{{"alg":"ECDH-ES","kid":"{}","use":"enc",{}}}"#, self.kid, self.required)
    }
}

/// Opens what was sealed to its public key.
pub(crate) struct JweKey {
    private: PrivateKey,
    public: JwePublic,
}

impl PartialEq for JweKey {
    fn eq(&self, other: &Self) -> bool {
        self.public == other.public
    }
}

impl JweKey {
    /// Draws the secret of a key.
    pub(crate) fn random() -> Result<Secret, KeyError> {
        loop {
            let secret = Secret::random()?;
            // One number of 2³² is no private key: zero, and those from the order of the curve on.
            if Self::of_secret(&secret).is_some() {
                return Ok(secret);
            }
        }
    }

    /// Makes the key of a secret; none if it is no private key.
    pub(crate) fn of_secret(secret: &Secret) -> Option<Self> {
        let private = PrivateKey::from_private_key(&ECDH_P256, secret.expose()).ok()?;
        let public = JwePublic::new(private.compute_public_key().ok()?.as_ref())?;
        Some(Self { private, public })
    }

    pub(crate) fn public(&self) -> &JwePublic {
        &self.public
    }

    fn open(&self, epk: &Epk<'_>, sealed: &Sealed<'_>) -> Result<Zeroizing<Vec<u8>>, JweFault> {
        let peer = UnparsedPublicKey::new(&ECDH_P256, epk.point()?);
        let key = agree(&self.private, peer, JweFault::Broken, |shared| Ok(content_key(shared)))?;
        let cipher = UnboundKey::new(&AES_256_GCM, &*key).expect("a hash is as long as an AES-256 key");
        let nonce = Nonce::assume_unique_for_key(decode(sealed.nonce)?);
        let tag: [u8; TAG] = decode(sealed.tag)?;
        // Sized once, and opened in place: what it holds then is nowhere else.
        let mut bytes = Zeroizing::new(Vec::with_capacity(sealed.ciphertext.len() + TAG));
        BASE64.decode_vec(sealed.ciphertext, &mut bytes).map_err(|_not_base64| JweFault::Form)?;
        bytes.extend_from_slice(&tag);
        let opened = LessSafeKey::new(cipher).open_in_place(nonce, Aad::from(sealed.header), &mut bytes);
        let length = opened.map_err(|_unspecified| JweFault::Broken)?.len();
        bytes.truncate(length);
        Ok(bytes)
    }
}

/// Opens a JWE that was sealed for an event, with the key that it names.
pub(crate) fn open<'k>(
    jwe: &[u8],
    event: &Attributes<'_>,
    key_of: impl FnOnce(&str) -> Option<&'k JweKey>,
) -> Result<Zeroizing<Vec<u8>>, JweFault> {
    let sealed = Sealed::parse(jwe).ok_or(JweFault::Form)?;
    let header = BASE64.decode(sealed.header).map_err(|_not_base64| JweFault::Form)?;
    let header: Header<'_> = serde_json::from_slice(&header).map_err(|_other_form| JweFault::Form)?;
    if header.alg != "ECDH-ES" || header.enc != "A256GCM" {
        return Err(JweFault::Form);
    }
    let key = key_of(&header.kid).ok_or(JweFault::Key)?;
    if header.ce == *event { key.open(&header.epk, &sealed) } else { Err(JweFault::Event) }
}

/// A JWE taken apart, each part as it stands.
struct Sealed<'j> {
    header: &'j [u8],
    nonce: &'j [u8],
    ciphertext: &'j [u8],
    tag: &'j [u8],
}

impl<'j> Sealed<'j> {
    fn parse(jwe: &'j [u8]) -> Option<Self> {
        let mut parts = jwe.split(|byte| *byte == b'.');
        let mut next = || parts.next();
        let (header, encrypted_key) = (next()?, next()?);
        let sealed = Self { header, nonce: next()?, ciphertext: next()?, tag: next()? };
        (encrypted_key.is_empty() && next().is_none()).then_some(sealed)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header<'h> {
    #[serde(borrow)]
    alg: Cow<'h, str>,
    #[serde(borrow)]
    enc: Cow<'h, str>,
    #[serde(borrow)]
    kid: Cow<'h, str>,
    #[serde(borrow)]
    epk: Epk<'h>,
    #[serde(borrow)]
    ce: Attributes<'h>,
}

/// The producer's part of the agreement, which it makes anew for each event.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Epk<'h> {
    #[serde(borrow)]
    kty: Cow<'h, str>,
    #[serde(borrow)]
    crv: Cow<'h, str>,
    #[serde(borrow)]
    x: Cow<'h, str>,
    #[serde(borrow)]
    y: Cow<'h, str>,
}

impl Epk<'_> {
    /// Returns the point uncompressed; that it lies on the curve is seen when it is used.
    fn point(&self) -> Result<[u8; 1 + 2 * COORDINATE], JweFault> {
        if self.kty != "EC" || self.crv != "P-256" {
            return Err(JweFault::Form);
        }
        let coordinates: [[u8; COORDINATE]; 2] = [decode(self.x.as_bytes())?, decode(self.y.as_bytes())?];
        let mut point = [UNCOMPRESSED; 1 + 2 * COORDINATE];
        point[1..].copy_from_slice(coordinates.as_flattened());
        Ok(point)
    }
}

/// Decodes so many bytes.
fn decode<const N: usize>(text: &[u8]) -> Result<[u8; N], JweFault> {
    let bytes = BASE64.decode(text).map_err(|_not_base64| JweFault::Form)?;
    bytes.try_into().map_err(|_other_length| JweFault::Form)
}

/// Derives the key of the content from what was agreed on.
fn content_key(shared: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut key = Zeroizing::new([0; 32]);
    key.copy_from_slice(concat_kdf(shared, "A256GCM", ["", ""], 256).as_ref());
    key
}

/// Derives a key of at most 256 bits: one round of RFC 7518, section 4.6.2.
fn concat_kdf(shared: &[u8], algorithm: &str, parties: [&str; 2], bits: u32) -> digest::Digest {
    let mut hash = digest::Context::new(&SHA256);
    hash.update(&1_u32.to_be_bytes());
    hash.update(shared);
    for part in [algorithm, parties[0], parties[1]] {
        hash.update(&u32::try_from(part.len()).expect("names are short").to_be_bytes());
        hash.update(part.as_bytes());
    }
    hash.update(&bits.to_be_bytes());
    hash.finish()
}

#[cfg(test)]
mod tests;
