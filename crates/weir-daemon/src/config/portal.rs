//! `[portal]`: what `weir portal` needs.

use std::net::SocketAddr;
use std::path::PathBuf;

use weir_policy::diagnostic::Diagnostic;
use weir_policy::reader::Section;

use super::if_there;
use super::section::section;

section! {
    /// The page on which people see what is collected and decide: `weir portal`, a process of its own that needs neither keys nor lake.
    /// It needs `[receipts]`, which says who the controller is.
    pub struct PortalRules at "portal" {
        /// A loopback address; a proxy in front of it speaks TLS.
        listen: SocketAddr = required(r#""127.0.0.1:9466""#),
        /// The address that people see, without a path: https, or http to a loopback.
        address: String = required(r#""https://privacy.example.com""#),
        /// Whose signed links let people in: a TOML file. This, `portal.provider`, or both.
        issuers: Option<PathBuf> = proposed(r#""portal-issuers.toml""#),
        /// The API that decisions go to: https, or http to a loopback.
        api: String = required(r#""http://127.0.0.1:9465""#),
        /// The portal's token there, of role "subject-agent": a file that only its owner may read.
        token: PathBuf = required(r#""portal-token""#),
        /// The CA that the certificate of an API with https is of, in PEM.
        ca: Option<PathBuf> = optional(r#""api-ca.pem""#),
    }
}

section! {
    /// Who signs people in with `OpenID` Connect: authorization code flow with PKCE; `https://…/signed-in` is the redirect URI.
    pub struct Provider at "portal.provider" {
        /// The issuer, exactly as it names itself: https, or http to a loopback.
        issuer: String = required(r#""https://login.example.com""#),
        /// The portal, as the provider knows it.
        client_id: String = required(r#""weir-portal""#),
        /// The portal's secret there: a file that only its owner may read. Without it the portal is a public client.
        client_secret: Option<PathBuf> = optional(r#""portal-client-secret""#),
        /// The tenant whose people it signs in.
        tenant: String = required(r#""acme""#),
        /// The claim of the id token that names the person. A mail address or a telephone number counts only where the provider says
        /// that it verified it.
        claim: String = standard(r#""sub""#),
        /// The kind of identifier that the claim is, as contracts name it.
        kind: String = standard(r#""user""#),
        /// The CA that the provider's certificate is of, in PEM; without it, those that the machine trusts.
        ca: Option<PathBuf> = optional(r#""login-ca.pem""#),
    }
}

/// The portal, and who signs people in for it.
#[derive(Clone, Debug, PartialEq)]
pub struct Portal {
    /// Where it listens, and whom it asks.
    pub rules: PortalRules,
    /// Who signs people in; without it, links do.
    pub provider: Option<Provider>,
}

/// Reads the section and checks that nothing of a person crosses a network in clear.
pub(super) fn read(section: &mut Section<'_>) -> Option<Portal> {
    let provider = if_there(section, "provider", Provider::read);
    let portal = PortalRules::read(section)?;
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
    let provider = provider?;
    if portal.issuers.is_none() && provider.is_none() {
        let hint = "name a file of those who sign links in `portal.issuers`, or add `[portal.provider]`";
        return wrong("portal_closed", "nobody could come in", hint);
    }
    if provider.as_ref().is_some_and(|provider| !is_private(&provider.issuer)) {
        let hint = "https, or http to a loopback such as \"http://127.0.0.1:8090\"";
        return wrong("portal_provider", "the secret would cross the network in clear", hint);
    }
    Some(Portal { rules: portal, provider })
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
