//! What is asked of every OpenAPI document that is checked in.

use std::collections::BTreeSet;

use serde_json::Value;

/// Its operations: method, path beneath its server, and what is said of it.
pub fn operations(document: &Value) -> Vec<(String, String, &Value)> {
    let paths = document["paths"].as_object().expect("paths");
    let mut operations = Vec::new();
    for (path, methods) in paths {
        for (method, operation) in methods.as_object().expect("methods") {
            operations.push((method.to_uppercase(), path.clone(), operation));
        }
    }
    operations
}

/// Its operations as methods and paths behind `prefix`.
pub fn documented(document: &Value, prefix: &str) -> BTreeSet<(String, String)> {
    let of = |(method, path, _): (String, String, _)| (method, format!("{prefix}{path}"));
    operations(document).into_iter().map(of).collect()
}

/// References that lead nowhere.
pub fn lost_references(document: &Value) -> Vec<String> {
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
    let mut lost = Vec::new();
    look(document, document, &mut lost);
    lost
}

/// Asserts that each operation has an id of its own and a sentence.
#[track_caller]
pub fn assert_operations_are_named(document: &Value) {
    let operations = operations(document);
    let mut ids = BTreeSet::new();
    for (method, path, operation) in operations {
        let id = operation["operationId"].as_str().unwrap_or_else(|| panic!("{method} {path} has an id"));
        assert!(ids.insert(id), "{id} is one operation");
        assert!(operation["summary"].is_string(), "{method} {path} has a summary");
    }
}
