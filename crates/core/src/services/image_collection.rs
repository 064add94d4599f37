//! Collecting images that no sandbox needs.
//!
//! ```text
//!   create ── holds `images_in_use` for reading from the moment it has chosen an image until its record is in the table
//!   collection, removal ── hold it for writing while they look who needs what and take images out
//! ```
//!
//! So no image goes between a create's look and its sandbox. What a sandbox needs stays for as long as it may start again.
//!
//! Not here: which of the unneeded images go, and how (the adapter, by the policy).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedRwLockReadGuard, RwLockWriteGuard};

use super::context::Context;
use crate::{AccountId, Digest, Error, Image, Result, State, Viewer};

/// Between two looks.
const INTERVAL: Duration = Duration::from_secs(10 * 60);

/// How long it is waited for creates that are under way, during which no other begins.
const PATIENCE: Duration = Duration::from_secs(5);

/// An image that stays while this lives.
pub(super) struct HeldImage {
    pub(super) image: Image,
    _held: OwnedRwLockReadGuard<()>,
}

/// The image for a new sandbox, as [`super::images::obtain`] gives it, held.
pub(super) async fn obtain_held(context: &Arc<Context>, account: AccountId, name: &str) -> Result<HeldImage> {
    loop {
        let image = super::images::obtain(context, account, name).await?;
        // It may have gone before it was held, and is pulled again then.
        if let Some(held) = hold(context, &image.digest).await? {
            return Ok(held);
        }
    }
}

/// Holds an image, if it is here.
pub(super) async fn hold(context: &Arc<Context>, image: &Digest) -> Result<Option<HeldImage>> {
    let held = Arc::clone(&context.images_in_use).read_owned().await;
    let found = context.ports.images.find(&image.to_string(), Viewer::Server).await?;
    Ok(found.map(|image| HeldImage { image, _held: held }))
}

/// Keeps creates from looking for an image, once none is between its look and its sandbox.
///
/// # Errors
/// [`Error::Unavailable`] if one takes too long for that.
pub(super) async fn nobody_creates(context: &Context) -> Result<RwLockWriteGuard<'_, ()>> {
    let waited = tokio::time::timeout(PATIENCE, context.images_in_use.write()).await;
    waited.map_err(|elapsed| Error::Unavailable { retry_after: Some(PATIENCE), source: elapsed.into() })
}

/// Images that a sandbox may start from again, that a build uses, and those of templates.
fn needed(context: &Context) -> BTreeSet<Digest> {
    let records = context.table.all().into_iter().map(|entry| entry.record().clone());
    let mut needed: BTreeSet<Digest> = records
        .filter(|sandbox| !matches!(sandbox.state, State::Expired | State::Deleted))
        .map(|sandbox| sandbox.image_digest)
        .chain(context.builds.needed())
        .collect();
    needed.append(&mut context.templates.needed_images());
    needed
}

/// Removes an image that was made for one purpose, unless somebody needs it or has given it a name.
pub(super) async fn release(context: &Context, image: &Digest) -> Result<()> {
    let _nobody_creates = nobody_creates(context).await?;
    let digest = image.to_string();
    let Some(found) = context.ports.images.find(&digest, Viewer::Server).await? else { return Ok(()) };
    if found.built_in || !found.names.is_empty() || needed(context).contains(image) {
        return Ok(());
    }
    context.ports.images.remove(&digest, Viewer::Server).await
}

/// Collects, if it is time to.
pub(super) async fn collect_if_due(context: &Context) -> Result<()> {
    let now = context.ports.clock.monotonic();
    {
        let mut last = context.images_collected.lock().expect("no panic under this lock");
        if last.is_some_and(|last| now.saturating_sub(last) < INTERVAL) {
            return Ok(());
        }
        *last = Some(now);
    }
    let Ok(_nobody_creates) = nobody_creates(context).await else { return Ok(()) };
    let policy = &context.settings.images.collection;
    context.ports.images.collect(&needed(context), policy).await.map(drop)
}
