//! What the file of an epoch says of itself: `<purpose>/<epoch>/<days of the epoch>`.

use weir_policy::PurposeId;

/// What an epoch's file says of itself.
#[derive(Clone, Copy)]
pub(super) struct EpochName {
    pub(super) purpose: PurposeId,
    pub(super) epoch: i32,
    pub(super) days: u32,
}

impl EpochName {
    pub(super) fn text(self) -> String {
        format!("{}/{}/{}", self.purpose.name(), self.epoch, self.days)
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('/');
        let name = Self {
            purpose: PurposeId::parse(parts.next()?)?,
            epoch: parts.next()?.parse().ok()?,
            days: parts.next()?.parse().ok()?,
        };
        (name.text() == text).then_some(name)
    }
}
