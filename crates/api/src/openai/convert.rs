//! Wire objects to and from the core's nouns.

use std::time::Duration;

use lazaret_core::{
    Allowlist, CatalogueEntry, EgressPolicy, IdleAction, InvalidPolicy, LeasePolicy, Resources, Sandbox,
    SandboxSpec, Source, State, Upload, limits,
};

use super::wire::{Container, ContainerFile, ExpiresAfter, File, NetworkPolicy, NewContainer, ShownPolicy};
use super::{domain_secrets, problem};
use crate::extract::Object;
use crate::failure::Rejection;
use crate::ids;
use crate::settings::OpenAiSettings;

const GIB: u64 = 1024 * 1024 * 1024;

/// The memory tiers, smallest first. The contract has no other values.
const MEMORY_TIERS: [(&str, u64); 4] = [("1g", GIB), ("4g", 4 * GIB), ("16g", 16 * GIB), ("64g", 64 * GIB)];

/// The one anchor of a container's expiry.
const ANCHOR: &str = "last_active_at";
/// Minutes without use until a container expires, unless its maker says otherwise.
const DEFAULT_MINUTES: u32 = 20;
/// Longest name, in characters; the contract names none.
const NAME_MAX_CHARS: usize = lazaret_core::limits::NAME_MAX_CHARS;

/// The wanted container, without its files.
pub(super) fn spec(
    new: &NewContainer,
    defaults: Resources,
    settings: &OpenAiSettings,
) -> Result<SandboxSpec, Rejection> {
    if new.name.is_empty() {
        return Err(problem::empty_string("name"));
    }
    if new.name.chars().count() > NAME_MAX_CHARS {
        return Err(problem::string_too_long("name", NAME_MAX_CHARS, new.name.chars().count()));
    }
    if new.skills.as_ref().is_some_and(|skills| !skills.is_empty()) {
        return Err(problem::unsupported("skills"));
    }
    let memory_bytes = match &new.memory_limit {
        None => MEMORY_TIERS[0].1,
        Some(text) => memory_bytes(text)?,
    };
    let secrets = new.network_policy.as_ref().and_then(|Object(policy)| policy.domain_secrets.as_ref());
    Ok(SandboxSpec {
        name: Some(new.name.clone()),
        image: settings.default_image.clone(),
        resources: Resources { memory_bytes, ..defaults },
        cwd: Some(lazaret_core::FilePath::new("/mnt/data").expect("a constant absolute path")),
        network: new.network_policy.as_ref().map(|Object(policy)| egress_policy(policy)).transpose()?,
        secrets: secrets.map(domain_secrets::read).transpose()?.unwrap_or_default(),
        labels: new.metadata.clone().unwrap_or_default(),
        lease: LeasePolicy {
            idle: Some((
                idle_time(new.expires_after.as_ref().map(|Object(after)| after), settings)?,
                IdleAction::Expire,
            )),
            ..LeasePolicy::default()
        },
        ..SandboxSpec::default()
    })
}

fn memory_bytes(text: &str) -> Result<u64, Rejection> {
    MEMORY_TIERS
        .iter()
        .find(|(name, _)| *name == text)
        .map(|(_, bytes)| *bytes)
        .ok_or_else(|| problem::not_one_of("memory_limit", text, &MEMORY_TIERS.map(|(name, _)| name)))
}

fn idle_time(asked: Option<&ExpiresAfter>, settings: &OpenAiSettings) -> Result<Duration, Rejection> {
    let minutes = match asked {
        None => DEFAULT_MINUTES.min(settings.expires_minutes_max).into(),
        Some(asked) => {
            if asked.anchor != ANCHOR {
                return Err(problem::not_one_of("expires_after.anchor", &asked.anchor, &[ANCHOR]));
            }
            problem::check_integer(
                "expires_after.minutes",
                asked.minutes,
                1,
                settings.expires_minutes_max.into(),
            )?
        }
    };
    Ok(Duration::from_secs(60 * minutes))
}

fn egress_policy(asked: &NetworkPolicy) -> Result<EgressPolicy, Rejection> {
    const TYPES: [&str; 2] = ["disabled", "allowlist"];
    // A missing type is one value more that there is not.
    match asked.kind.as_deref().unwrap_or_default() {
        "disabled" => Ok(EgressPolicy::Disabled),
        "allowlist" => {
            let field = "network_policy.allowed_domains";
            match asked.allowed_domains.as_deref() {
                None => Err(problem::missing(field)),
                Some([]) => Err(problem::empty_array(field)),
                Some(domains) => match Allowlist::parse(domains, &[]) {
                    Ok(list) => Ok(EgressPolicy::Allowlist(list)),
                    Err(InvalidPolicy::TooManyDomains) => {
                        Err(problem::array_too_long(field, limits::EGRESS_DOMAINS_MAX, domains.len()))
                    }
                    Err(problem) => Err(problem::wrong_value(field, &problem.to_string())),
                },
            }
        }
        other => Err(problem::not_one_of("network_policy.type", other, &TYPES)),
    }
}

impl From<Sandbox> for Container {
    fn from(sandbox: Sandbox) -> Self {
        Self {
            id: ids::container(sandbox.id),
            object: "container",
            created_at: sandbox.created_at.unix_seconds(),
            status: match sandbox.state {
                State::Running => "running",
                other => other.name(),
            },
            expires_after: sandbox.lease.idle.map(|(span, _)| ExpiresAfter {
                anchor: ANCHOR.to_owned(),
                minutes: i64::try_from(span.as_secs().div_ceil(60)).unwrap_or(i64::MAX),
            }),
            last_active_at: sandbox.last_active_at.unix_seconds(),
            memory_limit: memory_tier(sandbox.resources.memory_bytes),
            name: sandbox.name,
            network_policy: sandbox.network.and_then(shown_policy),
            metadata: sandbox.labels,
        }
    }
}

/// The smallest tier that holds `bytes`: a sandbox made elsewhere may have any limit.
fn memory_tier(bytes: u64) -> &'static str {
    let tier = MEMORY_TIERS.iter().find(|(_, tier)| bytes <= *tier);
    tier.map_or(MEMORY_TIERS[MEMORY_TIERS.len() - 1].0, |(name, _)| name)
}

/// `None` for a policy that the contract has no word for.
fn shown_policy(policy: EgressPolicy) -> Option<ShownPolicy> {
    match policy {
        EgressPolicy::Disabled => Some(ShownPolicy::Disabled),
        EgressPolicy::Allowlist(list) => Some(ShownPolicy::Allowlist {
            allowed_domains: list.domains().iter().map(ToString::to_string).collect(),
        }),
        EgressPolicy::Internet => None,
    }
}

impl From<CatalogueEntry> for ContainerFile {
    fn from(entry: CatalogueEntry) -> Self {
        Self {
            id: ids::container_file(entry.id),
            object: "container.file",
            created_at: entry.created_at.unix_seconds(),
            bytes: entry.bytes,
            container_id: ids::container(entry.sandbox),
            path: entry.path.to_text(),
            source: match entry.source {
                Source::User => "user",
                Source::Assistant => "assistant",
            },
        }
    }
}

impl From<Upload> for File {
    fn from(upload: Upload) -> Self {
        Self {
            id: ids::file(upload.id),
            object: "file",
            bytes: upload.bytes,
            created_at: upload.created_at.unix_seconds(),
            filename: upload.filename,
            purpose: upload.purpose,
            status: "processed",
            expires_at: upload.expires_at.map(lazaret_core::Timestamp::unix_seconds),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_memory_limit_shows_as_the_smallest_tier_that_holds_it() {
        for (bytes, want) in [(1, "1g"), (GIB, "1g"), (GIB + 1, "4g"), (16 * GIB, "16g"), (u64::MAX, "64g")] {
            assert_eq!(memory_tier(bytes), want);
        }
    }
}
