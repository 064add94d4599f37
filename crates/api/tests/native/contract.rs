//! The checked-in OpenAPI document says what the router does.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::{Server, document};

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
    let documented = document::documented(&document, "");
    let routed: BTreeSet<(String, String)> = lazaret_api::routes()
        .into_iter()
        .filter(|route| route.dialect == "native" && route.path.starts_with("/lazaret/"))
        // A catch-all is one parameter to a reader; the root directory and HEAD are said with it.
        .filter(|route| !route.path.ends_with("/files") && !route.path.ends_with("/files/"))
        .filter(|route| route.method != "HEAD")
        // So are the root of a port, and the other methods that are passed on to it.
        .filter(|route| !route.path.ends_with("/ports/{port}/"))
        .filter(|route| !route.path.contains("/ports/") || route.method == "GET")
        .map(|route| (route.method.to_string(), route.path.replace("{*", "{")))
        .collect();
    assert_eq!(routed, documented);
}

#[test]
fn every_reference_leads_somewhere_and_operation_ids_are_unique() {
    let document: Value = serde_json::from_str(CHECKED_IN).unwrap();
    assert_eq!(document::lost_references(&document), Vec::<String>::new());
    document::assert_operations_are_named(&document);
}
