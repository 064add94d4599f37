//! Files of `/etc` that belong to the sandbox and not to its image: written once, into a fresh disk, so that what a
//! tenant changes later stays.

use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, Mode, OFlags, openat, unlinkat};
use rustix::io::Errno;

use crate::error::{At, SetupError, Step};
use crate::filesystem::real_directory;

const STEP: Step = Step::Etc;

/// Where there is no network there is nobody to ask; programs fail at once instead of trying the image maker's resolver.
const NO_RESOLVER: &str = "# This sandbox has no network.\n";

/// Writes host name, hosts and resolver beneath `root`. A sandbox without a network names the resolver too, because its
/// policy may change: until then, asking fails at once for want of a route.
pub(super) fn write(root: &OwnedFd, hostname: &str, resolver: Option<Ipv4Addr>) -> Result<(), SetupError> {
    let etc = real_directory(STEP, root, Path::new("/etc"), 0o755)?;
    let hosts =
        format!("127.0.0.1\tlocalhost\n127.0.1.1\t{hostname}\n::1\tlocalhost ip6-localhost ip6-loopback\n");
    replace(&etc, "hostname", &format!("{hostname}\n"))?;
    replace(&etc, "hosts", &hosts)?;
    let resolv_conf =
        resolver.map_or_else(|| NO_RESOLVER.to_owned(), |resolver| format!("nameserver {resolver}\n"));
    replace(&etc, "resolv.conf", &resolv_conf)
}

/// Puts a new file in place of what is there. A link of the image is replaced, never followed.
fn replace(etc: &OwnedFd, name: &str, content: &str) -> Result<(), SetupError> {
    match unlinkat(etc, name, AtFlags::empty()) {
        Err(Errno::NOENT) => {}
        other => other.at(STEP, "unlink", name)?,
    }
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let file = openat(etc, name, flags, Mode::from_raw_mode(0o644)).at(STEP, "create", name)?;
    let mut rest = content.as_bytes();
    while !rest.is_empty() {
        let written = rustix::io::write(&file, rest).at(STEP, "write", name)?;
        rest = rest.get(written..).unwrap_or_default();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_of_the_image_is_replaced_and_its_target_stays_untouched() {
        let root = tempfile::tempdir().unwrap();
        let victim = root.path().join("victim");
        std::fs::write(&victim, "mine").unwrap();
        std::fs::create_dir(root.path().join("etc")).unwrap();
        std::os::unix::fs::symlink(&victim, root.path().join("etc/resolv.conf")).unwrap();

        let directory =
            rustix::fs::open(root.path(), OFlags::PATH | OFlags::DIRECTORY, Mode::empty()).unwrap();
        write(&directory, "box", Some(Ipv4Addr::new(100, 96, 0, 1))).unwrap();

        assert_eq!(std::fs::read_to_string(victim).unwrap(), "mine");
        let resolv_conf = || std::fs::read_to_string(root.path().join("etc/resolv.conf")).unwrap();
        assert_eq!(resolv_conf(), "nameserver 100.96.0.1\n");
        write(&directory, "box", None).unwrap();
        assert_eq!(resolv_conf(), NO_RESOLVER);
        assert_eq!(std::fs::read_to_string(root.path().join("etc/hostname")).unwrap(), "box\n");
        assert!(std::fs::read_to_string(root.path().join("etc/hosts")).unwrap().contains("127.0.1.1\tbox\n"));
    }
}
