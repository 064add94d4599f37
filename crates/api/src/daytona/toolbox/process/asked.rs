//! What requests about processes have in common: directories, variables, timeouts, and how an end is written.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::http::StatusCode;
use lazaret_core::{Error, ExecExit};
use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::Value;
use utoipa::ToSchema;

use crate::daytona::toolbox::error::worded;
use crate::daytona::toolbox::target::Target;
use crate::failure::Failure;
use crate::settings::App;

/// Something was done.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Done {
    /// A sentence for people.
    pub(super) message: String,
}

/// Variables; numbers and truth values are taken for their text, and nothing for no variable.
#[derive(Debug, Default)]
pub(super) struct Variables(BTreeMap<String, String>);

impl<'de> Deserialize<'de> for Variables {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let given = Option::<BTreeMap<String, Value>>::deserialize(deserializer)?.unwrap_or_default();
        let mut variables = BTreeMap::new();
        for (name, value) in given {
            let text = match value {
                Value::String(text) => text,
                Value::Number(number) => number.to_string(),
                Value::Bool(truth) => truth.to_string(),
                Value::Null => continue,
                Value::Array(_) | Value::Object(_) => {
                    return Err(de::Error::custom(format!("the value of '{name}' must be a string")));
                }
            };
            variables.insert(name, text);
        }
        Ok(Self(variables))
    }
}

impl Variables {
    /// The variables, if their names are such as every shell takes.
    pub(super) fn checked(self) -> Result<BTreeMap<String, String>, Failure> {
        let is_name = |name: &str| {
            let mut bytes = name.bytes();
            bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_')
                && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        };
        match self.0.keys().find(|name| !is_name(name)) {
            Some(name) => {
                let message = format!("invalid environment variable name: '{}'", name.escape_debug());
                Err(worded(StatusCode::BAD_REQUEST, "BAD_REQUEST", message))
            }
            None => Ok(self.0),
        }
    }
}

/// A timeout in whole seconds, none if it is absent or 0.
pub(super) fn timeout(seconds: Option<i64>) -> Result<Option<Duration>, Failure> {
    match u64::try_from(seconds.unwrap_or(0)) {
        Ok(0) => Ok(None),
        Ok(seconds) => Ok(Some(Duration::from_secs(seconds))),
        Err(_) => Err(worded(StatusCode::BAD_REQUEST, "BAD_REQUEST", "timeout must not be negative")),
    }
}

/// The directory that a request means: its own, beneath the work directory unless it is absolute, or the work directory.
pub(super) async fn directory<Q>(
    target: &Target<Q>,
    app: &App,
    cwd: Option<String>,
) -> Result<String, Error> {
    let cwd = cwd.filter(|cwd| !cwd.is_empty());
    if let Some(cwd) = cwd.as_ref().filter(|cwd| cwd.starts_with('/')) {
        return Ok(cwd.clone());
    }
    let work_dir = target.work_dir(app).await?;
    Ok(match cwd {
        Some(cwd) => format!("{}/{cwd}", work_dir.trim_end_matches('/')),
        None => work_dir,
    })
}

/// An end as one number, the way shells write it.
pub(super) fn exit_code(exit: ExecExit) -> i32 {
    match exit {
        ExecExit::Code(code) => code.into(),
        ExecExit::Signal(signal) => 128 + i32::from(signal),
    }
}

/// Output as text, with a word about what is missing.
pub(super) fn text(bytes: &[u8], truncated: bool) -> String {
    let mut text = String::from_utf8_lossy(bytes).into_owned();
    if truncated {
        text.push_str("\n[lazaret: the rest of the output was dropped, it is more than one answer holds]\n");
    }
    text
}

/// The refusal of something that took longer than it was given.
pub(super) fn timed_out() -> Failure {
    let message = "request timeout: command execution timeout";
    worded(StatusCode::REQUEST_TIMEOUT, "PROCESS_EXECUTION_TIMEOUT", message)
}

/// Whether a process merely could not be started, which is told in the place of its output.
pub(super) fn not_started(error: Error) -> Result<String, Failure> {
    match error {
        Error::Exec { .. } => Ok(error.to_string()),
        other => Err(other.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_text_whatever_their_type_and_have_names() {
        let read = |json| serde_json::from_str::<Variables>(json).map(|variables| variables.0);
        let want =
            [("A", "1"), ("B", "true"), ("C", "x")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        let found = read(r#"{"A": 1, "B": true, "C": "x", "D": null}"#).expect("scalars");
        assert_eq!(found, want.into());
        let refused = read(r#"{"A": []}"#).map_err(|error| error.to_string());
        assert_eq!(refused, Err("the value of 'A' must be a string".to_owned()));
        for (name, is_good) in
            [("A_1", true), ("_", true), ("1A", false), ("", false), ("A-B", false), ("\u{e9}", false)]
        {
            let variables = Variables([(name.to_owned(), String::new())].into());
            assert_eq!(variables.checked().is_ok_and(|_| true), is_good, "{name}");
        }
    }
}
