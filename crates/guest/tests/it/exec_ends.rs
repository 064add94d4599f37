//! How execs end: by themselves, by time, by the host's going, and with processes left behind.

use std::sync::atomic::{AtomicUsize, Ordering};

use lazaret_protocol::{Exec, ExitStatus, RequestBody};

use crate::support::{Event, Sandbox, exec, sh, until};

/// Descriptors of an idle guest: the standard three, the listener, the git program, `/dev/null`, and `/proc` twice.
const IDLE_DESCRIPTORS: usize = 8;

fn start(sandbox: &Sandbox, exec: Exec) -> (crate::support::Client, u32) {
    let mut client = sandbox.request(RequestBody::Exec(Box::new(exec)));
    let pid = client.expect_started();
    (client, pid)
}

#[test]
fn a_timeout_ends_the_program_and_says_so() {
    let sandbox = Sandbox::start();
    let output = sandbox.run(Exec { timeout_ms: Some(50), ..exec(&["sleep", "1000"]) });
    assert_eq!(output.exited.status, ExitStatus::Signal(15));
    assert!(output.exited.timed_out);
    let output = sandbox.run(Exec { timeout_ms: Some(10_000), ..exec(&["true"]) });
    assert!(!output.exited.timed_out);
}

#[test]
fn a_program_that_ignores_sigterm_is_killed_with_its_children() {
    let sandbox = Sandbox::start();
    let script =
        "trap '' TERM; (trap '' TERM; echo child; while :; do sleep 0.1; done) & echo $!; wait; wait";
    let request = Exec { timeout_ms: Some(200), kill_grace_ms: Some(50), ..sh(script) };
    let output = sandbox.run(request);
    assert_eq!(output.exited.status, ExitStatus::Signal(9));
    assert!(output.exited.timed_out);
    let child = output.stdout.lines().find_map(|line| line.parse().ok()).expect("the child's pid");
    sandbox.wait_until_gone(child);
}

#[test]
fn other_process_groups_of_the_session_die_with_a_program_that_is_ended() {
    let sandbox = Sandbox::start();
    // With -m every job has a group of its own, which a signal to the shell's group does not reach.
    let script = "sleep 1000 & echo $!; sleep 1001";
    let request =
        Exec { timeout_ms: Some(300), kill_grace_ms: Some(0), ..exec(&["bash", "-m", "-c", script]) };
    let output = sandbox.run(request);
    let job = output.stdout.trim().parse().expect("the job's pid");
    sandbox.wait_until_gone(job);
}

#[test]
fn a_program_that_closes_its_output_lives_on() {
    let sandbox = Sandbox::start();
    let output = sandbox.run(sh("echo early; exec >&- 2>&-; sleep 0.3; exit 7"));
    assert_eq!((output.stdout.as_str(), output.exited.status), ("early\n", ExitStatus::Code(7)));
    assert!(output.exited.duration_us >= 300_000);
}

#[test]
fn a_daemon_that_keeps_the_output_open_does_not_keep_the_exec() {
    let sandbox = Sandbox::start();
    let output = sandbox.run(sh("setsid sleep 1000 & echo $!; echo done"));
    assert!(output.stdout.ends_with("done\n"), "{output:?}");
    assert_eq!(output.exited.status, ExitStatus::Code(0));
    assert!(!output.exited.truncated);
    let daemon = output.stdout.lines().next().expect("a pid");
    assert_eq!(sandbox.sh(&format!("cut -d' ' -f3 /proc/{daemon}/stat")), "S", "the daemon lives on");
}

#[test]
fn a_daemon_that_prints_for_ever_does_not_keep_the_exec_either() {
    let sandbox = Sandbox::start();
    let output = sandbox.run(sh("yes & exit 6"));
    assert_eq!(output.exited.status, ExitStatus::Code(6));
    assert!(output.exited.truncated, "its output was cut");
}

#[test]
fn everything_the_program_wrote_arrives_however_slowly_it_is_read() {
    let sandbox = Sandbox::start();
    let (mut client, pid) = start(&sandbox, sh("head -c 1000000 /dev/zero; exit 2"));
    // The host reads nothing until the program is blocked, and again when it has long ended.
    until("the program to block", || {
        (sandbox.sh(&format!("cut -d' ' -f3 /proc/{pid}/stat")) != "R").then_some(())
    });
    let output = client.finish();
    assert_eq!((output.stdout.len(), output.exited.status), (1_000_000, ExitStatus::Code(2)));
    assert!(!output.exited.truncated);
}

#[test]
fn what_is_left_in_a_large_pipe_arrives_after_the_end() {
    let sandbox = Sandbox::start();
    // A megabyte fits into the pipe that this program makes of its output, so it ends before anything is read.
    let script = "import fcntl,os; fcntl.fcntl(1, 1031, 1 << 20); os.write(1, b'x' * (1 << 20))";
    let (mut client, pid) = start(&sandbox, exec(&["python3", "-c", script]));
    sandbox.wait_until_gone(pid);
    let output = client.finish();
    assert_eq!((output.stdout.len(), output.exited.truncated), (1 << 20, false), "{}", output.stderr);
}

#[test]
fn a_host_that_goes_takes_the_program_with_it() {
    let sandbox = Sandbox::start();
    let (client, pid) = start(&sandbox, sh("trap 'exit 0' TERM; while :; do sleep 0.05; done"));
    drop(client);
    sandbox.wait_until_gone(pid);
}

#[test]
fn a_host_that_goes_takes_a_program_that_ignores_sigterm_too() {
    let sandbox = Sandbox::start();
    let request = Exec { kill_grace_ms: Some(50), ..sh("trap '' TERM HUP; while :; do sleep 0.05; done") };
    let (client, pid) = start(&sandbox, request);
    drop(client);
    sandbox.wait_until_gone(pid);
}

#[test]
fn a_host_that_goes_takes_a_program_that_prints_for_ever() {
    let sandbox = Sandbox::start();
    let (mut client, pid) = start(&sandbox, exec(&["yes"]));
    assert!(matches!(client.expect(), Event::Stdout(_)));
    drop(client);
    sandbox.wait_until_gone(pid);
}

#[test]
fn a_host_that_goes_before_the_answer_leaves_nothing() {
    let sandbox = Sandbox::start();
    for _ in 0..20 {
        drop(sandbox.request(RequestBody::Exec(Box::new(exec(&["sleep", "12345"])))));
    }
    until("all of them to be gone", || {
        (sandbox.sh("grep -lz '[1]2345' /proc/[0-9]*/cmdline | wc -l") == "0").then_some(())
    });
}

#[test]
fn orphans_are_reaped() {
    let sandbox = Sandbox::start();
    // Each leaves an orphan that ends after its parent.
    for _ in 0..20 {
        sandbox.sh("(sleep 0.05 &)");
    }
    until("every orphan to be reaped", || {
        let states = sandbox.sh("cat /proc/[0-9]*/stat 2>/dev/null | cut -d')' -f2 | cut -d' ' -f2");
        (!states.contains('Z') && states.lines().count() <= 5).then_some(())
    });
}

#[test]
fn a_storm_of_execs_is_answered_in_full() {
    let sandbox = Sandbox::start();
    let finished = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for worker in 0..16 {
            let (sandbox, finished) = (&sandbox, &finished);
            scope.spawn(move || {
                for turn in 0..25 {
                    let code = u8::try_from((worker * 25 + turn) % 200).expect("below 200");
                    let output = sandbox.run(sh(&format!("echo {turn}; exit {code}")));
                    assert_eq!(output.stdout, format!("{turn}\n"));
                    assert_eq!(output.exited.status, ExitStatus::Code(code));
                    finished.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!(finished.into_inner(), 16 * 25);
    let guest = sandbox.guest_pid();
    until("the guest to have no child", || {
        let threads = std::fs::read_dir(format!("/proc/{guest}/task")).ok()?;
        let children = threads
            .flatten()
            .map(|thread| std::fs::read_to_string(thread.path().join("children")).unwrap_or_default());
        children.collect::<String>().is_empty().then_some(())
    });
    // Descriptors as well: those of an idle guest, whatever it went through.
    until("the guest to have closed what it opened", || {
        let open = std::fs::read_dir(format!("/proc/{guest}/fd")).ok()?.count();
        (open == IDLE_DESCRIPTORS).then_some(())
    });
}
