//! A terminal over a WebSocket.
//!
//! ```text
//!   client                              server
//!                                  ◀──  text   {"type":"control","status":"connected"}
//!   binary or text: input          ──▶
//!                                  ◀──  binary: output
//!                                  ◀──  text   {"type":"control","status":"exited","exitCode":7,...}, if that was offered
//!                                  ◀──  close  1000 for 0, else 1011; the reason is {"exitCode":7,...}
//! ```
//!
//! Closing the socket leaves the terminal as it is.

use axum::extract::WebSocketUpgrade;
use axum::extract::ws::{Message, close_code};
use axum::http::HeaderMap;
use axum::response::Response;
use lazaret_core::{Error, ExecEvent, ExecExit, ExecSession};
use serde_json::{Value, json};

use super::asked;
use super::marks::offered;
use crate::web_socket::{Gone, Sink, split};

/// What a client offers that reads how the shell ended.
const EXIT_CONTROL: &str = "X-Daytona-Pty-Exit-Control";
/// What browsers offer as well.
const SDK_VERSION: &str = "X-Daytona-SDK-Version";
/// Largest message of a client: a pasted file fits, a flood does not.
const MESSAGE_MAX_BYTES: usize = 1024 * 1024;

/// Takes a socket, and tells what `session` says or why there is none.
pub(super) fn upgrade(
    upgrade: WebSocketUpgrade,
    headers: &HeaderMap,
    session: Result<ExecSession, Error>,
) -> Response {
    let tells_exit = offered(headers).any(|word| word == EXIT_CONTROL);
    let upgrade = upgrade.max_message_size(MESSAGE_MAX_BYTES).max_frame_size(MESSAGE_MAX_BYTES);
    upgrade.protocols(choose(headers)).on_upgrade(move |socket| async move {
        let (mut sink, incoming) = split(socket);
        match session {
            Ok(session) => {
                let ExecSession { input, events, guard, .. } = session;
                let tell = async {
                    // The end, if the client is still there, is told by whoever is gone.
                    let _ = tell(events, guard, tells_exit, &mut sink).await;
                };
                incoming.beside(tell, Some(input)).await;
            }
            Err(error) => {
                let refuse = async {
                    let _ = fail(&error, &mut sink).await;
                };
                incoming.beside(refuse, None).await;
            }
        }
    })
}

/// The subprotocol to speak: one that was offered, or else a client gives up.
fn choose(headers: &HeaderMap) -> Option<String> {
    let by = |wanted: &str| offered(headers).find(|word| word.starts_with(wanted)).map(str::to_owned);
    by(EXIT_CONTROL).or_else(|| by(SDK_VERSION)).or_else(|| offered(headers).next().map(str::to_owned))
}

async fn tell(
    mut events: tokio::sync::mpsc::Receiver<lazaret_core::Result<ExecEvent>>,
    guard: Option<lazaret_core::services::InUse>,
    tells_exit: bool,
    sink: &mut Sink,
) -> Result<(), Gone> {
    sink.send(control(&json!({"type": "control", "status": "connected"}))).await?;
    loop {
        match events.recv().await {
            Some(Ok(ExecEvent::Stdout(bytes) | ExecEvent::Stderr(bytes))) => {
                sink.send(Message::Binary(bytes)).await?;
            }
            Some(Ok(ExecEvent::Skipped(_))) => {}
            Some(Ok(ExecEvent::Exited(output))) => {
                let end = end(output.exit);
                if tells_exit {
                    let mut told = end.clone();
                    told["type"] = "control".into();
                    told["status"] = "exited".into();
                    sink.send(control(&told)).await?;
                }
                let is_good = output.exit == ExecExit::Code(0);
                sink.close(if is_good { close_code::NORMAL } else { close_code::ERROR }, &end.to_string())
                    .await;
                return Ok(());
            }
            Some(Err(error)) => return fail(&error, sink).await,
            None => return fail(&ExecSession::broken_off(guard.as_ref()).await, sink).await,
        }
    }
}

async fn fail(error: &Error, sink: &mut Sink) -> Result<(), Gone> {
    let message = error.to_string();
    sink.send(control(&json!({"type": "control", "status": "error", "error": message}))).await?;
    sink.close(close_code::ERROR, &message).await;
    Ok(())
}

fn control(value: &Value) -> Message {
    Message::Text(value.to_string().into())
}

fn end(exit: ExecExit) -> Value {
    let code = asked::exit_code(exit);
    match exit {
        ExecExit::Code(0) => json!({"exitCode": code}),
        ExecExit::Code(_) => json!({"exitCode": code, "exitReason": "non-zero exit"}),
        ExecExit::Signal(signal) => {
            json!({"exitCode": code, "exitReason": format!("killed by signal {signal}")})
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_the_offered_subprotocols_is_chosen_in_any_order() {
        let choose = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("sec-websocket-protocol", value.parse().expect("a header"));
            super::choose(&headers)
        };
        let version = "X-Daytona-SDK-Version~0.218.0";
        for (given, want) in [
            (format!("{version}, {EXIT_CONTROL}"), EXIT_CONTROL),
            (format!("{EXIT_CONTROL},X-Daytona-Pty-Envs~e30"), EXIT_CONTROL),
            (format!("X-Daytona-Pty-Envs~e30, {version}"), version),
            ("other".to_owned(), "other"),
        ] {
            assert_eq!(choose(&given).as_deref(), Some(want), "{given}");
        }
        assert_eq!(super::choose(&HeaderMap::new()), None);
    }

    #[test]
    fn an_end_fits_into_the_reason_of_a_close() {
        for (exit, want) in [
            (ExecExit::Code(0), json!({"exitCode": 0})),
            (ExecExit::Code(7), json!({"exitCode": 7, "exitReason": "non-zero exit"})),
            (ExecExit::Signal(9), json!({"exitCode": 137, "exitReason": "killed by signal 9"})),
        ] {
            assert_eq!(end(exit), want);
            assert!(end(exit).to_string().len() < 124);
        }
    }
}
