//! `run` and `exec`: streams, codes, signals, and what becomes of the sandbox.

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::Child;

use crate::fake::{Fake, ID};
use crate::program::{Outcome, command, finish, run, run_with_input, wait_for_output};

fn signal(child: &Child, signal: Signal) {
    let pid = i32::try_from(child.id().unwrap()).unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
}

#[tokio::test]
async fn both_streams_and_the_code_come_through_and_rm_deletes_the_sandbox() {
    let fake = Fake::start().await;
    let outcome = run(&fake, &["run", "--rm", "--", "both"]).await;
    let want = Outcome { code: 3, stdout: (0..=255).collect(), stderr: "to stderr".to_owned() };
    assert_eq!(outcome, want);
    let paths = [
        "POST sandboxes".to_owned(),
        format!("GET sandboxes/{ID}/exec/ws"),
        format!("DELETE sandboxes/{ID}"),
    ];
    assert_eq!(fake.paths(), paths);
}

#[tokio::test]
async fn without_rm_the_sandbox_is_stopped_at_once_and_kept() {
    let fake = Fake::start().await;
    assert_eq!(run(&fake, &["run", "both"]).await.code, 3);
    let (method, path, body) = fake.seen().pop().unwrap();
    assert_eq!(
        (method.as_str(), path, body),
        ("POST", format!("sandboxes/{ID}/stop"), r#"{"grace_ms":0}"#.into())
    );
}

#[tokio::test]
async fn standard_input_is_sent_to_its_end() {
    let fake = Fake::start().await;
    let input: Vec<u8> = (0..3_000_000_u32).flat_map(u32::to_le_bytes).collect();
    let outcome = run_with_input(&fake, &["exec", "-i", "box", "cat"], &input).await;
    assert_eq!((outcome.code, outcome.stdout == input, outcome.stderr.as_str()), (0, true, ""));
}

#[tokio::test]
async fn the_first_signal_is_passed_on_and_the_second_kills() {
    let fake = Fake::start().await;
    let mut child = command(&fake, &["run", "--rm", "wait"]).spawn().unwrap();
    wait_for_output(&mut child, "ready\n").await;
    signal(&child, Signal::INT);
    wait_for_output(&mut child, "{\"signal\":2,\"type\":\"signal\"}\n").await;
    signal(&child, Signal::TERM);
    assert_eq!(finish(child).await.code, 137);
    assert_eq!(fake.paths().pop(), Some(format!("DELETE sandboxes/{ID}")));
}

#[tokio::test]
async fn a_server_that_does_not_report_the_kill_is_not_waited_for() {
    let fake = Fake::start().await;
    let mut child = command(&fake, &["run", "--rm", "deaf"]).spawn().unwrap();
    wait_for_output(&mut child, "ready\n").await;
    signal(&child, Signal::INT);
    // Two of the same kind that come at once are one to the kernel, so the second is of another.
    signal(&child, Signal::TERM);
    let outcome = finish(child).await;
    assert_eq!((outcome.code, outcome.stderr.as_str()), (137, "killed; its end was not waited for\n"));
    assert_eq!(fake.paths().pop(), Some(format!("DELETE sandboxes/{ID}")));
}

#[tokio::test]
async fn a_reader_that_goes_away_ends_it_quietly() {
    let fake = Fake::start().await;
    let mut child = command(&fake, &["run", "--rm", "flood"]).spawn().unwrap();
    wait_for_output(&mut child, "x").await;
    drop(child.stdout.take());
    assert_eq!(finish(child).await, Outcome { code: 141, stdout: Vec::new(), stderr: String::new() });
    assert_eq!(fake.paths().pop(), Some(format!("DELETE sandboxes/{ID}")));
}

#[tokio::test]
async fn a_program_that_is_not_there_leaves_no_sandbox() {
    let fake = Fake::start().await;
    let outcome = run(&fake, &["run", "nonsense"]).await;
    let want = "error: cannot run nonsense: program not found\n";
    assert_eq!((outcome.code, outcome.stderr.as_str()), (127, want));
    assert_eq!(fake.paths().pop(), Some(format!("DELETE sandboxes/{ID}")));
}

#[tokio::test]
async fn a_connection_that_is_cut_keeps_the_sandbox() {
    let fake = Fake::start().await;
    let outcome = run(&fake, &["run", "vanish"]).await;
    assert_eq!(outcome.code, 125);
    assert!(outcome.stderr.starts_with("error: the connection ended before the command did"), "{outcome:?}");
    assert_eq!(fake.paths().pop(), Some(format!("POST sandboxes/{ID}/stop")));
}

#[tokio::test]
async fn running_out_of_time_has_its_own_code_and_advice() {
    let fake = Fake::start().await;
    let outcome = run(&fake, &["exec", "--timeout", "1s", "box", "slow"]).await;
    let want = "error: the command ran out of time and was killed\nhint: give it more with --timeout\n";
    assert_eq!((outcome.code, outcome.stderr.as_str()), (124, want));
}

#[tokio::test]
async fn an_image_that_names_no_command_needs_one() {
    let fake = Fake::start().await;
    let outcome = run(&fake, &["run"]).await;
    let want = "error: there is no command to run: the image host names none\n\
                hint: put one at the end, such as: lazaret run -it -- sh\n";
    assert_eq!((outcome.code, outcome.stderr.as_str()), (125, want));
    assert_eq!(fake.paths().pop(), Some(format!("DELETE sandboxes/{ID}")));
}
