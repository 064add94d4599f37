//! Refusals that this dialect makes while it converts; `error.rs` has the words.

use crate::failure::{FieldProblem, Part, Rejection, Sequence};

/// This is wrong with this field.
fn field(name: &str, problem: FieldProblem) -> Rejection {
    Rejection::Field { part: Part::Body, field: name.to_owned(), problem }
}

pub(super) fn missing(name: &str) -> Rejection {
    field(name, FieldProblem::Missing)
}

pub(super) fn repeated(name: &str) -> Rejection {
    field(name, FieldProblem::Duplicate)
}

pub(super) fn unsupported(name: &str) -> Rejection {
    field(name, FieldProblem::Unsupported)
}

/// A file in a part of another name than `file`.
pub(super) fn unexpected_file(name: &str) -> Rejection {
    let reason = format!("must be in a part called 'file', not '{}'", name.escape_debug());
    field("file", FieldProblem::Other(reason))
}

/// One kind of JSON value where another belongs, by their names: the value itself may be one that must not be told.
pub(super) fn wrong_type(name: &str, expected: &str, got: &str) -> Rejection {
    field(name, FieldProblem::WrongType { expected: expected.to_owned(), got: got.to_owned() })
}

/// A text that should have been an integer.
pub(super) fn not_an_integer(name: &str) -> Rejection {
    field(name, FieldProblem::WrongType { expected: "integer".to_owned(), got: "string".to_owned() })
}

pub(super) fn wrong_value(name: &str, why: &str) -> Rejection {
    field(name, FieldProblem::Other(why.to_owned()))
}

pub(super) fn not_one_of(name: &str, got: &str, supported: &[&str]) -> Rejection {
    let supported = supported.iter().map(|&value| value.to_owned()).collect();
    field(name, FieldProblem::NotOneOf { got: got.to_owned(), supported })
}

pub(super) fn empty_string(name: &str) -> Rejection {
    field(name, FieldProblem::Empty(Sequence::String))
}

pub(super) fn empty_array(name: &str) -> Rejection {
    field(name, FieldProblem::Empty(Sequence::Array))
}

pub(super) fn string_too_long(name: &str, max: usize, got: usize) -> Rejection {
    field(name, FieldProblem::TooLong { of: Sequence::String, got, max })
}

pub(super) fn array_too_long(name: &str, max: usize, got: usize) -> Rejection {
    field(name, FieldProblem::TooLong { of: Sequence::Array, got, max })
}

/// The number, if it is from `min` to `max`, neither of which is negative.
pub(super) fn check_integer(name: &str, got: i64, min: i64, max: i64) -> Result<u64, Rejection> {
    if got < min {
        return Err(field(name, FieldProblem::BelowMin { got, min }));
    }
    if got > max {
        return Err(field(name, FieldProblem::AboveMax { got, max }));
    }
    u64::try_from(got).map_err(|_| field(name, FieldProblem::BelowMin { got, min: 0 }))
}
