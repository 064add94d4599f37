//! Environment variables for a sandbox or an exec: `-e NAME=VALUE`, `-e NAME`, `--env-file`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Args;

use crate::environment::variable;
use crate::failure::Failure;

/// Largest file of variables; the server takes no more in a request.
const ENV_FILE_MAX_BYTES: u64 = 1024 * 1024;

/// Where variables come from.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Variables {
    /// Set an environment variable; NAME alone passes on the value it has here
    #[arg(short = 'e', long = "env", value_name = "NAME[=VALUE]")]
    env: Vec<String>,

    /// Read variables from a file of NAME=VALUE lines
    ///
    /// Empty lines and lines that begin with # are skipped. Values are taken as they stand: quotes are part of them.
    #[arg(long, value_name = "FILE")]
    env_file: Vec<PathBuf>,
}

impl Variables {
    /// All of them; `-e` beats the files, and a later one an earlier one.
    pub(crate) fn collect(&self) -> Result<BTreeMap<String, String>> {
        let local = |name: &str| variable(name).and_then(|value| value.into_string().ok());
        let mut all = BTreeMap::new();
        for path in &self.env_file {
            let text = read_env_file(path)?;
            for (number, line) in (1..).zip(text.lines()) {
                if let Some(variable) =
                    parse_line(line, local).with_context(|| format!("line {number} of {}", path.display()))?
                {
                    all.extend(variable);
                }
            }
        }
        for text in &self.env {
            all.extend(parse_variable(text, local)?);
        }
        Ok(all)
    }
}

fn read_env_file(path: &PathBuf) -> Result<String> {
    use std::io::Read as _;
    let cannot = || format!("cannot read the variables in {}", path.display());
    let file = std::fs::File::open(path).with_context(cannot)?;
    let mut text = String::new();
    file.take(ENV_FILE_MAX_BYTES + 1).read_to_string(&mut text).with_context(cannot)?;
    if u64::try_from(text.len()).unwrap_or(u64::MAX) > ENV_FILE_MAX_BYTES {
        return Err(Failure::new(format!("{} is longer than 1 MiB", path.display())).into());
    }
    Ok(text)
}

/// `None` for a line that sets nothing on purpose; `Some(None)` for a name that has no value here.
fn parse_line(
    line: &str,
    local: impl Fn(&str) -> Option<String>,
) -> Result<Option<Option<(String, String)>>> {
    let line = line.trim_start();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    parse_variable(line, local).map(Some)
}

/// The variable that `text` means; `None` if it names one that is not set here.
fn parse_variable(text: &str, local: impl Fn(&str) -> Option<String>) -> Result<Option<(String, String)>> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (text, local(text)),
    };
    if name.is_empty() || name.chars().any(|c| c.is_whitespace() || c == '\0') {
        return Err(Failure::new(format!("'{text}' does not name a variable"))
            .hint("write NAME=VALUE, with no spaces in the name")
            .into());
    }
    Ok(value.map(|value| (name.to_owned(), value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn local(name: &str) -> Option<String> {
        (name == "HERE").then(|| "local".to_owned())
    }

    #[test]
    fn a_variable_is_given_or_passed_on_or_left_out() {
        let of = |text| parse_variable(text, local).unwrap();
        assert_eq!(of("A=b=c d"), Some(("A".to_owned(), "b=c d".to_owned())));
        assert_eq!(of("A="), Some(("A".to_owned(), String::new())));
        assert_eq!(of("HERE"), Some(("HERE".to_owned(), "local".to_owned())));
        assert_eq!(of("NOT_HERE"), None);
    }

    #[test]
    fn a_variable_without_a_name_is_refused() {
        for text in ["", "=x", "a b=x", "export A=1"] {
            let error = parse_variable(text, local).unwrap_err();
            assert_eq!(error.to_string(), format!("'{text}' does not name a variable"));
        }
    }

    #[test]
    fn a_file_sets_what_its_lines_say_and_the_command_line_beats_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("env");
        std::fs::write(&path, "# comment\n\nA=1\nB=\"two\"\n  C=3 \n").unwrap();
        let variables = Variables { env: vec!["A=9".to_owned()], env_file: vec![path] };
        let want = [("A", "9"), ("B", "\"two\""), ("C", "3 ")].map(|(k, v)| (k.to_owned(), v.to_owned()));
        assert_eq!(variables.collect().unwrap(), BTreeMap::from(want));
    }

    #[test]
    fn a_bad_line_is_named_with_its_number() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("env");
        std::fs::write(&path, "A=1\n=2\n").unwrap();
        let error = Variables { env: Vec::new(), env_file: vec![path.clone()] }.collect().unwrap_err();
        assert_eq!(
            format!("{error:#}"),
            format!("line 2 of {}: '=2' does not name a variable", path.display())
        );
    }
}
