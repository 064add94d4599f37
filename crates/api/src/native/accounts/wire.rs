//! Accounts and keys as JSON.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An account to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewAccount {
    /// A name; unique on this server.
    pub(crate) name: String,
    /// A tier of the configuration; `default` if it is absent.
    pub(crate) tier: Option<String>,
}

/// An account.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Account {
    /// UUID.
    pub(crate) id: String,
    /// Its name.
    pub(crate) name: String,
    /// Its tier.
    pub(crate) tier: String,
    /// RFC 3339.
    pub(crate) created_at: String,
}

/// Every account.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AccountList {
    /// Oldest first.
    pub(crate) accounts: Vec<Account>,
}

/// A key to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewKey {
    /// A name for people.
    pub(crate) name: String,
    /// What it may do; the everyday scopes if it is absent.
    pub(crate) scopes: Option<Vec<String>>,
    /// Seconds that it works; for ever if it is absent.
    pub(crate) expires_in_s: Option<u64>,
}

/// A key.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Key {
    /// UUID.
    pub(crate) id: String,
    /// Its name.
    pub(crate) name: String,
    /// The first characters of the secret.
    pub(crate) hint: String,
    /// What it may do.
    pub(crate) scopes: Vec<&'static str>,
    /// RFC 3339.
    pub(crate) created_at: String,
    /// RFC 3339; null for never.
    pub(crate) expires_at: Option<String>,
    /// The secret: only in the answer to its making, and never again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) secret: Option<String>,
}

/// The keys of an account.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct KeyList {
    /// Oldest first.
    pub(crate) keys: Vec<Key>,
}
