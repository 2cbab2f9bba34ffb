//! Which vault, and how weir logs in to it: names and paths, never a secret.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use hyper::Uri;

/// Which vault, which of its keys, and who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where it is.
    pub address: Address,
    /// Where its transit engine is mounted.
    pub mount: String,
    /// What the names of all keys begin with, before a `-`.
    pub prefix: String,
    /// The namespace, for vaults that have them.
    pub namespace: Option<String>,
    /// The CA of the vault's certificate, in PEM; without it, those that the machine trusts.
    pub ca: Option<PathBuf>,
    /// weir's own certificate, for a vault that wants one from everybody, or that logs weir in by it.
    pub certificate: Option<Certificate>,
    /// How weir logs in.
    pub auth: Auth,
    /// How long one request may take.
    pub timeout: Duration,
}

/// A certificate and its key; only the key is a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// The file of the certificate and those that lead to its CA, in PEM.
    pub chain: PathBuf,
    /// The file of its key, in PEM.
    pub key: PathBuf,
}

/// How weir logs in. Every secret is the name of a file, which is read again at each login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Auth {
    /// A role and its secret.
    AppRole {
        /// Where the method is mounted.
        mount: String,
        /// The role's id.
        role: String,
        /// The file of the secret id.
        secret_file: PathBuf,
    },
    /// weir's certificate.
    Certificate {
        /// Where the method is mounted.
        mount: String,
        /// The name of the role; without it the vault picks one that fits.
        role: Option<String>,
    },
    /// A token that somebody else signed, such as Kubernetes for a pod.
    Jwt {
        /// Where the method is mounted.
        mount: String,
        /// The role that it is to be taken for.
        role: String,
        /// Its file.
        file: PathBuf,
        /// Whether the file must be closed to others; Kubernetes mounts it open into a pod that is alone with it.
        is_private: bool,
    },
    /// A token in a file, which something else keeps fresh.
    Token {
        /// The file.
        file: PathBuf,
    },
}

/// The address of a vault: `https://`, or `http://` on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address(String);

impl Address {
    /// Reads an address; none where keys would travel in clear, or when there is more in it than a host and a port.
    pub fn parse(text: &str) -> Option<Self> {
        let uri: Uri = text.parse().ok()?;
        let host = uri.host()?;
        let is_here =
            host == "localhost" || host.trim_matches(['[', ']']).parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
        let is_closed = match uri.scheme_str()? {
            "https" => true,
            "http" => is_here,
            _ => false,
        };
        let is_bare = matches!(uri.path(), "" | "/") && uri.query().is_none() && !text.contains('@');
        (is_closed && is_bare).then(|| Self(text.trim_end_matches('/').to_owned()))
    }

    /// Tells whether both name one place, as far as names say.
    pub fn is_same(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }

    /// Returns it without a slash at its end.
    pub fn text(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_never_travel_in_clear() {
        for good in [
            "https://vault.example.com:8200",
            "https://10.0.0.1/",
            "http://127.0.0.1:8200",
            "http://[::1]:8200",
            "http://localhost",
        ] {
            assert_eq!(
                Address::parse(good).map(|address| address.0),
                Some(good.trim_end_matches('/').to_owned()),
                "{good}"
            );
        }
        for bad in [
            "http://vault.example.com:8200",
            "http://10.0.0.1",
            "vault:8200",
            "ftp://127.0.0.1",
            "https://me:pw@vault",
            "https://v/v1",
            "",
        ] {
            assert_eq!(Address::parse(bad), None, "{bad}");
        }
    }
}
