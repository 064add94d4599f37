//! Who is asking, for which account, and with which permissions: the first argument of every service method.

use std::fmt;
use std::str::FromStr;

use crate::{AccountId, Error, KeyId, Result};

/// One permission of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// See sandboxes, their files and their events.
    SandboxesRead,
    /// Make, change, use and delete sandboxes.
    SandboxesWrite,
    /// See and download uploaded files.
    FilesRead,
    /// Upload and delete files.
    FilesWrite,
    /// Import and remove images.
    ImagesWrite,
    /// Manage accounts and keys, and see every account's objects in operators' listings.
    Admin,
}

impl Scope {
    /// Every scope, in the order of the documentation.
    pub const ALL: [Self; 6] = [
        Self::SandboxesRead,
        Self::SandboxesWrite,
        Self::FilesRead,
        Self::FilesWrite,
        Self::ImagesWrite,
        Self::Admin,
    ];

    /// What a key gets when its maker names no scopes: the everyday work, not administration.
    pub const DEFAULT: [Self; 4] =
        [Self::SandboxesRead, Self::SandboxesWrite, Self::FilesRead, Self::FilesWrite];

    /// The scope's name, as written in configuration and answers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SandboxesRead => "sandboxes:read",
            Self::SandboxesWrite => "sandboxes:write",
            Self::FilesRead => "files:read",
            Self::FilesWrite => "files:write",
            Self::ImagesWrite => "images:write",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Scope {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|scope| scope.name() == text).ok_or_else(|| {
            let known = Self::ALL.map(Self::name).join(", ");
            Error::invalid("scopes", format!("'{text}' is not one of {known}"))
        })
    }
}

/// An authenticated request's account, key and scopes.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The account acted for.
    pub account: AccountId,
    /// The key used.
    pub key: KeyId,
    /// The account's tier.
    pub tier: String,
    /// What the key may do.
    pub scopes: Vec<Scope>,
    /// Whether what is done in a sandbox counts as use of it.
    pub activity: Activity,
}

/// Whether a request counts as use of its sandbox, which a time limit for idle ones goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Activity {
    /// It does, while it goes on and from its end.
    #[default]
    Counts,
    /// It leaves no trace there: who only watches keeps no sandbox alive.
    Unnoticed,
}

impl Caller {
    /// Succeeds if the caller has `scope`; [`Scope::Admin`] has them all.
    ///
    /// # Errors
    /// [`Error::Forbidden`] naming the missing scope.
    pub fn need(&self, scope: Scope) -> Result<()> {
        if self.scopes.contains(&scope) || self.scopes.contains(&Scope::Admin) {
            return Ok(());
        }
        Err(Error::Forbidden { scope: scope.name() })
    }
}
