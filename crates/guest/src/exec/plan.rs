//! From what the host asked to what `execve` needs, with every refusal that needs no child.

use std::ffi::CString;

use lazaret_protocol::limits::{PATH_MAX, TTY_SIDE_MAX};
use lazaret_protocol::{ByteString, ErrorKind, Exec, Failure, Stderr, Tty};

use crate::sys::child::CStringArray;
use crate::users::{self, Identity};

/// `PATH` of a program whose environment has none.
const DEFAULT_PATH: &[u8] = b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// `TERM` of a program on a terminal when nobody names one; every terminfo has it.
const DEFAULT_TERM: &str = "xterm-256color";

/// Longest name of a program that is looked up in `PATH`, in bytes: `NAME_MAX` of Linux file systems.
const NAME_MAX: usize = 255;

/// Most directories of a `PATH`, so that a short request cannot ask for a megabyte of candidates many times over.
const PATH_DIRECTORIES_MAX: usize = 256;

/// Everything that the child needs, owned.
pub(crate) struct Plan {
    /// Paths to try in turn.
    pub(crate) candidates: Vec<CString>,
    /// Arguments.
    pub(crate) argv: CStringArray,
    /// Environment.
    pub(crate) env: CStringArray,
    /// Working directory.
    pub(crate) cwd: CString,
    /// Who it runs as.
    pub(crate) identity: Identity,
    /// Terminal size, when it is to have a terminal.
    pub(crate) tty: Option<Tty>,
    /// Standard input is a pipe from the host.
    pub(crate) stdin: bool,
    /// Where standard error goes, if not into a pipe of its own.
    pub(crate) stderr: Option<Stderr>,
}

impl Plan {
    /// Checks a request.
    ///
    /// # Errors
    /// `BadArguments`, `BadCwd`, `CommandNotFound`, `UnknownUser`, `BadRequest`.
    pub(crate) fn new(exec: &Exec) -> Result<Self, Failure> {
        let identity = users::identify(exec.user.as_deref())?;
        Self::with_identity(exec, identity)
    }

    fn with_identity(exec: &Exec, identity: Identity) -> Result<Self, Failure> {
        let name = exec.argv.first().filter(|name| !name.is_empty());
        let name = name.ok_or_else(|| Failure::new(ErrorKind::BadArguments, "no program is named"))?;
        if let Some(tty) = &exec.tty
            && !((1..=TTY_SIDE_MAX).contains(&tty.rows) && (1..=TTY_SIDE_MAX).contains(&tty.columns))
        {
            let sentence = format!("a terminal has 1 to {TTY_SIDE_MAX} rows and columns");
            return Err(Failure::new(ErrorKind::BadRequest, sentence));
        }
        let env = complete_env(exec, &identity)?;
        let path = find_variable(&env, b"PATH").unwrap_or(DEFAULT_PATH);
        let candidates = candidates(name, path)?;
        Ok(Self {
            candidates,
            argv: CStringArray::new(c_strings(&exec.argv, "an argument")?),
            env: CStringArray::new(c_strings(&env, "a variable")?),
            cwd: cwd(exec.cwd.as_ref())?,
            identity,
            tty: exec.tty.clone(),
            stdin: exec.stdin,
            stderr: exec.stderr,
        })
    }
}

fn complete_env(exec: &Exec, identity: &Identity) -> Result<Vec<ByteString>, Failure> {
    if exec.env.iter().any(|entry| !entry.contains(&b'=') || entry.starts_with(b"=")) {
        return Err(Failure::new(ErrorKind::BadArguments, "a variable is not NAME=value"));
    }
    let mut env = exec.env.clone();
    let mut add = |name: &[u8], value: &[u8]| {
        if find_variable(&env, name).is_none() {
            env.push([name, b"=", value].concat().into());
        }
    };
    add(b"PATH", DEFAULT_PATH);
    add(b"HOME", &identity.home);
    if let Some(tty) = &exec.tty {
        add(b"TERM", tty.term.as_deref().unwrap_or(DEFAULT_TERM).as_bytes());
    }
    Ok(env)
}

fn find_variable<'a>(env: &'a [ByteString], name: &[u8]) -> Option<&'a [u8]> {
    env.iter().find_map(|entry| entry.strip_prefix(name)?.strip_prefix(b"="))
}

/// The paths at which `name` may be: itself when it has a slash, else one for each directory of `path`.
fn candidates(name: &[u8], path: &[u8]) -> Result<Vec<CString>, Failure> {
    if name.contains(&b'/') {
        return Ok(vec![c_string(name, "the program's name")?]);
    }
    if name.len() > NAME_MAX {
        return Err(
            Failure::new(ErrorKind::CommandNotFound, "the program's name is too long").with_path(name)
        );
    }
    let directories = path.split(|byte| *byte == b':');
    if directories.clone().count() > PATH_DIRECTORIES_MAX {
        let sentence = format!("PATH has more than {PATH_DIRECTORIES_MAX} directories");
        return Err(Failure::new(ErrorKind::BadArguments, sentence));
    }
    directories
        // Longer ones cannot exist.
        .filter(|directory| directory.len() < PATH_MAX)
        .map(|directory| {
            // An empty entry means the working directory, says environ(7).
            let directory = if directory.is_empty() { b".".as_slice() } else { directory };
            c_string(&[directory, b"/", name].concat(), "the program's name")
        })
        .collect()
}

fn cwd(cwd: Option<&ByteString>) -> Result<CString, Failure> {
    let cwd = cwd.map_or(b"/".as_slice(), |cwd| cwd);
    if !cwd.starts_with(b"/") {
        return Err(Failure::new(ErrorKind::BadCwd, "the working directory is not absolute").with_path(cwd));
    }
    CString::new(cwd)
        .map_err(|_| Failure::new(ErrorKind::BadCwd, "the working directory holds a NUL byte").with_path(cwd))
}

fn c_strings(strings: &[ByteString], what: &str) -> Result<Vec<CString>, Failure> {
    strings.iter().map(|string| c_string(string, what)).collect()
}

fn c_string(bytes: &[u8], what: &str) -> Result<CString, Failure> {
    CString::new(bytes).map_err(|_| Failure::new(ErrorKind::BadArguments, format!("{what} holds a NUL byte")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity() -> Identity {
        Identity { uid: 5, gid: 5, groups: vec![], home: b"/home/ada".to_vec() }
    }

    fn plan(exec: &Exec) -> Result<Plan, ErrorKind> {
        Plan::with_identity(exec, identity()).map_err(|failure| failure.kind)
    }

    fn exec(argv: &[&str], env: &[&str]) -> Exec {
        Exec {
            argv: argv.iter().map(|arg| ByteString::from(*arg)).collect(),
            env: env.iter().map(|entry| ByteString::from(*entry)).collect(),
            ..Exec::default()
        }
    }

    fn texts(strings: &[CString]) -> Vec<&str> {
        strings.iter().map(|string| string.to_str().expect("UTF-8")).collect()
    }

    #[test]
    fn a_plain_name_is_looked_up_in_the_path_of_its_own_environment() {
        let plan = plan(&exec(&["sh", "-c"], &["PATH=/a::/b"])).expect("valid");
        assert_eq!(texts(&plan.candidates), ["/a/sh", "./sh", "/b/sh"]);
        assert_eq!(texts(plan.argv.strings()), ["sh", "-c"]);
    }

    #[test]
    fn a_name_with_a_slash_is_not_looked_up() {
        let plan = plan(&exec(&["./sh"], &["PATH=/a"])).expect("valid");
        assert_eq!(texts(&plan.candidates), ["./sh"]);
    }

    #[test]
    fn missing_variables_are_added_and_given_ones_kept() {
        let mut request = exec(&["sh"], &["HOME=/x"]);
        request.tty = Some(Tty { rows: 1, columns: 1, term: None });
        let plan = plan(&request).expect("valid");
        let path = std::str::from_utf8(DEFAULT_PATH).expect("UTF-8");
        let want = ["HOME=/x", &format!("PATH={path}"), "TERM=xterm-256color"];
        assert_eq!(texts(plan.env.strings()), want);
    }

    #[test]
    fn what_cannot_run_is_refused_by_name() {
        let long = "x".repeat(NAME_MAX + 1);
        let many = format!("PATH={}", ":".repeat(PATH_DIRECTORIES_MAX));
        for (request, want) in [
            (exec(&[], &[]), ErrorKind::BadArguments),
            (exec(&[""], &[]), ErrorKind::BadArguments),
            (exec(&["a\0b"], &[]), ErrorKind::BadArguments),
            (exec(&["a", "b\0"], &[]), ErrorKind::BadArguments),
            (exec(&["a"], &["A"]), ErrorKind::BadArguments),
            (exec(&["a"], &["=A"]), ErrorKind::BadArguments),
            (exec(&["a"], &["A=\0"]), ErrorKind::BadArguments),
            (exec(&["a"], &[&many]), ErrorKind::BadArguments),
            (exec(&[&long], &[]), ErrorKind::CommandNotFound),
            (Exec { cwd: Some("tmp".into()), ..exec(&["a"], &[]) }, ErrorKind::BadCwd),
            (Exec { cwd: Some("/\0".into()), ..exec(&["a"], &[]) }, ErrorKind::BadCwd),
            (
                Exec { tty: Some(Tty { rows: 0, columns: 80, term: None }), ..exec(&["a"], &[]) },
                ErrorKind::BadRequest,
            ),
        ] {
            assert_eq!(plan(&request).err(), Some(want), "{request:?}");
        }
    }
}
