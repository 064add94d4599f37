//! What is on the wire.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::volumes::SandboxVolume;

/// A sandbox. Numbers are whole, since the clients refuse any other.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Sandbox {
    pub(super) id: String,
    pub(super) organization_id: String,
    pub(super) name: String,
    pub(super) snapshot: String,
    pub(super) user: String,
    pub(super) env: BTreeMap<String, String>,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) public: bool,
    pub(super) network_block_all: bool,
    pub(super) network_allow_list: Option<String>,
    pub(super) domain_allow_list: Option<String>,
    pub(super) kvm: bool,
    pub(super) target: &'static str,
    pub(super) cpu: u64,
    pub(super) gpu: u64,
    pub(super) memory: u64,
    pub(super) disk: u64,
    pub(super) state: &'static str,
    pub(super) desired_state: &'static str,
    pub(super) error_reason: Option<String>,
    pub(super) recoverable: bool,
    pub(super) backup_state: &'static str,
    pub(super) auto_stop_interval: u64,
    pub(super) auto_pause_interval: u64,
    pub(super) auto_archive_interval: u64,
    pub(super) auto_delete_interval: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) auto_destroy_at: Option<String>,
    pub(super) volumes: Vec<SandboxVolume>,
    pub(super) created_at: String,
    pub(super) updated_at: String,
    pub(super) last_activity_at: String,
    pub(super) sandbox_class: &'static str,
    pub(super) toolbox_proxy_url: String,
}

/// A sandbox to make. Null is absent.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct NewSandbox {
    pub(super) name: Option<String>,
    pub(super) snapshot: Option<String>,
    pub(super) user: Option<String>,
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    pub(super) env: Option<Map<String, Value>>,
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    pub(super) labels: Option<Map<String, Value>>,
    pub(super) public: Option<bool>,
    pub(super) network_block_all: Option<bool>,
    pub(super) network_allow_list: Option<String>,
    pub(super) domain_allow_list: Option<String>,
    pub(super) cpu: Option<i64>,
    pub(super) memory: Option<i64>,
    pub(super) disk: Option<i64>,
    pub(super) auto_stop_interval: Option<i64>,
    pub(super) auto_pause_interval: Option<i64>,
    pub(super) auto_archive_interval: Option<i64>,
    pub(super) auto_delete_interval: Option<i64>,
    pub(super) ttl_minutes: Option<i64>,
    pub(super) build_info: Option<NewBuild>,
    pub(super) volumes: Option<Vec<SandboxVolume>>,
    // What follows is known so that it is refused, and not ignored.
    pub(super) gpu: Option<i64>,
    pub(super) kvm: Option<bool>,
    pub(super) spot: Option<bool>,
    #[schema(value_type = Option<Vec<Object>>)]
    pub(super) secrets: Option<Vec<Value>>,
    pub(super) linked_sandbox: Option<String>,
    pub(super) outbound_proxy_url: Option<String>,
    pub(super) otel_endpoint_override: Option<String>,
}

/// A Dockerfile to make the sandbox's image of.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct NewBuild {
    pub(super) dockerfile_content: String,
    pub(super) context_hashes: Option<Vec<String>>,
}

/// All labels of a sandbox.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct Labels {
    #[schema(value_type = BTreeMap<String, String>)]
    pub(super) labels: Map<String, Value>,
}

/// Other bounds.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default)]
pub(super) struct Resize {
    pub(super) cpu: Option<i64>,
    pub(super) memory: Option<i64>,
    pub(super) disk: Option<i64>,
}

/// Another network.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct NetworkSettings {
    pub(super) network_block_all: Option<bool>,
    pub(super) network_allow_list: Option<String>,
    pub(super) domain_allow_list: Option<String>,
}

/// How to fork.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default)]
pub(super) struct Fork {
    pub(super) name: Option<String>,
}

/// An object without fields.
#[derive(Debug, Serialize)]
pub(super) struct Nothing {}
