//! Reading all of it: the chain from its first entry, every signature, and every head that somebody kept.
//!
//! One fault does not hide the next: what can be read is read on, and each thing that must not be has a name.

use std::collections::BTreeMap;
use std::fmt;

use crate::entry::Entry;
use crate::head::Head;
use crate::ledger::{Ledger, LedgerError};
use crate::link::{Link, LinkFault};

/// Something that must not be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// An entry's bytes are not those that its head signs, or are none of an entry.
    Changed {
        /// Its path.
        entry: String,
    },
    /// Entries are not there, and later ones are.
    Cut {
        /// The first number.
        from: u64,
        /// The number after the last.
        to: u64,
    },
    /// A head is not signed by the ledger's key.
    Forged {
        /// The path of the entry.
        entry: String,
    },
    /// A head that was kept is none of this ledger's key.
    ForgedHead {
        /// Where it was kept.
        kept: String,
    },
    /// An entry lies where another belongs.
    Misplaced {
        /// Where it lies.
        entry: String,
    },
    /// A head was kept, and the ledger does not contain its entry.
    RolledBack {
        /// Where it was kept.
        kept: String,
        /// The number of the entry.
        seq: u64,
        /// When it was made.
        at: String,
    },
    /// A file that belongs to no chain.
    Stray {
        /// Its path.
        path: String,
    },
    /// An entry names another one before it than the one that is there.
    Unchained {
        /// Its path.
        entry: String,
    },
}

/// An entry that is as it was written.
#[derive(Clone, Debug)]
pub struct Found {
    /// Its path below `_ledger`.
    pub path: String,
    /// When it was made, RFC 3339.
    pub at: String,
    /// Its kind, with a decision's after a dot.
    pub kind: String,
    /// What it says; none if this version of weir does not know the kind.
    pub entry: Option<Entry>,
}

/// What the ledger turned out to be.
#[derive(Clone, Debug, Default)]
pub struct Verified {
    /// The entries that are as they were written, in order.
    pub entries: Vec<Found>,
    /// The newest head.
    pub head: Option<Head>,
    /// What must not be, in the order of the chain; empty if the ledger is sound.
    pub faults: Vec<Fault>,
}

impl Ledger {
    /// Verifies the whole ledger, against the head that the ring keeps and those that are given with where they were kept.
    ///
    /// # Errors
    ///
    /// The folder or the kept head cannot be read.
    pub fn verify(&self, kept: &[(String, String)]) -> Result<Verified, LedgerError> {
        let mut verified = Verified::default();
        let links = self.walk(&mut verified)?;
        let own = self.head_file.read()?.map(|head| ("the key ring".to_owned(), head));
        for (place, jws) in own.iter().chain(kept) {
            verified.faults.extend(self.check_kept(place, jws, &links));
        }
        verified.head = links.values().rev().flatten().next().map(|link| link.head.clone());
        verified.entries = links.into_values().flatten().map(found).collect();
        Ok(verified)
    }

    /// Reads every entry; what stands under a number and is none is `None`.
    fn walk(&self, verified: &mut Verified) -> Result<BTreeMap<u64, Option<Link>>, LedgerError> {
        let mut places: BTreeMap<u64, Vec<String>> = BTreeMap::new();
        for path in self.folder.list()? {
            match number(&path) {
                Some(seq) => places.entry(seq).or_default().push(path),
                None => verified.faults.push(Fault::Stray { path }),
            }
        }
        let mut links: BTreeMap<u64, Option<Link>> = BTreeMap::new();
        for (seq, mut paths) in places {
            let next = links.last_key_value().map_or(0, |(before, _)| before + 1);
            if next < seq {
                verified.faults.push(Fault::Cut { from: next, to: seq });
            }
            let before = links.get(&(seq.wrapping_sub(1))).and_then(Option::as_ref);
            let expected = before.map(Link::next_path);
            let at = paths.iter().position(|path| Some(path) == expected.as_ref()).unwrap_or(0);
            let path = paths.swap_remove(at);
            verified.faults.extend(paths.into_iter().map(|path| Fault::Stray { path }));
            let bytes = self.folder.read(&path)?.unwrap_or_default();
            let link = match Link::read(&path, &bytes, &self.key.public()) {
                Ok(link) => {
                    let previous = before.map(|before| &before.head.sha256);
                    let is_chained = if seq == 0 {
                        link.line.previous.is_none()
                    } else {
                        previous.is_none() || link.line.previous.as_ref() == previous
                    };
                    if !is_chained {
                        verified.faults.push(Fault::Unchained { entry: path });
                    }
                    Some(link)
                }
                Err(fault) => {
                    verified.faults.push(of_link(fault, path));
                    None
                }
            };
            links.insert(seq, link);
        }
        Ok(links)
    }

    fn check_kept(&self, place: &str, jws: &str, links: &BTreeMap<u64, Option<Link>>) -> Option<Fault> {
        let kept = place.to_owned();
        let Ok(head) = Head::read(&self.key.public(), jws) else { return Some(Fault::ForgedHead { kept }) };
        match links.get(&head.seq) {
            Some(Some(link)) if link.head.sha256 == head.sha256 => None,
            // What is wrong with that entry has been said.
            Some(None) => None,
            Some(Some(_)) | None => Some(Fault::RolledBack { kept, seq: head.seq, at: head.at }),
        }
    }
}

impl Fault {
    /// Returns the name of the kind of fault.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Changed { .. } => "changed_entry",
            Self::Cut { .. } => "cut",
            Self::Forged { .. } => "forged_entry",
            Self::ForgedHead { .. } => "forged_head",
            Self::Misplaced { .. } => "misplaced_entry",
            Self::RolledBack { .. } => "rolled_back",
            Self::Stray { .. } => "stray_file",
            Self::Unchained { .. } => "unchained_entry",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Changed { entry } => write!(f, "{entry} is not as its head says"),
            Self::Cut { from, to } => write!(f, "entries {from} to {} are not there", to - 1),
            Self::Forged { entry } => write!(f, "the head of {entry} is not signed by this key ring"),
            Self::ForgedHead { kept } => write!(f, "the head kept in {kept} is not signed by this key ring"),
            Self::Misplaced { entry } => write!(f, "{entry} holds another entry"),
            Self::RolledBack { kept, seq, at } => {
                write!(f, "entry {seq} of {at}, whose head was kept in {kept}, is not there")
            }
            Self::Stray { path } => write!(f, "{path} is no entry of this chain"),
            Self::Unchained { entry } => {
                write!(f, "{entry} follows another entry than the one before it")
            }
        }
    }
}

fn of_link(fault: LinkFault, entry: String) -> Fault {
    match fault {
        LinkFault::Changed | LinkFault::Form => Fault::Changed { entry },
        LinkFault::Forged => Fault::Forged { entry },
        LinkFault::Misplaced => Fault::Misplaced { entry },
    }
}

fn found(link: Link) -> Found {
    let Link { line, entry, head } = link;
    Found { path: head.entry, at: head.at, kind: line.label(), entry }
}

/// Reads the number of an entry from its path.
fn number(path: &str) -> Option<u64> {
    let digits = path.rsplit('/').next()?.strip_suffix(".json")?;
    (digits.len() == 20).then(|| digits.parse().ok())?
}
