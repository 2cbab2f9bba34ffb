//! The commit worker: closed batches into the lake, receipts back.
//!
//! It waits until the consent store is current, because the re-check before each table's commit asks it again. A batch that
//! could not be committed is not tried again as it is: part of it may be in some tables, so its partitions are taken anew
//! from the lake, which knows what is there. Nothing is acknowledged on this side; the receipt goes back to the source.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::thread;
use std::time::Duration;

use tracing::{error, info, warn};
use weir_lake::{ClosedBatch, CommitError, Receipt, Recheck};

use crate::clock::millis;
use crate::health::{Heart, Obstacle};
use crate::metrics::Metrics;
use crate::metrics::labels::{CommitLabels, CommitOutcome, InvariantLabels, QueueLabels, QueueName, Word};
use crate::pipeline::RunError;
use crate::pipeline::batch::Closed;
use crate::pipeline::shared::{Shared, seconds};

/// What became of a closed batch.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It is durable and accounted for.
    Committed(Receipt),
    /// It is dropped; its partitions must be taken anew.
    Dropped,
    /// It is dropped, because another daemon owns a partition of it.
    Fenced,
}

/// Commits batches until the source has no more.
///
/// # Errors
/// When the accounting does not add up: a bug, which must not be written over.
pub(crate) fn commit(
    shared: &Arc<Shared>,
    heart: &Heart,
    closed: &Receiver<Closed>,
    outcomes: &SyncSender<Outcome>,
) -> Result<(), RunError> {
    loop {
        heart.beat(shared.clock.elapsed_ms());
        let batch = match closed.recv_timeout(IDLE) {
            Ok(batch) => batch,
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        };
        shared.metrics.queue_depth.get_or_create_owned(&queue(QueueName::Closed)).dec();
        let outcome = commit_batch(shared, heart, batch)?;
        shared.metrics.queue_depth.get_or_create_owned(&queue(QueueName::Receipts)).inc();
        if outcomes.send(outcome).is_err() {
            return Ok(());
        }
    }
}

/// Commits one batch, or says that it is to be read again.
fn commit_batch(shared: &Shared, heart: &Heart, batch: Closed) -> Result<Outcome, RunError> {
    if !may_commit(shared, heart) {
        count(&shared.metrics, CommitOutcome::Stale);
        return Ok(Outcome::Dropped);
    }
    match put(shared, batch) {
        Ok(receipt) => Ok(Outcome::Committed(receipt)),
        Err(failure) => fail(shared, failure),
    }
}

/// Puts one batch into the lake and counts what became of it.
///
/// # Errors
/// When the lake cannot be written, or must not be.
pub(crate) fn put(shared: &Shared, batch: Closed) -> Result<Receipt, CommitError> {
    let started_ms = shared.clock.elapsed_ms();
    let now_ms = || shared.clock.now_ms();
    let elapsed_ms = || shared.clock.elapsed_ms();
    let max_staleness_ms = millis(shared.config.max_staleness);
    let recheck = Recheck { store: &shared.consent, max_staleness_ms, elapsed_ms: &elapsed_ms, now_ms: &now_ms };
    let tally = batch.filtered.tally.clone();
    let policy = Arc::clone(&batch.policy);
    let closed = ClosedBatch {
        filtered: batch.filtered,
        spans: batch.spans.into_iter().collect(),
        policy: batch.policy,
        consent_position: shared.consent_position(),
    };
    let receipt = shared.lake.commit(closed, recheck)?;
    shared.metrics.count_fields(&tally, &policy);
    note(shared, &receipt, shared.clock.elapsed_ms() - started_ms);
    Ok(receipt)
}

/// Waits for a current store and secrets that may be used; `false` when the batch is to be let go instead.
fn may_commit(shared: &Shared, heart: &Heart) -> bool {
    while !(shared.consent_is_current() && shared.keys_are_current()) {
        if shared.is_abandoned() {
            return false;
        }
        heart.beat(shared.clock.elapsed_ms());
        thread::sleep(STALE_WAIT);
    }
    !shared.is_abandoned()
}

fn note(shared: &Shared, receipt: &Receipt, took_ms: i64) {
    let written = receipt.written();
    shared.metrics.commit_seconds.observe(seconds(took_ms));
    count(&shared.metrics, CommitOutcome::Committed);
    shared.metrics.rows_written.inc_by(written.rows);
    shared.metrics.bytes_written.inc_by(written.bytes);
    shared.metrics.count_fates(receipt.totals());
    shared.lake_answers();
    shared.health.clear(Obstacle::Fenced);
    info!(rows = written.rows, files = written.files, tables = written.tables, took_ms, "batch is committed");
}

/// Says why a batch was not committed; only a fault of ours ends the daemon.
fn fail(shared: &Shared, failure: CommitError) -> Result<Outcome, RunError> {
    let outcome = match &failure {
        CommitError::Fenced { partition } => {
            shared.health.raise(Obstacle::Fenced, format_args!("another daemon took {partition}"));
            warn!(%partition, "batch is dropped: another daemon owns a partition of it");
            CommitOutcome::Fenced
        }
        CommitError::Lake(_) if !shared.keys_are_current() => {
            warn!("batch is read again: secrets lapsed during its commit");
            CommitOutcome::Stale
        }
        CommitError::Lake(lake) => {
            shared.lake_fails(lake);
            CommitOutcome::Retried
        }
        CommitError::Stale(stale) => {
            warn!(age_ms = stale.age_ms, "batch is read again: the consent store went stale during its commit");
            CommitOutcome::Stale
        }
        CommitError::Unbalanced(_) | CommitError::WrongSpan { .. } => {
            let labels = InvariantLabels { id: "accounting" };
            shared.metrics.invariant_violations.get_or_create_owned(&labels).inc();
            error!(error = %failure, "the accounting does not add up");
            return Err(RunError::Accounting(failure));
        }
    };
    count(&shared.metrics, outcome);
    Ok(if outcome == CommitOutcome::Fenced { Outcome::Fenced } else { Outcome::Dropped })
}

fn count(metrics: &Metrics, outcome: CommitOutcome) {
    metrics.commits.get_or_create_owned(&CommitLabels { outcome: Word(outcome) }).inc();
}

fn queue(queue: QueueName) -> QueueLabels {
    QueueLabels { queue: Word(queue) }
}

/// How often an idle worker shows that it lives.
const IDLE: Duration = Duration::from_secs(1);
const STALE_WAIT: Duration = Duration::from_millis(20);
