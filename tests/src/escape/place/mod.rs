//! Where attempts are made: ours, one without walls, and other people's.

mod docker;
mod ours;
mod weak;

use std::path::Path;

use anyhow::Result;

pub use docker::{Daemon, Docker, Runtime};
pub use ours::Ours;
pub use weak::Weak;

/// A command to run inside.
#[derive(Debug, Clone, Default)]
pub struct Order {
    /// Program and arguments.
    pub command: Vec<String>,
    /// Variables on top of the place's own.
    pub env: Vec<(String, String)>,
    /// As whom, in the place's own notation; as root if it is `None`.
    pub user: Option<String>,
    /// Working directory.
    pub cwd: Option<String>,
}

impl Order {
    /// An order for a plain command.
    pub fn new(command: &[&str]) -> Order {
        Order { command: command.iter().map(|&word| word.to_owned()).collect(), ..Order::default() }
    }
}

/// How a command ended.
#[derive(Debug, Clone)]
pub struct Ended {
    /// Exit code; `None` if a signal ended it or the place does not say.
    pub code: Option<i32>,
    /// Standard output as text.
    pub stdout: String,
    /// Standard error as text.
    pub stderr: String,
}

/// One sandbox of some kind, with the host's `/usr` in it, and what an outside can do with it.
pub trait Place: Sync {
    /// The column of the table.
    fn name(&self) -> &'static str;

    /// Runs a command to its end.
    ///
    /// # Errors
    /// If it is refused or cannot be run; a command that fails is an answer.
    fn exec(&self, order: &Order) -> Result<Ended>;

    /// Reads a file from outside, the way users of this kind of sandbox do.
    ///
    /// # Errors
    /// If it is refused or not there.
    fn read_file(&self, path: &str) -> Result<Vec<u8>>;

    /// Writes a file from outside, likewise.
    ///
    /// # Errors
    /// If it is refused or cannot be.
    fn write_file(&self, path: &str, content: &[u8]) -> Result<()>;

    /// Starts another sandbox of this kind from a tar archive of a root file system, which brings no `/usr`.
    ///
    /// # Errors
    /// If the archive is refused or the sandbox does not start.
    fn with_image<'a>(&'a self, archive: &Path) -> Result<Box<dyn Place + 'a>>;

    /// Another sandbox of the same image.
    ///
    /// # Errors
    /// If it does not start.
    fn twin<'a>(&'a self) -> Result<Box<dyn Place + 'a>>;

    /// Stops it and starts it again with what was written in it.
    ///
    /// # Errors
    /// If it does not start again.
    fn restart(&self) -> Result<()>;

    /// Words of which one is in the path of the program that enters it, as seen from inside, and in no other's.
    fn entry(&self) -> String;

    /// The process id, as seen from inside, of what carries out the outside's requests.
    fn agent(&self) -> u32 {
        1
    }

    /// A port that the outside dials to reach its agent, if it dials one.
    fn dials(&self) -> Option<u16> {
        None
    }
}
