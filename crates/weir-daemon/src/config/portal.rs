//! `[portal]`: what `weir portal` needs.

use std::net::SocketAddr;
use std::path::PathBuf;

use weir_policy::diagnostic::Diagnostic;
use weir_policy::reader::Section;

use super::section::section;

section! {
    /// The page on which people see what is collected and decide: `weir portal`, a process of its own that needs neither keys nor lake.
    /// It needs `[receipts]`, which says who the controller is.
    pub struct Portal at "portal" {
        /// A loopback address; a proxy in front of it speaks TLS.
        listen: SocketAddr = required(r#""127.0.0.1:9466""#),
        /// The address that people see, without a path: https, or http to a loopback.
        address: String = required(r#""https://privacy.example.com""#),
        /// Whose signed links let people in: a TOML file.
        issuers: PathBuf = required(r#""portal-issuers.toml""#),
        /// The API that decisions go to: https, or http to a loopback.
        api: String = required(r#""http://127.0.0.1:9465""#),
        /// The portal's token there, of role "subject-agent": a file that only its owner may read.
        token: PathBuf = required(r#""portal-token""#),
        /// The CA that the certificate of an API with https is of, in PEM.
        ca: Option<PathBuf> = optional(r#""api-ca.pem""#),
    }
}

/// Reads the section and checks that nothing of a person crosses a network in clear.
pub(super) fn read(section: &mut Section<'_>) -> Option<Portal> {
    let portal = Portal::read(section)?;
    let wrong = |code, message, hint| {
        section.faults().add(Diagnostic::error(section.place(), code, message).hint(hint));
        None
    };
    if !portal.listen.ip().is_loopback() {
        let hint = "listen on a loopback such as \"127.0.0.1:9466\", with a proxy in front that speaks TLS";
        return wrong("portal_without_tls", "names and decisions would cross the network in clear", hint);
    }
    if !is_private(&portal.address) || portal.address.matches('/').count() != 2 {
        let hint = "scheme, host and port as the browser has them, such as \"https://privacy.example.com\"";
        return wrong("portal_address", "`portal.address` is no address with https, or has a path", hint);
    }
    if !is_private(&portal.api) {
        let hint = "https, or http to a loopback such as \"http://127.0.0.1:9465\"";
        return wrong("portal_api", "decisions would cross the network in clear", hint);
    }
    if portal.api.starts_with("https://") && portal.ca.is_none() {
        let hint = "name the CA that its certificate is of in `portal.ca`";
        return wrong("portal_ca", "the API's certificate could not be checked", hint);
    }
    Some(portal)
}

/// Tells whether an address is of https, or of http to this machine.
fn is_private(address: &str) -> bool {
    if address.starts_with("https://") {
        return true;
    }
    let Some(authority) = address.strip_prefix("http://").and_then(|rest| rest.split('/').next()) else { return false };
    let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
    ["127.0.0.1", "[::1]", "localhost"].contains(&host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_tls_and_loopbacks_are_private() {
        for address in ["https://a.example", "http://127.0.0.1:9465", "http://[::1]:1", "http://localhost"] {
            assert!(is_private(address), "{address}");
        }
        for address in ["http://a.example", "http://127.0.0.1.example", "http://localhost.example:80", "ftp://a", ""] {
            assert!(!is_private(address), "{address}");
        }
    }
}
