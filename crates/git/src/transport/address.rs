//! Where a remote is, read from what a person wrote.

use lazaret_protocol::git::{Credentials, Problem};
use percent_encoding::percent_decode_str;

use crate::failure::{Failure, Outcome};

/// Schemes that have a transport.
const SCHEMES: [&str; 4] = ["http", "https", "file", "git"];

/// A remote's URL or path, without credentials: what may be written into a repository's configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address(String);

impl Address {
    /// The text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The same; a path is made absolute by the working directory.
    ///
    /// # Errors
    /// If there is no working directory.
    pub(super) fn made_absolute(self) -> std::io::Result<Self> {
        if self.0.contains("://") {
            return Ok(self);
        }
        let path = std::path::absolute(&self.0)?;
        Ok(path.into_os_string().into_string().map_or(self, Self))
    }

    /// Reads `text`: a URL, else a path where `is_there` finds something, else a URL that lacks its `https://`.
    /// Credentials in it are returned apart.
    ///
    /// # Errors
    /// [`Problem::UnsupportedUrl`] for a scheme without a transport, and for what is no address at all.
    pub(crate) fn parse(text: &str, is_there: impl Fn(&str) -> bool) -> Outcome<(Self, Option<Credentials>)> {
        let refuse = |why: String| Err(Failure::new(Problem::UnsupportedUrl, why));
        if text.is_empty() || text.chars().any(char::is_control) {
            return refuse("the URL is empty or has control characters".to_owned());
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            if is_there(text) || text.starts_with(['/', '.']) {
                return Ok((Self(text.to_owned()), None));
            }
            let host = text.split('/').next().unwrap_or_default();
            if host.contains('@') {
                return refuse("there is no SSH here: use an https URL".to_owned());
            }
            return Self::parse(&format!("https://{text}"), is_there);
        };
        let scheme = scheme.to_ascii_lowercase();
        if scheme == "ssh" || scheme == "git+ssh" {
            return refuse("there is no SSH here: use an https URL".to_owned());
        }
        if !SCHEMES.contains(&scheme.as_str()) {
            return refuse(format!("there is no transport for {scheme:.20} URLs"));
        }
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let Some((user, host)) = authority.rsplit_once('@') else {
            return Ok((Self(format!("{scheme}://{rest}")), None));
        };
        let (username, password) = user.split_once(':').unwrap_or((user, ""));
        let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let credentials = Credentials { username: decoded(username), password: decoded(password) };
        Ok((Self(format!("{scheme}://{host}{path}")), Some(credentials)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> (String, Option<(String, String)>) {
        let (address, credentials) = Address::parse(text, |path| path == "there").expect("an address");
        (address.0, credentials.map(|given| (given.username, given.password)))
    }

    #[test]
    fn what_lacks_a_scheme_is_a_path_if_there_is_one_and_else_an_https_url() {
        for (text, want) in [
            ("there", "there"),
            ("/not/there", "/not/there"),
            ("./x", "./x"),
            ("example.org/a/b.git", "https://example.org/a/b.git"),
            ("HTTP://example.org/a", "http://example.org/a"),
            ("file:///srv/a@b", "file:///srv/a@b"),
        ] {
            assert_eq!(parse(text), (want.to_owned(), None));
        }
    }

    #[test]
    fn credentials_leave_the_url() {
        let given = |user: &str, password: &str| Some((user.to_owned(), password.to_owned()));
        for (text, want, credentials) in [
            ("https://u:p%40w@h/x", "https://h/x", given("u", "p@w")),
            ("https://token@h:8080/x?y", "https://h:8080/x?y", given("token", "")),
            ("u:p@h/x", "", None),
            ("https://u:a@b@h/x@y", "https://h/x@y", given("u", "a@b")),
        ] {
            if want.is_empty() {
                let failure = Address::parse(text, |_| false).expect_err("no SSH");
                assert_eq!(failure.problem, Problem::UnsupportedUrl);
            } else {
                assert_eq!(parse(text), (want.to_owned(), credentials));
            }
        }
    }

    #[test]
    fn schemes_without_a_transport_are_refused_by_name() {
        for text in ["ssh://h/x", "git@h:x", "ftp://h/x", "ext::sh -c x", "", "https://h/\n"] {
            let result = Address::parse(text, |_| false);
            if text == "ext::sh -c x" {
                // No scheme that means anything here: it becomes the name of a host, and never a command.
                assert_eq!(result.expect("a URL").0.as_str(), "https://ext::sh -c x");
                continue;
            }
            assert_eq!(result.expect_err(text).problem, Problem::UnsupportedUrl);
        }
    }
}
