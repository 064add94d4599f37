//! The part of libgit2's smart protocol that is HTTP.
//!
//! libgit2 asks for one stream an exchange, writes all of its request, then reads. A request is collected until the first
//! read, in memory while it is small and else in an unlinked file: a push may be as large as the repository.

use std::io::{self, Read, Seek as _, Write};
use std::sync::{Arc, Mutex, PoisonError};

use git2::transport::{Service, SmartSubtransport, SmartSubtransportStream};
use git2::{Error, ErrorClass, ErrorCode};
use lazaret_protocol::git::Problem;
use tempfile::SpooledTempFile;

use super::Noted;
use super::http::{Body, Client, unlimited};
use crate::cancel;
use crate::failure::{Failure, Outcome};

/// Bytes of a request that are kept in memory.
const IN_MEMORY: usize = 1024 * 1024;

/// One connection, in libgit2's words.
pub(super) struct Subtransport {
    client: Arc<Client>,
    problem: Arc<Noted>,
    /// The URL before `/info/refs`, as the redirects have left it.
    base: Arc<Mutex<Option<String>>>,
}

impl Subtransport {
    pub(super) fn new(client: Arc<Client>, problem: Arc<Noted>) -> Self {
        Self { client, problem, base: Arc::default() }
    }

    fn references(&self, url: &str, service: &str) -> Outcome<Body> {
        let asked = format!("{}/info/refs?service={service}", url.trim_end_matches('/'));
        let none = || {
            let sentence = format!("{url}: the remote has no such repository");
            Failure::new(Problem::RepoNotFound, sentence)
        };
        let (found_at, response) = self.client.get(&asked)?.ok_or_else(none)?;
        let expected = format!("application/x-{service}-advertisement");
        if response.body().mime_type() != Some(expected.as_str()) {
            self.client.note_dumb();
            return Err(Failure::new(
                Problem::RemoteRejected,
                format!("{url}: there is no {service} service"),
            ));
        }
        let base = found_at.split("/info/refs").next().unwrap_or_default().to_owned();
        *self.base.lock().unwrap_or_else(PoisonError::into_inner) = Some(base);
        Ok(unlimited(response))
    }
}

impl SmartSubtransport for Subtransport {
    fn action(&self, url: &str, action: Service) -> Result<Box<dyn SmartSubtransportStream>, Error> {
        let service = match action {
            Service::UploadPackLs | Service::UploadPack => "git-upload-pack",
            Service::ReceivePackLs | Service::ReceivePack => "git-receive-pack",
        };
        let state = match action {
            Service::UploadPackLs | Service::ReceivePackLs => match self.references(url, service) {
                Ok(body) => State::Answer(body),
                Err(failure) => {
                    let error = Error::new(ErrorCode::GenericError, ErrorClass::Http, &failure.detail);
                    self.problem.note(failure);
                    return Err(error);
                }
            },
            Service::UploadPack | Service::ReceivePack => {
                let base = self.base.lock().unwrap_or_else(PoisonError::into_inner).clone();
                let base = base.unwrap_or_else(|| url.trim_end_matches('/').to_owned());
                State::Request { url: format!("{base}/{service}"), body: SpooledTempFile::new(IN_MEMORY) }
            }
        };
        let (client, problem) = (Arc::clone(&self.client), Arc::clone(&self.problem));
        // Threads are not used; the body of an answer is `Send` all the same.
        Ok(Box::new(Stream { client, problem, service, state }))
    }

    fn close(&self) -> Result<(), Error> {
        Ok(())
    }
}

/// One exchange.
struct Stream {
    client: Arc<Client>,
    problem: Arc<Noted>,
    service: &'static str,
    state: State,
}

enum State {
    /// Being written.
    Request { url: String, body: SpooledTempFile },
    /// Being read.
    Answer(Body),
    /// It went wrong.
    Broken,
}

impl Stream {
    fn note(&mut self, failure: Failure) -> io::Error {
        let error = io::Error::other(failure.detail.clone());
        self.problem.note(failure);
        self.state = State::Broken;
        error
    }

    fn send(&mut self) -> io::Result<()> {
        let State::Request { url, mut body } = std::mem::replace(&mut self.state, State::Broken) else {
            return Ok(());
        };
        let bytes = body.stream_position()?;
        body.rewind()?;
        match self.client.post(&url, self.service, body, bytes) {
            Ok(answer) => {
                self.state = State::Answer(answer);
                Ok(())
            }
            Err(failure) => Err(self.note(failure)),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if matches!(self.state, State::Request { .. }) {
            self.send()?;
        }
        cancel::check().map_err(|failure| self.note(failure))?;
        let State::Answer(body) = &mut self.state else { return Err(io::ErrorKind::BrokenPipe.into()) };
        body.read(buffer).map_err(|error| {
            let sentence = format!("the connection to the remote broke: {error}");
            self.note(Failure::new(Problem::TransportFailed, sentence))
        })
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        cancel::check().map_err(|failure| self.note(failure))?;
        let State::Request { body, .. } = &mut self.state else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        body.write(bytes).map_err(|error| self.note(error.into()))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
