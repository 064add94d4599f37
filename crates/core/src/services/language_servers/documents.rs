//! The documents that a server has open, and how files are named to it.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::{Value, json};

use crate::{Error, FilePath, Language, Limit, Result, limits};

/// What a server has been told of, each with its version.
#[derive(Debug, Default)]
pub(super) struct Documents(BTreeMap<FilePath, u32>);

impl Documents {
    /// What to tell of a document's text: that it is open, or what it is now.
    ///
    /// # Errors
    /// [`Error::LimitReached`] beyond [`limits::LANGUAGE_DOCUMENTS_MAX`].
    pub(super) fn opened(
        &mut self,
        path: &FilePath,
        language: Language,
        text: &str,
    ) -> Result<(&'static str, Value)> {
        let uri = uri(path);
        if let Some(version) = self.0.get_mut(path) {
            *version += 1;
            let document = json!({"uri": uri, "version": *version});
            let change = json!({"textDocument": document, "contentChanges": [{"text": text}]});
            return Ok(("textDocument/didChange", change));
        }
        if self.0.len() >= limits::LANGUAGE_DOCUMENTS_MAX {
            return Err(Error::LimitReached(Limit::OpenDocuments));
        }
        self.0.insert(path.clone(), 1);
        let document = json!({"uri": uri, "languageId": language.name(), "version": 1, "text": text});
        Ok(("textDocument/didOpen", json!({"textDocument": document})))
    }

    /// What to tell of a document that is closed; `None` if it is not open.
    pub(super) fn closed(&mut self, path: &FilePath) -> Option<(&'static str, Value)> {
        self.0.remove(path)?;
        Some(("textDocument/didClose", json!({"textDocument": {"uri": uri(path)}})))
    }
}

/// A path as a `file` URI.
pub(super) fn uri(path: &FilePath) -> String {
    let mut uri = "file://".to_owned();
    for &byte in path.as_bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte) {
            uri.push(byte.into());
        } else {
            write!(uri, "%{byte:02X}").expect("writing to a string never fails");
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> FilePath {
        FilePath::new(text).expect("an absolute path")
    }

    #[test]
    fn a_path_is_a_uri_byte_by_byte() {
        for (given, want) in [
            ("/a/b-1.py", "file:///a/b-1.py"),
            ("/a b%#?\u{e9}", "file:///a%20b%25%23%3F%C3%A9"),
            ("/", "file:///"),
        ] {
            assert_eq!(uri(&path(given)), want);
        }
    }

    #[test]
    fn a_document_is_opened_once_then_changed_and_closed_once() {
        let mut documents = Documents::default();
        let mut open = |text| documents.opened(&path("/a.py"), Language::Python, text).expect("room");
        let (first, params) = open("x");
        assert_eq!((first, &params["textDocument"]["text"]), ("textDocument/didOpen", &json!("x")));
        let (second, params) = open("y");
        assert_eq!((second, &params["textDocument"]["version"]), ("textDocument/didChange", &json!(2)));
        assert_eq!(params["contentChanges"], json!([{"text": "y"}]));
        let closed = documents.closed(&path("/a.py")).map(|(method, _)| method);
        assert_eq!((closed, documents.closed(&path("/a.py"))), (Some("textDocument/didClose"), None));
    }

    #[test]
    fn a_server_is_told_of_so_many_documents_and_no_more() {
        let mut documents = Documents::default();
        let mut open =
            |at: usize| documents.opened(&path(&format!("/{at}")), Language::Python, "").map(|_| ());
        for at in 0..limits::LANGUAGE_DOCUMENTS_MAX {
            open(at).expect("room");
        }
        let refused = open(limits::LANGUAGE_DOCUMENTS_MAX);
        assert!(matches!(refused, Err(Error::LimitReached(Limit::OpenDocuments))), "{refused:?}");
        open(0).expect("one that is open");
    }
}
