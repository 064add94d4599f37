//! What a program is given, and what comes back.

use std::os::unix::fs::PermissionsExt;

use lazaret_protocol::{ByteString, ErrorKind, Exec, ExitStatus, HostMessage, RequestBody};

use crate::support::{Event, Sandbox, exec, sh, until};

#[test]
fn both_streams_and_the_exit_code_come_back() {
    let sandbox = Sandbox::start();
    let output = sandbox.run(sh("echo out; echo err >&2; exit 3"));
    assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("out\n", "err\n"));
    assert_eq!(output.exited.status, ExitStatus::Code(3));
    assert!(!output.exited.timed_out && !output.exited.truncated);
    assert!(output.exited.duration_us > 0);
}

#[test]
fn a_death_by_signal_is_no_exit_code() {
    let sandbox = Sandbox::start();
    assert_eq!(sandbox.run(sh("kill -SEGV $$")).exited.status, ExitStatus::Signal(11));
    assert_eq!(sandbox.run(sh("exit 139")).exited.status, ExitStatus::Code(139));
}

#[test]
fn standard_input_arrives_and_ends() {
    let sandbox = Sandbox::start();
    let mut client = sandbox.exec(Exec { stdin: true, ..exec(&["cat"]) });
    client.send(&HostMessage::Stdin(b"one "));
    assert_eq!(client.expect(), Event::Stdout(b"one ".to_vec()));
    client.send(&HostMessage::Stdin(b"two"));
    client.send(&HostMessage::StdinEnd);
    assert_eq!(client.finish().stdout, "two");
}

#[test]
fn more_standard_input_than_a_pipe_holds_arrives_whole() {
    let sandbox = Sandbox::start();
    let mut client = sandbox.exec(Exec { stdin: true, ..sh("sleep 0.2; wc -c") });
    for _ in 0..40 {
        client.send(&HostMessage::Stdin(&[b'x'; 65_536]));
    }
    client.send(&HostMessage::StdinEnd);
    assert_eq!(client.finish().stdout.trim(), (40 * 65_536).to_string());
}

#[test]
fn input_that_nobody_reads_does_no_harm() {
    let sandbox = Sandbox::start();
    let mut client = sandbox.exec(Exec { stdin: true, ..sh("exec <&-; sleep 0.1; exit 5") });
    for _ in 0..4 {
        client.send(&HostMessage::Stdin(&[b'x'; 65_536]));
    }
    assert_eq!(client.finish().exited.status, ExitStatus::Code(5));
}

#[test]
fn without_standard_input_there_is_nothing_to_read() {
    let sandbox = Sandbox::start();
    assert_eq!(sandbox.run(sh("wc -c")).stdout.trim(), "0");
}

#[test]
fn working_directory_environment_and_user_are_as_asked() {
    let sandbox = Sandbox::start();
    let request = Exec {
        cwd: Some("/usr".into()),
        user: Some("nobody".into()),
        env: vec!["PATH=/usr/bin:/bin".into(), "GREETING=hello world".into()],
        ..sh("pwd; id -u; id -g; id -G; echo $GREETING; echo $HOME; umask")
    };
    let output = sandbox.run(request);
    assert_eq!(output.stdout, "/usr\n65534\n65534\n65534\nhello world\n/nonexistent\n0022\n", "{output:?}");
}

#[test]
fn a_user_by_number_needs_no_entry() {
    let sandbox = Sandbox::start();
    let request = Exec { user: Some("54321:54322".into()), ..sh("id -u; id -g; id -G") };
    assert_eq!(sandbox.run(request).stdout, "54321\n54322\n54322\n");
}

#[test]
fn a_user_may_reopen_its_own_standard_output() {
    let sandbox = Sandbox::start();
    let request = Exec { user: Some("nobody".into()), ..sh("echo hello > /dev/stdout") };
    assert_eq!(sandbox.run(request).stdout, "hello\n");
}

#[test]
fn a_program_inherits_three_descriptors_and_no_capability() {
    let sandbox = Sandbox::start();
    // `ls` itself opens the directory, as the lowest free number.
    assert_eq!(sandbox.run(exec(&["ls", "/proc/self/fd"])).stdout, "0\n1\n2\n3\n");
    let status =
        sandbox.run(exec(&["grep", "-E", "CapInh|CapAmb|SigBlk|SigIgn", "/proc/self/status"])).stdout;
    for line in status.lines() {
        assert!(line.ends_with("\t0000000000000000"), "{status}");
    }
    assert_eq!(status.lines().count(), 4);
    let user = Exec { user: Some("nobody".into()), ..exec(&["grep", "CapEff", "/proc/self/status"]) };
    assert_eq!(sandbox.run(user).stdout, "CapEff:\t0000000000000000\n");
}

#[test]
fn why_a_program_does_not_start_is_told() {
    let sandbox = Sandbox::start();
    let plain = sandbox.path("plain");
    let orphan = sandbox.path("orphan");
    let garbage = sandbox.path("garbage");
    std::fs::write(&plain, "#!/bin/sh\n").expect("a file");
    std::fs::write(&orphan, "#!/no/such/interpreter\n").expect("a file");
    std::fs::write(&garbage, [0_u8; 64]).expect("a file");
    for path in [&orphan, &garbage] {
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).expect("permissions");
    }
    let nobody = Exec { user: Some("nobody".into()), ..exec(&["true"]) };
    let cases = [
        (exec(&["no-such-program"]), ErrorKind::CommandNotFound, "no-such-program"),
        (exec(&["/no/such/program"]), ErrorKind::CommandNotFound, "/no/such/program"),
        (exec(&["/etc/passwd/x"]), ErrorKind::CommandNotFound, "/etc/passwd/x"),
        (exec(&[&plain]), ErrorKind::NotExecutable, &plain),
        (exec(&["/tmp"]), ErrorKind::NotExecutable, "/tmp"),
        (exec(&[&garbage]), ErrorKind::NotExecutable, &garbage),
        (exec(&[&orphan]), ErrorKind::InterpreterNotFound, &orphan),
        (Exec { cwd: Some("/no/such".into()), ..exec(&["true"]) }, ErrorKind::BadCwd, "/no/such"),
        (Exec { cwd: Some("/etc/passwd".into()), ..exec(&["true"]) }, ErrorKind::BadCwd, "/etc/passwd"),
        (Exec { cwd: Some("/root".into()), ..nobody }, ErrorKind::BadCwd, "/root"),
        (Exec { user: Some("eve".into()), ..exec(&["true"]) }, ErrorKind::UnknownUser, ""),
        (Exec { user: Some("root:eves".into()), ..exec(&["true"]) }, ErrorKind::UnknownUser, ""),
        (exec(&["true", &"x".repeat(200_000)]), ErrorKind::BadArguments, ""),
        (exec(&["tr\0ue"]), ErrorKind::BadArguments, ""),
    ];
    for (request, kind, path) in cases {
        let failure = sandbox.refused(RequestBody::Exec(Box::new(request.clone())));
        assert_eq!(failure.kind, kind, "{request:?}: {failure:?}");
        let got = failure.path.unwrap_or_default();
        assert_eq!(got, ByteString::from(path), "{request:?}");
    }
}

#[test]
fn a_later_directory_of_the_path_is_tried_when_an_earlier_file_is_not_executable() {
    let sandbox = Sandbox::start();
    std::fs::write(sandbox.path("true"), "not executable").expect("a file");
    let path = format!("PATH={}:/usr/bin:/bin", sandbox.directory().display());
    let output = sandbox.run(Exec { env: vec![path.into()], ..exec(&["true"]) });
    assert_eq!(output.exited.status, ExitStatus::Code(0));
}

#[test]
fn output_past_the_limit_is_dropped_and_the_program_goes_on() {
    let sandbox = Sandbox::start();
    let script = "head -c 3000000 /dev/zero | tr '\\0' x; echo end >&2; exit 4";
    let output = sandbox.run(Exec { output_limit_bytes: Some(100_000), ..sh(script) });
    assert_eq!(output.stdout.len() + output.stderr.len(), 100_000);
    assert_eq!(output.exited.status, ExitStatus::Code(4));
    assert!(output.exited.truncated);
    let exact = sandbox.run(Exec { output_limit_bytes: Some(5), ..sh("printf 12345") });
    assert_eq!((exact.stdout.as_str(), exact.exited.truncated), ("12345", false));
}

#[test]
fn a_host_that_does_not_read_makes_the_program_wait() {
    let sandbox = Sandbox::start();
    let mut client = sandbox.request(RequestBody::Exec(Box::new(exec(&["yes"]))));
    let pid = client.expect_started();
    // `yes` never sleeps of its own accord: asleep means blocked in write.
    until("the program to block", || {
        (sandbox.sh(&format!("cut -d' ' -f3 /proc/{pid}/stat")) == "S").then_some(())
    });
    client.signal(15);
    assert_eq!(client.finish().exited.status, ExitStatus::Signal(15));
}

#[test]
fn signals_reach_the_program() {
    let sandbox = Sandbox::start();
    let mut client =
        sandbox.exec(sh("trap 'echo got; exit 9' USR1; echo ready; while :; do sleep 0.05; done"));
    client.read_until("ready");
    client.signal(10);
    let output = client.finish();
    assert_eq!((output.stdout.as_str(), output.exited.status), ("got\n", ExitStatus::Code(9)));
}

#[test]
fn a_real_time_signal_reaches_the_program_and_a_number_past_them_ends_the_connection() {
    let sandbox = Sandbox::start();
    let mut client = sandbox.exec(exec(&["sleep", "1000"]));
    client.signal(40);
    assert_eq!(client.finish().exited.status, ExitStatus::Signal(40));
    let mut client = sandbox.request(RequestBody::Exec(Box::new(exec(&["sleep", "1000"]))));
    let pid = client.expect_started();
    client.signal(65);
    assert_eq!(client.next(), None);
    sandbox.wait_until_gone(pid);
}

#[test]
fn arguments_need_not_be_text() {
    let sandbox = Sandbox::start();
    let mut request = exec(&["printf", "%s"]);
    request.argv.push(ByteString(vec![0xff, 0xfe]));
    let mut client = sandbox.exec(request);
    assert_eq!(client.expect(), Event::Stdout(vec![0xff, 0xfe]));
}

#[test]
fn standard_error_can_go_with_standard_output_in_the_order_of_writing() {
    let sandbox = Sandbox::start();
    let script = "for i in 1 2 3 4 5 6 7 8 9; do echo $i; echo -$i >&2; done";
    let output = sandbox
        .run(lazaret_protocol::Exec { stderr: Some(lazaret_protocol::Stderr::WithStdout), ..sh(script) });
    let want: String = (1..10).map(|i| format!("{i}\n-{i}\n")).collect();
    assert_eq!((output.stdout, output.stderr), (want, String::new()));
}
