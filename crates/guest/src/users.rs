//! Who a request acts as: names and ids looked up in the image's `/etc/passwd` and `/etc/group`.
//!
//! The files are parsed here, because a static binary cannot load the C library's name services, and because they
//! belong to the tenant: reading is bounded, and lines that make no sense are skipped. See passwd(5), group(5).
//!
//! ```text
//!   root            uid, gid and home of the entry; groups that list the name
//!   1000            the same, if an entry has that uid; else gid 0, no groups, home /
//!   name:group      the group replaces the entry's; no supplementary groups
//!   1000:1000       needs no entry
//! ```

use lazaret_protocol::limits::USER_MAX;
use lazaret_protocol::{ErrorKind, Failure};

use crate::small_file;

/// Most supplementary groups that are taken, far below the kernel's 65,536.
const GROUPS_MAX: usize = 256;

/// Largest id: the one above means "no change" to the kernel.
const ID_MAX: u32 = u32::MAX - 1;

/// Ids and home of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    /// User id.
    pub(crate) uid: u32,
    /// Group id.
    pub(crate) gid: u32,
    /// Supplementary group ids.
    pub(crate) groups: Vec<u32>,
    /// Home directory.
    pub(crate) home: Vec<u8>,
}

/// Looks `spec` up in the sandbox's files; `None` is root.
///
/// # Errors
/// `UnknownUser`, naming what is unknown.
pub(crate) fn identify(spec: Option<&str>) -> Result<Identity, Failure> {
    let passwd = small_file::read("/etc/passwd").unwrap_or_default();
    let group = small_file::read("/etc/group").unwrap_or_default();
    resolve(spec.unwrap_or("0"), &passwd, &group)
}

/// Looks the name or id of a group up.
///
/// # Errors
/// `UnknownUser`, naming what is unknown.
pub(crate) fn group(spec: &str) -> Result<u32, Failure> {
    if spec.len() > USER_MAX {
        return Err(unknown("group", "longer than any name"));
    }
    let group = small_file::read("/etc/group").unwrap_or_default();
    find_group(spec, &group).ok_or_else(|| unknown("group", spec))
}

fn resolve(spec: &str, passwd: &[u8], group: &[u8]) -> Result<Identity, Failure> {
    if spec.len() > USER_MAX {
        return Err(unknown("user", "longer than any name"));
    }
    let (user, group_spec) = match spec.split_once(':') {
        Some((user, group)) => (user, Some(group)),
        None => (spec, None),
    };
    let entry = find_user(user, passwd);
    let uid = match (&entry, parse_id(user)) {
        (Some(entry), _) => entry.uid,
        (None, Some(uid)) => uid,
        (None, None) => return Err(unknown("user", user)),
    };
    let (gid, groups) = match (group_spec, &entry) {
        (Some(name), _) => (find_group(name, group).ok_or_else(|| unknown("group", name))?, Vec::new()),
        (None, Some(entry)) => (entry.gid, groups_of(entry.name, group)),
        (None, None) => (0, Vec::new()),
    };
    let home = entry.map(|entry| entry.home).filter(|home| home.starts_with(b"/"));
    Ok(Identity { uid, gid, groups, home: home.unwrap_or(b"/").to_vec() })
}

struct User<'a> {
    name: &'a [u8],
    uid: u32,
    gid: u32,
    home: &'a [u8],
}

fn find_user<'a>(spec: &str, passwd: &'a [u8]) -> Option<User<'a>> {
    let users = passwd.split(|byte| *byte == b'\n').filter_map(|line| {
        let mut fields = line.split(|byte| *byte == b':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        let uid = parse_field(fields.nth(1)?)?;
        let gid = parse_field(fields.next()?)?;
        let home = fields.nth(1)?;
        Some(User { name, uid, gid, home })
    });
    // A name wins over a number, as in every tool that takes both.
    let by_name = users.clone().find(|user| user.name == spec.as_bytes());
    by_name.or_else(|| parse_id(spec).and_then(|uid| users.clone().find(|user| user.uid == uid)))
}

fn find_group(spec: &str, group: &[u8]) -> Option<u32> {
    groups(group)
        .find(|(name, ..)| *name == spec.as_bytes())
        .map(|(_, gid, _)| gid)
        .or_else(|| parse_id(spec))
}

fn groups_of(user: &[u8], group: &[u8]) -> Vec<u32> {
    groups(group)
        .filter(|(_, _, members)| members.split(|byte| *byte == b',').any(|member| member == user))
        .map(|(_, gid, _)| gid)
        .take(GROUPS_MAX)
        .collect()
}

fn groups(group: &[u8]) -> impl Iterator<Item = (&[u8], u32, &[u8])> {
    group.split(|byte| *byte == b'\n').filter_map(|line| {
        let mut fields = line.split(|byte| *byte == b':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        let gid = parse_field(fields.nth(1)?)?;
        Some((name, gid, fields.next().unwrap_or_default()))
    })
}

fn parse_field(field: &[u8]) -> Option<u32> {
    std::str::from_utf8(field).ok().and_then(parse_id)
}

fn parse_id(text: &str) -> Option<u32> {
    // `u32::from_str` also takes a plus sign, which is part of no id.
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|id| digits && *id <= ID_MAX)
}

fn unknown(what: &str, name: &str) -> Failure {
    Failure::new(ErrorKind::UnknownUser, format!("no such {what} in the image: {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &[u8] = b"root:x:0:0:root:/root:/bin/sh\n\
        garbage\n\
        :x:7:7::/:\n\
        daemon:x:1:1::/usr/sbin:/bin/false\n\
        ada:x:1000:100:Ada:/home/ada:/bin/bash\n\
        42:x:2000:2000::relative:/bin/sh\n\
        huge:x:4294967295:0::/:\n";
    const GROUP: &[u8] = b"root:x:0:\nusers:x:100:\nwheel:x:10:root,ada\nvideo:x:44:ada\nnope:x:no:ada\n";

    fn check(spec: &str, want: Option<(u32, u32, &[u32], &str)>) {
        let got = resolve(spec, PASSWD, GROUP);
        match (got, want) {
            (Ok(got), Some((uid, gid, groups, home))) => {
                let want = Identity { uid, gid, groups: groups.to_vec(), home: home.into() };
                assert_eq!(got, want, "{spec}");
            }
            (Err(failure), None) => assert_eq!(failure.kind, ErrorKind::UnknownUser, "{spec}"),
            (got, want) => panic!("{spec}: {got:?}, not {want:?}"),
        }
    }

    #[test]
    fn users_are_found_by_name_by_id_and_with_a_group() {
        check("root", Some((0, 0, &[10], "/root")));
        check("0", Some((0, 0, &[10], "/root")));
        check("ada", Some((1000, 100, &[10, 44], "/home/ada")));
        check("1000", Some((1000, 100, &[10, 44], "/home/ada")));
        check("ada:wheel", Some((1000, 10, &[], "/home/ada")));
        check("1000:5", Some((1000, 5, &[], "/home/ada")));
        check("3000", Some((3000, 0, &[], "/")));
        check("3000:3000", Some((3000, 3000, &[], "/")));
        check("42", Some((2000, 2000, &[], "/")));
        check("4294967294", Some((4_294_967_294, 0, &[], "/")));
    }

    #[test]
    fn what_is_in_no_file_and_no_id_is_unknown() {
        for spec in [
            "",
            ":",
            "eve",
            "eve:users",
            "ada:nope",
            "ada:",
            "-1",
            "+1",
            "4294967295",
            "huge",
            "1:2:3",
            "0x0",
        ] {
            check(spec, None);
        }
        check(&"9".repeat(USER_MAX + 1), None);
    }

    #[test]
    fn an_image_without_files_has_ids_only() {
        let got = resolve("0", b"", b"").expect("root needs no entry");
        assert_eq!(got, Identity { uid: 0, gid: 0, groups: vec![], home: b"/".to_vec() });
        let failure = resolve("root", b"", b"").expect_err("no entry, no name");
        assert_eq!(failure.message, "no such user in the image: root");
    }
}
