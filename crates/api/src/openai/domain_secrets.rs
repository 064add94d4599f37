//! `network_policy.domain_secrets`, read by hand: no refusal holds a part of a value.

use lazaret_core::{DomainSecret, Secret, limits};
use serde_json::{Map, Value};

use super::problem;
use super::wire::Unshown;
use crate::failure::Rejection;

const FIELD: &str = "network_policy.domain_secrets";

/// The secrets; that they are for allowed domains is the core's to see.
pub(super) fn read(asked: &Unshown) -> Result<Vec<DomainSecret>, Rejection> {
    let Value::Array(items) = &asked.0 else {
        return Err(problem::wrong_type(FIELD, "a sequence", kind(&asked.0)));
    };
    if items.is_empty() {
        return Err(problem::empty_array(FIELD));
    }
    if items.len() > limits::SECRETS_MAX {
        return Err(problem::array_too_long(FIELD, limits::SECRETS_MAX, items.len()));
    }
    items.iter().enumerate().map(|(index, item)| secret(&format!("{FIELD}[{index}]"), item)).collect()
}

fn secret(field: &str, item: &Value) -> Result<DomainSecret, Rejection> {
    let Value::Object(item) = item else { return Err(problem::wrong_type(field, "an object", kind(item))) };
    let domain = text(field, item, "domain")?;
    let name = text(field, item, "name")?;
    let value = text(field, item, "value")?;
    if value.len() > limits::SECRET_VALUE_MAX_BYTES {
        let field = format!("{field}.value");
        return Err(problem::string_too_long(&field, limits::SECRET_VALUE_MAX_BYTES, value.len()));
    }
    let domain = domain.parse().map_err(|problem: lazaret_core::InvalidDomain| {
        let shown: String = domain.chars().take(limits::EGRESS_TEXT_SHOWN_CHARS).collect();
        problem::wrong_value(&format!("{field}.domain"), &format!("'{}' {problem}", shown.escape_debug()))
    })?;
    Ok(DomainSecret { domain, name: name.to_owned(), value: Secret::new(value) })
}

fn text<'a>(field: &str, item: &'a Map<String, Value>, name: &str) -> Result<&'a str, Rejection> {
    let field = format!("{field}.{name}");
    match item.get(name) {
        None => Err(problem::missing(&field)),
        Some(Value::String(text)) if text.is_empty() => Err(problem::empty_string(&field)),
        Some(Value::String(text)) => Ok(text),
        Some(other) => Err(problem::wrong_type(&field, "a string", kind(other))),
    }
}

/// As serde names it, without the value.
const fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "sequence",
        Value::Object(_) => "map",
    }
}
