//! Every way a record can end that is not a row: a closed list, the same in metrics, coverage and `explain`.

macro_rules! closed_list {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $code:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum $name { $($(#[$vdoc])* $variant,)* }

        impl $name {
            /// Every value, in the order of [`Self::index`].
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Returns the code that metrics, coverage and messages use.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }

            /// Returns the value of this exact code.
            pub fn parse(code: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| value.code() == code)
            }

            /// Returns the place in [`Self::ALL`].
            pub const fn index(self) -> usize {
                #[expect(clippy::as_conversions, reason = "a field-less enum with repr(u8) is its index")]
                let index = self as usize;
                index
            }
        }
    };
}

closed_list! {
    /// Why a rule said no to an event for a purpose.
    DenyReason {
        /// No field of the contract may serve the purpose.
        NotDeclared = "not_declared",
        /// The producer's `purposes` attribute leaves the purpose out.
        NarrowedByProducer = "narrowed_by_producer",
        /// Global Privacy Control (`secgpc` = 1) denies personalization.
        Gpc = "gpc",
        /// The contract's `expires` has passed.
        ContractExpired = "contract_expired",
        /// The event names no subject, or not as text or integer.
        NoSubject = "no_subject",
        /// The tenant has not agreed to the purpose.
        NoTenantAgreement = "no_tenant_agreement",
        /// Nobody asked the person yet: unknown means no.
        NoConsentRecord = "no_consent_record",
        /// Consent was requested and not answered.
        ConsentRequested = "consent_requested",
        /// The person put the answer off.
        ConsentDeferred = "consent_deferred",
        /// The person said no.
        ConsentRefused = "consent_refused",
        /// The consent's time is over.
        ConsentExpired = "consent_expired",
        /// The person took the consent back.
        ConsentWithdrawn = "consent_withdrawn",
        /// Another party took the consent back.
        ConsentRevoked = "consent_revoked",
        /// The consent was found void.
        ConsentInvalidated = "consent_invalidated",
        /// The event is older than the consent.
        ConsentAfterEvent = "consent_after_event",
        /// The tenant's data may not live in this region.
        Region = "region",
        /// The event's time lies outside what the purpose keeps, or in the future.
        TimeOutOfRange = "time_out_of_range",
        /// The pseudonym secret of the event's time is destroyed.
        EpochClosed = "epoch_closed",
        /// Consent ended between the filter and the commit.
        WithdrawnBeforeCommit = "withdrawn_before_commit",
        /// The person was erased after the event.
        Erased = "erased",
        /// An operator skips this table (`lake.skip` in the configuration).
        TableRefused = "table_refused",
    }
}

closed_list! {
    /// Why a record could not be read; with [`NoContract`](Self::NoContract), every reason for quarantine.
    MalformedCode {
        /// Not JSON as RFC 8259 defines it, or not an object.
        Json = "json",
        /// Not UTF-8.
        Utf8 = "utf8",
        /// Not a CloudEvents 1.0 envelope with the attributes that weir requires.
        Envelope = "envelope",
        /// A declared key or attribute stands twice.
        DuplicateKey = "duplicate_key",
        /// More bytes than `limits.record_bytes`.
        TooLarge = "too_large",
        /// Nested deeper than `limits.depth`.
        TooDeep = "too_deep",
        /// More fields than `limits.fields`.
        TooManyFields = "too_many_fields",
        /// An array longer than `limits.array_items`.
        TooManyItems = "too_many_items",
        /// `time` is absent or not RFC 3339.
        Time = "time",
        /// No value: a tombstone or an empty record.
        Empty = "empty",
        /// In clear, in a topic whose events must be sealed.
        NotSealed = "not_sealed",
        /// Of a tenant whose events its topic does not carry.
        ForeignTenant = "foreign_tenant",
        /// Sealed data is not the one kind of JWE that weir reads.
        SealForm = "seal_form",
        /// Sealed to a key that the ring does not have, or not any more.
        SealKey = "seal_key",
        /// Sealed for an event with other attributes.
        SealEvent = "seal_event",
        /// Sealed data was changed, or not sealed with the key that it names.
        SealBroken = "seal_broken",
        /// Readable, but no contract declares the event type (or its version): coverage calls it `no_contract`.
        NoContract = "no_contract",
    }
}
