//! Language servers of the toolbox: what is refused, and what becomes of a server's answers.

use serde_json::{Value, json};

use crate::support::{Answer, Server, eventually};
use crate::{core_id, failure, sandbox, toolbox};

#[track_caller]
fn done(answer: &Answer) {
    assert_eq!((answer.status.as_u16(), &answer.body[..]), (200, &b""[..]));
}

/// A sandbox whose `typescript` has a server and whose `python` has none.
struct World {
    server: Server,
    id: String,
}

impl World {
    async fn new() -> Self {
        let server = Server::start().await;
        let id = sandbox(&server).await;
        Self { server, id }
    }

    async fn post(&self, path: &str, mut body: Value) -> Answer {
        for (key, value) in [("languageId", "typescript"), ("pathToProject", "/p")] {
            if body.get(key).is_none() {
                body[key] = value.into();
            }
        }
        self.server.post(&toolbox(&self.id, path)).json(&body).send().await
    }

    async fn symbols(&self, uri: &str) -> Answer {
        let query = format!("/lsp/document-symbols?languageId=typescript&pathToProject=%2Fp&uri={uri}");
        self.server.get(&toolbox(&self.id, &query)).send().await
    }

    async fn name(&self, uri: &str) -> Value {
        self.symbols(uri).await.expect(200)[0]["name"].clone()
    }
}

#[tokio::test]
async fn what_cannot_be_is_told_by_name_and_an_image_without_a_server_by_the_programs_looked_for() {
    let world = World::new().await;
    let lines = [
        failure(&world.post("/lsp/start", json!({"languageId": "python"})).await),
        failure(&world.post("/lsp/start", json!({"languageId": "cobol"})).await),
        failure(&world.post("/lsp/start", json!({"pathToProject": ""})).await),
        failure(&world.server.post(&toolbox(&world.id, "/lsp/start")).json(&json!({})).send().await),
        failure(&world.post("/lsp/did-open", json!({"uri": "file:///p/a.ts"})).await),
        failure(&world.post("/lsp/completions", json!({"uri": "file:///p/a.ts"})).await),
        failure(&world.symbols("file:///p/a.ts").await),
        failure(&world.server.get(&toolbox(&world.id, "/lsp/document-symbols")).send().await),
    ];
    insta::assert_snapshot!(lines.join("\n"));
}

#[tokio::test]
async fn a_server_is_started_once_told_of_files_asked_and_stopped() {
    let world = World::new().await;
    let guest = &world.server.guest;
    let id = core_id(&world.id);
    for _ in 0..2 {
        done(&world.post("/lsp/start", json!({})).await);
        done(&world.post("/lsp/start", json!({"pathToProject": "/p/"})).await);
    }
    assert_eq!(guest.running(), 1);
    let uri = "file:///p/a b.ts";
    let asked = "file%3A%2F%2F%2Fp%2Fa%20b.ts";
    let open = async || world.post("/lsp/did-open", json!({"uri": uri})).await;
    assert_eq!(
        failure(&open().await),
        "404 FILE_NOT_FOUND POST /lsp/did-open: /p/a b.ts: no such file or directory"
    );
    guest.plant(id, "/p/a b.ts", "first");
    done(&open().await);
    assert_eq!(world.name(asked).await, "first");
    guest.plant(id, "/p/a b.ts", "second");
    done(&open().await);
    // The same file, as a client writes it that keeps to relative paths.
    assert_eq!(world.name("file%3A%2F%2Fa%20b.ts").await, "second");
    let place = json!({"line": 3, "character": 4});
    let context = json!({"triggerKind": 2, "triggerCharacter": "."});
    let asked_for = json!({"uri": uri, "position": place, "context": context});
    let completions = world.post("/lsp/completions", asked_for).await.expect(200);
    let markup = json!({"kind": "plaintext", "value": "of a place"});
    let first = json!({"label": place.to_string(), "kind": 6, "documentation": markup});
    let items = json!([first, {"label": context.to_string()}]);
    assert_eq!(completions, json!({"isIncomplete": false, "items": items}));
    for _ in 0..2 {
        done(&world.post("/lsp/did-close", json!({"uri": uri})).await);
    }
    assert_eq!(world.symbols(asked).await.expect(200), json!([]));
    let query = "/lsp/workspacesymbols?languageId=typescript&pathToProject=/p&query=x";
    let refused = failure(&world.server.get(&toolbox(&world.id, query)).send().await);
    let want = "400 BAD_REQUEST GET /lsp/workspacesymbols: the language server typescript-language-server, asked for \
        workspace/symbol ('workspace/symbol?'): answers with an error";
    assert_eq!(refused, want);
    for _ in 0..2 {
        done(&world.post("/lsp/stop", json!({})).await);
    }
    eventually("the server has ended", || guest.running() == 0).await;
    assert!(failure(&open().await).starts_with("400 LSP_SERVER_NOT_INITIALIZED "));
}

#[tokio::test]
async fn a_sandbox_has_so_many_servers_and_its_end_is_theirs() {
    let world = World::new().await;
    let start = async |at: usize| world.post("/lsp/start", json!({"pathToProject": format!("/p{at}")})).await;
    let most = lazaret_core::limits::LANGUAGE_SERVERS_MAX;
    for at in 0..most {
        done(&start(at).await);
    }
    let want = "429 TOO_MANY_REQUESTS POST /lsp/start: limit reached: language servers of this sandbox";
    assert_eq!(failure(&start(most).await), want);
    done(&start(0).await);
    let lifecycle = format!("/lazaret/v1/sandboxes/{}", world.id);
    world.server.post(&format!("{lifecycle}/stop")).send().await.expect(200);
    world.server.post(&format!("{lifecycle}/start")).send().await.expect(200);
    let refused = world.post("/lsp/did-close", json!({"uri": "a.ts", "pathToProject": "/p0"})).await;
    assert!(failure(&refused).starts_with("400 LSP_SERVER_NOT_INITIALIZED "));
    done(&start(most).await);
}
