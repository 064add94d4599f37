//! What the server says of itself.

use serde_json::{Value, json};

use crate::extract::Json;

/// That it is there.
pub(super) async fn health() -> Json<Value> {
    Json(json!({"status": "ok"}))
}
