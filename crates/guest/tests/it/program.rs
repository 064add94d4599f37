//! Programs that the host gives the guest as descriptors.

use lazaret_protocol::{Background, ErrorKind, Exec, RequestBody, RunProgram, program};

use crate::support::Sandbox;

fn run(name: &str, exec: Exec) -> RequestBody {
    RequestBody::RunProgram(Box::new(RunProgram { name: name.to_owned(), exec }))
}

/// The program is a shell here, whatever its first argument says.
fn script(text: &str) -> Exec {
    Exec { argv: vec!["/no/such/path".into(), "-c".into(), text.into()], ..Exec::default() }
}

#[test]
fn a_program_of_the_hosts_runs_from_its_descriptor_and_inherits_no_other() {
    let sandbox = Sandbox::start();
    let mut client =
        sandbox.request(run(program::GIT, script("echo $0; for f in /proc/$$/fd/*; do echo $f; done")));
    client.expect_started();
    let output = client.finish();
    let lines: Vec<&str> = output.stdout.lines().collect();
    assert_eq!(lines.first(), Some(&"/no/such/path"), "{output:?}");
    let numbers: Vec<&str> = lines.iter().skip(1).filter_map(|line| line.rsplit('/').next()).collect();
    // 3 is the directory itself while the shell lists it, if it has one open.
    assert!(numbers == ["0", "1", "2"] || numbers == ["0", "1", "2", "3"], "{output:?}");
}

#[test]
fn a_program_of_the_hosts_runs_as_the_user_that_is_named() {
    let sandbox = Sandbox::start();
    let exec = Exec { user: Some("65534:65534".to_owned()), ..script("id -u") };
    let mut client = sandbox.request(run(program::GIT, exec));
    client.expect_started();
    assert_eq!(client.finish().stdout, "65534\n");
}

#[test]
fn programs_that_the_host_has_not_given_are_refused_and_none_runs_in_the_background() {
    let sandbox = Sandbox::start();
    assert_eq!(sandbox.refused(run("hg", script("true"))).kind, ErrorKind::UnknownProgram);
    let background = Some(Background { id: "x".into(), retain_bytes: None, label: None, spool_bytes: None });
    let exec = Exec { background, ..script("true") };
    assert_eq!(sandbox.refused(run(program::GIT, exec)).kind, ErrorKind::BadRequest);
}
