//! Organizations, users and regions, as far as clients look at them: each account is an organization of one user, and this
//! server is its one region.

use axum::extract::State as AppState;
use lazaret_core::services::SandboxFilter;
use lazaret_core::{Caller, Order, PageRequest, Timestamp};
use serde_json::{Value, json};

use super::convert::organization;
use super::server::REGION;
use super::target::Asked;
use crate::daytona::not_found;
use crate::daytona::time::iso8601;
use crate::extract::Json;
use crate::failure::Failure;
use crate::settings::App;

/// When things began that this server keeps no time of.
const LONG_AGO: Timestamp = Timestamp::from_unix_micros(0);
/// Sandboxes that are counted at once.
const CHUNK: usize = 1000;

pub(super) async fn list(asked: Asked) -> Json<Value> {
    Json(json!([shown(&asked.caller)]))
}

pub(super) async fn show(asked: Asked) -> Result<Json<Value>, Failure> {
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

fn shown(caller: &Caller) -> Value {
    let began = iso8601(LONG_AGO);
    json!({
        "id": organization(caller),
        "name": "default",
        "createdBy": organization(caller),
        "personal": true,
        "createdAt": began,
        "updatedAt": began,
        "suspended": false,
        "suspendedAt": began,
        "suspensionReason": "",
        "suspendedUntil": began,
        "suspensionCleanupGracePeriodHours": 0,
        "maxCpuPerSandbox": 0,
        "maxMemoryPerSandbox": 0,
        "maxDiskPerSandbox": 0,
        "secretQuota": 0,
        "maxSecretsPerSandbox": 0,
        "snapshotDeactivationTimeoutMinutes": 0,
        "sandboxLimitedNetworkEgress": false,
        "previewWarningEnabled": false,
        "ssoEnabled": false,
        "defaultRegionId": REGION,
        "authenticatedRateLimit": null,
        "sandboxCreateRateLimit": null,
        "sandboxLifecycleRateLimit": null,
        "experimentalConfig": {},
        "otelConfig": null,
        "authenticatedRateLimitTtlSeconds": null,
        "sandboxCreateRateLimitTtlSeconds": null,
        "sandboxLifecycleRateLimitTtlSeconds": null,
    })
}

/// What the account's running sandboxes take together. Quotas are of each sandbox, not of their sum, so totals are 0.
pub(super) async fn usage(AppState(app): AppState<App>, asked: Asked) -> Result<Json<Value>, Failure> {
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
    Ok(Json(json!({
        "regionUsage": [{
            "regionId": REGION,
            "totalCpuQuota": 0, "currentCpuUsage": cpu,
            "totalMemoryQuota": 0, "currentMemoryUsage": memory,
            "totalDiskQuota": 0, "currentDiskUsage": disk,
        }],
        "totalSnapshotQuota": 0, "currentSnapshotUsage": 0,
        "totalVolumeQuota": 0, "currentVolumeUsage": 0,
    })))
}

pub(super) async fn me(asked: Asked) -> Json<Value> {
    Json(json!({
        "id": organization(&asked.caller),
        "name": "default",
        "email": "",
        "emailVerified": false,
        "publicKeys": [],
        "createdAt": iso8601(LONG_AGO),
    }))
}

fn region() -> Value {
    let began = iso8601(LONG_AGO);
    json!({
        "id": REGION, "name": REGION, "organizationId": null, "regionType": "shared",
        "createdAt": began, "updatedAt": began,
    })
}

pub(super) async fn regions(_asked: Asked) -> Json<Value> {
    Json(json!([region()]))
}

pub(super) async fn show_region(asked: Asked) -> Result<Json<Value>, Failure> {
    let given = String::from_utf8_lossy(asked.params.bytes("region"));
    if given == REGION { Ok(Json(region())) } else { Err(not_found(&format!("Region {given} not found"))) }
}
