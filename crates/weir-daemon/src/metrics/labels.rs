//! Labels whose values are closed lists.
//!
//! A label value is an enum of ours, the name of a contract or topic that the operator configured, or a partition's
//! number; nothing that an event carries can become one. A contract never stands beside a purpose and a reason: a
//! count of one would tell who.

use std::fmt::{Error, Write as _};
use std::sync::Arc;

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use weir_policy::{DenyReason, MalformedCode, PurposeId};

use crate::health::Obstacle;

/// A closed list whose values have a word each.
pub trait Words: Copy {
    /// Returns the word of this value.
    fn word(self) -> &'static str;
}

/// A label value out of a closed list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Word<T>(pub T);

impl<T: Words> EncodeLabelValue for Word<T> {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), Error> {
        encoder.write_str(self.0.word())
    }
}

impl Words for PurposeId {
    fn word(self) -> &'static str {
        self.name()
    }
}

impl Words for DenyReason {
    fn word(self) -> &'static str {
        self.code()
    }
}

impl Words for MalformedCode {
    fn word(self) -> &'static str {
        self.code()
    }
}

impl Words for Obstacle {
    fn word(self) -> &'static str {
        self.code()
    }
}

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal,)* })*) => { $(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$vdoc])* $variant,)* }

        impl $name {
            /// Every value, in the order of declaration.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];
        }

        impl Words for $name {
            fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }
    )* };
}

words! {
    /// What became of an event, without the reason.
    FateWord {
        /// A rule said no.
        Denied = "denied",
        /// It could not be read, or nothing declares it.
        Quarantined = "quarantined",
        /// It is a row.
        Written = "written",
    }
    /// Why a value of an event that did pass is not in its row.
    FieldFate {
        /// Declared as content.
        Content = "content",
        /// Declared, but not for the purpose.
        NotPermitted = "not_permitted",
        /// A word outside the closed list, stored as `__other__`.
        OtherWord = "other_word",
        /// Outside the declared range, stored as null.
        OutOfRange = "out_of_range",
        /// Not declared.
        Undeclared = "undeclared",
        /// Of another type, stored as null.
        WrongType = "wrong_type",
    }
    /// What closed a batch.
    Closing {
        /// `lake.commit_bytes` of records were read.
        Bytes = "bytes",
        /// Everything up to the end offsets at start was read (`--until-caught-up`).
        CaughtUp = "caught_up",
        /// `lake.commit_interval` passed.
        Interval = "interval",
        /// Half of `lake.memory` was full.
        Memory = "memory",
        /// Partitions were given up.
        Rebalance = "rebalance",
        /// The interrupted batch of a predecessor reached its end.
        Recovery = "recovery",
        /// Contracts or purposes were reloaded.
        Reload = "reload",
        /// `lake.commit_rows` rows were made.
        Rows = "rows",
        /// The daemon was asked to end.
        Shutdown = "shutdown",
    }
    /// How an attempt to commit ended.
    CommitOutcome {
        /// Every table and the coverage have it.
        Committed = "committed",
        /// The partitions belong to another daemon now; the batch was dropped.
        Fenced = "fenced",
        /// It failed and is tried again.
        Retried = "retried",
        /// The consent store was not current; it is tried again.
        Stale = "stale",
    }
    /// What a vault said when it was asked whether the secrets may still be used.
    ConfirmationOutcome {
        /// It opened all that it had not destroyed.
        Confirmed = "confirmed",
        /// It was away, or refused.
        Failed = "failed",
    }
    /// How a reload of contracts and purposes ended.
    ReloadOutcome {
        /// The new set is in force.
        Applied = "applied",
        /// The new set has faults; the old one stays in force.
        Refused = "refused",
    }
    /// What a request of the API was too much for.
    Limit {
        /// The pace of decisions about one person or tenant.
        Person = "person",
        /// The pace of a token.
        Token = "token",
    }
    /// The class of an HTTP status.
    StatusClass {
        /// It was done.
        Success = "2xx",
        /// The request was at fault.
        Client = "4xx",
        /// It could not be done now.
        Server = "5xx",
    }
    /// What the gate was asked for.
    GateOperation {
        /// Where the bucket is.
        GetBucketLocation = "get_bucket_location",
        /// An object, or a range of it.
        GetObject = "get_object",
        /// Whether the bucket is there.
        HeadBucket = "head_bucket",
        /// How large an object is.
        HeadObject = "head_object",
        /// Which objects there are.
        ListObjects = "list_objects",
        /// Something that the gate does not do, or that was not understood.
        Other = "other",
    }
    /// How the gate answered.
    GateOutcome {
        /// There is nothing of that name, or nothing that the grant shows.
        Absent = "absent",
        /// Something is wrong with the request.
        Bad = "bad",
        /// It could not be done now.
        Failed = "failed",
        /// Not signed by anybody who may, too late, or for nothing that the gate does.
        Refused = "refused",
        /// It was done.
        Served = "served",
    }
    /// A bounded queue between two workers.
    QueueName {
        /// Closed batches, from the source to the commit worker.
        Closed = "closed",
        /// Receipts, from the commit worker back to the source.
        Receipts = "receipts",
    }
}

/// Fate × purpose × reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct FateLabels {
    /// What became of the event.
    pub fate: Word<FateWord>,
    /// For which purpose.
    pub purpose: Word<PurposeId>,
    /// Why, for a denied or quarantined event; else empty.
    pub reason: &'static str,
}

/// Contract × fate.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ContractLabels {
    /// Event type of the contract.
    pub contract: Arc<str>,
    /// What became of the event.
    pub fate: Word<FateWord>,
}

/// Contract × fate of a field.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct FieldLabels {
    /// Event type of the contract.
    pub contract: Arc<str>,
    /// What became of the value.
    pub fate: Word<FieldFate>,
}

/// One malformed code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct CodeLabels {
    /// Why the record could not be read.
    pub code: Word<MalformedCode>,
}

/// One reason for which a consent record was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RefusalLabels {
    /// Code of the refusal.
    pub code: &'static str,
}

/// What became of a snapshot of the consent store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct SnapshotLabels {
    /// `loaded`, or the code of the refusal.
    pub outcome: &'static str,
}

/// Endpoint × role × class of status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ApiLabels {
    /// Which endpoint; empty for a path that there is not.
    pub endpoint: &'static str,
    /// The role of who asked; empty for somebody unknown.
    pub role: &'static str,
    /// How it was answered.
    pub status: Word<StatusClass>,
}

/// What a request was too much for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct LimitLabels {
    /// The limit that was reached.
    pub by: Word<Limit>,
}

/// Operation × outcome of a request to the gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct GateLabels {
    /// What was asked for.
    pub operation: Word<GateOperation>,
    /// How it was answered.
    pub outcome: Word<GateOutcome>,
}

/// What closed a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ClosingLabels {
    /// The first limit that was reached.
    pub by: Word<Closing>,
}

/// How an attempt to commit ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct CommitLabels {
    /// The outcome.
    pub outcome: Word<CommitOutcome>,
}

/// How a question to the vault ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ConfirmationLabels {
    /// The outcome.
    pub outcome: Word<ConfirmationOutcome>,
}

/// How a reload ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ReloadLabels {
    /// The outcome.
    pub outcome: Word<ReloadOutcome>,
}

/// One queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct QueueLabels {
    /// The queue.
    pub queue: Word<QueueName>,
}

/// One obstacle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ObstacleLabels {
    /// What stands in the way.
    pub obstacle: Word<Obstacle>,
}

/// One invariant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct InvariantLabels {
    /// Its name.
    pub id: &'static str,
}

/// One partition of a source topic.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct PartitionLabels {
    /// Topic, as configured; one word for all that are bound to tenants.
    pub topic: Arc<str>,
    /// Number of the partition.
    pub partition: i32,
}

/// What is running.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct BuildLabels {
    /// Version of weir.
    pub version: &'static str,
}

/// The policy in force.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct PolicyLabels {
    /// Hash of the policy, in hex, as in every file's footer.
    pub hash: Arc<str>,
}
