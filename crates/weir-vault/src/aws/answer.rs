//! What AWS answers: refusals are told apart by their kind, and their words are never shown.

use serde::Deserialize;
use weir_keys::version_of;

use crate::http::{Answer, may_pass};

/// What AWS says when it does not do what it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Access,
    Conflict,
    Disabled,
    Exists,
    Foreign,
    Gone,
    Limit,
    Login,
    Other,
    Passing,
    State,
}

/// How a key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Disabled,
    Enabled,
    Ending,
    Passing,
}

#[derive(Deserialize)]
pub(super) struct Refusal<'a> {
    #[serde(rename = "__type", borrow)]
    pub(super) kind: &'a str,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Described {
    pub(super) key_metadata: OfKey,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct OfKey {
    pub(super) key_id: String,
    #[serde(default)]
    pub(super) key_state: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Rotated {
    pub(super) rotations: Vec<serde::de::IgnoredAny>,
    #[serde(default)]
    pub(super) truncated: bool,
    pub(super) next_marker: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Wrapped {
    pub(super) ciphertext_blob: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Opened<'a> {
    #[serde(borrow)]
    pub(super) plaintext: &'a str,
}

/// Returns what an answer means that is none to the question; its words are never shown.
pub(super) fn fault(answer: &Answer) -> Option<Fault> {
    if answer.status.is_success() {
        return None;
    }
    let kind = serde_json::from_slice::<Refusal<'_>>(&answer.body).map_or("", |refusal| refusal.kind);
    let kind = kind.rsplit_once('#').map_or(kind, |(_, kind)| kind);
    Some(match kind {
        "AccessDeniedException" => Fault::Access,
        "ConflictException" => Fault::Conflict,
        "DisabledException" => Fault::Disabled,
        "AlreadyExistsException" => Fault::Exists,
        "InvalidCiphertextException" | "IncorrectKeyException" => Fault::Foreign,
        "NotFoundException" => Fault::Gone,
        "LimitExceededException" => Fault::Limit,
        "ExpiredTokenException"
        | "IncompleteSignatureException"
        | "InvalidClientTokenId"
        | "InvalidSignatureException"
        | "MissingAuthenticationTokenException"
        | "NotAuthorizedException"
        | "RequestExpired"
        | "UnrecognizedClientException" => Fault::Login,
        "DependencyTimeoutException"
        | "KMSInternalException"
        | "KeyUnavailableException"
        | "ServiceUnavailableException"
        | "ThrottlingException" => Fault::Passing,
        "KMSInvalidStateException" => Fault::State,
        _ if may_pass(answer.status) => Fault::Passing,
        _ => Fault::Other,
    })
}

/// Returns what AWS wrapped, out of the text that says by which version.
pub(super) fn blob(wrapped: &str) -> Option<&str> {
    version_of(wrapped)?;
    let (kind, rest) = wrapped.split_once(':')?;
    (kind == KIND).then_some(rest.split_once(':')?.1)
}

/// Returns what policies call the right to an action.
pub(super) fn right(action: &'static str) -> &'static str {
    match action {
        "CreateAlias" => "kms:CreateAlias",
        "CreateKey" => "kms:CreateKey",
        "Decrypt" => "kms:Decrypt",
        "DeleteAlias" => "kms:DeleteAlias",
        "DescribeKey" => "kms:DescribeKey",
        "Encrypt" => "kms:Encrypt",
        "ListKeyRotations" => "kms:ListKeyRotations",
        "ReEncrypt" => "kms:ReEncrypt*",
        "RotateKeyOnDemand" => "kms:RotateKeyOnDemand",
        "ScheduleKeyDeletion" => "kms:ScheduleKeyDeletion",
        other => other,
    }
}

/// What begins a text that was wrapped here.
pub(super) const KIND: &str = "aws-kms";
