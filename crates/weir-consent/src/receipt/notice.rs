//! What a receipt says beside the decision: who answers for the data, and what was agreed about it.

use std::collections::BTreeSet;

use weir_policy::{LawfulBasis, Policy, PurposeId};

/// Who issues receipts, in the words of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer {
    /// Name of the controller.
    pub name: String,
    /// How a register knows the controller.
    pub identifier: String,
    /// Its postal address.
    pub address: String,
    /// Where people reach it.
    pub contact: String,
    /// The law that holds, as the code of a country or of the EU.
    pub jurisdiction: String,
    /// Address of the privacy notice that people are shown.
    pub privacy_notice: String,
    /// Language of the notice and of the receipt.
    pub language: String,
    /// How a person takes a consent back, in a sentence.
    pub withdrawal: String,
}

/// All that receipts are made from beside the records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    pub(super) issuer: Issuer,
    pub(super) region: String,
    pub(super) terms: [Terms; 3],
}

/// What the policy says about one purpose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Terms {
    pub(super) description: String,
    pub(super) dpv: Vec<String>,
    pub(super) lawful_basis: LawfulBasis,
    pub(super) categories: Vec<&'static str>,
    pub(super) retention_days: u32,
    pub(super) recipients: Vec<String>,
}

impl Notice {
    /// Makes the notice of a policy; `region` is where its rows are stored.
    pub fn new(issuer: Issuer, region: &str, policy: &Policy) -> Self {
        Self { issuer, region: region.to_owned(), terms: PurposeId::ALL.map(|purpose| Terms::of(policy, purpose)) }
    }

    pub(super) fn terms(&self, purpose: PurposeId) -> &Terms {
        &self.terms[purpose.index()]
    }
}

impl Terms {
    fn of(policy: &Policy, purpose: PurposeId) -> Self {
        let rules = policy.purposes().rules(purpose);
        Self {
            description: rules.description.clone(),
            dpv: rules.dpv.clone(),
            lawful_basis: rules.lawful_basis,
            categories: categories(policy, purpose),
            retention_days: rules.retention_days,
            recipients: rules.recipients.clone(),
        }
    }
}

/// Returns the data categories that contracts about people declare for a purpose: what is really kept, not what could be.
fn categories(policy: &Policy, purpose: PurposeId) -> Vec<&'static str> {
    let about_people = policy.contracts().iter().filter(|contract| contract.subject.is_some());
    let fields = about_people
        .filter(|contract| contract.purposes.contains(purpose))
        .flat_map(|contract| contract.columns(purpose).map(|(_, field)| field).chain(contract.subject_field()));
    let categories: BTreeSet<_> = fields.filter_map(|field| field.category).collect();
    categories.into_iter().collect()
}
