//! Sandboxes with a network, from the inside: what they reach by name, and what no trick makes them reach.
//!
//! Each test has an Internet of its own around its server; `tests/src/internet` draws it.

#![forbid(unsafe_code)]

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use lazaret_tests::internet::{
    ALLOWED, ALLOWED_V6, HOST, HOST_V6, Internet, METADATA, OTHER, OTHER_V6, PRIVATE, RESOLVER, Visit,
};
use lazaret_tests::{KEY, Native, Server, target, wait};
use serde_json::{Value, json};

/// Where the authority's certificate is put in a sandbox.
const CERTIFICATE: &str = "/tmp/authority.pem";

/// Longest that anything but the change of a policy may take, on a machine busy with other tests.
const DEADLINE: Duration = Duration::from_secs(20);
/// Longest that a policy may take to come into force.
const ONE_SECOND: Duration = Duration::from_secs(1);

/// Opens a connection to the allowed host, and makes a file when it is cut.
const HELD_CONNECTION: &str = "
import socket
held = socket.create_connection(('allowed.example', 22), 20)
held.settimeout(60)
try:
    while held.recv(4096): pass
except ConnectionError:
    pass
open('/tmp/cut', 'w').close()
";

/// An Internet and a server in it.
fn start(settings: &str) -> (Internet, Server) {
    let internet = Internet::enter().expect("make an Internet, as root");
    let settings = format!("{}{settings}", internet.settings());
    let server = Server::start_in(&std::env::temp_dir(), &settings).expect("start a server");
    (internet, server)
}

/// A sandbox that may reach `domains`, and that trusts the Internet's authority if it is told to.
fn sandbox(native: &Native, internet: &Internet, domains: &[&str]) -> String {
    let network = json!({ "type": "allowlist", "domains": domains });
    let id = native.create(&json!({ "network": network })).expect("create");
    let certificate = format!("cat > {CERTIFICATE} <<'END'\n{}END", internet.certificate());
    assert_eq!(run(native, &id, &certificate), (0, String::new()));
    id
}

/// Exit code and output of a shell command; errors are part of the output.
fn run(native: &Native, id: &str, command: &str) -> (i64, String) {
    let command = format!("exec 2>&1\n{command}");
    let request = json!({ "command": ["sh", "-c", command], "timeout_ms": 60_000 });
    let result = native.exec_with(id, &request).expect("exec");
    let code = result["exit_code"].as_i64().unwrap_or_else(|| panic!("ended by a signal: {result}"));
    (code, result["stdout"].as_str().expect("output as text").to_owned())
}

/// What the allowed host has noted, over IPv4 and IPv6.
fn visits_to_allowed(internet: &Internet) -> Vec<Visit> {
    [internet.visits(ALLOWED), internet.visits(ALLOWED_V6)].concat()
}

/// Nobody came to any of these addresses.
#[track_caller]
fn assert_unseen(internet: &Internet, addresses: &[IpAddr]) {
    for address in addresses {
        assert_eq!(internet.visits(*address), [], "at {address}");
    }
}

#[test]
fn an_allowed_name_is_reached_with_curl_and_python_over_http_and_https() {
    let (internet, server) = start("");
    let native = server.native();
    let domains =
        ["allowed.example", "b\u{fc}cher.example", "*.www.allowed.example", "www.allowed.example:22"];
    let id = sandbox(&native, &internet, &domains);
    let curl = format!("curl -sS -m 20 --cacert {CERTIFICATE}");
    let urllib = |url: &str| {
        format!(
            "import ssl, urllib.request as u; \
             print(u.urlopen('{url}', timeout=20, context=ssl.create_default_context(cafile='{CERTIFICATE}')).read().decode())"
        )
    };
    let requests = |url: &str| {
        format!("import requests; print(requests.get('{url}', timeout=20, verify='{CERTIFICATE}').text)")
    };
    for (command, want) in [
        (format!("{curl} http://allowed.example/a"), "GET /a for allowed.example"),
        (format!("{curl} https://allowed.example/b"), "GET /b for allowed.example"),
        (format!("{curl} https://ALLOWED.example./c"), "GET /c for ALLOWED.example"),
        (format!("{curl} http://xn--bcher-kva.example/d"), "GET /d for xn--bcher-kva.example"),
        (format!("{curl} http://deep.www.allowed.example/e"), "GET /e for deep.www.allowed.example"),
        (format!("python3 -c \"{}\"", urllib("http://allowed.example/f")), "GET /f for allowed.example"),
        (format!("python3 -c \"{}\"", urllib("https://allowed.example/g")), "GET /g for allowed.example"),
        (format!("python3 -c \"{}\"", requests("http://allowed.example/h")), "GET /h for allowed.example"),
        (format!("python3 -c \"{}\"", requests("https://allowed.example/i")), "GET /i for allowed.example"),
        (
            "python3 -c \"import socket; s = socket.create_connection(('www.allowed.example', 22), 20); \
             s.sendall(b'plain'); print(s.recv(5))\""
                .to_owned(),
            "b'plain'",
        ),
    ] {
        let (code, output) = run(&native, &id, &command);
        assert!(code == 0 && output.contains(want), "{command}: {code}\n{output}\n{}", server.log_tail());
    }
    // Connections leave as the host's own, so that they come back.
    let from: Vec<IpAddr> = visits_to_allowed(&internet).iter().map(|visit| visit.from).collect();
    let host = [IpAddr::from(HOST), IpAddr::from(HOST_V6)];
    assert!(!from.is_empty() && from.iter().all(|from| host.contains(from)), "{from:?}");
}

/// How the tricks fetch a page; whatever certificate is shown.
const CURL: &str = "curl -sS -k -m 10 --fail";

/// Commands that may reach nobody, though the names `allowed.example`, `rebind.example`, `metadata.example`, `inside.example`
/// and `host.example` are allowed.
fn tricks() -> Vec<String> {
    let mut commands: Vec<String> = [
        // Names that look alike, in DNS.
        "http://other.example/",
        "http://notallowed.example/",
        "http://allowed.example.evil.example/",
        "http://allowed.exampleevil.example/",
        "http://deep.www.allowed.example/",
        "http://www.allowed.example/",
        "https://other.example./",
        "https://OTHER.EXAMPLE/",
        "http://\u{430}llowed.example/",
        // Addresses, in every notation.
        "http://93.184.0.20/",
        "https://93.184.0.20/",
        "http://1572339732/",
        "http://0x5db80014/",
        "http://0135.0270.0.024/",
        "http://93.184.20/",
        "http://[2606:4700::20]/",
        "https://[2606:4700::20]/",
        "http://[::ffff:93.184.0.20]/",
        "https://[::ffff:93.184.0.20]/",
        "http://93.184.0.20:8080/",
        "https://93.184.0.20:8443/",
        // The allowed host's own address, without its name, and its other ports.
        "http://93.184.0.10/",
        "https://93.184.0.10/",
        "http://allowed.example:8080/",
        "https://allowed.example:8443/",
        // Inside, by allowed names and by address.
        "http://metadata.example/",
        "http://inside.example/",
        "https://inside.example/",
        "http://host.example:9999/",
        "http://host.example/",
        "http://169.254.169.254/",
        "http://10.99.0.1/",
        "http://81.2.69.2:9999/",
        "http://127.0.0.1:9999/",
    ]
    .into_iter()
    .map(|url| format!("{CURL} '{url}'"))
    .collect();
    commands.extend(
        [
            // A request and a handshake for another name, sent to the allowed host.
            "-H 'Host: other.example' http://allowed.example/",
            "--request-target http://other.example/ http://allowed.example/",
            "--resolve other.example:80:93.184.0.10 http://other.example/",
            "--resolve other.example:443:93.184.0.10 https://other.example/",
            "--resolve other.example:443:93.184.0.20 https://other.example/",
            // The allowed host as a proxy.
            "-x http://allowed.example:80 http://other.example/",
            "-p -x http://allowed.example:80 http://other.example/",
            "-p -x http://allowed.example:80 https://other.example/",
            "-p -x http://allowed.example:80 https://allowed.example/",
            "-x http://allowed.example:3128 http://other.example/",
            // QUIC, where curl has it; where it has not, it fails as well.
            "--http3-only https://allowed.example/",
        ]
        .map(|arguments| format!("{CURL} {arguments}")),
    );
    // Over every transport and port that names are asked for, of a host that answers them all.
    let query = "import socket, sys\n\
                 q = bytes.fromhex('000701000001000000000000') + b'\\x05other\\x07example\\0\\0\\1\\0\\1'\n";
    for (address, port) in
        [("93.184.0.20", 53), ("93.184.0.20", 5353), ("93.184.0.10", 443), ("2606:4700::20", 53)]
    {
        commands.push(format!(
            "python3 - <<'END'\n{query}\
             s = socket.socket(socket.AF_INET6 if ':' in '{address}' else socket.AF_INET, socket.SOCK_DGRAM)\n\
             s.settimeout(3); s.connect(('{address}', {port})); s.send(q); a = s.recv(512)\n\
             sys.exit(0 if a[3] & 15 == 0 else 'refused')\nEND"
        ));
    }
    for port in [53, 853] {
        commands.push(format!(
            "python3 - <<'END'\n{query}\
             s = socket.create_connection(('93.184.0.20', {port}), 3); s.sendall(len(q).to_bytes(2, 'big') + q)\n\
             a = s.recv(512); sys.exit(0 if len(a) > 5 and a[5] & 15 == 0 else 'refused')\nEND"
        ));
    }
    // A NUL inside of a name, which a resolver written in C would read as its end.
    commands.push(format!(
        "python3 - <<'END'\n{query}\
         q = q[:12] + b'\\x05other\\x08example\\0\\0\\0\\1\\0\\1'; server = open('/etc/resolv.conf').read().split()[1]\n\
         s = socket.socket(socket.AF_INET6 if ':' in server else socket.AF_INET, socket.SOCK_DGRAM)\n\
         s.settimeout(3); s.connect((server, 53)); s.send(q); sys.exit(0 if s.recv(512)[3] & 15 == 0 else 'refused')\nEND"
    ));
    commands
}

/// Parts of the tricks that reach nobody where there is no policy either: no name has a NUL, and this curl may have no QUIC.
const IDLE_TRICKS: [&str; 2] = ["x08example", "--http3-only"];

/// From the test's own network, where nothing is judged: a trick that is broken would prove nothing.
#[test]
fn the_tricks_reach_somebody_where_there_is_no_policy() {
    let internet = Internet::enter().expect("make an Internet, as root");
    let resolver = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(resolver.path(), format!("nameserver {RESOLVER}\n")).expect("name the resolver");
    let script = r#"mount --bind "$1" /etc/resolv.conf && exec sh -c "$2""#;
    let everybody: [IpAddr; 8] = [
        ALLOWED.into(),
        ALLOWED_V6.into(),
        OTHER.into(),
        OTHER_V6.into(),
        METADATA.into(),
        PRIVATE.into(),
        HOST.into(),
        Ipv4Addr::LOCALHOST.into(),
    ];
    let seen = || everybody.iter().map(|address| internet.visits(*address).len()).sum::<usize>();
    for command in tricks() {
        let before = seen();
        let mut outside = Command::new("unshare");
        outside.args(["--mount", "sh", "-c", script, "outside"]).arg(resolver.path()).arg(&command);
        let output = outside.output().expect("start unshare");
        let idle = IDLE_TRICKS.iter().any(|part| command.contains(part));
        assert!(idle || seen() > before, "without a policy: {command}: {output:?}");
    }
}

#[test]
fn no_trick_leads_to_a_name_or_an_address_that_is_not_allowed() {
    let (internet, server) = start("");
    let native = server.native();
    // The last four are allowed by name, and lead inside.
    let domains = ["allowed.example", "rebind.example", "metadata.example", "inside.example", "host.example"];
    let id = sandbox(&native, &internet, &domains);
    let commands = tricks();
    for command in &commands {
        let (code, output) = run(&native, &id, command);
        assert!(code != 0, "{command}\n{output}\n{}", server.log_tail());
    }
    // Wherever a handshake was sent, it goes to the host that it names.
    let elsewhere = "--resolve allowed.example:443:93.184.0.20 https://allowed.example/";
    let (code, output) = run(&native, &id, &format!("{CURL} {elsewhere}"));
    assert!(code == 0 && !output.contains("93.184.0.20"), "{output}");
    // A name that is public at one look and private at the next is dialled at its public address or not at all.
    let (_, output) =
        run(&native, &id, &format!("for i in 1 2 3 4 5 6 7 8; do {CURL} http://rebind.example/; done"));
    assert!(!output.contains("at 169.254.169.254"), "{output}");
    let forbidden: [IpAddr; 6] = [
        OTHER.into(),
        OTHER_V6.into(),
        METADATA.into(),
        PRIVATE.into(),
        HOST.into(),
        Ipv4Addr::LOCALHOST.into(),
    ];
    assert_unseen(&internet, &forbidden);
    let ports: Vec<u16> = visits_to_allowed(&internet).iter().map(|visit| visit.to.port()).collect();
    assert!(ports.iter().all(|port| [80, 443].contains(port)), "{ports:?}");
    let datagrams = visits_to_allowed(&internet).into_iter().filter(|visit| visit.said.ends_with(" bytes"));
    assert_eq!(datagrams.collect::<Vec<_>>(), []);
}

#[test]
fn the_python_sdk_makes_a_container_that_reaches_one_name() {
    let internet = Internet::enter().expect("make an Internet, as root");
    let folder = tempfile::tempdir().expect("a folder");
    let certificate = folder.path().join("authority.pem");
    std::fs::write(&certificate, internet.certificate()).expect("write the certificate");
    let settings = format!(
        "{}allowed_domains = [\"*.example\"]\ntrusted_certificates = [\"{}\"]\n",
        internet.settings(),
        certificate.display()
    );
    let server = Server::start_in(&std::env::temp_dir(), &settings).expect("start a server");
    let python = target().join("clients/python/bin/python");
    assert!(python.exists(), "{} is missing: run `cargo xtask test`", python.display());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/python_egress.py");
    let mut command = Command::new(python);
    command.arg(script).arg(certificate);
    command.env("OPENAI_BASE_URL", format!("{}/v1", server.url())).env("OPENAI_API_KEY", KEY);
    let output = command.output().expect("start the environment's python");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.lines().last() == Some("ok"),
        "{}\n{said}\n{}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr),
        server.log_tail()
    );
    assert_unseen(&internet, &[OTHER.into(), OTHER_V6.into()]);
}

#[test]
fn a_policy_of_a_running_sandbox_is_changed_within_a_second() {
    let (internet, server) = start("");
    let native = server.native();
    let id = sandbox(&native, &internet, &["allowed.example", "allowed.example:22"]);
    let fetch = |name: &str| {
        let command =
            format!("curl -sS -k -m 10 --fail https://{name}/ && curl -sS -m 10 --fail http://{name}/");
        run(&native, &id, &command)
    };
    assert_eq!(fetch("allowed.example").0, 0);
    assert_ne!(fetch("other.example").0, 0);
    let held = json!({ "command": ["python3", "-c", HELD_CONNECTION], "background": true });
    let path = format!("/lazaret/v1/sandboxes/{id}");
    let exec = native.client().post(&format!("{path}/exec"), &held).expect("exec");
    assert_eq!(exec.status, 202, "{exec}");
    let opened = || visits_to_allowed(&internet).into_iter().find(|visit| visit.to.port() == 22);
    wait::until("the connection is there", DEADLINE, opened);

    let policy = json!({ "type": "allowlist", "domains": ["other.example"] });
    let change = |policy: &Value| native.set_network(&id, policy).expect("change");
    assert_eq!(change(&policy)["network"]["domains"], json!(["other.example"]));
    let cut = wait::within(ONE_SECOND, || (run(&native, &id, "cat /tmp/cut").0 == 0).then_some(()));
    assert!(cut.is_some(), "the connection was not cut within a second");
    assert_eq!(fetch("other.example").0, 0);
    assert_ne!(fetch("allowed.example").0, 0);

    change(&json!({ "type": "disabled" }));
    assert_ne!(run(&native, &id, "curl -sS -k -m 2 --fail https://other.example/").0, 0);
    let answer = native.client().get("/lazaret/v1/events?limit=1000").expect("events").json();
    let denied: Vec<&Value> = answer["events"]
        .as_array()
        .expect("a list of events")
        .iter()
        .filter(|event| event["type"] == "egress_denied" && event["destination"] == "other.example")
        .collect();
    assert!(!denied.is_empty() && denied[0]["reason"] == "name not allowed", "{answer}");
}
