//! The component schemas of the published OpenAPI file, relaxed where its own service answers otherwise: the ids of an
//! empty list are null.

use std::sync::LazyLock;

use serde_json::{Value, json};

use crate::support::Answer;

static DOCUMENT: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("schemas.json")).expect("a JSON document"));

/// Fails unless `body` is what the component says.
#[track_caller]
pub(crate) fn conforms(component: &str, body: &Value) {
    let schema = json!({
        "$ref": format!("#/components/schemas/{component}"),
        "components": DOCUMENT["components"],
    });
    let validator = jsonschema::validator_for(&schema).expect("a valid schema");
    let problems: Vec<_> = validator.iter_errors(body).map(|problem| problem.to_string()).collect();
    assert!(problems.is_empty(), "{body} is no {component}: {problems:?}");
}

/// The body of an answer that must have this status and be what the component says.
#[track_caller]
pub(crate) fn checked(answer: &Answer, status: u16, component: &str) -> Value {
    let body = answer.expect(status);
    conforms(component, &body);
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("openai-version"), "2020-10-01");
    body
}
