//! Every metric, in one struct.
//!
//! The doc comment of a field is its help text, the type of a field says which labels it has, and the list below is
//! all there is: the page in `crates/weir/docs/metrics.md` is generated from it. Counters move once a batch or a poll,
//! never once an event.

mod count;
pub mod labels;

use std::fmt::Write as _;
use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::prometheus_text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use labels::{
    ApiLabels, BuildLabels, ClosingLabels, CodeLabels, CommitLabels, ConfirmationLabels, ContractLabels, FateLabels,
    FieldLabels, GateLabels, InvariantLabels, LimitLabels, ObstacleLabels, PartitionLabels, PolicyLabels, QueueLabels,
    RefusalLabels, ReloadLabels, SnapshotLabels,
};

/// A gauge of seconds.
pub type Seconds = Gauge<f64, AtomicU64>;

macro_rules! metrics {
    ($(#[$doc:meta])* pub struct $name:ident {
        $($(#[doc = $help:literal])+ $field:ident: $kind:ty = $metric:literal,)*
    }) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name {
            $($(#[doc = $help])+ pub $field: $kind,)*
            registry: Registry,
        }

        impl $name {
            /// Makes every metric, at zero.
            pub fn new() -> Self {
                let mut registry = Registry::default();
                $(
                    let $field = <$kind as Kind>::make();
                    registry.register(registered($metric), help(concat!($($help),+)), $field.clone());
                )*
                Self { $($field,)* registry }
            }

            /// Name, kind and help of every metric, in the order of the struct.
            pub const LIST: &[Entry] = &[$(
                Entry { name: $metric, kind: <$kind as Kind>::NAME, help: concat!($($help),+) },
            )*];
        }
    };
}

metrics! {
    /// What `/metrics` shows.
    pub struct Metrics {
        /// Records read from the source, whatever became of them.
        records: Counter = "weir_records_total",
        /// Bytes of the values of these records.
        record_bytes: Counter = "weir_record_bytes_total",
        /// Fates of events for each purpose, once committed: every record counts once for each of the three.
        events: Family<FateLabels, Counter> = "weir_events_total",
        /// Fates of events by contract: every record of the contract counts once for each of the three purposes.
        contract_events: Family<ContractLabels, Counter> = "weir_contract_events_total",
        /// Values that were not stored as they came, by contract; undeclared ones are not named.
        fields: Family<FieldLabels, Counter> = "weir_fields_total",
        /// Records that could not be read, by code.
        malformed: Family<CodeLabels, Counter> = "weir_malformed_records_total",
        /// Records whose coordinates went to quarantine: malformed ones and those without a contract.
        quarantined: Counter = "weir_quarantined_records_total",
        /// Batches closed, by the limit that was reached first.
        batches: Family<ClosingLabels, Counter> = "weir_batches_total",
        /// Attempts to commit a batch, by outcome.
        commits: Family<CommitLabels, Counter> = "weir_commits_total",
        /// Seconds from a closed batch to its receipt, retries included.
        commit_seconds: Histogram = "weir_commit_seconds",
        /// Rows in committed files.
        rows_written: Counter = "weir_rows_written_total",
        /// Bytes of committed files.
        bytes_written: Counter = "weir_bytes_written_total",
        /// Records between the lake's watermark and the end of the partition; topics that are bound to tenants are one, `(bound)`.
        lag: Family<PartitionLabels, Gauge> = "kafka_consumer_lag",
        /// Partitions assigned to this daemon.
        partitions: Gauge = "weir_partitions",
        /// Age of the oldest record that was read and is not committed.
        oldest_uncommitted_seconds: Seconds = "weir_oldest_uncommitted_seconds",
        /// People of whom a choice is known.
        consent_people: Gauge = "weir_consent_people",
        /// Memory of the consent store.
        consent_bytes: Gauge = "weir_consent_store_bytes",
        /// Time since the consent store was last known to be current.
        consent_age_seconds: Seconds = "weir_consent_age_seconds",
        /// Consent records that the keeper published to the state topic.
        consent_published: Counter = "weir_consent_published_total",
        /// Receipts of people's choices that were issued.
        consent_receipts: Counter = "weir_consent_receipts_total",
        /// Consent records that were refused, by code.
        consent_refused: Family<RefusalLabels, Counter> = "weir_consent_refused_total",
        /// Starts from a snapshot of the consent store, by outcome: `loaded`, or why the whole state topic was read.
        snapshot_loads: Family<SnapshotLabels, Counter> = "weir_consent_snapshot_loads_total",
        /// Time since the newest snapshot of the consent store began.
        snapshot_age_seconds: Seconds = "weir_consent_snapshot_age_seconds",
        /// Size of the newest snapshot of the consent store.
        snapshot_bytes: Gauge = "weir_consent_snapshot_bytes",
        /// Requests to the API, by endpoint, role and class of status.
        api_requests: Family<ApiLabels, Counter> = "weir_api_requests_total",
        /// Seconds from a decision to its answer, which waits for all replicas.
        api_decision_seconds: Histogram = "weir_api_decision_seconds",
        /// Requests to the API that were too many, by the limit.
        api_rate_limited: Family<LimitLabels, Counter> = "weir_api_rate_limited_total",
        /// Requests to the gate, by operation and outcome.
        gate_requests: Family<GateLabels, Counter> = "weir_gate_requests_total",
        /// Bytes of objects that the gate gave out.
        gate_bytes: Counter = "weir_gate_bytes_total",
        /// Sessions at the gate: hours in which a grant was used.
        gate_sessions: Counter = "weir_gate_sessions_total",
        /// Reloads of the gate's grants and certificates, by outcome.
        gate_reloads: Family<ReloadLabels, Counter> = "weir_gate_reloads_total",
        /// Batches that wait in a queue.
        queue_depth: Family<QueueLabels, Gauge> = "weir_queue_depth",
        /// Memory of the columns of the batch that is being filled.
        open_bytes: Gauge = "weir_open_columns_bytes",
        /// Memory of the columns of the batch that is being committed.
        in_flight_bytes: Gauge = "weir_in_flight_columns_bytes",
        /// Time since the vault last confirmed the secrets; 0 without a vault.
        keys_age_seconds: Seconds = "weir_keys_age_seconds",
        /// Secrets of epochs that are to be made or destroyed by now, and that the vault did not do so to.
        keys_due: Gauge = "weir_keys_due",
        /// Questions to the vault whether the secrets may still be used, by outcome.
        keys_confirmations: Family<ConfirmationLabels, Counter> = "weir_keys_confirmations_total",
        /// Time since the vault of the store's own keys last confirmed them; 0 without one.
        store_keys_age_seconds: Seconds = "weir_store_keys_age_seconds",
        /// Questions to that vault whether the store's own keys may still be used, by outcome.
        store_keys_confirmations: Family<ConfirmationLabels, Counter> = "weir_store_keys_confirmations_total",
        /// What keeps events from flowing: 1 while it stands.
        obstacle: Family<ObstacleLabels, Gauge> = "weir_obstacle",
        /// Generation of the policy in force: 1 at start, one more for each reload that was applied.
        policy_generation: Gauge = "weir_policy_generation",
        /// Reloads of contracts and purposes, by outcome.
        policy_reloads: Family<ReloadLabels, Counter> = "weir_policy_reloads_total",
        /// Whether the newest contracts and purposes were refused at SIGHUP, so that those before are in force: 1 for as long as they are.
        policy_refused: Gauge = "weir_policy_refused",
        /// Hash of the policy in force: 1.
        policy: Family<PolicyLabels, Gauge> = "weir_policy_info",
        /// Violations of weir's own invariants: anything but 0 is a bug.
        invariant_violations: Family<InvariantLabels, Counter> = "weir_invariant_violations_total",
        /// Version of weir: 1.
        build: Family<BuildLabels, Gauge> = "weir_build_info",
    }
}

impl Metrics {
    /// Returns all metrics in Prometheus' text format.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing into a String cannot fail; a label that cannot be written would show as a cut page.
        if prometheus_text::encode(&mut text, &self.registry).is_err() {
            text.push_str("# truncated\n");
        }
        text
    }

    /// Returns the page that documents every metric.
    pub fn page() -> String {
        let mut page = String::from(PAGE_HEAD);
        for entry in Self::LIST {
            let line = writeln!(page, "| `{}` | {} | {} |", entry.name, entry.kind, entry.help.trim());
            debug_assert!(line.is_ok(), "a String takes all that is written");
        }
        page
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

/// One line of the metrics page.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Name, as scraped.
    pub name: &'static str,
    /// Kind and labels.
    pub kind: &'static str,
    /// Help text.
    pub help: &'static str,
}

/// The content type of [`Metrics::text`].
pub const CONTENT_TYPE: &str = prometheus_text::CONTENT_TYPE;

const PAGE_HEAD: &str = "# Metrics\n\n\
    Generated from `crates/weir-daemon/src/metrics.rs`; `WEIR_BLESS=1 cargo test -p weir-daemon` rewrites it.\n\
    Labels are closed lists: purposes, fates, reasons and codes of `crates/weir-policy/src/fate.rs`, the event types of the\n\
    contracts, the configured topics. Never a tenant's or a person's, and never contract, purpose and reason together.\n\
    What each value means: [reasons](reasons.md).\n\n\
    | metric | kind (labels) | meaning |\n|---|---|---|\n";

/// How a kind of metric is made and called.
trait Kind: Clone {
    const NAME: &'static str;
    fn make() -> Self;
}

impl Kind for Counter {
    const NAME: &'static str = "counter";
    fn make() -> Self {
        Self::default()
    }
}

impl Kind for Gauge {
    const NAME: &'static str = "gauge";
    fn make() -> Self {
        Self::default()
    }
}

impl Kind for Seconds {
    const NAME: &'static str = "gauge";
    fn make() -> Self {
        Self::default()
    }
}

impl Kind for Histogram {
    const NAME: &'static str = "histogram";
    /// From a small local commit to one that outlasts the 30 s which a shutdown may take, and past it.
    fn make() -> Self {
        Self::new([0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0])
    }
}

macro_rules! family_kinds {
    ($($labels:ident, $metric:ident, $name:literal;)*) => { $(
        impl Kind for Family<$labels, $metric> {
            const NAME: &'static str = $name;
            fn make() -> Self {
                Self::default()
            }
        }
    )* };
}

family_kinds! {
    FateLabels, Counter, "counter (`fate`, `purpose`, `reason`)";
    ContractLabels, Counter, "counter (`contract`, `fate`)";
    FieldLabels, Counter, "counter (`contract`, `fate`)";
    CodeLabels, Counter, "counter (`code`)";
    ClosingLabels, Counter, "counter (`by`)";
    CommitLabels, Counter, "counter (`outcome`)";
    ConfirmationLabels, Counter, "counter (`outcome`)";
    PartitionLabels, Gauge, "gauge (`topic`, `partition`)";
    RefusalLabels, Counter, "counter (`code`)";
    SnapshotLabels, Counter, "counter (`outcome`)";
    ApiLabels, Counter, "counter (`endpoint`, `role`, `status`)";
    LimitLabels, Counter, "counter (`by`)";
    GateLabels, Counter, "counter (`operation`, `outcome`)";
    QueueLabels, Gauge, "gauge (`queue`)";
    ObstacleLabels, Gauge, "gauge (`obstacle`)";
    ReloadLabels, Counter, "counter (`outcome`)";
    PolicyLabels, Gauge, "gauge (`hash`)";
    InvariantLabels, Counter, "counter (`id`)";
    BuildLabels, Gauge, "gauge (`version`)";
}

/// Returns the name to register: the library appends `_total` to counters by itself.
fn registered(metric: &'static str) -> &'static str {
    metric.strip_suffix("_total").unwrap_or(metric)
}

/// Returns the help to register: the library ends it with a full stop by itself.
fn help(doc: &'static str) -> &'static str {
    doc.trim().trim_end_matches('.')
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use weir_policy::PurposeId;

    use super::labels::{FateWord, Word};
    use super::*;

    #[test]
    fn counted_events_appear_with_their_words() {
        let metrics = Metrics::new();
        let labels = FateLabels {
            fate: Word(FateWord::Denied),
            purpose: Word(PurposeId::Reliability),
            reason: "no_consent_record",
        };
        metrics.events.get_or_create(&labels).inc_by(3);
        let line = r#"weir_events_total{fate="denied",purpose="reliability",reason="no_consent_record"} 3"#;
        assert!(metrics.text().lines().any(|found| found == line), "{}", metrics.text());
    }

    #[test]
    fn names_are_distinct_and_speak_of_units() {
        let names: BTreeSet<_> = Metrics::LIST.iter().map(|entry| entry.name).collect();
        assert_eq!(names.len(), Metrics::LIST.len());
        for entry in Metrics::LIST {
            assert_eq!(entry.kind.starts_with("counter"), entry.name.ends_with("_total"), "{}", entry.name);
        }
    }

    /// The page in the repository is the one that the struct generates.
    #[test]
    fn page_is_up_to_date() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../weir/docs/metrics.md");
        if std::env::var_os("WEIR_BLESS").is_some() {
            std::fs::write(path, Metrics::page()).unwrap();
        }
        assert_eq!(std::fs::read_to_string(path).unwrap(), Metrics::page(), "run with WEIR_BLESS=1 to rewrite");
    }
}
