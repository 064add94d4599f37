//! The configuration: the user's, the repository's, the system's.

use std::path::PathBuf;

use git2::{Config, ConfigLevel, ErrorCode};
use lazaret_protocol::git::{ConfigScope, GetConfig, Problem, SetConfig};

use super::repository::open;
use crate::environment;
use crate::failure::{Failure, Outcome};
use crate::text::lossy;

/// Where the system's configuration is in every distribution that has one.
const SYSTEM: &str = "/etc/gitconfig";

pub(crate) fn get(wanted: &GetConfig) -> Outcome<Option<String>> {
    let Some(config) = level(wanted.scope, wanted.path.as_deref())? else { return Ok(None) };
    match config.get_entry(&wanted.key) {
        Ok(entry) => Ok(Some(lossy(entry.value_bytes()))),
        Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
        Err(error) => Err(of_key(&wanted.key, error)),
    }
}

pub(crate) fn set(wanted: &SetConfig) -> Outcome<()> {
    let mut config = match level(wanted.scope, wanted.path.as_deref())? {
        Some(config) => config,
        None => Config::open(&file(wanted.scope)?)?,
    };
    for (key, value) in &wanted.entries {
        config.set_str(key, value).map_err(|error| of_key(key, error))?;
    }
    Ok(())
}

/// One file of the configuration; `None` if it is not there.
fn level(scope: ConfigScope, path: Option<&str>) -> Outcome<Option<Config>> {
    let (config, level) = match scope {
        ConfigScope::Local => {
            let path =
                path.ok_or_else(|| Failure::new(Problem::InvalidName, "the repository is not named"))?;
            (open(path)?.config()?, ConfigLevel::Local)
        }
        ConfigScope::Global | ConfigScope::System => {
            let file = file(scope)?;
            return Ok(if file.exists() { Some(Config::open(&file)?) } else { None });
        }
    };
    Ok(Some(config.open_level(level)?))
}

fn file(scope: ConfigScope) -> Outcome<PathBuf> {
    if scope == ConfigScope::System {
        return Ok(PathBuf::from(SYSTEM));
    }
    let none = || Failure::new(Problem::PathNotFound, "the user has no home directory");
    Ok(environment::home().ok_or_else(none)?.join(".gitconfig"))
}

fn of_key(key: &str, error: git2::Error) -> Failure {
    match error.code() {
        ErrorCode::InvalidSpec => Failure::new(Problem::InvalidName, format!("'{key}' is no key")),
        _ => error.into(),
    }
}
