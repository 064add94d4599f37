//! Templates as JSON.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::native::sandboxes::wire::{NewResources, Resources};

/// A recipe that sandboxes are made of.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Template {
    /// UUID.
    pub(crate) id: String,
    /// Unique within the account.
    pub(crate) name: String,
    /// Name of the image that it was made of; null for one of a sandbox or a build.
    pub(crate) image: Option<String>,
    /// UUID of the sandbox that it was made of, if it was; that may be gone.
    pub(crate) sandbox_id: Option<String>,
    /// The image that sandboxes start from; null until there is one.
    pub(crate) image_digest: Option<String>,
    /// Bytes of that image's files.
    pub(crate) bytes: Option<u64>,
    /// `pulling`, `committing`, `building`, `active`, `inactive`, `error` or `removing`.
    pub(crate) state: &'static str,
    /// What went wrong, in the state `error`.
    pub(crate) reason: Option<String>,
    /// Bounds of its sandboxes.
    pub(crate) resources: Resources,
    /// Variables of every exec.
    pub(crate) env: BTreeMap<String, String>,
    /// Working directory of every exec; null for the image's.
    pub(crate) cwd: Option<String>,
    /// User of every exec; null for the image's.
    pub(crate) user: Option<String>,
    /// Started in the background whenever a sandbox starts; empty for nothing.
    pub(crate) start_command: Vec<String>,
    /// RFC 3339.
    pub(crate) created_at: String,
    /// RFC 3339.
    pub(crate) updated_at: String,
    /// RFC 3339; null if no sandbox was made of it yet.
    pub(crate) last_used_at: Option<String>,
}

/// Every template of the account.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TemplateList {
    /// Oldest first.
    pub(crate) templates: Vec<Template>,
}

/// A template to make. What is absent is as in the sandbox that it is made of, else the server's default.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewTemplate {
    /// A name that no other template of the account has.
    pub(crate) name: String,
    /// Name or digest of the image to make it of; pulled if it is not here.
    pub(crate) image: Option<String>,
    /// In place of `image`: the stopped sandbox to make it of, by any form of its id, or its name.
    pub(crate) sandbox: Option<String>,
    /// Bounds of its sandboxes.
    pub(crate) resources: Option<NewResources>,
    /// Variables of every exec.
    pub(crate) env: Option<BTreeMap<String, String>>,
    /// Working directory of every exec; made if it is missing.
    pub(crate) cwd: Option<String>,
    /// User of every exec.
    pub(crate) user: Option<String>,
    /// Started in the background whenever a sandbox starts.
    pub(crate) start_command: Option<Vec<String>>,
}
