//! Nouns of the core into messages, and back.

use std::time::Duration;

use lazaret_core::{
    Error, ExecExit, ExecId, ExecOutput, ExecSpec, FileEntry, FileKind, FilePath, FileProblem, FileScope,
    Keep, Owner, Result, StderrTo, Stdin, Timestamp, WriteOptions,
};
use lazaret_protocol::{
    Background, ByteString, Chown, Disposition, Exec, ExitStatus, Exited, FileKind as WireKind, Metadata,
    OwnerPart, Stderr, Target, Tty, Write,
};

/// The id of a background exec on the wire: its sixteen bytes, which begin with the second of its making.
pub(super) fn exec_id(id: ExecId) -> ByteString {
    id.as_bytes().as_slice().into()
}

/// A request to run a program; in the background, if it is to have an id.
pub(super) fn exec(spec: &ExecSpec, background: Option<(ExecId, &Keep)>) -> Exec {
    Exec {
        argv: spec.command.iter().map(|argument| argument.as_str().into()).collect(),
        env: spec.env.iter().map(|(name, value)| format!("{name}={value}").into()).collect(),
        cwd: spec.cwd.as_deref().map(Into::into),
        user: spec.user.clone(),
        tty: spec.tty.as_ref().map(|tty| Tty {
            rows: tty.rows,
            columns: tty.cols,
            term: Some(tty.term.clone()).filter(|term| !term.is_empty()),
        }),
        stdin: spec.stdin == Stdin::Stream,
        timeout_ms: spec.timeout.map(milliseconds),
        kill_grace_ms: background
            .and_then(|(_, keep)| keep.grace)
            .map(|grace| u32::try_from(milliseconds(grace)).unwrap_or(u32::MAX)),
        output_limit_bytes: spec.output_limit_bytes,
        background: background.map(|(id, keep)| Background {
            id: exec_id(id),
            retain_bytes: None,
            label: keep.label.as_deref().map(Into::into),
            spool_bytes: keep.spool_bytes,
        }),
        stderr: match spec.stderr {
            StderrTo::Own => None,
            StderrTo::Stdout => Some(Stderr::WithStdout),
        },
    }
}

/// Whole milliseconds, rounded up: a timeout that is set never becomes none.
fn milliseconds(span: Duration) -> u64 {
    u64::try_from(span.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

/// How a program ended.
pub(super) fn output(exited: &Exited) -> ExecOutput {
    ExecOutput {
        exit: match exited.status {
            ExitStatus::Code(code) => ExecExit::Code(code),
            ExitStatus::Signal(signal) => ExecExit::Signal(signal),
        },
        timed_out: exited.timed_out,
        // The guest cannot know; the session compares what the kernel counts.
        oom: false,
        truncated: exited.truncated,
        duration: Duration::from_micros(exited.duration_us),
    }
}

/// A path in a scope. Beneath a root, the guest wants it relative to that.
///
/// # Errors
/// [`FileProblem::OutsideRoot`] for a path that does not even begin with its root.
pub(super) fn target(scope: &FileScope, path: &FilePath) -> Result<Target> {
    let user = scope.user.clone();
    let Some(root) = &scope.beneath else {
        return Ok(Target { path: path.as_bytes().into(), beneath: None, user });
    };
    let beneath = root.as_bytes();
    let relative = relative_to(beneath, path.as_bytes())
        .ok_or_else(|| Error::File { path: path.to_text(), problem: FileProblem::OutsideRoot })?;
    Ok(Target { path: relative.into(), beneath: Some(beneath.into()), user })
}

/// What follows the root in a path; `.` for the root itself. Whether it leads out again, by `..` or by a link, is for
/// the guest's kernel to see.
fn relative_to<'a>(root: &[u8], path: &'a [u8]) -> Option<&'a [u8]> {
    let root = root.strip_suffix(b"/").unwrap_or(root);
    let rest = path.strip_prefix(root)?;
    let Some(first) = rest.iter().position(|byte| *byte != b'/') else { return Some(b".") };
    // A name that merely begins like the root is another name.
    (first > 0).then(|| rest.get(first..)).flatten()
}

/// A change of owner; `None` if nothing changes.
pub(super) fn chown(target: Target, owner: &Owner) -> Option<Chown> {
    let (owner, only) = match (&owner.user, &owner.group) {
        (Some(user), Some(group)) => (format!("{user}:{group}"), None),
        (Some(user), None) => (user.clone(), Some(OwnerPart::User)),
        (None, Some(group)) => (group.clone(), Some(OwnerPart::Group)),
        (None, None) => return None,
    };
    Some(Chown { target, owner, only })
}

/// An upload that takes the place of what is there.
pub(super) fn write(target: Target, options: &WriteOptions) -> Write {
    Write { target, disposition: Disposition::Replace, mode: Some(options.mode), parents: options.parents }
}

/// A path and what the guest claims of it.
pub(super) fn entry(path: FilePath, metadata: Metadata) -> FileEntry {
    let micros = metadata
        .mtime_s
        .saturating_mul(1_000_000)
        .saturating_add(i64::from(metadata.mtime_ns.min(999_999_999) / 1000));
    FileEntry {
        path,
        kind: match metadata.kind {
            WireKind::File => FileKind::File,
            WireKind::Directory => FileKind::Directory,
            WireKind::Symlink => FileKind::Link,
            WireKind::Fifo | WireKind::Socket | WireKind::Device => FileKind::Other,
        },
        bytes: metadata.size,
        mode: metadata.mode & 0o7777,
        uid: metadata.uid,
        gid: metadata.gid,
        modified_at: Timestamp::from_unix_micros(micros),
        link_target: metadata.link_target.map(|target| target.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_becomes_relative_to_its_root_by_whole_names() {
        for (root, path, want) in [
            ("/mnt/data", "/mnt/data/a/b", Some("a/b")),
            ("/mnt/data/", "/mnt/data/a", Some("a")),
            ("/mnt/data", "/mnt/data", Some(".")),
            ("/mnt/data", "/mnt/data//", Some(".")),
            ("/mnt/data", "/mnt/data//a", Some("a")),
            ("/mnt/data", "/mnt/data/../x", Some("../x")),
            ("/", "/a", Some("a")),
            ("/", "/", Some(".")),
            ("/mnt/data", "/mnt/database", None),
            ("/mnt/data", "/mnt", None),
            ("/mnt/data", "/etc/passwd", None),
        ] {
            let got = relative_to(root.as_bytes(), path.as_bytes());
            assert_eq!(got, want.map(str::as_bytes), "{path} in {root}");
        }
    }

    #[test]
    fn a_timeout_is_rounded_up() {
        for (nanos, want) in [(0, 0), (1, 1), (1_000_000, 1), (1_000_001, 2)] {
            assert_eq!(milliseconds(Duration::from_nanos(nanos)), want);
        }
    }

    #[test]
    fn absurd_times_do_not_overflow() {
        let metadata = Metadata {
            kind: WireKind::Fifo,
            size: u64::MAX,
            mode: u32::MAX,
            uid: 0,
            gid: 0,
            mtime_s: i64::MAX,
            mtime_ns: u32::MAX,
            inode: 0,
            link_target: None,
        };
        let path = FilePath::new("/x").expect("a path");
        let entry = entry(path, metadata);
        assert_eq!((entry.mode, entry.kind), (0o7777, FileKind::Other));
        assert_eq!(entry.modified_at.unix_micros(), i64::MAX);
    }
}
