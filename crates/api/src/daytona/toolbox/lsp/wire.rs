//! The shapes, and which of a server's own answers become which. What a server says beyond the contract is left out; what
//! clients take in one form only is brought into it.

use lazaret_core::{CompletionTrigger, Error, UpstreamProblem};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};

/// A language server.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ServerRequest {
    /// `python`, `typescript` or `javascript`.
    pub(super) language_id: String,
    /// Where the server starts.
    pub(super) path_to_project: String,
}

/// A document of a language server's project.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct DocumentRequest {
    pub(super) language_id: String,
    pub(super) path_to_project: String,
    /// `file://` and a path, of which nothing is escaped.
    pub(super) uri: String,
}

/// A place at which something is to be written.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct CompletionsRequest {
    pub(super) language_id: String,
    pub(super) path_to_project: String,
    pub(super) uri: String,
    pub(super) position: Position,
    pub(super) context: Option<CompletionContext>,
}

/// How completion was asked for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct CompletionContext {
    /// 1 by hand, 2 by a character, 3 again.
    trigger_kind: u32,
    trigger_character: Option<String>,
}

/// A document of a language server's project.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(super) struct DocumentQuery {
    pub(super) language_id: String,
    pub(super) path_to_project: String,
    /// `file://` and a path, of which nothing is escaped.
    pub(super) uri: String,
}

/// A name in a language server's project.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(super) struct SymbolQuery {
    pub(super) language_id: String,
    pub(super) path_to_project: String,
    /// What the name is like, as the server sees it.
    pub(super) query: String,
}

/// A place in a document, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize, ToSchema)]
pub(super) struct Position {
    pub(super) line: u32,
    /// UTF-16 code units.
    pub(super) character: u32,
}

/// From a place to another.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize, ToSchema)]
pub(super) struct Range {
    start: Position,
    end: Position,
}

/// A part of a document.
#[derive(Debug, PartialEq, Deserialize, Serialize, ToSchema)]
pub(super) struct Location {
    uri: String,
    range: Range,
}

/// Something with a name.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
pub(super) struct Symbol {
    name: String,
    /// `SymbolKind` of the Language Server Protocol.
    kind: u32,
    location: Location,
}

/// What could be written.
#[derive(Debug, Default, PartialEq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Completions {
    /// More would come to whoever writes on and asks again.
    is_incomplete: bool,
    items: Vec<CompletionItem>,
}

/// One thing that could be written.
#[derive(Debug, PartialEq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct CompletionItem {
    label: String,
    /// `CompletionItemKind` of the Language Server Protocol.
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// An object of `kind` (`plaintext` or `markdown`) and `value`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    documentation: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sort_text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    filter_text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    insert_text: Option<String>,
}

/// A symbol as a server tells of it: flat with its location, or in a tree with its range in the document asked about.
#[derive(Deserialize)]
struct SaidSymbol {
    name: String,
    kind: u32,
    location: Option<Location>,
    range: Option<Range>,
    #[serde(default)]
    children: Option<Vec<SaidSymbol>>,
}

impl From<CompletionContext> for CompletionTrigger {
    fn from(context: CompletionContext) -> Self {
        Self { kind: context.trigger_kind, character: context.trigger_character }
    }
}

/// Completions of a server: a list, the items alone, or nothing.
pub(super) fn completions(said: &str) -> Result<Completions, Error> {
    let mut found: Completions = match said.trim_start().as_bytes().first() {
        Some(b'n') => Completions::default(),
        Some(b'[') => Completions { is_incomplete: false, items: read(said)? },
        _ => read(said)?,
    };
    for item in &mut found.items {
        item.documentation = match item.documentation.take() {
            Some(Value::String(text)) => Some(json!({"kind": "plaintext", "value": text})),
            Some(Value::Object(markup)) => Some(Value::Object(markup)),
            _ => None,
        };
    }
    Ok(found)
}

/// Symbols of a server, parents before what is in them; `uri` is that of the document asked about.
pub(super) fn symbols(said: &str, uri: &str) -> Result<Vec<Symbol>, Error> {
    let said: Option<Vec<SaidSymbol>> = read(said)?;
    let mut found = Vec::new();
    flatten(said.unwrap_or_default(), uri, &mut found);
    Ok(found)
}

/// As deep as the parser of JSON goes, which has a bound.
fn flatten(said: Vec<SaidSymbol>, uri: &str, found: &mut Vec<Symbol>) {
    for SaidSymbol { name, kind, location, range, children } in said {
        let location = location.or_else(|| Some(Location { uri: uri.to_owned(), range: range? }));
        // One that is nowhere cannot be shown.
        found.extend(location.map(|location| Symbol { name, kind, location }));
        flatten(children.unwrap_or_default(), uri, found);
    }
}

fn read<T: DeserializeOwned>(said: &str) -> Result<T, Error> {
    serde_json::from_str(said).map_err(|error| Error::Upstream {
        what: "the language server".to_owned(),
        problem: UpstreamProblem::Malformed,
        retry_after: None,
        source: error.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn completions_come_as_a_list_whatever_the_server_says() {
        for (said, want) in [
            ("null", json!({"isIncomplete": false, "items": []})),
            (
                r#"[{"label": "a", "textEdit": {}}]"#,
                json!({"isIncomplete": false, "items": [{"label": "a"}]}),
            ),
            (
                r#"{"isIncomplete": true, "items": [
                    {"label": "a", "kind": 3, "documentation": "text", "sortText": "b"},
                    {"label": "c", "documentation": {"kind": "markdown", "value": "*d*"}},
                    {"label": "e", "documentation": null, "insertText": "f"}]}"#,
                json!({"isIncomplete": true, "items": [
                    {"label": "a", "kind": 3, "documentation": {"kind": "plaintext", "value": "text"}, "sortText": "b"},
                    {"label": "c", "documentation": {"kind": "markdown", "value": "*d*"}},
                    {"label": "e", "insertText": "f"},
                ]}),
            ),
        ] {
            assert_eq!(json!(completions(said).expect("completions")), want);
        }
    }

    #[test]
    fn symbols_come_flat_with_their_location() {
        let range = json!({"start": {"line": 1, "character": 2}, "end": {"line": 3, "character": 4}});
        let symbol = |name, uri| json!({"name": name, "kind": 5, "location": {"uri": uri, "range": range}});
        let leaf = json!({"name": "c", "kind": 5, "range": range, "selectionRange": range});
        let tree = json!([{"name": "b", "kind": 5, "range": range, "children": [leaf]}]);
        for (said, want) in [
            (json!(null), json!([])),
            (json!([symbol("a", "file:///x")]), json!([symbol("a", "file:///x")])),
            (tree, json!([symbol("b", "file:///d"), symbol("c", "file:///d")])),
            (json!([{"name": "nowhere", "kind": 5}]), json!([])),
        ] {
            let found = symbols(&said.to_string(), "file:///d").expect("symbols");
            assert_eq!(json!(found), want);
        }
    }

    #[test]
    fn an_answer_of_another_shape_is_a_server_that_does_not_speak_the_protocol() {
        let deep = format!("{}{}", r#"[{"name":"a","kind":1,"children":"#.repeat(5_000), "1");
        for said in ["{}", "7", r#"[{"label": 7}]"#, deep.as_str()] {
            for refused in [completions(said).map(|_| ()), symbols(said, "").map(|_| ())] {
                let told = refused.map_err(|error| error.to_string());
                assert_eq!(told, Err("the language server: does not speak the protocol".to_owned()));
            }
        }
    }
}
