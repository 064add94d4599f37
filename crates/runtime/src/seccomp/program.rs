//! From ranges of system call numbers to the classic BPF program that the kernel runs at every call.
//!
//! ```text
//!   load architecture;  not ours? kill the process
//!   load number
//!   number >= k?  ──yes──▶  number >= k'?  ─▶ ...        a balanced tree over the ranges:
//!        └─no──▶  number >= k"?  ─▶ ...                  eight comparisons reach any answer
//!   answer: allow | errno | for each refusal: tests hold? errno; then allow
//! ```
//!
//! A tree and not a list, because the kernel walks a new filter once for every call number when it is attached
//! (it remembers which calls always pass): with a list that alone takes most of a millisecond of each start.
//! `docs/decisions/0005` has the figures.

use rustix::io::Errno;

use super::arguments::{Refusal, Test};
use super::{Arch, Error};

/// What the kernel does with a call.
#[derive(Debug, Clone)]
pub(super) enum Answer {
    /// Runs it.
    Allow,
    /// Runs it unless one of the refusals applies, tried in order.
    AllowUnless(Vec<&'static Refusal>),
    /// Returns this errno to the caller.
    Errno(Errno),
}

impl PartialEq for Answer {
    /// Answers by argument are never equal: each belongs to one call.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Allow, Self::Allow) => true,
            (Self::Errno(one), Self::Errno(another)) => one == another,
            _ => false,
        }
    }
}

/// The answer for `first` and the numbers after it, up to the next range.
#[derive(Debug)]
pub(super) struct Range {
    pub(super) first: u32,
    pub(super) answer: Answer,
}

/// Instructions ready for the kernel.
pub(super) struct Program(Vec<libc::sock_filter>);

impl std::fmt::Debug for Program {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Program({} instructions)", self.0.len())
    }
}

impl Program {
    /// A program that answers by `ranges`, which start at zero, are sorted, and reach to the last number.
    pub(super) fn build(arch: Arch, ranges: &[Range]) -> Result<Self, Error> {
        let mut code = vec![
            load(offset::ARCH),
            jump(libc::BPF_JEQ, audit_arch(arch), 1, 0),
            give(libc::SECCOMP_RET_KILL_PROCESS),
            load(offset::NUMBER),
        ];
        code.extend(tree(ranges)?);
        Ok(Self(code))
    }

    pub(super) fn instructions(&self) -> &[libc::sock_filter] {
        &self.0
    }
}

/// Decides between two halves of the ranges by one comparison, and within each half in the same way.
fn tree(ranges: &[Range]) -> Result<Vec<libc::sock_filter>, Error> {
    let (low, high) = ranges.split_at(ranges.len() / 2);
    if low.is_empty() {
        return high.first().map_or(Ok(Vec::new()), |range| answer(&range.answer));
    }
    let below = tree(low)?;
    let above = tree(high)?;
    let mut code = match u8::try_from(below.len()) {
        Ok(skip) => vec![jump(libc::BPF_JGE, high[0].first, skip, 0)],
        // Only an unconditional jump reaches that far.
        Err(_) => vec![jump(libc::BPF_JGE, high[0].first, 0, 1), skip_always(&below)?],
    };
    code.extend(below);
    code.extend(above);
    Ok(code)
}

fn answer(answer: &Answer) -> Result<Vec<libc::sock_filter>, Error> {
    match answer {
        Answer::Allow => Ok(vec![give(libc::SECCOMP_RET_ALLOW)]),
        Answer::Errno(errno) => Ok(vec![give(refuse_with(*errno))]),
        Answer::AllowUnless(refusals) => {
            let mut code = Vec::new();
            for refusal in refusals {
                code.extend(refusal_code(refusal)?);
            }
            code.push(give(libc::SECCOMP_RET_ALLOW));
            Ok(code)
        }
    }
}

/// Returns the refusal's errno when all its tests hold, and otherwise runs past its own end.
fn refusal_code(refusal: &Refusal) -> Result<Vec<libc::sock_filter>, Error> {
    let mut code = vec![give(refuse_with(refusal.errno))];
    // Built from the back, so that each test knows how far away the end is.
    for test in refusal.when.iter().rev() {
        let end = code.len();
        let mut block = Vec::new();
        match *test {
            Test::OneOf(index, values) => {
                block.push(load_argument(index));
                for (position, &value) in values.iter().enumerate() {
                    let after = values.len() - 1 - position;
                    let miss = if after == 0 { distance(end)? } else { 0 };
                    block.push(jump(libc::BPF_JEQ, value, distance(after)?, miss));
                }
            }
            Test::NoneOf(index, values) => {
                block.push(load_argument(index));
                for (position, &value) in values.iter().enumerate() {
                    let after = values.len() - 1 - position;
                    block.push(jump(libc::BPF_JEQ, value, distance(after + end)?, 0));
                }
            }
            Test::HasAny(index, mask) => {
                block.push(load_argument(index));
                block.push(jump(libc::BPF_JSET, mask, 0, distance(end)?));
            }
        }
        block.append(&mut code);
        code = block;
    }
    Ok(code)
}

/// Positions in the `struct seccomp_data` that a program reads, in bytes (linux/seccomp.h).
mod offset {
    pub(super) const NUMBER: u32 = 0;
    pub(super) const ARCH: u32 = 4;
    pub(super) const ARGUMENTS: u32 = 16;
    pub(super) const ARGUMENT_BYTES: u32 = 8;
}

/// The value that the kernel reports for calls through the architecture's own 64-bit entry point: its ELF machine
/// number with the flags for 64 bits and little-endian (linux/audit.h). x32 calls share it and differ by number.
const fn audit_arch(arch: Arch) -> u32 {
    const AUDIT_64BIT_LITTLE_ENDIAN: u32 = 0x8000_0000 | 0x4000_0000;
    const EM_X86_64: u32 = 62;
    const EM_AARCH64: u32 = 183;
    AUDIT_64BIT_LITTLE_ENDIAN
        | match arch {
            Arch::X86_64 => EM_X86_64,
            Arch::Aarch64 => EM_AARCH64,
        }
}

fn refuse_with(errno: Errno) -> u32 {
    libc::SECCOMP_RET_ERRNO | (errno.raw_os_error().unsigned_abs() & libc::SECCOMP_RET_DATA)
}

/// Loads the low half of an argument; both architectures are little-endian.
fn load_argument(index: u8) -> libc::sock_filter {
    load(offset::ARGUMENTS + u32::from(index) * offset::ARGUMENT_BYTES)
}

fn load(at: u32) -> libc::sock_filter {
    instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, at, 0, 0)
}

fn give(action: u32) -> libc::sock_filter {
    instruction(libc::BPF_RET | libc::BPF_K, action, 0, 0)
}

fn jump(condition: u32, value: u32, hit: u8, miss: u8) -> libc::sock_filter {
    instruction(libc::BPF_JMP | libc::BPF_K | condition, value, hit, miss)
}

fn skip_always(code: &[libc::sock_filter]) -> Result<libc::sock_filter, Error> {
    let far = u32::try_from(code.len()).map_err(|_| Error::JumpTooLong)?;
    Ok(instruction(libc::BPF_JMP | libc::BPF_JA, far, 0, 0))
}

fn distance(instructions: usize) -> Result<u8, Error> {
    u8::try_from(instructions).map_err(|_| Error::JumpTooLong)
}

fn instruction(code: u32, k: u32, jt: u8, jf: u8) -> libc::sock_filter {
    #[expect(clippy::cast_possible_truncation, reason = "the kernel's operation codes have 16 bits")]
    let code = code as u16;
    libc::sock_filter { code, jt, jf, k }
}
