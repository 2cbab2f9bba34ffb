//! The uses that are refused by name, wherever a contract or a purpose could bring them in.
//!
//! Advertising, marketing, selling, sharing with third parties and training are not purposes of weir, in no vocabulary
//! and under no other word. A description that speaks of them is refused too: what is written down as a benefit is what
//! people agree to.

use std::ops::Range;

/// A use that is refused, as a message names it.
pub type Use = &'static str;

/// Returns the use that a purpose's name or a key of fideslang stands for, if it is refused.
pub fn purpose(name: &str) -> Option<Use> {
    let matches = |key: &str| name == key || name.strip_prefix(key).is_some_and(|rest| rest.starts_with('.'));
    FIDESLANG.iter().find(|(key, _)| matches(key)).map(|(_, refused)| *refused).or_else(|| dpv(name))
}

/// Returns the use that a term of DPV (without its base) stands for, if it is refused.
pub fn dpv(term: &str) -> Option<Use> {
    DPV.iter().find(|(refused, _)| *refused == term).map(|(_, refused)| *refused)
}

/// Returns the use that a clause of ISO/IEC 19944-1 stands for, if it is refused.
pub fn iso19944(clause: &str) -> Option<Use> {
    ISO19944.iter().find(|(refused, _)| clause.starts_with(refused)).map(|(_, refused)| *refused)
}

/// Returns the use that a purpose of the IAB TCF stands for, if it is refused.
pub fn tcf(number: u32) -> Option<Use> {
    TCF.iter().find(|(refused, _)| *refused == number).map(|(_, refused)| *refused)
}

/// Returns the first words of a text that speak of a refused use, and the use.
pub fn words(text: &str) -> Option<(Range<usize>, Use)> {
    let words = split(text);
    (0..words.len()).find_map(|at| {
        let word = |ahead: usize| words.get(at + ahead).map(|(_, word)| word.as_str());
        let phrase = PHRASES.iter().find(|(phrase, _)| {
            phrase.iter().enumerate().all(|(ahead, wanted)| match wanted.strip_suffix('*') {
                Some(prefix) => word(ahead).is_some_and(|word| word.starts_with(prefix)),
                None => word(ahead) == Some(wanted),
            })
        });
        phrase.map(|(phrase, refused)| (words[at].0.start..words[at + phrase.len() - 1].0.end, *refused))
    })
}

/// Splits a text, or a name in camel or snake case, into lower-case words and where they stand.
fn split(text: &str) -> Vec<(Range<usize>, String)> {
    let mut words: Vec<(Range<usize>, String)> = Vec::new();
    let mut before: Option<char> = None;
    for (at, letter) in text.char_indices() {
        let is_inside = before.is_some_and(char::is_alphanumeric);
        let is_hump = before.is_some_and(char::is_lowercase) && letter.is_uppercase();
        if letter.is_alphanumeric() {
            if !is_inside || is_hump {
                words.push((at..at, String::new()));
            }
            let (span, word) = words.last_mut().expect("pushed where a word starts");
            span.end = at + letter.len_utf8();
            word.extend(letter.to_lowercase());
        }
        before = Some(letter);
    }
    words
}

const ADVERTISING: Use = "advertising";
const MARKETING: Use = "marketing";
const PROFILING: Use = "profiling for third parties";
const RESEARCH: Use = "market research";
const SELLING: Use = "selling";
const SHARING: Use = "sharing with third parties";
const TRAINING: Use = "training";

const FIDESLANG: &[(&str, Use)] = &[
    ("marketing.advertising", ADVERTISING),
    ("marketing", MARKETING),
    ("advertising", ADVERTISING),
    ("sales", SELLING),
    ("selling", SELLING),
    ("third_party_sharing", SHARING),
    ("train_ai_system", TRAINING),
    ("training", TRAINING),
    ("profiling", PROFILING),
];

/// Of DPV 2.3: `Marketing` and what is below it, `CommercialResearch`, and the terms for selling.
const DPV: &[(&str, Use)] = &[
    ("Advertising", ADVERTISING),
    ("CommercialResearch", RESEARCH),
    ("DirectMarketing", MARKETING),
    ("Marketing", MARKETING),
    ("PersonalisedAdvertising", ADVERTISING),
    ("PoliticalCampaign", ADVERTISING),
    ("PublicRelations", MARKETING),
    ("RecruitmentAdvertising", ADVERTISING),
    ("RecruitmentTargetedAdvertising", ADVERTISING),
    ("SellDataToThirdParties", SELLING),
    ("SellInsightsFromData", SELLING),
    ("SellProducts", SELLING),
    ("SellProductsToDataSubject", SELLING),
    ("SocialMediaMarketing", MARKETING),
    ("TargetedAdvertising", ADVERTISING),
];

const ISO19944: &[(&str, Use)] = &[("9.3.5", SELLING), ("9.3.6", MARKETING)];

/// Limited and personalised advertising, its profiles and its measurement; market research.
const TCF: &[(u32, Use)] = &[(2, ADVERTISING), (3, PROFILING), (4, ADVERTISING), (7, ADVERTISING), (9, RESEARCH)];

/// Words in sequence, lower case; `*` stands for any ending. Words with an innocent sense (a sale price, a CPU profile,
/// a train) are refused in the company that gives them the other one.
const PHRASES: &[(&[&str], Use)] = &[
    (&["ad"], ADVERTISING),
    (&["ads"], ADVERTISING),
    (&["adtech"], ADVERTISING),
    (&["advert*"], ADVERTISING),
    (&["retarget*"], ADVERTISING),
    (&["lookalike*"], ADVERTISING),
    (&["marketing"], MARKETING),
    (&["marketer*"], MARKETING),
    (&["remarket*"], MARKETING),
    (&["market", "research"], RESEARCH),
    (&["commercial", "research"], RESEARCH),
    (&["sell"], SELLING),
    (&["sells"], SELLING),
    (&["selling"], SELLING),
    (&["sold", "to"], SELLING),
    (&["resell*"], SELLING),
    (&["resale"], SELLING),
    (&["upsell*"], SELLING),
    (&["monetis*"], SELLING),
    (&["monetiz*"], SELLING),
    (&["data", "broker*"], SELLING),
    (&["third", "party", "sharing"], SHARING),
    (&["share", "with", "third"], SHARING),
    (&["shared", "with", "third"], SHARING),
    (&["sharing", "with", "third"], SHARING),
    (&["profil*", "for", "third"], PROFILING),
    (&["third", "party", "profil*"], PROFILING),
    (&["train", "ai"], TRAINING),
    (&["train", "model*"], TRAINING),
    (&["train", "a", "model*"], TRAINING),
    (&["train", "our", "model*"], TRAINING),
    (&["train", "the", "model*"], TRAINING),
    (&["training"], TRAINING),
    (&["trained"], TRAINING),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refused_uses_are_found_under_every_name() {
        for name in [
            "marketing",
            "marketing.communications.sms",
            "sales",
            "third_party_sharing.legal_obligation",
            "train_ai_system",
        ] {
            assert!(purpose(name).is_some(), "{name}");
        }
        assert!(["Marketing", "TargetedAdvertising", "CommercialResearch"].into_iter().all(|term| dpv(term).is_some()));
        assert!(["9.3.5", "9.3.6"].into_iter().all(|clause| iso19944(clause).is_some()));
        assert_eq!((1..=11).filter(|number| tcf(*number).is_some()).collect::<Vec<_>>(), [2, 3, 4, 7, 9]);
    }

    #[test]
    fn texts_that_speak_of_a_refused_use_are_found_and_innocent_ones_are_not() {
        for text in [
            "Shows better ads.",
            "adTargeting.id",
            "for third_party_sharing",
            "to train our models",
            "Used in marketing",
        ] {
            assert!(words(text).is_some(), "{text}");
        }
        for text in
            ["loads the address", "sale.price", "the train was late", "CPU profile", "sold out", "which market it is"]
        {
            assert_eq!(words(text), None, "{text}");
        }
        assert_eq!(words("may be sold to others"), Some((7..14, SELLING)));
    }
}
