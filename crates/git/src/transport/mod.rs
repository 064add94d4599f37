//! How remotes are reached: libgit2's own transports for paths, `file://` and `git://`, and this one for HTTP.
//!
//! ```text
//!   libgit2 ──UploadPackLs, ReceivePackLs──▶ GET  <base>/info/refs?service=…      follows redirects, and so finds the base
//!           ──UploadPack, ReceivePack──────▶ POST <base>/git-upload-pack, …       follows none
//!
//!   a server that is only files (no `service`): dumb::fetch walks its objects, libgit2 is not asked
//! ```
//!
//! libgit2 passes an error of a transport on as a number at best, so the failure itself is kept here, and
//! [`Network::explain`] prefers it.

mod address;
mod dumb;
mod http;
mod subtransport;

use std::sync::{Arc, Mutex, PoisonError};

use git2::transport::Transport;
use lazaret_protocol::git::{Credentials, Problem};

pub(crate) use self::address::Address;
use self::http::{Client, is_http};
use self::subtransport::Subtransport;
use crate::cancel;
use crate::failure::{Failure, Outcome};
use crate::sys::register_transport;

/// The remotes of one request: who asks, and what went wrong.
pub(crate) struct Network {
    client: Arc<Client>,
    problem: Arc<Noted>,
}

/// The first failure of a transport, until it is asked for.
#[derive(Debug, Default)]
pub(super) struct Noted(Mutex<Option<Failure>>);

impl Noted {
    fn note(&self, failure: Failure) {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        noted.get_or_insert(failure);
    }

    fn take(&self) -> Option<Failure> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Network {
    /// Makes HTTP known to libgit2.
    ///
    /// # Errors
    /// Those of libgit2's registration.
    pub(crate) fn prepare(credentials: Option<Credentials>, insecure_skip_tls: bool) -> Outcome<Self> {
        let client = Arc::new(Client::new(credentials, insecure_skip_tls));
        let problem = Arc::new(Noted::default());
        for scheme in ["http", "https"] {
            let (client, problem) = (Arc::clone(&client), Arc::clone(&problem));
            register_transport(scheme, move |remote| {
                let subtransport = Subtransport::new(Arc::clone(&client), Arc::clone(&problem));
                // HTTP is a protocol of separate requests.
                Transport::smart(remote, true, subtransport)
            })?;
        }
        Ok(Self { client, problem })
    }

    /// Reads where a remote is. Credentials in it are used as if they had been given apart, unless others were, and are
    /// not part of the result.
    ///
    /// # Errors
    /// [`Problem::UnsupportedUrl`]; [`Problem::RepoNotFound`] for a path where nothing is.
    pub(crate) fn address(&self, text: &str) -> Outcome<Address> {
        let (address, credentials) = Address::parse(text, |path| std::path::Path::new(path).exists())?;
        if let Some(credentials) = credentials {
            self.client.use_credentials(credentials);
        }
        // A configuration outlives the directory that this process works in.
        let address = address.made_absolute()?;
        if !address.as_str().contains("://") && !std::path::Path::new(address.as_str()).exists() {
            let sentence = format!("there is no repository at {}", address.as_str());
            return Err(Failure::new(Problem::RepoNotFound, sentence));
        }
        Ok(address)
    }

    /// What an error of libgit2 means, with the transport's own failure first.
    pub(crate) fn explain(&self, error: git2::Error) -> Failure {
        match self.problem.take() {
            _ if cancel::is_asked() => Failure::new(Problem::Cancelled, "cancelled"),
            Some(failure) => failure,
            None => of_remote(error),
        }
    }

    /// The references of a remote and the branch that its HEAD names.
    ///
    /// # Errors
    /// Why it cannot be asked.
    pub(crate) fn advertised(&self, remote: &mut git2::Remote<'_>) -> Outcome<Advertised> {
        match self.advertised_by_libgit2(remote) {
            Err(_) if self.client.is_dumb() => dumb::advertised(&self.client, &url_of(remote)?),
            other => other,
        }
    }

    fn advertised_by_libgit2(&self, remote: &mut git2::Remote<'_>) -> Outcome<Advertised> {
        let connection = remote.connect_auth(git2::Direction::Fetch, None, None);
        let connection = connection.map_err(|error| self.explain(error))?;
        let heads = connection.list().map_err(|error| self.explain(error))?;
        let references = heads.iter().map(|head| (head.name().to_owned(), head.oid())).collect();
        let head = connection.default_branch().ok();
        let head = head.and_then(|name| name.as_str().ok().map(str::to_owned));
        Ok(Advertised { references, head })
    }

    /// Fetches `refspecs` and what they lead to; `depth` commits of it, if that is given.
    ///
    /// # Errors
    /// Why it was not fetched.
    pub(crate) fn fetch(
        &self,
        repo: &git2::Repository,
        remote: &mut git2::Remote<'_>,
        refspecs: &[String],
        depth: Option<u32>,
    ) -> Outcome<()> {
        let url = url_of(remote)?;
        if self.client.is_dumb() {
            return dumb::fetch(&self.client, repo, &url, refspecs);
        }
        let mut callbacks = git2::RemoteCallbacks::new();
        callbacks.transfer_progress(|_| !cancel::is_asked());
        let mut options = git2::FetchOptions::new();
        options.remote_callbacks(callbacks);
        // A path is copied whole, as by git itself; libgit2 would refuse.
        if let Some(depth) = depth.filter(|_| is_http(&url)) {
            options.depth(i32::try_from(depth).unwrap_or(i32::MAX));
        }
        match remote.fetch(refspecs, Some(&mut options), None).map_err(|error| self.explain(error)) {
            Err(_) if self.client.is_dumb() => dumb::fetch(&self.client, repo, &url, refspecs),
            other => other,
        }
    }
}

fn url_of(remote: &git2::Remote<'_>) -> Outcome<String> {
    Ok(remote.url()?.to_owned())
}

/// What a remote has.
#[derive(Debug)]
pub(crate) struct Advertised {
    /// Full names and what they point at.
    pub(crate) references: Vec<(String, git2::Oid)>,
    /// Full name of the default branch.
    pub(crate) head: Option<String>,
}

impl Advertised {
    /// What the reference points at.
    pub(crate) fn find(&self, name: &str) -> Option<git2::Oid> {
        self.references.iter().find(|(known, _)| known == name).map(|(_, oid)| *oid)
    }
}

/// What an error means when it is about a remote that is a path or `git://`.
fn of_remote(error: git2::Error) -> Failure {
    let failure = Failure::from(error);
    match failure.problem {
        Problem::Other | Problem::TransportFailed if failure.detail.contains("unsupported URL") => {
            Failure { problem: Problem::UnsupportedUrl, ..failure }
        }
        Problem::Other if failure.detail.contains("failed to resolve path") => {
            Failure { problem: Problem::RepoNotFound, ..failure }
        }
        _ => failure,
    }
}
