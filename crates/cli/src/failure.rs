//! How a failure reaches a person: one `error:` line, one `hint:` line, one exit code.
//!
//! ```text
//!   error: no server answers at http://127.0.0.1:8080: connection refused
//!   hint: start one with `lazaret serve`, or name another with --url or LAZARET_URL
//! ```
//!
//! | Code | Means |
//! | --- | --- |
//! | 1 | a command failed |
//! | 2 | the command line makes no sense (clap's own) |
//! | 124 | `--timeout` ended the process |
//! | 125 | `run` or `exec` failed before or beside the process |
//! | 126, 127 | the program is not executable, or not there |
//! | 128 + n | signal n ended the process; 141 is a reader of our output that went away |

use std::error::Error;
use std::io;

use crate::server_error::ServerError;
use crate::text::printable;

/// A command failed.
pub(crate) const FAILED: u8 = 1;
/// `--timeout` ended the process; the number that timeout(1) uses.
pub(crate) const TIMED_OUT: u8 = 124;
/// `run` or `exec` failed by itself; this and the next two are what shells and container tools use.
pub(crate) const NOT_RUN: u8 = 125;
/// The program is there and cannot be executed.
pub(crate) const NOT_EXECUTABLE: u8 = 126;
/// There is no such program.
pub(crate) const PROGRAM_NOT_FOUND: u8 = 127;
/// What a shell shows for a program that SIGPIPE ended.
pub(crate) const BROKEN_PIPE: u8 = 128 + 13;
/// Added to the number of a signal.
pub(crate) const SIGNAL_BASE: u8 = 128;

/// A failure with advice for the person who sees it.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    message: String,
    hint: Option<String>,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl Failure {
    /// A failure that says `message`: lower case, no final stop.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None, source: None }
    }

    /// The same with a sentence that says what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same with what caused it.
    #[must_use]
    pub fn source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }
}

/// Prints `error` and its advice on standard error and gives the exit code that goes with it.
///
/// A reader of our output that went away is no news to anybody: nothing is printed for it.
pub fn report(error: &anyhow::Error) -> u8 {
    if is_broken_pipe(error) {
        return BROKEN_PIPE;
    }
    let chain: Vec<String> = error.chain().map(words).collect();
    say(&format!("error: {}", chain.join(": ")));
    if let Some(hint) = error.chain().find_map(hint_of) {
        say(&format!("hint: {hint}"));
    }
    FAILED
}

/// The exit code of a `run` or an `exec` that failed with `error`.
pub(crate) fn exec_code(error: &anyhow::Error) -> u8 {
    if is_broken_pipe(error) {
        return BROKEN_PIPE;
    }
    let problem = error.chain().find_map(|cause| cause.downcast_ref::<ServerError>()?.problem.as_deref());
    match problem {
        Some("program_not_found") => PROGRAM_NOT_FOUND,
        Some("not_executable") => NOT_EXECUTABLE,
        _ => NOT_RUN,
    }
}

/// What `cause` says, in the form of our own messages: an operating system's begins with a capital and ends with a number.
pub(crate) fn words(cause: &(dyn Error + 'static)) -> String {
    let text = cause.to_string();
    if !cause.is::<io::Error>() && !cause.is::<rustix::io::Errno>() {
        return text;
    }
    let text = text.split_once(" (os error ").map_or(text.as_str(), |(words, _number)| words);
    let mut chars = text.chars();
    chars.next().map(|first| first.to_lowercase().chain(chars).collect()).unwrap_or_default()
}

/// Prints one line of talk on standard error, with control characters made visible.
///
/// Standard error that is gone is no reason to fail: there is nobody left to tell.
pub(crate) fn say(line: &str) {
    use io::Write as _;
    let _gone = writeln!(io::stderr(), "{}", printable(line));
}

fn hint_of<'a>(cause: &'a (dyn Error + 'static)) -> Option<&'a str> {
    if let Some(failure) = cause.downcast_ref::<Failure>() {
        return failure.hint.as_deref();
    }
    cause.downcast_ref::<ServerError>()?.hint.as_deref()
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    // Only standard output is written by us as a bare `io::Error`; a socket that breaks comes as an error of the client.
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_standard_output_is_quiet_and_a_broken_socket_is_not() {
        let pipe = anyhow::Error::new(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!(report(&pipe), BROKEN_PIPE);
        let socket = Failure::new("the connection broke").source(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!(report(&anyhow::Error::new(socket)), FAILED);
    }

    #[test]
    fn what_the_operating_system_says_is_put_into_our_form() {
        assert_eq!(words(&io::Error::from_raw_os_error(2)), "no such file or directory");
        assert_eq!(words(&rustix::io::Errno::ISDIR), "is a directory");
        assert_eq!(words(&Failure::new("Ours (os error 1)")), "Ours (os error 1)");
    }

    #[test]
    fn a_missing_program_has_the_code_that_shells_give_it() {
        let of = |problem: &str| {
            let error = ServerError { problem: Some(problem.to_owned()), ..ServerError::default() };
            exec_code(&anyhow::Error::new(error).context("exec in box"))
        };
        assert_eq!(of("program_not_found"), 127);
        assert_eq!(of("not_executable"), 126);
        assert_eq!(of("unknown_user"), 125);
    }
}
