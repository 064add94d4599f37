//! Nouns to store: each differs from its neighbours in every field that the number can reach.

use std::collections::BTreeMap;
use std::time::Duration;

use lazaret_core::ports::Store;
use lazaret_core::{
    Account, AccountId, Allowlist, CatalogueEntry, CatalogueEntryId, Digest, EgressPolicy, Event, EventKind,
    FilePath, IdleAction, Key, KeyHash, KeyId, LeasePolicy, MountPath, Reason, Recipe, Refusal, Resources,
    RoleStatus, Sandbox, SandboxId, SandboxRole, Scope, Source, State, Subpath, Template, TemplateId,
    TemplateSource, TemplateState, Timestamp, Upload, UploadId, Volume, VolumeId, VolumeMount, VolumeState,
};

/// Sixteen bytes that hold `number`, for an id.
fn id_bytes(number: u64) -> [u8; 16] {
    (u128::from(number) | 0x68a0_0001 << 96).to_be_bytes()
}

pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix_micros(1_755_300_000_000_000 + seconds * 1_000_000 + 7)
}

pub(crate) fn account_id(number: u64) -> AccountId {
    AccountId::from_bytes(id_bytes(number))
}

pub(crate) fn sandbox_id(number: u64) -> SandboxId {
    SandboxId::from_bytes(id_bytes(number))
}

pub(crate) fn entry_id(number: u64) -> CatalogueEntryId {
    CatalogueEntryId::from_bytes(id_bytes(number))
}

pub(crate) fn upload_id(number: u64) -> UploadId {
    UploadId::from_bytes(id_bytes(number))
}

pub(crate) fn digest(number: u8) -> Digest {
    Digest::from_bytes([number; 32])
}

pub(crate) fn account(number: u64) -> Account {
    Account {
        id: account_id(number),
        name: format!("account {number}"),
        tier: "default".to_owned(),
        created_at: at(0),
    }
}

/// An account that is stored.
pub(crate) async fn stored_account(store: &dyn Store, number: u64) -> AccountId {
    let account = account(number);
    store.create_account(&account).await.unwrap();
    account.id
}

pub(crate) fn key(number: u64, account: AccountId) -> Key {
    let mut hash = [0; 32];
    hash[..8].copy_from_slice(&number.to_le_bytes());
    Key {
        id: KeyId::from_bytes(id_bytes(number)),
        account,
        name: format!("key {number}"),
        hint: format!("lz-{number}"),
        hash: KeyHash(hash),
        scopes: Scope::ALL.to_vec(),
        created_at: at(1),
        expires_at: Some(at(2)),
    }
}

/// A template of an image that is not here.
pub(crate) fn template(number: u64, account: AccountId) -> Template {
    Template {
        id: TemplateId::from_bytes(id_bytes(number)),
        account,
        name: format!("template {number}"),
        source: TemplateSource::Image("debian:bookworm".to_owned()),
        recipe: Recipe {
            env: BTreeMap::from([("A".to_owned(), "it's".to_owned())]),
            cwd: Some("/srv".to_owned()),
            user: Some("app".to_owned()),
            start_command: vec!["/bin/serve".to_owned()],
            ..Recipe::default()
        },
        image: None,
        bytes: None,
        state: TemplateState::Pulling,
        reason: None,
        created_at: at(0),
        updated_at: at(1),
        last_used_at: None,
    }
}

pub(crate) fn volume_id(number: u64) -> VolumeId {
    VolumeId::from_bytes(id_bytes(number))
}

/// A volume of a mebibyte.
pub(crate) fn volume(number: u64, account: AccountId) -> Volume {
    Volume {
        id: volume_id(number),
        account,
        name: format!("volume {number}"),
        size_bytes: 1 << 20,
        state: VolumeState::Ready,
        created_at: at(0),
        last_used_at: None,
        sequence: 0,
    }
}

/// A sandbox with nothing that is optional.
pub(crate) fn sandbox(number: u64, account: AccountId) -> Sandbox {
    Sandbox {
        id: sandbox_id(number),
        account,
        name: format!("sandbox {number}"),
        image: "host".to_owned(),
        image_digest: digest(1),
        resources: Resources::default(),
        env: BTreeMap::new(),
        cwd: None,
        user: None,
        network: None,
        template: None,
        start_command: Vec::new(),
        role: None,
        volumes: Vec::new(),
        labels: BTreeMap::new(),
        public: false,
        lease: LeasePolicy::default(),
        state: State::Creating,
        reason: None,
        created_at: at(0),
        last_active_at: at(0),
        state_since: at(0),
        sequence: 0,
    }
}

/// A sandbox with everything that is optional, and texts that quoting could break.
pub(crate) fn full_sandbox(number: u64, account: AccountId) -> Sandbox {
    let pairs =
        |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    Sandbox {
        name: "it's \"quoted\" \u{1F980} \\ %_".to_owned(),
        image: "debian:bookworm".to_owned(),
        image_digest: digest(0xfe),
        resources: Resources { memory_bytes: u64::MAX, cpu_millis: u32::MAX, pids: 17, disk_bytes: 1 },
        env: pairs(&[("PATH", "/bin:/usr/bin"), ("EMPTY", ""), ("UMLAUT", "\u{e4}\n\t\"'")]),
        cwd: Some("/mnt/data".to_owned()),
        user: Some("nobody:nogroup".to_owned()),
        network: Some(EgressPolicy::Allowlist(
            Allowlist::parse(&["*.example.org"], &["192.0.2.0/24", "2001:db8::/32"]).unwrap(),
        )),
        template: Some("it's a template".to_owned()),
        start_command: vec!["/bin/serve".to_owned(), "--quote='\"".to_owned(), String::new()],
        role: Some(SandboxRole {
            id: "python".to_owned(),
            status: RoleStatus::Failed,
            message: Some("no \"network\"".to_owned()),
        }),
        volumes: vec![
            VolumeMount {
                volume: volume_id(3),
                path: MountPath::new("/it's \"data\"").unwrap(),
                subpath: Some(Subpath::new("users/\u{e4}").unwrap()),
            },
            VolumeMount { volume: volume_id(4), path: MountPath::new("/srv").unwrap(), subpath: None },
        ],
        labels: pairs(&[("team", "a"), ("", "")]),
        public: true,
        lease: LeasePolicy {
            idle: Some((Duration::from_nanos(1_200_000_000_001), IdleAction::Pause)),
            archive_stopped_after: Some(Duration::from_secs(1800)),
            delete_stopped_after: Some(Duration::from_secs(3600)),
            life: Some(Duration::from_secs(365 * 24 * 3600)),
        },
        state: State::Error,
        reason: Some(Reason::StartFailed("no such image: \"x\"".to_owned())),
        created_at: at(-3),
        last_active_at: at(1),
        state_since: Timestamp::from_unix_micros(i64::MAX),
        ..sandbox(number, account)
    }
}

pub(crate) fn entry(number: u64, sandbox: SandboxId, path: &[u8]) -> CatalogueEntry {
    CatalogueEntry {
        id: entry_id(number),
        sandbox,
        path: FilePath::new(path).unwrap(),
        bytes: number,
        source: Source::User,
        created_at: at(3),
        sequence: 0,
    }
}

pub(crate) fn upload(number: u64, account: AccountId, bytes: u64) -> Upload {
    Upload {
        id: upload_id(number),
        account,
        filename: format!("file {number}.csv"),
        bytes,
        digest: digest(7),
        purpose: "user_data".to_owned(),
        created_at: at(4),
        expires_at: None,
        sequence: 0,
    }
}

pub(crate) fn event(account: AccountId, kind: EventKind) -> Event {
    Event { sequence: 0, at: at(5), account, sandbox: Some(sandbox_id(9)), kind }
}

pub(crate) fn denied(number: u64) -> EventKind {
    EventKind::AccessDenied {
        refusal: Refusal::Scope,
        account: Some(account_id(3)),
        peer: Some(std::net::IpAddr::from([192, 0, 2, 1])),
        count: number,
    }
}
