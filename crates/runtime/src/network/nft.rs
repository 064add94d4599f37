//! Running `nft`, which knows how rules are written. Once per gateway, never on the way of a start.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::io::{Errno, Result};

/// Where distributions put it.
const PROGRAMS: [&str; 4] = ["/usr/sbin/nft", "/sbin/nft", "/usr/bin/nft", "/usr/local/sbin/nft"];

/// Longest part of its complaint that is passed on to the log.
const COMPLAINT_BYTES: u64 = 4096;

/// The program, if it is installed.
pub(crate) fn program() -> Option<&'static Path> {
    PROGRAMS.iter().map(Path::new).find(|path| path.exists())
}

/// Every chain of the network namespace that this process is in, as `nft` prints them; `None` if it cannot tell.
pub(crate) fn list_chains() -> Option<String> {
    let output = Command::new(program()?).args(["list", "chains"]).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Loads rules into the network namespace that this process is in: all of them, or none.
///
/// # Errors
/// `ENOENT` if there is no `nft`; `EINVAL` if it refuses, after its words went to the log.
pub(super) fn load(rules: &str) -> Result<()> {
    let program = program().ok_or(Errno::NOENT)?;
    let run = || -> std::io::Result<bool> {
        let mut process =
            Command::new(program).args(["-f", "-"]).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        if let Some(mut stdin) = process.stdin.take() {
            stdin.write_all(rules.as_bytes())?;
        }
        let mut complaint = String::new();
        if let Some(stderr) = process.stderr.take() {
            stderr.take(COMPLAINT_BYTES).read_to_string(&mut complaint)?;
        }
        let ended = process.wait()?;
        if !ended.success() {
            eprintln!("lazaret spawner: nft refused the rules: {}", complaint.trim());
        }
        Ok(ended.success())
    };
    match run() {
        Ok(true) => Ok(()),
        Ok(false) => Err(Errno::INVAL),
        Err(error) => Err(Errno::from_io_error(&error).unwrap_or(Errno::IO)),
    }
}
