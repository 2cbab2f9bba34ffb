//! Why a record of the inbox is refused; codes only, nothing of the record.

/// Why a record of the inbox is refused; a closed list, the label of a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum InboxFault {
    /// A record without a value: a choice is never a tombstone.
    #[error("the record is empty")]
    Empty,
    /// More than ten minutes ahead of our clock.
    #[error("`at` or `erased_before` lies more than ten minutes ahead")]
    Future,
    /// Not a JSON object of the members that weir knows, each once and of its type.
    #[error("the record is not a JSON object with the members of a consent record")]
    Json,
    /// The message's key names somebody else.
    #[error("the message's key names another person or tenant than the record")]
    Key,
    /// The kind cannot be one.
    #[error("`kind` is not a short word in lower case")]
    Kind,
    /// The purpose is none of the three.
    #[error("`purpose` is none of weir's")]
    Purpose,
    /// The regions cannot be some, or stand in a person's record.
    #[error("`regions` is not a list of short words in lower case, or stands in a person's record")]
    Regions,
    /// Members that belong together do not stand together.
    #[error("members are missing, or contradict each other")]
    Shape,
    /// The state is none of DPV's.
    #[error("`status` is no state of consent")]
    Status,
    /// The identifier is empty or too long.
    #[error("`subject` is empty or too long")]
    Subject,
    /// The tenant's name cannot be one.
    #[error("`tenant` cannot be a tenant's name")]
    Tenant,
    /// An instant is not RFC 3339, or before 1970.
    #[error("an instant is not RFC 3339, or lies before 1970")]
    Time,
    /// More bytes than a record needs.
    #[error("the record is too large")]
    TooLarge,
}

impl InboxFault {
    /// Every fault.
    pub const ALL: [Self; 13] = [
        Self::Empty,
        Self::Future,
        Self::Json,
        Self::Key,
        Self::Kind,
        Self::Purpose,
        Self::Regions,
        Self::Shape,
        Self::Status,
        Self::Subject,
        Self::Tenant,
        Self::Time,
        Self::TooLarge,
    ];

    /// Returns the code for metrics and messages.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Future => "future",
            Self::Json => "json",
            Self::Key => "key",
            Self::Kind => "kind",
            Self::Purpose => "purpose",
            Self::Regions => "regions",
            Self::Shape => "shape",
            Self::Status => "status",
            Self::Subject => "subject",
            Self::Tenant => "tenant",
            Self::Time => "time",
            Self::TooLarge => "too_large",
        }
    }
}
