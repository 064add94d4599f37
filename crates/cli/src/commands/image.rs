//! `lazaret image`: what sandboxes start from.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::{Subcommand, ValueEnum};
use futures_util::TryStreamExt as _;
use jiff::Timestamp;
use reqwest::{Body, header};
use tokio_util::io::ReaderStream;

use super::build::Build;
use super::pull::pull;
use super::{each, print_json};
use crate::client::Client;
use crate::failure::{Failure, say};
use crate::progress;
use crate::stdio::read_stdin;
use crate::terminal;
use crate::text::{age, print_table, size};
use crate::wire::{Image as Row, ImageList};

/// Bytes read of a file at a time.
const CHUNK_BYTES: usize = 256 * 1024;

/// Manage images: what sandboxes start from
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:
  docker save alpine:latest | lazaret image import -
  lazaret image import rootfs.tar --name debian:minbase
  lazaret image pull python:3.13-slim
  lazaret image build -t app:1 .
  lazaret image ls
  lazaret run --rm -it --image alpine:latest -- sh")]
pub enum Image {
    /// Fetch an image from its registry, or a mirror that the server knows
    Pull {
        /// A name that `image ls --all` shows, or a reference such as ghcr.io/owner/name:tag
        reference: String,
    },
    Build(Box<Build>),
    /// Take an image from a file: of `docker save`, an OCI archive, or a tar of a root file system
    Import {
        /// The file; - for standard input
        file: PathBuf,
        /// Name for it [default: the one in the archive]
        #[arg(long)]
        name: Option<String>,
        /// What the file is
        #[arg(long, value_enum, default_value = "detect")]
        source: Source,
    },
    /// List what is here, and what could be had
    #[command(visible_alias = "list")]
    Ls {
        /// Every name that could be had, not only the popular ones
        #[arg(short, long, conflicts_with_all = ["json", "quiet"])]
        all: bool,
        /// Print digests only
        #[arg(short, long, conflicts_with = "json")]
        quiet: bool,
    },
    /// Remove images
    Rm {
        /// Names or digests
        #[arg(required = true, value_name = "IMAGE")]
        images: Vec<String>,
    },
}

/// Kinds of files that hold an image.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Source {
    /// Look into it
    Detect,
    /// What `docker save` writes
    DockerArchive,
    /// An OCI layout in a tar
    OciArchive,
    /// A root file system in a tar
    RootfsTar,
}

impl Source {
    const fn name(self) -> &'static str {
        match self {
            Self::Detect => "detect",
            Self::DockerArchive => "docker-archive",
            Self::OciArchive => "oci-archive",
            Self::RootfsTar => "rootfs-tar",
        }
    }
}

impl Image {
    pub(super) async fn run(self, client: &Client, json: bool) -> Result<u8> {
        match self {
            Self::Pull { reference } => {
                let image = pull(client, &reference).await?;
                print(&image, Some(&reference), json)?;
                Ok(0)
            }
            Self::Build(build) => {
                let image = build.run(client).await?;
                print(&image, build.name(), json)?;
                Ok(0)
            }
            Self::Import { file, name, source } => {
                let image = import(client, &file, name.as_deref(), source).await?;
                print(&image, name.as_deref(), json)?;
                Ok(0)
            }
            Self::Ls { all, quiet } => {
                let found: ImageList = client.json(client.get(&["images"])?).await?;
                if json {
                    return print_json(&found).map(|()| 0);
                }
                list(&found, quiet, all).map(|()| 0)
            }
            Self::Rm { images } => {
                each(&images, async |image: &str| {
                    client.empty(client.delete(&["images", image])?).await?;
                    writeln!(io::stdout(), "{image}")?;
                    Ok(())
                })
                .await
            }
        }
    }
}

async fn import(client: &Client, file: &Path, name: Option<&str>, source: Source) -> Result<Row> {
    let mut query = vec![("source", source.name().to_owned())];
    query.extend(name.map(|name| ("name", name.to_owned())));
    let mut request = client.post(&["images", "import"])?.query(&query);
    let bar;
    if file == Path::new("-") {
        if terminal::stdin_is_terminal() {
            return Err(Failure::new("standard input is a terminal, and an archive is expected there")
                .hint("pipe one in, or name a file")
                .into());
        }
        bar = progress::transfer("importing", None);
        let (counter, chunks) = (bar.clone(), read_stdin()?);
        let chunks =
            futures_util::stream::unfold(chunks, async |mut chunks| Some((chunks.recv().await?, chunks)));
        request = request.body(Body::wrap_stream(chunks.inspect_ok(move |chunk| counter.inc(length(chunk)))));
    } else {
        let cannot = || format!("cannot read {}", file.display());
        let opened = tokio::fs::File::open(file).await.with_context(cannot)?;
        let metadata = opened.metadata().await.with_context(cannot)?;
        if metadata.is_dir() {
            return Err(Failure::new(format!("{} is a directory", file.display()))
                .hint(format!(
                    "import it as a stream: tar c -C {} . | lazaret image import -",
                    file.display()
                ))
                .into());
        }
        // A FIFO or a device has no length of its own.
        let total = metadata.is_file().then_some(metadata.len());
        bar = progress::transfer("importing", total);
        let counter = bar.clone();
        let chunks = ReaderStream::with_capacity(opened, CHUNK_BYTES);
        request = request.body(Body::wrap_stream(chunks.inspect_ok(move |chunk| counter.inc(length(chunk)))));
        if let Some(total) = total {
            request = request.header(header::CONTENT_LENGTH, total);
        }
    }
    let image = client.json_within(None, request.header(header::CONTENT_TYPE, "application/x-tar")).await;
    bar.finish_and_clear();
    image
}

fn length(chunk: &bytes::Bytes) -> u64 {
    u64::try_from(chunk.len()).unwrap_or(u64::MAX)
}

/// Prints the name that `image` has now: the one that was asked for, if it is one of them.
fn print(image: &Row, asked: Option<&str>, json: bool) -> Result<()> {
    if json {
        return print_json(image);
    }
    let asked = asked.filter(|asked| image.names.iter().any(|name| name == asked));
    let name = asked.or(image.names.first().map(String::as_str)).unwrap_or(&image.digest);
    writeln!(io::stdout(), "{name}")?;
    Ok(())
}

fn list(ImageList { images, catalogue }: &ImageList, quiet: bool, all: bool) -> Result<()> {
    if quiet {
        for image in images {
            writeln!(io::stdout(), "{}", image.digest)?;
        }
        return Ok(());
    }
    let now = Timestamp::now();
    let mut rows = Vec::new();
    for image in images {
        let unnamed = ["-".to_owned()];
        let names = if image.names.is_empty() { unnamed.as_slice() } else { image.names.as_slice() };
        for name in names {
            rows.push(vec![
                name.clone(),
                short_digest(&image.digest),
                if image.built_in { "built in".to_owned() } else { size(image.bytes) },
                image.created_at.as_deref().map_or_else(|| "-".to_owned(), |at| age(at, now)),
            ]);
        }
    }
    let (shown, hidden): (Vec<_>, Vec<_>) = catalogue
        .iter()
        .filter(|offered| offered.digest.is_none())
        .partition(|offered| all || offered.popular);
    for offered in shown {
        rows.push(vec![
            offered.name.clone(),
            format!("from {}", offered.reference),
            "not here".to_owned(),
            "-".to_owned(),
        ]);
    }
    print_table(&["NAME", "DIGEST", "SIZE", "AGE"], rows)?;
    if !hidden.is_empty() {
        say(&format!("{} more names can be had; --all shows them", hidden.len()));
    }
    Ok(())
}

/// The algorithm and the first digits, as people compare them.
fn short_digest(digest: &str) -> String {
    const SHORT_DIGITS: usize = 12;
    match digest.split_once(':') {
        Some((algorithm, digits)) => {
            format!("{algorithm}:{}", digits.chars().take(SHORT_DIGITS).collect::<String>())
        }
        None => digest.to_owned(),
    }
}
