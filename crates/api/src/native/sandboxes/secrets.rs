//! Secrets that a sandbox uses without having them. They come in and are never shown: no answer, refusal or log has a value.

use std::fmt;

use lazaret_core::{InvalidDomain, Secret, limits};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use utoipa::ToSchema;

use crate::failure::{FieldProblem, Part, Rejection};

/// A value that the hosts of a domain get in place of what the sandbox has for it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DomainSecret {
    /// A name or a `*.` pattern among the domains of the network policy, which must be an allow-list.
    domain: String,
    /// The variable that holds the placeholder inside.
    name: String,
    /// What is put in its place in requests over TLS to hosts of the domain.
    #[schema(value_type = String, format = Password)]
    value: Hidden,
}

/// A text that is not repeated, whatever is wrong with it.
struct Hidden(Secret);

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<'de> Deserialize<'de> for Hidden {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(text) => Ok(Self(Secret::new(text))),
            _ => Err(serde::de::Error::custom("must be a text")),
        }
    }
}

/// The secrets; that their domains are allowed is the core's to see.
pub(super) fn read(secrets: Vec<DomainSecret>) -> Result<Vec<lazaret_core::DomainSecret>, Rejection> {
    let read = |(at, secret): (usize, DomainSecret)| {
        let domain = secret.domain.parse().map_err(|problem: InvalidDomain| {
            let shown: String = secret.domain.chars().take(limits::EGRESS_TEXT_SHOWN_CHARS).collect();
            let problem = FieldProblem::Other(format!("'{}' {problem}", shown.escape_debug()));
            Rejection::Field { part: Part::Body, field: format!("secrets[{at}].domain"), problem }
        })?;
        Ok(lazaret_core::DomainSecret { domain, name: secret.name, value: secret.value.0 })
    };
    secrets.into_iter().enumerate().map(read).collect()
}
