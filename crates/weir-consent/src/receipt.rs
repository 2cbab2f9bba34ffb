//! Receipts: what a person was told and decided, signed, for them to keep.
//!
//! A consent receipt of ISO/IEC TS 27560:2023 as JSON-LD, in the terms of the W3C Data Privacy Vocabulary, signed as a JSON Web
//! Signature. It is made from the state record, the policy's purposes and what the configuration says about the controller,
//! and from nothing else: no clock, no chance. So whoever makes it, keeper or API, and however often, makes the same bytes.
//!
//! The person is the pseudonym of the consent domain and nothing more: no name, tenant, kind, evidence, address or device
//! (LK-42). Who holds the receipt knows whom it is about; who finds it does not.
//!
//! ```text
//! record id  = hex of the first 16 bytes of SHA-256("weir record" ‖ state key)
//! receipt id = hex of the first 16 bytes of SHA-256("weir receipt" ‖ state key ‖ state value)
//! digest     = SHA-256 of the signature's compact form, which the ledger holds
//! ```
//! A person's choices for one purpose are one record; each of its states has a receipt.

use aws_lc_rs::digest::{SHA256, digest};
use weir_keys::{KeySet, PersonKey, PublicKey, SignatureFault, SigningKey};

use crate::{
    state::StateRecord,
    status::{Standing, Status},
};

mod document;
mod notice;
mod words;

use document::Document;
pub use notice::{Issuer, Notice};

/// The type in the header of the signature.
const TYPE: &str = "weir-receipt+jwt";
/// What the signing key signs for.
const CONTEXT: &str = "receipts";

/// A receipt of one state of one person's choice.
#[expect(missing_debug_implementations, reason = "names a person")]
#[derive(Clone, PartialEq, Eq)]
pub struct Receipt(Document);

/// A receipt in the form that is handed out.
#[expect(missing_debug_implementations, reason = "names a person")]
#[derive(Clone, PartialEq, Eq)]
pub struct SignedReceipt {
    /// The compact form of a JSON Web Signature.
    pub jws: String,
    /// Its SHA-256, in hex.
    pub digest: String,
}

impl Receipt {
    /// Makes the receipt of a record; none if it is not a person's choice.
    pub fn of(record: &StateRecord, notice: &Notice) -> Option<Self> {
        let StateRecord::Choice { person, purpose, standing } = record else { return None };
        let (key, value) = (record.key().encode(), record.encode()?);
        let ids = (id("weir receipt", &[&key, &value]), id("weir record", &[&key]));
        Some(Self(Document::new(ids, pseudonym(*person), *purpose, *standing, notice)))
    }

    /// Signs the receipt with the key that [`receipt_key`] returns.
    ///
    /// # Panics
    ///
    /// Never: texts always have a JSON form.
    pub fn sign(&self, key: &SigningKey) -> SignedReceipt {
        let payload = serde_json::to_vec(&self.0).expect("texts always have a JSON form");
        let jws = key.sign(TYPE, &payload);
        let digest = hex(digest(&SHA256, jws.as_bytes()).as_ref());
        SignedReceipt { jws, digest }
    }

    /// Checks a signed receipt and reads it; `keys` are those that may have signed it.
    ///
    /// # Errors
    ///
    /// None of the keys signed it as it is, or what was signed is no receipt.
    pub fn verify(jws: &str, keys: &[PublicKey]) -> Result<Self, ReceiptFault> {
        let mut fault = SignatureFault::OtherKey;
        for key in keys {
            match key.verify(TYPE, jws) {
                Ok(payload) => return Document::read(&payload).map(Self).ok_or(ReceiptFault::Content),
                Err(SignatureFault::OtherKey) => {}
                Err(other) => fault = other,
            }
        }
        Err(fault.into())
    }

    /// Returns the receipt's name.
    pub fn id(&self) -> &str {
        self.0.id()
    }

    /// Returns the word of the purpose.
    pub fn purpose(&self) -> &str {
        self.0.purpose()
    }

    /// Returns the state, and since when and until when it holds.
    pub fn standing(&self) -> Standing {
        self.0.standing()
    }

    /// Returns the receipt as JSON-LD, indented for people.
    ///
    /// # Panics
    ///
    /// Never: texts always have a JSON form.
    pub fn json(&self) -> serde_json::Value {
        serde_json::to_value(&self.0).expect("texts always have a JSON form")
    }
}

/// Returns the key that signs a ring's receipts.
pub fn receipt_key(keys: &KeySet) -> SigningKey {
    keys.signing_key(CONTEXT)
}

/// Returns the pseudonym of a person, as receipts and exports have it.
pub fn pseudonym(person: PersonKey) -> String {
    hex(&person.bytes())
}

/// Why a receipt is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptFault {
    /// Signed, but not of this form.
    #[error("the signature holds, but what was signed is no receipt that this weir can read")]
    Content,
    /// Not signed by any of the keys, or changed.
    #[error(transparent)]
    Signature(#[from] SignatureFault),
}

impl Status {
    /// Returns the term of the Data Privacy Vocabulary.
    pub const fn dpv(self) -> &'static str {
        match self {
            Self::Deferred => "dpv:ConsentRequestDeferred",
            Self::Expired => "dpv:ConsentExpired",
            Self::Given => "dpv:ConsentGiven",
            Self::Invalidated => "dpv:ConsentInvalidated",
            Self::Refused => "dpv:ConsentRefused",
            Self::Renewed => "dpv:RenewedConsentGiven",
            Self::Requested => "dpv:ConsentRequested",
            Self::Revoked => "dpv:ConsentRevoked",
            Self::Unknown => "dpv:ConsentUnknown",
            Self::Withdrawn => "dpv:ConsentWithdrawn",
        }
    }
}

fn id(what: &str, parts: &[&[u8]]) -> String {
    let text = [what.as_bytes(), &parts.concat()].concat();
    hex(&digest(&SHA256, &text).as_ref()[..16])
}

fn hex(bytes: &[u8]) -> String {
    let halves = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
    halves.filter_map(|half| char::from_digit(half.into(), 16)).collect()
}
