//! The `Git` port: the git program of a sandbox, asked once per command.
//!
//! ```text
//!   core ─▶ run_git ─▶ RunProgram{git} ─▶ guest ─▶ git program, as the sandbox's user
//!              ├─ stdin: one request, which holds the credentials
//!              └─ stdout: one answer, at most ANSWER_MAX; nothing in it is believed beyond its form
//! ```
//!
//! Every command is a process of its own: nothing stays behind in the sandbox but what the command is for. What the
//! process writes to standard error is thrown away; it could be anything.

mod convert;

use async_trait::async_trait;
use lazaret_core::ports::Git;
use lazaret_core::{
    Error, ExecEvent, ExecExit, ExecInput, ExecOutput, ExecSession, ExecSpec, GitCommand, GitOutcome,
    GitProblem, Result, SandboxId, Stdin,
};
use lazaret_protocol::git::{ANSWER_MAX, Answer, REQUEST_MAX, decode, encode};
use lazaret_protocol::program;

use crate::guest_client::GuestClient;

/// The name of the process, and its only argument.
const NAME: &str = "lazaret-git";

#[async_trait]
impl Git for GuestClient {
    async fn run_git(&self, id: SandboxId, place: &ExecSpec, command: &GitCommand) -> Result<GitOutcome> {
        let request = convert::request(command);
        let request = encode(&request, REQUEST_MAX).map_err(Error::internal)?;
        let limit = u64::try_from(ANSWER_MAX).unwrap_or(u64::MAX);
        let spec = ExecSpec {
            command: vec![NAME.to_owned()],
            stdin: Stdin::Stream,
            tty: None,
            output_limit_bytes: Some(limit),
            ..place.clone()
        };
        let session = self.run_program(id, program::GIT, &spec).await?;
        let (answer, end) = converse(session, request).await?;
        outcome(&answer, &end, command)
    }
}

/// Sends the request and collects the answer until the process has ended.
async fn converse(session: ExecSession, request: Vec<u8>) -> Result<(Vec<u8>, ExecOutput)> {
    let ExecSession { input, mut events, .. } = session;
    // The program reads all before it writes, so there is no need to do both at once. If it ends early, its end tells.
    let _ = input.send(ExecInput::Stdin(request.into())).await;
    let _ = input.send(ExecInput::StdinEnd).await;
    let mut answer = Vec::new();
    while let Some(event) = events.recv().await {
        match event? {
            ExecEvent::Stdout(chunk) if answer.len() + chunk.len() <= ANSWER_MAX => {
                answer.extend_from_slice(&chunk);
            }
            ExecEvent::Stdout(_) => return Err(nonsense("git answered more than it may")),
            ExecEvent::Stderr(_) | ExecEvent::Skipped(_) => {}
            ExecEvent::Exited(end) => return Ok((answer, end)),
        }
    }
    Err(nonsense("the sandbox ended during a git command"))
}

fn outcome(answer: &[u8], end: &ExecOutput, command: &GitCommand) -> Result<GitOutcome> {
    if end.timed_out {
        let detail = "the command took too long and was ended".to_owned();
        return Err(Error::Git { problem: GitProblem::TimedOut, detail });
    }
    match end.exit {
        ExecExit::Code(0) => {}
        ExecExit::Signal(_) => {
            let detail = "git was killed, perhaps for want of memory in the sandbox".to_owned();
            return Err(Error::Git { problem: GitProblem::Killed, detail });
        }
        ExecExit::Code(_) => return Err(nonsense("git ended without an answer")),
    }
    match decode::<Answer>(answer) {
        Ok(Answer::Failed(failed)) => Err(convert::failure(&failed, command)),
        Ok(answer) => Ok(convert::outcome(answer)),
        Err(_) => Err(nonsense("git gave an answer that is none")),
    }
}

/// Only a tenant who meddles with the processes of the sandbox brings this about.
fn nonsense(what: &'static str) -> Error {
    Error::Unavailable { retry_after: None, source: what.into() }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use lazaret_core::{GitAccess, GitClone, GitCredentials, Secret};
    use lazaret_protocol::git::{Failed, Problem};

    use super::*;

    fn ended(exit: ExecExit) -> ExecOutput {
        ExecOutput { exit, timed_out: false, oom: false, truncated: false, duration: Duration::ZERO }
    }

    fn clone_with(password: &str) -> GitCommand {
        let credentials =
            GitCredentials { username: "u".to_owned(), password: Secret::new(password.to_owned()) };
        let access = GitAccess { credentials: Some(credentials), insecure_skip_tls: false };
        GitCommand::Clone(GitClone { access, ..GitClone::default() })
    }

    #[test]
    fn what_is_no_answer_is_an_error_and_never_a_success() {
        let fine = encode(&Answer::Done, ANSWER_MAX).expect("an answer");
        let command = GitCommand::Status("/".to_owned());
        assert_eq!(outcome(&fine, &ended(ExecExit::Code(0)), &command).expect("done"), GitOutcome::Done);
        let longer = [fine.as_slice(), b"x"].concat();
        for (answer, exit) in [
            (b"".as_slice(), ExecExit::Code(0)),
            (b"\xff\xff", ExecExit::Code(0)),
            (&longer, ExecExit::Code(0)),
            (&fine, ExecExit::Code(1)),
        ] {
            let error = outcome(answer, &ended(exit), &command).expect_err("no answer");
            assert!(matches!(error, Error::Unavailable { .. }), "{error:?}");
        }
        let error = outcome(&fine, &ended(ExecExit::Signal(9)), &command).expect_err("killed");
        assert!(matches!(error, Error::Git { problem: GitProblem::Killed, .. }), "{error:?}");
        let late = ExecOutput { timed_out: true, ..ended(ExecExit::Signal(15)) };
        let error = outcome(&fine, &late, &command).expect_err("late");
        assert!(matches!(error, Error::Git { problem: GitProblem::TimedOut, .. }), "{error:?}");
    }

    #[test]
    fn a_sentence_of_the_sandbox_is_bounded_printable_and_without_the_password() {
        let detail = format!("no\n\x1b[2Jentry: hunter2{}", "x".repeat(100_000));
        let answer = Answer::Failed(Failed { problem: Problem::AuthFailed, detail });
        let answer = encode(&answer, ANSWER_MAX).expect("an answer");
        let error = outcome(&answer, &ended(ExecExit::Code(0)), &clone_with("hunter2")).expect_err("refused");
        let Error::Git { problem: GitProblem::AuthFailed, detail } = error else { panic!("{error:?}") };
        assert!(detail.len() <= lazaret_protocol::git::DETAIL_MAX);
        assert!(!detail.contains("hunter2") && !detail.contains(char::is_control), "{detail}");
    }

    #[test]
    fn no_debug_print_of_a_command_shows_the_password() {
        let command = clone_with("hunter2");
        let request = convert::request(&command);
        assert!(!format!("{command:?}{request:?}").contains("hunter2"));
        assert!(request.credentials.is_some_and(|given| given.password == "hunter2"));
    }
}
