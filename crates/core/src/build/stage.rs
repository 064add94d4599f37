//! A stage on its way: what is configured so far, and what the next instruction asks for.

use std::collections::BTreeMap;

use super::paths::{absolute, below, names_directory};
use super::plan::PROXIES;
use crate::dockerfile::{
    Command, Heredoc, Instruction, RunNetwork, Transfer, TransferSource, expand, expand_text,
};
use crate::sandbox::{check_env, check_user};
use crate::{Dockerfile, DockerfileError, ImageConfig, Step, limits};

/// Most ports that an image may name.
const PORTS_MAX: usize = 1024;

/// What an instruction asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Nothing is done: the configuration is another one.
    Configure,
    /// Run a program.
    Run(RunAction),
    /// Copy files in.
    Copy(CopyAction),
    /// Make a directory, unless it is there.
    MakeDirectory(String),
}

/// A program to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunAction {
    /// Program and arguments. Where there is a script, its path comes after them.
    pub command: Vec<String>,
    /// A heredoc that names its own interpreter.
    pub script: Option<String>,
    /// Variables: the image's, the arguments, and proxies.
    pub env: BTreeMap<String, String>,
    /// Those that the result depends on, as text: all but the proxies.
    pub depends_on: String,
    /// Which network it may have.
    pub network: RunNetwork,
}

/// Files to copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyAction {
    /// A stage or an image; the context where it is `None`.
    pub from: Option<String>,
    /// Paths with wildcards, below the context or the root of `from`, without a leading slash.
    pub sources: Vec<String>,
    /// Files whose contents the Dockerfile has.
    pub texts: Vec<StageText>,
    /// Absolute.
    pub destination: String,
    /// The destination is a directory whatever is there.
    pub into_directory: bool,
    /// `user`, `user:group` or ids.
    pub owner: Option<String>,
    /// Permission bits.
    pub mode: Option<u32>,
    /// Archives are unpacked.
    pub unpack: bool,
}

/// A file whose contents the Dockerfile has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageText {
    /// Its name.
    pub name: String,
    /// Its contents.
    pub text: String,
}

/// What a stage has configured so far.
#[derive(Debug, Clone)]
pub struct StageState {
    /// For the image, and for what runs.
    pub config: ImageConfig,
    /// Arguments that the stage has declared and that have a value.
    arguments: BTreeMap<String, String>,
    /// The stage has set a command itself.
    has_command: bool,
}

/// What every stage of a build knows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known<'a> {
    pub(crate) file: &'a Dockerfile,
    /// See [`super::Plan::globals`].
    pub(crate) globals: &'a BTreeMap<String, String>,
    /// See [`super::BuildSpec::arguments`].
    pub(crate) given: &'a BTreeMap<String, String>,
}

type Outcome<T> = Result<T, String>;

impl StageState {
    /// A stage that begins with an image of this configuration.
    pub fn new(config: ImageConfig) -> Self {
        Self { config, arguments: BTreeMap::new(), has_command: false }
    }

    /// What the stage has become, as the base of another: arguments end with their stage.
    #[must_use]
    pub fn as_base(&self) -> Self {
        Self::new(self.config.clone())
    }

    /// Takes the next instruction.
    ///
    /// # Errors
    /// [`DockerfileError`] for one that makes no sense by now.
    pub(crate) fn apply(&mut self, step: &Step, known: Known<'_>) -> Result<Action, DockerfileError> {
        self.take(&step.instruction, known).map_err(|reason| DockerfileError::new(step.line, reason))
    }

    fn take(&mut self, instruction: &Instruction, known: Known<'_>) -> Outcome<Action> {
        let escape = known.file.escape;
        let variables = self.variables();
        let expanded = |word: &str| expand(word, &variables, escape);
        match instruction {
            Instruction::Run { command, heredocs, network } => {
                return self.run(command, heredocs, *network, known).map(Action::Run);
            }
            Instruction::Copy(transfer) => return self.copy(transfer, false, escape).map(Action::Copy),
            Instruction::Add(transfer) => return self.copy(transfer, true, escape).map(Action::Copy),
            Instruction::Workdir(path) => {
                let path = absolute(self.directory(), &expanded(path)?);
                if path.len() > limits::PATH_MAX_BYTES || path.contains('\0') {
                    return Err("the path cannot be one".to_owned());
                }
                self.config.working_dir = Some(path.clone());
                return Ok(Action::MakeDirectory(path));
            }
            Instruction::Env(pairs) => {
                for (name, value) in pairs {
                    self.set_variable(expanded(name)?, expanded(value)?);
                }
                self.check_variables()?;
            }
            Instruction::Label(pairs) => {
                for (name, value) in pairs {
                    self.config.labels.insert(expanded(name)?, expanded(value)?);
                }
            }
            Instruction::Arg(arguments) => {
                for (name, default) in arguments {
                    self.declare(name, default.as_deref(), known)?;
                }
            }
            Instruction::User(user) => {
                let user = expanded(user)?;
                check_user(Some(&user)).map_err(|error| error.to_string())?;
                self.config.user = Some(user);
            }
            Instruction::Cmd(command) => {
                self.has_command = true;
                self.config.command = self.words(command);
            }
            Instruction::Entrypoint(command) => {
                self.config.entrypoint = self.words(command);
                // A base's command was meant for the base's entrypoint.
                if !self.has_command {
                    self.config.command.clear();
                }
            }
            Instruction::Expose(ports) => {
                for port in ports {
                    self.expose(&expanded(port)?)?;
                }
            }
            Instruction::Shell(shell) => self.config.shell.clone_from(shell),
            Instruction::Volume(paths) => {
                for path in paths {
                    let path = expanded(path)?;
                    if path.is_empty() {
                        return Err("VOLUME needs a path".to_owned());
                    }
                    if !self.config.volumes.contains(&path) {
                        self.config.volumes.push(path);
                    }
                }
            }
            Instruction::Stopsignal(signal) => {
                let signal = expanded(signal)?;
                let number = signal.parse::<u8>().is_ok_and(|number| (1..=64).contains(&number));
                let name = signal.strip_prefix("SIG").is_some_and(|name| {
                    let known = |byte: u8| {
                        byte.is_ascii_uppercase() || byte.is_ascii_digit() || b"+-".contains(&byte)
                    };
                    (2..=8).contains(&name.len()) && name.bytes().all(known)
                });
                if !number && !name {
                    return Err(format!("{} is no signal", signal.escape_debug()));
                }
                self.config.stop_signal = Some(signal);
            }
            Instruction::Healthcheck(check) => self.config.healthcheck = Some(check.clone()),
        }
        Ok(Action::Configure)
    }

    /// What words may refer to: arguments, and variables, which win.
    fn variables(&self) -> BTreeMap<String, String> {
        let mut variables = self.arguments.clone();
        variables.extend(self.config.env.iter().cloned());
        variables
    }

    fn directory(&self) -> &str {
        self.config.working_dir.as_deref().unwrap_or("/")
    }

    fn set_variable(&mut self, name: String, value: String) {
        match self.config.env.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known = value,
            None => self.config.env.push((name, value)),
        }
    }

    fn check_variables(&self) -> Outcome<()> {
        check_env(&self.config.env.iter().cloned().collect()).map_err(|error| error.to_string())?;
        let bytes: usize = self.config.env.iter().map(|(name, value)| name.len() + value.len() + 2).sum();
        if bytes > limits::EXEC_ARGS_MAX_BYTES {
            return Err(format!("the variables have more than {} bytes", limits::EXEC_ARGS_MAX_BYTES));
        }
        Ok(())
    }

    fn declare(&mut self, name: &str, default: Option<&str>, known: Known<'_>) -> Outcome<()> {
        let value = match (known.given.get(name), default) {
            (Some(given), _) => Some(given.clone()),
            (None, Some(default)) => Some(expand(default, &self.variables(), known.file.escape)?),
            (None, None) => known.globals.get(name).cloned(),
        };
        match value {
            Some(value) => drop(self.arguments.insert(name.to_owned(), value)),
            None => drop(self.arguments.remove(name)),
        }
        Ok(())
    }

    fn expose(&mut self, port: &str) -> Outcome<()> {
        let refused =
            || format!("{} is not a port, or a range of ports, of tcp, udp or sctp", port.escape_debug());
        let (ports, protocol) = port.split_once('/').unwrap_or((port, "tcp"));
        let protocol = protocol.to_ascii_lowercase();
        let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
        let number = |text: &str| text.parse::<u16>().ok().filter(|number| *number > 0).ok_or_else(refused);
        let (first, last) = (number(first)?, number(last)?);
        if first > last || !["tcp", "udp", "sctp"].contains(&protocol.as_str()) {
            return Err(refused());
        }
        for port in first..=last {
            self.config.exposed_ports.insert(format!("{port}/{protocol}"));
            if self.config.exposed_ports.len() > PORTS_MAX {
                return Err(format!("more than {PORTS_MAX} ports"));
            }
        }
        Ok(())
    }

    fn shell(&self) -> Vec<String> {
        match self.config.shell.is_empty() {
            true => ["/bin/sh", "-c"].map(str::to_owned).to_vec(),
            false => self.config.shell.clone(),
        }
    }

    fn words(&self, command: &Command) -> Vec<String> {
        match command {
            Command::Exec(words) => words.clone(),
            Command::Shell(text) => {
                let mut words = self.shell();
                words.push(text.clone());
                words
            }
        }
    }

    fn run(
        &self,
        command: &Command,
        heredocs: &[Heredoc],
        network: RunNetwork,
        known: Known<'_>,
    ) -> Outcome<RunAction> {
        let (command, script) = match (command, heredocs) {
            (Command::Shell(text), [only]) if is_heredoc_alone(text) => match interpreter(&only.text) {
                Some(interpreter) => (interpreter, Some(only.text.clone())),
                None => (self.words(&Command::Shell(only.text.clone())), None),
            },
            (Command::Shell(text), heredocs) => {
                let mut whole = text.clone();
                for heredoc in heredocs {
                    whole.push('\n');
                    whole.push_str(&heredoc.text);
                    whole.push_str(&heredoc.name);
                }
                if !heredocs.is_empty() {
                    whole.push('\n');
                }
                (self.words(&Command::Shell(whole)), None)
            }
            (command, _) => (self.words(command), None),
        };
        let mut env = self.variables();
        let depends_on = env.iter().map(|(name, value)| format!("{name}={value}\0")).collect();
        for name in PROXIES {
            if let Some(value) = known.given.get(name) {
                env.entry(name.to_owned()).or_insert_with(|| value.clone());
            }
        }
        Ok(RunAction { command, script, env, depends_on, network })
    }

    fn copy(&self, transfer: &Transfer, unpack: bool, escape: char) -> Outcome<CopyAction> {
        let variables = self.variables();
        let expanded = |word: &str| expand(word, &variables, escape);
        let (mut sources, mut texts) = (Vec::new(), Vec::new());
        for source in &transfer.sources {
            match source {
                TransferSource::Path(path) => {
                    let path = expanded(path)?;
                    if path.is_empty() || path.contains('\0') {
                        return Err("a source is not a path".to_owned());
                    }
                    let inside = match transfer.from {
                        Some(_) => Some(absolute("/", &path)[1..].to_owned()),
                        None => below(&path),
                    };
                    sources
                        .push(inside.ok_or_else(|| format!("{} leaves the context", path.escape_debug()))?);
                }
                TransferSource::Text(heredoc) => {
                    let text = match heredoc.expands {
                        true => expand_text(&heredoc.text, &variables, escape)?,
                        false => heredoc.text.clone(),
                    };
                    if heredoc.name.contains('/') {
                        return Err(format!("{} is not a file's name", heredoc.name.escape_debug()));
                    }
                    texts.push(StageText { name: heredoc.name.clone(), text });
                }
            }
        }
        let destination = expanded(&transfer.destination)?;
        if destination.is_empty() || destination.contains('\0') {
            return Err("the destination is not a path".to_owned());
        }
        let mode =
            match &transfer.mode {
                None => None,
                Some(mode) => {
                    let mode = expanded(mode)?;
                    let bits =
                        u32::from_str_radix(&mode, 8).ok().filter(|bits| *bits <= 0o7777 && mode.len() <= 5);
                    Some(bits.ok_or_else(|| {
                        format!("--chmod={}: only octal modes are known", mode.escape_debug())
                    })?)
                }
            };
        let owner = transfer.owner.as_deref().map(expanded).transpose()?;
        if owner
            .as_ref()
            .is_some_and(|owner| owner.split(':').any(str::is_empty) || owner.matches(':').count() > 1)
        {
            return Err("--chown must be a user, or a user and a group".to_owned());
        }
        Ok(CopyAction {
            from: transfer.from.clone(),
            into_directory: names_directory(&destination) || sources.len() + texts.len() > 1,
            sources,
            texts,
            destination: absolute(self.directory(), &destination),
            owner,
            mode,
            unpack,
        })
    }
}

/// Whether a command is nothing but `<<NAME`.
fn is_heredoc_alone(text: &str) -> bool {
    text.starts_with("<<") && !text.contains(char::is_whitespace)
}

/// Program and argument of a script's first line, as the kernel takes them.
fn interpreter(script: &str) -> Option<Vec<String>> {
    let line = script.strip_prefix("#!")?.lines().next()?.trim();
    let (program, argument) = match line.split_once([' ', '\t']) {
        Some((program, argument)) => (program, Some(argument.trim())),
        None => (line, None),
    };
    let words: Vec<String> = std::iter::once(program).chain(argument).map(str::to_owned).collect();
    (!program.is_empty()).then_some(words)
}
