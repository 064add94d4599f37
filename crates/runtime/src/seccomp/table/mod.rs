//! Every system call that the kernel headers name, sorted into what passes, what is refused and what is absent.
//!
//! A row reads `name x86_64 aarch64`, with `_` where an architecture does not have the call. Both columns are
//! here, and not taken from the C library's constants, so that both filters can be built and tested on one
//! machine, and because the library lags behind the kernel by years.

mod absent;
mod allowed;
mod refused;

pub(super) use absent::ABSENT;
pub(super) use allowed::ALLOWED;
pub(super) use refused::REFUSED;

use super::Arch;

/// Calls that share a verdict for the same reason.
#[derive(Debug)]
pub(super) struct Group {
    /// Why they are on their list.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "prose for the reader of the table, and checked by a test")
    )]
    pub(super) why: &'static str,
    pub(super) calls: &'static [Call],
}

/// One system call and its number on each architecture that has it.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) name: &'static str,
    x86_64: Option<u32>,
    aarch64: Option<u32>,
}

impl Call {
    /// The number of this call, `None` where `arch` does not have it.
    pub(super) const fn number(&self, arch: Arch) -> Option<u32> {
        match arch {
            Arch::X86_64 => self.x86_64,
            Arch::Aarch64 => self.aarch64,
        }
    }
}

/// All calls of a list, its groups forgotten.
pub(super) fn all(list: &'static [Group]) -> impl Iterator<Item = &'static Call> {
    list.iter().flat_map(|group| group.calls)
}

macro_rules! number {
    (_) => {
        None
    };
    ($number:literal) => {
        Some($number)
    };
}

macro_rules! calls {
    ($($name:ident $x86_64:tt $aarch64:tt),+ $(,)?) => {
        &[$($crate::seccomp::table::Call {
            name: stringify!($name),
            x86_64: $crate::seccomp::table::number!($x86_64),
            aarch64: $crate::seccomp::table::number!($aarch64),
        }),+]
    };
}

use {calls, number};
