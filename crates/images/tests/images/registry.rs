//! Debian's `docker-registry` on loopback, and a proxy before it that misbehaves on demand.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, stream};
use tempfile::TempDir;

use crate::support::{Layout, MANIFEST_TYPE, sha256};

/// How long the registry may take to listen.
const START_LIMIT: Duration = Duration::from_secs(30);

/// `tester:hush`, as `htpasswd -B` writes it.
const HTPASSWD: &str = "tester:$2y$05$i51QGWi8m0uM6Ls93qQoAumaaA2g33MbHHYxw9R34U5tShaRn9GWK\n";

/// A registry that ends with the value.
pub(crate) struct Registry {
    process: Child,
    pub(crate) address: SocketAddr,
    authenticated: bool,
    _directory: TempDir,
}

impl Registry {
    pub(crate) async fn start() -> Registry {
        Registry::run(false).await
    }

    /// One that wants the name `tester` and the password `hush`.
    pub(crate) async fn start_authenticated() -> Registry {
        Registry::run(true).await
    }

    async fn run(authenticated: bool) -> Registry {
        let directory = TempDir::new().unwrap();
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let root = directory.path().display();
        let mut config = format!(
            "version: 0.1\nlog:\n  level: error\nstorage:\n  filesystem:\n    rootdirectory: {root}/data\n\
             http:\n  addr: {address}\n"
        );
        if authenticated {
            std::fs::write(directory.path().join("htpasswd"), HTPASSWD).unwrap();
            config.push_str(&format!("auth:\n  htpasswd:\n    realm: test\n    path: {root}/htpasswd\n"));
        }
        std::fs::write(directory.path().join("config.yml"), config).unwrap();
        let process = Command::new("docker-registry")
            .arg("serve")
            .arg(directory.path().join("config.yml"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("Debian's docker-registry is installed");
        let registry = Registry { process, address, authenticated, _directory: directory };
        let listens = async {
            while tokio::net::TcpStream::connect(address).await.is_err() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(START_LIMIT, listens).await.expect("the registry listens");
        registry
    }

    /// `127.0.0.1:<port>`.
    pub(crate) fn host(&self) -> String {
        self.address.to_string()
    }

    /// Puts the image of a layout there, under these tags.
    pub(crate) async fn push(&self, repository: &str, layout: &Layout, tags: &[&str]) {
        for (_, blob) in &layout.blobs {
            self.push_blob(repository, blob).await;
        }
        for tag in tags {
            self.push_manifest(repository, tag, MANIFEST_TYPE, &layout.manifest).await;
        }
    }

    pub(crate) async fn push_blob(&self, repository: &str, blob: &[u8]) {
        let http = reqwest::Client::new();
        let begin = format!("http://{}/v2/{repository}/blobs/uploads/", self.address);
        let begun = self.authorised(http.post(begin)).send().await.unwrap();
        let location = begun.headers()[header::LOCATION].to_str().unwrap().to_owned();
        let mark = if location.contains('?') { '&' } else { '?' };
        let end = format!("{location}{mark}digest={}", sha256(blob));
        let ended = self.authorised(http.put(end)).body(blob.to_vec()).send().await.unwrap();
        assert_eq!(ended.status(), 201, "{:?}", ended.text().await);
    }

    pub(crate) async fn push_manifest(&self, repository: &str, name: &str, kind: &str, json: &str) {
        let at = format!("http://{}/v2/{repository}/manifests/{name}", self.address);
        let put = reqwest::Client::new().put(at).header(header::CONTENT_TYPE, kind).body(json.to_owned());
        let answer = self.authorised(put).send().await.unwrap();
        assert_eq!(answer.status(), 201, "{:?}", answer.text().await);
    }

    fn authorised(&self, request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
        if self.authenticated { request.basic_auth("tester", Some("hush")) } else { request }
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // It may have ended by itself; the test has seen to what matters.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What a proxy does to a request instead of passing it on as it is.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// Answers with this status.
    Status(u16),
    /// Answers 429 and asks to wait this many seconds.
    Throttle(u64),
    /// Closes the connection after this many bytes of the body.
    Truncate(usize),
    /// Sends this many bytes of the body and then nothing, with the connection open.
    Stall(usize),
    /// Changes the first byte of the body.
    Garble,
    /// Answers with this body, and this media type.
    Instead(&'static str, Vec<u8>),
    /// Sends elsewhere.
    Redirect(String),
    /// Passes requests for parts on as requests for the whole.
    WithoutRanges,
}

#[derive(Debug, Clone)]
struct Rule {
    /// Part of the path.
    path: String,
    fault: Fault,
    times: usize,
}

#[derive(Clone)]
struct Shared {
    upstream: SocketAddr,
    rules: Arc<Mutex<Vec<Rule>>>,
    seen: Arc<Mutex<Vec<String>>>,
}

/// A proxy before a registry.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    shared: Shared,
    task: tokio::task::JoinHandle<()>,
}

impl Proxy {
    pub(crate) async fn before(registry: &Registry) -> Proxy {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Shared { upstream: registry.address, rules: Arc::default(), seen: Arc::default() };
        let router = Router::new().fallback(pass).with_state(shared.clone());
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Proxy { address, shared, task }
    }

    pub(crate) fn host(&self) -> String {
        self.address.to_string()
    }

    /// The next `times` requests whose path has `path` in it get `fault`.
    pub(crate) fn inject(&self, path: impl Into<String>, fault: Fault, times: usize) {
        self.shared.rules.lock().unwrap().push(Rule { path: path.into(), fault, times });
    }

    /// Forgets the faults, and what was seen.
    pub(crate) fn reset(&self) {
        self.shared.rules.lock().unwrap().clear();
        self.shared.seen.lock().unwrap().clear();
    }

    /// Requests so far whose path has `path` in it.
    pub(crate) fn count(&self, path: &str) -> usize {
        self.shared.seen.lock().unwrap().iter().filter(|seen| seen.contains(path)).count()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn pass(State(shared): State<Shared>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    shared.seen.lock().unwrap().push(path.clone());
    let fault = {
        let mut rules = shared.rules.lock().unwrap();
        let rule = rules.iter_mut().find(|rule| rule.times > 0 && path.contains(&rule.path));
        rule.map(|rule| {
            rule.times -= 1;
            rule.fault.clone()
        })
    };
    match &fault {
        Some(Fault::Status(status)) => return StatusCode::from_u16(*status).unwrap().into_response(),
        Some(Fault::Throttle(seconds)) => {
            let after = [(header::RETRY_AFTER, HeaderValue::from(*seconds))];
            return (StatusCode::TOO_MANY_REQUESTS, after).into_response();
        }
        Some(Fault::Instead(kind, body)) => {
            return ([(header::CONTENT_TYPE, *kind)], body.clone()).into_response();
        }
        Some(Fault::Redirect(to)) => {
            return (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, to.clone())]).into_response();
        }
        _ => {}
    }
    let mut forward = reqwest::Client::new()
        .request(request.method().clone(), format!("http://{}{}", shared.upstream, request.uri()));
    for (name, value) in request.headers() {
        let dropped = matches!(fault, Some(Fault::WithoutRanges)) && name == header::RANGE;
        if name != header::HOST && !dropped {
            forward = forward.header(name, value);
        }
    }
    let answer = forward.send().await.unwrap();
    let mut response = Response::builder().status(answer.status());
    *response.headers_mut().unwrap() = answer.headers().clone();
    let mut body = answer.bytes().await.unwrap().to_vec();
    let broken = |at: usize| {
        let start = body[..at.min(body.len())].to_vec();
        stream::iter([Ok::<_, std::io::Error>(start)])
    };
    let body = match fault {
        Some(Fault::Truncate(at)) => {
            let cut = stream::once(async { Err(std::io::Error::other("cut")) });
            Body::from_stream(broken(at).chain(cut))
        }
        Some(Fault::Stall(at)) => Body::from_stream(broken(at).chain(stream::pending())),
        Some(Fault::Garble) => {
            body[0] ^= 0xff;
            Body::from(body)
        }
        _ => Body::from(body),
    };
    response.body(body).unwrap()
}
