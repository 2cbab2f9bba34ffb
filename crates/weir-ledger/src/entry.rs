//! What the ledger is told, one kind of entry each.
//!
//! `kind` names the variant and `body` is its content. A reader passes over kinds that it does not know: the chain holds
//! whatever they say.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::exposures::Exposures;

/// One thing that the ledger is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entry {
    /// Somebody takes a copy of what is kept about a person.
    Access {
        /// SHA-256 of its `data.json`, in hex.
        digest: String,
    },
    /// Versions of the coverage, and the files that they made count.
    Commit(Commit),
    /// Somebody who answers for the lake decided something.
    Decision(Decision),
    /// What was kept about people was erased.
    Erasure {
        /// SHA-256 of each receipt, in hex; the receipts are kept where they may be.
        digests: Vec<String>,
    },
    /// Somebody read tables through the gate.
    Gate(Session),
    /// Which secrets the ring has.
    Keys(Keys),
    /// The first entry.
    Opened(Opened),
    /// A policy came into force.
    Policy(PolicyInForce),
    /// Consent receipts were made out.
    Receipts {
        /// SHA-256 of each, in hex.
        digests: Vec<String>,
    },
    /// What was kept about people was set aside, or came back.
    Restriction {
        /// SHA-256 of each receipt, in hex.
        digests: Vec<String>,
    },
}

/// Versions of the coverage, and the files that they made count.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    /// In order, each exactly once in the whole ledger.
    pub coverage: Vec<CoverageVersion>,
}

/// One version of the coverage.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CoverageVersion {
    /// Its number in the log of `_coverage`.
    pub version: u64,
    /// SHA-256 of the log's file, in hex.
    pub sha256: String,
    /// The files that count from here on, over all tables.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub added: Vec<DataFile>,
    /// The paths of files whose time was over.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expired: Vec<String>,
    /// The files whose places others took, without the rows of people who asked for it; as they were found.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replaced: Vec<DataFile>,
}

/// A data file, as it was written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DataFile {
    /// The path below the region's folder.
    pub path: String,
    /// SHA-256 in hex.
    pub sha256: String,
    /// Its length.
    pub bytes: u64,
}

/// Somebody read tables through the gate: an hour of one grant, from its first request on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Session {
    /// It began; told before the first byte is given.
    Opened {
        /// Who, as `purposes.toml` names them.
        recipient: String,
        /// For what.
        purposes: Vec<String>,
    },
    /// It is over.
    Closed {
        /// Who, as `purposes.toml` names them.
        recipient: String,
        /// For what.
        purposes: Vec<String>,
        /// Requests, rounded up to a power of two.
        requests: u64,
        /// Bytes of objects, rounded up to a power of two.
        bytes: u64,
    },
}

/// Which secrets the ring has; tenants are a number, not names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keys {
    /// The epochs that have one now.
    pub epochs: Epochs,
    /// How many tenants have one now.
    pub tenants: u64,
    /// The epochs that had none when the ledger was told before.
    pub made: Epochs,
    /// The epochs whose secret is gone since.
    pub destroyed: Epochs,
}

/// Numbers of epochs by purpose.
pub type Epochs = BTreeMap<String, Vec<i32>>;

/// The first entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opened {
    /// The version of this format.
    pub format: u32,
    /// The public key that signs every head, as a JSON Web Key.
    pub key: serde_json::Value,
}

/// A policy came into force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyInForce {
    /// Who goes by it: a daemon and a run over files may go by different ones at the same time.
    pub by: Collector,
    /// The hash that names it, in hex.
    pub hash: String,
    /// What it lets into the lake.
    pub exposes: Exposures,
}

/// Who collects events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Collector {
    /// `weir filter`.
    Filter,
    /// `weir run`.
    Run,
}

impl Collector {
    /// Returns the kind of entry that says by which policy it goes.
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Filter => "policy.filter",
            Self::Run => "policy.run",
        }
    }
}

/// Somebody who answers for the lake decided something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Decision {
    /// Records that the broker no longer had are lost.
    AcceptGap {
        /// How many offsets.
        lost: u64,
    },
    /// Older events go through a policy that exposes more than the one under which they were collected.
    Backfill {
        /// Where the decision stands, in the words of whoever took it.
        reference: String,
        /// SHA-256 of the input, in hex; of its name where it can be read only once.
        input: String,
        /// The policy's hash.
        policy: String,
        /// What was not exposed then and is now.
        exposes: Exposures,
    },
    /// A secret of the ring is destroyed before its time, or an old version of the store's keys.
    DestroySecret {
        /// The purpose and epoch, the keyed hash that stands for a tenant, the version of the store's keys, or `sealing/` and the name of a
        /// key that producers seal to.
        secret: String,
    },
    /// Topics may keep raw records for longer than an erasure may take; an empty list takes it back.
    LongerRetention {
        /// Each with the option that keeps them, in words.
        topics: Vec<String>,
    },
    /// Somebody takes the keys of a table's files.
    ReaderKeys {
        /// The table's name.
        table: String,
    },
    /// The files of the ring are wrapped anew by the newest versions of their keys in the vault.
    RewrapRing,
    /// The store's own keys are wrapped anew by the newest versions of their keys in the vault.
    RewrapStore,
    /// The keys of the ring in the vault get new versions.
    RotateRing,
    /// Producers get another key to seal to.
    RotateSealing,
    /// The store's own keys get a new version, which seals new objects.
    RotateStore,
    /// Tables are left alone; an empty list takes it back.
    Skip {
        /// Their names.
        tables: Vec<String>,
    },
    /// The lake belongs to another consumer group.
    TakeOver,
    /// Files that readers may still need are removed.
    Vacuum {
        /// How long they had been of no use, at least.
        older_than_ms: i64,
    },
    /// The ring, which lay in clear, was moved into a vault.
    WrapRing,
    /// The store's own keys, which lay in clear, were moved into a vault.
    WrapStore,
}
