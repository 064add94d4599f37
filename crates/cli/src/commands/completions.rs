//! `lazaret completions`: what the shell should offer when Tab is pressed.

use std::io::{self, Write as _};

use anyhow::Result;
use clap::Args;
use clap_complete::Shell;

/// Print a completion script for a shell
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lazaret completions bash > /etc/bash_completion.d/lazaret
  lazaret completions zsh > \"${fpath[1]}/_lazaret\"
  lazaret completions fish > ~/.config/fish/completions/lazaret.fish")]
pub struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub(super) fn run(self, mut tree: clap::Command) -> Result<()> {
        let name = tree.get_name().to_owned();
        // Written in one piece: the generator panics when its output is closed.
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut tree, name, &mut script);
        io::stdout().write_all(&script)?;
        Ok(())
    }
}
