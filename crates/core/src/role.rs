//! Roles: named recipes of packages, and a script if need be, that are applied inside a sandbox after its first start.
//!
//! ```text
//!   create ── nothing to do ──▶ applied
//!      │   ── cannot be done here ──▶ failed
//!      └──▶ applying ──▶ applied   (a message names the packages that could not be had)
//!              └───────▶ failed    (a message says why; the sandbox runs all the same)
//! ```
//!
//! Not here: how one is applied (`services/roles`), and which ones there are (the server's configuration).

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::limits;

/// A package manager that roles know, by the name of its program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PackageManager {
    /// Debian, Ubuntu and their kin; the program is `apt-get`.
    Apt,
    /// Alpine.
    Apk,
    /// Fedora and what comes after CentOS 7.
    Dnf,
    /// CentOS 7 and Amazon Linux 2.
    Yum,
    /// Arch.
    Pacman,
    /// openSUSE.
    Zypper,
}

impl PackageManager {
    /// Every package manager.
    pub const ALL: [Self; 6] = [Self::Apt, Self::Apk, Self::Dnf, Self::Yum, Self::Pacman, Self::Zypper];

    /// The word for it in settings, answers and messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Apt => "apt",
            Self::Apk => "apk",
            Self::Dnf => "dnf",
            Self::Yum => "yum",
            Self::Pacman => "pacman",
            Self::Zypper => "zypper",
        }
    }
}

/// A recipe.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Role {
    /// What requests call it.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// A sentence about it; may be empty.
    pub description: String,
    /// A word or a sign that a dashboard shows with it; may be empty.
    pub icon: String,
    /// What is installed, by package manager.
    pub packages: BTreeMap<PackageManager, Vec<String>>,
    /// Text for `sh`, run as root when the packages are there.
    pub script: Option<String>,
}

/// What is wrong with a role; `field` is as in [`Role`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct InvalidRole {
    field: String,
    reason: String,
}

impl InvalidRole {
    fn new(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { field: field.into(), reason: reason.into() }
    }
}

impl Role {
    /// What this package manager shall install; `yum` takes what is said for its successor where it has no list of its own.
    pub fn packages_for(&self, manager: PackageManager) -> &[String] {
        let of = |manager| self.packages.get(&manager).filter(|packages| !packages.is_empty());
        let found = match manager {
            PackageManager::Yum => of(manager).or_else(|| of(PackageManager::Dnf)),
            manager => of(manager),
        };
        found.map_or(&[], Vec::as_slice)
    }

    /// Whether it installs anything, by whatever package manager.
    pub fn installs(&self) -> bool {
        self.packages.values().any(|packages| !packages.is_empty())
    }

    /// Whether applying it does nothing.
    pub fn is_empty(&self) -> bool {
        !self.installs() && self.script.is_none()
    }

    fn check(&self) -> Result<(), InvalidRole> {
        if !is_id(&self.id) {
            let reason = format!(
                "'{}' is not 1 to {} lower case letters, digits and hyphens, the first of them no hyphen",
                self.id.escape_debug(),
                limits::ROLE_ID_MAX_BYTES
            );
            return Err(InvalidRole::new("id", reason));
        }
        if self.name.is_empty() {
            return Err(InvalidRole::new("name", "is empty"));
        }
        for (field, text) in [("name", &self.name), ("description", &self.description), ("icon", &self.icon)]
        {
            if text.len() > limits::ROLE_TEXT_MAX_BYTES {
                let reason = format!("is longer than {} bytes", limits::ROLE_TEXT_MAX_BYTES);
                return Err(InvalidRole::new(field, reason));
            }
            if text.chars().any(char::is_control) {
                return Err(InvalidRole::new(field, "has a control character"));
            }
        }
        for (manager, packages) in &self.packages {
            let field = || format!("packages.{}", manager.name());
            if packages.len() > limits::ROLE_PACKAGES_MAX {
                let reason = format!("has more than {} packages", limits::ROLE_PACKAGES_MAX);
                return Err(InvalidRole::new(field(), reason));
            }
            if let Some(package) = packages.iter().find(|package| !is_package(package)) {
                let reason = format!("'{}' is not the name of a package", package.escape_debug());
                return Err(InvalidRole::new(field(), reason));
            }
        }
        match &self.script {
            Some(script) if script.trim().is_empty() => Err(InvalidRole::new("script", "is empty")),
            Some(script) if script.len() > limits::ROLE_SCRIPT_MAX_BYTES => {
                let reason = format!("is longer than {} bytes", limits::ROLE_SCRIPT_MAX_BYTES);
                Err(InvalidRole::new("script", reason))
            }
            Some(script) if script.contains('\0') => Err(InvalidRole::new("script", "has a NUL byte")),
            _ => Ok(()),
        }
    }
}

fn is_id(text: &str) -> bool {
    text.len() <= limits::ROLE_ID_MAX_BYTES
        && text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// Names go through a shell's list of words and onto command lines: none may be two words, or look like an option.
fn is_package(text: &str) -> bool {
    text.len() <= limits::ROLE_PACKAGE_MAX_BYTES
        && text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '@')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-._:@/=~".contains(&b))
}

/// The roles of a server, by id.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RoleTable {
    roles: BTreeMap<String, Role>,
}

impl RoleTable {
    /// Adds a role, in place of an earlier one of that id.
    ///
    /// # Errors
    /// [`InvalidRole`] naming the first offending field.
    pub fn insert(&mut self, role: Role) -> Result<(), InvalidRole> {
        role.check()?;
        self.roles.insert(role.id.clone(), role);
        Ok(())
    }

    /// The role of this id.
    pub fn get(&self, id: &str) -> Option<&Role> {
        self.roles.get(id)
    }

    /// Every role, in the order of ids.
    pub fn iter(&self) -> impl Iterator<Item = &Role> {
        self.roles.values()
    }
}

/// How far a role has been applied to a sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoleStatus {
    /// It is being applied; the sandbox can be used meanwhile.
    Applying,
    /// It was applied, but for the packages that the message names.
    Applied,
    /// It was not, as the message says; the sandbox is what it was, or something between.
    Failed,
}

impl RoleStatus {
    /// Every status.
    pub const ALL: [Self; 3] = [Self::Applying, Self::Applied, Self::Failed];

    /// The word that dialects show and the store keeps.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Applying => "applying",
            Self::Applied => "applied",
            Self::Failed => "failed",
        }
    }
}

impl fmt::Display for RoleStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The text names no status.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a status of a role")]
pub struct UnknownRoleStatus(String);

impl FromStr for RoleStatus {
    type Err = UnknownRoleStatus;

    fn from_str(text: &str) -> Result<Self, UnknownRoleStatus> {
        let known = Self::ALL.into_iter().find(|status| status.name() == text);
        known.ok_or_else(|| UnknownRoleStatus(text.to_owned()))
    }
}

/// The role of a sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SandboxRole {
    /// Id of the role, as it was when the sandbox was made.
    pub id: String,
    /// How far it is.
    pub status: RoleStatus,
    /// What there is to say about that: why it failed, or what is missing.
    pub message: Option<String>,
}

impl SandboxRole {
    /// That it failed, and why.
    pub(crate) fn failed(id: &str, message: impl Into<String>) -> Self {
        Self { id: id.to_owned(), status: RoleStatus::Failed, message: Some(message.into()) }
    }
}

/// The steps of applying a role that are events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RoleStep {
    /// It begins.
    Started,
    /// The package manager asks what there is.
    Index,
    /// So many packages are installed.
    Packages,
    /// The role's script runs.
    Script,
    /// It is applied.
    Applied,
    /// It is not.
    Failed,
}

impl RoleStep {
    /// Every step.
    pub const ALL: [Self; 6] =
        [Self::Started, Self::Index, Self::Packages, Self::Script, Self::Applied, Self::Failed];

    /// The word that dialects show and the store keeps.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Index => "index",
            Self::Packages => "packages",
            Self::Script => "script",
            Self::Applied => "applied",
            Self::Failed => "failed",
        }
    }
}

/// Packages of a role that are installed, of those that are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackageCount {
    /// Those that are there.
    pub installed: u32,
    /// Those that shall be.
    pub wanted: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn role() -> Role {
        Role {
            id: "web".to_owned(),
            name: "Web".to_owned(),
            packages: BTreeMap::from([(PackageManager::Dnf, vec!["nginx".to_owned()])]),
            ..Role::default()
        }
    }

    fn refusal(change: impl FnOnce(&mut Role)) -> String {
        let mut role = role();
        change(&mut role);
        let refused = RoleTable::default().insert(role);
        refused.map_or_else(|error| error.to_string(), |()| "taken".to_owned())
    }

    #[test]
    fn a_role_that_could_not_be_applied_is_refused_by_its_field() {
        let apt = |package: &str| {
            let packages = vec!["git".to_owned(), package.to_owned()];
            move |role: &mut Role| drop(role.packages.insert(PackageManager::Apt, packages))
        };
        assert_eq!(refusal(|_| {}), "taken");
        assert_eq!(refusal(apt("libstdc++-12-dev:amd64=12.2.0-14~x/stable")), "taken");
        for package in ["", "--allow-unauthenticated", "a b", "a;reboot", "$HOME", "a\n", &"x".repeat(129)] {
            let want = format!("packages.apt: '{}' is not the name of a package", package.escape_debug());
            assert_eq!(refusal(apt(package)), want);
        }
        assert!(refusal(|role| "Web".clone_into(&mut role.id)).starts_with("id: 'Web' is not 1 to 63"));
        assert!(refusal(|role| role.id.clear()).starts_with("id: ''"));
        assert_eq!(refusal(|role| role.name.clear()), "name: is empty");
        assert_eq!(refusal(|role| role.icon.push('\u{1b}')), "icon: has a control character");
        assert_eq!(
            refusal(|role| role.description = "x".repeat(513)),
            "description: is longer than 512 bytes"
        );
        assert_eq!(refusal(|role| role.script = Some(" ".to_owned())), "script: is empty");
        assert_eq!(refusal(|role| role.script = Some("a\0".to_owned())), "script: has a NUL byte");
        let many = vec!["x".to_owned(); limits::ROLE_PACKAGES_MAX + 1];
        let too_many = refusal(|role| drop(role.packages.insert(PackageManager::Apk, many)));
        assert_eq!(too_many, "packages.apk: has more than 128 packages");
    }

    #[test]
    fn yum_takes_what_dnf_would_and_no_other_takes_anothers() {
        let role = role();
        assert_eq!(role.packages_for(PackageManager::Yum), ["nginx"]);
        assert!(role.packages_for(PackageManager::Apt).is_empty());
        assert!(role.installs() && !role.is_empty());
        let nothing = Role { packages: BTreeMap::from([(PackageManager::Apt, Vec::new())]), ..role };
        assert!(nothing.is_empty());
    }

    #[test]
    fn a_later_role_takes_the_place_of_an_earlier_one() {
        let mut table = RoleTable::default();
        table.insert(role()).unwrap();
        table.insert(Role { name: "Another".to_owned(), ..role() }).unwrap();
        assert_eq!(table.iter().map(|role| role.name.as_str()).collect::<Vec<_>>(), ["Another"]);
        assert_eq!(table.get("no"), None);
    }
}
