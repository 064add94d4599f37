//! Accounts, keys, and who a request comes from.

use std::collections::HashMap;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use super::context::Context;
use crate::sandbox::check_name;
use crate::{
    Account, AccountId, Activity, Caller, Error, Key, KeyHash, KeyId, Kind, Limit, Result, Scope, Secret,
    Timestamp, limits,
};

/// The account that the first start makes.
const FIRST_ACCOUNT: &str = "admin";
/// Characters of a secret that are shown in listings.
const HINT_CHARS: usize = 8;
/// Length of the longest secret that is looked up; longer ones cannot be ours.
const SECRET_MAX_BYTES: usize = 1024;

/// A key to make.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// A name for people.
    pub name: String,
    /// What it may do; no more than its maker.
    pub scopes: Vec<Scope>,
    /// How long it works; `None` for ever.
    pub expires_in: Option<Duration>,
}

/// Whom a key stands for, and when it stops working.
pub(super) type KnownKey = (Caller, Option<Timestamp>);

/// Accounts and keys.
#[derive(Clone)]
pub struct Accounts {
    pub(super) context: Arc<Context>,
    /// Callers by the hash of their secret, so that a request does not wait for the store.
    pub(super) known: Arc<RwLock<HashMap<[u8; 32], KnownKey>>>,
}

impl Accounts {
    /// Who has this secret.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] if nobody has, or the key's time has ended.
    pub async fn authenticate(&self, secret: &str) -> Result<Caller> {
        if secret.is_empty() || secret.len() > SECRET_MAX_BYTES {
            return Err(Error::Unauthenticated);
        }
        let hash = hash(secret);
        let now = self.context.now();
        let cached = self.known.read().expect("no panic under this lock").get(&hash.0).cloned();
        let (caller, expires_at) = match cached {
            Some(known) => known,
            None => self.look_up(hash).await?,
        };
        if expires_at.is_some_and(|end| end <= now) {
            return Err(Error::Unauthenticated);
        }
        Ok(caller)
    }

    async fn look_up(&self, hash: KeyHash) -> Result<KnownKey> {
        let store = &self.context.ports.store;
        let key = store.find_key_by_hash(&hash).await?.ok_or(Error::Unauthenticated)?;
        let account = store.find_account(key.account).await?.ok_or(Error::Unauthenticated)?;
        let (tier, scopes, activity) = (account.tier, key.scopes, Activity::Counts);
        let caller = Caller { account: key.account, key: key.id, tier, scopes, activity };
        let known = (caller, key.expires_at);
        self.known.write().expect("no panic under this lock").insert(hash.0, known.clone());
        Ok(known)
    }

    /// Makes the first account and its admin key if there is no account yet, with `secret` if one is given. Returns
    /// the secret of a key that was made.
    ///
    /// With accounts there, a given `secret` that is not known becomes another admin key of the first account: the
    /// operator who sets it in the environment means it to work.
    ///
    /// # Errors
    /// What the store reports.
    pub async fn ensure_admin(&self, secret: Option<Secret>) -> Result<Option<Secret>> {
        let store = &self.context.ports.store;
        let account = match store.list_accounts().await?.into_iter().next() {
            Some(first) if secret.is_some() => first,
            Some(_) => return Ok(None),
            None => {
                let now = self.context.now();
                let id = AccountId::from_bytes(self.context.ports.ids.next(now));
                let account = Account {
                    id,
                    name: FIRST_ACCOUNT.to_owned(),
                    tier: "default".to_owned(),
                    created_at: now,
                };
                store.create_account(&account).await?;
                account
            }
        };
        if let Some(secret) = &secret
            && store.find_key_by_hash(&hash(secret.expose())).await?.is_some()
        {
            return Ok(None);
        }
        let secret = secret.unwrap_or_else(new_secret);
        let new = NewKey { name: FIRST_ACCOUNT.to_owned(), scopes: vec![Scope::Admin], expires_in: None };
        self.store_key(account.id, new, &secret).await?;
        Ok(Some(secret))
    }

    /// Makes an account.
    ///
    /// # Errors
    /// [`Error::Forbidden`] without [`Scope::Admin`]; [`Error::Invalid`] or [`Error::AlreadyExists`] for the name.
    pub async fn create(&self, caller: &Caller, name: &str, tier: &str) -> Result<Account> {
        caller.need(Scope::Admin)?;
        check_name(name)?;
        if tier != "default" && !self.context.settings.tiers.contains_key(tier) {
            return Err(Error::invalid("tier", format!("'{}' is not configured", tier.escape_debug())));
        }
        let now = self.context.now();
        let id = AccountId::from_bytes(self.context.ports.ids.next(now));
        let account = Account { id, name: name.to_owned(), tier: tier.to_owned(), created_at: now };
        self.context.ports.store.create_account(&account).await?;
        Ok(account)
    }

    /// Every account, oldest first.
    ///
    /// # Errors
    /// [`Error::Forbidden`] without [`Scope::Admin`].
    pub async fn list(&self, caller: &Caller) -> Result<Vec<Account>> {
        caller.need(Scope::Admin)?;
        self.context.ports.store.list_accounts().await
    }

    /// Removes an account that owns nothing any more, and its keys.
    ///
    /// # Errors
    /// [`Error::Forbidden`]; [`Error::NotFound`]; [`Error::InUse`] while it has sandboxes or is the caller's own.
    pub async fn delete(&self, caller: &Caller, id: AccountId) -> Result<()> {
        caller.need(Scope::Admin)?;
        let in_use =
            |by: &str| Err(Error::InUse { kind: Kind::Account, id: id.to_string(), by: by.to_owned() });
        if id == caller.account {
            return in_use("this request");
        }
        if self.context.table.all().iter().any(|entry| entry.account == id) {
            return in_use("its sandboxes: delete them first");
        }
        if self.context.templates.has_any_of(id) {
            return in_use("its templates: delete them first");
        }
        if !self.context.ports.store.delete_account(id).await? {
            return Err(Error::not_found(Kind::Account, id));
        }
        self.forget(|known| known.account == id);
        Ok(())
    }

    /// Makes a key and returns its secret, which cannot be had again.
    ///
    /// # Errors
    /// [`Error::Forbidden`] for another account, or a scope that the caller lacks; [`Error::Invalid`] for the name;
    /// [`Error::LimitReached`] for [`Limit::Keys`].
    pub async fn create_key(
        &self,
        caller: &Caller,
        account: AccountId,
        new: NewKey,
    ) -> Result<(Key, Secret)> {
        self.may_manage(caller, account)?;
        check_name(&new.name)?;
        if new.scopes.is_empty() {
            return Err(Error::invalid("scopes", "is empty"));
        }
        for scope in &new.scopes {
            caller.need(*scope)?;
        }
        let store = &self.context.ports.store;
        if store.find_account(account).await?.is_none() {
            return Err(Error::not_found(Kind::Account, account));
        }
        if store.list_keys(account).await?.len() >= limits::KEYS_MAX {
            return Err(Error::LimitReached(Limit::Keys));
        }
        let secret = new_secret();
        Ok((self.store_key(account, new, &secret).await?, secret))
    }

    async fn store_key(&self, account: AccountId, new: NewKey, secret: &Secret) -> Result<Key> {
        let now = self.context.now();
        let key = Key {
            id: KeyId::from_bytes(self.context.ports.ids.next(now)),
            account,
            name: new.name,
            hint: secret.expose().chars().take(HINT_CHARS.min(secret.expose().chars().count() / 3)).collect(),
            hash: hash(secret.expose()),
            scopes: new.scopes,
            created_at: now,
            expires_at: new.expires_in.map(|span| now.after(span)),
        };
        self.context.ports.store.create_key(&key).await?;
        Ok(key)
    }

    /// The keys of an account, oldest first, without their secrets.
    ///
    /// # Errors
    /// [`Error::Forbidden`] for another account.
    pub async fn list_keys(&self, caller: &Caller, account: AccountId) -> Result<Vec<Key>> {
        self.may_manage(caller, account)?;
        self.context.ports.store.list_keys(account).await
    }

    /// Revokes a key; requests with it fail from now on.
    ///
    /// # Errors
    /// [`Error::Forbidden`] for another account; [`Error::NotFound`].
    pub async fn delete_key(&self, caller: &Caller, account: AccountId, id: KeyId) -> Result<()> {
        self.may_manage(caller, account)?;
        if !self.context.ports.store.delete_key(account, id).await? {
            return Err(Error::not_found(Kind::Key, id));
        }
        self.forget(|known| known.key == id);
        Ok(())
    }

    /// Keys can make keys, so managing them takes [`Scope::Admin`] even within the own account.
    fn may_manage(&self, caller: &Caller, _account: AccountId) -> Result<()> {
        caller.need(Scope::Admin)
    }

    fn forget(&self, is_gone: impl Fn(&Caller) -> bool) {
        let mut known = self.known.write().expect("no panic under this lock");
        known.retain(|_, (caller, _)| !is_gone(caller));
    }
}

fn hash(secret: &str) -> KeyHash {
    KeyHash(Sha256::digest(secret.as_bytes()).into())
}

/// `lzr_` and 160 random bits in hexadecimal.
fn new_secret() -> Secret {
    let bytes: [u8; 20] = rand::random();
    Secret::new(format!("lzr_{}", hex::encode(bytes)))
}
