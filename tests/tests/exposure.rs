//! What a stranger on the network finds: a key on every address, one reading of every request, and little privilege behind.

#![forbid(unsafe_code)]

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use lazaret_tests::{Client, KEY, Server, binary, remove_cgroup_parent, wait};
use serde_json::json;

/// Longest until a server answers or ends, on a machine busy with other tests.
const LIMIT: Duration = Duration::from_secs(20);

/// What a whole exchange may bring back; the answers here are short.
const ANSWER_MAX_BYTES: u64 = 64 << 10;

/// Sends `bytes` as they are and gives all that comes back until the server closes or falls silent.
fn exchange(server: &Server, bytes: &[u8]) -> Result<String> {
    let address = server.url().strip_prefix("http://").context("a plain URL")?.to_owned();
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(bytes)?;
    let mut answer = Vec::new();
    // A reset, or silence after the last answer, ends it as well.
    let _ = stream.take(ANSWER_MAX_BYTES).read_to_end(&mut answer);
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[test]
fn a_request_whose_length_can_be_read_in_two_ways_is_refused_and_nothing_behind_it_is_served() -> Result<()> {
    let server = Server::start();
    let smuggled = format!(
        "POST /lazaret/v1/sandboxes HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\n\
         content-type: application/json\r\ncontent-length: 2\r\n\r\n{{}}"
    );
    let head = format!(
        "POST /lazaret/v1/sandboxes HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\n\
         content-type: application/json\r\nconnection: keep-alive\r\n"
    );
    for (what, rest) in [
        ("two lengths", "content-length: 0\r\ncontent-length: 5\r\n\r\n"),
        ("a length with a sign", "content-length: +0\r\n\r\n"),
        ("a length that is no number", "content-length: 0x0\r\n\r\n"),
        ("a list of lengths", "content-length: 0, 5\r\n\r\n"),
        ("a length too large for any number", "content-length: 18446744073709551616\r\n\r\n"),
        ("an unknown coding", "transfer-encoding: xchunked\r\n\r\n0\r\n\r\n"),
        ("chunks and then something else", "transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n"),
        ("a space before the colon", "content-length : 0\r\n\r\n"),
        ("a folded header", "x-a: b\r\n content-length: 0\r\n\r\n"),
        ("a bare line feed in a value", "x-a: b\nc\r\ncontent-length: 0\r\n\r\n"),
        ("a bare carriage return in a value", "x-a: b\rcontent-length: 5\r\n\r\n"),
        ("a NUL in a value", "x-a: b\0c\r\ncontent-length: 0\r\n\r\n"),
        ("a chunk size with a sign", "transfer-encoding: chunked\r\n\r\n-1\r\n\r\n"),
        ("a chunk size without end", "transfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\n\r\n"),
        ("a chunk that is longer than it says", "transfer-encoding: chunked\r\n\r\n1\r\n{}\r\n0\r\n\r\n"),
    ] {
        let answer = exchange(&server, format!("{head}{rest}{smuggled}").as_bytes())?;
        ensure!(!answer.contains("HTTP/1.1 201"), "{what}: something was made: {answer}");
        ensure!(answer.matches("HTTP/1.1 ").count() <= 1, "{what}: what came behind it was served: {answer}");
        ensure!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 4"),
            "{what}: neither refused nor cut off: {answer}"
        );
    }
    // Both ways of telling a length at once: the chunks count (RFC 9112, 6.1), and the connection ends with it.
    let both = format!("{head}content-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n{smuggled}");
    let answer = exchange(&server, both.as_bytes())?;
    ensure!(!answer.contains("HTTP/1.1 201") || answer.matches("HTTP/1.1 ").count() <= 1, "both: {answer}");
    ensure!(server.native().list()?.len() <= 1, "{answer}");
    Ok(())
}

#[test]
fn heads_without_end_and_requests_that_are_none_are_refused() -> Result<()> {
    let server = Server::start();
    let many: String = (0..5_000).map(|number| format!("x-{number}: y\r\n")).collect();
    for (what, request) in [
        ("a long path", format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", "a".repeat(200_000))),
        ("a long header", format!("GET / HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", "a".repeat(200_000))),
        ("many headers", format!("GET / HTTP/1.1\r\nhost: x\r\n{many}\r\n")),
        ("another protocol", "SSH-2.0-OpenSSH_9.2\r\n\r\n".to_owned()),
        ("a greeting of TLS", "\u{16}\u{3}\u{1}\u{2}\r\n\r\n".to_owned()),
        ("a later version", "GET /healthz HTTP/9.9\r\nhost: x\r\n\r\n".to_owned()),
        ("a preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned()),
    ] {
        let answer = exchange(&server, request.as_bytes())?;
        let refused =
            answer.is_empty() || ["HTTP/1.1 4", "HTTP/1.1 505"].iter().any(|line| answer.starts_with(line));
        ensure!(refused, "{what}: {answer}");
    }
    assert_eq!(server.client().get("/readyz")?.status, 200);
    Ok(())
}

#[test]
fn connections_of_slow_clients_end_by_themselves_and_others_are_served_meanwhile() -> Result<()> {
    let server = Server::start();
    let address: SocketAddr = server.url().strip_prefix("http://").context("a plain URL")?.parse()?;
    // Half a head each, and then nothing: what a slow client does to hold a place.
    let mut slow: Vec<TcpStream> = (0..200).map(|_| TcpStream::connect(address)).collect::<Result<_, _>>()?;
    for stream in &mut slow {
        stream.write_all(b"GET /lazaret/v1/sandboxes HTTP/1.1\r\nhost: x\r\nx-half: ")?;
    }
    assert_eq!(server.native().list()?, [""; 0]);
    for stream in &mut slow {
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        let mut rest = Vec::new();
        // The server closes, with or without a word; a timeout of ours would be an error that is none of these.
        if let Err(error) = stream.read_to_end(&mut rest) {
            ensure!(error.kind() == std::io::ErrorKind::ConnectionReset, "it was held open: {error}");
        }
    }
    Ok(())
}

/// A server that is started without a key of the tester's, on every address.
struct Exposed {
    child: std::process::Child,
    data: tempfile::TempDir,
    port: u16,
}

impl Exposed {
    fn start(key: Option<&str>) -> Result<Exposed> {
        let data = tempfile::Builder::new().prefix("lazaret-test-").tempdir()?;
        let port = TcpListener::bind("0.0.0.0:0")?.local_addr()?.port();
        let name = data.path().file_name().context("a name")?.to_string_lossy().into_owned();
        let config = data.path().join("settings.toml");
        fs::write(&config, format!("[runtime]\ncgroup_parent = \"{name}\"\n"))?;
        let mut command = Command::new(binary());
        command.args(["serve", "--listen", &format!("0.0.0.0:{port}"), "--data-dir"]).arg(data.path());
        command.arg("--config").arg(config).env_remove("LAZARET_API_KEY");
        command.envs(key.map(|key| ("LAZARET_API_KEY", key)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        Ok(Exposed { child: command.spawn()?, data, port })
    }
}

impl Drop for Exposed {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        remove_cgroup_parent(&self.data.path().file_name().unwrap_or_default().to_string_lossy());
    }
}

#[test]
fn a_server_on_every_address_has_a_key_though_nobody_gave_it_one() -> Result<()> {
    let mut server = Exposed::start(None)?;
    let base = format!("http://127.0.0.1:{}", server.port);
    let anonymous = Client::new(&base, None);
    let ready = wait::within(LIMIT, || {
        let ready = anonymous.get("/readyz").is_ok_and(|answer| answer.status == 200);
        (ready || server.child.try_wait().ok().flatten().is_some()).then_some(ready)
    });
    assert_eq!(ready, Some(true), "it did not start");
    for path in ["/lazaret/v1/sandboxes", "/v1/containers", "/lazaret/v1/events"] {
        for key in [None, Some(""), Some(" "), Some("null"), Some("admin")] {
            assert_eq!(Client::new(&base, key).get(path)?.status, 401, "{path} with {key:?}");
        }
    }
    let file = server.data.path().join("api-key");
    assert_eq!(fs::metadata(&file)?.permissions().mode() & 0o7777, 0o600);
    let key = fs::read_to_string(&file)?;
    ensure!(key.trim().len() >= 32, "a key of {} characters can be guessed", key.trim().len());
    assert_eq!(Client::new(&base, Some(key.trim())).get("/lazaret/v1/sandboxes")?.status, 200);
    Ok(())
}

#[test]
fn an_empty_key_from_the_environment_does_not_open_the_server() -> Result<()> {
    for key in ["", " "] {
        let mut server = Exposed::start(Some(key))?;
        let base = format!("http://127.0.0.1:{}", server.port);
        let up = wait::within(LIMIT, || {
            let ended = server.child.try_wait().ok().flatten().map(|status| Err(status.success()));
            ended.or_else(|| Client::new(&base, None).get("/readyz").is_ok().then_some(Ok(())))
        });
        match up.context("it neither serves nor ends")? {
            Err(success) => ensure!(!success, "it ended as if all were well"),
            Ok(()) => {
                for tried in [None, Some(key)] {
                    assert_eq!(
                        Client::new(&base, tried).get("/lazaret/v1/sandboxes")?.status,
                        401,
                        "{tried:?}"
                    );
                }
            }
        }
    }
    Ok(())
}

#[test]
fn descriptors_that_the_server_was_started_with_are_in_no_ones_way_and_stay_with_it() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let starter = folder.path().join("starter");
    let secret = folder.path().join("secret");
    fs::write(&secret, "of the host")?;
    let open = (3..=9).map(|number| format!(" {number}<{}", secret.display())).collect::<String>();
    fs::write(&starter, format!("#!/bin/sh\nexec {} \"$@\"{open}\n", binary().display()))?;
    fs::set_permissions(&starter, fs::Permissions::from_mode(0o755))?;

    let server = Server::start_with(&starter, &[])?;
    let native = server.native();
    let sandbox = native.create(&json!({}))?;
    let said = native.shell(&sandbox, "ls -l /proc/self/fd")?;
    ensure!(!said.contains("secret"), "{said}");
    let of_children = format!("/proc/{0}/task/{0}/children", server.pid());
    let children = fs::read_to_string(of_children)?;
    ensure!(!children.is_empty(), "no spawner");
    for child in children.split_whitespace() {
        for descriptor in fs::read_dir(format!("/proc/{child}/fd"))?.flatten() {
            let target = fs::read_link(descriptor.path()).unwrap_or_default();
            ensure!(target != secret, "process {child} holds {}", descriptor.path().display());
        }
    }
    Ok(())
}

#[test]
fn server_and_spawner_hold_only_the_powers_that_making_sandboxes_needs() -> Result<()> {
    /// CAP_SYS_MODULE, CAP_SYS_RAWIO, CAP_SYS_BOOT, CAP_SYS_TIME, CAP_SYSLOG, CAP_NET_RAW, CAP_BPF, CAP_PERFMON.
    const GONE: u64 = 1 << 16 | 1 << 17 | 1 << 22 | 1 << 25 | 1 << 34 | 1 << 13 | 1 << 39 | 1 << 38;
    let server = Server::start();
    let pid = server.pid();
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
    let spawner = children.split_whitespace().next().context("a spawner")?;
    let mut looked_at = 0;
    for process in [pid.to_string().as_str(), spawner] {
        for thread in fs::read_dir(format!("/proc/{process}/task"))? {
            let status = fs::read_to_string(thread?.path().join("status"))?;
            let field = |name: &str| -> Result<u64> {
                let line = status.lines().find_map(|line| line.strip_prefix(name)).context("a field")?;
                Ok(u64::from_str_radix(line.trim(), 16)?)
            };
            for set in ["CapPrm:", "CapEff:", "CapBnd:"] {
                assert_eq!(field(set)? & GONE, 0, "{set} of a thread of {process}: {status}");
            }
            assert_eq!((field("CapInh:")?, field("CapAmb:")?), (0, 0), "{status}");
            assert_eq!(field("NoNewPrivs:")?, 1, "{status}");
            looked_at += 1;
        }
    }
    ensure!(looked_at > 2, "only {looked_at} threads were looked at");
    // What is left is enough.
    let native = server.native();
    let id = native.create(&json!({}))?;
    assert_eq!(native.shell(&id, "id -u")?, "0\n");
    Ok(())
}
