//! The language server that the guest in memory has for TypeScript: it knows what is in the documents that it was told of.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// Reads what the client writes and says what to print.
#[derive(Default)]
pub(super) struct LanguageServer {
    read: Vec<u8>,
    texts: BTreeMap<String, String>,
}

impl LanguageServer {
    /// Answers to what has come so far; `None` as soon as the client has asked it to exit.
    pub(super) fn hear(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        self.read.extend_from_slice(bytes);
        let mut said = Vec::new();
        while let Some(message) = self.message() {
            if message["method"] == "exit" {
                return None;
            }
            if let Some(answer) = self.answer(&message) {
                let answer = answer.to_string();
                said.extend_from_slice(
                    format!("Content-Length: {}\r\n\r\n{answer}", answer.len()).as_bytes(),
                );
            }
        }
        Some(said)
    }

    fn message(&mut self) -> Option<Value> {
        let end = self.read.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
        let header = std::str::from_utf8(&self.read[..end]).expect("a header in ASCII").trim();
        let length: usize = header.strip_prefix("Content-Length: ")?.parse().expect("a length");
        let message = self.read.get(end..end + length)?;
        let message = serde_json::from_slice(message).expect("JSON");
        self.read.drain(..end + length);
        Some(message)
    }

    fn answer(&mut self, message: &Value) -> Option<Value> {
        let params = &message["params"];
        let document = &params["textDocument"];
        let uri = document["uri"].as_str().unwrap_or_default().to_owned();
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let result = match message["method"].as_str()? {
            "initialize" => Ok(json!({"capabilities": {}, "root": params["rootUri"]})),
            "textDocument/didOpen" => {
                assert!(self.texts.insert(uri, text(&document["text"])).is_none(), "it is opened once");
                return None;
            }
            "textDocument/didChange" => {
                self.texts.insert(uri, text(&params["contentChanges"][0]["text"]));
                return None;
            }
            "textDocument/didClose" => {
                self.texts.remove(&uri).expect("it is open");
                return None;
            }
            "textDocument/completion" => Ok(json!([
                {"label": params["position"].to_string(), "documentation": "of a place", "kind": 6, "data": 7},
                {"label": params["context"].to_string()},
            ])),
            "textDocument/documentSymbol" => {
                let place = json!({"line": 0, "character": 0});
                let location = json!({"uri": uri, "range": {"start": place, "end": place}});
                let name = self.texts.get(&uri);
                Ok(name.map_or(json!(null), |name| json!([{"name": name, "kind": 13, "location": location}])))
            }
            "shutdown" => Ok(json!(null)),
            method if message["id"].is_number() => {
                Err(json!({"code": -32601, "message": format!("{method}?")}))
            }
            _ => return None,
        };
        let id = &message["id"];
        Some(match result {
            Ok(result) => json!({"jsonrpc": "2.0", "id": id, "result": result}),
            Err(error) => json!({"jsonrpc": "2.0", "id": id, "error": error}),
        })
    }
}
