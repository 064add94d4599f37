//! Images of what stopped sandboxes have become.
//!
//! The sandbox stays what it is, and cannot start before the image is made. Its memory is no part of it: nothing runs in a
//! stopped sandbox.

use std::sync::Arc;

use super::context::Context;
use super::image_collection::{HeldImage, hold};
use super::images::Images;
use super::sandboxes::find_current;
use crate::ports::{Commit, Keep};
use crate::{
    Caller, Decision, Error, Image, ImageConfig, Kind, Result, Sandbox, SandboxId, Scope, Verb, Viewer,
    limits,
};

/// An image that is to be made of a sandbox.
#[derive(Debug, Clone)]
pub struct NewImage {
    /// What it configures; `None` for what the sandbox's own image does.
    pub config: Option<ImageConfig>,
    /// A name to point at it, for everybody; without one it is found by its digest alone, and by the sandbox's account.
    pub name: Option<String>,
    /// For its history: what made it.
    pub made_by: String,
    /// How long it stays.
    pub keep: Keep,
}

impl Images {
    /// Makes an image of what a stopped sandbox has become: its own image, and what it has written as one more layer.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the sandbox; [`Error::Refused`] by [`crate::State::judge`]; [`Error::Invalid`] for a file
    /// that no image can hold; [`Error::LimitReached`] for the size or the host's disk; [`Error::Unsupported`] by the
    /// runtime or for the image; [`Error::Unavailable`] if it takes longer than [`limits::COMMIT_MAX`].
    pub async fn commit(&self, caller: &Caller, id: SandboxId, new: NewImage) -> Result<Image> {
        caller.need(Scope::ImagesWrite)?;
        let sandbox = find_current(&self.context, caller, id).await?.snapshot();
        Ok(commit(&self.context, &sandbox, new).await?.image)
    }
}

/// As [`Images::commit`]; the image stays for as long as it is held.
pub(super) async fn commit(context: &Arc<Context>, sandbox: &Sandbox, new: NewImage) -> Result<HeldImage> {
    if sandbox.state.judge(Verb::Commit) == Decision::Refuse {
        return Err(Error::Refused { kind: Kind::Sandbox, state: sandbox.state, verb: Verb::Commit });
    }
    let NewImage { config, name, made_by, keep } = new;
    let images = &context.ports.images;
    let config = match config {
        Some(config) => config,
        None => {
            let base = images.find(&sandbox.image_digest.to_string(), Viewer::Server).await?;
            base.ok_or_else(|| Error::not_found(Kind::Image, &sandbox.image))?.config
        }
    };
    let making = async {
        let changes = Some(context.ports.runtime.changes(sandbox.id).await?);
        let (maker, base) = (sandbox.account, sandbox.image_digest);
        images.commit(Commit { maker, base, changes, config, name, made_by, keep }).await
    };
    let made = tokio::time::timeout(limits::COMMIT_MAX, making).await;
    let image =
        made.map_err(|elapsed| Error::Unavailable { retry_after: None, source: elapsed.into() })??;
    hold(context, &image.digest).await?.ok_or_else(|| Error::not_found(Kind::Image, image.digest))
}
