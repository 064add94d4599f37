//! What handlers take from a request. Every refusal is a [`crate::failure::Failure`], which leaves in the words of the
//! route's dialect.

mod fields;
mod json;
mod object;
mod path;
mod query;

pub(crate) use json::{Json, OptionalJson, parse, read_json};
pub(crate) use object::Object;
pub(crate) use path::PathParams;
pub(crate) use query::Query;
