//! Who may read, for which purposes and until when: the grants file.
//!
//! ```toml
//! [[grant]]
//! recipient  = "site-reliability"          # as purposes.toml names them
//! access_key = "SITERELIABILITY01"         # no secret: it says whose secret signs
//! secret     = "site-reliability.secret"   # a file that only its owner may read
//! purposes   = ["reliability"]
//! until      = 2027-06-30                  # the last day, in UTC
//! ```
//! A grant that names somebody whom `purposes.toml` does not name as a recipient of each of its purposes is a fault: the register
//! says who may have what, this file only gives them a key for it.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use s3s::auth::SecretKey;
use weir_daemon::private_file;
use weir_policy::diagnostic::{Diagnostic, Faults, Place, Report, Source};
use weir_policy::reader::{Node, Section, parse};
use weir_policy::{PurposeId, PurposeSet, Purposes};

/// Everybody who may read.
#[derive(Default)]
pub(crate) struct Grants(Vec<Arc<Grant>>);

/// What one key opens.
pub(crate) struct Grant {
    pub(crate) recipient: String,
    pub(crate) access_key: String,
    pub(crate) purposes: PurposeSet,
    secret: SecretKey,
    /// The first instant at which it is over.
    until_ms: i64,
    is_withdrawn: AtomicBool,
}

impl Grant {
    /// Tells whether it holds, in this very moment.
    pub(crate) fn stands(&self, now_ms: i64) -> bool {
        now_ms < self.until_ms && !self.is_withdrawn.load(Ordering::Acquire)
    }

    pub(crate) fn secret(&self) -> &SecretKey {
        &self.secret
    }

    /// The names of its purposes, for the ledger.
    pub(crate) fn purpose_names(&self) -> Vec<String> {
        self.purposes.iter().map(|purpose| purpose.name().to_owned()).collect()
    }

    fn is_same(&self, other: &Self) -> bool {
        self.recipient == other.recipient
            && self.purposes == other.purposes
            && self.until_ms == other.until_ms
            && self.has_key(&other.access_key)
            && self.has_secret(&other.secret)
    }

    fn has_key(&self, access_key: &str) -> bool {
        verify_slices_are_equal(self.access_key.as_bytes(), access_key.as_bytes()).is_ok()
    }

    fn has_secret(&self, secret: &SecretKey) -> bool {
        verify_slices_are_equal(self.secret.expose().as_bytes(), secret.expose().as_bytes()).is_ok()
    }
}

impl Grants {
    /// Reads a grants file's text, and the secrets that it names.
    ///
    /// # Errors
    /// All faults at once, each with its place.
    pub(crate) fn read(file: &Path, text: &str, purposes: &Purposes) -> Result<Self, Report> {
        let faults = Faults::default();
        let grants = parse(&Source::new(file, text), &faults).and_then(|root| {
            let mut root = Section::new(&root, &faults);
            let list = root.take("grant").map_or(Some(Vec::new()), |list| read_all(list, purposes, &faults));
            root.finish();
            list
        });
        faults.into_result(grants).map(|(grants, _)| Self(grants))
    }

    /// Returns the grant of an access key.
    pub(crate) fn by_key(&self, access_key: &str) -> Option<&Arc<Grant>> {
        // No early end: how long it takes does not say at which line of the file it was found.
        self.0.iter().fold(None, |found, grant| if grant.has_key(access_key) { Some(grant) } else { found })
    }

    /// Returns the grant of a key whose secret has signed, as it was when that was checked.
    pub(crate) fn by_signature(&self, access_key: &str, secret: &SecretKey) -> Option<&Arc<Grant>> {
        self.by_key(access_key).filter(|grant| grant.has_secret(secret))
    }

    /// Takes the place of the grants before: those that changed or are missing end at once, those that did not go on as they are.
    pub(crate) fn replace(mut self, before: &Self) -> Self {
        for grant in &mut self.0 {
            if let Some(same) = before.0.iter().find(|old| old.is_same(grant)) {
                *grant = Arc::clone(same);
            }
        }
        for old in &before.0 {
            if !self.0.iter().any(|grant| Arc::ptr_eq(grant, old)) {
                old.is_withdrawn.store(true, Ordering::Release);
            }
        }
        self
    }
}

fn read_all(list: &Node, purposes: &Purposes, faults: &Faults) -> Option<Vec<Arc<Grant>>> {
    let (mut keys, mut grants) = (HashSet::new(), Vec::new());
    for node in list.array(faults)? {
        let table = node.table(faults)?;
        let mut section = Section::new(table, faults);
        let grant = read_grant(&mut section, purposes);
        section.finish();
        let Some(grant) = grant else { continue };
        if !keys.insert(grant.access_key.clone()) {
            faults.add(Diagnostic::error(&table.place, "duplicate_grant", "another grant has this access key"));
        }
        grants.push(Arc::new(grant));
    }
    Some(grants)
}

fn read_grant(section: &mut Section<'_>, rules: &Purposes) -> Option<Grant> {
    let faults = section.faults();
    let recipient = section.need_text("recipient", "who reads, as `recipients` in purposes.toml names them");
    let access_key = section.need_text("access_key", "a word that says whose secret signs").and_then(|(key, place)| {
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        let is_key = (KEY_MIN..=KEY_MAX).contains(&key.len()) && key.bytes().all(is_word);
        let wants = "expected 8 to 128 letters, digits, `-` and `_`";
        is_key.then(|| key.to_owned()).or_else(|| wrong(faults, place, wants))
    });
    let secret = section.need_text("secret", "a file that holds the secret").and_then(|(file, place)| {
        let file = place.file().parent().unwrap_or(Path::new("")).join(file);
        let text = match private_file(&file) {
            Ok(text) => text,
            Err(fault) => return wrong(faults, place, &chain(&fault)),
        };
        let secret = text.trim();
        let is_secret =
            (SECRET_MIN..=KEY_MAX).contains(&secret.len()) && secret.bytes().all(|byte| byte.is_ascii_graphic());
        let wants = "the file does not hold 32 to 128 characters without spaces, made by chance";
        is_secret.then(|| SecretKey::from(secret)).or_else(|| wrong(faults, place, wants))
    });
    let purposes = section.need("purposes", "what they may read the tables of");
    let purposes = purposes.and_then(|list| read_purposes(list, recipient.map(|(name, _)| name), rules, faults));
    let until = section.need("until", "the last day, such as 2027-06-30").and_then(|node| node.day(faults));
    Some(Grant {
        recipient: recipient?.0.to_owned(),
        access_key: access_key?,
        purposes: purposes?,
        secret: secret?,
        until_ms: (i64::from(until?) + 1) * DAY_MS,
        is_withdrawn: AtomicBool::new(false),
    })
}

fn read_purposes(list: &Node, recipient: Option<&str>, rules: &Purposes, faults: &Faults) -> Option<PurposeSet> {
    let texts = list.texts(faults)?;
    if texts.is_empty() {
        return wrong(faults, &list.place, "expected the name of a purpose, at least one");
    }
    let read = texts.into_iter().map(|(name, place)| {
        let Some(purpose) = PurposeId::parse(name) else {
            return wrong(faults, place, "expected \"troubleshooting\", \"reliability\" or \"personalization\"");
        };
        if recipient.is_some_and(|recipient| !rules.rules(purpose).recipients.iter().any(|named| named == recipient)) {
            let fault = Diagnostic::error(place, "not_a_recipient", "purposes.toml does not name this recipient here");
            faults.add(fault.hint(format!("add it to `recipients` of [{name}], if that was decided")));
            return None;
        }
        Some(purpose)
    });
    read.collect::<Vec<_>>().into_iter().collect::<Option<Vec<_>>>().map(|purposes| purposes.into_iter().collect())
}

fn wrong<T>(faults: &Faults, place: &Place, message: &str) -> Option<T> {
    faults.add(Diagnostic::error(place, "value", message));
    None
}

/// Says what is wrong with a file, and why.
fn chain(fault: &dyn std::error::Error) -> String {
    fault.source().map_or_else(|| fault.to_string(), |cause| format!("{fault}: {cause}"))
}

const DAY_MS: i64 = 86_400_000;
/// A key is no secret, but two letters are somebody's guess for somebody else's.
const KEY_MIN: usize = 8;
const KEY_MAX: usize = 128;
/// 128 bits as hexadecimal digits.
const SECRET_MIN: usize = 32;
