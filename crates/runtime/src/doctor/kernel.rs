//! What the kernel itself has to offer: its version, namespaces, system call filters, process descriptors.

use rustix::io::Errno;

use super::Finding;
use crate::seccomp::Filter;
use crate::sys::namespace_holder::NamespaceHolder;

/// Oldest kernel that sandboxes work on: the first with overlayfs over idmapped mounts.
const OLDEST: (u32, u32) = (5, 19);

pub(super) fn version() -> Finding {
    judge_version(&rustix::system::uname().release().to_string_lossy())
}

fn judge_version(release: &str) -> Finding {
    const NAME: &str = "kernel";
    let (major, minor) = OLDEST;
    let remedy =
        format!("boot Linux {major}.{minor} or newer; each of its features below is probed by itself");
    match parse_version(release) {
        Some(version) if version >= OLDEST => Finding::ok(NAME, format!("Linux {release}")),
        Some(_) => Finding::fail(NAME, format!("Linux {release}, older than {major}.{minor}"), remedy),
        None => Finding::warn(NAME, format!("cannot tell the version from {release:?}"), remedy),
    }
}

/// The first two numbers of a release such as `6.1.0-21-cloud-amd64`.
fn parse_version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|character: char| !character.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// Sandboxes that the per-user limits of namespaces should allow for.
const NAMESPACES_WARN: u64 = 2_000;

/// The namespaces that each sandbox has one of, by their names under `/proc/sys/user`.
const NAMESPACES: [&str; 7] = ["user", "mnt", "pid", "net", "uts", "ipc", "cgroup"];

pub(super) fn namespaces() -> [Finding; 2] {
    let limits = NAMESPACES.map(|kind| {
        let path = format!("/proc/sys/user/max_{kind}_namespaces");
        (kind, std::fs::read_to_string(path).ok().and_then(|text| text.trim().parse().ok()))
    });
    [judge_namespace_limits(&limits), user_namespace()]
}

fn judge_namespace_limits(limits: &[(&'static str, Option<u64>)]) -> Finding {
    const NAME: &str = "namespace-limits";
    let join = |kinds: Vec<&str>| kinds.join(", ");
    let absent =
        limits.iter().filter(|(_, limit)| limit.is_none()).map(|(kind, _)| *kind).collect::<Vec<_>>();
    let none =
        limits.iter().filter(|(_, limit)| *limit == Some(0)).map(|(kind, _)| *kind).collect::<Vec<_>>();
    let few = limits.iter().filter(|(_, limit)| limit.is_some_and(|limit| limit < NAMESPACES_WARN));
    let few = few.map(|(kind, _)| *kind).collect::<Vec<_>>();
    if !absent.is_empty() {
        Finding::fail(
            NAME,
            format!("the kernel has no {} namespaces", join(absent)),
            "boot a kernel with all namespaces compiled in, as every distribution's has",
        )
    } else if !none.is_empty() {
        let command = none.iter().map(|kind| format!("user.max_{kind}_namespaces={NAMESPACES_WARN}"));
        let command = command.collect::<Vec<_>>().join(" ");
        Finding::fail(
            NAME,
            format!("{} namespaces are switched off", join(none)),
            format!("sysctl -w {command}"),
        )
    } else if !few.is_empty() {
        let command = few.iter().map(|kind| format!("user.max_{kind}_namespaces={NAMESPACES_WARN}"));
        let command = command.collect::<Vec<_>>().join(" ");
        Finding::warn(
            NAME,
            format!("fewer than {NAMESPACES_WARN} {} namespaces are allowed", join(few)),
            format!("sysctl -w {command}"),
        )
    } else {
        Finding::ok(NAME, format!("at least {NAMESPACES_WARN} namespaces of each kind are allowed"))
    }
}

/// Makes a user namespace, as each start of a sandbox does.
fn user_namespace() -> Finding {
    const NAME: &str = "user-namespaces";
    match NamespaceHolder::start() {
        Ok(_) => Finding::ok(NAME, "a user namespace can be made"),
        Err(errno) => Finding::fail(
            NAME,
            format!("a user namespace cannot be made: {errno}"),
            user_namespace_remedy(errno, |path| std::fs::read_to_string(path).ok()),
        ),
    }
}

/// Names the switch that is off, of the three that distributions have.
fn user_namespace_remedy(errno: Errno, read: impl Fn(&str) -> Option<String>) -> String {
    let is = |path: &str, value: &str| read(path).is_some_and(|text| text.trim() == value);
    if errno == Errno::NOSPC {
        "sysctl -w user.max_user_namespaces=2000".to_owned()
    } else if is("/proc/sys/kernel/unprivileged_userns_clone", "0") {
        "sysctl -w kernel.unprivileged_userns_clone=1, or run as root".to_owned()
    } else if is("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1") {
        "run as root, or give lazaret an AppArmor profile that allows userns".to_owned()
    } else {
        "run as root on the host, not inside another container".to_owned()
    }
}

/// Installs the filter of sandboxes, in a thread that ends with it.
pub(super) fn seccomp() -> Finding {
    const NAME: &str = "seccomp";
    let remedy = "boot a kernel with CONFIG_SECCOMP_FILTER, as every distribution's has";
    let filter = match Filter::compile() {
        Ok(filter) => filter,
        Err(error) => return Finding::fail(NAME, error.to_string(), "use an x86_64 or aarch64 machine"),
    };
    let applied = std::thread::scope(|scope| scope.spawn(|| filter.apply()).join());
    match applied {
        Ok(Ok(())) => Finding::ok(NAME, "system calls can be filtered"),
        Ok(Err(errno)) => Finding::fail(NAME, format!("the system call filter is rejected: {errno}"), remedy),
        Err(_) => Finding::fail(NAME, "the thread that tried the system call filter died", remedy),
    }
}

pub(super) fn pidfd() -> Finding {
    const NAME: &str = "pidfd";
    match rustix::process::pidfd_open(rustix::process::getpid(), rustix::process::PidfdFlags::empty()) {
        Ok(_) => Finding::ok(NAME, "processes can be held by descriptor"),
        Err(errno) => Finding::fail(
            NAME,
            format!("processes cannot be held by descriptor: {errno}"),
            "boot Linux 5.3 or newer, or let the outer container's filter pass pidfd_open",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Status;

    #[test]
    fn versions_are_compared_as_numbers() {
        for (release, want) in [
            ("6.1.0-21-cloud-amd64", Status::Ok),
            ("5.19", Status::Ok),
            ("5.19-rc1", Status::Ok),
            ("10.0.1", Status::Ok),
            ("5.9.16", Status::Fail),
            ("5.15.0-generic", Status::Fail),
            ("4.19.0", Status::Fail),
            ("custom", Status::Warn),
            ("6", Status::Warn),
        ] {
            assert_eq!(judge_version(release).status, want, "{release}");
        }
    }

    #[test]
    fn a_namespace_that_is_missing_off_or_scarce_is_named() {
        let judge =
            |user, pid| judge_namespace_limits(&[("user", user), ("pid", pid), ("net", Some(90_000))]);
        assert_eq!(judge(Some(5000), Some(5000)).status, Status::Ok);
        for (finding, status, words) in [
            (judge(None, Some(0)), Status::Fail, "no user namespaces"),
            (judge(Some(0), Some(5)), Status::Fail, "user namespaces are switched off"),
            (judge(Some(5000), Some(5)), Status::Warn, "fewer than 2000 pid namespaces"),
        ] {
            assert_eq!(finding.status, status);
            assert!(finding.detail.contains(words), "{finding:?}");
        }
        assert_eq!(
            judge(Some(0), Some(5)).remedy.as_deref(),
            Some("sysctl -w user.max_user_namespaces=2000")
        );
    }

    #[test]
    fn the_remedy_names_the_switch_that_is_off() {
        let with = |errno, path: &'static str, value: &'static str| {
            user_namespace_remedy(errno, |asked| (asked == path).then(|| value.to_owned()))
        };
        let restricted = "/proc/sys/kernel/apparmor_restrict_unprivileged_userns";
        for (remedy, words) in [
            (with(Errno::NOSPC, "", ""), "max_user_namespaces"),
            (
                with(Errno::PERM, "/proc/sys/kernel/unprivileged_userns_clone", "0\n"),
                "unprivileged_userns_clone=1",
            ),
            (with(Errno::PERM, restricted, "1\n"), "AppArmor"),
            (with(Errno::PERM, restricted, "0\n"), "run as root on the host"),
        ] {
            assert!(remedy.contains(words), "{remedy}");
        }
    }
}
