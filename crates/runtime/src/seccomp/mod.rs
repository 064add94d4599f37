//! The system call filter that every process of a sandbox runs under, the guest included.
//!
//! ```text
//!   table/allowed   ── passes, unless `arguments` refuses the values
//!   table/refused   ── EPERM: exists, and is not for a sandbox
//!   table/absent    ── ENOSYS: as are all numbers that no table names, so that libraries fall back
//!   other entry points (32-bit calls) ── the process dies by SIGSYS; x32 numbers are unknown numbers
//! ```
//!
//! The tables are data; `program` turns them into the instructions that the kernel runs. Not here: the
//! `seccomp(2)` call (`sys::seccomp`), the capabilities that bound the same processes (`capabilities`), and any
//! variation by tenant: one filter holds for all.

mod arguments;
mod program;
mod table;

use rustix::io::Errno;

use arguments::REFUSALS;
use program::{Answer, Program, Range};
use table::{ABSENT, ALLOWED, REFUSED};

/// A processor architecture that a filter can be built for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arch {
    /// 64-bit x86, whose kernels may also offer 32-bit and x32 calls.
    X86_64,
    /// 64-bit Arm, whose kernels may also offer 32-bit calls.
    Aarch64,
}

impl Arch {
    /// The architecture that this binary runs on, `None` when there is no table for it.
    const fn native() -> Option<Self> {
        if cfg!(target_arch = "x86_64") {
            Some(Self::X86_64)
        } else if cfg!(target_arch = "aarch64") {
            Some(Self::Aarch64)
        } else {
            None
        }
    }
}

/// Why no filter could be built. Each is a mistake in the tables or an unsupported machine, never bad luck.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The binary runs on a processor that the tables do not cover.
    #[error("there is no system call table for this processor architecture")]
    UnknownArchitecture,
    /// Two verdicts for one call.
    #[error("system call {number} is listed twice in the tables")]
    ListedTwice {
        /// Its number on the architecture that the filter is built for.
        number: u32,
    },
    /// A refusal by argument names a call that is not allowed in the first place.
    #[error("a refusal by argument names `{call}`, which is not an allowed call")]
    NotAllowed {
        /// The name as written in the table.
        call: &'static str,
    },
    /// A conditional jump would span more instructions than its 8-bit field holds.
    #[error("the rules of one system call are too long for a filter")]
    JumpTooLong,
}

/// A compiled filter: built once, installed in each new sandbox.
#[derive(Debug)]
pub struct Filter {
    program: Program,
}

impl Filter {
    /// The filter for this machine.
    ///
    /// # Errors
    /// Only for a processor without a table, or inconsistent tables, which the tests of this module rule out.
    pub fn compile() -> Result<Self, Error> {
        let arch = Arch::native().ok_or(Error::UnknownArchitecture)?;
        Ok(Self { program: compile(arch)? })
    }

    /// Puts the calling thread, and all it makes from now on, under the filter; there is no way back.
    ///
    /// The last step of a fresh child before it executes the guest: it makes two system calls and neither
    /// allocates nor locks. It sets no_new_privs as well, so that no privilege is needed.
    ///
    /// # Errors
    /// `EINVAL` when the kernel lacks `CONFIG_SECCOMP_FILTER`, `ENOMEM` when it cannot hold the program. The
    /// thread must then not go on to run foreign code.
    pub fn apply(&self) -> Result<(), Errno> {
        rustix::thread::set_no_new_privs(true)?;
        crate::sys::seccomp::install(self.program.instructions())
    }
}

/// Joins the tables into one map from number ranges to answers, and that into a program.
fn compile(arch: Arch) -> Result<Program, Error> {
    for refusal in REFUSALS {
        if !table::all(ALLOWED).any(|call| call.name == refusal.call) {
            return Err(Error::NotAllowed { call: refusal.call });
        }
    }
    let allowed = table::all(ALLOWED).map(|call| {
        let narrowed = REFUSALS.iter().filter(|refusal| refusal.call == call.name).collect::<Vec<_>>();
        (call, if narrowed.is_empty() { Answer::Allow } else { Answer::AllowUnless(narrowed) })
    });
    let refused = table::all(REFUSED).map(|call| (call, Answer::Errno(Errno::PERM)));
    let absent = table::all(ABSENT).map(|call| (call, Answer::Errno(Errno::NOSYS)));

    let mut decided = allowed
        .chain(refused)
        .chain(absent)
        .filter_map(|(call, answer)| Some((call.number(arch)?, answer)))
        .collect::<Vec<_>>();
    decided.sort_by_key(|&(number, _)| number);
    if let Some(pair) = decided.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        return Err(Error::ListedTwice { number: pair[0].0 });
    }
    Program::build(arch, &ranges(decided))
}

/// Covers all numbers by runs with one answer each: gaps, and what lies past the end, are absent calls.
fn ranges(decided: Vec<(u32, Answer)>) -> Vec<Range> {
    let mut ranges: Vec<Range> = Vec::new();
    let mut push = |first: u32, answer: Answer| {
        if ranges.last().is_none_or(|last| last.answer != answer) {
            ranges.push(Range { first, answer });
        }
    };
    let mut next = 0;
    for (number, answer) in decided {
        if number > next {
            push(next, Answer::Errno(Errno::NOSYS));
        }
        push(number, answer);
        next = number + 1;
    }
    push(next, Answer::Errno(Errno::NOSYS));
    ranges
}

#[cfg(test)]
mod tests;
