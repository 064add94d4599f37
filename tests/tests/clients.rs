//! Real SDKs, unmodified, against a real server: each script in `tests/clients/` is a test here.
//!
//! The SDKs are installed by `cargo xtask test` under `<target>/clients`; a test whose SDK is missing fails and says so.

#![forbid(unsafe_code)]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use lazaret_tests::internet::{ALLOWED, Internet};
use lazaret_tests::registry::{Registry, busybox_layer, debian_layer, write_docker_archive};
use lazaret_tests::{KEY, Server, binary, target};

/// Runs one client program against a fresh server and asserts that its last line is `ok`.
#[track_caller]
fn check(program: &Path, script: &str, arguments: &[&Path]) {
    assert!(
        !program.is_absolute() || program.exists(),
        "{} is missing: run `cargo xtask test`",
        program.display()
    );
    check_against(&Server::start(), program, script, arguments);
}

/// The same against a server that has been started already.
#[track_caller]
fn check_against(server: &Server, program: &Path, script: &str, arguments: &[&Path]) {
    check_with(server, program, script, arguments, &[]);
}

/// The same with more variables.
#[track_caller]
fn check_with(
    server: &Server,
    program: &Path,
    script: &str,
    arguments: &[&Path],
    variables: &[(&str, &str)],
) {
    let mut command = Command::new(program);
    command
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("clients").join(script))
        .args(arguments)
        .current_dir(clients().join("node"))
        .env("OPENAI_BASE_URL", format!("{}/v1", server.url()))
        .env("OPENAI_API_KEY", KEY)
        .env("LAZARET_URL", server.url())
        .env("LAZARET_API_KEY", KEY)
        .env("DAYTONA_API_URL", format!("{}/api", server.url()))
        .env("DAYTONA_API_KEY", KEY)
        .env("LAZARET_PROGRAM", binary())
        .envs(variables.iter().copied());
    let output = command.output().unwrap_or_else(|error| panic!("start {}: {error}", program.display()));
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.lines().last() == Some("ok"),
        "{script}: {}\n{said}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
}

fn clients() -> PathBuf {
    target().join("clients")
}

fn python() -> PathBuf {
    clients().join("python/bin/python")
}

/// The data file that `python_openai.py` finds through the package itself.
fn dataset() -> PathBuf {
    let output = Command::new(python())
        .args([
            "-c",
            "from vega_datasets import local_data; print(local_data.seattle_weather.filepath, end='')",
        ])
        .output()
        .expect("start the environment's python: run `cargo xtask test`");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    PathBuf::from(String::from_utf8(output.stdout).expect("a path in UTF-8"))
}

#[test]
fn the_python_sdk_takes_a_data_file_through_a_container_and_pages_through_45() {
    check(&python(), "python_openai.py", &[]);
}

#[test]
fn the_strict_python_sdk_finds_every_type_and_literal_that_it_insists_on() {
    check(&python(), "python_conformance.py", &[]);
}

#[test]
fn the_python_sdks_own_tests_of_containers_and_files_pass() {
    check(&python(), "python_sdk_suite.py", &[&clients().join("sdk/source")]);
}

#[test]
fn the_node_sdk_takes_a_data_file_through_a_container_and_pages_through_45() {
    check(Path::new("node"), "node_openai.mjs", &[&dataset()]);
}

#[test]
fn litellm_reads_containers_files_and_delete_bodies() {
    check(&clients().join("litellm/bin/python"), "python_litellm.py", &[]);
}

#[test]
fn the_mcp_client_lists_and_calls_twelve_tools_over_both_transports() {
    check(&clients().join("mcp/bin/python"), "python_mcp.py", &[]);
}

fn daytona() -> PathBuf {
    clients().join("daytona/bin/python")
}

#[test]
fn the_daytona_package_of_python_makes_changes_archives_and_deletes_sandboxes() {
    check(&daytona(), "daytona/control.py", &[]);
}

#[test]
fn the_asynchronous_daytona_package_does_so_for_several_at_once() {
    check(&daytona(), "daytona/control_async.py", &[]);
}

#[test]
fn the_daytona_package_of_node_makes_changes_archives_and_deletes_sandboxes() {
    check(Path::new("node"), "daytona/control.mjs", &[]);
}

#[test]
fn the_daytona_packages_wait_for_states_by_asking_where_they_are_told_to() {
    let server = Server::start();
    let polling = [("DAYTONA_USE_DEPRECATED_POLLING", "true")];
    check_with(&server, &daytona(), "daytona/control_async.py", &[], &polling);
    check_with(&server, Path::new("node"), "daytona/control.mjs", &[], &polling);
}

#[test]
fn the_daytona_package_of_python_moves_finds_and_changes_files() {
    check(&daytona(), "daytona/files.py", &[]);
}

#[test]
fn the_asynchronous_daytona_package_moves_many_files_and_commits() {
    check(&daytona(), "daytona/files_async.py", &[]);
}

#[test]
fn the_daytona_package_of_node_moves_files() {
    check(Path::new("node"), "daytona/files.mjs", &[]);
}

#[test]
fn the_daytona_package_of_python_commits_clones_pushes_and_pulls_with_and_without_a_password() {
    check(&daytona(), "daytona/git.py", &[]);
}

#[test]
fn the_daytona_package_of_python_opens_previews_and_signed_files() {
    check(&daytona(), "daytona/previews.py", &[]);
}

#[test]
fn the_daytona_package_of_python_asks_a_language_server_and_hears_where_there_is_none() {
    let server = Server::start();
    let folder = tempfile::tempdir().expect("a folder");
    let archive = folder.path().join("image.tar");
    write_docker_archive(&archive, &[busybox_layer(folder.path()).expect("BusyBox")]).expect("an image");
    let archive = std::fs::File::open(&archive).expect("the image");
    server.native().import_docker_archive("busybox:lsp", archive).expect("import the image");
    check_against(&server, &daytona(), "daytona/lsp.py", &[Path::new("busybox:lsp")]);
}

/// A registry with a minimal Debian, and a server whose sandboxes of Daytona's are made of that.
fn server_of_a_pulled_debian(settings: &str) -> (Registry, Server) {
    let folder = tempfile::tempdir().expect("a folder");
    let archive = folder.path().join("debian.tar");
    let layers = [debian_layer().expect("a Debian")];
    write_docker_archive(&archive, &layers).expect("an image");
    let registry = Registry::start().expect("a registry");
    registry.push(&archive, "library/debian:bookworm").expect("push the image");
    let settings = format!(
        "[images.mirrors]\n\"docker.io\" = [\"{}\"]\n[daytona]\ndefault_image = \"debian:bookworm\"\n{settings}",
        registry.host()
    );
    let server = Server::start_configured(&binary(), &[], &settings).expect("start a server");
    (registry, server)
}

#[test]
fn the_daytona_package_of_python_works_on_an_image_of_a_registry() {
    let (_registry, server) = server_of_a_pulled_debian("");
    // The others want programs that a minimal Debian lacks.
    for script in ["process.py", "process_async.py", "files.py", "files_async.py"] {
        check_against(&server, &daytona(), &format!("daytona/{script}"), &[]);
    }
}

#[test]
fn the_daytona_package_of_python_clones_and_pushes_over_a_network_in_an_image_without_git() {
    const NAME: &str = "allowed.example";
    // Made first, because Debian's mirror is not of that Internet.
    debian_layer().expect("a Debian");
    let internet = Internet::enter().expect("make an Internet, as root");
    let (_registry, server) = server_of_a_pulled_debian(&internet.settings());
    let root = tempfile::tempdir().expect("a folder for repositories");
    let serve = |port: u16, user: &[&str]| {
        let mut command = internet.command("python3");
        command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("git/server.py")).arg(root.path());
        command.arg(format!("{ALLOWED}:{port}")).args(user).stdout(Stdio::piped());
        let mut served = Served(command.spawn().expect("start a git server"));
        let mut line = String::new();
        let said = served.0.stdout.take().expect("its output");
        BufReader::new(said).read_line(&mut line).expect("the line that it listens");
        assert_eq!(line.trim(), port.to_string());
        served
    };
    let _hub = serve(8931, &["ada", "hunter2-of-the-daytona-tests"]);
    let _open = serve(8932, &[]);
    let (hub, open) = (format!("{NAME}:8931"), format!("{NAME}:8932"));
    let arguments = [root.path(), Path::new(&hub), Path::new(&open)];
    check_against(&server, &daytona(), "daytona/git.py", &arguments);
}

/// A process that ends with its test.
struct Served(Child);

impl Drop for Served {
    fn drop(&mut self) {
        // It may have ended by itself; the test has seen to what matters.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_daytona_package_of_python_shares_volumes_between_sandboxes() {
    check(&daytona(), "daytona/volumes.py", &[]);
}

#[test]
fn the_asynchronous_daytona_package_shares_a_volume_between_several_at_once() {
    check(&daytona(), "daytona/volumes_async.py", &[]);
}

#[test]
fn the_daytona_package_of_node_shares_volumes_between_sandboxes() {
    check(Path::new("node"), "daytona/volumes.mjs", &[]);
}

#[test]
fn the_mcp_conformance_suite_passes_for_what_is_claimed() {
    check(Path::new("node"), "node_mcp_conformance.mjs", &[]);
}

/// The document that a server serves, against requests that are made from it.
#[track_caller]
fn check_document(name: &str) {
    let settings = "[http]\nrequests_per_second = 0\nrefusals_per_minute = 0\n[images]\npull = \"never\"";
    let server = Server::start_configured(&binary(), &[], settings).expect("start a server");
    let program = clients().join("schemathesis/bin/python");
    check_against(&server, &program, "python_schemathesis.py", &[Path::new(name)]);
}

#[test]
fn the_served_document_holds_against_requests_made_from_it() {
    check_document("native");
}

#[test]
fn the_document_of_daytonas_control_api_holds_against_requests_made_from_it() {
    check_document("daytona-control");
}

#[test]
fn the_document_of_daytonas_toolbox_holds_against_requests_made_from_it() {
    check_document("daytona-toolbox");
}

#[test]
fn the_daytona_package_of_python_runs_commands_snippets_sessions_and_terminals() {
    check(&daytona(), "daytona/process.py", &[]);
}

#[test]
fn the_asynchronous_daytona_package_runs_several_processes_at_once() {
    check(&daytona(), "daytona/process_async.py", &[]);
}

#[test]
fn the_daytona_package_of_node_runs_commands_sessions_and_terminals() {
    check(Path::new("node"), "daytona/process.mjs", &[]);
}

#[test]
fn the_snippets_of_the_readme_run_as_they_are_written() {
    let readme = include_str!("../../README.md");
    let snippets: Vec<&str> = readme
        .split("```python\n")
        .skip(1)
        .filter_map(|rest| rest.split_once("```"))
        .map(|(code, _)| code)
        .collect();
    assert_eq!(snippets.len(), 2, "{snippets:?}");
    let server = Server::start();
    let code = snippets.concat().replace("http://127.0.0.1:8080", &server.url());
    let code = code.replace("the key that serve printed", KEY);
    let folder = tempfile::tempdir().expect("a folder to run in");
    std::fs::write(folder.path().join("measurements.csv"), "a,b\n1,2\n").expect("write the data file");
    let output = Command::new(python()).arg("-c").arg(&code).current_dir(folder.path()).output();
    let output = output.expect("start the environment's python: run `cargo xtask test`");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    let lines: Vec<&str> = said.lines().collect();
    assert!(lines[0].starts_with("/mnt/data/") && lines[0].ends_with(" 8 user"), "{said}");
    assert_eq!(lines[1..], ["0", "b'made inside'"], "{said}");
}
