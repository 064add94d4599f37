//! Requests for one file that are signed with the sandbox's key instead of sent with one of the account.
//!
//! What is signed is `v1:files:{METHOD}:{path}:{expires}`, with the path as the query has it, decoded; the signature is
//! `v1_` and the HMAC-SHA256 in base64url without padding. An `expires` of 0 never comes.

use axum::http::request::Parts;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use lazaret_core::services::FileProof;
use lazaret_core::{Error, FilePath, Kind, SandboxId, Timestamp};
use serde::Deserialize;

use super::paths::join;
use crate::context::RequestContext;
use crate::extract::PathParams;
use crate::failure::Failure;
use crate::ids;
use crate::settings::App;

/// What a signature begins with.
const VERSION: &str = "v1_";

#[derive(Deserialize)]
struct SignedQuery {
    path: Option<String>,
    expires: Option<String>,
    signature: Option<String>,
}

/// A signed request, whose proof has been looked at.
pub(super) struct Signed {
    pub(super) id: SandboxId,
    pub(super) proof: FileProof,
    given: String,
}

impl Signed {
    /// The signed request that this is; `None` for one without a signature.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] for a signature that does not hold, whatever is wrong with it.
    pub(super) async fn of(head: &Parts, app: &App) -> Result<Option<Self>, Failure> {
        let query = head.uri.query().unwrap_or_default();
        let Ok(query) = serde_html_form::from_str::<SignedQuery>(query) else { return Ok(None) };
        let Some(signature) = query.signature else { return Ok(None) };
        let context = RequestContext::of(head);
        let refused = async |failure: Failure| match context.peer {
            // Guessing costs the address what guessing keys costs it.
            Some(peer) => match app.rates.refusal(peer.ip()) {
                Err(retry_after) => crate::failure::Rejection::TooMany { retry_after }.into(),
                Ok(()) => failure,
            },
            None => failure,
        };
        let Some(signed) = parse(&context, &signature, query.path, query.expires) else {
            return Err(refused(Error::Unauthenticated.into()).await);
        };
        match app.core.signed_files.prove(signed.id, &signed.proof).await {
            Ok(()) => Ok(Some(signed)),
            Err(error) => Err(refused(error.into()).await),
        }
    }

    /// The path as the client gave it.
    pub(super) fn given(&self) -> &str {
        &self.given
    }

    /// The path that it means.
    pub(super) async fn path(&self, app: &App) -> Result<FilePath, Failure> {
        if self.given.starts_with('/') {
            return Ok(FilePath::new(self.given.as_str())?);
        }
        let found = app.core.signed_files.directories(self.id, &self.proof).await?;
        Ok(join(&found.cwd.unwrap_or(found.home), &self.given)?)
    }
}

fn parse(
    context: &RequestContext,
    signature: &str,
    path: Option<String>,
    expires: Option<String>,
) -> Option<Signed> {
    let params = PathParams::of(context);
    let id = ids::parse_uuid(params.text("id", Kind::Sandbox).ok()?)?;
    let given = path.filter(|path| !path.is_empty())?;
    let expires = expires?;
    let seconds: i64 = expires.parse().ok().filter(|seconds| *seconds >= 0)?;
    let ends_at = match seconds {
        0 => None,
        seconds => Some(Timestamp::from_unix_micros(seconds.checked_mul(1_000_000)?)),
    };
    let signature = URL_SAFE_NO_PAD.decode(signature.strip_prefix(VERSION)?).ok()?;
    let message = format!("v1:files:{}:{given}:{expires}", context.method).into_bytes();
    let proof = FileProof { message, signature, ends_at };
    Some(Signed { id: SandboxId::from_bytes(id), proof, given })
}
