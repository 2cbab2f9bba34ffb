//! Signed links: how a service that knows a person sends them here.
//!
//! ```text
//! https://privacy.example.com/enter?link=<JWS>
//! header  {"alg":"EdDSA","kid":"<RFC 7638>","typ":"weir-link+jwt"}
//! payload {"aud":"https://privacy.example.com","tenant":"acme","kind":"user","sub":"u-81","iat":1795428930,"exp":1795429530,"jti":"…"}
//! ```
//! A link is for this portal (`aud`), for an hour at most and for one visit (`jti`), and its signer speaks for the tenants that
//! the configuration names. Instants are seconds, as in every JSON Web Token (RFC 7519). Which links were used is in memory only:
//! so one that was signed before the portal was started opens nothing.

use std::collections::HashMap;

use parking_lot::Mutex;
use serde::Deserialize;
use weir_keys::{PublicKey, tenant_name_is_sound};

/// Who may sign links, and for whom.
#[derive(Clone, Debug)]
pub struct Issuer {
    /// The key that checks them.
    pub key: PublicKey,
    /// The tenants that the signer speaks for; `*` is every one.
    pub tenants: Vec<String>,
}

/// Everybody who may sign links.
#[derive(Clone, Debug, Default)]
pub struct Issuers(pub Vec<Issuer>);

/// A person as services name them; never printed.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Person {
    pub(crate) tenant: String,
    pub(crate) kind: String,
    pub(crate) subject: String,
}

/// Takes each link once.
pub(crate) struct Links {
    issuers: Issuers,
    address: String,
    /// When this process began to remember.
    started_s: i64,
    /// Links that were used, and when each ends by itself.
    used: Mutex<HashMap<String, i64>>,
}

/// Why a link is not taken; the same words whoever it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Not signed by anybody who may, or for somebody else.
    Unsigned,
    /// Its time is over, or not yet.
    Expired,
    /// It was used before.
    Used,
}

#[derive(Deserialize)]
struct Claims {
    aud: String,
    tenant: String,
    kind: String,
    sub: String,
    iat: i64,
    exp: i64,
    jti: String,
}

impl Links {
    pub(crate) fn new(issuers: Issuers, address: String, started_ms: i64) -> Self {
        Self { issuers, address, started_s: started_ms.div_euclid(1_000), used: Mutex::default() }
    }

    /// Checks a link without using it up.
    pub(crate) fn look_at(&self, link: &str, now_ms: i64) -> Result<Person, Refusal> {
        let claims = self.claims(link, now_ms)?;
        if self.used.lock().contains_key(&claims.jti) { Err(Refusal::Used) } else { Ok(claims.person()) }
    }

    /// Checks a link and uses it up.
    pub(crate) fn take(&self, link: &str, now_ms: i64) -> Result<Person, Refusal> {
        let claims = self.claims(link, now_ms)?;
        let mut used = self.used.lock();
        used.retain(|_, exp| *exp > now_ms / 1_000);
        if used.len() >= USED_MAX {
            return Err(Refusal::Expired); // They end within the hour; forgetting one would let it in twice.
        }
        match used.insert(claims.jti.clone(), claims.exp) {
            None => Ok(claims.person()),
            Some(_) => Err(Refusal::Used),
        }
    }

    fn claims(&self, link: &str, now_ms: i64) -> Result<Claims, Refusal> {
        let signed = |issuer: &Issuer| Some((issuer.key.verify(TYPE, link).ok()?, issuer.tenants.clone()));
        let (payload, tenants) = self.issuers.0.iter().find_map(signed).ok_or(Refusal::Unsigned)?;
        let claims: Claims = serde_json::from_slice(&payload).map_err(|_quotes| Refusal::Unsigned)?;
        let speaks_for = tenants.iter().any(|tenant| tenant == "*" || *tenant == claims.tenant);
        let is_sound = tenant_name_is_sound(&claims.tenant) && !claims.jti.is_empty() && claims.jti.len() <= JTI_MAX;
        if !speaks_for || !is_sound || claims.aud != self.address {
            return Err(Refusal::Unsigned);
        }
        let now = now_ms.div_euclid(1_000);
        let is_short = claims.exp.checked_sub(claims.iat).is_some_and(|life| (1..=LIFE_MAX).contains(&life));
        // One that was used before the start was signed by then, by a clock that was ahead no further.
        let is_remembered = claims.iat > self.started_s + SKEW_MAX;
        let is_now = is_short && is_remembered && claims.iat <= now + SKEW_MAX && now < claims.exp;
        if is_now { Ok(claims) } else { Err(Refusal::Expired) }
    }
}

impl Claims {
    fn person(self) -> Person {
        Person { tenant: self.tenant, kind: self.kind, subject: self.sub }
    }
}

const TYPE: &str = "weir-link+jwt";
/// Seconds; a link travels by mail or on a page, and a mail may take a while.
const LIFE_MAX: i64 = 3_600;
/// Seconds by which a service's clock may be ahead. As long after the start of the portal nobody gets in.
const SKEW_MAX: i64 = 5;
/// Longer than a UUID.
const JTI_MAX: usize = 128;
/// Those of one hour.
const USED_MAX: usize = 100_000;

#[cfg(test)]
mod tests {
    use weir_keys::KeyRing;

    use super::*;

    const NOW_S: i64 = 1_795_428_930;

    #[test]
    fn link_is_for_one_portal_one_tenant_one_hour_and_one_visit() {
        let folder = tempfile::tempdir().unwrap();
        let keys = KeyRing::init(&folder.path().join("keys")).unwrap().snapshot();
        let key = keys.signing_key("links");
        let issuer = Issuer { key: key.public(), tenants: vec!["acme".to_owned()] };
        let links_from = |started_s: i64| {
            Links::new(Issuers(vec![issuer.clone()]), "https://privacy.example.com".to_owned(), started_s * 1_000)
        };
        let links = links_from(NOW_S - 60);
        let claims = |change: (&str, serde_json::Value)| {
            let mut claims = serde_json::json!({
                "aud": "https://privacy.example.com", "tenant": "acme", "kind": "user", "sub": "u-81",
                "iat": NOW_S, "exp": NOW_S + 600, "jti": "a",
            });
            claims[change.0] = change.1;
            claims.to_string()
        };
        let look = |change, at_s: i64| {
            links.look_at(&key.sign(TYPE, claims(change).as_bytes()), at_s * 1_000).map(|person| person.subject)
        };
        let as_it_is = || ("jti", "a".into());
        assert_eq!(look(as_it_is(), NOW_S), Ok("u-81".to_owned()));
        for (member, value) in [("aud", "https://example.org"), ("tenant", "globex"), ("jti", "")] {
            assert_eq!(look((member, value.into()), NOW_S), Err(Refusal::Unsigned), "{member}");
        }
        let late = [(as_it_is(), NOW_S + 600), (as_it_is(), NOW_S - 6), (("exp", (NOW_S + 3_601).into()), NOW_S)];
        for (change, at_s) in late {
            assert_eq!(look(change, at_s), Err(Refusal::Expired));
        }
        let signed = key.sign(TYPE, claims(as_it_is()).as_bytes());
        let other = keys.signing_key("receipts").sign(TYPE, claims(as_it_is()).as_bytes());
        for forged in [other, key.sign("weir-receipt+jwt", claims(as_it_is()).as_bytes()), format!("{signed}x")] {
            assert_eq!(links.take(&forged, NOW_S * 1_000).err(), Some(Refusal::Unsigned));
        }
        assert!(links.take(&signed, NOW_S * 1_000).is_ok());
        assert_eq!(links.take(&signed, NOW_S * 1_000).err(), Some(Refusal::Used));
        assert_eq!(look(as_it_is(), NOW_S), Err(Refusal::Used));

        // A portal that was started anew does not remember it, and takes nothing from before; nor what a clock that is ahead signed.
        for (started_s, refused) in
            [(NOW_S - 6, None), (NOW_S - 5, Some(Refusal::Expired)), (NOW_S, Some(Refusal::Expired))]
        {
            assert_eq!(links_from(started_s).take(&signed, (NOW_S + 1) * 1_000).err(), refused, "{started_s}");
        }
    }
}
