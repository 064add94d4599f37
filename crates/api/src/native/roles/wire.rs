//! Roles as JSON.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

/// Every role.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RoleList {
    /// By id.
    pub(crate) roles: Vec<Role>,
}

/// A recipe that can be applied to new sandboxes.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Role {
    /// What `role` of a new sandbox names.
    pub(crate) id: String,
    /// For people.
    pub(crate) name: String,
    /// For people; may be empty.
    pub(crate) description: String,
    /// A word or a sign to show with it; may be empty.
    pub(crate) icon: String,
    /// What is installed, by package manager: `apt`, `apk`, `dnf`, `yum`, `pacman` or `zypper`.
    pub(crate) packages: BTreeMap<&'static str, Vec<String>>,
    /// A script runs after that.
    pub(crate) has_script: bool,
}

impl From<lazaret_core::Role> for Role {
    fn from(role: lazaret_core::Role) -> Self {
        let lazaret_core::Role { id, name, description, icon, packages, script } = role;
        let packages = packages.into_iter().map(|(manager, packages)| (manager.name(), packages)).collect();
        Self { id, name, description, icon, packages, has_script: script.is_some() }
    }
}
