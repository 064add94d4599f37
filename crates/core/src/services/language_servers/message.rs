//! Messages of JSON-RPC 2.0, and what a server's own requests are answered with. Pure.
//!
//! Only the envelope is read here. What an answer holds stays text, for whoever asked.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::frame::{Nonsense, frame};

/// Longest id of a server's own request, in bytes: it is repeated.
const ID_MAX_BYTES: usize = 256;
/// Settings that one request may ask for.
const ITEMS_MAX: usize = 64;
/// Characters of a complaint that are repeated.
const COMPLAINT_MAX_CHARS: usize = 200;
/// "Method not found" of JSON-RPC.
const METHOD_NOT_FOUND: i32 = -32601;

type Fields = BTreeMap<String, Box<RawValue>>;

/// What a server says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Message {
    /// To the request of this id: JSON, or a complaint.
    Answer(u64, Result<String, String>),
    /// It asks for something; this is the answer.
    Request(Bytes),
    /// It tells of something that nobody here wants to know.
    Notification,
}

/// A request as a frame.
pub(super) fn request(id: u64, method: &str, params: &Value) -> Bytes {
    encoded(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}))
}

/// A notification as a frame.
pub(super) fn notification(method: &str, params: &Value) -> Bytes {
    encoded(&json!({"jsonrpc": "2.0", "method": method, "params": params}))
}

fn encoded(message: &Value) -> Bytes {
    frame(message.to_string().as_bytes())
}

/// Reads a frame's content.
pub(super) fn read(content: &[u8]) -> Result<Message, Nonsense> {
    let mut fields: Fields = serde_json::from_slice(content).map_err(|_| Nonsense::Message)?;
    let id = fields.remove("id").filter(|id| id.get() != "null");
    match (fields.remove("method"), id) {
        (Some(method), id) => {
            let method: String = serde_json::from_str(method.get()).map_err(|_| Nonsense::Message)?;
            let Some(id) = id else { return Ok(Message::Notification) };
            if id.get().len() > ID_MAX_BYTES || !id.get().starts_with(is_id) {
                return Err(Nonsense::Message);
            }
            let params = fields.remove("params");
            Ok(Message::Request(reply(&id, &method, params.as_deref())))
        }
        (None, Some(id)) => {
            let id = serde_json::from_str(id.get()).map_err(|_| Nonsense::Answer)?;
            let error = fields.remove("error").filter(|error| error.get() != "null");
            let answer = match error {
                Some(error) => Err(complaint(&error)),
                None => Ok(fields.get("result").map_or("null", |result| result.get()).to_owned()),
            };
            Ok(Message::Answer(id, answer))
        }
        (None, None) => Err(Nonsense::Message),
    }
}

/// Whether an id can begin so: a string or a number.
fn is_id(first: char) -> bool {
    first == '"' || first == '-' || first.is_ascii_digit()
}

/// The answer to a server's own request: as little as the protocol lets a client do.
fn reply(id: &RawValue, method: &str, params: Option<&RawValue>) -> Bytes {
    let result = match method {
        "client/registerCapability"
        | "client/unregisterCapability"
        | "window/showMessageRequest"
        | "window/workDoneProgress/create"
        | "workspace/workspaceFolders" => Some(Value::Null),
        "workspace/applyEdit" => Some(json!({"applied": false})),
        // One for each setting that is asked for.
        "workspace/configuration" => items(params).map(|count| Value::Array(vec![Value::Null; count])),
        _ => None,
    };
    let answer = match result {
        Some(result) => ("result", result),
        None => ("error", json!({"code": METHOD_NOT_FOUND, "message": "this client does not do that"})),
    };
    frame(format!(r#"{{"jsonrpc":"2.0","id":{},"{}":{}}}"#, id.get(), answer.0, answer.1).as_bytes())
}

fn items(params: Option<&RawValue>) -> Option<usize> {
    let fields: Fields = serde_json::from_str(params?.get()).ok()?;
    let items: Vec<&RawValue> = serde_json::from_str(fields.get("items")?.get()).ok()?;
    Some(items.len()).filter(|count| *count <= ITEMS_MAX)
}

fn complaint(error: &RawValue) -> String {
    let said = || {
        let fields: Fields = serde_json::from_str(error.get()).ok()?;
        serde_json::from_str::<String>(fields.get("message")?.get()).ok()
    };
    short(&said().unwrap_or_default())
}

/// A tenant's text as part of a sentence: one short line without control characters.
pub(super) fn short(text: &str) -> String {
    let line = text.trim().lines().next().unwrap_or_default();
    line.chars().filter(|char| !char.is_control()).take(COMPLAINT_MAX_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_kept_as_the_text_that_it_is() {
        for (text, want) in [
            (r#"{"jsonrpc":"2.0","id":7,"result":{"a": [1, 2.50]}}"#, Ok(r#"{"a": [1, 2.50]}"#)),
            (r#"{"id":7,"result":null}"#, Ok("null")),
            (r#"{"id":7}"#, Ok("null")),
            (r#"{"id":7,"result":1,"error":null}"#, Ok("1")),
            (r#"{"id":7,"error":{"code":-1,"message":"no\nmore\u001b"}}"#, Err("no")),
            (r#"{"id":7,"error":3}"#, Err("")),
        ] {
            let want = want.map(str::to_owned).map_err(str::to_owned);
            assert_eq!(read(text.as_bytes()), Ok(Message::Answer(7, want)), "{text}");
        }
    }

    #[test]
    fn a_servers_own_requests_get_the_least_that_is_valid() {
        for (method, params, want) in [
            ("client/registerCapability", "{}", r#""result":null"#),
            ("workspace/configuration", r#"{"items":[{},{"section":"a"}]}"#, r#""result":[null,null]"#),
            ("workspace/applyEdit", "{}", r#""result":{"applied":false}"#),
        ] {
            let text = format!(r#"{{"id":"x","method":"{method}","params":{params}}}"#);
            let want = frame(format!(r#"{{"jsonrpc":"2.0","id":"x",{want}}}"#).as_bytes());
            assert_eq!(read(text.as_bytes()), Ok(Message::Request(want)), "{method}");
        }
        let many = format!(r#"{{"items":[{}0]}}"#, "0,".repeat(ITEMS_MAX));
        for (method, params) in [("workspace/configuration", many.as_str()), ("made/up", "[]")] {
            let text = format!(r#"{{"id":1,"method":"{method}","params":{params}}}"#);
            let Ok(Message::Request(answer)) = read(text.as_bytes()) else { panic!("{method} is a request") };
            assert!(String::from_utf8_lossy(&answer).contains("-32601"), "{method}");
        }
        assert_eq!(read(br#"{"method":"window/logMessage","params":{}}"#), Ok(Message::Notification));
    }

    #[test]
    fn what_is_no_message_is_nonsense() {
        let deep = format!(r#"{{"id":1,"result":{}"#, "[".repeat(100_000));
        let long = format!(r#"{{"id":"{}","method":"a"}}"#, "x".repeat(ID_MAX_BYTES));
        for text in [
            "",
            "[]",
            "{}",
            "{\"id\":1",
            "\u{0}",
            r#"{"id":{},"method":"a"}"#,
            r#"{"method":1}"#,
            &deep,
            &long,
        ] {
            assert_eq!(read(text.as_bytes()), Err(Nonsense::Message), "{}", short(text));
        }
        for text in [r#"{"id":"1","result":1}"#, r#"{"id":-1,"result":1}"#, r#"{"id":1.5,"result":1}"#] {
            assert_eq!(read(text.as_bytes()), Err(Nonsense::Answer), "{text}");
        }
    }
}
