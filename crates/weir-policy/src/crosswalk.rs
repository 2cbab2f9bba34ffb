//! The same purposes in the words of others: DPV, ISO/IEC 19944-1, fideslang, IAB TCF; and the words that are refused.
//!
//! A purpose may be described only by words that mean no more than it does. What advertises, markets, sells, shares
//! or trains is refused by name, so that nobody has to argue about it twice.

use crate::purpose::PurposeId;

/// What the terms of the W3C Data Privacy Vocabulary start with.
pub const DPV_BASE: &str = "https://w3id.org/dpv#";

/// The words of other vocabularies that mean one of our purposes.
#[derive(Clone, Copy, Debug)]
pub struct PurposeWords {
    /// Terms of DPV, without [`DPV_BASE`].
    pub dpv: &'static [&'static str],
    /// Clause of ISO/IEC 19944-1.
    pub iso19944: &'static str,
    /// Data uses of fideslang.
    pub fideslang: &'static [&'static str],
    /// Purposes of the IAB Transparency and Consent Framework.
    pub tcf: &'static [u8],
}

/// Returns the words of other vocabularies for `purpose`.
pub const fn words(purpose: PurposeId) -> PurposeWords {
    match purpose {
        PurposeId::Troubleshooting => PurposeWords {
            dpv: &["RepairImpairments", "TechnicalServiceProvision"],
            iso19944: "9.3.2",
            fideslang: &["essential.service.operations.support"],
            tcf: &[],
        },
        PurposeId::Reliability => PurposeWords {
            dpv: &["IncreaseServiceRobustness", "ImproveExistingProductsAndServices", "EnforceSecurity"],
            iso19944: "9.3.3",
            fideslang: &["functional.service.improve", "essential.service.operations.improve"],
            tcf: &[10],
        },
        PurposeId::Personalization => PurposeWords {
            dpv: &["ServicePersonalisation"],
            iso19944: "9.3.4",
            fideslang: &["personalize.system", "personalize.content.limited"],
            tcf: &[11],
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::refused;

    /// What describes a purpose of ours must not be among the words that are refused, in any vocabulary.
    #[test]
    fn no_purpose_is_described_by_a_refused_word() {
        for purpose in PurposeId::ALL {
            let words = words(purpose);
            assert!(words.dpv.iter().all(|term| refused::dpv(term).is_none()));
            assert!(words.fideslang.iter().all(|key| refused::purpose(key).is_none()));
            assert!(words.tcf.iter().all(|number| refused::tcf(u32::from(*number)).is_none()));
            assert_eq!(refused::iso19944(words.iso19944), None);
            assert_eq!(refused::purpose(purpose.name()), None);
        }
    }

    #[test]
    fn no_word_describes_two_purposes() {
        let all = |of: fn(PurposeWords) -> Vec<&'static str>| PurposeId::ALL.map(words).map(of).concat();
        for mut terms in
            [all(|words| words.dpv.to_vec()), all(|words| words.fideslang.to_vec()), all(|words| vec![words.iso19944])]
        {
            let total = terms.len();
            terms.sort_unstable();
            terms.dedup();
            assert_eq!(terms.len(), total);
        }
    }
}
