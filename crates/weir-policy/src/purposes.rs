//! What the three purposes mean here: lawful basis, retention, epochs, precision, recipients.

use crate::purpose::PurposeId;

/// The rules of the three purposes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Purposes {
    pub(crate) rules: [PurposeRules; 3],
}

/// The rules of one purpose, as `config/purposes.toml` states them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PurposeRules {
    /// What the data is used for, in a sentence that a person can agree to.
    pub description: String,
    /// IRIs of the W3C Data Privacy Vocabulary.
    pub dpv: Vec<String>,
    /// Clause of ISO/IEC 19944-1.
    pub iso19944: String,
    /// Data uses of fideslang.
    pub fideslang: Vec<String>,
    /// Why the law allows it.
    pub lawful_basis: LawfulBasis,
    /// Days after which a row is deleted.
    pub retention_days: u32,
    /// Days for which one pseudonym key serves.
    pub epoch_days: u32,
    /// What times are rounded down to.
    pub time_precision: TimePrecision,
    /// Who may read the tables.
    pub recipients: Vec<String>,
}

impl Purposes {
    /// Returns the rules of `purpose`.
    pub fn rules(&self, purpose: PurposeId) -> &PurposeRules {
        &self.rules[purpose.index()]
    }

    /// Tells whether the purpose takes nothing of a person who did not agree. Personalization never does, whatever a file says: the
    /// policy refuses another basis, and so does this.
    pub fn needs_consent(&self, purpose: PurposeId) -> bool {
        purpose == PurposeId::Personalization || self.rules(purpose).lawful_basis == LawfulBasis::Consent
    }

    /// Returns the same rules but for one purpose.
    #[must_use]
    pub fn with(mut self, purpose: PurposeId, rules: PurposeRules) -> Self {
        self.rules[purpose.index()] = rules;
        self
    }

    /// Returns the pseudonym epoch in which an instant lies.
    pub fn epoch(&self, purpose: PurposeId, time_ms: i64) -> i32 {
        let epoch = time_ms.div_euclid(self.epoch_ms(purpose));
        i32::try_from(epoch).unwrap_or(if epoch < 0 { i32::MIN } else { i32::MAX })
    }

    /// Returns the first instant after an epoch, in milliseconds since 1970.
    pub fn epoch_end_ms(&self, purpose: PurposeId, epoch: i32) -> i64 {
        (i64::from(epoch) + 1).saturating_mul(self.epoch_ms(purpose))
    }

    /// Returns how long a row is kept.
    pub fn retention_ms(&self, purpose: PurposeId) -> i64 {
        i64::from(self.rules(purpose).retention_days) * DAY_MS
    }

    /// Returns the instant, in µs since 1970, rounded down to what the purpose may know.
    pub fn floor_time(&self, purpose: PurposeId, time_us: i64) -> i64 {
        self.rules(purpose).time_precision.floor(time_us)
    }

    fn epoch_ms(&self, purpose: PurposeId) -> i64 {
        i64::from(self.rules(purpose).epoch_days) * DAY_MS
    }
}

/// The lawful bases that a purpose can rest on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LawfulBasis {
    /// The person said yes (GDPR Art. 6(1)(a)).
    Consent,
    /// A contract with the person needs it (Art. 6(1)(b)).
    Contract,
    /// An interest that the person's does not override (Art. 6(1)(f)).
    LegitimateInterests,
}

impl LawfulBasis {
    /// Every basis.
    pub const ALL: [Self; 3] = [Self::Consent, Self::Contract, Self::LegitimateInterests];

    /// Returns the word used in `purposes.toml`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Consent => "consent",
            Self::Contract => "contract",
            Self::LegitimateInterests => "legitimate_interests",
        }
    }

    /// Returns the basis of this exact name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|basis| basis.name() == name)
    }
}

/// What a time is rounded down to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TimePrecision {
    /// A second.
    Second,
    /// A minute.
    Minute,
    /// An hour.
    Hour,
    /// A day of UTC.
    Day,
}

impl TimePrecision {
    /// Every precision, finest first.
    pub const ALL: [Self; 4] = [Self::Second, Self::Minute, Self::Hour, Self::Day];

    /// Returns the word used in `purposes.toml` and contracts.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Second => "second",
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }

    /// Returns the precision of this exact name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|precision| precision.name() == name)
    }

    /// Returns the length in µs.
    pub const fn micros(self) -> i64 {
        match self {
            Self::Second => 1_000_000,
            Self::Minute => 60_000_000,
            Self::Hour => 3_600_000_000,
            Self::Day => 86_400_000_000,
        }
    }

    /// Returns an instant in µs, rounded down, towards −∞.
    pub const fn floor(self, time_us: i64) -> i64 {
        time_us.saturating_sub(time_us.rem_euclid(self.micros()))
    }
}

/// The rules that ship, used for whatever `purposes.toml` leaves out.
impl Default for Purposes {
    fn default() -> Self {
        Self { rules: PurposeId::ALL.map(PurposeRules::shipped) }
    }
}

impl PurposeRules {
    fn shipped(purpose: PurposeId) -> Self {
        let words = crate::crosswalk::words(purpose);
        let (description, retention_days, epoch_days, time_precision) = match purpose {
            PurposeId::Troubleshooting => {
                ("Finding, explaining and repairing what went wrong for you.", 30, 7, TimePrecision::Minute)
            }
            PurposeId::Reliability => {
                ("Improving the features that you use, and protecting them.", 395, 90, TimePrecision::Hour)
            }
            PurposeId::Personalization => {
                ("Adapting the service to you, inside the service only.", 180, 180, TimePrecision::Day)
            }
        };
        Self {
            description: description.to_owned(),
            dpv: words.dpv.iter().map(|term| format!("{}{term}", crate::crosswalk::DPV_BASE)).collect(),
            iso19944: words.iso19944.to_owned(),
            fideslang: words.fideslang.iter().map(|&key| key.to_owned()).collect(),
            lawful_basis: LawfulBasis::Consent,
            retention_days,
            epoch_days,
            time_precision,
            recipients: Vec::new(),
        }
    }
}

const DAY_MS: i64 = 86_400_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epochs_follow_each_other_without_a_gap() {
        let purposes = Purposes::default();
        for purpose in PurposeId::ALL {
            for time_ms in [-1, 0, 1_795_428_930_123] {
                let epoch = purposes.epoch(purpose, time_ms);
                let end = purposes.epoch_end_ms(purpose, epoch);
                assert_eq!(purposes.epoch(purpose, end - 1), epoch);
                assert_eq!(purposes.epoch(purpose, end), epoch + 1);
            }
        }
    }

    #[test]
    fn a_purpose_knows_times_no_finer_than_its_precision() {
        let purposes = Purposes::default();
        let time_us = 1_795_428_930_123_456;
        let floored = PurposeId::ALL.map(|purpose| crate::values::time::render(purposes.floor_time(purpose, time_us)));
        assert_eq!(floored, ["2026-11-23T10:15:00Z", "2026-11-23T10:00:00Z", "2026-11-23T00:00:00Z"]);
        assert_eq!(purposes.floor_time(PurposeId::Troubleshooting, -1), -60_000_000);
    }
}
