//! Data categories of fideslang 3.2, and what data of each may serve.
//!
//! A contract names a category for every field that is kept. Some categories are never kept: content, credentials, the
//! special categories of the law, and what identifies a person beyond a pseudonym. They may only be declared as content.

use crate::purpose::{PurposeId, PurposeSet};

/// A data category of fideslang.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Category {
    /// Its key, such as `user.device.ip_address`.
    pub key: &'static str,
    /// The purposes that data of the category may serve; none means that it is never kept.
    pub allowed: PurposeSet,
}

/// Returns the category of a key of fideslang 3.2.
pub fn find(key: &str) -> Option<Category> {
    let place = CATEGORIES.binary_search_by(|(entry, _)| (*entry).cmp(key)).ok()?;
    let (key, allowed) = CATEGORIES[place];
    Some(Category { key, allowed })
}

/// Returns what replaces a key that fideslang retired.
pub fn replacement(key: &str) -> Option<Category> {
    let place = RETIRED.binary_search_by(|(retired, _)| (*retired).cmp(key)).ok()?;
    find(RETIRED[place].1)
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
    ("user.account.username", SERVICE),
    ("user.authorization", SERVICE),
    ("user.authorization.biometrics", NEVER),
    ("user.authorization.credentials", NEVER),
    ("user.authorization.password", NEVER),
    ("user.behavior", ANY),
    ("user.behavior.browsing_history", NEVER),
    ("user.behavior.media_consumption", ANY),
    ("user.behavior.purchase_history", ANY),
    ("user.behavior.search_history", NEVER),
    ("user.biometrics", NEVER),
    ("user.biometrics.fingerprint", NEVER),
    ("user.biometrics.retinal", NEVER),
    ("user.biometrics.voice", NEVER),
    ("user.children", NEVER),
    ("user.children.children_under_thirteen", NEVER),
    ("user.children.thirteen_to_sixteen", NEVER),
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
    ("user.contact.phone_number", SERVICE),
    ("user.contact.social_url", NEVER),
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
    ("user.location", ANY),
    ("user.location.coarse", ANY),
    ("user.location.precise", NEVER),
    ("user.name", NEVER),
    ("user.name.first", NEVER),
    ("user.name.last", NEVER),
    ("user.payment", SERVICE),
    ("user.privacy_preferences", SERVICE),
    ("user.professional_information", SERVICE),
    ("user.professional_information.job_title", SERVICE),
    ("user.professional_information.workplace", SERVICE),
    ("user.settings", ANY),
    ("user.social_activity", SERVICE),
    ("user.unique_id", ANY),
    ("user.unique_id.deterministic", ANY),
    ("user.unique_id.probablistic", NEVER),
];

/// Keys that fideslang retired, sorted, and what replaces them.
const RETIRED: &[(&str, &str)] = &[
    ("user.account.settings", "user.settings"),
    ("user.authorization.biometric", "user.authorization.biometrics"),
    ("user.biometric", "user.biometrics"),
    ("user.biometric.fingerprint", "user.biometrics.fingerprint"),
    ("user.biometric.health", "user.biometrics"),
    ("user.biometric.retinal", "user.biometrics.retinal"),
    ("user.biometric.voice", "user.biometrics.voice"),
    ("user.childrens", "user.children"),
    ("user.contact.organization", "user.contact"),
    ("user.contact.url", "user.contact.social_url"),
    ("user.health_and_medical", "user.health"),
    ("user.health_and_medical.genetic", "user.health.genetic"),
    ("user.health_and_medical.insurance_beneficiary_id", "user.health.insurance_beneficiary_id"),
    ("user.health_and_medical.record_id", "user.health.record_id"),
    ("user.job_title", "user.professional_information.job_title"),
    ("user.location.imprecise", "user.location.coarse"),
    ("user.sensor", "user.device.sensor"),
    ("user.social", "user.social_activity"),
    ("user.telemetry", "user.device.telemetry"),
    ("user.unique_id.pseudonymous", "user.unique_id"),
    ("user.user_sensor", "user.device.sensor"),
    ("user.workplace", "user.professional_information.workplace"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_category_is_found_by_its_key() {
        assert!(CATEGORIES.is_sorted() && RETIRED.is_sorted());
        assert!(keys().all(|key| find(key).is_some_and(|category| category.key == key)));
        assert!(RETIRED.iter().all(|(retired, _)| find(retired).is_none() && replacement(retired).is_some()));
    }

    #[test]
    fn content_serves_no_purpose() {
        let content = keys().filter(|key| key.starts_with("user.content"));
        assert_eq!(content.filter(|key| find(key).is_some_and(|category| category.allowed.is_empty())).count(), 4);
    }
}
