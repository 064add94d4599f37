//! Which programs are language servers for which language, and the start of the first that the image has.

use crate::ports::Guest;
use crate::{Error, ExecProblem, ExecSession, ExecSpec, Language, Result, SandboxId};

/// A program that speaks the protocol on its standard streams.
#[derive(Debug)]
struct Program {
    name: &'static str,
    arguments: &'static [&'static str],
}

const PYTHON: &[Program] = &[
    Program { name: "pylsp", arguments: &[] },
    Program { name: "pyright-langserver", arguments: &["--stdio"] },
    Program { name: "basedpyright-langserver", arguments: &["--stdio"] },
];
const TYPESCRIPT: &[Program] = &[Program { name: "typescript-language-server", arguments: &["--stdio"] }];

const fn programs(language: Language) -> &'static [Program] {
    match language {
        Language::Python => PYTHON,
        Language::JavaScript | Language::TypeScript => TYPESCRIPT,
    }
}

/// Starts the first program for `language` that is there, with the rest of `spec`; the name is for people.
///
/// # Errors
/// [`Error::Exec`] with [`ExecProblem::NoLanguageServer`] if there is none; what the guest says of one that is.
pub(super) async fn start(
    guest: &dyn Guest,
    sandbox: SandboxId,
    language: Language,
    spec: ExecSpec,
) -> Result<(&'static str, ExecSession)> {
    let programs = programs(language);
    for program in programs {
        let command = std::iter::once(&program.name).chain(program.arguments);
        let command = command.map(|&part| part.to_owned()).collect();
        match guest.exec(sandbox, &ExecSpec { command, ..spec.clone() }).await {
            Err(Error::Exec { problem: ExecProblem::ProgramNotFound, .. }) => {}
            started => return Ok((program.name, started?)),
        }
    }
    let names: Vec<&str> = programs.iter().map(|program| program.name).collect();
    let what = match names.as_slice() {
        [name] => format!("{language} needs {name}"),
        names => format!("{language} needs one of {}", names.join(", ")),
    };
    Err(Error::Exec { what, problem: ExecProblem::NoLanguageServer })
}
