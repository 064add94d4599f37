//! A server in this process: the real services, store and blobs, with a runtime, guest and images kept in memory.
//!
//! Time stands still until a test moves it and ids count up, so that answers can be compared whole.

#![allow(dead_code, unreachable_pub, reason = "each dialect's suite is a crate that uses a part of it")]

mod call;
pub mod document;
mod exec;
mod git;
mod guest;
mod images;
mod language_server;
mod runtime;
mod tree;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::http::Method;
use lazaret_api::ApiSettings;
use lazaret_core::ports::Transpiler;
use lazaret_core::services::{NewKey, Ports, Services, Settings};
use lazaret_core::{
    Caller, Error, Ids, ManualClock, PackageManager, Role, RoleTable, Scope, Secret, Timestamp,
};
use lazaret_store::{BlobFiles, Sqlite};

pub use call::{Answer, Call};
pub use git::MemoryGit;
pub use guest::MemoryGuest;
pub use images::MemoryImages;
pub use runtime::MemoryRuntime;

/// When the tests begin: 2025-08-15T23:20:00Z.
pub const START: Timestamp = Timestamp::from_unix_micros(1_755_300_000 * 1_000_000);

/// The admin's key, with spaces in it as one client's own test suite has.
pub const ADMIN_KEY: &str = "My API Key";

/// Longest time that a test waits for anything.
pub const DEADLINE: Duration = Duration::from_secs(10);

/// A server and the handles of its parts.
pub struct Server {
    pub router: Router,
    pub services: Services,
    pub clock: Arc<ManualClock>,
    pub guest: Arc<MemoryGuest>,
    pub runtime: Arc<MemoryRuntime>,
    pub images: Arc<MemoryImages>,
    pub git: Arc<MemoryGit>,
    listener: std::sync::Mutex<Option<tokio::task::JoinHandle<()>>>,
    directory: tempfile::TempDir,
}

impl Server {
    /// A server with the default settings.
    pub async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// A server whose API settings `change` has changed.
    pub async fn start_with(change: impl FnOnce(&mut ApiSettings)) -> Self {
        Self::start_under(Settings { roles: roles(), ..Settings::default() }, change).await
    }

    /// A server under these rules, whose API settings `change` has changed.
    pub async fn start_under(rules: Settings, change: impl FnOnce(&mut ApiSettings)) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let clock = Arc::new(ManualClock::at(START));
        let guest = Arc::new(MemoryGuest::new(clock.clone()));
        let runtime = Arc::new(MemoryRuntime::new(guest.clone()));
        let images = Arc::new(MemoryImages::new(START));
        let git = Arc::new(MemoryGit::default());
        let ports = Ports {
            store: Arc::new(Sqlite::open(&directory.path().join("lazaret.db")).expect("a new database")),
            blobs: Arc::new(BlobFiles::open(&directory.path().join("blobs")).expect("a new directory")),
            images: images.clone(),
            runtime: runtime.clone(),
            guest: guest.clone(),
            gateway: None,
            git: git.clone(),
            transpiler: Arc::new(NoTranspiler),
            clock: clock.clone(),
            ids: Arc::new(CountingIds::default()),
        };
        let services = Services::start(ports, rules).await.expect("services start");
        services.accounts.ensure_admin(Some(Secret::new(ADMIN_KEY))).await.expect("an admin");
        let mut settings = ApiSettings::new(clock.clone());
        "0.0.0-test".clone_into(&mut settings.version);
        change(&mut settings);
        let router = lazaret_api::router(services.clone(), settings);
        let listener = std::sync::Mutex::new(None);
        Self { router, services, clock, guest, runtime, images, git, listener, directory }
    }

    /// The admin as a caller of the services.
    pub async fn admin(&self) -> Caller {
        self.services.accounts.authenticate(ADMIN_KEY).await.expect("the admin's key works")
    }

    /// A key of a new account, with the everyday scopes.
    pub async fn other_account(&self, name: &str) -> String {
        let admin = self.admin().await;
        let account = self.services.accounts.create(&admin, name, "default").await.expect("an account");
        let new = NewKey { name: name.to_owned(), scopes: Scope::DEFAULT.to_vec(), expires_in: None };
        let (_, secret) = self.services.accounts.create_key(&admin, account.id, new).await.expect("a key");
        secret.expose().to_owned()
    }

    /// A key of the admin's account with these scopes alone.
    pub async fn key_with(&self, scopes: &[Scope]) -> String {
        let admin = self.admin().await;
        let new = NewKey { name: "limited".to_owned(), scopes: scopes.to_vec(), expires_in: None };
        let (_, secret) = self.services.accounts.create_key(&admin, admin.account, new).await.expect("a key");
        secret.expose().to_owned()
    }

    /// A request, with the admin's key until told otherwise.
    pub fn call(&self, method: Method, path: &str) -> Call {
        Call::new(self.router.clone(), method, path)
    }

    pub fn get(&self, path: &str) -> Call {
        self.call(Method::GET, path)
    }

    pub fn post(&self, path: &str) -> Call {
        self.call(Method::POST, path)
    }

    pub fn put(&self, path: &str) -> Call {
        self.call(Method::PUT, path)
    }

    pub fn delete(&self, path: &str) -> Call {
        self.call(Method::DELETE, path)
    }

    /// Serves the router on a socket of the loopback interface, for clients that need one.
    pub async fn listen(&self) -> SocketAddr {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let address = listener.local_addr().expect("a bound socket");
        let service = self.router.clone().into_make_service_with_connect_info::<SocketAddr>();
        let task = tokio::spawn(async move { axum::serve(listener, service).await.expect("serving") });
        *self.listener.lock().expect("no panic under this lock") = Some(task);
        address
    }

    /// How many files the directory of blobs holds, finished or not.
    pub fn blob_files(&self) -> usize {
        fn count(directory: &std::path::Path) -> usize {
            let entries = std::fs::read_dir(directory).expect("a readable directory");
            entries
                .map(|entry| entry.expect("a readable entry").path())
                .map(|path| if path.is_dir() { count(&path) } else { 1 })
                .sum()
        }
        count(&self.directory.path().join("blobs"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(task) = self.listener.lock().expect("no panic under this lock").take() {
            task.abort();
        }
    }
}

/// Some roles; what their scripts mean is said in `exec.rs`.
fn roles() -> RoleTable {
    let role = |id: &str, script: Option<&str>| Role {
        id: id.to_owned(),
        name: format!("Role {id}"),
        script: script.map(str::to_owned),
        ..Role::default()
    };
    let packages = [
        (PackageManager::Apt, vec!["git".to_owned(), "jq".to_owned()]),
        (PackageManager::Apk, vec!["git".to_owned()]),
    ];
    let mut table = RoleTable::default();
    for role in [
        role("barebone", None),
        Role {
            description: "Everyday tools".to_owned(),
            icon: "terminal".to_owned(),
            packages: packages.into(),
            ..role("tools", None)
        },
        role("quick", Some("say script\nsay script\nsay packages 7\ncomplain nothing to see")),
        role("broken", Some("say script\ncomplain E: no \u{1b}[31mluck\nexit 14")),
        role("slow", Some("say script\nwait")),
    ] {
        table.insert(role).expect("a role that is right");
    }
    table
}

/// Waits until `done`, asking again after each turn of the other tasks.
pub async fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let wait = async {
        while !done() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(DEADLINE, wait).await.unwrap_or_else(|_| panic!("never came: {what}"));
}

/// Ids that count up within their second.
#[derive(Debug, Default)]
pub struct CountingIds(AtomicU32);

impl Ids for CountingIds {
    fn next(&self, created_at: Timestamp) -> [u8; 16] {
        let seconds = u32::try_from(created_at.unix_seconds()).expect("a second of this century");
        let count = self.0.fetch_add(1, Ordering::Relaxed) + 1;
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&seconds.to_be_bytes());
        bytes[6] = 0x80;
        bytes[8] = 0x80;
        bytes[12..].copy_from_slice(&count.to_be_bytes());
        bytes
    }
}

/// Takes any text but `syntax error` for JavaScript.
struct NoTranspiler;

#[async_trait]
impl Transpiler for NoTranspiler {
    async fn to_javascript(&self, code: String) -> lazaret_core::Result<String> {
        if code == "syntax error" {
            return Err(Error::invalid("code", "1:8: unexpected word"));
        }
        Ok(code)
    }
}
