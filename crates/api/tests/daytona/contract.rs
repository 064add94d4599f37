//! The checked-in OpenAPI documents say what the router does, and promise no less than Daytona's own contracts.
//!
//! `contract.json` has the facts of those that this server's operations are held to: of each operation its route, the
//! fields of its body (`!` for a required one) and the required fields of its answers (`?` for one that may be null).

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::{Server, document};

const CONTROL: &str = include_str!("../../openapi/daytona-control.json");
const TOOLBOX: &str = include_str!("../../openapi/daytona-toolbox.json");
const CONTRACT: &str = include_str!("contract.json");

/// Routes that are in no document: what is not done, and answers with 501.
const NOT_DONE: [&str; 14] = [
    "DELETE /api/sandbox/{id}/ssh-access",
    "GET /api/docker-registry/registry-push-access",
    "GET /api/object-storage/push-access",
    "GET /api/sandbox/ssh-access/validate",
    "GET /api/sandbox/{id}/build-logs",
    "GET /api/sandbox/{id}/build-logs-url",
    "GET /api/sandbox/{id}/telemetry/logs",
    "GET /api/sandbox/{id}/telemetry/metrics",
    "POST /api/sandbox/{id}/backup",
    "POST /api/sandbox/{id}/ssh-access",
    "POST /api/secret",
    "POST /api/warm-pools",
    "PUT /api/sandbox/{id}/secrets",
    "* /toolbox/{id}/computeruse/{*path}",
];

/// Operations that never do what the contract says: one answers with 501, two with 404.
const NEVER: [&str; 3] = ["Authenticate", "GetEntrypointLogs", "GetEntrypointSession"];

/// Fields of bodies that mean nothing here, and are ignored as every unknown one is.
const IGNORED: [&str; 8] = [
    "createSandbox gpuType",
    "createSandbox target",
    "createSandboxSnapshot includeMemory",
    "createSnapshot gpuType",
    "createSnapshot regionId",
    "createSnapshot sandboxClass",
    "CreatePtySession lazyStart",
    "updateLastActivity activityType",
];

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

#[tokio::test]
async fn the_served_documents_are_those_that_are_checked_in() {
    let server = Server::start().await;
    for (path, name, want) in [
        ("/api/openapi.json", "daytona-control", CONTROL),
        ("/api/toolbox/openapi.json", "daytona-toolbox", TOOLBOX),
    ] {
        let answer = server.get(path).no_key().send().await;
        assert_eq!(answer.header("content-type"), "application/json");
        assert!(
            answer.body == want.as_bytes(),
            "run `cargo run -p lazaret-api --example openapi {name} > crates/api/openapi/{name}.json`"
        );
    }
}

#[test]
fn every_route_is_documented_and_every_documented_path_is_routed() {
    let mut documented = document::documented(&json(CONTROL), "/api");
    documented.extend(document::documented(&json(TOOLBOX), "/toolbox/{id}"));
    let mut left_out = BTreeSet::new();
    let mut routed = BTreeSet::new();
    for route in lazaret_api::routes().into_iter().filter(|route| route.dialect.starts_with("daytona")) {
        let (one, any) = (format!("{} {}", route.method, route.path), format!("* {}", route.path));
        match NOT_DONE.into_iter().find(|name| *name == one || *name == any) {
            Some(name) => drop(left_out.insert(name)),
            None => drop(routed.insert((route.method.to_string(), route.path))),
        }
    }
    assert_eq!(routed, documented);
    assert_eq!(left_out, BTreeSet::from(NOT_DONE), "the list has no more than what is left out");
}

#[test]
fn every_reference_leads_somewhere_and_operations_are_named() {
    for text in [CONTROL, TOOLBOX] {
        let document = json(text);
        assert_eq!(document::lost_references(&document), Vec::<String>::new());
        document::assert_operations_are_named(&document);
    }
}

#[test]
fn answers_have_every_required_field_of_the_contract_and_bodies_may_have_all_of_its_fields() {
    let contract = json(CONTRACT);
    let mut faults = Vec::new();
    for (name, text) in [("control", CONTROL), ("toolbox", TOOLBOX)] {
        let ours = json(text);
        let shapes = &contract[name]["shapes"];
        let wanted = contract[name]["operations"].as_object().expect("operations");
        let mut held = 0;
        for (method, path, operation) in document::operations(&ours) {
            let id = operation["operationId"].as_str().expect("an id");
            let Some(want) = wanted.get(id) else { continue };
            held += 1;
            let route = format!("{method} {}", without_names(&path));
            if want["route"] != *route {
                faults.push(format!("{id} is at {}, not at {route}", want["route"]));
            }
            if !NEVER.contains(&id) {
                let comparison = Comparison { ours: &ours, shapes };
                comparison.body(id, operation, &want["body"], &mut faults);
                comparison.answers(id, operation, &want["answers"], &mut faults);
            }
        }
        assert_eq!(held, wanted.len(), "every operation of the facts is one of ours");
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// A path with its parameters' names left out.
fn without_names(path: &str) -> String {
    let part = |part: &str| if part.starts_with('{') { "{}".to_owned() } else { part.to_owned() };
    path.split('/').map(part).collect::<Vec<_>>().join("/")
}

struct Comparison<'a> {
    ours: &'a Value,
    shapes: &'a Value,
}

impl<'a> Comparison<'a> {
    fn body(&self, id: &str, operation: &Value, want: &Value, faults: &mut Vec<String>) {
        let Some(want) = want.as_object() else { return };
        let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
        for (field, kind) in want {
            let (field, may_be_required) = match field.strip_suffix('!') {
                Some(field) => (field, true),
                None => (field.as_str(), false),
            };
            if IGNORED.contains(&format!("{id} {field}").as_str()) {
                continue;
            }
            let kind = kind.as_str().expect("a type");
            match self.property(schema, field) {
                None => faults.push(format!("{id}: the body has no {field}")),
                Some((_, true)) if !may_be_required => faults.push(format!("{id}: {field} is required")),
                Some((ours, _)) => {
                    let types = self.types(ours);
                    if !types.iter().any(|ours| is_of(ours, kind)) {
                        faults.push(format!("{id}: {field} is {types:?}, not {kind}"));
                    }
                }
            }
        }
    }

    fn answers(&self, id: &str, operation: &Value, want: &Value, faults: &mut Vec<String>) {
        for (status, shape) in want.as_object().expect("answers") {
            let Some(answer) = operation["responses"].get(status) else {
                faults.push(format!("{id}: no answer has the status {status}"));
                continue;
            };
            if !shape.is_null() {
                let schema = &answer["content"]["application/json"]["schema"];
                self.shape(&format!("{id} {status}"), schema, shape, faults);
            }
        }
    }

    /// Compares a schema with what is wanted of it, and of all that is in it.
    fn shape(&self, at: &str, schema: &'a Value, want: &Value, faults: &mut Vec<String>) {
        let types = self.types(schema);
        let mut check_type = |kinds: &[&str]| {
            let fits =
                !types.is_empty() && types.iter().all(|ours| kinds.iter().any(|kind| is_of(ours, kind)));
            if !fits {
                faults.push(format!("{at}: is {types:?}, not {kinds:?}"));
            }
            fits
        };
        match want {
            Value::String(word) => match (word.strip_prefix('#'), word.strip_suffix('?')) {
                (Some(name), _) => self.shape(at, schema, &self.shapes[name], faults),
                (None, Some(kind)) => drop(check_type(&[kind, "null"])),
                (None, None) => drop(check_type(&[word])),
            },
            Value::Array(element) => {
                let schema = self.resolved(schema);
                // One that is always empty has no elements to be wrong.
                if check_type(&["array"]) && schema["maxItems"] != 0 {
                    self.shape(&format!("{at}[]"), &schema["items"], &element[0], faults);
                }
            }
            Value::Object(fields) => {
                if !check_type(&["object"]) {
                    return;
                }
                for (field, want) in fields {
                    match self.property(schema, field) {
                        Some((ours, true)) => self.shape(&format!("{at}.{field}"), ours, want, faults),
                        Some((_, false)) => faults.push(format!("{at}.{field}: may be missing")),
                        None => faults.push(format!("{at}.{field}: is missing")),
                    }
                }
            }
            other => panic!("{other} is no shape"),
        }
    }

    fn resolved(&self, schema: &'a Value) -> &'a Value {
        match schema["$ref"].as_str() {
            Some(reference) => self.ours.pointer(reference.trim_start_matches('#')).expect("a schema"),
            None => schema,
        }
    }

    /// The JSON types that a schema allows.
    fn types(&self, schema: &'a Value) -> BTreeSet<&'a str> {
        let schema = self.resolved(schema);
        let all = ["oneOf", "anyOf", "allOf"].into_iter().filter_map(|key| schema[key].as_array()).flatten();
        let mut types: BTreeSet<&str> = all.flat_map(|part| self.types(part)).collect();
        match &schema["type"] {
            Value::String(one) => drop(types.insert(one)),
            Value::Array(several) => types.extend(several.iter().filter_map(Value::as_str)),
            _ => {}
        }
        types
    }

    /// A property of an object, and whether it is always there.
    fn property(&self, schema: &'a Value, field: &str) -> Option<(&'a Value, bool)> {
        let schema = self.resolved(schema);
        if let Some(found) = schema["properties"].get(field) {
            let required = schema["required"].as_array();
            return Some((found, required.is_some_and(|required| required.iter().any(|name| name == field))));
        }
        let parts = ["allOf", "oneOf"].into_iter().filter_map(|key| schema[key].as_array()).flatten();
        parts.into_iter().find_map(|part| self.property(part, field))
    }
}

/// Whether everything of the first type is of the second.
fn is_of(ours: &str, kind: &str) -> bool {
    ours == kind || (ours, kind) == ("integer", "number")
}
