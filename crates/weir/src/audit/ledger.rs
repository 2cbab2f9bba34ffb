//! `weir audit --ledger`: the offline proof that nobody changed the lake behind the ledger's back.
//!
//! It ends with 0, or with 65 and a name for each thing that must not be. It prints the newest head: kept where the lake and
//! the key ring are not, it shows next time that neither was set back since.

use std::fmt;

use serde_json::json;
use weir_daemon::Config;
use weir_lake::{LedgerDiscrepancy, LedgerReport};
use weir_ledger::Head;

use crate::exit::{Exit, Failure, OrExit as _};
use crate::setup;
use crate::table::Table;

/// What an audit of the ledger found.
pub(crate) struct LedgerFindings(pub(crate) LedgerReport);

/// Audits the ledger, against the head that the ring keeps and one that is named: a file, or the head itself.
///
/// # Errors
/// When lake or ledger cannot be read far enough to tell.
pub(crate) fn audit(config: &Config, contents: bool, head: Option<&str>) -> Result<LedgerFindings, Failure> {
    let kept = match head {
        Some(head) => vec![read(head)?],
        None => Vec::new(),
    };
    let report = setup::lake(config)?.audit_ledger(contents, &kept).map_err(setup::lake_failure)?;
    Ok(LedgerFindings(report))
}

/// Reads a head and says where it was kept.
fn read(head: &str) -> Result<(String, String), Failure> {
    let is_jws = head.split('.').count() == 3 && !head.contains('/') && head.starts_with("ey");
    if is_jws {
        return Ok(("the command line".to_owned(), head.to_owned()));
    }
    Ok((head.to_owned(), std::fs::read_to_string(head).or_exit(Exit::NoInput)?))
}

impl LedgerFindings {
    pub(crate) fn is_sound(&self) -> bool {
        self.0.is_sound()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        let LedgerReport { discrepancies, entries, times, head, files, waiting } = &self.0;
        let discrepancy = |one: &LedgerDiscrepancy| json!({ "name": one.name(), "what": one.to_string() });
        let show = |head: &Head| {
            let Head { seq, at, entry, sha256, jws } = head;
            json!({ "seq": seq, "at": at, "entry": entry, "sha256": sha256, "jws": jws })
        };
        json!({
            "sound": self.is_sound(),
            "discrepancies": discrepancies.iter().map(discrepancy).collect::<Vec<_>>(),
            "entries": entries,
            "first_at": times.as_ref().map(|(first, _)| first),
            "last_at": times.as_ref().map(|(_, last)| last),
            "files": files,
            "waiting": waiting,
            "head": head.as_ref().map(show),
        })
    }
}

impl fmt::Display for LedgerFindings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let report = &self.0;
        let mut kinds = Table::new(["entries", "kind"]);
        for (kind, entries) in &report.entries {
            kinds.push([entries.to_string(), kind.clone()]);
        }
        writeln!(f, "{kinds}")?;
        if let Some((first, last)) = &report.times {
            writeln!(f, "from {first} to {last}")?;
        }
        writeln!(f, "{} files are in the ledger and in the lake", report.files)?;
        if report.waiting > 0 {
            writeln!(f, "{} versions of _coverage wait: the next commit or start tells the ledger", report.waiting)?;
        }
        if let Some(head) = &report.head {
            writeln!(f, "head, to be kept where lake and key ring are not: entry {}\n{}", head.seq, head.jws)?;
        }
        for discrepancy in &report.discrepancies {
            writeln!(f, "DISCREPANCY {}: {discrepancy}", discrepancy.name())?;
        }
        f.write_str(if report.is_sound() { "the ledger is sound\n" } else { "the ledger is NOT sound\n" })
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;
    use std::path::Path;

    use weir_ledger::Fault;

    use super::*;

    fn report() -> LedgerReport {
        let entries = [("commit", 2), ("opened", 1), ("policy.run", 1)];
        let head = Head {
            seq: 3,
            at: "2026-11-28T22:15:00Z".to_owned(),
            entry: "2026-11-28/00000000000000000003.json".to_owned(),
            sha256: "00ff".to_owned(),
            jws: "eyJh.eyJz.c2ln".to_owned(),
        };
        LedgerReport {
            entries: entries.map(|(kind, count)| (kind.to_owned(), count)).into(),
            times: Some(("2026-11-28T22:00:00Z".to_owned(), head.at.clone())),
            head: Some(head),
            files: 8,
            ..LedgerReport::default()
        }
    }

    /// One of each: the names and words are what people search for and programs match.
    fn broken() -> LedgerReport {
        let entry = || "2026-11-28/00000000000000000002.json".to_owned();
        let path = || "reliability/a/date=2026-11-28/b.parquet".to_owned();
        let (kept, at) = ("the key ring".to_owned(), "2026-11-28T22:15:00Z".to_owned());
        let faults = [
            Fault::Changed { entry: entry() },
            Fault::Cut { from: 1, to: 3 },
            Fault::Forged { entry: entry() },
            Fault::ForgedHead { kept: "letter.jws".to_owned() },
            Fault::Misplaced { entry: entry() },
            Fault::RolledBack { kept, seq: 9, at },
            Fault::Stray { path: "note.txt".to_owned() },
            Fault::Unchained { entry: entry() },
        ];
        let discrepancies = faults.into_iter().map(LedgerDiscrepancy::Chain).chain([
            LedgerDiscrepancy::ChangedFile { path: path() },
            LedgerDiscrepancy::ChangedVersion { version: 4 },
            LedgerDiscrepancy::ForeignCommit { table: "reliability/a".parse().unwrap(), version: 5 },
            LedgerDiscrepancy::MissingFile { path: path() },
            LedgerDiscrepancy::MissingVersions { from: 6, to: 7 },
            LedgerDiscrepancy::ToldTwice { version: 3 },
            LedgerDiscrepancy::UnlistedFile { path: path() },
            LedgerDiscrepancy::UntoldFile { path: path() },
            LedgerDiscrepancy::UntoldVersion { version: 2 },
        ]);
        LedgerReport { discrepancies: discrepancies.collect(), waiting: 1, ..report() }
    }

    #[test]
    fn findings_are_printed_as_they_were() {
        let mut page = String::new();
        for report in [report(), broken()] {
            let findings = LedgerFindings(report);
            writeln!(page, "{findings}\n{}\n", serde_json::to_string_pretty(&findings.json()).unwrap()).unwrap();
        }
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/audit/ledger.txt");
        if std::env::var_os("WEIR_BLESS").is_some() {
            std::fs::write(&golden, &page).unwrap();
        }
        assert_eq!(std::fs::read_to_string(golden).unwrap(), page, "run with WEIR_BLESS=1 to rewrite");
    }
}
