//! Consent on topics, beside a run over files: followed on a thread of its own, as a daemon follows it. So whoever withdrew or was
//! erased through the topics stays out of a backfill too, whether a daemon is up or not.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use weir_source::StateTopicPolicy;

use crate::clock::millis;
use crate::config::ConsentSource;
use crate::pipeline::RunError;
use crate::pipeline::consent::Follower;
use crate::pipeline::line::Line;
use crate::pipeline::shared::Shared;

/// Follows the topics until it is dropped.
pub(super) struct Following {
    shared: Arc<Shared>,
    thread: JoinHandle<()>,
}

impl Following {
    /// Begins, if consent is on topics: those of the brokers from whom a daemon would read events.
    ///
    /// # Errors
    /// When the configuration names no brokers, or the thread cannot be started.
    pub(super) fn start(shared: &Arc<Shared>) -> Result<Option<Self>, RunError> {
        let ConsentSource::Topic(inbox) = &shared.config.consent else { return Ok(None) };
        let kafka = shared.config.kafka.clone().ok_or(RunError::NoSource)?;
        let (inbox, group) = (inbox.clone(), kafka.group.clone());
        let line = Arc::new(Line::new(kafka).map_err(RunError::Brokers)?);
        let follower = Follower::new(shared, line, inbox, group, StateTopicPolicy::Create);
        let thread = thread::Builder::new().name(NAME.to_owned()).spawn(move || follower.run());
        let thread = thread.map_err(|source| RunError::Thread { worker: NAME, source })?;
        Ok(Some(Self { shared: Arc::clone(shared), thread }))
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
        // It leaves its group, so that daemons need not wait for a time-out.
        let until_ms = self.shared.clock.elapsed_ms() + millis(SEE_OFF_MAX);
        while !self.thread.is_finished() && self.shared.clock.elapsed_ms() < until_ms {
            thread::sleep(STEP);
        }
    }
}

const NAME: &str = "consent";
const SEE_OFF_MAX: Duration = Duration::from_secs(10);
const STEP: Duration = Duration::from_millis(10);
