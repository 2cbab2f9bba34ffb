//! Real answers beside the document: as much of JSON Schema as the document uses.

use std::collections::BTreeSet;
use std::sync::Mutex;

use serde_json::Value;

use super::world::Answer;
use crate::api::Api;
use crate::api::endpoint::Endpoint;

/// The codes of all problems that were answered so far, in whichever test.
pub(super) static SEEN: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Demands that an answer is one that the document promises for the endpoint.
#[track_caller]
pub(super) fn check(api: &Api, method: &str, path: &str, answer: &Answer) {
    let document: Value = serde_json::from_slice(&api.document).unwrap();
    if let Some(code) = answer.body["code"].as_str() {
        SEEN.lock().unwrap().insert(code.to_owned());
    }
    let template = Endpoint::of(path).map_or(path, |(endpoint, _)| endpoint.path());
    let operation = &document["paths"][template][method.to_ascii_lowercase()];
    if operation.is_null() {
        // No such endpoint or method; the form is the same.
        assert!(matches!(answer.status, 404 | 405), "{answer:?}");
        return valid(&document, &document["components"]["schemas"]["Problem"], &answer.body);
    }
    let response = &operation["responses"][answer.status.to_string()];
    assert!(response.is_object(), "{path} does not document {}", answer.status);
    for (media, content) in response["content"].as_object().unwrap() {
        assert!(answer.head.contains(&format!("content-type: {media}")), "{answer:?}");
        // What is no JSON has no schema.
        content.get("schema").iter().for_each(|schema| valid(&document, schema, &answer.body));
    }
    for header in response["headers"].as_object().into_iter().flat_map(|headers| headers.keys()) {
        assert!(answer.head.contains(&format!("\n{}: ", header.to_ascii_lowercase())), "{answer:?}");
    }
    let retries = response["headers"].get("Retry-After").is_some();
    assert_eq!(retries, matches!(answer.status, 429 | 503), "{path} {}", answer.status);
    assert!(!retries || answer.head.contains("retry-after: "), "{answer:?}");
}

/// Demands that a value is as a schema says.
#[track_caller]
pub(super) fn valid(document: &Value, schema: &Value, value: &Value) {
    if let Some(reference) = schema["$ref"].as_str() {
        valid(document, document.pointer(reference.trim_start_matches('#')).unwrap(), value);
    }
    for (keyword, rule) in schema.as_object().unwrap() {
        let holds = match keyword.as_str() {
            "enum" => rule.as_array().unwrap().contains(value),
            "type" => match rule.as_str().unwrap() {
                "array" => value.is_array(),
                "boolean" => value.is_boolean(),
                "integer" => value.is_u64(),
                "object" => value.is_object(),
                "string" => value.is_string(),
                other => panic!("the document has a type {other}"),
            },
            "required" => rule.as_array().unwrap().iter().all(|name| value.get(name.as_str().unwrap()).is_some()),
            "properties" => {
                for (name, value) in value.as_object().unwrap() {
                    // `additionalProperties` answers for the others.
                    rule.get(name).iter().for_each(|rule| valid(document, rule, value));
                }
                true
            }
            "additionalProperties" => {
                value.as_object().unwrap().keys().all(|name| schema["properties"].get(name).is_some())
            }
            "items" => value.as_array().unwrap().iter().all(|item| {
                valid(document, rule, item);
                true
            }),
            "minItems" => value.as_array().unwrap().len() >= usize::try_from(rule.as_u64().unwrap()).unwrap(),
            "maxItems" => value.as_array().unwrap().len() <= usize::try_from(rule.as_u64().unwrap()).unwrap(),
            "pattern" | "format" | "description" | "$ref" => true,
            other => panic!("the document has a keyword {other} that this test does not know"),
        };
        assert!(holds, "`{keyword}` does not hold of {value}");
    }
}
