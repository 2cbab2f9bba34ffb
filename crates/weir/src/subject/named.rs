//! Who is meant: one person on the command line, or many in a file, all checked before anything is done.

use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, anyhow};
use serde::Deserialize;
use weir_consent::{InboxFault, InboxRecord, LineFault, StateKey, pseudonym};
use weir_keys::KeySet;
use weir_lake::Person;
use weir_policy::PurposeId;

use crate::consent::Hidden;
use crate::exit::{Exit, Failure, OrExit as _};
use crate::validate;

/// One person, by all their names.
#[derive(Debug, clap::Args)]
pub(super) struct Named {
    /// The tenant.
    #[arg(long, value_name = "TENANT")]
    tenant: Option<String>,
    /// The kind of an identifier, as contracts name it; once for each `--id`, in the same order.
    #[arg(long = "kind", value_name = "KIND")]
    kinds: Vec<String>,
    /// An identifier of the person, in any spelling.
    #[arg(long = "id", value_name = "ID")]
    ids: Vec<Hidden>,
}

/// One person, checked.
pub(super) struct Subject {
    tenant: String,
    /// Kind and identifier.
    names: Vec<(String, String)>,
}

impl Named {
    /// Returns whom the command line names.
    ///
    /// # Errors
    /// When it names nobody, or a name cannot be one; which is said, never what it was.
    pub(super) fn subject(&self, keys: &KeySet) -> Result<Subject, Failure> {
        let usage = |why: &'static str| Failure::new(Exit::Usage, anyhow!(why));
        let tenant = self.tenant.clone().ok_or_else(|| usage("name a tenant with --tenant"))?;
        if self.ids.is_empty() || self.ids.len() != self.kinds.len() {
            return Err(usage("name the person with --kind and --id, as many of one as of the other"));
        }
        let names = self.kinds.iter().cloned().zip(self.ids.iter().map(|id| id.0.clone())).collect();
        Subject::checked(tenant, names, keys).map_err(|fault| Failure::new(Exit::Usage, fault))
    }
}

impl Subject {
    fn checked(tenant: String, names: Vec<(String, String)>, keys: &KeySet) -> Result<Self, InboxFault> {
        for (kind, id) in &names {
            StateKey::of_person(keys, (&tenant, kind, id), PurposeId::Troubleshooting)?;
        }
        Ok(Self { tenant, names })
    }

    /// Reads many people from a file, one a line; `-` is standard input.
    ///
    /// # Errors
    /// When it cannot be read, or with each line that names nobody.
    pub(super) fn read(file: &Path, keys: &KeySet) -> Result<Vec<Self>, Failure> {
        let mut text = Vec::new();
        let read = if file == Path::new("-") {
            std::io::stdin().lock().read_to_end(&mut text).map(drop)
        } else {
            std::fs::read(file).map(|read| text = read)
        };
        read.with_context(|| format!("cannot read {}", file.display())).or_exit(Exit::NoInput)?;
        let (mut subjects, mut faults) = (Vec::new(), Vec::new());
        for (line, number) in text.split(|byte| *byte == b'\n').zip(1..) {
            let line = line.trim_ascii();
            if line.is_empty() {
                continue;
            }
            match Self::of_line(line, keys) {
                Ok(subject) => subjects.push(subject),
                Err(fault) => faults.push(LineFault { line: number, fault }),
            }
        }
        if faults.is_empty() {
            return Ok(subjects);
        }
        let count = u64::try_from(faults.len()).unwrap_or(u64::MAX);
        faults.truncate(LISTED_MAX);
        let listed = validate::line_faults(file, &faults, count);
        Err(Failure::new(Exit::Data, anyhow!("nothing was done\n{listed}")))
    }

    fn of_line(line: &[u8], keys: &KeySet) -> Result<Self, InboxFault> {
        // The error of serde_json quotes its input.
        let Line { tenant, ids } = serde_json::from_slice(line).ok().ok_or(InboxFault::Json)?;
        if ids.is_empty() {
            return Err(InboxFault::Subject);
        }
        let name = |Name { kind, id }: Name| match id {
            serde_json::Value::String(id) => Ok((kind, id)),
            serde_json::Value::Number(id) if id.is_i64() || id.is_u64() => Ok((kind, id.to_string())),
            serde_json::Value::Null
            | serde_json::Value::Bool(_)
            | serde_json::Value::Number(_)
            | serde_json::Value::Array(_)
            | serde_json::Value::Object(_) => Err(InboxFault::Subject),
        };
        Self::checked(tenant, ids.into_iter().map(name).collect::<Result<_, _>>()?, keys)
    }

    /// Returns the records of the inbox that keep anything from before an instant out, for every name.
    ///
    /// # Errors
    /// A name cannot be one.
    pub(super) fn erasures(&self, before_ms: i64) -> Result<Vec<InboxRecord>, InboxFault> {
        self.names.iter().map(|(kind, id)| InboxRecord::erasure(&self.tenant, kind, id, before_ms)).collect()
    }

    /// Returns the person as the lake looks for them.
    pub(super) fn person(&self) -> Person {
        self.names.iter().fold(Person::of(&self.tenant), |person, (kind, id)| person.named(kind, id))
    }

    /// Returns the person's pseudonyms in the consent domain, one a name, as receipts have them.
    pub(super) fn pseudonyms(&self, keys: &KeySet) -> Vec<String> {
        let key = |(kind, id): &(String, String)| {
            StateKey::of_person(keys, (&self.tenant, kind, id), PurposeId::Troubleshooting)
        };
        let people = self.names.iter().map(key).filter_map(|key| match key {
            Ok(StateKey::Choice { person, .. } | StateKey::Erasure { person }) => Some(pseudonym(person)),
            Ok(StateKey::Agreement { .. }) | Err(_) => None,
        });
        people.collect()
    }
}

/// A line of a batch.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    tenant: String,
    ids: Vec<Name>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Name {
    kind: String,
    /// Text or a whole number, which equals its decimal text.
    id: serde_json::Value,
}

/// Faults that are listed; the rest is counted.
const LISTED_MAX: usize = 100;
