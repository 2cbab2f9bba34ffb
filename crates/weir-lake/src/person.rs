//! A person as the lake knows them: by every pseudonym of every name, in all purposes and live epochs.
//!
//! The key of a destroyed epoch is gone, and with it the way from a name to its pseudonyms: such rows belong to nobody, and
//! are past their retention. A pseudonym differs by purpose, epoch, tenant and kind, so what one person's names give is found
//! in that tenant's columns of that kind and nowhere else.

use std::collections::{BTreeSet, HashMap};

use weir_keys::{KeySet, RowsOf, canonical};
use weir_policy::PurposeId;

use crate::lake::LakeError;
use crate::secrets::Secrets;

/// A person of one tenant, with all the names that are known.
#[expect(missing_debug_implementations, reason = "names a person in clear")]
#[derive(Clone)]
pub struct Person {
    tenant: String,
    /// Kind and identifier, in its canonical form.
    names: Vec<(String, String)>,
}

/// Pseudonyms of people who are looked for.
pub(crate) struct Wanted {
    of: HashMap<PurposeId, Pseudonyms>,
    /// How many people there are.
    pub(crate) people: usize,
    /// Marks this request among all requests about people.
    pub(crate) request: String,
}

/// The pseudonyms for one purpose, each with the places of the people who have it.
#[derive(Default)]
pub(crate) struct Pseudonyms {
    of: HashMap<[u8; 16], Vec<usize>>,
    /// The epochs that had a secret when these were made.
    epochs: BTreeSet<RowsOf>,
}

impl Pseudonyms {
    pub(crate) fn is_empty(&self) -> bool {
        self.of.is_empty()
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &[u8; 16]> {
        self.of.keys()
    }

    pub(crate) fn get(&self, pseudonym: &[u8; 16]) -> Option<&Vec<usize>> {
        self.of.get(pseudonym)
    }

    pub(crate) fn contains_key(&self, pseudonym: &[u8; 16]) -> bool {
        self.of.contains_key(pseudonym)
    }

    /// Tells whether the people were given pseudonyms of these rows' epoch.
    pub(crate) fn are_of(&self, rows: RowsOf) -> bool {
        self.epochs.contains(&rows)
    }
}

impl Person {
    /// Names a person of a tenant; without a [name](Self::named) nobody is meant.
    pub fn of(tenant: impl Into<String>) -> Self {
        Self { tenant: tenant.into(), names: Vec::new() }
    }

    /// Adds a name: an identifier of a kind, in any spelling.
    #[must_use]
    pub fn named(mut self, kind: &str, id: &str) -> Self {
        self.names.push((kind.to_owned(), canonical(id).into_owned()));
        self
    }
}

impl Wanted {
    /// Works out the pseudonyms of people.
    ///
    /// # Errors
    /// When the keys are not there for now: nobody would be found.
    pub(crate) fn of(people: &[Person], keys: &KeySet, secrets: &Secrets) -> Result<Self, LakeError> {
        if keys.has_lapsed() {
            return Err(LakeError::KeysLapsed);
        }
        let mut of: HashMap<PurposeId, Pseudonyms> = HashMap::new();
        for (purpose, epoch) in keys.epochs() {
            let pseudonyms = of.entry(purpose).or_default();
            pseudonyms.epochs.insert(RowsOf::Epoch(purpose, epoch));
            for (place, person) in people.iter().enumerate() {
                for (kind, id) in &person.names {
                    let Some(key) = keys.pseudonym_key(purpose, epoch, &person.tenant, kind) else { continue };
                    let places = pseudonyms.of.entry(key.digest(id.as_bytes())).or_default();
                    if places.last() != Some(&place) {
                        places.push(place);
                    }
                }
            }
        }
        let mut names: Vec<[&[u8]; 3]> = Vec::new();
        for person in people {
            for (kind, id) in &person.names {
                names.push([person.tenant.as_bytes(), kind.as_bytes(), id.as_bytes()]);
            }
        }
        names.sort_unstable();
        Ok(Self { of, people: people.len(), request: secrets.request(&names.concat()) })
    }

    /// Returns the pseudonyms for a purpose.
    pub(crate) fn in_purpose(&self, purpose: PurposeId) -> Option<&Pseudonyms> {
        self.of.get(&purpose)
    }
}
