//! What is on the wire. Times are whole Unix seconds; unknown fields of a body are ignored, since gateways add some.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::extract::Object;

/// Body of `POST /containers`.
#[derive(Debug, Deserialize)]
pub(super) struct NewContainer {
    pub(super) name: String,
    pub(super) file_ids: Option<Vec<String>>,
    pub(super) expires_after: Option<Object<ExpiresAfter>>,
    pub(super) memory_limit: Option<String>,
    pub(super) network_policy: Option<Object<NetworkPolicy>>,
    pub(super) skills: Option<Vec<serde_json::Value>>,
    pub(super) metadata: Option<BTreeMap<String, String>>,
}

/// The one thing of a body that is looked at before the rest.
#[derive(Debug, Deserialize)]
pub(super) struct NamedProvider {
    pub(super) provider: Option<String>,
}

/// Body of `POST /containers/{id}/files`, when it is JSON.
#[derive(Debug, Deserialize)]
pub(super) struct NewContainerFile {
    pub(super) file_id: Option<String>,
    pub(super) file_path: Option<String>,
}

/// When a container expires.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct ExpiresAfter {
    /// `last_active_at` is the one legal value.
    pub(super) anchor: String,
    /// Minutes, whatever the published description says.
    pub(super) minutes: i64,
}

/// What a container may reach, as asked for.
#[derive(Debug, Deserialize)]
pub(super) struct NetworkPolicy {
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
    pub(super) allowed_domains: Option<Vec<String>>,
    pub(super) domain_secrets: Option<Unshown>,
}

/// A part of a body with secrets in it. It is read by hand, because what serde says of a wrong value holds that value, and it
/// does not print.
#[derive(Deserialize)]
pub(super) struct Unshown(pub(super) serde_json::Value);

impl std::fmt::Debug for Unshown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Unshown(..)")
    }
}

/// What a container may reach, as shown.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(super) enum ShownPolicy {
    Disabled,
    Allowlist { allowed_domains: Vec<String> },
}

/// The container object.
#[derive(Debug, Serialize)]
pub(super) struct Container {
    pub(super) id: String,
    pub(super) object: &'static str,
    pub(super) created_at: i64,
    pub(super) status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) expires_after: Option<ExpiresAfter>,
    pub(super) last_active_at: i64,
    pub(super) memory_limit: &'static str,
    pub(super) name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) network_policy: Option<ShownPolicy>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) metadata: BTreeMap<String, String>,
}

/// The container file object.
#[derive(Debug, Serialize)]
pub(super) struct ContainerFile {
    pub(super) id: String,
    pub(super) object: &'static str,
    pub(super) created_at: i64,
    pub(super) bytes: u64,
    pub(super) container_id: String,
    pub(super) path: String,
    pub(super) source: &'static str,
}

/// The file object.
#[derive(Debug, Serialize)]
pub(super) struct File {
    pub(super) id: String,
    pub(super) object: &'static str,
    pub(super) bytes: u64,
    pub(super) created_at: i64,
    pub(super) filename: String,
    pub(super) purpose: String,
    /// Deprecated by the contract, and required by its strict clients.
    pub(super) status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) expires_at: Option<i64>,
}

/// What a deletion answers.
#[derive(Debug, Serialize)]
pub(super) struct Deleted {
    pub(super) id: String,
    pub(super) object: &'static str,
    pub(super) deleted: bool,
}

/// The list envelope.
#[derive(Debug, Serialize)]
pub(super) struct List<T> {
    pub(super) object: &'static str,
    pub(super) data: Vec<T>,
    pub(super) first_id: Option<String>,
    pub(super) last_id: Option<String>,
    pub(super) has_more: bool,
    /// Bifrost's cursor, where there is more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) after: Option<String>,
}

/// The error envelope; the first three fields are Bifrost's.
#[derive(Debug, Serialize)]
pub(super) struct Envelope {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) is_bifrost_error: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) status_code: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) extra_fields: Option<ExtraFields>,
    pub(super) error: ErrorBody,
}

/// What is wrong; all four keys are always there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct ErrorBody {
    pub(super) message: String,
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) param: Option<String>,
    pub(super) code: Option<&'static str>,
}

/// What Bifrost adds to an object.
#[derive(Debug, Serialize)]
pub(super) struct ExtraFields {
    pub(super) request_type: &'static str,
    pub(super) provider: String,
    /// Milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) latency: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) chunk_index: Option<u32>,
}
