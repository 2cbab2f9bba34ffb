//! Secrets of epochs, made ahead of need and destroyed when the last of their rows are past their retention.

use std::sync::Arc;

use weir_policy::{PurposeId, Purposes};

use super::KeyRing;
use super::epoch_name::EpochName;
use crate::error::KeyError;
use crate::key_file::Holds;
use crate::key_set::KeySet;

/// What became of the secrets of epochs.
#[derive(Debug)]
pub struct Tended {
    /// Epochs that came into view.
    pub made: usize,
    /// Epochs whose secret was destroyed.
    pub destroyed: usize,
    /// Epochs whose secret is still to be made or destroyed.
    pub due: usize,
    /// Why, where the vault did not do it.
    pub trouble: Option<KeyError>,
}

impl KeyRing {
    /// Makes and destroys secrets of epochs as time goes by. What a vault does not do is told, and does no harm as long as every epoch
    /// up to this one has its secret.
    ///
    /// # Errors
    ///
    /// As [`Self::ensure_epochs`] and [`Self::destroy_expired`]; of a vault only where an epoch lacks its secret by now.
    pub fn tend(&self, purposes: &Purposes, now_ms: i64) -> Result<Tended, KeyError> {
        let made = self.ensure_epochs(purposes, now_ms);
        let destroyed = self.destroy_expired(purposes, now_ms);
        let (missing, due) = self.due(purposes, now_ms);
        match made.and_then(|made| Ok((made, destroyed?))) {
            Ok((made, destroyed)) => Ok(Tended { made, destroyed, due, trouble: None }),
            Err(error @ KeyError::Vault(_)) if missing == 0 => {
                Ok(Tended { made: 0, destroyed: 0, due, trouble: Some(error) })
            }
            Err(error) => Err(error),
        }
    }

    /// Counts the epochs that events need and that have no file, and all that should be made or destroyed.
    fn due(&self, purposes: &Purposes, now_ms: i64) -> (usize, usize) {
        let keys = self.snapshot();
        let (mut missing, mut due) = (0, 0);
        for purpose in PurposeId::ALL {
            let (oldest, current) = (oldest_kept(purposes, purpose, now_ms), purposes.epoch(purpose, now_ms));
            let lacks = |epoch: &i32| !keys.has_epoch(purpose, *epoch) && !self.epoch_path(purpose, *epoch).exists();
            missing += (oldest..=current).filter(lacks).count();
            due += usize::from(lacks(&current.saturating_add(1)));
            due += keys.epochs().filter(|(of, epoch)| *of == purpose && *epoch < oldest).count();
        }
        (missing, missing + due)
    }

    /// Makes the secrets that are missing, from the oldest epoch whose rows are still kept to one ahead.
    ///
    /// Returns how many epochs came into this ring's view. A destroyed epoch stays destroyed.
    ///
    /// # Errors
    ///
    /// The ring cannot be written, or its epochs have another length than the policy's.
    pub fn ensure_epochs(&self, purposes: &Purposes, now_ms: i64) -> Result<usize, KeyError> {
        let _changing = self.changing.lock();
        let mut added = 0;
        for purpose in PurposeId::ALL {
            check_days(purposes, purpose, &self.live.0.lock())?;
            let next = purposes.epoch(purpose, now_ms).saturating_add(1);
            for epoch in oldest_kept(purposes, purpose, now_ms)..=next {
                if self.snapshot().has_epoch(purpose, epoch) {
                    continue;
                }
                let name = EpochName { purpose, epoch, days: purposes.rules(purpose).epoch_days };
                let Some(secret) = self.put(&self.epoch_path(purpose, epoch), Holds::Epoch, &name.text())? else {
                    continue;
                };
                let mut keys = self.live.0.lock();
                let keys = Arc::make_mut(&mut keys);
                keys.epochs.insert((purpose, epoch), Arc::new(secret));
                keys.epoch_days[purpose.index()] = Some(name.days);
                added += 1;
            }
        }
        Ok(added)
    }

    /// Destroys the secrets of epochs whose last rows are past their retention; returns how many.
    ///
    /// # Errors
    ///
    /// The ring cannot be written, or its epochs have another length than the policy's.
    pub fn destroy_expired(&self, purposes: &Purposes, now_ms: i64) -> Result<usize, KeyError> {
        let mut destroyed = 0;
        for (purpose, epoch) in self.snapshot().epochs() {
            check_days(purposes, purpose, &self.live.0.lock())?;
            if epoch < oldest_kept(purposes, purpose, now_ms) {
                destroyed += usize::from(self.destroy_epoch(purpose, epoch)?);
            }
        }
        Ok(destroyed)
    }

    /// Destroys an epoch's secret for good: no row of it can be linked to a person any more; tells whether it had one.
    ///
    /// # Errors
    ///
    /// The ring cannot be written.
    pub fn destroy_epoch(&self, purpose: PurposeId, epoch: i32) -> Result<bool, KeyError> {
        let _changing = self.changing.lock();
        let destroyed = self.destroy(&self.epoch_path(purpose, epoch), Holds::Epoch)?;
        Arc::make_mut(&mut self.live.0.lock()).epochs.remove(&(purpose, epoch));
        Ok(destroyed)
    }
}

/// Returns the oldest epoch of which a row may still be kept.
fn oldest_kept(purposes: &Purposes, purpose: PurposeId, now_ms: i64) -> i32 {
    purposes.epoch(purpose, now_ms.saturating_sub(purposes.retention_ms(purpose)))
}

/// An epoch's number means its days only while all epochs of the purpose have one length.
fn check_days(purposes: &Purposes, purpose: PurposeId, keys: &KeySet) -> Result<(), KeyError> {
    let policy_days = purposes.rules(purpose).epoch_days;
    match keys.epoch_days[purpose.index()] {
        Some(ring_days) if ring_days != policy_days => {
            Err(KeyError::EpochLength { purpose: purpose.name(), ring_days, policy_days })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epochs_of_another_length_than_the_rings_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let ring = KeyRing::init(&folder.path().join("keys")).unwrap();
        Arc::make_mut(&mut ring.live.0.lock()).epoch_days = [None, Some(89), None];
        let refused = ring.ensure_epochs(&Purposes::default(), 0).unwrap_err();
        assert!(matches!(refused, KeyError::EpochLength { purpose: "reliability", ring_days: 89, policy_days: 90 }));
        assert!(ring.destroy_expired(&Purposes::default(), 0).unwrap() == 0);
    }
}
