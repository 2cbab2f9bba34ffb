//! Who is named on the command line, and for which purposes.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use weir_consent::{InboxFault, InboxRecord, Standing, StateKey};
use weir_keys::KeySet;
use weir_policy::PurposeId;

/// A person, or with a tenant only, the tenant.
#[derive(Debug, clap::Args)]
pub(super) struct Named {
    /// The tenant; alone, its own agreement is meant.
    #[arg(long, value_name = "TENANT", allow_hyphen_values = true)]
    tenant: String,
    /// The kind of the identifier, as contracts name it.
    #[arg(long, requires = "id", value_name = "KIND")]
    kind: Option<String>,
    /// The person's identifier, in any spelling.
    #[arg(long, requires = "kind", value_name = "ID", allow_hyphen_values = true)]
    id: Option<Hidden>,
}

/// The purposes that are meant.
#[derive(Debug, clap::Args)]
pub(crate) struct Purposes {
    /// The purpose, more than once for several; without it, all three.
    #[arg(long = "purpose", value_name = "PURPOSE", value_parser = PossibleValuesParser::new(PurposeId::ALL.map(PurposeId::name))
        .map(|name| PurposeId::parse(&name).expect("it is a possible value")))]
    listed: Vec<PurposeId>,
}

impl Purposes {
    /// Returns the purposes, each once.
    pub(crate) fn iter(&self) -> impl Iterator<Item = PurposeId> {
        PurposeId::ALL.into_iter().filter(|purpose| self.listed.is_empty() || self.listed.contains(purpose))
    }
}

impl Named {
    /// Returns the person's parts; none if a tenant is named.
    fn person(&self) -> Option<(&str, &str, &str)> {
        Some((&self.tenant, self.kind.as_deref()?, &self.id.as_ref()?.0))
    }

    /// Tells whether a person is named, and not the tenant itself.
    pub(super) fn is_person(&self) -> bool {
        self.person().is_some()
    }

    /// Returns the key under which what stands is known.
    ///
    /// # Errors
    /// A name or the identifier cannot be one.
    pub(super) fn key(&self, keys: &KeySet, purpose: PurposeId) -> Result<StateKey, InboxFault> {
        match self.person() {
            Some(person) => StateKey::of_person(keys, person, purpose),
            None => StateKey::of_tenant(&self.tenant, purpose),
        }
    }

    /// Makes the record of the inbox that says what stands from now on; `regions` are for a tenant.
    ///
    /// # Errors
    /// A name or the identifier cannot be one.
    pub(super) fn record(
        &self,
        purpose: PurposeId,
        standing: Standing,
        regions: Option<&[&str]>,
    ) -> Result<InboxRecord, InboxFault> {
        match self.person() {
            Some((tenant, kind, subject)) => InboxRecord::choice(tenant, kind, subject, purpose, standing),
            None => InboxRecord::agreement(&self.tenant, purpose, standing, regions),
        }
    }
}

/// A text of the command line that nothing prints.
#[derive(Clone)]
pub(crate) struct Hidden(pub(crate) String);

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

impl FromStr for Hidden {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}
