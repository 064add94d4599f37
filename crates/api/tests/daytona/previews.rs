//! Ports at host names of their own: who is let in, what reaches the sandbox, and what a token opens besides (nothing).

use std::time::Duration;

use axum::extract::ws::{Message, WebSocketUpgrade};
use axum::http::{HeaderMap, Method, Uri};
use axum::routing::{any, get};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite;

use crate::support::{Answer, Call, Server};
use crate::{sandbox, toolbox};

/// What a tenant might run: it tells what it was asked, with every header, and sets a cookie.
async fn inside() -> u16 {
    let tell = |method: Method, uri: Uri, headers: HeaderMap| async move {
        let mut lines = vec![format!("{method} {uri}")];
        lines.extend(headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())));
        ([("set-cookie", "tenant=1; Path=/")], lines.join("\n"))
    };
    let talk = |upgrade: WebSocketUpgrade| async {
        upgrade.on_upgrade(|mut socket| async move {
            while let Some(Ok(Message::Text(text))) = socket.recv().await {
                socket.send(Message::Text(format!("{text}, too").into())).await.unwrap();
            }
        })
    };
    let router = axum::Router::new().route("/talk", get(talk)).fallback(any(tell));
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    port
}

struct World {
    server: Server,
    id: String,
    port: u16,
}

impl World {
    async fn new() -> Self {
        let server = Server::start().await;
        let id = sandbox(&server).await;
        Self { server, id, port: inside().await }
    }

    fn api(&self, rest: &str) -> String {
        format!("/api/sandbox/{}{rest}", self.id)
    }

    async fn link(&self) -> Value {
        let path = self.api(&format!("/ports/{}/preview-url", self.port));
        self.server.get(&path).header("host", "box.test:3000").send().await.expect(200)
    }

    async fn token(&self) -> String {
        self.link().await["token"].as_str().expect("a token").to_owned()
    }

    async fn signed(&self, seconds: u32) -> (String, String) {
        let path = self.api(&format!("/ports/{}/signed-preview-url?expiresInSeconds={seconds}", self.port));
        let made = self.server.get(&path).header("host", "box.test:3000").send().await.expect(200);
        let text = |key: &str| made[key].as_str().expect("a text").to_owned();
        (text("token"), text("url"))
    }

    /// A request without any key to the preview's host.
    fn visit(&self, path: &str) -> Call {
        self.visit_host(&self.host(), path)
    }

    fn visit_host(&self, host: &str, path: &str) -> Call {
        self.server.get(path).no_key().header("host", host)
    }

    fn host(&self) -> String {
        format!("{}-{}.localhost:3000", self.port, self.id)
    }
}

fn told(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{:?}", answer.body);
    String::from_utf8(answer.body.to_vec()).unwrap()
}

fn refused(answer: &Answer) {
    assert_eq!(answer.status, 401, "{:?}", answer.body);
    assert_eq!(answer.json()["message"], "Invalid credentials");
}

#[tokio::test]
async fn a_preview_opens_by_key_token_or_pass_and_none_of_them_reaches_the_sandbox() {
    let world = World::new().await;
    let link = world.link().await;
    assert_eq!(link["url"], format!("http://{}", world.host()));
    assert_eq!(link["sandboxId"], world.id);
    let token = link["token"].as_str().unwrap();
    refused(&world.visit("/").send().await);
    let by_key = world.visit("/a?b=1").key("My API Key").send().await;
    let by_header = world.visit("/a?b=1").header("x-daytona-preview-token", token).send().await;
    let query = format!("/a?DAYTONA_SANDBOX_AUTH_KEY={token}&b=1");
    let by_query = world.visit(&query).send().await;
    let cookie = by_query.headers.get_all("set-cookie").iter().map(|value| value.to_str().unwrap());
    let cookie = cookie.into_iter().find(|text| text.starts_with("daytona-sandbox-auth-")).expect("a pass");
    assert!(cookie.ends_with("; Max-Age=3600; Path=/; HttpOnly; SameSite=Lax"), "{cookie}");
    let pass = cookie.split(';').next().unwrap();
    let by_pass = world.visit("/a?b=1").header("cookie", &format!("mine=1; {pass}")).send().await;
    for answer in [&by_key, &by_header, &by_query, &by_pass] {
        let told = told(answer);
        assert!(told.starts_with("GET /a?b=1\n"), "{told}");
        assert!(!told.contains(token) && !told.contains("My API Key"), "{told}");
        assert!(!told.contains("daytona-") && !told.contains("authorization"), "{told}");
        assert_eq!(answer.header("set-cookie"), "tenant=1; Path=/", "a host of its own has its own cookies");
    }
    assert!(told(&by_pass).contains("cookie: mine=1\n") || told(&by_pass).ends_with("cookie: mine=1"));
}

#[tokio::test]
async fn a_person_who_comes_with_the_token_in_the_address_is_sent_on_without_it() {
    let world = World::new().await;
    let token = world.token().await;
    let path = format!("/page?DAYTONA_SANDBOX_AUTH_KEY={token}&x=1");
    let answer = world.visit(&path).header("accept", "text/html,*/*").send().await;
    assert_eq!((answer.status.as_u16(), answer.header("location")), (303, "/page?x=1"));
    assert!(answer.header("set-cookie").starts_with("daytona-sandbox-auth-"));
    let elsewhere = format!("//evil.example/?DAYTONA_SANDBOX_AUTH_KEY={token}");
    let answer = world.visit(&elsewhere).header("accept", "text/html").send().await;
    assert_eq!((answer.status.as_u16(), answer.header("location")), (200, ""));
}

#[tokio::test]
async fn a_tenants_own_credentials_pass_and_a_key_of_this_server_never_does() {
    let world = World::new().await;
    let token = world.token().await;
    let with_token = || world.visit("/").header("x-daytona-preview-token", &token);
    let own = with_token().header("authorization", "Bearer the tenant's").header("x-api-key", "theirs");
    let own = told(&own.send().await);
    assert!(own.contains("authorization: Bearer the tenant's") && own.contains("x-api-key: theirs"), "{own}");
    let stranger = world.server.other_account("stranger").await;
    for (header, value) in [
        ("authorization", format!("Bearer {stranger}")),
        ("authorization", "Bearer lzr_0123456789012345678901234567890123456789".to_owned()),
        ("x-api-key", "My API Key".to_owned()),
        ("api-key", stranger.clone()),
    ] {
        let told = told(&with_token().header(header, &value).send().await);
        assert!(!told.contains(&format!("{header}:")), "{header} {value}: {told}");
    }
}

#[tokio::test]
async fn a_preview_token_opens_its_sandboxs_ports_and_nothing_else() {
    let world = World::new().await;
    let token = world.token().await;
    let other = sandbox(&world.server).await;
    let at = |host: String| world.visit_host(&host, "/").header("x-daytona-preview-token", &token);
    told(&at(world.host()).send().await);
    told(&at(format!("{}-{}.localhost", inside().await, world.id)).send().await);
    refused(&at(format!("{}-{other}.localhost", world.port)).send().await);
    let (signed, _) = world.signed(60).await;
    for path in [
        world.api(""),
        toolbox(&world.id, "/version"),
        toolbox(&world.id, "/files/download?path=/etc/hostname"),
    ] {
        for (header, value) in [
            ("x-daytona-preview-token", token.clone()),
            ("authorization", format!("Bearer {token}")),
            ("authorization", format!("Bearer {signed}")),
        ] {
            let answer = world.server.get(&path).no_key().header(header, &value).send().await;
            assert_eq!(answer.status, 401, "{path} by {header}");
        }
    }
    // The host of a preview has nothing of the APIs.
    let told = told(&at(world.host()).send().await);
    assert!(told.starts_with("GET /\n"));
    let path = world.api("");
    let answer = world.visit(&path).header("x-daytona-preview-token", &token).send().await;
    assert!(String::from_utf8_lossy(&answer.body).starts_with(&format!("GET {path}\n")));
}

#[tokio::test]
async fn forged_expired_and_foreign_tokens_are_refused() {
    let world = World::new().await;
    let token = world.token().await;
    let stranger = world.server.other_account("stranger").await;
    refused(&world.visit("/").key(&stranger).send().await);
    let mut forged = token.clone();
    forged.replace_range(..1, if token.starts_with('0') { "1" } else { "0" });
    for wrong in [forged.as_str(), "", "x", &token[1..], &format!("{token}0")] {
        refused(&world.visit("/").header("x-daytona-preview-token", wrong).send().await);
        refused(&world.visit(&format!("/?DAYTONA_SANDBOX_AUTH_KEY={wrong}")).send().await);
    }
    let missing = format!("3000-{}.localhost", "68a00000-0000-8000-8000-0000000000ff");
    refused(&world.visit_host(&missing, "/").header("x-daytona-preview-token", &token).send().await);
    let nothing = world.visit_host("3000-nothing.localhost", "/").send().await;
    assert_eq!(nothing.status, 404);
    // A pass ends after an hour.
    let query = world.visit(&format!("/?DAYTONA_SANDBOX_AUTH_KEY={token}")).send().await;
    let cookie = query.headers.get_all("set-cookie").iter().find_map(|value| {
        value
            .to_str()
            .unwrap()
            .split(';')
            .next()
            .filter(|pair| pair.starts_with("daytona-"))
            .map(str::to_owned)
    });
    let cookie = cookie.expect("a pass");
    told(&world.visit("/").header("cookie", &cookie).send().await);
    world.server.clock.advance(Duration::from_secs(3600));
    refused(&world.visit("/").header("cookie", &cookie).send().await);
    told(&world.visit("/").header("x-daytona-preview-token", &token).send().await);
}

#[tokio::test]
async fn a_restart_gives_a_new_token_and_ends_the_old_one() {
    let world = World::new().await;
    let (token, (_, url)) = (world.token().await, world.signed(3600).await);
    for verb in ["stop", "start"] {
        let path = format!("/lazaret/v1/sandboxes/{}/{verb}", world.id);
        world.server.post(&path).send().await.expect(200);
    }
    refused(&world.visit("/").header("x-daytona-preview-token", &token).send().await);
    let new = world.token().await;
    assert_ne!(new, token);
    told(&world.visit("/").header("x-daytona-preview-token", &new).send().await);
    let host = url.strip_prefix("http://").unwrap();
    told(&world.visit_host(host, "/").send().await);
}

#[tokio::test]
async fn a_signed_preview_opens_its_port_until_its_end_or_its_withdrawal_and_is_not_told_inside() {
    let world = World::new().await;
    let (token, url) = world.signed(60).await;
    let host = url.strip_prefix("http://").expect("plain HTTP").to_owned();
    let answer = world.visit_host(&host, "/x").header("origin", &url).header("referer", &format!("{url}/y"));
    let answer = told(&answer.send().await);
    assert!(!answer.contains(&token), "{answer}");
    assert!(answer.contains(&format!("x-forwarded-host: {}", world.host())), "{answer}");
    assert!(answer.contains(&format!("referer: http://{}/y", world.host())), "{answer}");
    let other_port = host.replacen(&world.port.to_string(), &inside().await.to_string(), 1);
    refused(&world.visit_host(&other_port, "/").send().await);
    let upper = world.visit_host(&host.to_uppercase().replace("LOCALHOST", "localhost"), "/").send().await;
    told(&upper);

    let expire = |token: &str| {
        let path = world.api(&format!("/ports/{}/signed-preview-url/{token}/expire", world.port));
        world.server.post(&path)
    };
    let (second, second_url) = world.signed(3600).await;
    expire(&second).send().await.expect(200);
    expire(&second).send().await.expect(200);
    refused(&world.visit_host(second_url.strip_prefix("http://").unwrap(), "/").send().await);
    told(&world.visit_host(&host, "/").send().await);
    assert_eq!(expire("nonsense").send().await.status, 400);
    let other = sandbox(&world.server).await;
    let path = format!("/api/sandbox/{other}/ports/{}/signed-preview-url/{token}/expire", world.port);
    assert_eq!(world.server.post(&path).send().await.status, 400);
    world.server.clock.advance(Duration::from_secs(60));
    refused(&world.visit_host(&host, "/").send().await);
}

#[tokio::test]
async fn a_public_sandbox_needs_no_token_but_for_the_ports_of_agents() {
    let world = World::new().await;
    refused(&world.visit("/").send().await);
    world.server.post(&world.api("/public/true")).send().await.expect(200);
    told(&world.visit("/").send().await);
    for port in [2280, 22222, 33333] {
        refused(&world.visit_host(&format!("{port}-{}.localhost", world.id), "/").send().await);
    }
    world.server.post(&world.api("/public/false")).send().await.expect(200);
    refused(&world.visit("/").send().await);
}

#[tokio::test]
async fn what_cannot_be_handed_out_is_refused_and_nothing_listening_is_a_bad_gateway() {
    let world = World::new().await;
    for (path, want) in [
        ("/ports/0/preview-url", "Invalid port"),
        ("/ports/x/preview-url", "Invalid port"),
        ("/ports/65536/signed-preview-url", "Invalid port"),
        ("/ports/80/signed-preview-url?expiresInSeconds=0", "expires_in: must be from 1 to 86400 seconds"),
        (
            "/ports/80/signed-preview-url?expiresInSeconds=86401",
            "expires_in: must be from 1 to 86400 seconds",
        ),
        ("/ports/80/signed-preview-url?expiresInSeconds=-1", "expires_in: must be from 1 to 86400 seconds"),
    ] {
        let answer = world.server.get(&world.api(path)).send().await.expect(400);
        assert_eq!(answer["message"], want, "{path}");
    }
    let token = world.token().await;
    let closed = format!("1-{}.localhost", world.id);
    let answer = world.visit_host(&closed, "/").header("x-daytona-preview-token", &token).send().await;
    assert_eq!(answer.expect(502)["message"], "nothing listens on port 1 of the sandbox");
    let reader = world.server.key_with(&[lazaret_core::Scope::SandboxesRead]).await;
    let link = world.server.get(&world.api("/ports/80/preview-url")).key(&reader).send().await;
    assert_eq!(link.status, 403, "a token may change what is inside");
    assert_eq!(world.visit("/").key(&reader).send().await.status, 403);
}

#[tokio::test]
async fn a_websocket_passes_a_preview() {
    let world = World::new().await;
    let token = world.token().await;
    let address = world.server.listen().await;
    let url = format!("ws://{address}/talk?DAYTONA_SANDBOX_AUTH_KEY={token}");
    let mut request = tungstenite::client::IntoClientRequest::into_client_request(url).unwrap();
    request.headers_mut().insert("host", world.host().parse().unwrap());
    let (mut socket, _) = tokio_tungstenite::connect_async(request).await.unwrap();
    socket.send(tungstenite::Message::text("hello")).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap(), tungstenite::Message::text("hello, too"));
}

#[tokio::test]
async fn what_is_handed_out_for_one_sandbox_is_json_of_the_contract() {
    let world = World::new().await;
    let (token, url) = world.signed(60).await;
    assert_eq!(url, format!("http://{}-{token}.localhost:3000", world.port));
    assert_eq!(token.len(), 56);
    let key = world.server.get(&world.api("/signing-key")).send().await.expect(200);
    let rotated = world.server.post(&world.api("/signing-key/rotate")).send().await.expect(200);
    assert!(key.is_string() && rotated.is_string() && key != rotated);
    assert_eq!(world.server.get(&world.api("/signing-key")).send().await.expect(200), rotated);
    assert_eq!(json!(world.link().await.as_object().unwrap().len()), 3);
}

#[tokio::test]
async fn a_request_that_says_so_is_no_use_of_the_sandbox_by_preview_or_toolbox() {
    const SILENT: &str = "x-daytona-skip-last-activity-update";
    let world = World::new().await;
    let token = world.token().await;
    let active = async || world.server.get(&world.api("")).send().await.expect(200)["lastActivityAt"].clone();
    let visit = async |said: &str| {
        world.server.clock.advance(Duration::from_secs(60));
        let preview = world.visit("/").header("x-daytona-preview-token", &token).header(SILENT, said);
        told(&preview.send().await);
        let before = active().await;
        world.server.clock.advance(Duration::from_secs(60));
        let files = world.server.get(&crate::toolbox(&world.id, "/files?path=/")).header(SILENT, said);
        files.send().await.expect(200);
        (before, active().await)
    };
    let begin = active().await;
    assert_eq!(visit("true").await, (begin.clone(), begin.clone()));
    assert_eq!(visit("TRUE").await, (begin.clone(), begin.clone()));
    let (by_preview, by_toolbox) = visit("false").await;
    assert_ne!(by_preview, begin, "what is not silent counts");
    assert_ne!(by_toolbox, by_preview);
}
