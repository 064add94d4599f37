//! `lazaret image build`: a Dockerfile and a directory become an image, on the server and by its sandboxes.

mod pack;

use std::collections::BTreeMap;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use futures_util::TryStreamExt as _;
use lazaret_core::{Dockerignore, limits};
use reqwest::{Body, header};
use serde::Deserialize;

use crate::client::Client;
use crate::environment::variable;
use crate::events_stream::{EventStream, ServerEvent};
use crate::failure::{Failure, say};
use crate::progress;
use crate::server_error::{ErrorBody, ServerError};
use crate::sizes::parse_seconds;
use crate::wire::Image;

/// Build an image from a Dockerfile
///
/// The directory PATH is sent to the server, without what its .dockerignore names. RUN reaches no network unless --network
/// or --allow says so. With - for PATH the Dockerfile is read from standard input, and there is no directory.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lazaret image build -t app:1 .
  lazaret image build -t app:1 --build-arg VERSION=1.2 --allow deb.debian.org .
  lazaret image build -f docker/Dockerfile.test --target test .")]
pub struct Build {
    /// The directory whose files COPY and ADD can take
    path: PathBuf,

    /// Name for the image
    #[arg(short = 't', long = "tag", value_name = "NAME")]
    name: Option<String>,

    /// The Dockerfile [default: PATH/Dockerfile]
    #[arg(short = 'f', long, value_name = "FILE")]
    file: Option<PathBuf>,

    /// Build this stage, by name or number [default: the last]
    #[arg(long, value_name = "STAGE")]
    target: Option<String>,

    /// Value for an ARG, can be given several times; NAME alone passes on the value it has here
    #[arg(long = "build-arg", value_name = "NAME[=VALUE]")]
    arguments: Vec<String>,

    /// Do every step anew
    #[arg(long)]
    no_cache: bool,

    /// Print the image's name or digest only
    #[arg(short, long)]
    quiet: bool,

    /// What RUN may reach: disabled, allowlist or internet [default: disabled, or allowlist if --allow is given]
    #[arg(long, value_parser = ["disabled", "none", "allowlist", "internet"])]
    network: Option<String>,

    /// Domain or address range that RUN may reach, can be given several times
    #[arg(long, value_name = "DOMAIN|CIDR")]
    allow: Vec<String>,

    /// How long it may take, such as 20m [default: the server's]
    #[arg(long, value_name = "TIME", value_parser = parse_seconds)]
    timeout: Option<u64>,
}

impl Build {
    pub(super) async fn run(&self, client: &Client) -> Result<Image> {
        let without_directory = self.path == Path::new("-");
        let dockerfile = self.dockerfile(without_directory)?;
        let ignore = if without_directory { Dockerignore::default() } else { self.ignore()? };
        let directory = (!without_directory).then(|| self.path.clone());

        let (chunks, packing) = pack::start(directory, ignore, dockerfile)?;
        let bar = progress::transfer("sending the context", None);
        let counter = bar.clone();
        let chunks =
            chunks.inspect_ok(move |chunk| counter.inc(u64::try_from(chunk.len()).unwrap_or(u64::MAX)));
        let request = client
            .post(&["images", "build"])?
            .query(&self.query())
            .header("lazaret-build-args", ascii(&serde_json::to_string(&self.values()?)?))
            .header(header::CONTENT_TYPE, "application/x-tar")
            .header(header::ACCEPT, "text/event-stream")
            .body(Body::wrap_stream(chunks));
        let answer = client.send(request).await;
        bar.finish_and_clear();
        // What went wrong here says more than that the request was cut short.
        packing.outcome()?;
        self.follow(EventStream::new(answer?)).await
    }

    /// The name that was asked for.
    pub(super) fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Shows what happens, up to the image.
    async fn follow(&self, mut events: EventStream) -> Result<Image> {
        while let Some(event) = events.next().await? {
            match event.kind.as_str() {
                "step" if !self.quiet => {
                    let step: Step = parse(&event)?;
                    let cached = if step.cached { " (cached)" } else { "" };
                    say(&format!("[{}/{}] {}{cached}", step.number, step.total, step.text));
                }
                "stdout" | "stderr" if !self.quiet => {
                    let chunk: Chunk = parse(&event)?;
                    let bytes =
                        STANDARD.decode(chunk.data_base64).context("the server's event is not base64")?;
                    // Both are talk: the image's name alone is what the command is asked for.
                    io::stderr().write_all(&bytes)?;
                }
                "warning" => say(&format!("warning: {}", parse::<Warning>(&event)?.message)),
                "image" => return parse(&event),
                "error" => return Err(ServerError::from(parse::<Failed>(&event)?.error).into()),
                // A later server may tell more.
                _ => {}
            }
        }
        Err(Failure::new("the server ended the stream before the image was there").into())
    }

    fn query(&self) -> Vec<(&'static str, String)> {
        let mut query = vec![("dockerfile", pack::DOCKERFILE.to_owned()), ("beside", "true".to_owned())];
        query.extend(self.name.clone().map(|name| ("name", name)));
        query.extend(self.target.clone().map(|target| ("target", target)));
        query.extend(self.no_cache.then(|| ("no_cache", "true".to_owned())));
        let network = self
            .network
            .clone()
            .map(|network| if network == "none" { "disabled".to_owned() } else { network });
        query.extend(network.map(|network| ("network", network)));
        for allowed in &self.allow {
            let is_cidr = allowed.contains('/') || allowed.parse::<std::net::IpAddr>().is_ok();
            query.push((if is_cidr { "cidr" } else { "domain" }, allowed.clone()));
        }
        query.extend(self.timeout.map(|seconds| ("timeout_ms", seconds.saturating_mul(1000).to_string())));
        query
    }

    /// The arguments; one without a value has the value of the variable here, or is left out where there is none.
    fn values(&self) -> Result<BTreeMap<String, String>> {
        let mut values = BTreeMap::new();
        for argument in &self.arguments {
            let (name, value) = match argument.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (argument.as_str(), variable(argument).and_then(|value| value.into_string().ok())),
            };
            if name.is_empty() {
                return Err(Failure::new("--build-arg needs a name")
                    .hint("write --build-arg NAME=VALUE")
                    .into());
            }
            values.extend(value.map(|value| (name.to_owned(), value)));
        }
        Ok(values)
    }

    fn dockerfile(&self, without_directory: bool) -> Result<Vec<u8>> {
        let longest = limits::DOCKERFILE_MAX_BYTES as u64;
        let from_stdin = without_directory || self.file.as_deref() == Some(Path::new("-"));
        let mut bytes = Vec::new();
        if from_stdin {
            io::stdin()
                .lock()
                .take(longest + 1)
                .read_to_end(&mut bytes)
                .context("cannot read standard input")?;
        } else {
            let path = self.dockerfile_path();
            let cannot = || format!("cannot read the Dockerfile {}", path.display());
            let file = std::fs::File::open(&path).with_context(cannot)?;
            file.take(longest + 1).read_to_end(&mut bytes).with_context(cannot)?;
        }
        if bytes.len() > limits::DOCKERFILE_MAX_BYTES {
            return Err(Failure::new(format!("the Dockerfile is longer than {longest} bytes")).into());
        }
        Ok(bytes)
    }

    fn dockerfile_path(&self) -> PathBuf {
        self.file.clone().unwrap_or_else(|| self.path.join("Dockerfile"))
    }

    /// The Dockerfile's own list of what is not sent, else the directory's.
    fn ignore(&self) -> Result<Dockerignore> {
        let mut own = self.dockerfile_path().into_os_string();
        own.push(".dockerignore");
        for path in [PathBuf::from(own), self.path.join(".dockerignore")] {
            match std::fs::read_to_string(&path) {
                Ok(text) => {
                    return Dockerignore::parse(&text)
                        .map_err(|reason| Failure::new(format!("{}: {reason}", path.display())).into());
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
            }
        }
        Ok(Dockerignore::default())
    }
}

/// JSON whose text is ASCII alone, as a header's value has to be.
fn ascii(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        if c.is_ascii() && c != '\u{7f}' {
            text.push(c);
        } else {
            // As JSON has it: two halves for a character beyond the first 65,536.
            text.extend(c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")));
        }
    }
    text
}

fn parse<'a, T: Deserialize<'a>>(event: &'a ServerEvent) -> Result<T> {
    serde_json::from_str(&event.data).context("the server's event is not what this program expects")
}

#[derive(Deserialize)]
struct Step {
    number: usize,
    total: usize,
    text: String,
    cached: bool,
}

#[derive(Deserialize)]
struct Chunk {
    data_base64: String,
}

#[derive(Deserialize)]
struct Warning {
    message: String,
}

#[derive(Deserialize)]
struct Failed {
    error: ErrorBody,
}
