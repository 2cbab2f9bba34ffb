//! The document that describes the API, as `OpenAPI` 3.1.
//!
//! Its closed lists (codes, states, decisions, purposes, roles' endpoints) are those of the code, and a test compares each real
//! answer with it. `crates/weir/docs/openapi.json` is the same text for who has no daemon to ask.

use serde_json::{Value, json};
use weir_consent::{Decision, Status};
use weir_policy::PurposeId;

use crate::VERSION;
use crate::api::endpoint::Endpoint;
use crate::api::problem::{Code, MEMBERS};
use crate::api::request::{EVIDENCE_BYTES_MAX, NAMES_MAX};
use crate::api::rights::Failed;

/// Returns the document.
pub(super) fn document() -> String {
    let mut paths = json!({});
    for endpoint in Endpoint::ALL {
        paths[endpoint.path()] = path(endpoint);
    }
    let document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "weir: decisions about consent, and people's rights",
            "version": VERSION,
            "summary": "People's consent and tenants' agreements, taken and looked up; copies for people, and erasures.",
            "description": "A decision is answered when it counts: all replicas of the state topic have it. People are named in \
                bodies only. The states and steps are those of the Data Privacy Vocabulary. Requests for a copy or for erasure are \
                taken in, looked up at their `Location`, and done one after the other; they belong to the token that asked. An \
                erasure is tried until it is done, also by a daemon that is started anew; that knows no other request.",
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
                "Location": { "description": "Where to look the request up.", "required": true, "schema": { "type": "string", "format": "uri-reference" } },
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
    let mut operation = json!({
        "operationId": endpoint.name(),
        "summary": summary(endpoint),
        "parameters": parameters(endpoint),
        "responses": responses(endpoint),
    });
    if let Some(body) = body(endpoint) {
        operation["requestBody"] = json!({
            "required": true,
            "content": { "application/json": { "schema": schema(body) } },
        });
    }
    let mut path = json!({});
    path[endpoint.method().as_str().to_ascii_lowercase()] = operation;
    path
}

const fn summary(endpoint: Endpoint) -> &'static str {
    match endpoint {
        Endpoint::AccessAnswer => "Fetches the copy, when it is done.",
        Endpoint::AccessRequest => "Says how a request for a copy stands.",
        Endpoint::AccessRequests => "Asks for a copy of what is kept about a person (roles subject-agent, operator).",
        Endpoint::Agreements => "Decides over a tenant's agreement (role operator).",
        Endpoint::AgreementsLookup => "Looks a tenant's agreement up.",
        Endpoint::Consents => "Decides over a person's consent (roles subject-agent, operator).",
        Endpoint::ConsentsLookup => "Looks a person's consent up.",
        Endpoint::Document => "Describes the API.",
        Endpoint::Erasure => "Says how a request for erasure stands.",
        Endpoint::ErasureReceipt => "Fetches the receipt of an erasure, when it is done.",
        Endpoint::Erasures => {
            "Asks that everything about a person is erased, for good (roles subject-agent, operator)."
        }
    }
}

/// Returns the schema of the body; none for what has no body.
const fn body(endpoint: Endpoint) -> Option<&'static str> {
    match endpoint {
        Endpoint::AccessRequests | Endpoint::Erasures => Some("Names"),
        Endpoint::Agreements => Some("AgreementDecision"),
        Endpoint::AgreementsLookup => Some("Tenant"),
        Endpoint::Consents => Some("ConsentDecision"),
        Endpoint::ConsentsLookup => Some("Person"),
        Endpoint::AccessAnswer
        | Endpoint::AccessRequest
        | Endpoint::Document
        | Endpoint::Erasure
        | Endpoint::ErasureReceipt => None,
    }
}

fn parameters(endpoint: Endpoint) -> Value {
    if endpoint.begins() {
        return json!([{
            "name": "Idempotency-Key", "in": "header", "required": false,
            "description": "The same key with the same body is decided once and answered alike for 24 hours.",
            "schema": { "type": "string", "pattern": "^[!-~]{1,128}$" },
        }]);
    }
    if body(endpoint).is_some() {
        return json!([]);
    }
    json!([{
        "name": "request", "in": "path", "required": true,
        "description": "The word at the end of the `Location`; it tells nothing about anybody.",
        "schema": { "type": "string", "pattern": "^[0-9a-f]{32}$" },
    }])
}

fn responses(endpoint: Endpoint) -> Value {
    let json_of = |name: &str| json!({ "application/json": { "schema": schema(name) } });
    let (status, description, content) = match endpoint {
        Endpoint::AccessAnswer => (
            "200",
            "An archive: a page to read, JSON, and a Parquet file for each table.",
            json!({ "application/zip": {} }),
        ),
        Endpoint::ErasureReceipt => {
            ("200", "A JSON Web Signature, which `weir receipt verify` checks.", json!({ "application/jose": {} }))
        }
        Endpoint::AccessRequest | Endpoint::Erasure => ("200", "How it stands.", json_of("RequestState")),
        Endpoint::AccessRequests | Endpoint::Erasures => {
            ("202", "It is taken in; `Location` says where to look.", json_of("RequestState"))
        }
        Endpoint::Agreements
        | Endpoint::AgreementsLookup
        | Endpoint::Consents
        | Endpoint::ConsentsLookup
        | Endpoint::Document => {
            ("200", "What counts now. After a decision it has arrived at all replicas.", json_of("States"))
        }
    };
    let mut responses = json!({});
    responses[status] = json!({ "description": description, "content": content });
    if status == "202" {
        responses[status]["headers"] = json!({ "Location": { "$ref": "#/components/headers/Location" } });
    }
    for code in Code::ALL.iter().filter(|code| answers(**code, endpoint)) {
        let status = code.status().as_u16();
        responses[status.to_string()] = problem(status);
    }
    responses
}

/// Tells whether an endpoint can answer with a code.
const fn answers(code: Code, endpoint: Endpoint) -> bool {
    let (begins, is_right) = (endpoint.begins(), endpoint.right().is_some());
    match code {
        Code::NotDone => matches!(endpoint, Endpoint::AccessAnswer | Endpoint::ErasureReceipt),
        Code::IllegalStep => begins && !is_right,
        Code::KeyReused | Code::SameUnderWay => begins,
        Code::RequestUnknown => is_right && !begins,
        Code::BadKey
        | Code::Ending
        | Code::Invalid
        | Code::Json
        | Code::NotJson
        | Code::Overloaded
        | Code::PersonRate
        | Code::Stale
        | Code::TooLarge
        | Code::TooSlow
        | Code::Unconfirmed => body(endpoint).is_some(),
        Code::Method | Code::NotFound | Code::Role | Code::Tenant | Code::TokenRate | Code::Unauthenticated => true,
    }
}

fn schema(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
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
    let (tenant, kind) = (tenant(), kind());
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
    json!({
        "Names": names(),
        "RequestState": request_state(),
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

fn names() -> Value {
    let id = json!({ "type": ["string", "integer"], "description": "The identifier, in any spelling." });
    let name = object(json!({ "kind": kind(), "id": id }), &["kind", "id"]);
    let ids = json!({ "type": "array", "minItems": 1, "maxItems": NAMES_MAX, "items": name });
    object(json!({ "tenant": tenant(), "ids": ids }), &["tenant", "ids"])
}

fn request_state() -> Value {
    let instant = |what: &str| json!({ "type": "string", "format": "date-time", "description": what });
    let properties = json!({
        "state": { "enum": ["waiting", "running", "done", "failed"], "description": "A copy that failed, and an erasure at the daemon's end, may be asked for again." },
        "kept_until": instant("Until when what came of it may be fetched."),
        "complete": { "type": "boolean", "description": "With `done`: false when the configuration skips tables, which nobody searched." },
        "reason": { "enum": Failed::ALL.map(Failed::word), "description": "With `failed`; with `waiting`, why an erasure came to nothing so far: it is tried again." },
    });
    object(properties, &["state"])
}

fn tenant() -> Value {
    json!({ "type": "string", "minLength": 1, "maxLength": 128 })
}

fn kind() -> Value {
    json!({ "type": "string", "pattern": "^[a-z][a-z0-9_.-]{0,63}$" })
}

fn object(properties: Value, required: &[&str]) -> Value {
    json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
}
