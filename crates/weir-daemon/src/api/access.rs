//! Who may ask: the tokens file, and how a caller is recognised.
//!
//! ```toml
//! [[caller]]
//! name    = "account-page"
//! role    = "subject-agent"           # or "operator", "auditor"
//! sha256  = "9f86d081…"               # of the bearer token, in hex; the token itself stands nowhere
//! tenants = ["acme"]                  # or ["*"]
//! rate    = 20                        # requests a second
//! burst   = 40                        # and so many at once
//!
//! [[caller]]
//! name        = "privacy-desk"
//! role        = "operator"
//! certificate = "spiffe://example.com/privacy-desk"   # a URI or DNS name of a client certificate
//! tenants     = ["*"]
//! ```
//! A token has at least 128 bits, so that its plain hash tells nothing and no guess comes near; digests are compared in constant
//! time, all of them every time. Whether a caller acts for a tenant is decided on this file alone, before anything is looked
//! up: the answer about somebody else's person is the same whether that person is known or not, and as fast.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use weir_consent::Decision;
use weir_keys::tenant_name_is_sound;
use weir_policy::diagnostic::{Diagnostic, Faults, Place, Report, Source};
use weir_policy::reader::{Node, Section, parse};

use crate::api::limits::{Bucket, Pace};

/// What a caller may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Role {
    /// Looks up.
    Auditor,
    /// Also decides for other parties than the person, and over tenants' agreements.
    Operator,
    /// Decides for people and looks them up; has copies made, and has them erased.
    SubjectAgent,
}

impl Role {
    /// Every role.
    pub(crate) const ALL: [Self; 3] = [Self::Auditor, Self::Operator, Self::SubjectAgent];

    /// Returns the word of the tokens file.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Auditor => "auditor",
            Self::Operator => "operator",
            Self::SubjectAgent => "subject-agent",
        }
    }

    /// Tells whether the role may take a decision about a person: what another party decides is the operator's.
    pub(crate) const fn may_decide(self, decision: Decision) -> bool {
        match self {
            Self::Auditor => false,
            Self::Operator => true,
            Self::SubjectAgent => !matches!(decision, Decision::Invalidate | Decision::Revoke),
        }
    }

    /// Tells whether the role may ask for a person's copy, or for their erasure.
    pub(crate) const fn may_exercise(self) -> bool {
        match self {
            Self::Auditor => false,
            Self::Operator | Self::SubjectAgent => true,
        }
    }
}

/// Everyone who may ask.
#[derive(Debug)]
pub(crate) struct Access {
    callers: Vec<Arc<Caller>>,
}

/// One who may ask.
#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) name: Arc<str>,
    pub(crate) role: Role,
    pub(crate) bucket: Bucket,
    known_by: KnownBy,
    tenants: Vec<String>,
}

#[derive(Debug, PartialEq, Eq, Hash, Clone)]
enum KnownBy {
    Certificate(String),
    Token([u8; 32]),
}

impl Caller {
    /// Tells whether the caller acts for a tenant.
    pub(crate) fn acts_for(&self, tenant: &str) -> bool {
        self.tenants.iter().any(|own| own == EVERY_TENANT || own == tenant)
    }
}

impl Access {
    /// Reads a tokens file's text.
    ///
    /// # Errors
    /// All faults at once, each with its place.
    pub(crate) fn read(file: &Path, text: &str, certificates: Certificates) -> Result<Self, Report> {
        let faults = Faults::default();
        let source = Source::new(file, text);
        let callers = parse(&source, &faults).and_then(|root| {
            let mut root = Section::new(&root, &faults);
            let list = root.need("caller", "`[[caller]]`, once for each who may ask");
            let callers = list.and_then(|list| read_callers(list, certificates, &faults));
            root.finish();
            callers
        });
        faults.into_result(callers).map(|(callers, _)| Self { callers })
    }

    /// Returns the caller whose token this is.
    pub(crate) fn by_token(&self, token: &str) -> Option<&Arc<Caller>> {
        if !(TOKEN_BYTES_MIN..=TOKEN_BYTES_MAX).contains(&token.len()) {
            return None;
        }
        let given = digest(&SHA256, token.as_bytes());
        let is_given = |caller: &Arc<Caller>| {
            let KnownBy::Token(known) = &caller.known_by else { return false };
            verify_slices_are_equal(known, given.as_ref()).is_ok()
        };
        // No early end: how long it takes does not say at which line of the file it was found.
        self.callers.iter().fold(None, |found, caller| if is_given(caller) { Some(caller) } else { found })
    }

    /// Returns the caller whose certificate has one of these names.
    pub(crate) fn by_certificate(&self, names: &[String]) -> Option<&Arc<Caller>> {
        let is_named = |caller: &&Arc<Caller>| match &caller.known_by {
            KnownBy::Certificate(name) => names.contains(name),
            KnownBy::Token(_) => false,
        };
        self.callers.iter().find(is_named)
    }
}

/// Whether callers can show a certificate at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Certificates {
    /// `api.tls.client_ca` says whose.
    Checked,
    /// There is no `api.tls.client_ca`.
    Unchecked,
}

fn read_callers(list: &Node, certificates: Certificates, faults: &Faults) -> Option<Vec<Arc<Caller>>> {
    let (mut names, mut credentials) = (HashSet::new(), HashSet::new());
    let mut callers = Vec::new();
    for node in list.array(faults)? {
        let table = node.table(faults)?;
        let mut section = Section::new(table, faults);
        let caller = read_caller(&mut section, certificates);
        section.finish();
        let Some(caller) = caller else { continue };
        if !names.insert(Arc::clone(&caller.name)) || !credentials.insert(caller.known_by.clone()) {
            let message = "another caller has this name, token or certificate";
            faults.add(Diagnostic::error(&table.place, "duplicate_caller", message));
        }
        callers.push(Arc::new(caller));
    }
    Some(callers)
}

fn read_caller(section: &mut Section<'_>, certificates: Certificates) -> Option<Caller> {
    let faults = section.faults();
    let name = section.need_text("name", "a name of its own").map(|(name, _)| name.into());
    let role = section.need_text("role", "\"subject-agent\", \"operator\" or \"auditor\"").and_then(|(word, place)| {
        let role = Role::ALL.into_iter().find(|role| role.name() == word);
        role.or_else(|| wrong(faults, place, "expected \"subject-agent\", \"operator\" or \"auditor\""))
    });
    let known_by = read_credential(section, certificates);
    let tenants = section.need("tenants", "the tenants that it acts for, or [\"*\"]").and_then(|node| {
        let texts = node.texts(faults)?;
        let is_sound = |tenant: &str| tenant == EVERY_TENANT || tenant_name_is_sound(tenant);
        if texts.is_empty() || !texts.iter().all(|(tenant, _)| is_sound(tenant)) {
            return wrong(faults, &node.place, "expected names of tenants, at least one, or \"*\"");
        }
        Some(texts.into_iter().map(|(tenant, _)| tenant.to_owned()).collect())
    });
    let rate = section.take("rate").map_or(Some(RATE), |node| node.whole_in(1..=RATE_MAX, faults));
    let burst = section.take("burst").map_or(Some(BURST), |node| node.whole_in(1..=RATE_MAX, faults));
    let pace = Pace::new(burst?.into(), Duration::from_secs(1) / rate?);
    Some(Caller { name: name?, role: role?, bucket: Bucket::new(pace), known_by: known_by?, tenants: tenants? })
}

fn read_credential(section: &mut Section<'_>, certificates: Certificates) -> Option<KnownBy> {
    let faults = section.faults();
    match (section.text("sha256"), section.text("certificate")) {
        (Some((hex, place)), None) => {
            let digest = digest_of_hex(hex).map(KnownBy::Token);
            digest.or_else(|| wrong(faults, place, "expected the SHA-256 of a token, 64 hexadecimal digits"))
        }
        (None, Some((_, place))) if certificates == Certificates::Unchecked => {
            wrong(faults, place, "no certificate is checked: `api.tls.client_ca` says whose are to be believed")
        }
        (None, Some((name, place))) => {
            let name = (!name.trim().is_empty()).then(|| KnownBy::Certificate(name.to_owned()));
            name.or_else(|| wrong(faults, place, "expected a URI or DNS name of the client's certificate"))
        }
        (None, None) | (Some(_), Some(_)) => {
            wrong(faults, section.place(), "expected one of `sha256` and `certificate`")
        }
    }
}

fn wrong<T>(faults: &Faults, place: &Place, message: &str) -> Option<T> {
    faults.add(Diagnostic::error(place, "value", message));
    None
}

fn digest_of_hex(hex: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    let digits = hex.as_bytes().as_chunks::<2>();
    if digits.0.len() != bytes.len() || !digits.1.is_empty() {
        return None;
    }
    for (byte, [high, low]) in bytes.iter_mut().zip(digits.0) {
        let digit = |digit: &u8| char::from(*digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        *byte = digit(high)? << 4 | digit(low)?;
    }
    Some(bytes)
}

const EVERY_TENANT: &str = "*";
/// 128 bits in base64url; in hexadecimal digits they are longer.
const TOKEN_BYTES_MIN: usize = 22;
const TOKEN_BYTES_MAX: usize = 512;
/// A service that shows a page to people asks less; a flood asks more.
const RATE: u32 = 20;
const BURST: u32 = 40;
const RATE_MAX: u32 = 100_000;

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    const TOKEN: &str = "a-token-of-more-than-128-bits";

    /// Returns the token of a caller of the tests.
    pub(crate) fn token(name: &str) -> String {
        format!("{TOKEN}-of-{name}")
    }

    /// Returns the lines of a caller who has that token.
    pub(crate) fn caller(name: &str, role: &str, tenants: &str) -> String {
        let sha256 = sha256(&token(name));
        format!("[[caller]]\nname = \"{name}\"\nrole = \"{role}\"\nsha256 = \"{sha256}\"\ntenants = {tenants}\n")
    }

    fn read(text: &str, certificates: Certificates) -> Result<Access, String> {
        Access::read(Path::new("tokens.toml"), text, certificates)
            .map_err(|report| report.diagnostics.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    }

    fn sha256(token: &str) -> String {
        let digits =
            |byte: &u8| [byte >> 4, byte & 15].map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)]));
        digest(&SHA256, token.as_bytes()).as_ref().iter().flat_map(digits).collect()
    }

    #[test]
    fn caller_is_known_by_token_or_certificate_and_nothing_else() {
        let text = format!(
            "[[caller]]\nname = \"a\"\nrole = \"auditor\"\nsha256 = \"{}\"\ntenants = [\"acme\"]\n\
             [[caller]]\nname = \"b\"\nrole = \"operator\"\ncertificate = \"spiffe://x/b\"\ntenants = [\"*\"]\n",
            sha256(TOKEN)
        );
        let access = read(&text, Certificates::Checked).unwrap();
        let name = |caller: Option<&Arc<Caller>>| caller.map(|caller| caller.name.to_string());
        assert_eq!(name(access.by_token(TOKEN)).as_deref(), Some("a"));
        for other in ["", "a-token-of-more-than-128-bitz", "spiffe://x/b", &sha256(TOKEN)] {
            assert_eq!(name(access.by_token(other)), None, "{other}");
        }
        assert_eq!(name(access.by_certificate(&["x".into(), "spiffe://x/b".into()])).as_deref(), Some("b"));
        assert_eq!(name(access.by_certificate(&[TOKEN.into(), "a".into()])), None);
        let (a, b) = (&access.callers[0], &access.callers[1]);
        assert!(a.acts_for("acme") && !a.acts_for("acme2") && !a.acts_for("*") && b.acts_for("acme2"));
    }

    /// A short token could be guessed, so it is refused even if somebody put its hash into the file.
    #[test]
    fn short_token_is_refused() {
        let text = format!(
            "[[caller]]\nname = \"a\"\nrole = \"auditor\"\nsha256 = \"{}\"\ntenants = [\"acme\"]\n",
            sha256("21-characters-of-text")
        );
        assert!(read(&text, Certificates::Unchecked).unwrap().by_token("21-characters-of-text").is_none());
    }

    #[test]
    fn faults_are_told_at_once() {
        let text = "[[caller]]\nname = \"a\"\nrole = \"root\"\nsha256 = \"12\"\ntenants = []\nrate = 0\n\
                    [[caller]]\nname = \"b\"\nrole = \"auditor\"\ncertificate = \"x\"\ntenants = [\"*\"]\ncolour = 1\n";
        let faults = read(text, Certificates::Unchecked).unwrap_err();
        for part in ["subject-agent", "SHA-256", "names of tenants", "lie from 1", "client_ca", "`colour`"] {
            assert!(faults.contains(part), "{part}:\n{faults}");
        }
    }
}
