//! The services: what a dialect calls. Each method takes the [`crate::Caller`] first, checks its scope, and answers in
//! nouns. Another account's object looks like a missing one.
//!
//! ```text
//!   Sandboxes ── table ── one driver task a sandbox ──▶ Runtime, Store
//!   Execs ── warm Python ── Interpreters
//!   LanguageServers ── one program a language and project ──▶ Guest
//!   Sessions · Terminals ── execs in the background ──▶ Guest
//!   Execs · Files · Catalogue ── lease guard ──▶ Guest        Git ── lease guard ──▶ Git
//!   Uploads ──▶ Blobs, Store        Accounts · Images · Events ──▶ Store, Images
//!   Images ── one pull an image ──▶ Images port        Templates ── one task a template ──▶ Images, Runtime, Store
//!   Roles ── one task a sandbox whose role is being applied ──▶ Guest
//!   Volumes ──▶ Runtime, Store
//!   Builds ── one task a build ──▶ Images port; Runtime and Guest for what runs
//!   reconcile ── timer or wake-up ──▶ the same drivers
//! ```

mod accounts;
pub mod actions;
mod audit;
mod builds;
mod catalogue;
mod change;
mod commit;
mod context;
mod driver;
mod events;
mod execs;
mod files;
mod fork;
mod git;
mod home;
mod image_collection;
mod images;
mod ingress;
mod interpreters;
mod language_servers;
mod lease;
mod network;
mod previews;
mod pulls;
mod reconcile;
mod roles;
mod sandboxes;
mod secrets;
mod sessions;
mod settings;
mod shell;
mod signed_files;
mod start;
mod start_command;
mod table;
mod templates;
mod terminals;
mod uploads;
mod volumes;

pub use accounts::{Accounts, NewKey};
pub use audit::Audit;
pub use builds::{Build, Builds};
pub use catalogue::{Catalogue, StagedFile};
pub use commit::NewImage;
pub use context::Ports;
pub use events::Events;
pub use execs::{Execs, RunSpec};
pub use files::Files;
pub use git::Git;
pub use home::Directories;
pub use images::{Images, OfferedImage};
pub use ingress::{Ingress, PortStream};
pub use interpreters::Interpreters;
pub use language_servers::LanguageServers;
pub use lease::InUse;
pub use previews::{Admission, Previews, Ticket};
pub use pulls::Pull;
pub use roles::Roles;
pub use sandboxes::{Load, SandboxFilter, Sandboxes};
pub use sessions::{LogStream, Sessions, Until};
pub use settings::{ImageSettings, PullPolicy, Settings, Tier};
pub use shell::ShellSpec;
pub use signed_files::{FileProof, SignedFiles};
pub use start::Services;
pub use templates::Templates;
pub use terminals::Terminals;
pub use uploads::{NewUpload, StagedUpload, Uploads};
pub use volumes::Volumes;
