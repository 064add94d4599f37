//! One pull, from a reference to an image of the store.
//!
//! ```text
//! manifest, configuration ─▶ which lowest layers does an image here have?
//!      │                          └─▶ their tree, shared (nothing is fetched for them)
//!      └─▶ the other layers: fetched side by side ──▶ applied in their order ─▶ published
//!                                 └ digest and size           └ diff id
//! ```
//!
//! Everything happens in a workspace. Dropping the pull, at whatever point, removes it.

use std::collections::BTreeSet;
use std::fs::File;
use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt, stream};
use lazaret_core::ports::PullSender;
use lazaret_core::{Digest, Image, ImageReference, LayerProgress, LayerStep, PullProgress};
use tokio::sync::mpsc;

use crate::archive::config::{self, Configuration};
use crate::archive::{LayerBlob, parse_digest};
use crate::assembly::{Assembly, chain_id};
use crate::error::{ImagesError, ImportError};
use crate::hash::digest_of;
use crate::import::{Unpacked, check_layer_count};
use crate::registry::{Found, Registries, Wanted};
use crate::shared::{Shared, blocking};
use crate::unpack::limits::Exceeded;

/// Layers of one image on their way at once: as many as docker's, enough to hide the registry's answering times.
const LAYERS_AT_ONCE: usize = 3;

/// Pulls an image and points its name at it.
///
/// # Errors
/// [`ImagesError::Registry`] for what the registry did; [`ImagesError::Import`] for what is wrong with the image; the rest
/// for this machine.
pub(crate) async fn pull(
    shared: &Arc<Shared>,
    registries: &Registries,
    image: &ImageReference,
    progress: &PullSender,
) -> Result<Image, ImagesError> {
    let source = registries.source(image).map_err(|error| ImagesError::registry(image, error))?;
    let found = source.documents().await.map_err(|error| ImagesError::registry(image, error))?;
    let plan = Plan::make(shared, &found)?;
    plan.announce(progress);
    let (name, digest) = (image.familiar(), found.digest);
    if let Some(image) = blocking(shared, move |shared| shared.name_known(&digest, &name)).await? {
        plan.mark_all(progress, LayerStep::Shared);
        return Ok(image);
    }

    let diff_ids = plan.configuration.diff_ids.clone();
    let assembly = blocking(shared, move |shared| shared.begin(&diff_ids)).await?;
    let (shared_layers, workspace) = (assembly.layers(), assembly.workspace().to_owned());
    let _stop = assembly.stop().drop_guard();
    let mark = |number: usize, change: &dyn Fn(&mut LayerProgress)| {
        progress.send_modify(|progress| change(&mut progress.layers[number]));
    };
    for number in 0..shared_layers {
        mark(number, &|layer| layer.step = LayerStep::Shared);
    }

    // Room for all: how many files wait to be applied is bounded by the number of layers.
    let (fetched, arriving) = mpsc::channel(plan.layers.len());
    let fetch = |number: usize| {
        let (source, wanted) = (&source, plan.layers[number]);
        let path = workspace.join(format!("layer-{number}"));
        async move {
            mark(number, &|layer| layer.step = LayerStep::Fetching);
            let on_bytes = |bytes| mark(number, &|layer| layer.fetched_bytes = bytes);
            let file = source.fetch(wanted, &path, shared.limits, on_bytes).await?;
            mark(number, &|layer| layer.step = LayerStep::Fetched);
            Ok(Fetched { number, file, path })
        }
    };
    let fetches = async {
        let fetched = fetched;
        let layers = stream::iter(shared_layers..plan.layers.len()).map(fetch).buffered(LAYERS_AT_ONCE);
        // Nobody receives any more only if applying failed, which ends both.
        layers.try_for_each(async |layer| fetched.send(layer).await.or(Ok(()))).await
    };
    let mut held = Held(Some(assembly));
    let done = tokio::try_join!(fetches, apply(shared, &plan, &mut held, arriving, &mark));
    let assembly = match (done, held.0.take()) {
        (Ok(((), ())), Some(assembly)) => assembly,
        (done, assembly) => {
            // Nothing is left when the caller hears of it.
            blocking(shared, move |_| {
                drop(assembly);
                Ok(())
            })
            .await?;
            done?;
            unreachable!("applying gives the assembly back")
        }
    };

    let Plan { configuration, .. } = plan;
    let name = image.familiar();
    blocking(shared, move |shared| {
        let (bytes, workspace) = assembly.finish()?;
        shared.publish(Unpacked {
            image: found.digest,
            tree: chain_id(&configuration.diff_ids),
            manifest: Some((found.digest, found.json.to_vec())),
            config: (digest_of(&found.config), found.config.to_vec()),
            run: configuration.run,
            bytes,
            names: vec![name],
            replaceable: true,
            makers: BTreeSet::new(),
            workspace,
        })
    })
    .await
}

/// A layer's file, which is removed when it is applied.
struct Fetched {
    number: usize,
    file: File,
    path: std::path::PathBuf,
}

/// An assembly that is removed on a thread that may block, also when the pull is dropped.
struct Held(Option<Assembly>);

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(assembly) = self.0.take() {
            tokio::task::spawn_blocking(move || drop(assembly));
        }
    }
}

/// Applies layers in the order in which they arrive, which is theirs.
async fn apply(
    shared: &Arc<Shared>,
    plan: &Plan,
    held: &mut Held,
    mut arriving: mpsc::Receiver<Fetched>,
    mark: &impl Fn(usize, &dyn Fn(&mut LayerProgress)),
) -> Result<(), ImagesError> {
    while let Some(Fetched { number, file, path }) = arriving.recv().await {
        mark(number, &|layer| layer.step = LayerStep::Unpacking);
        let (wanted, diff_id) = (plan.layers[number], plan.configuration.diff_ids[number]);
        let mut assembly = held.0.take().expect("it comes back each time");
        let (assembly, applied) = blocking(shared, move |_| {
            // Its digest was compared when it came.
            let blob = LayerBlob { offset: 0, size: wanted.bytes, digest: None };
            let applied = assembly.apply_known(&file, &blob, &diff_id, &mut |_| {});
            // Given back also after a failure: others still make files in its workspace.
            Ok((assembly, applied))
        })
        .await?;
        held.0 = Some(assembly);
        applied?;
        std::fs::remove_file(&path).map_err(ImagesError::disk("remove", &path))?;
        mark(number, &|layer| layer.step = LayerStep::Done);
    }
    Ok(())
}

/// What is to be done, by the image's documents.
struct Plan {
    configuration: Configuration,
    /// Lowest first, as many as there are diff ids.
    layers: Vec<Wanted>,
}

impl Plan {
    /// # Errors
    /// [`ImagesError::Import`] for an image that is not taken.
    fn make(shared: &Shared, found: &Found) -> Result<Plan, ImagesError> {
        let archive = |error| ImagesError::from(ImportError::Archive(error));
        let configuration = config::parse(&found.config).map_err(|error| archive(error.into()))?;
        let listed = &found.manifest.layers;
        shared.limits.check_layers(listed.len()).map_err(ImportError::Exceeded)?;
        check_layer_count(listed.len(), configuration.diff_ids.len())?;
        let mut total: u64 = 0;
        let mut layers = Vec::with_capacity(listed.len());
        for layer in listed {
            let digest: Digest = parse_digest(&layer.digest).map_err(archive)?;
            total = total.saturating_add(layer.size);
            layers.push(Wanted { digest, bytes: layer.size });
        }
        // Compressed bytes are fewer than what comes out, but for a few of each block.
        if total > shared.limits.image_bytes {
            return Err(ImportError::Exceeded(Exceeded::ImageBytes(shared.limits.image_bytes)).into());
        }
        Ok(Plan { configuration, layers })
    }

    fn announce(&self, progress: &PullSender) {
        let layer = |wanted: &Wanted| LayerProgress {
            digest: wanted.digest,
            bytes: wanted.bytes,
            fetched_bytes: 0,
            step: LayerStep::Waiting,
        };
        progress.send_replace(PullProgress { layers: self.layers.iter().map(layer).collect() });
    }

    fn mark_all(&self, progress: &PullSender, step: LayerStep) {
        progress.send_modify(|progress| progress.layers.iter_mut().for_each(|layer| layer.step = step));
    }
}
