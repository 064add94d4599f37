//! The built-in `host` image: a synthesised root with the host's own `/usr` under it.
//!
//! ```text
//! host's /  ──links into usr──┐
//! host's /etc ──closed list──▶ plan (in memory) ──digest──▶ images/rootfs/<hex>   lower at "/"
//! constants (passwd, hosts) ──┘
//! host's /usr ─────────────────────────────────────────────────────────────────▶  lower at "/usr"
//! ```
//!
//! The plan is the whole image apart from `/usr`, so its digest is the image's digest: when a package changes the
//! host's `/etc/alternatives` or `/etc/ld.so.cache` the plan changes, and with it the digest, and the image is
//! built again beside the old one, which sandboxes may still stand on.
//!
//! Nothing of the host's `/home`, `/root`, `/var`, `/srv`, `/opt` or `/tmp` is read. What is read of `/etc` is
//! listed in [`etc`], and nothing that only root can read is copied.

mod etc;
mod plan;
mod skeleton;

use std::path::{Path, PathBuf};

pub(crate) use etc::Stamp;
pub(crate) use plan::Plan;

/// Search path inside the `host` image, the usual one of a root login.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Without a locale many programs fall back to ASCII; this one exists in every glibc since 2.35 and in Debian's
/// before it.
const LANG: &str = "C.UTF-8";

/// The environment that the `host` image's configuration gives.
pub(crate) fn environment() -> Vec<(String, String)> {
    vec![("PATH".to_owned(), PATH.to_owned()), ("LANG".to_owned(), LANG.to_owned())]
}

/// Why the host cannot serve as an image.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// `/bin`, `/lib` or another such directory is not a link into `/usr`.
    #[error(
        "{} is a directory of its own, not a link into /usr: the host image needs a merged /usr; \
         install the usrmerge package or import another image", .0.display()
    )]
    NotMerged(PathBuf),
    /// There is no `/usr/bin`.
    #[error("{} is missing: this host has no programs to offer", .0.display())]
    NoPrograms(PathBuf),
    /// The data directory lies inside `/usr`, where every sandbox would see it.
    #[error("the data directory {} lies inside {}, which every sandbox of the host image sees", .data.display(), .usr.display())]
    DataInsideUsr {
        /// The data directory.
        data: PathBuf,
        /// The host's `/usr`.
        usr: PathBuf,
    },
    /// Something that the image needs could not be read.
    #[error("cannot read {}", .path.display())]
    Read {
        /// What was being read.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: std::io::Error,
    },
}

/// Works out the image from the host's root directory.
///
/// # Errors
/// See [`HostError`]; files of `/etc` that are absent are not errors, since each serves one family of programs.
pub(crate) fn plan(root: &Path) -> Result<Plan, HostError> {
    let programs = root.join("usr/bin");
    if !programs.is_dir() {
        return Err(HostError::NoPrograms(programs));
    }
    let mut plan = Plan::default();
    skeleton::add(&mut plan);
    skeleton::add_usr_links(root, &mut plan)?;
    etc::add(root, &mut plan)?;
    Ok(plan)
}

/// Refuses a data directory that the image would show to every sandbox.
///
/// # Errors
/// [`HostError::DataInsideUsr`], or [`HostError::Read`] when a path cannot be resolved.
pub(crate) fn refuse_data_inside_usr(root: &Path, data: &Path) -> Result<(), HostError> {
    let real =
        |path: &Path| path.canonicalize().map_err(|source| HostError::Read { path: path.to_owned(), source });
    let (usr, data) = (real(&root.join("usr"))?, real(data)?);
    if data.starts_with(&usr) { Err(HostError::DataInsideUsr { data, usr }) } else { Ok(()) }
}
