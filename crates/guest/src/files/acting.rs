//! Acting as a user: this thread, and no other, takes the user's effective ids for a while.
//!
//! The raw system calls change one thread; libc's would change all. The real and saved ids stay root's, which is
//! what allows the way back, and what keeps processes of that user from signalling the guest.

use lazaret_protocol::{ErrorKind, Failure};
use rustix::io::Errno;
use rustix::process::{Gid, Uid, getegid, geteuid, getgroups};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

use crate::users;

/// Runs `act` as the user; `None` is the guest itself, root.
///
/// # Errors
/// `UnknownUser`, and whatever `act` returns.
pub(super) fn as_user<T, E: From<Failure>>(
    user: Option<&str>,
    act: impl FnOnce() -> Result<T, E>,
) -> Result<T, E> {
    let Some(user) = user else { return act() };
    let identity = users::identify(Some(user))?;
    let groups: Vec<Gid> = identity.groups.iter().map(|gid| Gid::from_raw(*gid)).collect();
    let acting = Acting::begin(Uid::from_raw(identity.uid), Gid::from_raw(identity.gid), &groups);
    let _acting = acting.map_err(|errno| {
        Failure::new(ErrorKind::UnknownUser, "the user's id is outside the sandbox")
            .with_errno(errno.raw_os_error())
    })?;
    act()
}

/// The ids to return to, when dropped.
struct Acting {
    uid: Uid,
    gid: Gid,
    groups: Vec<Gid>,
}

impl Acting {
    fn begin(uid: Uid, gid: Gid, groups: &[Gid]) -> rustix::io::Result<Self> {
        // From here on an early return restores what was changed so far.
        let before = Self { uid: geteuid(), gid: getegid(), groups: getgroups()? };
        set_thread_groups(groups)?;
        set_thread_res_gid(None, gid, None)?;
        set_thread_res_uid(None, uid, None)?;
        Ok(before)
    }

    fn end(&self) -> Result<(), Errno> {
        // The user first: only root may change the others.
        set_thread_res_uid(None, self.uid, None)?;
        set_thread_res_gid(None, self.gid, None)?;
        set_thread_groups(&self.groups)
    }
}

impl Drop for Acting {
    fn drop(&mut self) {
        // If this fails, the worker notices that it is not root any more, and ends.
        let _ = self.end();
    }
}
