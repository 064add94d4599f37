//! A layer from a registry to a file.
//!
//! ```text
//!   attempt 1: GET blob ─────▶ 40 % ✂      attempt 2: GET blob, Range: bytes=<40 %>- ─────▶ 100 % ─▶ digest
//!                    └──▶ Sink (blocking thread): writes, hashes, keeps the disk's reserve
//! ```
//!
//! A registry that does not know ranges sends all again, and the file starts over.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;

use bytes::Bytes;
use futures_util::StreamExt;
use lazaret_core::Digest;
use reqwest::header::{self, HeaderMap, HeaderValue};
use reqwest::{Response, StatusCode};
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::attempts::Refusals;
use super::client::{Source, broken};
use super::error::RegistryError;
use super::hosts::Endpoint;
use crate::assembly::descriptor;
use crate::error::{ImagesError, ImportError};
use crate::hash::digest_from;
use crate::unpack::limits::{Budget, UnpackLimits};

/// Chunks between the network and the disk. Each is at most what one read of a socket gives.
const CHUNKS: usize = 32;

/// A blob as the manifest announces it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) digest: Digest,
    pub(crate) bytes: u64,
}

impl Source<'_> {
    /// Fetches a blob into a new file and checks it. `on_bytes` is called with the bytes that are here.
    ///
    /// # Errors
    /// [`ImagesError::Registry`]; [`ImagesError::Disk`] and [`ImportError::Exceeded`] for this machine's disk.
    pub(crate) async fn fetch(
        &self,
        wanted: Wanted,
        path: &Path,
        limits: UnpackLimits,
        on_bytes: impl Fn(u64) + Send + Sync,
    ) -> Result<File, ImagesError> {
        let mut sink = Sink::open(path, limits)?;
        let mut refusals = Refusals::default();
        let mut fetched = false;
        for endpoint in &self.endpoints {
            match self.fetch_from(endpoint, wanted, &mut sink, &on_bytes).await {
                Ok(()) => {
                    fetched = true;
                    break;
                }
                Err(error) => refusals.add(endpoint, error),
            }
        }
        // What the disk said comes first: it is why the sink stopped taking chunks.
        let file = sink.close().await?;
        if fetched { Ok(file) } else { Err(ImagesError::registry(self.image, refusals.into_error())) }
    }

    async fn fetch_from(
        &self,
        endpoint: &Endpoint,
        wanted: Wanted,
        sink: &mut Sink,
        on_bytes: &(impl Fn(u64) + Send + Sync),
    ) -> Result<(), RegistryError> {
        let mut attempts = self.attempts();
        // What another machine sent is not mixed with what this one sends.
        sink.restart().await;
        while let Err(error) = self.continue_from(endpoint, wanted, sink, on_bytes).await {
            attempts.wait_after(error).await?;
        }
        match sink.digest().await {
            Some(found) if found != wanted.digest => {
                Err(RegistryError::Digest { host: endpoint.host.clone(), wanted: wanted.digest, found })
            }
            // No digest: the disk failed, which closing tells.
            _ => Ok(()),
        }
    }

    /// One request for what is missing.
    async fn continue_from(
        &self,
        endpoint: &Endpoint,
        wanted: Wanted,
        sink: &mut Sink,
        on_bytes: &(impl Fn(u64) + Send + Sync),
    ) -> Result<(), RegistryError> {
        let registries = self.registries;
        let mut headers = HeaderMap::new();
        if sink.received > 0 {
            let range = format!("bytes={}-", sink.received);
            headers.insert(header::RANGE, HeaderValue::from_str(&range).expect("digits are a header value"));
        }
        let path = format!("blobs/{}", wanted.digest);
        let response = registries.get(endpoint, self.image.repository(), &path, &headers).await?;
        if sink.received > 0 && !continues_at(&response, sink.received) {
            sink.restart().await;
        }
        let length = |found| RegistryError::Length {
            host: endpoint.host.clone(),
            digest: wanted.digest,
            found,
            wanted: wanted.bytes,
        };
        let mut chunks = response.bytes_stream();
        while let Some(chunk) = chunks.next().await {
            let chunk =
                chunk.map_err(|error| broken(&endpoint.host, registries.settings().stall_timeout, error))?;
            let after = sink.received + chunk.len() as u64;
            if after > wanted.bytes {
                return Err(length(after));
            }
            if !sink.write(chunk).await {
                return Ok(());
            }
            on_bytes(after);
        }
        if sink.received < wanted.bytes { Err(length(sink.received)) } else { Ok(()) }
    }
}

/// Whether an answer goes on where the file ends.
fn continues_at(response: &Response, offset: u64) -> bool {
    let range = response.headers().get(header::CONTENT_RANGE).and_then(|range| range.to_str().ok());
    let start = range.and_then(|range| range.strip_prefix("bytes ")?.split_once('-'));
    response.status() == StatusCode::PARTIAL_CONTENT
        && start.is_some_and(|(start, _)| start.parse() == Ok(offset))
}

/// A message to the thread that writes.
enum Part {
    Chunk(Bytes),
    Restart,
    Digest(tokio::sync::oneshot::Sender<Digest>),
}

/// The file that a blob goes to, and the thread that writes it.
struct Sink {
    sender: mpsc::Sender<Part>,
    writer: JoinHandle<Result<File, ImagesError>>,
    received: u64,
}

impl Sink {
    fn open(path: &Path, limits: UnpackLimits) -> Result<Sink, ImagesError> {
        let path = path.to_owned();
        let made = File::options().create_new(true).read(true).write(true).open(&path);
        let file = made.map_err(ImagesError::disk("make", &path))?;
        let budget = Budget::new(limits, descriptor(path.parent().unwrap_or(Path::new("/")))?);
        let (sender, receiver) = mpsc::channel(CHUNKS);
        let writer = tokio::task::spawn_blocking(move || {
            write(file, receiver, &budget).map_err(|error| match error {
                WriteError::Disk(error) => ImagesError::disk("write", path)(error),
                WriteError::Exceeded(error) => ImportError::Exceeded(error).into(),
            })
        });
        Ok(Sink { sender, writer, received: 0 })
    }

    /// False when the disk failed, which [`Sink::close`] tells of.
    async fn write(&mut self, chunk: Bytes) -> bool {
        self.received += chunk.len() as u64;
        self.sender.send(Part::Chunk(chunk)).await.is_ok()
    }

    async fn restart(&mut self) {
        if self.received > 0 {
            self.received = 0;
            // A closed channel is told of when the sink is closed.
            let _ = self.sender.send(Part::Restart).await;
        }
    }

    /// The digest of what is written; `None` when the disk failed.
    async fn digest(&self) -> Option<Digest> {
        let (answer, digest) = tokio::sync::oneshot::channel();
        self.sender.send(Part::Digest(answer)).await.ok()?;
        digest.await.ok()
    }

    async fn close(self) -> Result<File, ImagesError> {
        drop(self.sender);
        self.writer.await.map_err(ImagesError::Thread)?
    }
}

enum WriteError {
    Disk(io::Error),
    Exceeded(crate::unpack::limits::Exceeded),
}

fn write(mut file: File, mut parts: mpsc::Receiver<Part>, budget: &Budget) -> Result<File, WriteError> {
    let mut hash = Sha256::new();
    while let Some(part) = parts.blocking_recv() {
        match part {
            Part::Chunk(chunk) => {
                budget.keep_reserve(chunk.len() as u64).map_err(WriteError::Exceeded)?;
                file.write_all(&chunk).map_err(WriteError::Disk)?;
                hash.update(&chunk);
            }
            Part::Restart => {
                file.set_len(0).and_then(|()| file.seek(SeekFrom::Start(0))).map_err(WriteError::Disk)?;
                hash = Sha256::new();
            }
            // Who asked may have gone.
            Part::Digest(answer) => drop(answer.send(digest_from(hash.clone()))),
        }
    }
    Ok(file)
}
