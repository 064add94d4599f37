//! The place of one build: its context in a workspace, and the layers that it makes.

use std::io::Read as _;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use lazaret_core::ports::{BuildRoom, CopyFiles, Keep, MakeDirectory};
use lazaret_core::{AccountId, Body, Digest, DockerfilePlacement, Image, ImageConfig, Result, limits};
use rustix::fs::FileType;
use tempfile::TempDir;

use super::context::{self, unpack};
use super::copy::{self, CopyError, Owners};
use super::digest::digest;
use super::lookup::{LookupError, View};
use crate::assembly::descriptor;
use crate::commit::{Base, Layered};
use crate::error::{ImagesError, ImportError};
use crate::shared::{Shared, blocking};
use crate::store::layout::remove_directory;
use crate::unpack::limits::Budget;
use crate::unpack::tree::Tree;
use crate::upload::upload;

/// A build's place in a store.
#[derive(Debug)]
struct Room {
    shared: Arc<Shared>,
    maker: AccountId,
    context: Option<Arc<Context>>,
}

/// An unpacked context; it goes with its last user.
#[derive(Debug)]
struct Context {
    workspace: Option<TempDir>,
}

impl Context {
    fn tree(&self) -> Option<PathBuf> {
        Some(self.workspace.as_ref()?.path().join("rootfs"))
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        let Some(workspace) = self.workspace.take() else { return };
        let remove = move || {
            if let Err(error) = remove_directory(workspace) {
                // The next start removes it too.
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "a build's context could not be removed"
                );
            }
        };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(remove)),
            Err(_) => remove(),
        }
    }
}

/// A room with this archive as its context.
///
/// # Errors
/// [`ImagesError::Context`], [`ImagesError::Disk`]; nothing stays then.
pub(crate) async fn begin(
    shared: &Arc<Shared>,
    maker: AccountId,
    archive: Option<Body>,
) -> std::result::Result<Arc<dyn BuildRoom>, ImagesError> {
    let context = match archive {
        None => None,
        Some(archive) => Some(Arc::new(receive(shared, archive).await?)),
    };
    Ok(Arc::new(Room { shared: Arc::clone(shared), maker, context }))
}

async fn receive(shared: &Arc<Shared>, archive: Body) -> std::result::Result<Context, ImagesError> {
    let (pump, mut upload) = upload(archive);
    let unpacking = blocking(shared, move |shared| {
        let context = Context { workspace: Some(shared.layout.workspace()?) };
        let workspace = context.workspace.as_ref().ok_or(ImagesError::NoContext)?.path();
        let mut tree = Tree::create(workspace).map_err(ImportError::Tree)?;
        let mut budget = Budget::new(context::limits(shared.limits), descriptor(workspace)?);
        let outcome = unpack(&mut upload, &mut tree, &mut budget);
        match upload.take_failure() {
            Some(error) => Err(ImportError::Body(error).into()),
            None => outcome.map(|()| context).map_err(ImagesError::Context),
        }
    });
    // As an import does: one that fails early does not wait for the rest of the upload.
    tokio::pin!(unpacking);
    tokio::select! {
        context = &mut unpacking => context,
        () = pump.run() => unpacking.await,
    }
}

#[async_trait]
impl BuildRoom for Room {
    async fn dockerfile(&self, path: &str, placement: DockerfilePlacement) -> Result<Option<Bytes>> {
        let Some(context) = self.context.clone() else { return Ok(None) };
        let path = path.to_owned();
        Ok(blocking(&self.shared, move |_| read(&context, &path, placement)).await?)
    }

    async fn digest(&self, sources: &[String]) -> Result<Digest> {
        let context = self.context.clone();
        let sources = sources.to_vec();
        let work = move |_: &Shared| {
            if sources.is_empty() {
                return Ok(crate::hash::digest_of(b""));
            }
            let context = context.ok_or(ImagesError::NoContext)?;
            Ok(digest(&view(&context)?, &sources)?)
        };
        Ok(blocking(&self.shared, work).await?)
    }

    async fn copy(&self, copy: CopyFiles) -> Result<Image> {
        let context = self.context.clone();
        let CopyFiles { base, from, copy, config, made_by } = copy;
        Ok(layered(&self.shared, self.maker, base, config, made_by, move |shared, base, layered| {
            let under = base_view(shared, base)?;
            let from = match (from, &context) {
                (Some(image), _) => Some((base_view(shared, &shared.base(&image)?)?, Owners::Kept)),
                (None, Some(context)) => Some((view(context)?, Owners::Root)),
                (None, None) if copy.sources.is_empty() => None,
                (None, None) => return Err(ImagesError::NoContext),
            };
            let from = from.as_ref().map(|(view, owners)| (view, *owners));
            let limits = shared.limits;
            shared.layered(base, layered, move |out| copy::write(&under, from, &copy, limits, out))
        })
        .await?)
    }

    async fn make_directory(&self, make: MakeDirectory) -> Result<Option<Image>> {
        let MakeDirectory { base, path, config, made_by } = make;
        let looking = blocking(&self.shared, move |shared| {
            let refused = |problem| CopyError::Destination { destination: path.clone(), problem };
            let place = base_view(shared, &shared.base(&base)?)?.resolve(path.as_bytes()).map_err(refused)?;
            match &place.stat {
                Some(_) if place.is_directory() => Ok(None),
                Some(_) => Err(CopyError::NotDirectory(place.path).into()),
                None => Ok(Some(place.path)),
            }
        });
        let Some(path) = looking.await? else { return Ok(None) };
        let made = layered(&self.shared, self.maker, base, config, made_by, move |shared, base, layered| {
            let under = base_view(shared, base)?;
            shared.layered(base, layered, move |out| copy::write_directory(&under, &path, out))
        });
        Ok(Some(made.await?))
    }
}

/// Has `work` make an image with one layer more; it ends soon when this is dropped.
async fn layered(
    shared: &Arc<Shared>,
    maker: AccountId,
    base: Digest,
    config: ImageConfig,
    made_by: String,
    work: impl FnOnce(&Shared, &Base, Layered) -> std::result::Result<Image, ImagesError> + Send + 'static,
) -> std::result::Result<Image, ImagesError> {
    let base = blocking(shared, move |shared| shared.base(&base)).await?;
    let (tree, lowest) = (base.record.tree, base.diff_ids.len());
    let assembly = blocking(shared, move |shared| shared.begin_on_tree(&tree, lowest)).await?;
    let _stop = assembly.stop().drop_guard();
    let layered = Layered { maker, assembly, config, made_by, name: None, keep: Keep::WhileUsed };
    blocking(shared, move |shared| work(shared, &base, layered)).await
}

fn view(context: &Context) -> std::result::Result<View, ImagesError> {
    let tree = context.tree().ok_or(ImagesError::NoContext)?;
    View::open(&tree).map_err(ImagesError::Look)
}

fn base_view(shared: &Shared, base: &Base) -> std::result::Result<View, ImagesError> {
    View::open(&shared.layout.rootfs(&base.record.tree)).map_err(ImagesError::Look)
}

fn read(
    context: &Context,
    path: &str,
    placement: DockerfilePlacement,
) -> std::result::Result<Option<Bytes>, ImagesError> {
    let view = view(context)?;
    let refused = |problem: LookupError| CopyError::Source { source_path: path.to_owned(), problem };
    let place = view.resolve(path.as_bytes()).map_err(refused)?;
    let is_file =
        place.stat.is_some_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile);
    if !is_file {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    // One byte more than is taken, so that a longer one is refused and not cut.
    let longest = limits::DOCKERFILE_MAX_BYTES as u64 + 1;
    let file = view.file(&place.path).map_err(refused)?;
    file.take(longest).read_to_end(&mut bytes).map_err(CopyError::Read)?;
    if placement == DockerfilePlacement::Beside {
        view.remove_file(&place.path).map_err(refused)?;
    }
    Ok(Some(bytes.into()))
}
