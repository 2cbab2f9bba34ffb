//! `[api]`: who may ask the daemon, and for how much.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use weir_policy::diagnostic::Diagnostic;
use weir_policy::reader::Section;

use super::section::section;
use super::{Count, if_there};

section! {
    /// The API below /v1: decisions in, and looked up; copies and erasures. Without this section there is none. It needs `consent.topic`.
    pub struct ApiRules at "api" {
        /// Address and port; a loopback unless there is `api.tls`.
        listen: SocketAddr = required(r#""127.0.0.1:9465""#),
        /// Who may ask, and for which tenants: a TOML file that only its owner may read. Read anew at SIGHUP.
        tokens: PathBuf = required(r#""api-tokens.toml""#),
        /// How long a decision may wait for all replicas; after that it is unknown whether it will count.
        deadline: Duration = standard(r#""10s""#),
        /// Most connections at once; more wait outside.
        connections: Count = standard("256"),
        /// So many decisions about one person or tenant may come at once.
        person_burst: Count = standard("20"),
        /// After them comes one each such time; a no has an account of its own.
        person_every: Duration = standard(r#""10s""#),
        /// Where the answers to /v1/access-requests lie until they are fetched or their time is over: files without a name, gone with the
        /// process. Sealed in it, and there after a restart, are erasures that have not ended. Each daemon has its own. Without it
        /// nobody gets a copy, or is erased, through the API.
        answers: Option<PathBuf> = proposed(r#""answers""#),
        /// How long an answer may be fetched.
        answers_kept: Duration = standard(r#""1h""#),
    }
}

section! {
    /// TLS 1.3 of the API. Read anew at SIGHUP.
    pub struct ApiTls at "api.tls" {
        /// The certificate of the API and those between it and its CA, in PEM.
        certificate: PathBuf = required(r#""api.pem""#),
        /// Its private key, in PEM; only its owner may read it.
        key: PathBuf = required(r#""api-key.pem""#),
        /// The CA that clients' certificates must be of; with it, nobody without one is listened to.
        client_ca: Option<PathBuf> = optional(r#""clients-ca.pem""#),
    }
}

/// The API, and how connections to it are secured.
#[derive(Clone, Debug, PartialEq)]
pub struct Api {
    /// Where it listens, to whom, and how much it takes.
    pub rules: ApiRules,
    /// Its TLS; without it, it listens on a loopback.
    pub tls: Option<ApiTls>,
}

/// Reads the section; without TLS nothing crosses a network.
pub(super) fn read(section: &mut Section<'_>) -> Option<Api> {
    let tls = if_there(section, "tls", ApiTls::read);
    let rules = ApiRules::read(section)?;
    if matches!(tls, Some(None)) && !rules.listen.ip().is_loopback() {
        let message = "tokens and names would cross the network in clear: `api` has no `tls`";
        let fault = Diagnostic::error(section.place(), "api_without_tls", message);
        section.faults().add(fault.hint("add `api.tls`, or listen on a loopback such as \"127.0.0.1:9465\""));
        return None;
    }
    Some(Api { rules, tls: tls? })
}
