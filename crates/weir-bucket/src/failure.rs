//! What went wrong at the store, in words of our own.
//!
//! The texts of the client quote addresses, and whole answers: some stores answer a wrong signature with all that was signed.

use std::error::Error;
use std::io;

use object_store::Error as StoreError;
use object_store::client::{HttpError, HttpErrorKind};

use crate::confirm::Unconfirmed;

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Failure(String);

/// Says the same without what the client quotes.
pub(crate) fn told(error: StoreError) -> StoreError {
    let source = Box::new(Failure(why(&error)));
    match error {
        StoreError::AlreadyExists { path, .. } => StoreError::AlreadyExists { path, source },
        StoreError::NotFound { path, .. } => StoreError::NotFound { path, source },
        StoreError::NotModified { path, .. } => StoreError::NotModified { path, source },
        StoreError::PermissionDenied { path, .. } => StoreError::PermissionDenied { path, source },
        StoreError::Precondition { path, .. } => StoreError::Precondition { path, source },
        StoreError::Unauthenticated { path, .. } => StoreError::Unauthenticated { path, source },
        StoreError::Generic { .. }
        | StoreError::InvalidPath { .. }
        | StoreError::JoinError { .. }
        | StoreError::NotImplemented { .. }
        | StoreError::NotSupported { .. }
        | StoreError::UnknownConfigurationKey { .. }
        | _ => StoreError::Generic { store: "s3", source },
    }
}

/// Says the same as an error of a file.
pub(crate) fn io(error: &StoreError) -> io::Error {
    let kind = match error {
        StoreError::AlreadyExists { .. } => io::ErrorKind::AlreadyExists,
        StoreError::NotFound { .. } => io::ErrorKind::NotFound,
        StoreError::PermissionDenied { .. } | StoreError::Unauthenticated { .. } => io::ErrorKind::PermissionDenied,
        StoreError::Precondition { .. } => io::ErrorKind::ResourceBusy,
        StoreError::Generic { .. }
        | StoreError::InvalidPath { .. }
        | StoreError::JoinError { .. }
        | StoreError::NotImplemented { .. }
        | StoreError::NotModified { .. }
        | StoreError::NotSupported { .. }
        | StoreError::UnknownConfigurationKey { .. }
        | _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, Failure(why(error)))
}

/// Tells whether an answer did not confirm what was demanded of it.
pub(crate) fn is_unconfirmed(error: &StoreError) -> bool {
    causes(error).any(<dyn Error>::is::<Unconfirmed>)
}

fn why(error: &(dyn Error + 'static)) -> String {
    let own = causes(error).find(|cause| cause.is::<Unconfirmed>() || cause.is::<Failure>());
    if let Some(own) = own {
        return own.to_string();
    }
    if let Some(credentials) = causes(error).find(|cause| cause.to_string().starts_with("Generic credentials error")) {
        return credentials.source().map_or_else(String::new, ToString::to_string);
    }
    if let Some(http) = causes(error).find_map(|cause| cause.downcast_ref::<HttpError>()) {
        return no_answer(http);
    }
    let text = error.to_string();
    let status = text.split("status code: ").nth(1).and_then(|rest| rest.get(..3));
    let code = text.split("<Code>").nth(1).and_then(|rest| rest.split("</Code>").next());
    let is_number = |number: &&str| number.bytes().all(|c| c.is_ascii_digit());
    let is_word = |word: &&str| word.len() <= CODE_MAX && word.bytes().all(|c| c.is_ascii_alphanumeric());
    match (status.filter(is_number), code.filter(is_word)) {
        (Some(status), Some(code)) => format!("the store answered {status} {code}"),
        (Some(status), None) => format!("the store answered {status}"),
        (None, Some(code)) => format!("the store answered {code}"),
        (None, None) => "the store did not do what it was asked".to_owned(),
    }
}

fn no_answer(http: &HttpError) -> String {
    let what = match http.kind() {
        HttpErrorKind::Connect => "no connection to the store",
        HttpErrorKind::Timeout => "the store did not answer in time",
        HttpErrorKind::Interrupted | HttpErrorKind::Request => "the connection to the store broke off",
        HttpErrorKind::Decode | HttpErrorKind::Unknown | _ => "the store gave no answer that can be read",
    };
    let system = causes(http)
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .find(|error| error.raw_os_error().is_some())
        .map(ToString::to_string);
    let last = causes(http).last().map(ToString::to_string).filter(|text| text.starts_with("invalid peer certificate"));
    match system.or(last) {
        Some(why) => format!("{what}: {why}"),
        None => what.to_owned(),
    }
}

fn causes<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| {
        let error: &'e (dyn Error + 'static) = *error;
        error.source()
    })
}

/// Longer words than `XAmzContentSHA256Mismatch` are no codes.
const CODE_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_answer_is_quoted() {
        let answer = "Server returned non-2xx status code: 403 Forbidden: <Code>SignatureDoesNotMatch</Code><StringToSign>hunter2";
        let error = StoreError::PermissionDenied { path: "a/b".into(), source: answer.into() };
        let told = told(error);
        assert_eq!(io(&told).to_string(), "the store answered 403 SignatureDoesNotMatch");
        assert!(!format!("{told} {told:?}").contains("hunter2"));
        let odd = StoreError::Generic { store: "s3", source: "<Code>a b</Code> status code: https://hunter2".into() };
        assert_eq!(io(&odd).to_string(), "the store did not do what it was asked");
    }
}
