//! The project and the document that a request means.

use lazaret_core::{Error, FilePath, Language, LanguageProject};

use crate::daytona::toolbox::target::Target;
use crate::settings::App;

/// The project of a language; a relative directory is beneath the working directory.
pub(super) async fn project<Q>(
    app: &App,
    target: &Target<Q>,
    language: &str,
    directory: &str,
) -> Result<LanguageProject, Error> {
    let language = language.parse::<Language>().map_err(|error| match error {
        Error::Invalid { reason, .. } => Error::invalid("languageId", reason),
        other => other,
    })?;
    let directory = match directory {
        "" => return Err(Error::invalid("pathToProject", "is empty")),
        absolute if absolute.starts_with('/') => absolute.to_owned(),
        relative => {
            let work_dir = target.work_dir(app).await?;
            let relative = relative.strip_prefix("./").unwrap_or(relative);
            let relative = if relative == "." { "" } else { relative };
            format!("{}/{relative}", work_dir.trim_end_matches('/'))
        }
    };
    // One project is one, however many slashes are behind it.
    let trimmed = directory.trim_end_matches('/');
    let directory = FilePath::new(if trimmed.is_empty() { "/" } else { trimmed })?;
    Ok(LanguageProject { language, directory })
}

/// The file of a `uri`: `file://` and a path. A relative one is beneath the project, whether or not it begins with the project's
/// own path as it was `given`; clients do both.
pub(super) fn document(project: &LanguageProject, given: &str, uri: &str) -> Result<FilePath, Error> {
    let path = uri.strip_prefix("file://").unwrap_or(uri);
    if path.is_empty() {
        return Err(Error::invalid("uri", "names no file"));
    }
    if path.starts_with('/') {
        return FilePath::new(path);
    }
    let again = path.strip_prefix(given.trim_end_matches('/')).and_then(|rest| rest.strip_prefix('/'));
    let mut bytes = project.directory.as_bytes().to_vec();
    if !bytes.ends_with(b"/") {
        bytes.push(b'/');
    }
    bytes.extend_from_slice(again.unwrap_or(path).as_bytes());
    FilePath::new(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_where_either_kind_of_client_means_it() {
        let path = |text: &str| FilePath::new(text).expect("an absolute path");
        for (directory, given, uri, want) in [
            ("/w/p", "p", "file:///a b%20.py", "/a b%20.py"),
            ("/w/p", "p", "file://src/a.py", "/w/p/src/a.py"),
            ("/w/p", "p", "file://p/src/a.py", "/w/p/src/a.py"),
            ("/w/p", "p/", "file://p/a.py", "/w/p/a.py"),
            ("/w/p", "p", "file://pa.py", "/w/p/pa.py"),
            ("/w/p", "/w/p", "a.py", "/w/p/a.py"),
            ("/", "/", "file://a.py", "/a.py"),
        ] {
            let project = LanguageProject { language: Language::Python, directory: path(directory) };
            assert_eq!(document(&project, given, uri).expect("a path"), path(want), "{uri}");
        }
        let project = LanguageProject { language: Language::Python, directory: path("/") };
        let refused = document(&project, "/", "file://").map_err(|error| error.to_string());
        assert_eq!(refused, Err("uri: names no file".to_owned()));
    }
}
