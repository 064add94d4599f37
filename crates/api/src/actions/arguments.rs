//! Arguments of an action, read leniently: null and empty are absent, whole numbers may be texts, unknown ones are
//! ignored. What has another type is refused by name.

use std::collections::BTreeMap;

use lazaret_core::services::actions::Refusal;
use serde_json::{Map, Value};

/// The arguments of one call.
pub(super) struct Arguments(pub(super) Map<String, Value>);

impl Arguments {
    /// A text that must be there; it may be blank, which the action judges.
    pub(super) fn required(&mut self, name: &str) -> Result<String, Refusal> {
        match self.0.remove(name) {
            Some(Value::String(text)) => Ok(text),
            None | Some(Value::Null) => Err(Refusal(format!("{name} is required"))),
            Some(other) => Err(wrong(name, "a string", &other)),
        }
    }

    /// A text, if it is there and not empty.
    pub(super) fn text(&mut self, name: &str) -> Result<Option<String>, Refusal> {
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text).filter(|text| !text.trim().is_empty())),
            Some(other) => Err(wrong(name, "a string", &other)),
        }
    }

    /// A whole number, if it is there.
    pub(super) fn integer(&mut self, name: &str) -> Result<Option<i64>, Refusal> {
        let value = match self.0.remove(name) {
            None | Some(Value::Null) => return Ok(None),
            Some(value) => value,
        };
        let number = match &value {
            Value::Number(number) => number.as_i64().or_else(|| whole(number.as_f64()?)),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        number.map(Some).ok_or_else(|| wrong(name, "an integer", &value))
    }

    /// True or false, if it is there.
    pub(super) fn boolean(&mut self, name: &str) -> Result<Option<bool>, Refusal> {
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(flag)),
            Some(other) => Err(wrong(name, "a boolean", &other)),
        }
    }

    /// Texts by name; empty if they are not there.
    pub(super) fn texts(&mut self, name: &str) -> Result<BTreeMap<String, String>, Refusal> {
        let entries = match self.0.remove(name) {
            None | Some(Value::Null) => return Ok(BTreeMap::new()),
            Some(Value::Object(entries)) => entries,
            Some(other) => return Err(wrong(name, "an object", &other)),
        };
        let text = |(key, value): (String, Value)| match value {
            Value::String(text) => Ok((key, text)),
            Value::Number(number) => Ok((key, number.to_string())),
            Value::Bool(flag) => Ok((key, flag.to_string())),
            other => Err(wrong(&format!("{name}.{key}"), "a string", &other)),
        };
        entries.into_iter().map(text).collect()
    }
}

/// A number without a fraction, as JSON may write one: `10.0`.
fn whole(number: f64) -> Option<i64> {
    /// Beyond this, a float is no longer every whole number.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if number.fract() != 0.0 || number.abs() > EXACT {
        return None;
    }
    format!("{number:.0}").parse().ok()
}

fn wrong(name: &str, wanted: &str, got: &Value) -> Refusal {
    let got = match got {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    };
    Refusal(format!("{name} must be {wanted}, not {got}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn given(value: Value) -> Arguments {
        match json!({ "x": value }) {
            Value::Object(map) => Arguments(map),
            _ => unreachable!("an object"),
        }
    }

    fn refusal<T: std::fmt::Debug>(result: Result<T, Refusal>) -> String {
        result.expect_err("a refusal").0
    }

    #[test]
    fn null_and_empty_are_absent_and_numbers_may_be_texts() {
        assert_eq!(given(json!("")).text("x"), Ok(None));
        assert_eq!(given(json!(null)).integer("x"), Ok(None));
        assert_eq!(given(json!(0)).integer("x"), Ok(Some(0)));
        assert_eq!(given(json!("15")).integer("x"), Ok(Some(15)));
        assert_eq!(given(json!(10.0)).integer("x"), Ok(Some(10)));
        assert_eq!(given(json!(false)).boolean("x"), Ok(Some(false)));
        assert_eq!(given(json!({"a": 1, "b": true, "c": "d"})).texts("x").map(|texts| texts.len()), Ok(3));
        assert_eq!(given(json!(null)).texts("x"), Ok(BTreeMap::new()));
    }

    #[test]
    fn another_type_is_refused_by_name() {
        assert_eq!(refusal(given(json!(1)).text("x")), "x must be a string, not a number");
        assert_eq!(refusal(given(json!(1.5)).integer("x")), "x must be an integer, not a number");
        assert_eq!(refusal(given(json!("many")).integer("x")), "x must be an integer, not a string");
        assert_eq!(refusal(given(json!("yes")).boolean("x")), "x must be a boolean, not a string");
        assert_eq!(refusal(given(json!({"a": null})).texts("x")), "x.a must be a string, not null");
        assert_eq!(refusal(given(json!([])).required("x")), "x must be a string, not a list");
        assert_eq!(refusal(given(json!(1)).required("y")), "y is required");
    }
}
