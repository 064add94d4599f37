//! Organizations, users and regions, as far as clients look at them: each account is an organization of one user, and this
//! server is its one region.

use axum::extract::State as AppState;
use lazaret_core::services::SandboxFilter;
use lazaret_core::{Caller, Order, PageRequest, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

use super::convert::organization;
use super::error::ErrorBody;
use super::server::REGION;
use super::target::Asked;
use super::wire::Nothing;
use crate::daytona::not_found;
use crate::daytona::time::iso8601;
use crate::extract::Json;
use crate::failure::Failure;
use crate::settings::App;

/// When things began that this server keeps no time of.
const LONG_AGO: Timestamp = Timestamp::from_unix_micros(0);
/// Sandboxes that are counted at once.
const CHUNK: usize = 1000;

/// An organization: an account. What this server has no word for is 0, empty or null.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Organization {
    #[schema(required)]
    authenticated_rate_limit: Option<u64>,
    #[schema(required)]
    authenticated_rate_limit_ttl_seconds: Option<u64>,
    created_at: String,
    created_by: String,
    default_region_id: &'static str,
    #[schema(value_type = Object)]
    experimental_config: Nothing,
    id: String,
    max_cpu_per_sandbox: u64,
    max_disk_per_sandbox: u64,
    max_memory_per_sandbox: u64,
    max_secrets_per_sandbox: u64,
    name: &'static str,
    #[schema(required, value_type = Option<Object>)]
    otel_config: Option<Nothing>,
    personal: bool,
    preview_warning_enabled: bool,
    #[schema(required)]
    sandbox_create_rate_limit: Option<u64>,
    #[schema(required)]
    sandbox_create_rate_limit_ttl_seconds: Option<u64>,
    #[schema(required)]
    sandbox_lifecycle_rate_limit: Option<u64>,
    #[schema(required)]
    sandbox_lifecycle_rate_limit_ttl_seconds: Option<u64>,
    sandbox_limited_network_egress: bool,
    secret_quota: u64,
    snapshot_deactivation_timeout_minutes: u64,
    sso_enabled: bool,
    suspended: bool,
    suspended_at: String,
    suspended_until: String,
    suspension_cleanup_grace_period_hours: u64,
    suspension_reason: &'static str,
    updated_at: String,
}

/// What an account uses.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Usage {
    current_snapshot_usage: u64,
    current_volume_usage: u64,
    region_usage: [RegionUsage; 1],
    total_snapshot_quota: u64,
    total_volume_quota: u64,
}

/// What an account uses in a region: whole cores, and GiB.
#[derive(Debug, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct RegionUsage {
    current_cpu_usage: u64,
    current_disk_usage: u64,
    current_gpu_usage: u64,
    current_memory_usage: u64,
    #[schema(required)]
    max_cpu_per_gpu: Option<u64>,
    #[schema(required)]
    max_cpu_per_sandbox: Option<u64>,
    #[schema(required)]
    max_disk_per_gpu: Option<u64>,
    #[schema(required)]
    max_disk_per_non_ephemeral_sandbox: Option<u64>,
    #[schema(required)]
    max_disk_per_sandbox: Option<u64>,
    #[schema(required)]
    max_memory_per_gpu: Option<u64>,
    #[schema(required)]
    max_memory_per_sandbox: Option<u64>,
    region_id: &'static str,
    sandbox_class: &'static str,
    total_cpu_quota: u64,
    total_disk_quota: u64,
    total_gpu_quota: u64,
    total_memory_quota: u64,
}

/// A user: an account.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct User {
    created_at: String,
    email: &'static str,
    email_verified: bool,
    id: String,
    name: &'static str,
    #[schema(value_type = Vec<Object>, max_items = 0)]
    public_keys: [Nothing; 0],
}

/// A region: this server.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Region {
    created_at: String,
    id: &'static str,
    name: &'static str,
    #[schema(required)]
    organization_id: Option<String>,
    region_type: &'static str,
    updated_at: String,
}

/// The organizations of the caller: its account.
#[utoipa::path(get, path = "/organizations", operation_id = "listOrganizations", tag = "account",
    responses((status = 200, body = Vec<Organization>), (status = "default", body = ErrorBody)))]
pub(super) async fn list(asked: Asked) -> Json<[Organization; 1]> {
    Json([shown(&asked.caller)])
}

/// One organization.
#[utoipa::path(get, path = "/organizations/{organization}", operation_id = "getOrganization", tag = "account",
    params(("organization" = String, Path, description = "Id of the account")),
    responses((status = 200, body = Organization), (status = "default", body = ErrorBody)))]
pub(super) async fn show(asked: Asked) -> Result<Json<Organization>, Failure> {
    check(&asked)?;
    Ok(Json(shown(&asked.caller)))
}

fn check(asked: &Asked) -> Result<(), Failure> {
    let given = String::from_utf8_lossy(asked.params.bytes("organization"));
    if given == organization(&asked.caller) {
        return Ok(());
    }
    Err(not_found(&format!("Organization {given} not found")))
}

fn shown(caller: &Caller) -> Organization {
    let began = iso8601(LONG_AGO);
    Organization {
        authenticated_rate_limit: None,
        authenticated_rate_limit_ttl_seconds: None,
        created_at: began.clone(),
        created_by: organization(caller),
        default_region_id: REGION,
        experimental_config: Nothing {},
        id: organization(caller),
        max_cpu_per_sandbox: 0,
        max_disk_per_sandbox: 0,
        max_memory_per_sandbox: 0,
        max_secrets_per_sandbox: 0,
        name: "default",
        otel_config: None,
        personal: true,
        preview_warning_enabled: false,
        sandbox_create_rate_limit: None,
        sandbox_create_rate_limit_ttl_seconds: None,
        sandbox_lifecycle_rate_limit: None,
        sandbox_lifecycle_rate_limit_ttl_seconds: None,
        sandbox_limited_network_egress: false,
        secret_quota: 0,
        snapshot_deactivation_timeout_minutes: 0,
        sso_enabled: false,
        suspended: false,
        suspended_at: began.clone(),
        suspended_until: began.clone(),
        suspension_cleanup_grace_period_hours: 0,
        suspension_reason: "",
        updated_at: began,
    }
}

/// What the account's running sandboxes take together. Quotas are of each sandbox, not of their sum, so totals are 0.
#[utoipa::path(get, path = "/organizations/{organization}/usage", operation_id = "getOrganizationUsageOverview", tag = "account",
    params(("organization" = String, Path, description = "Id of the account")),
    responses((status = 200, body = Usage), (status = "default", body = ErrorBody)))]
pub(super) async fn usage(AppState(app): AppState<App>, asked: Asked) -> Result<Json<Usage>, Failure> {
    check(&asked)?;
    let (mut cpu, mut memory, mut disk) = (0_u64, 0_u64, 0_u64);
    let mut after = None;
    loop {
        let request = PageRequest { limit: CHUNK, order: Order::Ascending, after };
        let page = app.core.sandboxes.list(&asked.caller, &SandboxFilter::default(), request).await?;
        for sandbox in &page.items {
            disk += sandbox.resources.disk_bytes >> 30;
            if sandbox.state.is_live() {
                cpu += u64::from(sandbox.resources.cpu_millis).div_ceil(1000);
                memory += sandbox.resources.memory_bytes >> 30;
            }
        }
        after = page.items.last().map(|last| last.id);
        if !page.has_more {
            break;
        }
    }
    let usage = RegionUsage {
        region_id: REGION,
        sandbox_class: "container",
        current_cpu_usage: cpu,
        current_memory_usage: memory,
        current_disk_usage: disk,
        ..RegionUsage::default()
    };
    Ok(Json(Usage {
        current_snapshot_usage: 0,
        current_volume_usage: 0,
        region_usage: [usage],
        total_snapshot_quota: 0,
        total_volume_quota: 0,
    }))
}

/// Who asks.
#[utoipa::path(get, path = "/users/me", operation_id = "getAuthenticatedUser", tag = "account",
    responses((status = 200, body = User), (status = "default", body = ErrorBody)))]
pub(super) async fn me(asked: Asked) -> Json<User> {
    Json(User {
        created_at: iso8601(LONG_AGO),
        email: "",
        email_verified: false,
        id: organization(&asked.caller),
        name: "default",
        public_keys: [],
    })
}

fn region() -> Region {
    let began = iso8601(LONG_AGO);
    Region {
        created_at: began.clone(),
        id: REGION,
        name: REGION,
        organization_id: None,
        region_type: "shared",
        updated_at: began,
    }
}

/// The regions: this server.
#[utoipa::path(get, path = "/regions", operation_id = "listAvailableRegions", tag = "account",
    responses((status = 200, body = Vec<Region>), (status = "default", body = ErrorBody)))]
pub(super) async fn regions(_asked: Asked) -> Json<[Region; 1]> {
    Json([region()])
}

/// The regions that everybody has: this server.
#[utoipa::path(get, path = "/shared-regions", operation_id = "listSharedRegions", tag = "account",
    responses((status = 200, body = Vec<Region>), (status = "default", body = ErrorBody)))]
pub(super) async fn shared_regions(_asked: Asked) -> Json<[Region; 1]> {
    Json([region()])
}

/// One region.
#[utoipa::path(get, path = "/regions/{region}", operation_id = "getRegionById", tag = "account",
    params(("region" = String, Path, description = "Id of the region")),
    responses((status = 200, body = Region), (status = "default", body = ErrorBody)))]
pub(super) async fn show_region(asked: Asked) -> Result<Json<Region>, Failure> {
    let given = String::from_utf8_lossy(asked.params.bytes("region"));
    if given == REGION { Ok(Json(region())) } else { Err(not_found(&format!("Region {given} not found"))) }
}
