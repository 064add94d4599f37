//! What a caller asks for when making a sandbox.

use std::collections::{BTreeMap, BTreeSet};

use super::secrets::{self, DomainSecret};
use crate::template::check_start_command;
use crate::volume::check_mounts;
use crate::{EgressPolicy, Error, FilePath, LeasePolicy, Resources, Result, UploadId, WantedMount, limits};

/// Whether a name may be another sandbox's as well.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum NameUse {
    /// It may.
    #[default]
    Shared,
    /// It must not be that of another sandbox of the account that is there, expired ones aside.
    Unique,
}

/// A wanted sandbox. Unset fields take the image's or the server's defaults.
#[derive(Debug, Clone, Default)]
pub struct SandboxSpec {
    /// A name; `None` for one made from the id.
    pub name: Option<String>,
    /// Whether another may have it.
    pub name_use: NameUse,
    /// Name or id of a template, which says whatever is left out here but the bounds: its bounds are for the dialect to ask for,
    /// where its caller named none.
    pub template: Option<String>,
    /// An image name or digest; `None` for the template's, else for the server's default image.
    pub image: Option<String>,
    /// Bounds.
    pub resources: Resources,
    /// Variables of every exec.
    pub env: BTreeMap<String, String>,
    /// Working directory of every exec; made if it is missing.
    pub cwd: Option<FilePath>,
    /// User of every exec.
    pub user: Option<String>,
    /// Network policy.
    pub network: Option<EgressPolicy>,
    /// Started in the background whenever the sandbox starts; `None` for the template's.
    pub start_command: Option<Vec<String>>,
    /// Id of a role, applied in the background after the first start.
    pub role: Option<String>,
    /// Secrets that the sandbox uses without having them; they need an allow-list with their domains.
    pub secrets: Vec<DomainSecret>,
    /// Volumes to mount.
    pub volumes: Vec<WantedMount>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Whoever has the address of one of its ports may see what is there.
    pub public: bool,
    /// Time limits.
    pub lease: LeasePolicy,
    /// Uploaded files to copy in; the sandbox is made with all of them or not at all.
    pub files: Vec<SeedFile>,
}

/// An uploaded file and where its copy goes.
#[derive(Debug, Clone)]
pub struct SeedFile {
    /// The upload.
    pub upload: UploadId,
    /// Path of the copy.
    pub path: FilePath,
}

impl SandboxSpec {
    /// Checks everything that can be checked without the image.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the first offending field.
    pub fn check(&self) -> Result<()> {
        if let Some(name) = &self.name {
            check_name(name)?;
        }
        self.resources.check()?;
        self.lease.check()?;
        check_env(&self.env)?;
        check_user(self.user.as_deref())?;
        check_start_command(self.start_command.as_deref().unwrap_or_default())?;
        if self.template.is_some() && self.image.is_some() {
            return Err(Error::invalid("image", "cannot be given with a template, which has its own"));
        }
        check_labels(&self.labels)?;
        check_mounts(&self.volumes)?;
        secrets::check(&self.secrets, &self.env, self.network.as_ref())?;
        if self.files.len() > limits::SEED_FILES_MAX {
            return Err(Error::invalid("files", format!("more than {}", limits::SEED_FILES_MAX)));
        }
        let mut paths = BTreeSet::new();
        match self.files.iter().find(|file| !paths.insert(&file.path)) {
            Some(twice) => Err(Error::invalid("files", format!("{:?} is the path of two", twice.path))),
            None => Ok(()),
        }
    }
}

/// Refuses an empty name, one of over [`limits::NAME_MAX_CHARS`] characters, and control characters.
pub(crate) fn check_name(name: &str) -> Result<()> {
    if name.trim().is_empty() {
        return Err(Error::invalid("name", "is empty"));
    }
    if name.chars().count() > limits::NAME_MAX_CHARS {
        return Err(Error::invalid("name", format!("is longer than {} characters", limits::NAME_MAX_CHARS)));
    }
    if name.chars().any(char::is_control) {
        return Err(Error::invalid("name", "has a control character"));
    }
    Ok(())
}

/// Refuses what `execve` could not carry: an empty name, `=` in a name, NUL anywhere, too many.
pub(crate) fn check_env(env: &BTreeMap<String, String>) -> Result<()> {
    if env.len() > limits::ENV_MAX {
        return Err(Error::invalid("env", format!("more than {} variables", limits::ENV_MAX)));
    }
    for (name, value) in env {
        if name.is_empty() || name.contains(['=', '\0']) {
            return Err(Error::invalid("env", format!("'{}' is not a variable name", name.escape_debug())));
        }
        if value.contains('\0') {
            return Err(Error::invalid("env", format!("the value of '{name}' has a NUL byte")));
        }
    }
    Ok(())
}

/// Refuses a user that no image could have.
pub(crate) fn check_user(user: Option<&str>) -> Result<()> {
    match user {
        Some(user) if user.is_empty() || user.len() > 128 || user.chars().any(char::is_control) => {
            Err(Error::invalid("user", "is not a user name or id"))
        }
        _ => Ok(()),
    }
}

/// Refuses too many labels, an empty key, and what is too long.
pub(crate) fn check_labels(labels: &BTreeMap<String, String>) -> Result<()> {
    if labels.len() > limits::LABELS_MAX {
        return Err(Error::invalid("labels", format!("has more than {} entries", limits::LABELS_MAX)));
    }
    for (key, value) in labels {
        if key.is_empty() || key.len() > limits::LABEL_MAX_BYTES || value.len() > limits::LABEL_MAX_BYTES {
            let reason = format!("a key or value is empty or longer than {} bytes", limits::LABEL_MAX_BYTES);
            return Err(Error::invalid("labels", reason));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_would_break_a_table_or_a_log_are_refused() {
        let long = "x".repeat(limits::NAME_MAX_CHARS + 1);
        for (name, reason) in [
            ("", "is empty"),
            (" ", "is empty"),
            ("a\nb", "has a control character"),
            ("a\0b", "has a control character"),
            (long.as_str(), "is longer than 256 characters"),
        ] {
            let error = check_name(name).map_err(|error| error.to_string());
            assert_eq!(error, Err(format!("name: {reason}")), "{name:?}");
        }
        assert_eq!(check_name("..").map_err(|error| error.to_string()), Ok(()));
    }
}
