//! Query strings, with the key named that is wrong.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::fields::rejection;
use crate::failure::{Failure, Part};

/// The query string as `T`. Whether unknown keys are refused is up to `T`; a repeated key is a list.
pub(crate) struct Query<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Failure> {
        let text = parts.uri.query().unwrap_or_default();
        let deserializer = serde_html_form::Deserializer::from_bytes(text.as_bytes());
        let value = serde_path_to_error::deserialize(deserializer)
            .map_err(|error| rejection(Part::Query, error.path(), error.inner()))?;
        Ok(Self(value))
    }
}
