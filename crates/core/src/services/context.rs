//! What every service shares: the ports, the settings and the table of sandboxes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::audit::AuditLog;
use super::builds::BuildTable;
use super::events::EventLog;
use super::pulls::Pulls;
use super::roles::RoleTasks;
use super::settings::Settings;
use super::table::Table;
use super::templates;
use super::volumes;
use crate::ports::{Blobs, Gateway, Git, Guest, Images, Runtime, Store, Transpiler};
use crate::{Clock, Ids, Timestamp};

/// The adapters, as the server wires them.
#[derive(Clone)]
pub struct Ports {
    /// Records.
    pub store: Arc<dyn Store>,
    /// Content of uploads.
    pub blobs: Arc<dyn Blobs>,
    /// Root file systems.
    pub images: Arc<dyn Images>,
    /// What makes sandboxes.
    pub runtime: Arc<dyn Runtime>,
    /// What runs inside them.
    pub guest: Arc<dyn Guest>,
    /// What judges the traffic of networked sandboxes; `None` where no sandbox may have a network.
    pub gateway: Option<Arc<dyn Gateway>>,
    /// Git inside them.
    pub git: Arc<dyn Git>,
    /// TypeScript to JavaScript.
    pub transpiler: Arc<dyn Transpiler>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Identity.
    pub ids: Arc<dyn Ids>,
}

/// One of these is behind all services.
pub(super) struct Context {
    pub(super) ports: Ports,
    pub(super) settings: Settings,
    pub(super) table: Table,
    pub(super) events: EventLog,
    pub(super) audit: AuditLog,
    pub(super) pulls: Pulls,
    pub(super) builds: BuildTable,
    pub(super) templates: templates::Table,
    pub(super) roles: RoleTasks,
    pub(super) volumes: Arc<volumes::Uses>,
    /// See [`super::image_collection`].
    pub(super) images_in_use: Arc<tokio::sync::RwLock<()>>,
    /// When images were last collected, on the monotonic clock.
    pub(super) images_collected: std::sync::Mutex<Option<std::time::Duration>>,
    /// Wakes the reconcilers before their timer does.
    pub(super) wake: tokio::sync::Notify,
    /// Uploads on their way in hold it for reading; the collector of unused blobs needs it for writing, so that it
    /// never removes content whose record is just being written.
    pub(super) blobs_in_use: Arc<tokio::sync::RwLock<()>>,
    /// There may be content that no record names: after a start, a removal, or an upload that failed at its end.
    pub(super) unused_blobs: AtomicBool,
}

impl Context {
    pub(super) fn now(&self) -> Timestamp {
        self.ports.clock.now()
    }

    /// Lets the collector look for content that no record names.
    pub(super) fn collect_blobs_soon(&self) {
        self.unused_blobs.store(true, Ordering::Release);
        self.wake.notify_one();
    }
}
