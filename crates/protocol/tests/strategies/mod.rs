//! Arbitrary messages for the property tests.

use lazaret_protocol::guest_message::{Hello, Link, ListEnd, Replaced, Skipped, Written};
use lazaret_protocol::host_message::{Resize, Signal};
use lazaret_protocol::*;
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;

fn bytes() -> impl Strategy<Value = ByteString> {
    vec(any::<u8>(), 0..64).prop_map(ByteString)
}

fn target() -> impl Strategy<Value = Target> {
    (bytes(), of(bytes()), of(".{0,16}")).prop_map(|(path, beneath, user)| Target { path, beneath, user })
}

fn exec() -> impl Strategy<Value = Exec> {
    let words = (vec(bytes(), 0..5), vec(bytes(), 0..5), of(bytes()), of(".{0,16}"));
    let tty = of((any::<u16>(), any::<u16>(), of(".{0,16}")).prop_map(|(rows, columns, term)| Tty {
        rows,
        columns,
        term,
    }));
    let background = of((bytes(), of(any::<u32>()), of(bytes()), of(any::<u64>())).prop_map(
        |(id, retain_bytes, label, spool_bytes)| Background { id, retain_bytes, label, spool_bytes },
    ));
    let stderr = of(Just(Stderr::WithStdout));
    let numbers = (any::<bool>(), of(any::<u64>()), of(any::<u32>()), of(any::<u64>()));
    (words, tty, background, numbers, stderr).prop_map(
        |(
            (argv, env, cwd, user),
            tty,
            background,
            (stdin, timeout_ms, kill_grace_ms, output_limit_bytes),
            stderr,
        )| Exec {
            argv,
            env,
            cwd,
            user,
            tty,
            stdin,
            timeout_ms,
            kill_grace_ms,
            output_limit_bytes,
            background,
            stderr,
        },
    )
}

fn disposition() -> impl Strategy<Value = Disposition> {
    prop_oneof![Just(Disposition::Replace), Just(Disposition::CreateNew), Just(Disposition::Append)]
}

fn selection() -> impl Strategy<Value = Selection> {
    (of(any::<u32>()), of(bytes()), any::<bool>()).prop_map(|(depth, name, follow)| Selection {
        depth,
        name,
        follow,
    })
}

fn body() -> impl Strategy<Value = RequestBody> {
    prop_oneof![
        Just(RequestBody::Hello),
        Just(RequestBody::ListExecs),
        exec().prop_map(|exec| RequestBody::Exec(Box::new(exec))),
        (bytes(), any::<u64>()).prop_map(|(id, offset)| RequestBody::Attach(Attach { id, offset })),
        (bytes(), any::<u32>()).prop_map(|(id, signal)| RequestBody::SignalExec(SignalExec { id, signal })),
        (bytes(), of(any::<bool>()))
            .prop_map(|(id, gently)| RequestBody::RemoveExec(RemoveExec { id, gently })),
        (target(), any::<bool>()).prop_map(|(target, follow)| RequestBody::Stat(Stat { target, follow })),
        (target(), any::<u32>()).prop_map(|(target, limit)| RequestBody::List(List { target, limit })),
        (target(), any::<u32>(), of(selection()))
            .prop_map(|(target, limit, selection)| RequestBody::Walk(Walk { target, limit, selection })),
        (target(), bytes(), any::<u32>()).prop_map(|(target, text, limit)| RequestBody::Find(Find {
            target,
            text,
            limit
        })),
        (target(), bytes(), bytes()).prop_map(|(target, text, with)| RequestBody::ReplaceText(ReplaceText {
            target,
            text,
            with
        })),
        (target(), bytes(), any::<bool>()).prop_map(|(target, to, replace)| RequestBody::Move(Rename {
            target,
            to,
            replace
        })),
        (target(), any::<u64>(), of(any::<u64>()))
            .prop_map(|(target, offset, len)| RequestBody::Read(Read { target, offset, len })),
        (target(), disposition(), of(any::<u32>()), any::<bool>()).prop_map(
            |(target, disposition, mode, parents)| RequestBody::Write(Write {
                target,
                disposition,
                mode,
                parents
            })
        ),
        (target(), of(any::<u32>()), any::<bool>())
            .prop_map(|(target, mode, parents)| RequestBody::Mkdir(Mkdir { target, mode, parents })),
        (target(), bytes(), any::<bool>()).prop_map(|(target, to, replace)| RequestBody::Rename(Rename {
            target,
            to,
            replace
        })),
        (target(), any::<bool>())
            .prop_map(|(target, recursive)| RequestBody::Remove(Remove { target, recursive })),
        (target(), any::<u32>()).prop_map(|(target, mode)| RequestBody::Chmod(Chmod { target, mode })),
        (target(), ".{0,16}", of(prop_oneof![Just(OwnerPart::User), Just(OwnerPart::Group)]))
            .prop_map(|(target, owner, only)| RequestBody::Chown(Chown { target, owner, only })),
        (target(), bytes())
            .prop_map(|(target, points_to)| RequestBody::Symlink(Symlink { target, points_to })),
        target().prop_map(|target| RequestBody::Readlink(Readlink { target })),
        any::<u16>().prop_map(|port| RequestBody::Dial(Dial { port })),
        (".{0,16}", exec())
            .prop_map(|(name, exec)| RequestBody::RunProgram(Box::new(RunProgram { name, exec }))),
    ]
}

/// Every host message that carries no borrowed bytes.
pub(crate) fn host_message() -> impl Strategy<Value = HostMessage<'static>> {
    prop_oneof![
        8 => body().prop_map(|body| HostMessage::Request(Request::new(body))),
        1 => Just(HostMessage::StdinEnd),
        1 => Just(HostMessage::Commit),
        1 => any::<u32>().prop_map(|number| HostMessage::Signal(Signal { number })),
        1 => any::<(u16, u16)>().prop_map(|(rows, columns)| HostMessage::Resize(Resize { rows, columns })),
    ]
}

fn exited() -> impl Strategy<Value = Exited> {
    let status =
        prop_oneof![any::<u8>().prop_map(ExitStatus::Code), any::<u8>().prop_map(ExitStatus::Signal)];
    (status, any::<bool>(), any::<bool>(), any::<u64>()).prop_map(
        |(status, timed_out, truncated, duration_us)| Exited { status, timed_out, truncated, duration_us },
    )
}

fn metadata() -> impl Strategy<Value = Metadata> {
    let kind = prop_oneof![
        Just(FileKind::File),
        Just(FileKind::Directory),
        Just(FileKind::Symlink),
        Just(FileKind::Fifo),
        Just(FileKind::Socket),
        Just(FileKind::Device)
    ];
    (kind, any::<(u64, u32, u32, u32, i64, u32, u64)>(), of(bytes())).prop_map(
        |(kind, (size, mode, uid, gid, mtime_s, mtime_ns, inode), link_target)| Metadata {
            kind,
            size,
            mode,
            uid,
            gid,
            mtime_s,
            mtime_ns,
            inode,
            link_target,
        },
    )
}

fn failure() -> impl Strategy<Value = Failure> {
    (proptest::sample::select(ErrorKind::ALL), of(any::<i32>()), ".{0,40}", of(bytes()))
        .prop_map(|(kind, errno, message, path)| Failure { kind, errno, message, path })
}

/// Every guest message that carries no borrowed bytes.
pub(crate) fn guest_message() -> impl Strategy<Value = GuestMessage<'static>> {
    let entry = (bytes(), metadata()).prop_map(|(path, metadata)| Entry { path, metadata });
    let state = (bytes(), any::<(u32, u64, u64)>(), of(exited()), vec(bytes(), 0..4), of(bytes())).prop_map(
        |(id, (pid, oldest_offset, end_offset), exited, argv, label)| ExecState {
            id,
            pid,
            oldest_offset,
            end_offset,
            exited,
            argv,
            label,
        },
    );
    prop_oneof![
        failure().prop_map(GuestMessage::Failure),
        Just(GuestMessage::Done),
        any::<(u32, u32)>()
            .prop_map(|(version, oldest_host)| GuestMessage::Hello(Hello { version, oldest_host })),
        any::<u32>().prop_map(|pid| GuestMessage::Started(Started { pid })),
        exited().prop_map(GuestMessage::Exited),
        any::<(u64, u32)>().prop_map(|(offset, pid)| GuestMessage::Attached(Attached { offset, pid })),
        any::<u64>().prop_map(|offset| GuestMessage::Skipped(Skipped { offset })),
        state.prop_map(GuestMessage::ExecState),
        metadata().prop_map(GuestMessage::Metadata),
        vec(entry, 0..6).prop_map(GuestMessage::Entries),
        any::<bool>().prop_map(|truncated| GuestMessage::ListEnd(ListEnd { truncated })),
        (any::<u64>(), metadata())
            .prop_map(|(bytes, metadata)| GuestMessage::Written(Written { bytes, metadata })),
        bytes().prop_map(|points_to| GuestMessage::Link(Link { points_to })),
        Just(GuestMessage::Connected),
        vec((bytes(), any::<u64>(), bytes()).prop_map(|(path, line, text)| Match { path, line, text }), 0..4)
            .prop_map(GuestMessage::Matches),
        any::<u64>().prop_map(|count| GuestMessage::Replaced(Replaced { count })),
    ]
}
