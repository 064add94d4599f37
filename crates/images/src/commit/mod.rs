//! An image made of another one and of what a sandbox of it has written.
//!
//! ```text
//! upper of the sandbox ─changes─▶ OCI layer ─pipe─▶ assembly, which shares the files of the base ─▶ publish
//!                                   └ diff id, on the way
//! ```
//!
//! The upper becomes a layer as any tool would write it, and that is applied like one from a stranger: what a tenant has put
//! into a sandbox meets the same checks and limits as what it could have imported. Nothing is in the store before it is
//! whole. Not here: mounting the upper (runtime), and who may ask for it (core).

pub(crate) mod archive;
mod changes;

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

use lazaret_core::ports::{Commit, Keep};
use lazaret_core::{AccountId, Digest, Image, ImageConfig};

use crate::archive::config;
use crate::assembly::{Assembly, chain_id};
use crate::error::{ImagesError, ImportError};
use crate::hash::digest_of;
use crate::import::Unpacked;
use crate::shared::{Shared, blocking, lock, stored_name};
use crate::store::record::{Record, Source};
pub use changes::{ChangesError, EntryProblem};

/// Makes the image.
///
/// # Errors
/// [`ImagesError`]; nothing is kept then.
pub(crate) async fn commit(shared: &Arc<Shared>, mut commit: Commit) -> Result<Image, ImagesError> {
    let name = commit.name.take().map(|name| stored_name(&name)).transpose()?;
    let base = blocking(shared, {
        let digest = commit.base;
        move |shared| shared.base(&digest)
    })
    .await?;
    let Some(changes) = commit.changes.take() else {
        return blocking(shared, move |shared| shared.reconfigure(&base, &commit, name)).await;
    };
    let (tree, lowest) = (base.record.tree, base.diff_ids.len());
    let assembly = blocking(shared, move |shared| shared.begin_on_tree(&tree, lowest)).await?;
    // Dropped with this future: nobody unpacks what nobody waits for.
    let _stop = assembly.stop().drop_guard();
    blocking(shared, move |shared| {
        let Some(upper) = changes.uppers.first() else { return Err(ImagesError::NoChanges) };
        let Commit { maker, config, made_by, keep, .. } = commit;
        let layered = Layered { maker, assembly, config, made_by, name, keep };
        let made = shared.layered(&base, layered, |out| changes::write(upper, out, shared.limits));
        // Only now may the sandbox start again.
        drop(changes);
        made
    })
    .await
}

/// The image that another one is made of.
#[derive(Debug)]
pub(crate) struct Base {
    pub(crate) record: Record,
    /// Its configuration, as it is stored.
    config: Vec<u8>,
    pub(crate) diff_ids: Vec<Digest>,
}

/// An image with one layer more that is being made.
#[derive(Debug)]
pub(crate) struct Layered {
    pub(crate) maker: AccountId,
    /// The tree of the base, to which the layer comes.
    pub(crate) assembly: Assembly,
    pub(crate) config: ImageConfig,
    pub(crate) made_by: String,
    pub(crate) name: Option<String>,
    pub(crate) keep: Keep,
}

/// Why a layer was not written.
pub(crate) enum Unwritten {
    /// Nobody reads it any more, which has its reason there.
    Unread,
    Failed(ImagesError),
}

impl From<ChangesError> for Unwritten {
    fn from(error: ChangesError) -> Self {
        match error {
            ChangesError::Write(_) => Self::Unread,
            error => Self::Failed(error.into()),
        }
    }
}

impl Shared {
    pub(crate) fn base(&self, image: &Digest) -> Result<Base, ImagesError> {
        let record = lock(&self.state).index.records.get(image).cloned();
        let record = record.ok_or_else(|| ImagesError::NotFound(image.to_string()))?;
        let Some(source) = &record.source else { return Err(ImagesError::OfHost) };
        let path = self.layout.blob(&source.config);
        let config = std::fs::read(&path).map_err(ImagesError::disk("read", path))?;
        let parsed = config::parse(&config).map_err(|error| ImportError::Archive(error.into()))?;
        self.limits.check_layers(parsed.diff_ids.len() + 1).map_err(ImportError::Exceeded)?;
        Ok(Base { record, config, diff_ids: parsed.diff_ids })
    }

    /// An image with one layer more, which `write` writes.
    pub(crate) fn layered<E: Into<Unwritten> + Send>(
        &self,
        base: &Base,
        layered: Layered,
        write: impl FnOnce(io::BufWriter<io::PipeWriter>) -> Result<(), E> + Send,
    ) -> Result<Image, ImagesError> {
        let Layered { maker, mut assembly, config, made_by, name, keep } = layered;
        let diff_id = pour(&mut assembly, write)?;
        let json = config::derived(&base.config, &config, Some(&diff_id), &made_by)
            .map_err(|error| ImportError::Archive(error.into()))?;
        let run = config::parse(&json).map_err(|error| ImportError::Archive(error.into()))?.run;
        let diff_ids = [&base.diff_ids[..], &[diff_id]].concat();
        let (bytes, workspace) = assembly.finish()?;
        let digest = digest_of(&json);
        self.publish(Unpacked {
            image: digest,
            tree: chain_id(&diff_ids),
            manifest: None,
            config: (digest, json),
            run,
            bytes,
            names: name.into_iter().collect(),
            replaceable: keep == Keep::WhileUsed,
            makers: BTreeSet::from([maker]),
            workspace,
        })
    }

    /// An image with the same layers and another configuration.
    fn reconfigure(&self, base: &Base, commit: &Commit, name: Option<String>) -> Result<Image, ImagesError> {
        let json = config::derived(&base.config, &commit.config, None, &commit.made_by)
            .map_err(|error| ImportError::Archive(error.into()))?;
        let run = config::parse(&json).map_err(|error| ImportError::Archive(error.into()))?.run;
        let digest = digest_of(&json);
        let _changing = lock(&self.changing);
        // It may have gone since it was looked at, and its tree with it.
        if !lock(&self.state).index.records.contains_key(&commit.base) {
            return Err(ImagesError::NotFound(commit.base.to_string()));
        }
        let record = Record {
            tree: base.record.tree,
            source: Some(Source { manifest: None, config: digest }),
            config: run,
            bytes: base.record.bytes,
            created_at: self.clock.now(),
            replaceable: commit.keep == Keep::WhileUsed,
            makers: BTreeSet::from([commit.maker]),
        };
        self.enter(digest, record, &[(digest, json)], name.into_iter().collect())
    }
}

/// Applies the layer that `write` writes, and returns its diff id.
fn pour<E: Into<Unwritten> + Send>(
    assembly: &mut Assembly,
    write: impl FnOnce(io::BufWriter<io::PipeWriter>) -> Result<(), E> + Send,
) -> Result<Digest, ImagesError> {
    let pipe = |source| ImagesError::Import(ImportError::Upload(source));
    let (reader, writer) = io::pipe().map_err(pipe)?;
    let (written, applied) = std::thread::scope(|scope| {
        let writing = scope.spawn(|| write(io::BufWriter::new(writer)));
        // The reader goes with this statement, so that a writer whose layer was refused does not wait for ever.
        let applied = assembly.apply_stream(io::BufReader::new(reader));
        (writing.join(), applied)
    });
    match written.map(|written| written.map_err(Into::into)) {
        Ok(Err(Unwritten::Failed(error))) => Err(error),
        Err(_panic) => Err(pipe(io::Error::other("the thread that writes the layer failed"))),
        Ok(Err(Unwritten::Unread) | Ok(())) => Ok(applied?),
    }
}
