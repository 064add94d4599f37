//! Templates: saved recipes for sandboxes.
//!
//! ```text
//!             ┌─ pulling ────┐                 deactivate
//!   create ───┼─ committing ─┼──▶ active ◀──────────────────▶ inactive      any ── delete ──▶ removing ──▶ (gone)
//!             └─ building ───┘      ▲         activate
//!                    │              │ activate, for one that can be made again
//!                    └──▶ error ────┘
//! ```
//!
//! One task prepares a template; whoever reads sees the state it is in. What made a template may go afterwards: the image that
//! it holds stays.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::sandbox::{check_env, check_name, check_user};
use crate::{
    AccountId, Digest, Error, ResourceChanges, Resources, Result, SandboxId, TemplateId, Timestamp, limits,
};

/// A recipe for sandboxes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// Its id.
    pub id: TemplateId,
    /// Whose it is.
    pub account: AccountId,
    /// Unique within the account.
    pub name: String,
    /// What its image comes from.
    pub source: TemplateSource,
    /// What sandboxes of it are like.
    pub recipe: Recipe,
    /// The image that sandboxes start from; `None` until there is one.
    pub image: Option<Digest>,
    /// Bytes of that image's files.
    pub bytes: Option<u64>,
    /// Where it is in its life.
    pub state: TemplateState,
    /// What went wrong, in the state [`TemplateState::Error`].
    pub reason: Option<String>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// When a sandbox was last made of it.
    pub last_used_at: Option<Timestamp>,
}

/// What the image of a template comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TemplateSource {
    /// An image of this name, pulled if it is not here.
    Image(String),
    /// What this sandbox had become.
    Sandbox(SandboxId),
    /// A build, which cannot be repeated from here.
    Build,
}

impl TemplateSource {
    /// Whether the image can be had again by its name, and need not be kept for a template that nobody may use.
    pub const fn is_replaceable(&self) -> bool {
        matches!(self, Self::Image(_))
    }
}

/// What sandboxes of a template are like; a maker of one may say otherwise, field by field.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recipe {
    /// Bounds.
    pub resources: Resources,
    /// Variables of every exec, over the image's.
    pub env: BTreeMap<String, String>,
    /// Working directory of every exec; `None` for the image's.
    pub cwd: Option<String>,
    /// User of every exec; `None` for the image's.
    pub user: Option<String>,
    /// Started in the background whenever a sandbox starts; empty for nothing.
    pub start_command: Vec<String>,
}

/// A wanted template. What is left out is the sandbox's for one of a sandbox, else the server's default.
#[derive(Debug, Clone)]
pub struct NewTemplate {
    /// A name that no other template of the account has.
    pub name: String,
    /// What its image shall come from.
    pub source: TemplateSource,
    /// Bounds.
    pub resources: ResourceChanges,
    /// Variables, over the sandbox's.
    pub env: BTreeMap<String, String>,
    /// Working directory.
    pub cwd: Option<String>,
    /// User.
    pub user: Option<String>,
    /// What is started with each sandbox.
    pub start_command: Option<Vec<String>>,
}

impl NewTemplate {
    /// A template of this name and source, with everything else left out.
    pub fn new(name: impl Into<String>, source: TemplateSource) -> Self {
        Self {
            name: name.into(),
            source,
            resources: ResourceChanges::default(),
            env: BTreeMap::new(),
            cwd: None,
            user: None,
            start_command: None,
        }
    }
}

impl Recipe {
    /// Refuses what no sandbox could be given.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the first offending field.
    pub fn check(&self) -> Result<()> {
        self.resources.check()?;
        check_env(&self.env)?;
        check_user(self.user.as_deref())?;
        if let Some(cwd) = &self.cwd {
            check_cwd(cwd)?;
        }
        check_start_command(&self.start_command)
    }
}

fn check_cwd(cwd: &str) -> Result<()> {
    if !cwd.starts_with('/') || cwd.contains('\0') || cwd.len() > limits::PATH_MAX_BYTES {
        return Err(Error::invalid("cwd", "is not an absolute path"));
    }
    Ok(())
}

/// Refuses what `execve` could not carry; nothing at all is fine.
pub(crate) fn check_start_command(command: &[String]) -> Result<()> {
    let invalid = |reason: String| Err(Error::invalid("start_command", reason));
    if command.first().is_some_and(String::is_empty) {
        return invalid("begins with an empty word".to_owned());
    }
    if command.iter().any(|word| word.contains('\0')) {
        return invalid("has a NUL byte".to_owned());
    }
    if command.iter().map(|word| word.len() + 1).sum::<usize>() > limits::START_COMMAND_MAX_BYTES {
        return invalid(format!("is longer than {} bytes", limits::START_COMMAND_MAX_BYTES));
    }
    Ok(())
}

/// Refuses a name that could be taken for an id, and what [`check_name`] does.
pub(crate) fn check_handle(name: &str) -> Result<()> {
    check_name(name)?;
    if name.trim() != name {
        return Err(Error::invalid("name", "begins or ends with a space"));
    }
    let digits = name.chars().filter(|c| *c != '-').count();
    if digits == 32 && name.chars().all(|c| c == '-' || c.is_ascii_hexdigit()) {
        return Err(Error::invalid("name", "has the form of an id"));
    }
    Ok(())
}

/// Where a template is in its life. The picture is in the module's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TemplateState {
    /// Its image is fetched from a registry.
    Pulling,
    /// Its image is made of a sandbox.
    Committing,
    /// Its image is built.
    Building,
    /// Sandboxes can be made of it.
    Active,
    /// Nobody may use it until it is activated.
    Inactive,
    /// There is no image; the reason says why.
    Error,
    /// It goes.
    Removing,
}

impl TemplateState {
    /// Every state.
    pub const ALL: [Self; 7] = [
        Self::Pulling,
        Self::Committing,
        Self::Building,
        Self::Active,
        Self::Inactive,
        Self::Error,
        Self::Removing,
    ];

    /// The state's word, in answers, tables and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pulling => "pulling",
            Self::Committing => "committing",
            Self::Building => "building",
            Self::Active => "active",
            Self::Inactive => "inactive",
            Self::Error => "error",
            Self::Removing => "removing",
        }
    }

    /// A task works on it.
    pub const fn is_being_made(self) -> bool {
        matches!(self, Self::Pulling | Self::Committing | Self::Building)
    }
}

impl fmt::Display for TemplateState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The text names no state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a state of a template")]
pub struct UnknownTemplateState(String);

impl FromStr for TemplateState {
    type Err = UnknownTemplateState;

    fn from_str(text: &str) -> Result<Self, UnknownTemplateState> {
        let known = Self::ALL.into_iter().find(|state| state.name() == text);
        known.ok_or_else(|| UnknownTemplateState(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_not_taken_for_an_id() {
        for (name, reason) in [
            ("", "is empty"),
            (" x", "begins or ends with a space"),
            ("0123456789abcdef0123456789abcdef", "has the form of an id"),
            ("01234567-89ab-cdef-0123-456789ABCDEF", "has the form of an id"),
        ] {
            let error = check_handle(name).map_err(|error| error.to_string());
            assert_eq!(error, Err(format!("name: {reason}")), "{name:?}");
        }
        for name in ["python-3.13", "a b", "0123456789abcdef"] {
            check_handle(name).unwrap();
        }
    }

    #[test]
    fn every_state_reads_back_from_its_name() {
        for state in TemplateState::ALL {
            assert_eq!(state.name().parse(), Ok(state));
        }
    }

    #[test]
    fn a_recipe_says_which_field_no_sandbox_could_have() {
        let recipe = Recipe::default();
        for (recipe, want) in [
            (Recipe { cwd: Some("srv".to_owned()), ..recipe.clone() }, "cwd: is not an absolute path"),
            (Recipe { user: Some(String::new()), ..recipe.clone() }, "user: is not a user name or id"),
            (
                Recipe { start_command: vec![String::new()], ..recipe.clone() },
                "start_command: begins with an empty word",
            ),
            (
                Recipe { start_command: vec!["a\0".to_owned()], ..recipe.clone() },
                "start_command: has a NUL byte",
            ),
        ] {
            assert_eq!(recipe.check().map_err(|error| error.to_string()), Err(want.to_owned()));
        }
        recipe.check().unwrap();
    }
}
