//! The directories of the `host` image, its links into `/usr`, and the files of `/etc` that are made, not copied.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::HostError;
use super::plan::{Node, Plan};
use crate::unpack::path::EntryPath;

/// The id of the ordinary account that the image offers beside root.
const USER_ID: u32 = 1000;

/// Root's, world-readable directories. `/mnt/data` is where the OpenAI dialect keeps a container's files.
const DIRECTORIES: &[&str] = &[
    "/",
    "dev",
    "etc",
    "etc/pam.d",
    "home",
    "media",
    "mnt",
    "mnt/data",
    "opt",
    "proc",
    "run",
    "run/lock",
    "srv",
    "sys",
    "usr",
    "var",
    "var/cache",
    "var/lib",
    "var/log",
    "var/mail",
    "var/spool",
];

/// Directories anybody may write to, each keeping its files to their owners.
const SHARED_DIRECTORIES: &[&str] = &["tmp", "var/tmp"];

/// Top-level names that a merged `/usr` turns into links. Those that the host lacks are left out.
const USR_LINKS: &[&str] = &["bin", "sbin", "lib", "lib32", "lib64", "libx32"];

const LINKS: &[(&str, &str)] = &[
    ("etc/mtab", "/proc/self/mounts"),
    ("etc/os-release", "../usr/lib/os-release"),
    ("var/lock", "/run/lock"),
    ("var/run", "/run"),
];

const FILES: &[(&str, &str)] = &[
    // No password field leads anywhere: there is no shadow file, and nothing in a sandbox asks for a password.
    (
        "etc/passwd",
        "root:*:0:0:root:/root:/bin/sh\n\
         daemon:*:1:1:daemon:/usr/sbin:/usr/sbin/nologin\n\
         bin:*:2:2:bin:/bin:/usr/sbin/nologin\n\
         sys:*:3:3:sys:/dev:/usr/sbin/nologin\n\
         mail:*:8:8:mail:/var/mail:/usr/sbin/nologin\n\
         www-data:*:33:33:www-data:/var/www:/usr/sbin/nologin\n\
         user:*:1000:1000:user:/home/user:/bin/sh\n\
         nobody:*:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
    ),
    (
        "etc/group",
        "root:*:0:\ndaemon:*:1:\nbin:*:2:\nsys:*:3:\nadm:*:4:\ntty:*:5:\ndisk:*:6:\nmail:*:8:\nwww-data:*:33:\n\
         shadow:*:42:\nutmp:*:43:\nstaff:*:50:\nusers:*:100:\nuser:*:1000:\nnogroup:*:65534:\n",
    ),
    ("etc/hosts", "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"),
    ("etc/resolv.conf", "# Written by the runtime when the sandbox has a network.\n"),
    (
        "etc/nsswitch.conf",
        "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\nnetworks: files\nprotocols: files\n\
         services: files\nethers: files\nrpc: files\n",
    ),
    // `su` and `runuser` lead from root to a user and nowhere else.
    (
        "etc/pam.d/other",
        "auth sufficient pam_rootok.so\nauth required pam_deny.so\naccount required pam_permit.so\n\
         session required pam_permit.so\npassword required pam_deny.so\n",
    ),
    ("etc/host.conf", "multi on\n"),
    ("etc/shells", "/bin/sh\n/bin/bash\n/usr/bin/sh\n/usr/bin/bash\n"),
    (
        "etc/profile",
        "export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n\
         if [ -n \"$BASH\" ] && [ -r /etc/bash.bashrc ]; then . /etc/bash.bashrc; fi\n",
    ),
    ("etc/bash.bashrc", "[ -z \"$PS1\" ] || PS1='\\u@\\h:\\w\\$ '\n"),
    ("etc/environment", ""),
    ("etc/fstab", ""),
];

/// Adds everything that is the same on every host.
pub(super) fn add(plan: &mut Plan) {
    for path in DIRECTORIES {
        plan.add(constant(path), Node::Directory { mode: 0o755, owner: 0 });
    }
    for path in SHARED_DIRECTORIES {
        plan.add(constant(path), Node::Directory { mode: 0o1777, owner: 0 });
    }
    plan.add(constant("root"), Node::Directory { mode: 0o700, owner: 0 });
    plan.add(constant("home/user"), Node::Directory { mode: 0o755, owner: USER_ID });
    for (path, target) in LINKS {
        plan.add(constant(path), Node::Link(target.as_bytes().to_vec()));
    }
    for (path, contents) in FILES {
        plan.add(constant(path), Node::File(contents.as_bytes().to_vec()));
    }
}

/// Copies the host's top-level links into `/usr`, as they are.
pub(super) fn add_usr_links(root: &Path, plan: &mut Plan) -> Result<(), HostError> {
    for name in USR_LINKS {
        let path = root.join(name);
        match fs::read_link(&path) {
            Ok(target) => {
                let inside = target.strip_prefix("/").unwrap_or(&target).starts_with("usr");
                if !inside {
                    return Err(HostError::NotMerged(path));
                }
                plan.add(constant(name), Node::Link(target.as_os_str().as_bytes().to_vec()));
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            // What `readlink` says of a directory.
            Err(error) if error.kind() == ErrorKind::InvalidInput => return Err(HostError::NotMerged(path)),
            Err(source) => return Err(HostError::Read { path, source }),
        }
    }
    Ok(())
}

/// A name from this file's tables.
fn constant(path: &str) -> EntryPath {
    EntryPath::parse(path.as_bytes()).expect("the tables of this file hold valid names")
}
