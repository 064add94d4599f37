//! Programs on a terminal.

use lazaret_protocol::{Exec, ExitStatus, HostMessage, RequestBody, Tty};

use crate::support::{Sandbox, exec, sh};

fn on_terminal(exec: Exec) -> Exec {
    Exec { tty: Some(Tty { rows: 30, columns: 100, term: Some("vt100".into()) }), ..exec }
}

#[test]
fn a_terminal_has_the_size_the_name_and_the_owner_that_were_asked_for() {
    let sandbox = Sandbox::start();
    let script = "stty size; echo $TERM; test -t 0 && test -t 1 && test -t 2 && echo all; stat -c %U $(tty)";
    let output = sandbox.run(on_terminal(Exec { user: Some("nobody".into()), ..sh(script) }));
    assert_eq!(output.stdout, "30 100\r\nvt100\r\nall\r\nnobody\r\n");
    assert_eq!(output.stderr, "");
}

#[test]
fn a_new_size_is_told_to_the_program() {
    let sandbox = Sandbox::start();
    let script = "trap 'stty size; exit' WINCH; echo ready; while :; do sleep 0.05; done";
    let mut client = sandbox.exec(on_terminal(exec(&["bash", "-c", script])));
    client.read_until("ready");
    client.resize(51, 132);
    assert!(client.finish().stdout.contains("51 132"));
}

#[test]
fn an_interactive_shell_runs_what_is_typed_and_ends_with_control_d() {
    let sandbox = Sandbox::start();
    let mut client = sandbox.exec(on_terminal(exec(&["sh", "-i"])));
    client.send(&HostMessage::Stdin(b"echo $((40 + 2)) typed\n"));
    client.read_until("42 typed");
    client.send(&HostMessage::Stdin(b"exit 12\n"));
    assert_eq!(client.finish().exited.status, ExitStatus::Code(12));
    let mut client = sandbox.exec(on_terminal(exec(&["cat"])));
    client.send(&HostMessage::Stdin(b"line\n"));
    client.read_until("line\r\nline\r\n");
    client.send(&HostMessage::StdinEnd);
    assert_eq!(client.finish().exited.status, ExitStatus::Code(0));
}

#[test]
fn control_c_interrupts_the_foreground_program() {
    let sandbox = Sandbox::start();
    // A shell that is interrupted between two commands goes on, so it has to say what it does.
    let script = "trap 'exit 33' INT; echo ready; while :; do sleep 0.05; done";
    let mut client = sandbox.exec(on_terminal(sh(script)));
    client.read_until("ready");
    client.send(&HostMessage::Stdin(b"\x03"));
    assert_eq!(client.finish().exited.status, ExitStatus::Code(33));
}

#[test]
fn all_output_of_a_terminal_arrives_before_its_end() {
    let sandbox = Sandbox::start();
    for _ in 0..10 {
        let output = sandbox.run(on_terminal(sh("seq 1 20000")));
        assert!(
            output.stdout.ends_with("\r\n20000\r\n"),
            "...{}",
            &output.stdout[output.stdout.len() - 30..]
        );
        assert_eq!(output.stdout.lines().count(), 20_000);
    }
}

#[test]
fn an_interactive_shell_ends_when_the_host_goes() {
    let sandbox = Sandbox::start();
    let mut client = sandbox.request(RequestBody::Exec(Box::new(on_terminal(exec(&["bash", "-i"])))));
    let pid = client.expect_started();
    // The quotes keep the echo of what is typed from looking like what it prints.
    client.send(&HostMessage::Stdin(b"sleep 1000 & echo job $! 'do''ne'\n"));
    let text = client.read_until(" done");
    let job = text.split(" done").next().and_then(|text| text.rsplit("job ").next());
    let job = job.and_then(|pid| pid.parse().ok());
    let job = job.unwrap_or_else(|| panic!("no job in {text:?}"));
    drop(client);
    sandbox.wait_until_gone(pid);
    sandbox.wait_until_gone(job);
}
