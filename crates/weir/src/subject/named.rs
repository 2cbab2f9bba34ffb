//! Who is meant: one person on the command line, or many in a file, all checked before anything is done.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use weir_consent::LineFault;
use weir_daemon::rights::Subject;
use weir_keys::KeySet;

use crate::consent::Hidden;
use crate::exit::{Exit, Failure, OrExit as _};
use crate::validate;

/// One person, by all their names.
#[derive(Debug, clap::Args)]
pub(super) struct Named {
    /// The tenant.
    #[arg(long, value_name = "TENANT", allow_hyphen_values = true)]
    tenant: Option<String>,
    /// The kind of an identifier, as contracts name it; once for each `--id`, in the same order.
    #[arg(long = "kind", value_name = "KIND")]
    kinds: Vec<String>,
    /// An identifier of the person, in any spelling.
    #[arg(long = "id", value_name = "ID", allow_hyphen_values = true)]
    ids: Vec<Hidden>,
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

/// One person, or many at once.
#[derive(Debug, clap::Args)]
pub(super) struct People {
    #[command(flatten)]
    named: Named,
    /// Many people at once, one JSON object a line: `{"tenant":"acme","ids":[{"kind":"user","id":"u-81"}]}`; `-` is standard input.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["tenant", "kinds", "ids"])]
    batch: Option<PathBuf>,
}

impl People {
    /// Returns whom the command line names, or the file.
    ///
    /// # Errors
    /// When one of them cannot be anybody, or the file not be read.
    pub(super) fn subjects(&self, keys: &KeySet) -> Result<Vec<Subject>, Failure> {
        match &self.batch {
            Some(file) => read(file, keys),
            None => Ok(vec![self.named.subject(keys)?]),
        }
    }
}

/// Reads many people from a file, one a line; `-` is standard input.
fn read(file: &Path, keys: &KeySet) -> Result<Vec<Subject>, Failure> {
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
        match Subject::of_json(line, keys) {
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

/// Faults that are listed; the rest is counted.
const LISTED_MAX: usize = 100;
