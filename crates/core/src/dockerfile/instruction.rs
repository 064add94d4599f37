//! One logical line to one instruction. What is outside the subset is refused with what it is.

use super::healthcheck::Healthcheck;
use super::json;
use super::lines::{Heredoc, Line, raw_words, split_keyword};

/// What an instruction asks for. Texts are as they are written; whoever carries it out expands them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Instruction {
    /// Run a command and keep what it changed.
    Run {
        /// The command.
        command: Command,
        /// What follows a command in its shell form.
        heredocs: Vec<Heredoc>,
        /// Which network it may have.
        network: RunNetwork,
    },
    /// Copy files in.
    Copy(Transfer),
    /// Copy files in, and unpack those that are archives.
    Add(Transfer),
    /// Set variables: names and values.
    Env(Vec<(String, String)>),
    /// Declare arguments: names and defaults.
    Arg(Vec<(String, Option<String>)>),
    /// Set the working directory, and make it.
    Workdir(String),
    /// Set the user.
    User(String),
    /// Set the command.
    Cmd(Command),
    /// Set the entrypoint.
    Entrypoint(Command),
    /// Name ports.
    Expose(Vec<String>),
    /// Set labels: keys and values.
    Label(Vec<(String, String)>),
    /// Set the shell of the shell form.
    Shell(Vec<String>),
    /// Name directories that hold data.
    Volume(Vec<String>),
    /// Set the signal that asks the program to end.
    Stopsignal(String),
    /// Set the health check.
    Healthcheck(Healthcheck),
}

/// The two forms of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Program and arguments, as they are.
    Exec(Vec<String>),
    /// A text for the shell.
    Shell(String),
}

impl Command {
    pub(super) fn parse(text: &str) -> Self {
        match json::strings(text) {
            Some(words) => Self::Exec(words),
            None => Self::Shell(text.to_owned()),
        }
    }
}

/// `RUN --network`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RunNetwork {
    /// The build's.
    #[default]
    Default,
    /// None, whatever the build has.
    None,
}

/// What `COPY` and `ADD` move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    /// At least one.
    pub sources: Vec<TransferSource>,
    /// Where to; not expanded yet.
    pub destination: String,
    /// A stage or an image; the context where it is `None`.
    pub from: Option<String>,
    /// `user`, `user:group` or ids; not expanded yet.
    pub owner: Option<String>,
    /// Octal; not expanded yet.
    pub mode: Option<String>,
}

/// A source of a [`Transfer`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TransferSource {
    /// A path, with wildcards; not expanded yet.
    Path(String),
    /// Text in the file itself.
    Text(Heredoc),
}

type Parsed<T> = Result<T, String>;

/// A flag's name and its value.
type Flag<'a> = (&'a str, Option<&'a str>);

pub(super) fn parse(line: &Line, escape: char) -> Parsed<Instruction> {
    let (keyword, rest) = split_keyword(&line.text);
    let keyword = keyword.to_ascii_uppercase();
    if !matches!(keyword.as_str(), "RUN" | "COPY" | "ADD" | "HEALTHCHECK") && rest.starts_with("--") {
        let flag = rest.split([' ', '\t', '=']).next().unwrap_or_default();
        return Err(format!("{keyword} takes no {}", shown(flag)));
    }
    if rest.is_empty() {
        return Err(format!("{} needs something behind it", shown(&keyword)));
    }
    match keyword.as_str() {
        "RUN" => run(line, rest),
        "COPY" => transfer("COPY", line, rest).map(Instruction::Copy),
        "ADD" => transfer("ADD", line, rest).map(Instruction::Add),
        "ENV" => pairs("ENV", rest, escape).map(Instruction::Env),
        "LABEL" => pairs("LABEL", rest, escape).map(Instruction::Label),
        "ARG" => arguments(rest, escape).map(Instruction::Arg),
        "WORKDIR" => Ok(Instruction::Workdir(rest.to_owned())),
        "USER" => Ok(Instruction::User(rest.to_owned())),
        "CMD" => Ok(Instruction::Cmd(Command::parse(rest))),
        "ENTRYPOINT" => Ok(Instruction::Entrypoint(Command::parse(rest))),
        "EXPOSE" => Ok(Instruction::Expose(rest.split_whitespace().map(str::to_owned).collect())),
        "VOLUME" => Ok(Instruction::Volume(
            json::strings(rest).unwrap_or_else(|| rest.split_whitespace().map(str::to_owned).collect()),
        )),
        "SHELL" => match json::strings(rest) {
            Some(words) if words.first().is_some_and(|word| !word.is_empty()) => {
                Ok(Instruction::Shell(words))
            }
            _ => Err("SHELL needs a JSON array of strings".to_owned()),
        },
        "STOPSIGNAL" => Ok(Instruction::Stopsignal(rest.to_owned())),
        "HEALTHCHECK" => {
            let (flags, rest) = flags(rest);
            Healthcheck::parse(&flags, rest).map(Instruction::Healthcheck)
        }
        "ONBUILD" => Err("ONBUILD is outside the subset: no image here is a base that acts later".to_owned()),
        "MAINTAINER" => Err("MAINTAINER is outside the subset: use LABEL maintainer=...".to_owned()),
        _ => Err(format!("{} is no instruction", shown(&keyword))),
    }
}

fn run(line: &Line, rest: &str) -> Parsed<Instruction> {
    let (flags, rest) = flags(rest);
    let mut network = RunNetwork::Default;
    for (name, value) in flags {
        match (name, value) {
            ("network", Some("default")) => network = RunNetwork::Default,
            ("network", Some("none")) => network = RunNetwork::None,
            ("network", _) => return Err("RUN --network must be default or none".to_owned()),
            _ => return Err(outside("RUN", name)),
        }
    }
    let command = Command::parse(rest);
    match &command {
        Command::Exec(words) if words.first().is_none_or(String::is_empty) => {
            return Err("RUN needs a command".to_owned());
        }
        Command::Shell(text) if text.is_empty() => return Err("RUN needs a command".to_owned()),
        _ => {}
    }
    Ok(Instruction::Run { command, heredocs: line.heredocs.clone(), network })
}

fn transfer(keyword: &'static str, line: &Line, rest: &str) -> Parsed<Transfer> {
    let (flags, rest) = flags(rest);
    let (mut from, mut owner, mut mode) = (None, None, None);
    for (name, value) in flags {
        match name {
            "from" if keyword == "COPY" => from = Some(flag_value(name, value)?.to_owned()),
            "chown" => owner = Some(flag_value(name, value)?.to_owned()),
            "chmod" => mode = Some(flag_value(name, value)?.to_owned()),
            // Another way to make the same layer.
            "link" if matches!(value, None | Some("true" | "false")) => {}
            _ => return Err(outside(keyword, name)),
        }
    }
    let mut words = match json::strings(rest) {
        Some(words) => words,
        None => rest.split_whitespace().map(str::to_owned).collect(),
    };
    let destination = words.pop().unwrap_or_default();
    if words.is_empty() || destination.is_empty() {
        return Err(format!("{keyword} needs a source and a destination"));
    }
    let mut heredocs = line.heredocs.iter();
    let mut sources = Vec::with_capacity(words.len());
    for word in words {
        let text = if word.starts_with("<<") { heredocs.next() } else { None };
        sources.push(text.map_or(TransferSource::Path(word), |text| TransferSource::Text(text.clone())));
    }
    if from.is_some() && sources.iter().any(|source| matches!(source, TransferSource::Text(_))) {
        return Err(format!("{keyword} --from and a heredoc exclude each other"));
    }
    for source in &sources {
        let TransferSource::Path(path) = source else { continue };
        if is_remote(path) {
            return Err(format!("{keyword} of {} is outside the subset: nothing is fetched", shown(path)));
        }
    }
    if sources.len() > 1 && !destination.ends_with('/') && !matches!(destination.as_str(), "." | "..") {
        return Err(format!("{keyword} of several sources needs a destination that ends with /"));
    }
    Ok(Transfer { sources, destination, from, owner, mode })
}

/// Addresses that Docker would fetch.
fn is_remote(path: &str) -> bool {
    let lower = path.to_ascii_lowercase();
    ["http://", "https://", "git://", "ssh://", "git@"].iter().any(|start| lower.starts_with(start))
}

/// `k=v k2="v 2"`, or one pair in the old form `k v`.
fn pairs(keyword: &str, rest: &str, escape: char) -> Parsed<Vec<(String, String)>> {
    let words = raw_words(rest, escape);
    if words.first().is_some_and(|word| !word.contains('=')) {
        return match rest.split_once(char::is_whitespace) {
            Some((name, value)) => Ok(vec![(name.to_owned(), value.trim_start().to_owned())]),
            None => Err(format!("{keyword} needs a name and a value")),
        };
    }
    let pair = |word: &str| match word.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(format!("{keyword}: {} is not name=value", shown(word))),
    };
    words.into_iter().map(pair).collect()
}

fn arguments(rest: &str, escape: char) -> Parsed<Vec<(String, Option<String>)>> {
    let argument = |word: &str| {
        let (name, default) = match word.split_once('=') {
            Some((name, default)) => (name, Some(default.to_owned())),
            None => (word, None),
        };
        if is_variable_name(name) {
            Ok((name.to_owned(), default))
        } else {
            Err(format!("ARG: {} is not a name", shown(name)))
        }
    };
    raw_words(rest, escape).into_iter().map(argument).collect()
}

pub(super) fn is_variable_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// The flags that a line begins with, and what is behind them.
pub(super) fn flags(mut rest: &str) -> (Vec<Flag<'_>>, &str) {
    let mut flags = Vec::new();
    while let Some(behind) = rest.strip_prefix("--") {
        let (flag, more) = split_keyword(behind);
        if flag.is_empty() {
            return (flags, more);
        }
        flags.push(match flag.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (flag, None),
        });
        rest = more;
    }
    (flags, rest)
}

pub(super) fn flag_value<'a>(name: &str, value: Option<&'a str>) -> Parsed<&'a str> {
    value.filter(|value| !value.is_empty()).ok_or_else(|| format!("--{name} needs a value"))
}

fn outside(keyword: &str, flag: &str) -> String {
    format!("{keyword} --{} is outside the subset", shown(flag))
}

/// As much of a word as a message repeats.
pub(super) fn shown(text: &str) -> String {
    const SHOWN_CHARS: usize = 80;
    let mut shown: String = text.chars().take(SHOWN_CHARS).flat_map(char::escape_debug).collect();
    if text.chars().count() > SHOWN_CHARS {
        shown.push_str("...");
    }
    shown
}
