//! Language servers: programs of the image that know a language, started and spoken with on behalf of callers.
//!
//! ```text
//!   LanguageServers ──▶ Slot: one Server a language and project ──▶ Connection ══ JSON-RPC ══▶ pylsp, …
//!                                     └── documents                      │
//!                                                                        └── answers, as the JSON that they are
//! ```
//!
//! A server is a program of the tenant's like any other, run by the guest as the sandbox's user; what it says is judged in
//! `connection`. It ends with the sandbox's run, with this server, and when it is stopped. It does not keep its sandbox from
//! being idle.
//!
//! Not here: what answers mean, which is between the program and whoever asks; and installing programs.

mod connection;
mod documents;
mod frame;
mod message;
mod programs;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::{Value, json};

use self::connection::Connection;
use self::documents::{Documents, uri};
use super::context::Context;
use super::execs::{check, complete};
use super::files::default_scope;
use super::sandboxes::use_sandbox;
use super::table::Entry;
use crate::{
    Caller, CompletionTrigger, Error, ExecSpec, FilePath, Kind, LanguageProject, Limit, ReadRange, Result,
    SandboxId, Scope, Stdin, TextPosition, collect, limits,
};

/// Language servers in sandboxes of the caller's account.
///
/// Every method fails with [`Error::NotFound`] for a sandbox that is not this account's and [`Error::Refused`] for one that
/// does not run. All but [`LanguageServers::start`] and [`LanguageServers::stop`] fail with [`Error::NotFound`] for a
/// project whose server was not started, with [`Error::Upstream`] for one that complains, is silent for
/// [`limits::LANGUAGE_PATIENCE`], breaks the protocol or has ended, and with [`Error::LimitReached`] if
/// [`limits::LANGUAGE_REQUESTS_MAX`] requests wait for it.
#[derive(Clone)]
pub struct LanguageServers {
    pub(super) context: Arc<Context>,
}

/// The language servers of one sandbox.
#[derive(Debug, Default)]
pub(super) struct LanguageSlot {
    /// Held while a server starts, so that one is started and not several.
    starting: tokio::sync::Mutex<()>,
    servers: Mutex<HashMap<LanguageProject, Arc<Server>>>,
}

/// A server, which may have ended: then it stays to say why, until it is started again or stopped.
#[derive(Debug)]
struct Server {
    connection: Arc<Connection>,
    /// Held while the server is told of one, so that it hears of changes in their order.
    documents: tokio::sync::Mutex<Documents>,
}

impl LanguageServers {
    /// Starts the server of a project, unless it runs.
    ///
    /// # Errors
    /// [`Error::Exec`] if the image has no program for the language, or the directory is none; [`Error::Upstream`] if the
    /// program does not come to answer within [`limits::LANGUAGE_START_PATIENCE`]; [`Error::LimitReached`] beyond
    /// [`limits::LANGUAGE_SERVERS_MAX`].
    pub async fn start(&self, caller: &Caller, id: SandboxId, project: LanguageProject) -> Result<()> {
        caller.need(Scope::SandboxesWrite)?;
        let (entry, guard) = use_sandbox(&self.context, caller, id).await?;
        guard.counted(self.start_in(&entry, project).await).await
    }

    /// Stops the server of a project, if there is one.
    ///
    /// # Errors
    /// Those of every method.
    pub async fn stop(&self, caller: &Caller, id: SandboxId, project: &LanguageProject) -> Result<()> {
        caller.need(Scope::SandboxesWrite)?;
        let (entry, guard) = use_sandbox(&self.context, caller, id).await?;
        let server = entry.language_servers.servers().remove(project);
        if let Some(server) = server {
            Arc::clone(&server.connection).close().await;
        }
        guard.counted(Ok(())).await
    }

    /// Tells the server what is in a file now; questions about it are answered by that until it is closed.
    ///
    /// # Errors
    /// Those of every method; [`Error::File`] if the file cannot be read; [`Error::Invalid`] if it is longer than
    /// [`limits::LANGUAGE_DOCUMENT_MAX_BYTES`] or not UTF-8; [`Error::LimitReached`] beyond
    /// [`limits::LANGUAGE_DOCUMENTS_MAX`].
    pub async fn open(
        &self,
        caller: &Caller,
        id: SandboxId,
        project: &LanguageProject,
        path: &FilePath,
    ) -> Result<()> {
        caller.need(Scope::SandboxesWrite)?;
        let (entry, guard) = use_sandbox(&self.context, caller, id).await?;
        let server = entry.language_servers.find(project)?;
        let opened = async {
            let mut documents = server.documents.lock().await;
            let text = self.read(&entry, path).await?;
            let (method, params) = documents.opened(path, project.language, &text)?;
            let told = server.connection.tell(method, &params, limits::LANGUAGE_PATIENCE).await;
            if told.is_err() {
                documents.closed(path);
            }
            told
        };
        guard.counted(opened.await).await
    }

    /// Tells the server that nobody looks at a file any more; a repeat is no failure.
    ///
    /// # Errors
    /// Those of every method.
    pub async fn close(
        &self,
        caller: &Caller,
        id: SandboxId,
        project: &LanguageProject,
        path: &FilePath,
    ) -> Result<()> {
        caller.need(Scope::SandboxesWrite)?;
        let (entry, guard) = use_sandbox(&self.context, caller, id).await?;
        let server = entry.language_servers.find(project)?;
        let mut documents = server.documents.lock().await;
        let closed = match documents.closed(path) {
            Some((method, params)) => {
                server.connection.tell(method, &params, limits::LANGUAGE_PATIENCE).await
            }
            None => Ok(()),
        };
        guard.counted(closed).await
    }

    /// What could be written at a place of a file: `textDocument/completion`'s result, JSON of the server's own.
    ///
    /// # Errors
    /// Those of every method.
    pub async fn complete(
        &self,
        caller: &Caller,
        id: SandboxId,
        project: &LanguageProject,
        path: &FilePath,
        position: TextPosition,
        trigger: Option<CompletionTrigger>,
    ) -> Result<String> {
        let TextPosition { line, character } = position;
        let mut params = json!({
            "textDocument": {"uri": uri(path)},
            "position": {"line": line, "character": character},
        });
        if let Some(CompletionTrigger { kind, character }) = trigger {
            let mut context = json!({"triggerKind": kind});
            if let Some(character) = character {
                context["triggerCharacter"] = character.into();
            }
            params["context"] = context;
        }
        self.ask(caller, id, project, "textDocument/completion", params).await
    }

    /// What a file defines: `textDocument/documentSymbol`'s result, JSON of the server's own.
    ///
    /// # Errors
    /// Those of every method.
    pub async fn document_symbols(
        &self,
        caller: &Caller,
        id: SandboxId,
        project: &LanguageProject,
        path: &FilePath,
    ) -> Result<String> {
        let params = json!({"textDocument": {"uri": uri(path)}});
        self.ask(caller, id, project, "textDocument/documentSymbol", params).await
    }

    /// What the project defines by such a name: `workspace/symbol`'s result, JSON of the server's own.
    ///
    /// # Errors
    /// Those of every method; many servers complain, since they do not know the question.
    pub async fn project_symbols(
        &self,
        caller: &Caller,
        id: SandboxId,
        project: &LanguageProject,
        query: &str,
    ) -> Result<String> {
        self.ask(caller, id, project, "workspace/symbol", json!({"query": query})).await
    }

    async fn ask(
        &self,
        caller: &Caller,
        id: SandboxId,
        project: &LanguageProject,
        method: &'static str,
        params: Value,
    ) -> Result<String> {
        caller.need(Scope::SandboxesRead)?;
        let (entry, guard) = use_sandbox(&self.context, caller, id).await?;
        let server = entry.language_servers.find(project)?;
        guard.counted(server.connection.ask(method, &params, limits::LANGUAGE_PATIENCE).await).await
    }

    async fn start_in(&self, entry: &Entry, project: LanguageProject) -> Result<()> {
        let slot = &entry.language_servers;
        let _one_at_a_time = slot.starting.lock().await;
        {
            let mut servers = slot.servers();
            if servers.get(&project).is_some_and(|server| !server.connection.is_over()) {
                return Ok(());
            }
            servers.retain(|_, server| !server.connection.is_over());
            if servers.len() >= limits::LANGUAGE_SERVERS_MAX {
                return Err(Error::LimitReached(Limit::LanguageServers));
            }
        }
        let directory = project.directory.to_text();
        let spec = ExecSpec { cwd: Some(directory), stdin: Stdin::Stream, ..ExecSpec::default() };
        let spec = complete(entry, spec);
        check(&ExecSpec { command: vec!["a program".to_owned()], ..spec.clone() })?;
        let guest = &*self.context.ports.guest;
        let (program, session) = programs::start(guest, entry.id, project.language, spec).await?;
        let connection = Connection::over(program, session);
        introduce(&connection, &project.directory).await?;
        let documents = tokio::sync::Mutex::default();
        slot.servers().insert(project, Arc::new(Server { connection: Arc::new(connection), documents }));
        Ok(())
    }

    async fn read(&self, entry: &Entry, path: &FilePath) -> Result<String> {
        const MAX: u64 = limits::LANGUAGE_DOCUMENT_MAX_BYTES;
        let scope = default_scope(&entry.record(), &entry.image_config);
        let range = ReadRange { offset: 0, length: Some(MAX + 1) };
        let (_, body) = self.context.ports.guest.read(entry.id, &scope, path, range).await?;
        let too_long = || Error::invalid("path", format!("is a file of more than {MAX} bytes"));
        let content = match collect(body, MAX, Limit::AnswerBytes).await {
            Err(Error::LimitReached(Limit::AnswerBytes)) => return Err(too_long()),
            content => content?,
        };
        String::from_utf8(content.into()).map_err(|_| Error::invalid("path", "is a file that is not UTF-8"))
    }
}

/// The first words between client and server.
async fn introduce(connection: &Connection, directory: &FilePath) -> Result<()> {
    let root = uri(directory);
    let name = String::from_utf8_lossy(directory.file_name()).into_owned();
    let hello = json!({
        // A server looks whether its client lives by this; ours is in no namespace of its own.
        "processId": null,
        "clientInfo": {"name": "lazaret"},
        "rootPath": directory.to_text(),
        "rootUri": root,
        "workspaceFolders": [{"uri": root, "name": name}],
        "capabilities": {
            "textDocument": {
                "synchronization": {},
                "completion": {"contextSupport": true, "completionItem": {"snippetSupport": false}},
                "documentSymbol": {"hierarchicalDocumentSymbolSupport": false},
            },
            "workspace": {"symbol": {}, "workspaceFolders": true},
        },
    });
    connection.ask("initialize", &hello, limits::LANGUAGE_START_PATIENCE).await?;
    connection.tell("initialized", &json!({}), limits::LANGUAGE_PATIENCE).await
}

impl LanguageSlot {
    /// The sandbox's run has ended, and with it every server.
    pub(super) fn forget(&self) {
        self.servers().clear();
    }

    fn find(&self, project: &LanguageProject) -> Result<Arc<Server>> {
        self.servers().get(project).cloned().ok_or_else(|| {
            let LanguageProject { language, directory } = project;
            Error::not_found(Kind::LanguageServer, format!("for {language} in {}", directory.to_text()))
        })
    }

    fn servers(&self) -> MutexGuard<'_, HashMap<LanguageProject, Arc<Server>>> {
        self.servers.lock().expect("no panic under this lock")
    }
}
