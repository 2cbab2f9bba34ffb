//! The document that describes the API, as `OpenAPI` 3.1.
//!
//! Its closed lists (codes, states, decisions, purposes, roles' endpoints) are those of the code, and a test compares each real
//! answer with it. `crates/weir/docs/openapi.json` is the same text for who has no daemon to ask.

use serde_json::{Value, json};
use weir_consent::{Decision, Status};
use weir_policy::PurposeId;

use crate::VERSION;
use crate::api::Endpoint;
use crate::api::problem::{Code, MEMBERS};
use crate::api::request::EVIDENCE_BYTES_MAX;

/// Returns the document.
pub(super) fn document() -> String {
    let mut paths = json!({});
    for endpoint in Endpoint::ALL {
        paths[endpoint.path()] = path(endpoint);
    }
    let document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "weir: decisions about consent",
            "version": VERSION,
            "summary": "People's consent and tenants' agreements, taken and looked up.",
            "description": "A decision is answered when it counts: all replicas of the state topic have it. People are named in \
                bodies only. The states and steps are those of the Data Privacy Vocabulary.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "security": [{ "token": [] }, { "certificate": [] }],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": { "type": "http", "scheme": "bearer", "description": "At least 128 random bits." },
                "certificate": { "type": "mutualTLS", "description": "A certificate of `api.tls.client_ca`." },
            },
            "headers": {
                "Retry-After": { "description": "Seconds to wait.", "required": true, "schema": { "type": "integer", "minimum": 1 } },
            },
            "schemas": schemas(),
        },
    });
    let mut text = serde_json::to_string_pretty(&document).expect("text and numbers always have a JSON form");
    text.push('\n');
    text
}

fn path(endpoint: Endpoint) -> Value {
    if endpoint == Endpoint::Document {
        let answer = json!({ "description": "This document.", "content": { "application/json": { "schema": { "type": "object" } } } });
        return json!({ "get": {
            "operationId": endpoint.name(),
            "summary": "Describes the API.",
            "security": [],
            "responses": { "200": answer, "405": problem(Code::Method.status().as_u16()) },
        } });
    }
    let (summary, body) = match endpoint {
        Endpoint::Agreements => ("Decides over a tenant's agreement (role operator).", "AgreementDecision"),
        Endpoint::AgreementsLookup => ("Looks a tenant's agreement up.", "Tenant"),
        Endpoint::Consents => ("Decides over a person's consent (roles subject-agent, operator).", "ConsentDecision"),
        Endpoint::ConsentsLookup | Endpoint::Document => ("Looks a person's consent up.", "Person"),
    };
    let is_decision = matches!(endpoint, Endpoint::Agreements | Endpoint::Consents);
    let key = json!({
        "name": "Idempotency-Key", "in": "header", "required": false,
        "description": "The same key with the same body is decided once and answered alike for 24 hours.",
        "schema": { "type": "string", "pattern": "^[!-~]{1,128}$" },
    });
    let success = json!({
        "description": "What counts now. After a decision it has arrived at all replicas.",
        "content": { "application/json": { "schema": { "$ref": "#/components/schemas/States" } } },
    });
    let mut responses = json!({ "200": success });
    for code in Code::ALL.iter().filter(|code| is_decision || !is_of_decisions(**code)) {
        let status = code.status().as_u16();
        responses[status.to_string()] = problem(status);
    }
    json!({ "post": {
        "operationId": endpoint.name(),
        "summary": summary,
        "parameters": if is_decision { json!([key]) } else { json!([]) },
        "requestBody": {
            "required": true,
            "content": { "application/json": { "schema": { "$ref": format!("#/components/schemas/{body}") } } },
        },
        "responses": responses,
    } })
}

/// Tells whether a code answers decisions only.
fn is_of_decisions(code: Code) -> bool {
    matches!(code, Code::IllegalStep | Code::SameUnderWay | Code::KeyReused)
}

fn problem(status: u16) -> Value {
    let of_status: Vec<_> = Code::ALL.iter().filter(|code| code.status().as_u16() == status).collect();
    let words = of_status.iter().map(|code| format!("`{}`: {}", code.word(), code.detail()));
    let mut response = json!({
        "description": words.collect::<Vec<_>>().join(" "),
        "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } },
    });
    if matches!(status, 429 | 503) {
        response["headers"] = json!({ "Retry-After": { "$ref": "#/components/headers/Retry-After" } });
    }
    response
}

fn schemas() -> Value {
    let tenant = json!({ "type": "string", "minLength": 1, "maxLength": 128 });
    let kind = json!({ "type": "string", "pattern": "^[a-z][a-z0-9_.-]{0,63}$" });
    let subject = json!({ "type": "string", "minLength": 1, "description": "The identifier, in any spelling." });
    let purposes = json!({
        "type": "array", "minItems": 1, "maxItems": PurposeId::ALL.len(), "uniqueItems": true,
        "items": { "$ref": "#/components/schemas/Purpose" },
    });
    let decision = json!({ "enum": Decision::ALL.map(Decision::name) });
    let until = json!({ "type": "string", "format": "date-time", "description": "The end of a yes; with grant and renew only." });
    let evidence = json!({ "type": "string", "maxLength": EVIDENCE_BYTES_MAX, "description": "Where the decision can be proved: a form, the version of a text." });
    let regions =
        json!({ "type": "array", "maxItems": 254, "items": { "type": "string", "pattern": "^[a-z0-9_.-]{1,32}$" } });
    let object = |properties: Value, required: &[&str]| json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false });
    json!({
        "Purpose": { "enum": PurposeId::ALL.map(PurposeId::name) },
        "Person": object(json!({ "tenant": tenant, "kind": kind, "subject": subject }), &["tenant", "kind", "subject"]),
        "Tenant": object(json!({ "tenant": tenant }), &["tenant"]),
        "ConsentDecision": object(
            json!({ "tenant": tenant, "kind": kind, "subject": subject, "purposes": purposes, "decision": decision,
                "valid_until": until, "evidence": evidence }),
            &["tenant", "kind", "subject", "purposes", "decision"],
        ),
        "AgreementDecision": object(
            json!({ "tenant": tenant, "purposes": purposes, "decision": decision, "valid_until": until, "regions": regions,
                "evidence": evidence }),
            &["tenant", "purposes", "decision"],
        ),
        "States": object(
            json!({ "purposes": { "type": "array", "minItems": 1, "items": { "$ref": "#/components/schemas/State" } } }),
            &["purposes"],
        ),
        "State": object(
            json!({
                "purpose": { "$ref": "#/components/schemas/Purpose" },
                "status": { "$ref": "#/components/schemas/Status" },
                "since": { "type": "string", "format": "date-time", "description": "Since when it has held without a break; absent when nothing is known." },
                "until": { "type": "string", "format": "date-time", "description": "The first instant at which it no longer permits." },
                "regions": regions,
            }),
            &["purpose", "status"],
        ),
        "Status": { "enum": Status::ALL.map(Status::name), "description": "Only `given` and `renewed` let an event pass." },
        "Problem": object(
            json!({
                "type": { "type": "string", "format": "uri-reference" },
                "title": { "type": "string" },
                "status": { "type": "integer" },
                "code": { "enum": Code::ALL.iter().map(|code| code.word()).collect::<Vec<_>>() },
                "detail": { "type": "string" },
                "member": { "enum": MEMBERS, "description": "With `invalid`: which member of the body." },
                "state": { "$ref": "#/components/schemas/Status", "description": "With `illegal_step`: the state now." },
            }),
            &["type", "title", "status", "code", "detail"],
        ),
    })
}
