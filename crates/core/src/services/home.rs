//! Where the user of a sandbox is at home, for dialects that put relative paths there.
//!
//! The sandbox's own `/etc/passwd` says so. It is the tenant's, and so is what it says: the answer is a text for the
//! tenant's own use and is followed nowhere on the host. The guest reads the same file when it sets `HOME`.

use super::execs::Execs;
use super::files::default_scope;
use super::sandboxes::use_sandbox;
use crate::{
    Caller, Error, FilePath, FileScope, ImageConfig, Limit, ReadRange, Result, Sandbox, SandboxId, Scope,
    collect, limits,
};

/// Where programs in a sandbox begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directories {
    /// Working directory of an exec that names none; `None` where neither the sandbox nor its image has one.
    pub cwd: Option<String>,
    /// Home of the sandbox's user; `/` if it has none.
    pub home: String,
}

impl Execs {
    /// Where programs in a sandbox begin.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Refused`] if the sandbox does not run; what the guest reports.
    pub async fn directories(&self, caller: &Caller, id: SandboxId) -> Result<Directories> {
        caller.need(Scope::SandboxesRead)?;
        let (entry, guard) = use_sandbox(&self.context, caller, id).await?;
        let record = entry.record();
        let cwd = record.cwd.clone().or_else(|| entry.image_config.working_dir.clone());
        let known = entry.home.lock().expect("no panic under this lock").clone();
        let home = match known {
            Some(home) => home,
            None => {
                let home = guard.counted(self.find_home(id, &record, &entry.image_config).await).await?;
                *entry.home.lock().expect("no panic under this lock") = Some(home.clone());
                home
            }
        };
        Ok(Directories { cwd, home })
    }

    async fn find_home(&self, id: SandboxId, record: &Sandbox, image: &ImageConfig) -> Result<String> {
        let path = FilePath::new("/etc/passwd").expect("a constant absolute path");
        let range = ReadRange { offset: 0, length: Some(limits::PASSWD_MAX_BYTES) };
        let passwd = match self.context.ports.guest.read(id, &FileScope::default(), &path, range).await {
            Ok((_, body)) => collect(body, limits::PASSWD_MAX_BYTES, Limit::AnswerBytes).await?,
            // An image need not have users, and what the tenant has made of the file is its own affair.
            Err(Error::File { .. }) => bytes::Bytes::new(),
            Err(error) => return Err(error),
        };
        let user = default_scope(record, image).user;
        Ok(home_in(&String::from_utf8_lossy(&passwd), user.as_deref().unwrap_or("0")))
    }
}

/// Home of `name`, `uid`, `name:group` or `uid:gid` in the text of a passwd(5) file; `/` if it has none there.
fn home_in(passwd: &str, user: &str) -> String {
    let user = user.split_once(':').map_or(user, |(user, _group)| user);
    let entries = passwd.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        (fields.len() >= 6 && !fields[0].is_empty()).then(|| (fields[0], fields[2], fields[5]))
    });
    // A name wins over a number, as in the guest.
    let by_name = entries.clone().find(|(name, ..)| *name == user);
    let found = by_name.or_else(|| entries.clone().find(|(_, uid, _)| *uid == user));
    found.map(|(.., home)| home).filter(|home| home.starts_with('/')).unwrap_or("/").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_home_is_found_by_name_or_number_and_is_the_root_where_there_is_none() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\n:x:7:7::/no:\nada:x:1000:1000::/home/ada:/bin/sh\n\
                      0:x:5:5::/zero:\nodd:x:9:9::relative:\nshort:x:1";
        for (user, want) in [
            ("root", "/root"),
            ("ada", "/home/ada"),
            ("1000", "/home/ada"),
            ("1000:0", "/home/ada"),
            ("ada:wheel", "/home/ada"),
            ("0", "/zero"),
            ("odd", "/"),
            ("short", "/"),
            ("7", "/"),
            ("nobody", "/"),
        ] {
            assert_eq!(home_in(passwd, user), want, "{user}");
        }
        assert_eq!(home_in("", "0"), "/");
    }
}
