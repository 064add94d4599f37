//! Images: what is here, what comes in, what goes.

use std::sync::Arc;

use super::context::Context;
use crate::ports::ProgressSender;
use crate::{Body, Caller, Error, Image, ImageSource, Kind, Result, Scope, State};

/// Images of this server; all accounts share them.
#[derive(Clone)]
pub struct Images {
    pub(super) context: Arc<Context>,
}

impl Images {
    /// Every image here.
    ///
    /// # Errors
    /// [`Error::Forbidden`] without [`Scope::SandboxesRead`].
    pub async fn list(&self, caller: &Caller) -> Result<Vec<Image>> {
        caller.need(Scope::SandboxesRead)?;
        self.context.ports.images.list().await
    }

    /// The image that a name or digest stands for.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is none.
    pub async fn get(&self, caller: &Caller, name: &str) -> Result<Image> {
        caller.need(Scope::SandboxesRead)?;
        let found = self.context.ports.images.find(name).await?;
        found.ok_or_else(|| Error::not_found(Kind::Image, name))
    }

    /// Name of the image of sandboxes whose maker names none.
    pub fn default_name(&self) -> &str {
        &self.context.settings.default_image
    }

    /// Reads an image from `body`.
    ///
    /// # Errors
    /// [`Error::Forbidden`] without [`Scope::ImagesWrite`]; [`Error::Invalid`] naming what is wrong with the archive;
    /// [`Error::LimitReached`] for its size. Nothing is kept then.
    pub async fn import(
        &self,
        caller: &Caller,
        body: Body,
        source: ImageSource,
        name: Option<&str>,
        progress: ProgressSender,
    ) -> Result<Image> {
        caller.need(Scope::ImagesWrite)?;
        self.context.ports.images.import(body, source, name, progress).await
    }

    /// Fetches an image from a registry.
    ///
    /// # Errors
    /// [`Error::Forbidden`] without [`Scope::ImagesWrite`]; what the registry client reports.
    pub async fn pull(&self, caller: &Caller, reference: &str, progress: ProgressSender) -> Result<Image> {
        caller.need(Scope::ImagesWrite)?;
        self.context.ports.images.pull(reference, progress).await
    }

    /// Removes a name, and the image behind it once nothing points at it.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::InUse`] by a built-in image or a sandbox of any account.
    pub async fn remove(&self, caller: &Caller, name: &str) -> Result<()> {
        caller.need(Scope::ImagesWrite)?;
        let image = self.get(caller, name).await?;
        let in_use = |by: String| Err(Error::InUse { kind: Kind::Image, id: name.to_owned(), by });
        if image.built_in {
            return in_use("the server itself".to_owned());
        }
        let user = self.context.table.all().into_iter().map(|entry| entry.record()).find(|sandbox| {
            sandbox.image_digest == image.digest && !matches!(sandbox.state, State::Expired | State::Deleted)
        });
        match user {
            Some(sandbox) => in_use(format!("sandbox {}", sandbox.id)),
            None => self.context.ports.images.remove(name).await,
        }
    }
}
