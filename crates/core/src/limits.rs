//! Every bound that a stranger could otherwise push, with its unit and its why.

use std::time::Duration;

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
const GIB: u64 = 1024 * MIB;

/// Longest path, in bytes: Linux's `PATH_MAX` less its NUL.
pub const PATH_MAX_BYTES: usize = 4095;

/// Longest name of a sandbox, in characters. Long enough for any label, short enough for a table.
pub const NAME_MAX_CHARS: usize = 256;

/// Most labels of a sandbox, and the longest key and value in bytes: what Kubernetes users expect, with room.
pub const LABELS_MAX: usize = 64;
/// Longest label key or value, in bytes.
pub const LABEL_MAX_BYTES: usize = 512;

/// Most environment variables of a sandbox or an exec.
pub const ENV_MAX: usize = 1024;
/// Arguments and environment of an exec together, in bytes. Linux allows a quarter of the stack limit (2 MiB of 8); one
/// string is at most 128 KiB there.
pub const EXEC_ARGS_MAX_BYTES: usize = 1024 * 1024;
/// Longest single argument, in bytes: Linux's `MAX_ARG_STRLEN` less its NUL.
pub const EXEC_ARG_MAX_BYTES: usize = 128 * 1024 - 1;

/// Smallest memory limit: below this, an interpreter does not start.
pub const MEMORY_MIN_BYTES: u64 = 16 * MIB;
/// Largest memory limit, the top tier of the OpenAI API.
pub const MEMORY_MAX_BYTES: u64 = 64 * GIB;
/// Default memory limit, the lowest tier of the OpenAI API.
pub const MEMORY_DEFAULT_BYTES: u64 = GIB;

/// Smallest CPU limit: a twentieth of a core.
pub const CPU_MIN_MILLIS: u32 = 50;
/// Largest CPU limit.
pub const CPU_MAX_MILLIS: u32 = 256_000;
/// Default CPU limit: one core, so that two busy sandboxes leave a small host responsive.
pub const CPU_DEFAULT_MILLIS: u32 = 1000;

/// Fewest processes: the guest's own threads and a shell pipeline.
pub const PIDS_MIN: u32 = 16;
/// Most processes.
pub const PIDS_MAX: u32 = 32_768;
/// Default process limit: a build with parallel jobs fits, a fork bomb does not hurt.
pub const PIDS_DEFAULT: u32 = 1024;

/// Smallest disk: a file system's own metadata and a little.
pub const DISK_MIN_BYTES: u64 = 16 * MIB;
/// Largest disk.
pub const DISK_MAX_BYTES: u64 = 1024 * GIB;
/// Default disk.
pub const DISK_DEFAULT_BYTES: u64 = 10 * GIB;

/// Smallest volume: its journal and a little.
pub const VOLUME_MIN_BYTES: u64 = 32 * MIB;
/// Largest volume.
pub const VOLUME_MAX_BYTES: u64 = 1024 * GIB;
/// Size of a volume whose maker names none.
pub const VOLUME_DEFAULT_BYTES: u64 = 10 * GIB;
/// Volumes that one sandbox mounts: each is a file system that its start looks after.
pub const VOLUME_MOUNTS_MAX: usize = 8;
/// Longest path of a volume in a sandbox, or of a directory in a volume, in bytes: eight of both fit into one message.
pub const MOUNT_PATH_MAX_BYTES: usize = 1024;

/// Output of one exec that is held in memory for a single answer; a stream has no such bound.
pub const EXEC_OUTPUT_MAX_BYTES: u64 = 10 * MIB;
/// Default timeout of an exec that answers in one piece. A stream has none.
pub const EXEC_TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);
/// Longest timeout of an exec.
pub const EXEC_TIMEOUT_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// Chunks that wait between a process and its reader before the process has to wait.
pub const EXEC_CHANNEL_CHUNKS: usize = 16;
/// Bytes of a sandbox's `/etc/passwd` that are read, as in the guest: ten thousand users fit.
pub const PASSWD_MAX_BYTES: u64 = MIB;
/// Interpreter contexts of one sandbox. Each is a process, and its memory is the sandbox's own.
pub const CONTEXTS_MAX: usize = 32;
/// Cells that wait for their turn in one context: a queue, not a store.
pub const CELLS_WAITING_MAX: usize = 32;
/// Values that one cell may show, in bytes together: a few large figures.
pub const CELL_VALUES_MAX_BYTES: usize = 32 * 1024 * 1024;
/// How long a context may go without a cell before it is ended.
pub const CONTEXT_IDLE: Duration = Duration::from_secs(6 * 60 * 60);
/// How long a warm interpreter without contexts may go unused before it is ended, so that an idle sandbox is small.
pub const INTERPRETER_IDLE: Duration = Duration::from_secs(10 * 60);
/// Shell sessions of one sandbox, those that have ended and were not deleted included. With [`TERMINALS_MAX`], as many as
/// a guest keeps execs in the background.
pub const SESSIONS_MAX: usize = 32;
/// Terminals of one sandbox.
pub const TERMINALS_MAX: usize = 32;
/// Longest name of a session or a terminal, in bytes.
pub const SESSION_NAME_MAX_BYTES: usize = 256;
/// Longest command of a session, in bytes. The shell reads it byte by byte.
pub const SESSION_COMMAND_MAX_BYTES: usize = 1024 * 1024;
/// Commands that wait for their turn in one session: a queue, not a store.
pub const SESSION_COMMANDS_WAITING_MAX: usize = 32;
/// Commands of one session that are remembered; the oldest go first.
pub const SESSION_COMMANDS_MAX: usize = 1_000;
/// Output of one session that is kept, in bytes, on the sandbox's own disk; the guest takes less of a small one.
pub const SESSION_LOG_MAX_BYTES: u64 = 256 * MIB;
/// Input of one command that is repeated in its log, in bytes.
pub const SESSION_ECHO_MAX_BYTES: usize = 1024 * 1024;
/// How long a command may take to take its input before whoever sends it is told.
pub const SESSION_INPUT_PATIENCE: Duration = Duration::from_secs(10);
/// How long a deleted session has between SIGTERM and SIGKILL.
pub const SESSION_GRACE: Duration = Duration::from_secs(5);
/// Language servers of one sandbox: a few languages in a few projects. Their memory is the sandbox's own.
pub const LANGUAGE_SERVERS_MAX: usize = 8;
/// Longest message of a language server, in bytes: the symbols of a large project.
pub const LANGUAGE_FRAME_MAX_BYTES: usize = 4 * 1024 * 1024;
/// Longest header of such a message, in bytes: it has two fields.
pub const LANGUAGE_HEADER_MAX_BYTES: usize = 1024;
/// What a language server may say before it is asked or told something more, in bytes: the diagnostics of a large project. Nobody
/// need be there while it talks.
pub const LANGUAGE_UNASKED_MAX_BYTES: usize = 64 * 1024 * 1024;
/// Requests that wait for one language server: each may hold an answer.
pub const LANGUAGE_REQUESTS_MAX: usize = 16;
/// Documents that one language server is told of at a time: an editor's.
pub const LANGUAGE_DOCUMENTS_MAX: usize = 256;
/// Longest document that a language server is told of, in bytes: what people write is shorter.
pub const LANGUAGE_DOCUMENT_MAX_BYTES: u64 = MIB;
/// How long a language server may take to answer, or to read what it is told. The first look at a large project takes seconds.
pub const LANGUAGE_PATIENCE: Duration = Duration::from_secs(30);
/// How long a language server may take to start: some are compiled first.
pub const LANGUAGE_START_PATIENCE: Duration = Duration::from_secs(60);
/// How long a language server has to get ready for its end before it is killed.
pub const LANGUAGE_STOP_PATIENCE: Duration = Duration::from_secs(5);
/// Most rows or columns of a terminal: more than any screen has.
pub const TERMINAL_SIDE_MAX: u16 = 1_000;
/// Environment of a terminal, in bytes: it is kept with its name, for the server after this one.
pub const TERMINAL_ENV_MAX_BYTES: usize = 8 * 1024;
/// Source text of a `run` or a cell, in bytes.
pub const RUN_CODE_MAX_BYTES: usize = 4 * 1024 * 1024;

/// Longest URL of a git remote, and longest value of its configuration, in bytes: what web servers take.
pub const GIT_URL_MAX_BYTES: usize = 8 * 1024;
/// Longest name of a branch, remote, author or key of git, in bytes: file systems allow 255 a component.
pub const GIT_NAME_MAX_BYTES: usize = 1024;
/// Longest commit message, in bytes.
pub const GIT_MESSAGE_MAX_BYTES: usize = 1024 * 1024;
/// Longest user name or password for a remote, in bytes; tokens are the longest, and have some kilobytes.
pub const GIT_CREDENTIAL_MAX_BYTES: usize = 16 * 1024;
/// Files that one git command may name.
pub const GIT_FILES_MAX: usize = 10_000;
/// Their names together, in bytes.
pub const GIT_FILES_MAX_BYTES: usize = 1024 * 1024;
/// Commits of one history.
pub const GIT_HISTORY_MAX: u32 = 1_000;
/// How long a git command may take that reaches no remote. Large working trees are compared file by file.
pub const GIT_LOCAL_TIMEOUT: Duration = Duration::from_secs(120);
/// How long a clone, a push or a pull may take: the largest public repositories over an ordinary line.
pub const GIT_REMOTE_TIMEOUT: Duration = Duration::from_secs(30 * 60);

/// Largest uploaded file, the Files API's documented maximum.
pub const UPLOAD_MAX_BYTES: u64 = 512 * MIB;
/// Bytes of uploads that one account may keep, unless its tier says otherwise.
pub const STORED_MAX_BYTES: u64 = 64 * GIB;
/// Longest file name of an upload, in bytes: `NAME_MAX` of Linux file systems.
pub const FILENAME_MAX_BYTES: usize = 255;

/// Files that a catalogue holds; a tree with more is cut there and says so in the log.
pub const CATALOGUE_MAX_ENTRIES: usize = 10_000;
/// Files that one create may copy in.
pub const SEED_FILES_MAX: usize = 500;
/// Entries of one directory listing.
pub const LIST_MAX_ENTRIES: usize = 10_000;
/// Lines that one search for a text finds: more than anybody reads.
pub const FIND_MAX_LINES: usize = 10_000;
/// Longest text or glob that a search looks for, in bytes; the guest has the same bound.
pub const PATTERN_MAX_BYTES: usize = 4096;
/// Longest text that takes the place of another, in bytes: with the text that goes, it fits into one request to the guest.
pub const REPLACEMENT_MAX_BYTES: usize = 512 * 1024;
/// Files that one request may read, write or change one after another.
pub const FILES_MAX: usize = 1_000;

/// Largest file that the download action answers with, in bytes: the contract's own figure.
pub const ACTION_DOWNLOAD_MAX_BYTES: u64 = 100 * MIB;

/// Longest life of a signed preview.
pub const SIGNED_PREVIEW_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// How long a browser that was let into a preview is let in again.
pub const PREVIEW_PASS_LIFE: Duration = Duration::from_secs(60 * 60);
/// Signed previews of one sandbox that are withdrawn before their end and remembered until then.
pub const WITHDRAWALS_MAX: usize = 1_000;

/// Ports that are never public: clients of one dialect know them as those of agents and terminals.
pub const PRIVATE_PORTS: [u16; 3] = [2280, 22_222, 33_333];

/// Sandboxes of one account that exist at once, unless its tier says otherwise.
pub const SANDBOXES_MAX: usize = 2_000;
/// Volumes of one account, unless its tier says otherwise.
pub const VOLUMES_MAX: usize = 100;
/// Bytes that all volumes of one account may take together, unless its tier says otherwise.
pub const VOLUMES_MAX_BYTES: u64 = 1024 * GIB;
/// Templates of one account: all of them are in one listing.
pub const TEMPLATES_MAX: usize = 200;
/// What a template starts with each sandbox, in bytes with all arguments: a script belongs into the image.
pub const START_COMMAND_MAX_BYTES: usize = 64 * 1024;
/// Keys of one account.
pub const KEYS_MAX: usize = 100;

/// How long metadata of an expired sandbox stays listed.
pub const EXPIRED_RETENTION: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// How long a graceful stop waits between SIGTERM and SIGKILL.
pub const STOP_GRACE: Duration = Duration::from_secs(5);
/// Longest grace that a stop may be given.
pub const STOP_GRACE_MAX: Duration = Duration::from_secs(600);
/// Shortest idle time that a lease may have.
pub const IDLE_MIN: Duration = Duration::from_secs(1);
/// Longest idle time that a lease may have: a year.
pub const IDLE_MAX: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// How long a sandbox stays unpacked when it is to be archived as late as possible: Daytona's own maximum, 30 days.
pub const ARCHIVE_AFTER_MAX: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// How stale a stored `last_active_at` may be: activity is written at most this often.
pub const ACTIVITY_WRITE_INTERVAL: Duration = Duration::from_secs(1);
/// How often reconcilers look without having been woken.
pub const RECONCILE_INTERVAL: Duration = Duration::from_secs(1);

/// Longest host name, in bytes: RFC 1035's 255 octets less its lengths.
pub const DOMAIN_MAX_BYTES: usize = 253;
/// Longest label of a host name, in bytes (RFC 1035).
pub const DOMAIN_LABEL_MAX_BYTES: usize = 63;
/// Longest text that is read as a host name: one in another script takes more bytes than its form in ASCII.
pub const DOMAIN_TEXT_MAX_BYTES: usize = 4 * DOMAIN_MAX_BYTES;
/// Most domains of one allow-list: every query and connection walks it.
pub const EGRESS_DOMAINS_MAX: usize = 256;
/// Most networks of one allow-list: each is an element of a set in the kernel.
pub const EGRESS_CIDRS_MAX: usize = 64;
/// Characters of a refused domain or network that a message shows.
pub const EGRESS_TEXT_SHOWN_CHARS: usize = 80;

/// Secrets of one sandbox: each is looked for in every header of a request.
pub const SECRETS_MAX: usize = 64;
/// Longest name of a secret, in bytes: with its token, a placeholder stays a short word.
pub const SECRET_NAME_MAX_BYTES: usize = 128;
/// Longest value of a secret, in bytes. It becomes a part of a header, and servers take heads of 8 to 64 KiB.
pub const SECRET_VALUE_MAX_BYTES: usize = 16 * 1024;
/// Largest list of trusted certificates that is read from an image, in bytes. Mozilla's has some 220 KiB.
pub const TRUST_STORE_MAX_BYTES: u64 = 4 * MIB;

/// Pulls of images that are under way at once; further ones wait for their turn. Each has several connections, and
/// unpacking is bound by the disk.
pub const PULLS_MAX: usize = 4;
/// How long a create waits for its image to be pulled. A gigabyte at 20 Mbit/s takes seven minutes.
pub const PULL_WAIT_MAX: Duration = Duration::from_secs(15 * 60);

/// How long an image of a sandbox may take to be made, and the sandbox cannot start meanwhile. Ten gigabytes on a slow disk
/// take four minutes.
pub const COMMIT_MAX: Duration = Duration::from_secs(15 * 60);

/// Longest Dockerfile, in bytes; the longest in use have a tenth.
pub const DOCKERFILE_MAX_BYTES: usize = 1024 * 1024;
/// Instructions of a Dockerfile. An image has at most 128 layers, and most instructions make none.
pub const BUILD_STEPS_MAX: usize = 1_000;
/// Arguments of a build, and the variables that its stages may have set.
pub const BUILD_ARGUMENTS_MAX: usize = 256;
/// Largest build context, in bytes of its archive: a repository with its history, not a disk.
pub const BUILD_CONTEXT_MAX_BYTES: u64 = 4 * GIB;
/// Entries of a build context: a large `node_modules` has a tenth.
pub const BUILD_CONTEXT_MAX_ENTRIES: u64 = 500_000;
/// Output of one build step that is told, in bytes; what is beyond is dropped and told of.
pub const BUILD_OUTPUT_MAX_BYTES: u64 = 16 * MIB;
/// Pieces of a build's log that wait for a slow reader before the step has to wait.
pub const BUILD_LOG_CHUNKS: usize = 64;
/// How long a build may take unless its maker says less: compilers of whole systems need an hour.
pub const BUILD_TIMEOUT_DEFAULT: Duration = Duration::from_secs(60 * 60);
/// How long a build may take at most.
pub const BUILD_TIMEOUT_MAX: Duration = Duration::from_secs(6 * 60 * 60);
/// Builds at once; further ones wait for their turn. Each has a sandbox that works as hard as it may.
pub const BUILDS_MAX: usize = 4;

/// Longest id of a role, in bytes: a label of a host name.
pub const ROLE_ID_MAX_BYTES: usize = 63;
/// Longest name, description or icon of a role, in bytes: a line or two in a list.
pub const ROLE_TEXT_MAX_BYTES: usize = 512;
/// Packages of a role for one package manager. Each may be installed by itself, and told of.
pub const ROLE_PACKAGES_MAX: usize = 128;
/// Longest name of a package, in bytes.
pub const ROLE_PACKAGE_MAX_BYTES: usize = 128;
/// Longest script of a role, in bytes: it goes into a variable, and Linux takes 128 KiB of one.
pub const ROLE_SCRIPT_MAX_BYTES: usize = 64 * 1024;
/// How long applying a role may take, the time that its sandbox is paused included. Some hundred megabytes of packages
/// over an ordinary line take less.
pub const ROLE_TIMEOUT: Duration = Duration::from_secs(5 * 60);
/// Output of applying a role that is read, in bytes; what is beyond is dropped.
pub const ROLE_OUTPUT_MAX_BYTES: u64 = 10 * MIB;
/// Longest line of progress that is looked at, in bytes; no line of ours is longer.
pub const ROLE_LINE_MAX_BYTES: usize = 512;
/// Characters of a program's own complaint that a role's message repeats.
pub const ROLE_COMPLAINT_MAX_CHARS: usize = 200;
/// Between two events that only count packages.
pub const ROLE_EVENT_INTERVAL: Duration = Duration::from_millis(500);

/// Events kept in the log.
pub const EVENTS_MAX: u64 = 100_000;
/// Sources of refused requests that the audit tells apart at one time.
pub const AUDIT_SOURCES_MAX: usize = 256;
/// How often further refusals of one source become an event. With the bound above, refusals alone need six hours to
/// push everything else out of the log.
pub const AUDIT_INTERVAL: Duration = Duration::from_secs(60);
/// Events that wait for a slow reader before it is cut off.
pub const EVENTS_BUFFER: usize = 1024;
/// Free bytes below which no sandbox is made, so that a full disk is refused at the door.
pub const HOST_DISK_RESERVE_BYTES: u64 = 256 * MIB;

const _: () = {
    assert!(MEMORY_MIN_BYTES <= MEMORY_DEFAULT_BYTES && MEMORY_DEFAULT_BYTES <= MEMORY_MAX_BYTES);
    assert!(DISK_MIN_BYTES <= DISK_DEFAULT_BYTES && DISK_DEFAULT_BYTES <= DISK_MAX_BYTES);
    assert!(VOLUME_MIN_BYTES <= VOLUME_DEFAULT_BYTES && VOLUME_DEFAULT_BYTES <= VOLUME_MAX_BYTES);
    assert!(LANGUAGE_DOCUMENT_MAX_BYTES <= LANGUAGE_FRAME_MAX_BYTES as u64);
    assert!(EXEC_ARG_MAX_BYTES < EXEC_ARGS_MAX_BYTES);
};
