//! Who `--chown` means: numbers, or names in the image's own `/etc/passwd` and `/etc/group`.

use std::io::Read as _;

use rustix::fs::FileType;

use super::copy::CopyError;
use super::lookup::View;
use crate::unpack::layer::ID_MAX;

/// Bytes read of `/etc/passwd` and `/etc/group`. The largest are those of shared machines, not of images.
const FILE_MAX_BYTES: u64 = 1024 * 1024;

/// A user and a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

impl Owner {
    pub(super) const ROOT: Owner = Owner { uid: 0, gid: 0 };

    /// Who `user`, or `user:group`, is in the image. Without a group a name's own is meant, and a number's of that number.
    pub(super) fn find(base: &View, text: &str) -> Result<Owner, CopyError> {
        let (user, group) = text.split_once(':').map_or((text, None), |(user, group)| (user, Some(group)));
        let (uid, own_group) = match number(user)? {
            Some(uid) => (uid, uid),
            None => {
                let passwd = read(base, "etc/passwd")?;
                let line = passwd.lines().find(|line| line.split(':').next() == Some(user));
                let ids = line.and_then(|line| {
                    let mut fields = line.split(':').skip(2);
                    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
                });
                ids.ok_or_else(|| CopyError::Owner(format!("no user {} in the image", user.escape_debug())))?
            }
        };
        let gid = match group {
            None => own_group,
            Some(group) => match number(group)? {
                Some(gid) => gid,
                None => {
                    let groups = read(base, "etc/group")?;
                    let line = groups.lines().find(|line| line.split(':').next() == Some(group));
                    let gid = line.and_then(|line| line.split(':').nth(2)?.parse().ok());
                    gid.ok_or_else(|| {
                        CopyError::Owner(format!("no group {} in the image", group.escape_debug()))
                    })?
                }
            },
        };
        if u64::from(uid) > ID_MAX || u64::from(gid) > ID_MAX {
            return Err(CopyError::Owner(format!("{uid}:{gid} is outside 0 to {ID_MAX}")));
        }
        Ok(Owner { uid, gid })
    }
}

fn number(text: &str) -> Result<Option<u32>, CopyError> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| CopyError::Owner(format!("{text} is outside 0 to {ID_MAX}")))
}

/// A file of the image; nothing where there is none.
fn read(base: &View, path: &str) -> Result<String, CopyError> {
    let lookup = |problem| CopyError::Source { source_path: path.to_owned(), problem };
    let place = base.resolve(path.as_bytes()).map_err(lookup)?;
    let is_file =
        place.stat.is_some_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile);
    if !is_file {
        return Ok(String::new());
    }
    let mut bytes = Vec::new();
    let file = base.file(&place.path).map_err(lookup)?;
    file.take(FILE_MAX_BYTES).read_to_end(&mut bytes).map_err(CopyError::Read)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn owners_are_numbers_or_names_of_the_image() {
        let work = tempfile::tempdir().unwrap();
        fs::create_dir(work.path().join("etc")).unwrap();
        fs::write(work.path().join("etc/passwd"), "root:x:0:0::/:\napp:x:1000:1001::/:\nbig:x:70000:1::/:\n")
            .unwrap();
        fs::write(work.path().join("etc/group"), "root:x:0:\nweb:x:33:app\n").unwrap();
        let base = View::open(work.path()).unwrap();
        for (text, want) in [
            ("app", Ok((1000, 1001))),
            ("app:web", Ok((1000, 33))),
            ("5", Ok((5, 5))),
            ("5:web", Ok((5, 33))),
            ("root:7", Ok((0, 7))),
            ("nobody", Err("--chown: no user nobody in the image")),
            ("app:none", Err("--chown: no group none in the image")),
            ("big", Err("--chown: 70000:1 is outside 0 to 65535")),
            ("99999999999", Err("--chown: 99999999999 is outside 0 to 65535")),
        ] {
            let found = Owner::find(&base, text).map(|owner| (owner.uid, owner.gid));
            assert_eq!(found.map_err(|error| error.to_string()), want.map_err(str::to_owned), "{text}");
        }
    }
}
