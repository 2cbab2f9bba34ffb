//! Which bucket, and how it is spoken to.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use url::{Host, Url};

use crate::credentials::Credentials;

/// Which bucket, and how it is spoken to. No secret stands in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The bucket.
    pub bucket: String,
    /// What all keys of the lake begin with, without slashes at its ends; empty for the whole bucket.
    pub prefix: String,
    /// Where the store is; without it, Amazon's of the region.
    pub endpoint: Option<Endpoint>,
    /// The region that requests are signed for.
    pub region: String,
    /// Whose requests they are.
    pub credentials: Credentials,
    /// The CA that the store's certificate is of, in PEM; without it, those that the machine trusts.
    pub ca: Option<PathBuf>,
    /// How long one request may take.
    pub timeout: Duration,
    /// The key that the store must encrypt every object with, if it must.
    pub kms_key: Option<String>,
}

/// The address of a store: `https://`, or `http://` on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    text: String,
    is_clear: bool,
}

impl Endpoint {
    /// Reads an address; none where rows would travel in clear, or when there is more in it than a host and a port.
    pub fn parse(text: &str) -> Option<Self> {
        let url = Url::parse(text).ok()?;
        let is_here = match url.host()? {
            Host::Domain(name) => name == "localhost",
            Host::Ipv4(ip) => IpAddr::from(ip).is_loopback(),
            Host::Ipv6(ip) => IpAddr::from(ip).is_loopback(),
        };
        let is_clear = match url.scheme() {
            "https" => false,
            "http" => true,
            _ => return None,
        };
        let is_bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none() && !text.contains('@');
        let text = text.trim_end_matches('/').to_owned();
        (is_bare && (is_here || !is_clear)).then_some(Self { text, is_clear })
    }

    /// Returns it without a slash at its end.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Tells whether it is spoken to without TLS, on this machine.
    pub(crate) const fn is_clear(&self) -> bool {
        self.is_clear
    }
}

/// Tells whether a bucket may have this name.
pub fn is_bucket(name: &str) -> bool {
    let is_inner = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-' || c == b'.';
    let ends = [name.bytes().next(), name.bytes().last()];
    (3..=63).contains(&name.len())
        && name.bytes().all(is_inner)
        && ends.into_iter().flatten().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
        && !name.contains("..")
}

/// Tells whether names such as these mean the same in a URL, in a signature and to every reader: parts of letters, digits, `.`, `_`, `-`
/// and `=`, with a slash between them.
pub fn is_key(key: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '=');
    key.split('/').all(|part| !part.is_empty() && part != "." && part != ".." && part.chars().all(is_plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_never_travel_in_clear() {
        for good in ["https://s3.example.com", "https://10.0.0.1:9000/", "http://127.0.0.1:7070", "http://[::1]:1"] {
            assert_eq!(Endpoint::parse(good).unwrap().text(), good.trim_end_matches('/'));
        }
        assert!(Endpoint::parse("http://localhost:1").unwrap().is_clear());
        for bad in [
            "http://s3.example.com",
            "http://10.0.0.1",
            "http://localhost.example",
            "s3.example.com",
            "ftp://127.0.0.1",
            "https://me:pw@s3.example.com",
            "https://s3.example.com/bucket",
            "",
        ] {
            assert_eq!(Endpoint::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn names_mean_the_same_everywhere() {
        assert!(is_bucket("lake-1.example") && is_key("a/b_c/date=2026-11-23/0.parquet"));
        for bad in ["ab", "Lake", "lake_1", "-lake", "lake-", "a..b", "lake/x", ""] {
            assert!(!is_bucket(bad), "{bad}");
        }
        for bad in ["", "/a", "a/", "a//b", "a b", "a%20b", "..", "a/../b", "ü"] {
            assert!(!is_key(bad), "{bad}");
        }
    }
}
