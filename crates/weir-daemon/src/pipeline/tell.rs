//! What the ledger is told beside commits: the policy in force, the secrets that there are, the tables left alone.
//!
//! Each is told when it differs from what the ledger was told last, so a start that changes nothing adds nothing, and what a
//! crash kept from being told is told at the next start.

use weir_keys::KeySet;
use weir_lake::LakeError;
use weir_ledger::{Collector, Decision, Entry, Epochs, Exposures, Keys, Ledger, LedgerError, PolicyInForce};
use weir_policy::Policy;

use crate::health::Obstacle;
use crate::pipeline::shared::Shared;

impl Shared {
    /// Tells the ledger everything that is in force.
    ///
    /// # Errors
    /// When the ledger cannot be written, or is not what it was.
    pub(crate) fn tell_rules(&self, by: Collector) -> Result<(), LedgerError> {
        let (ledger, now_ms) = (self.lake.ledger(), self.clock.now_ms());
        tell_policy(ledger, by, &self.rules.force().policy, now_ms)?;
        tell_skip(ledger, self.config.lake.skip.iter().map(ToString::to_string).collect(), now_ms)?;
        tell_keys(ledger, &self.rules.keys(), now_ms)
    }

    /// Reads contracts and purposes anew; they come into force when the ledger knows of them.
    pub(crate) fn reload(&self) {
        let refused = self.rules.reload(&self.metrics, |policy| {
            self.is_told(tell_policy(self.lake.ledger(), Collector::Run, policy, self.clock.now_ms()))
        });
        self.health.refuse_policy(refused);
    }

    /// Tells the ledger which secrets there are; while that fails, it stands in the way.
    pub(crate) fn tell_keys(&self) -> bool {
        self.is_told(tell_keys(self.lake.ledger(), &self.rules.keys(), self.clock.now_ms()))
    }

    /// Tells the ledger which topics keep raw records for longer than they may, because an operator allowed it.
    pub(crate) fn tell_longer_retention(&self, topics: &[String]) -> bool {
        self.is_told(tell_longer_retention(self.lake.ledger(), topics, self.clock.now_ms()))
    }

    fn is_told(&self, told: Result<(), LedgerError>) -> bool {
        match told {
            Ok(()) => {
                self.health.clear(Obstacle::Ledger);
                true
            }
            Err(error) => {
                self.lake_fails(&LakeError::Ledger(error));
                false
            }
        }
    }
}

fn tell_policy(ledger: &Ledger, by: Collector, policy: &Policy, now_ms: i64) -> Result<(), LedgerError> {
    let entry = PolicyInForce { by, hash: policy.hash().to_string(), exposes: Exposures::of(policy) };
    let told = ledger.append_if(now_ms, |past| {
        let is_known = matches!(past.last(by.kind())?, Some(Entry::Policy(last)) if last.hash == entry.hash);
        Ok::<_, LedgerError>((!is_known).then(|| Entry::Policy(entry.clone())))
    });
    told.map(drop)
}

fn tell_skip(ledger: &Ledger, tables: Vec<String>, now_ms: i64) -> Result<(), LedgerError> {
    let told = ledger.append_if(now_ms, |past| {
        let before = match past.last("decision.skip")? {
            Some(Entry::Decision(Decision::Skip { tables })) => tables,
            Some(_) | None => Vec::new(),
        };
        let differs = before != tables;
        Ok::<_, LedgerError>(differs.then(|| Entry::Decision(Decision::Skip { tables: tables.clone() })))
    });
    told.map(drop)
}

fn tell_longer_retention(ledger: &Ledger, topics: &[String], now_ms: i64) -> Result<(), LedgerError> {
    let told = ledger.append_if(now_ms, |past| {
        let before = match past.last("decision.longer_retention")? {
            Some(Entry::Decision(Decision::LongerRetention { topics })) => topics,
            Some(_) | None => Vec::new(),
        };
        let entry = || Entry::Decision(Decision::LongerRetention { topics: topics.to_vec() });
        Ok::<_, LedgerError>((before != topics).then(entry))
    });
    told.map(drop)
}

fn tell_keys(ledger: &Ledger, keys: &KeySet, now_ms: i64) -> Result<(), LedgerError> {
    // What is only forgotten for a while was not destroyed.
    if keys.has_lapsed() {
        return Ok(());
    }
    let mut epochs = Epochs::new();
    for (purpose, epoch) in keys.epochs() {
        epochs.entry(purpose.name().to_owned()).or_default().push(epoch);
    }
    let tenants = u64::try_from(keys.tenants()).unwrap_or(u64::MAX);
    let told = ledger.append_if(now_ms, |past| {
        let before = match past.last("keys")? {
            Some(Entry::Keys(keys)) => keys,
            Some(_) | None => Keys::default(),
        };
        let differs = before.epochs != epochs || before.tenants != tenants;
        let (made, destroyed) = (beyond(&epochs, &before.epochs), beyond(&before.epochs, &epochs));
        let entry = || Entry::Keys(Keys { epochs: epochs.clone(), tenants, made, destroyed });
        Ok::<_, LedgerError>(differs.then(entry))
    });
    told.map(drop)
}

/// Returns the epochs that are in one set and not in the other.
fn beyond(one: &Epochs, other: &Epochs) -> Epochs {
    let mut beyond = Epochs::new();
    for (purpose, epochs) in one {
        let is_new = |epoch: &&i32| !other.get(purpose).is_some_and(|known| known.contains(epoch));
        let new: Vec<_> = epochs.iter().filter(is_new).copied().collect();
        if !new.is_empty() {
            beyond.insert(purpose.clone(), new);
        }
    }
    beyond
}
