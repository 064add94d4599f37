//! Open files: two or three for every sandbox, here and in the spawner, which inherits the limit.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the soft limit to the hard one, which `doctor` judges. The usual soft limit of 1,024 is for programs that use
/// select(2).
///
/// # Errors
/// That of setrlimit(2).
pub(crate) fn allow_all() -> rustix::io::Result<()> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })
}
