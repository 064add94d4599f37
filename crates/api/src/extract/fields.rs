//! Which field a deserialiser stumbled over, and how.

use std::fmt::Display;

use serde_path_to_error::Path;

use crate::failure::{FieldProblem, Part, Rejection};

/// What `serde_html_form` says of a key that came twice and is no list.
const REPEATED: &str = "unsupported value";

/// The refusal for an error of serde at `path`.
///
/// Serde tells the kind of an error only through the fixed sentences of `serde::de::Error`'s provided methods, so these
/// are what is read here.
pub(super) fn rejection(part: Part, path: &Path, error: &impl Display) -> Rejection {
    let whole = error.to_string();
    // serde_json adds the place: the field's name says it better.
    let text = whole.split(" at line ").next().unwrap_or(&whole);
    let at = match path.to_string() {
        root if root == "." => String::new(),
        path => path,
    };
    let child = |name: &str| if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") };
    let quoted = |rest: &str| rest.split('`').next().unwrap_or(rest).to_owned();
    let (field, problem) = if let Some(rest) = text.strip_prefix("missing field `") {
        (child(&quoted(rest)), FieldProblem::Missing)
    } else if let Some(rest) = text.strip_prefix("unknown field `") {
        // Serde has entered the unknown field already where it is known by the path.
        let name = quoted(rest);
        let is_last = at == name || at.ends_with(&format!(".{name}"));
        (if is_last { at } else { child(&name) }, FieldProblem::Unknown)
    } else if let Some(rest) = text.strip_prefix("duplicate field `") {
        let name = quoted(rest);
        let is_last = at == name || at.ends_with(&format!(".{name}"));
        (if is_last { at } else { child(&name) }, FieldProblem::Duplicate)
    } else if let Some((got, expected)) =
        text.strip_prefix("invalid type: ").and_then(|rest| rest.rsplit_once(", expected "))
    {
        (at, FieldProblem::WrongType { expected: expected.to_owned(), got: got.to_owned() })
    } else if part == Part::Query && text == REPEATED {
        (at, FieldProblem::Duplicate)
    } else {
        (at, FieldProblem::Other(text.to_owned()))
    };
    if field.is_empty() {
        return Rejection::Malformed { part, reason: problem.to_string() };
    }
    Rejection::Field { part, field, problem }
}
