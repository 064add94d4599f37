//! The local terminal: raw while a remote one is shown in it, and always put back.
//!
//! ```text
//!   cooked ──enter()──▶ raw ──drop, panic──▶ cooked
//! ```
//!
//! There is one controlling terminal, so its saved settings live in one static: the panic hook has to reach them.

use std::io::{self, IsTerminal as _};
use std::sync::{Mutex, Once, PoisonError};

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};

/// Size that programs expect of a terminal that does not tell its own.
const DEFAULT_SIZE: Size = Size { rows: 24, cols: 80 };

static SAVED: Mutex<Option<Termios>> = Mutex::new(None);

/// Size in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) rows: u16,
    pub(crate) cols: u16,
}

/// The terminal on standard input is raw for as long as this lives.
#[derive(Debug)]
pub(crate) struct RawMode(());

impl RawMode {
    /// Turns echo, line editing and signals from keys off; every key goes to the remote terminal.
    pub(crate) fn enter() -> io::Result<Self> {
        static HOOK: Once = Once::new();
        let stdin = io::stdin();
        let cooked = tcgetattr(&stdin)?;
        let mut raw = cooked.clone();
        raw.make_raw();
        HOOK.call_once(|| {
            let report = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                restore();
                report(panic);
            }));
        });
        *SAVED.lock().unwrap_or_else(PoisonError::into_inner) = Some(cooked);
        let guard = Self(());
        tcsetattr(&stdin, OptionalActions::Now, &raw)?;
        Ok(guard)
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        restore();
    }
}

fn restore() {
    if let Some(cooked) = SAVED.lock().unwrap_or_else(PoisonError::into_inner).take() {
        // A terminal that is gone needs no restoring.
        let _gone = tcsetattr(io::stdin(), OptionalActions::Now, &cooked);
    }
}

/// The size of the terminal that output goes to, or what programs expect if there is none.
pub(crate) fn size() -> Size {
    let told = [tcgetwinsize(io::stdout()), tcgetwinsize(io::stdin())]
        .into_iter()
        .flatten()
        .map(|size| Size { rows: size.ws_row, cols: size.ws_col })
        .find(|size| size.rows > 0 && size.cols > 0);
    told.unwrap_or(DEFAULT_SIZE)
}

/// Standard input is a terminal.
pub(crate) fn stdin_is_terminal() -> bool {
    io::stdin().is_terminal()
}

/// Standard output is a terminal.
pub(crate) fn stdout_is_terminal() -> bool {
    io::stdout().is_terminal()
}
