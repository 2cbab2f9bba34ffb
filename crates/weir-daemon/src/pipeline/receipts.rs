//! Who issues receipts: the policy in force, the words of the configuration and the ring's signature.
//!
//! It stands between the keeper's decision and its publication, so that no state of a person is known anywhere before its receipt
//! is written and the ledger knows the receipt's digest. Without `[receipts]` in the configuration there is nobody, and none are issued.

use std::sync::Arc;

use weir_consent::{Issuer, Message, Notice, Receipt, StateRecord, receipt_key};
use weir_keys::SigningKey;
use weir_ledger::Entry;
use weir_source::Clerk;

use crate::pipeline::shared::{Shared, chain};

/// Issues receipts under the policy in force.
pub(crate) struct ReceiptClerk {
    shared: Arc<Shared>,
    issuer: Issuer,
    key: SigningKey,
    /// The notice, and the generation of the policy that it was made of.
    notice: (u64, Notice),
}

impl ReceiptClerk {
    /// Makes the clerk; none where the configuration names no issuer.
    pub(crate) fn new(shared: &Arc<Shared>) -> Option<Self> {
        let issuer = shared.config.receipts.as_ref()?.issuer();
        let key = receipt_key(&shared.rules.keys());
        let notice = notice(shared, &issuer);
        Some(Self { shared: Arc::clone(shared), issuer, key, notice })
    }
}

fn notice(shared: &Shared, issuer: &Issuer) -> (u64, Notice) {
    let force = shared.rules.force();
    (force.generation, Notice::new(issuer.clone(), &shared.config.general.region, &force.policy))
}

impl Clerk for ReceiptClerk {
    fn issue(&mut self, states: &[Message]) -> Result<Vec<Message>, String> {
        if self.notice.0 != self.shared.rules.force().generation {
            self.notice = notice(&self.shared, &self.issuer);
        }
        let (mut receipts, mut digests) = (Vec::new(), Vec::new());
        for Message { key, value } in states {
            let record = StateRecord::decode(key, Some(value)).map_err(|fault| fault.to_string())?;
            if let Some(receipt) = Receipt::of(&record, &self.notice.1) {
                let signed = receipt.sign(&self.key);
                receipts.push(Message { key: key.clone(), value: signed.jws.into_bytes() });
                digests.push(signed.digest);
            }
        }
        if !digests.is_empty() {
            let told = self.shared.lake.ledger().append(self.shared.clock.now_ms(), Entry::Receipts { digests });
            told.map_err(|error| chain(&error))?;
        }
        Ok(receipts)
    }
}
