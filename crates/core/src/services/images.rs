//! Images: what is here, what comes in, what goes.

use std::sync::Arc;

use super::context::Context;
use super::image_collection;
use super::pulls::{self, Pull};
use super::settings::PullPolicy;
use crate::ports::ProgressSender;
use crate::{
    AccountId, Body, Caller, CatalogueImage, Error, Image, ImageReference, ImageSource, Kind, Result, Scope,
    State, UpstreamProblem, Viewer, digest_start, limits,
};

/// A name of the catalogue, and whether its image is here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfferedImage {
    /// The name.
    pub name: String,
    /// What it stands for.
    pub image: CatalogueImage,
    /// Digest of the image, if it is here.
    pub here: Option<crate::Digest>,
}

/// Images of this server. All accounts share those that have a name or came from elsewhere; what an account made without
/// naming it is that account's alone, and an operator's to see and remove.
#[derive(Clone)]
pub struct Images {
    pub(super) context: Arc<Context>,
}

impl Images {
    /// Every image here that is open to the caller.
    ///
    /// # Errors
    /// [`Error::Forbidden`] without [`Scope::SandboxesRead`].
    pub async fn list(&self, caller: &Caller) -> Result<Vec<Image>> {
        caller.need(Scope::SandboxesRead)?;
        self.context.ports.images.list(manager(caller)).await
    }

    /// The image that a name or digest stands for.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is none.
    pub async fn get(&self, caller: &Caller, name: &str) -> Result<Image> {
        caller.need(Scope::SandboxesRead)?;
        let found = find(&self.context, name, manager(caller)).await?;
        found.ok_or_else(|| Error::not_found(Kind::Image, name))
    }

    /// The names of the catalogue, in order, each with the image that is here for it.
    ///
    /// # Errors
    /// [`Error::Forbidden`] without [`Scope::SandboxesRead`].
    pub async fn offered(&self, caller: &Caller) -> Result<Vec<OfferedImage>> {
        caller.need(Scope::SandboxesRead)?;
        let mut offered = Vec::new();
        for (name, image) in self.context.settings.images.catalogue.iter() {
            let here = find(&self.context, name, manager(caller)).await?.map(|image| image.digest);
            offered.push(OfferedImage { name: name.to_owned(), image: image.clone(), here });
        }
        Ok(offered)
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

    /// Fetches what a name means from its registry, also if an image of that name is here: a tag may have moved. Joins
    /// the pull of the same image that is under way.
    ///
    /// # Errors
    /// [`Error::Forbidden`] without [`Scope::ImagesWrite`]; [`Error::Invalid`] for what cannot be in a registry. The rest
    /// is told by [`Pull::wait`].
    pub fn pull(&self, caller: &Caller, name: &str) -> Result<Pull> {
        caller.need(Scope::ImagesWrite)?;
        let reference = self.context.settings.images.catalogue.resolve(name);
        let reference = reference.map_err(|error| Error::invalid("reference", error.to_string()))?;
        Ok(pulls::join(&self.context, caller.account, &reference))
    }

    /// Removes a name, and the image behind it once nothing points at it.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::InUse`] by the server, or a sandbox or template of any account.
    pub async fn remove(&self, caller: &Caller, name: &str) -> Result<()> {
        caller.need(Scope::ImagesWrite)?;
        let image = self.get(caller, name).await?;
        let in_use = |by: String| Err(Error::InUse { kind: Kind::Image, id: name.to_owned(), by });
        if image.built_in {
            return in_use("the server itself".to_owned());
        }
        let _nobody_creates = image_collection::nobody_creates(&self.context).await?;
        let user = self.context.table.all().into_iter().map(|entry| entry.record()).find(|sandbox| {
            sandbox.image_digest == image.digest && !matches!(sandbox.state, State::Expired | State::Deleted)
        });
        match (user, self.context.templates.user_of(&image.digest)) {
            (Some(sandbox), _) => in_use(format!("sandbox {}", sandbox.id)),
            (None, Some(template)) => in_use(format!("template {template}")),
            (None, None) if self.context.builds.needed().contains(&image.digest) => {
                in_use("a build".to_owned())
            }
            (None, None) => self.context.ports.images.remove(name, manager(caller)).await,
        }
    }
}

/// Whose eyes images are managed with. Using one is another matter: an operator's sandboxes are made of what is open to the
/// operator's account.
fn manager(caller: &Caller) -> Viewer {
    match caller.need(Scope::Admin) {
        Ok(()) => Viewer::Server,
        Err(_) => Viewer::Account(caller.account),
    }
}

/// The image that a name, a digest, or a name of the catalogue stands for here.
pub(super) async fn find(context: &Context, name: &str, viewer: Viewer) -> Result<Option<Image>> {
    if let Some(image) = context.ports.images.find(name, viewer).await? {
        return Ok(Some(image));
    }
    match context.settings.images.catalogue.get(name) {
        Some(image) => context.ports.images.find(&image.reference.familiar(), viewer).await,
        None => Ok(None),
    }
}

/// Succeeds for a name that may be pulled when its image is not here.
///
/// # Errors
/// [`Error::NotFound`].
pub(super) fn check_obtainable(context: &Context, name: &str) -> Result<()> {
    source(context, name).map(drop)
}

/// What a name whose image is not here means in a registry.
fn source(context: &Context, name: &str) -> Result<ImageReference> {
    let reference = match context.settings.images.pull {
        PullPolicy::Never => None,
        // Digits name what is here.
        PullPolicy::Missing if digest_start(name).is_some() => None,
        PullPolicy::Missing => context.settings.images.catalogue.resolve(name).ok(),
    };
    reference.ok_or_else(|| Error::not_found(Kind::Image, name))
}

/// The image for a new sandbox: the one that is here, or the one that is pulled if the operator lets names do that.
/// Waits for at most [`limits::PULL_WAIT_MAX`].
pub(super) async fn obtain(context: &Arc<Context>, account: AccountId, name: &str) -> Result<Image> {
    if let Some(image) = find(context, name, Viewer::Account(account)).await? {
        return Ok(image);
    }
    let reference = source(context, name)?;
    let pull = pulls::join(context, account, &reference);
    let waited = tokio::time::timeout(limits::PULL_WAIT_MAX, pull.wait()).await;
    waited.unwrap_or_else(|elapsed| {
        Err(Error::Upstream {
            what: format!("pulling {reference}"),
            problem: UpstreamProblem::Stalled,
            retry_after: None,
            source: elapsed.into(),
        })
    })
}
