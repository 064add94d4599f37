//! `lazaret cp`: files and directories into a sandbox and out of it.
//!
//! ```text
//!   local ──▶ sandbox   upload.rs     read_dir here, mkdir and PUT there
//!   sandbox ──▶ local   download.rs   listings and GET there, beneath.rs here
//!   -  (a tar stream)   archive.rs    both ways
//! ```
//!
//! The sandbox is hostile: it chooses names, kinds, sizes and link targets. A name is one component or the copy fails
//! ([`remote`]); everything is made relative to the descriptor of its directory without following links
//! ([`beneath`]); links that could lead out of the copied tree are not made; set-id bits are dropped; depth and number of
//! entries are bounded.

mod archive;
mod beneath;
mod download;
mod place;
mod remote;
mod upload;

use anyhow::Result;
use clap::Args;
use clap::builder::{OsStringValueParser, TypedValueParser as _};

use self::place::{Place, parse_place};
use self::remote::Files;
use crate::client::Client;
use crate::failure::Failure;
use crate::progress;
use crate::reference::resolve;

/// Deepest tree that is copied. Real ones stay far below; a hostile or looped one would not end.
const DEPTH_MAX: usize = 128;
/// Most entries of one copy out of a sandbox, which could report more than it has.
const ENTRIES_MAX: usize = 1_000_000;

/// Copy files and directories into a sandbox or out of it
///
/// A place is SANDBOX:/PATH, a local path, or - for a tar stream on standard input or output. Directories are copied
/// whole: into the destination if that is a directory, else as the destination; a source that ends with /. stands for
/// what is in it. Modes are kept as far as the umask allows, without set-id bits.
///
/// Symbolic links: those that stay within the copied tree are made on the way out; others, and all on the way in, are
/// skipped with a message, unless -L copies what they point at.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lazaret cp data.csv web:/mnt/data/
  lazaret cp web:/mnt/data/out.csv .
  lazaret cp src/. web:/srv/app
  tar c src | lazaret cp - web:/srv
  lazaret cp web:/etc - | tar t

A local path with a colon in it begins with / or ./")]
pub struct Cp {
    /// Copy what local symbolic links point at
    #[arg(short = 'L', long)]
    follow_links: bool,

    /// User in the sandbox who reads or writes [default: the sandbox's]
    #[arg(short = 'u', long)]
    user: Option<String>,

    /// What to copy
    #[arg(value_parser = OsStringValueParser::new().try_map(parse_place))]
    from: Place,

    /// Where to
    #[arg(value_parser = OsStringValueParser::new().try_map(parse_place))]
    to: Place,
}

impl Cp {
    pub(super) async fn run(self, client: &Client) -> Result<()> {
        let files = async |sandbox: &str| -> Result<Files> {
            let sandbox = resolve(client, sandbox).await?;
            Ok(Files::new(client.clone(), sandbox, self.user.clone()))
        };
        match (self.from, self.to) {
            (Place::Sandbox { sandbox, path }, Place::Local(to)) => {
                download::download(&files(&sandbox).await?, &path, &to).await
            }
            (Place::Local(from), Place::Sandbox { sandbox, path }) => {
                upload::upload(&files(&sandbox).await?, &from, &path, self.follow_links).await
            }
            (Place::Sandbox { sandbox, path }, Place::Stream) => {
                archive::pack(files(&sandbox).await?, path).await
            }
            (Place::Stream, Place::Sandbox { sandbox, path }) => {
                archive::unpack(files(&sandbox).await?, path).await
            }
            (Place::Sandbox { .. }, Place::Sandbox { .. }) => {
                Err(Failure::new("both places are in sandboxes")
                    .hint("copy through a tar stream: lazaret cp a:/path - | lazaret cp - b:/path")
                    .into())
            }
            (Place::Local(_) | Place::Stream, Place::Local(_) | Place::Stream) => {
                Err(Failure::new("neither place is in a sandbox")
                    .hint("write the one in the sandbox as NAME:/path")
                    .into())
            }
        }
    }
}

fn bar(total: Option<u64>) -> indicatif::ProgressBar {
    progress::transfer("copying", total)
}
