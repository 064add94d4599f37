//! Conversations with servers that do as they should, and with such that do not.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::{any, proptest};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::connection::Connection;
use super::frame::{Decoder, frame};
use super::message;
use crate::{
    Error, ExecEvent, ExecExit, ExecInput, ExecOutput, ExecSession, Limit, Result, UpstreamProblem, limits,
};

const PATIENCE: Duration = limits::LANGUAGE_PATIENCE;

/// The server's side of a connection.
struct Program {
    inputs: mpsc::Receiver<ExecInput>,
    events: mpsc::Sender<Result<ExecEvent>>,
    decoder: Decoder,
}

fn connected() -> (Connection, Program) {
    let (input, inputs) = mpsc::channel(1);
    let (events, output) = mpsc::channel(1);
    let connection = Connection::over("pylsp", ExecSession::new(1, input, output));
    (connection, Program { inputs, events, decoder: Decoder::default() })
}

impl Program {
    /// The next message from the client; `None` if it is gone.
    async fn hear(&mut self) -> Option<Value> {
        loop {
            if let Some(content) = self.decoder.next().expect("frames") {
                return Some(serde_json::from_slice(&content).expect("JSON"));
            }
            match self.inputs.recv().await? {
                ExecInput::Stdin(bytes) => self.decoder.push(&bytes),
                other => panic!("{other:?} is not expected"),
            }
        }
    }

    async fn say(&self, message: &Value) {
        self.print(&frame(message.to_string().as_bytes())).await;
    }

    async fn print(&self, bytes: &[u8]) {
        self.send(ExecEvent::Stdout(bytes.to_vec().into())).await;
    }

    async fn send(&self, event: ExecEvent) {
        // A client that has heard enough is gone.
        let _ = self.events.send(Ok(event)).await;
    }

    async fn exit(&self) {
        let exit = ExecExit::Code(1);
        let duration = Duration::ZERO;
        let output = ExecOutput { exit, timed_out: false, oom: false, truncated: false, duration };
        self.send(ExecEvent::Exited(output)).await;
    }
}

async fn ask(connection: &Connection) -> Result<String> {
    connection.ask("a/question", &json!({}), PATIENCE).await
}

/// The public sentence of what went wrong.
fn told(result: Result<String>) -> String {
    result.map_or_else(|error| error.to_string(), |answer| format!("no error but {answer}"))
}

#[tokio::test]
async fn answers_reach_whoever_asked_in_any_order() {
    let (connection, mut program) = connected();
    let serve = async {
        let (first, second) = (program.hear().await.expect("one"), program.hear().await.expect("two"));
        for question in [second, first] {
            program.say(&json!({"id": question["id"], "result": question["params"]})).await;
        }
    };
    let ask = |params| {
        let connection = &connection;
        async move { connection.ask("a/question", &params, PATIENCE).await.expect("an answer") }
    };
    let (first, second, ()) = tokio::join!(ask(json!({"a": 1})), ask(json!({"b": 2})), serve);
    assert_eq!((first.as_str(), second.as_str()), (r#"{"a":1}"#, r#"{"b":2}"#));
}

#[tokio::test]
async fn a_server_that_asks_first_is_answered_before_it_answers() {
    let (connection, mut program) = connected();
    let serve = async {
        let question = program.hear().await.expect("the question");
        program
            .say(&json!({"id": "mine", "method": "workspace/configuration", "params": {"items": [{}]}}))
            .await;
        let reply = program.hear().await.expect("the reply");
        assert_eq!(reply, json!({"jsonrpc": "2.0", "id": "mine", "result": [null]}));
        program.say(&json!({"method": "window/logMessage", "params": {"message": "hm"}})).await;
        program.say(&json!({"id": question["id"], "result": true})).await;
    };
    let (answer, ()) = tokio::join!(ask(&connection), serve);
    assert_eq!(answer.expect("an answer"), "true");
}

#[tokio::test]
async fn a_complaint_is_told_with_what_was_asked_and_the_server_goes_on() {
    let (connection, mut program) = connected();
    let serve = async {
        let question = program.hear().await.expect("a question");
        let error = json!({"code": -32601, "message": "never heard of it"});
        program.say(&json!({"id": question["id"], "error": error})).await;
    };
    let (answer, ()) = tokio::join!(ask(&connection), serve);
    let want = "the language server pylsp, asked for a/question ('never heard of it'): answers with an error";
    assert_eq!(told(answer), want);
    assert!(!connection.is_over());
}

#[tokio::test]
async fn nonsense_ends_the_server_and_is_told_to_all_who_wait_and_all_who_come() {
    let too_long = format!("Content-Length: {}\r\n\r\n", limits::LANGUAGE_FRAME_MAX_BYTES + 1);
    for nonsense in [
        b"Hello, I am your language server.\r\n\r\n".to_vec(),
        too_long.into_bytes(),
        frame(b"[]").to_vec(),
        frame(br#"{"id":99,"result":1}"#).to_vec(),
        frame(br#"{"id":"1","result":1}"#).to_vec(),
        vec![b'x'; limits::LANGUAGE_HEADER_MAX_BYTES],
    ] {
        let (connection, mut program) = connected();
        let serve = async {
            program.hear().await.expect("a question");
            program.print(&nonsense).await;
        };
        let (answer, ()) = tokio::join!(ask(&connection), serve);
        let want = "the language server pylsp: does not speak the protocol";
        assert_eq!(told(answer), want, "{}", String::from_utf8_lossy(&nonsense));
        assert_eq!(told(ask(&connection).await), want);
        assert!(connection.is_over());
        // The session is dropped, which is what ends the program.
        program.events.closed().await;
        assert_eq!(program.hear().await, None);
    }
}

#[tokio::test]
async fn a_server_that_asks_without_end_and_never_reads_is_ended() {
    let (connection, program) = connected();
    let question = frame(br#"{"id":1,"method":"workspace/workspaceFolders"}"#);
    while !connection.is_over() {
        program.print(&question).await;
    }
    assert_eq!(told(ask(&connection).await), "the language server pylsp: does not speak the protocol");
}

#[tokio::test]
async fn a_server_that_talks_without_end_is_ended_however_it_does_so() {
    let remark = frame(format!(r#"{{"method":"a/remark","params":"{}"}}"#, "x".repeat(1 << 20)).as_bytes());
    for event in [ExecEvent::Stdout(remark.clone()), ExecEvent::Stderr(remark)] {
        let (connection, program) = connected();
        let say = async || {
            for _ in 0..(limits::LANGUAGE_UNASKED_MAX_BYTES >> 20) - 2 {
                program.events.send(Ok(event.clone())).await.expect("a client that still listens");
            }
        };
        say().await;
        // One that is spoken with may say as much again.
        connection.tell("a/thing", &json!({}), PATIENCE).await.expect("it runs");
        say().await;
        assert!(!connection.is_over());
        while !connection.is_over() {
            program.send(event.clone()).await;
        }
        assert_eq!(told(ask(&connection).await), "the language server pylsp: does not speak the protocol");
    }
}

#[tokio::test]
async fn a_server_that_exits_is_told_of_with_its_last_words() {
    let (connection, mut program) = connected();
    let serve = async {
        program.hear().await.expect("a question");
        let last = [b"x".repeat(9_000), b"\nNo module named 'jedi'\x1b\n \n".to_vec()].concat();
        program.send(ExecEvent::Stderr(last.into())).await;
        program.exit().await;
    };
    let (answer, ()) = tokio::join!(ask(&connection), serve);
    assert_eq!(told(answer), "the language server pylsp ('No module named 'jedi''): has ended");
    let later = connection.tell("a/thing", &json!({}), PATIENCE).await;
    assert!(matches!(later, Err(Error::Upstream { problem: UpstreamProblem::Ended, .. })), "{later:?}");
}

#[tokio::test]
async fn a_guest_that_breaks_off_is_not_taken_for_a_server_that_ended() {
    let (connection, program) = connected();
    drop(program);
    let answer = ask(&connection).await;
    assert!(matches!(answer, Err(Error::Unavailable { .. })), "{answer:?}");
}

#[tokio::test(start_paused = true)]
async fn a_silent_server_costs_its_askers_only_their_patience() {
    let (connection, mut program) = connected();
    let serve = async {
        let question = program.hear().await.expect("a question");
        // Who asked has given up by the time that this comes.
        let cancelled = program.hear().await.expect("a cancellation");
        assert_eq!(
            (&cancelled["method"], &cancelled["params"]["id"]),
            (&json!("$/cancelRequest"), &question["id"])
        );
        program.say(&json!({"id": question["id"], "result": 1})).await;
    };
    let (answer, ()) = tokio::join!(ask(&connection), serve);
    assert_eq!(told(answer), "the language server pylsp, asked for a/question: stopped sending");
    assert!(!connection.is_over(), "a late answer is no nonsense");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_read_takes_no_more_than_one_message() {
    let (connection, _program) = connected();
    // What fits: one in the session, one with the writer, one that waits.
    for _ in 0..3 {
        connection.tell("a/thing", &json!({}), PATIENCE).await.expect("room");
    }
    let told = connection.tell("a/thing", &json!({}), PATIENCE).await.map_err(|error| error.to_string());
    let want = "the language server pylsp, which does not read its input: stopped sending";
    assert_eq!(told, Err(want.to_owned()));
}

#[tokio::test]
async fn so_many_questions_wait_and_no_more() {
    let (connection, mut program) = connected();
    let mut asked: Vec<_> = (0..limits::LANGUAGE_REQUESTS_MAX).map(|_| Box::pin(ask(&connection))).collect();
    for question in &mut asked {
        assert!(futures_util::poll!(question.as_mut()).is_pending());
    }
    let refused = ask(&connection).await;
    assert!(matches!(refused, Err(Error::LimitReached(Limit::LanguageRequests))), "{refused:?}");
    // Who hangs up makes room.
    drop(asked);
    let serve = async {
        loop {
            let heard = program.hear().await.expect("a message");
            if heard["params"] == json!({"last": true}) {
                program.say(&json!({"id": heard["id"], "result": "done"})).await;
                break;
            }
        }
    };
    let last = json!({"last": true});
    let (answer, ()) = tokio::join!(connection.ask("a/question", &last, PATIENCE), serve);
    assert_eq!(answer.expect("an answer"), r#""done""#);
}

#[tokio::test]
async fn a_server_is_asked_to_end_before_it_is_ended() {
    let (connection, mut program) = connected();
    let serve = async {
        let shutdown = program.hear().await.expect("a question");
        assert_eq!(shutdown["method"], "shutdown");
        program.say(&json!({"id": shutdown["id"], "result": null})).await;
        assert_eq!(program.hear().await.expect("the exit")["method"], "exit");
        program.exit().await;
    };
    tokio::join!(std::sync::Arc::new(connection).close(), serve);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_end_when_asked_is_ended() {
    let (connection, mut program) = connected();
    let deaf = async {
        while program.hear().await.is_some() {}
        program.events.closed().await;
    };
    tokio::join!(std::sync::Arc::new(connection).close(), deaf);
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_read_to_their_end_or_are_nonsense(bytes in vec(any::<u8>(), 0..2_000), json in ".{0,200}") {
        let mut decoder = Decoder::default();
        for bytes in [bytes.clone(), frame(&bytes).to_vec(), frame(json.as_bytes()).to_vec()] {
            decoder.push(&bytes);
            while let Ok(Some(content)) = decoder.next() {
                // A message or nonsense, and no panic.
                drop(message::read(&content));
            }
        }
    }
}
