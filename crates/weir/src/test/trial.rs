//! Runs one case: sets up its consent, lets the filter have its event.

use std::sync::Arc;

use weir_consent::{ConsentStore, Standing, StateRecord, Status};
use weir_keys::PersonKey;
use weir_policy::contract_test::TestCase;
use weir_policy::{ContractIx, Policy, PurposeId};

use super::compare::{Difference, differences};
use crate::exit::Failure;
use crate::sandbox::{self, Sandbox};

/// Runs cases of one policy.
pub(crate) struct Trial {
    policy: Arc<Policy>,
    sandbox: Sandbox,
}

impl Trial {
    /// Makes a place to run cases in.
    ///
    /// # Errors
    /// When there is no room for temporary files.
    pub(crate) fn new(policy: &Arc<Policy>) -> Result<Self, Failure> {
        Ok(Self { policy: Arc::clone(policy), sandbox: Sandbox::new(Arc::clone(policy))? })
    }

    /// Runs a case of the tests of `contract`; returns what is not as it says.
    ///
    /// # Errors
    /// When there is no room for temporary files.
    pub(crate) fn run(&mut self, contract: ContractIx, case: &TestCase) -> Result<Vec<Difference>, Failure> {
        let keys = self.sandbox.keys(&case.tenant, case.now_ms)?;
        let consent = sandbox::consent_store();
        for purpose in case.agreement.iter() {
            sandbox::agree(&consent, &case.tenant, purpose);
        }
        let contract = self.policy.contract(contract);
        if let Some(person) = sandbox::person(contract, &case.record, &case.tenant, &keys) {
            choose(&consent, case, person);
        }
        let filtered = self.sandbox.filter(case.record.as_bytes(), keys, &consent, case.now_ms);
        Ok(differences(&self.policy, case, &filtered))
    }
}

fn choose(store: &ConsentStore, case: &TestCase, person: PersonKey) {
    for purpose in PurposeId::ALL {
        let choice = case.consent[purpose.index()];
        let status = Status::parse(choice.word()).filter(|_| choice.is_recorded());
        let standing = status.and_then(|status| Standing::new(status, case.consent_at_ms, None));
        if let Some(standing) = standing {
            store.apply(StateRecord::Choice { person, purpose, standing });
        }
    }
    if let Some(before_ms) = case.erased_before_ms {
        store.apply(StateRecord::Erasure { person, before_ms });
    }
}
