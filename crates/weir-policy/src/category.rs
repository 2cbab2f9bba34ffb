//! Data categories of fideslang, and what data of each may serve.
//!
//! The list is the taxonomy of fideslang 3.1 and the keys that its successor adds or moves. A contract names a category for
//! every field that is kept. Some categories are never kept: content, credentials, the special categories of the law, and
//! what identifies a person beyond a pseudonym. They may only be declared as content.

use crate::purpose::{PurposeId, PurposeSet};

/// A data category of fideslang.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Category {
    /// Its key, such as `user.device.ip_address`.
    pub key: &'static str,
    /// The purposes that data of the category may serve; none means that it is never kept.
    pub allowed: PurposeSet,
}

/// Returns the category of a key of fideslang.
pub fn find(key: &str) -> Option<Category> {
    let place = CATEGORIES.binary_search_by(|(entry, _)| (*entry).cmp(key)).ok()?;
    let (key, allowed) = CATEGORIES[place];
    Some(Category { key, allowed })
}

/// Returns every key, sorted.
pub fn keys() -> impl Iterator<Item = &'static str> {
    CATEGORIES.iter().map(|(key, _)| *key)
}

/// May serve every purpose.
const ANY: PurposeSet = PurposeSet::ALL;
/// Is never kept.
const NEVER: PurposeSet = PurposeSet::NONE;
/// May help to run the service, not to adapt it to the person.
const SERVICE: PurposeSet = PurposeSet::ALL.without(PurposeId::Personalization);

/// Sorted by key.
const CATEGORIES: &[(&str, PurposeSet)] = &[
    ("system", ANY),
    ("system.authentication", SERVICE),
    ("system.operations", ANY),
    ("user", ANY),
    ("user.account", ANY),
    ("user.account.settings", ANY),
    ("user.account.username", SERVICE),
    ("user.authorization", SERVICE),
    ("user.authorization.biometric", NEVER),
    ("user.authorization.biometrics", NEVER),
    ("user.authorization.credentials", NEVER),
    ("user.authorization.password", NEVER),
    ("user.behavior", ANY),
    ("user.behavior.browsing_history", NEVER),
    ("user.behavior.media_consumption", ANY),
    ("user.behavior.purchase_history", ANY),
    ("user.behavior.search_history", NEVER),
    ("user.biometric", NEVER),
    ("user.biometric.fingerprint", NEVER),
    ("user.biometric.health", NEVER),
    ("user.biometric.retinal", NEVER),
    ("user.biometric.voice", NEVER),
    ("user.biometrics", NEVER),
    ("user.biometrics.fingerprint", NEVER),
    ("user.biometrics.retinal", NEVER),
    ("user.biometrics.voice", NEVER),
    ("user.children", NEVER),
    ("user.children.children_under_thirteen", NEVER),
    ("user.children.thirteen_to_sixteen", NEVER),
    ("user.childrens", NEVER),
    ("user.contact", SERVICE),
    ("user.contact.address", SERVICE),
    ("user.contact.address.city", SERVICE),
    ("user.contact.address.country", ANY),
    ("user.contact.address.mailing_address", NEVER),
    ("user.contact.address.postal_code", SERVICE),
    ("user.contact.address.state", SERVICE),
    ("user.contact.address.street", NEVER),
    ("user.contact.email", SERVICE),
    ("user.contact.fax_number", NEVER),
    ("user.contact.organization", SERVICE),
    ("user.contact.phone_number", SERVICE),
    ("user.contact.social_url", NEVER),
    ("user.contact.url", NEVER),
    ("user.content", NEVER),
    ("user.content.private", NEVER),
    ("user.content.public", NEVER),
    ("user.content.self_image", NEVER),
    ("user.criminal_history", NEVER),
    ("user.demographic", NEVER),
    ("user.demographic.age_range", ANY),
    ("user.demographic.citizenship_or_immigration_status", NEVER),
    ("user.demographic.date_of_birth", NEVER),
    ("user.demographic.gender", NEVER),
    ("user.demographic.language", ANY),
    ("user.demographic.marital_status", NEVER),
    ("user.demographic.philosophical_belief", NEVER),
    ("user.demographic.political_opinion", NEVER),
    ("user.demographic.profile", NEVER),
    ("user.demographic.protected_classifications", NEVER),
    ("user.demographic.race_ethnicity", NEVER),
    ("user.demographic.religious_belief", NEVER),
    ("user.demographic.sexual_orientation", NEVER),
    ("user.demographic.union_membership", NEVER),
    ("user.device", ANY),
    ("user.device.cookie", NEVER),
    ("user.device.cookie_id", SERVICE),
    ("user.device.device_id", ANY),
    ("user.device.ip_address", SERVICE),
    ("user.device.sensor", SERVICE),
    ("user.device.telemetry", ANY),
    ("user.financial", SERVICE),
    ("user.financial.bank_account", NEVER),
    ("user.financial.credit_card", NEVER),
    ("user.government_id", NEVER),
    ("user.government_id.birth_certificate", NEVER),
    ("user.government_id.drivers_license_number", NEVER),
    ("user.government_id.immigration", NEVER),
    ("user.government_id.national_identification_number", NEVER),
    ("user.government_id.passport_number", NEVER),
    ("user.government_id.vehicle_registration", NEVER),
    ("user.health", NEVER),
    ("user.health.baby_formula", NEVER),
    ("user.health.condition", NEVER),
    ("user.health.genetic", NEVER),
    ("user.health.insurance_beneficiary_id", NEVER),
    ("user.health.maternity_clothing", NEVER),
    ("user.health.medical_diagnosis", NEVER),
    ("user.health.medications", NEVER),
    ("user.health.prescriptions", NEVER),
    ("user.health.record_id", NEVER),
    ("user.health.reproductive_or_sexual", NEVER),
    ("user.health.social_psychological_behavioral", NEVER),
    ("user.health.symptons", NEVER),
    ("user.health.treatment", NEVER),
    ("user.health_and_medical", NEVER),
    ("user.health_and_medical.genetic", NEVER),
    ("user.health_and_medical.insurance_beneficiary_id", NEVER),
    ("user.health_and_medical.record_id", NEVER),
    ("user.job_title", SERVICE),
    ("user.location", ANY),
    ("user.location.coarse", ANY),
    ("user.location.imprecise", ANY),
    ("user.location.precise", NEVER),
    ("user.name", NEVER),
    ("user.name.first", NEVER),
    ("user.name.last", NEVER),
    ("user.payment", SERVICE),
    ("user.privacy_preferences", SERVICE),
    ("user.professional_information", SERVICE),
    ("user.professional_information.job_title", SERVICE),
    ("user.professional_information.workplace", SERVICE),
    ("user.sensor", SERVICE),
    ("user.settings", ANY),
    ("user.social", SERVICE),
    ("user.social_activity", SERVICE),
    ("user.telemetry", ANY),
    ("user.unique_id", ANY),
    ("user.unique_id.deterministic", ANY),
    ("user.unique_id.probablistic", NEVER),
    ("user.unique_id.pseudonymous", ANY),
    ("user.user_sensor", SERVICE),
    ("user.workplace", SERVICE),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_category_is_found_by_its_key() {
        assert!(CATEGORIES.is_sorted_by_key(|(key, _)| key));
        assert!(keys().all(|key| find(key).is_some_and(|category| category.key == key)));
    }

    /// A purpose that is closed to a category is closed to what is below it: `user.health` closes `user.health.genetic`.
    #[test]
    fn what_a_category_forbids_its_parts_forbid() {
        for (key, allowed) in CATEGORIES {
            let below = CATEGORIES
                .iter()
                .filter(|(other, _)| other.strip_prefix(key).is_some_and(|rest| rest.starts_with('.')));
            for (part, of_part) in below.filter(|(part, _)| !NARROWED.contains(part)) {
                assert_eq!(of_part.and(*allowed), *of_part, "{part} allows more than {key}");
            }
        }
    }

    /// Content, what the law protects most (GDPR, articles 9 and 10), children, and what opens an account or identifies before the state.
    #[test]
    fn what_must_never_be_collected_is_open_to_no_purpose() {
        let never = [
            "user.authorization.biometric",
            "user.authorization.credentials",
            "user.authorization.password",
            "user.behavior.browsing_history",
            "user.behavior.search_history",
            "user.biometric",
            "user.children",
            "user.content",
            "user.criminal_history",
            "user.demographic.political_opinion",
            "user.demographic.race_ethnicity",
            "user.demographic.religious_belief",
            "user.demographic.sexual_orientation",
            "user.demographic.union_membership",
            "user.financial.bank_account",
            "user.financial.credit_card",
            "user.government_id",
            "user.health",
        ];
        for key in never {
            let parts: Vec<_> = CATEGORIES.iter().filter(|(part, _)| part.starts_with(key)).collect();
            assert!(parts.iter().any(|(part, _)| *part == key), "{key} is no category");
            assert!(parts.iter().all(|(_, allowed)| *allowed == PurposeSet::NONE), "{key} is open to a purpose");
        }
    }

    /// Parts that say less about a person than the category as a whole.
    const NARROWED: &[&str] =
        &["user.contact.address.country", "user.demographic.age_range", "user.demographic.language"];
}
