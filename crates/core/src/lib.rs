//! Nouns, rules, services and the ports they need.
//!
//! ```text
//!   dialects ──▶ services ──▶ nouns and rules (pure)
//!                   │
//!                   └──▶ ports: Store · Blobs · Images · Runtime · Guest · Git · Gateway   ◀── adapters
//! ```
//!
//! What is deliberately absent: HTTP, SQL, syscalls and `Serialize`. A dialect converts its wire types into these
//! nouns and back; an adapter implements a port. Time comes from [`Clock`], identity from [`Ids`].

#![forbid(unsafe_code)]

mod account;
mod backoff;
mod body;
mod build;
mod caller;
mod catalogue;
mod clock;
mod digest;
mod dockerfile;
mod dockerignore;
mod error;
mod event;
mod exec;
mod file;
mod git;
mod ids;
mod image;
mod image_catalogue;
mod image_reference;
mod interpreter;
mod language_server;
pub mod limits;
mod network;
mod page;
mod path_pattern;
pub mod ports;
mod preview;
mod resources;
mod role;
mod sandbox;
pub mod services;
mod session;
mod template;
mod terminal;
mod upload;
mod volume;

pub use account::{Account, Key, KeyHash, Secret};
pub use backoff::Backoff;
pub use body::{Body, body_from_bytes, collect};
pub use build::{
    Action, Base, BuildEvent, BuildSource, BuildSpec, CacheUse, CopyAction, DockerfilePlacement, Plan,
    PlannedStage, RunAction, StageState, StageText, StepKey,
};
pub use caller::{Activity, Caller, Scope};
pub use catalogue::{CatalogueEntry, Source};
pub use clock::{Clock, ManualClock, Timestamp};
pub use digest::Digest;
pub use dockerfile::{
    Argument, Command, Dockerfile, DockerfileError, Healthcheck, Heredoc, Instruction, RunNetwork, Stage,
    Step, Transfer, TransferSource,
};
pub use dockerignore::Dockerignore;
pub use error::{
    BoxError, Error, ExecProblem, FileProblem, GitProblem, Kind, Limit, Result, UpstreamProblem,
};
pub use event::{AUDIT_ACCOUNT, Event, EventKind, PullStep, Refusal};
pub use exec::{
    BackgroundExec, ExecEvent, ExecExit, ExecInput, ExecOutput, ExecResult, ExecSession, ExecSpec, Figure,
    Keep, Language, MixedResult, Removal, StderrTo, Stdin, Tty,
};
pub use file::{
    Existing, FileEntry, FileKind, FilePath, FileScope, LineMatch, Links, Owner, ReadRange, TreeQuery,
    WriteOptions,
};
pub use git::{
    GitAccess, GitBranches, GitChange, GitClone, GitCommand, GitCommit, GitCommitEntry, GitConfigFile,
    GitCredentials, GitFile, GitHistory, GitNewBranch, GitNewRemote, GitOutcome, GitPull, GitPush, GitRemote,
    GitReset, GitResetMode, GitRestore, GitStatus,
};
pub use ids::{
    AccountId, CatalogueEntryId, CommandId, ContextId, ExecId, Ids, KeyId, RandomIds, SandboxId, TemplateId,
    UploadId, VolumeId,
};
pub use image::{
    CollectionPolicy, Image, ImageConfig, ImageSource, ImportProgress, LayerProgress, LayerStep,
    PullProgress, Viewer,
};
pub use image_catalogue::{CatalogueImage, ImageCatalogue};
pub use image_reference::{BUILT_IN_IMAGE, ImageReference, NameError, digest_start};
pub use interpreter::{
    CellEvent, CellOutput, CellResult, CellSession, CellSpec, CodeError, ContextSpec, InterpreterContext,
    Representation, Shown,
};
pub use language_server::{CompletionTrigger, LanguageProject, TextPosition};
pub use network::{
    Allowlist, Cidr, DomainName, DomainPattern, DomainRule, EgressBounds, EgressPolicy, InvalidCidr,
    InvalidDomain, InvalidPolicy, PUBLIC_V6, SPECIAL_V4, SPECIAL_V6, Service, is_public,
};
pub use page::{Order, Page, PageRequest};
pub use path_pattern::{PathPattern, has_wildcards};
pub use preview::{SIGNED_PREVIEW_BYTES, SandboxSecret, SignedPreview, Withdrawal};
pub use resources::Resources;
pub use role::{
    InvalidRole, PackageCount, PackageManager, Role, RoleStatus, RoleStep, RoleTable, SandboxRole,
    UnknownRoleStatus,
};
pub use sandbox::{
    Authority, Decision, DomainSecret, DomainSecrets, IdleAction, LeaseChanges, LeasePolicy, Life, NameUse,
    Reason, ResourceChanges, Sandbox, SandboxChanges, SandboxSpec, SeedFile, State, Verb,
};
pub use session::{
    CommandEnd, CommandLog, CommandSpec, LogEvent, LogPiece, Session, SessionCommand, SessionSpec,
};
pub use template::{NewTemplate, Recipe, Template, TemplateSource, TemplateState};
pub use terminal::{Terminal, TerminalSpec};
pub use upload::Upload;
pub use volume::{MountPath, NewVolume, Subpath, Volume, VolumeMount, VolumeState, WantedMount};
