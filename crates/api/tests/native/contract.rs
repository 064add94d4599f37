//! The checked-in OpenAPI document says what the router does.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::Server;

const CHECKED_IN: &str = include_str!("../../openapi/native.json");

#[tokio::test]
async fn the_served_document_is_the_one_that_is_checked_in() {
    let answer = Server::start().await.get("/lazaret/v1/openapi.json").no_key().send().await;
    assert_eq!(answer.header("content-type"), "application/json");
    assert!(
        answer.body == CHECKED_IN.as_bytes(),
        "run `cargo run -p lazaret-api --example openapi > crates/api/openapi/native.json`"
    );
}

#[test]
fn every_route_is_documented_and_every_documented_path_is_routed() {
    let document: Value = serde_json::from_str(CHECKED_IN).unwrap();
    let documented: BTreeSet<(String, String)> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, methods)| {
            methods.as_object().unwrap().keys().map(move |method| (path.clone(), method.to_uppercase()))
        })
        .collect();
    let routed: BTreeSet<(String, String)> = lazaret_api::routes()
        .into_iter()
        .filter(|route| route.dialect == "native" && route.path.starts_with("/lazaret/"))
        // A catch-all is one parameter to a reader; the root directory and HEAD are said with it.
        .filter(|route| !route.path.ends_with("/files") && !route.path.ends_with("/files/"))
        .filter(|route| route.method != "HEAD")
        // So are the root of a port, and the other methods that are passed on to it.
        .filter(|route| !route.path.ends_with("/ports/{port}/"))
        .filter(|route| !route.path.contains("/ports/") || route.method == "GET")
        .map(|route| (route.path.replace("{*", "{"), route.method.to_string()))
        .collect();
    assert_eq!(routed, documented);
}

#[test]
fn every_reference_leads_somewhere() {
    fn look(value: &Value, document: &Value, lost: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                let reference = fields.get("$ref").and_then(Value::as_str);
                let lead = |reference: &str| document.pointer(reference.trim_start_matches('#')).is_some();
                lost.extend(reference.filter(|reference| !lead(reference)).map(str::to_owned));
                fields.values().for_each(|value| look(value, document, lost));
            }
            Value::Array(values) => values.iter().for_each(|value| look(value, document, lost)),
            _ => {}
        }
    }
    let document: Value = serde_json::from_str(CHECKED_IN).unwrap();
    let mut lost = Vec::new();
    look(&document, &document, &mut lost);
    assert_eq!(lost, Vec::<String>::new());
}

#[test]
fn operation_ids_are_unique() {
    let document: Value = serde_json::from_str(CHECKED_IN).unwrap();
    let operations =
        document["paths"].as_object().unwrap().values().flat_map(|path| path.as_object().unwrap().values());
    let mut ids: Vec<_> = operations.map(|operation| operation["operationId"].as_str().unwrap()).collect();
    ids.sort_unstable();
    let all = ids.len();
    ids.dedup();
    assert_eq!(ids.len(), all);
}
