//! `[gate]`: what `weir gate` needs.

use std::net::SocketAddr;
use std::path::PathBuf;

use weir_policy::diagnostic::Diagnostic;
use weir_policy::reader::Section;

use super::section::section;
use super::{Count, if_there};

section! {
    /// The endpoint at which others read the lake as if it were on S3: `weir gate`, a process of its own.
    pub struct GateRules at "gate" {
        /// Address and port; a loopback unless there is `gate.tls`.
        listen: SocketAddr = required(r#""127.0.0.1:9467""#),
        /// Who may read, for which purposes and until when: a TOML file. Read anew at SIGHUP.
        grants: PathBuf = required(r#""grants.toml""#),
        /// Most connections at once; more wait outside.
        connections: Count = standard("256"),
        /// Its own pages /metrics, /livez, /readyz and /version.
        pages: SocketAddr = standard(r#""127.0.0.1:9468""#),
    }
}

section! {
    /// TLS 1.3 of the gate. Read anew at SIGHUP.
    pub struct GateTls at "gate.tls" {
        /// The certificate of the gate and those between it and its CA, in PEM.
        certificate: PathBuf = required(r#""gate.pem""#),
        /// Its private key, in PEM; only its owner may read it.
        key: PathBuf = required(r#""gate-key.pem""#),
    }
}

/// The gate, and how connections to it are secured.
#[derive(Clone, Debug, PartialEq)]
pub struct Gate {
    /// Where it listens, and to whom.
    pub rules: GateRules,
    /// Its TLS; without it, it listens on a loopback.
    pub tls: Option<GateTls>,
}

/// Reads the section; without TLS nothing crosses a network.
pub(super) fn read(section: &mut Section<'_>) -> Option<Gate> {
    let tls = if_there(section, "tls", GateTls::read);
    let rules = GateRules::read(section)?;
    if matches!(tls, Some(None)) && !rules.listen.ip().is_loopback() {
        let message = "rows would cross the network in clear: `gate` has no `tls`";
        let fault = Diagnostic::error(section.place(), "gate_without_tls", message);
        section.faults().add(fault.hint("add `gate.tls`, or listen on a loopback such as \"127.0.0.1:9467\""));
        return None;
    }
    Some(Gate { rules, tls: tls? })
}
