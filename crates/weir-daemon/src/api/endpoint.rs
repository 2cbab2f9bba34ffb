//! The endpoints: paths, methods and the words of metrics.

use hyper::Method;

use crate::api::rights::{Right, is_word};

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Endpoint {
    /// The copy that was asked for.
    AccessAnswer,
    /// How a request for a copy stands.
    AccessRequest,
    /// Asks for a copy of what is kept about a person.
    AccessRequests,
    /// Decides over a tenant's agreement.
    Agreements,
    /// Looks a tenant's agreement up.
    AgreementsLookup,
    /// Decides over a person's consent.
    Consents,
    /// Looks a person's consent up.
    ConsentsLookup,
    /// Describes the API.
    Document,
    /// How a request for erasure stands.
    Erasure,
    /// The receipt of an erasure.
    ErasureReceipt,
    /// Asks that everything about a person goes.
    Erasures,
}

impl Endpoint {
    /// Every endpoint.
    pub(crate) const ALL: [Self; 11] = [
        Self::AccessAnswer,
        Self::AccessRequest,
        Self::AccessRequests,
        Self::Agreements,
        Self::AgreementsLookup,
        Self::Consents,
        Self::ConsentsLookup,
        Self::Document,
        Self::Erasure,
        Self::ErasureReceipt,
        Self::Erasures,
    ];

    /// Finds the endpoint of a path, and the word of the request that the path names.
    pub(crate) fn of(path: &str) -> Option<(Self, &str)> {
        Self::ALL.into_iter().find_map(|endpoint| Some((endpoint, endpoint.word_in(path)?)))
    }

    fn word_in(self, path: &str) -> Option<&str> {
        let Some((before, after)) = self.path().split_once(WORD) else { return (self.path() == path).then_some("") };
        path.strip_prefix(before)?.strip_suffix(after).filter(|word| is_word(word))
    }

    /// Returns the path; `{request}` stands for the word of a request.
    pub(crate) const fn path(self) -> &'static str {
        match self {
            Self::AccessAnswer => "/v1/access-requests/{request}/answer",
            Self::AccessRequest => "/v1/access-requests/{request}",
            Self::AccessRequests => "/v1/access-requests",
            Self::Agreements => "/v1/agreements",
            Self::AgreementsLookup => "/v1/agreements/lookup",
            Self::Consents => "/v1/consents",
            Self::ConsentsLookup => "/v1/consents/lookup",
            Self::Document => "/v1/openapi.json",
            Self::Erasure => "/v1/erasures/{request}",
            Self::ErasureReceipt => "/v1/erasures/{request}/receipt",
            Self::Erasures => "/v1/erasures",
        }
    }

    /// Returns the word of the document.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::AccessAnswer => "access_answer",
            Self::AccessRequest => "access_request",
            Self::AccessRequests => "access_requests",
            Self::Agreements => "agreements",
            Self::AgreementsLookup => "agreements_lookup",
            Self::Consents => "consents",
            Self::ConsentsLookup => "consents_lookup",
            Self::Document => "openapi",
            Self::Erasure => "erasure",
            Self::ErasureReceipt => "erasure_receipt",
            Self::Erasures => "erasures",
        }
    }

    /// Returns the word of the metrics: one for all rights, because a count of erasures would date somebody's.
    pub(crate) const fn metric(self) -> &'static str {
        if self.right().is_some() { "rights" } else { self.name() }
    }

    /// Returns the right that it is about; none for decisions.
    pub(crate) const fn right(self) -> Option<Right> {
        match self {
            Self::AccessAnswer | Self::AccessRequest | Self::AccessRequests => Some(Right::Access),
            Self::Erasure | Self::ErasureReceipt | Self::Erasures => Some(Right::Erasure),
            Self::Agreements | Self::AgreementsLookup | Self::Consents | Self::ConsentsLookup | Self::Document => None,
        }
    }

    /// Tells whether it begins something, so that an `Idempotency-Key` means something.
    pub(crate) const fn begins(self) -> bool {
        matches!(self, Self::AccessRequests | Self::Agreements | Self::Consents | Self::Erasures)
    }

    /// Returns the method: looking a person up is a POST too, because its body names them.
    pub(crate) const fn method(self) -> Method {
        match self {
            Self::AccessRequests
            | Self::Agreements
            | Self::AgreementsLookup
            | Self::Consents
            | Self::ConsentsLookup
            | Self::Erasures => Method::POST,
            Self::AccessAnswer | Self::AccessRequest | Self::Document | Self::Erasure | Self::ErasureReceipt => {
                Method::GET
            }
        }
    }
}

const WORD: &str = "{request}";
