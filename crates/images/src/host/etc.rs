//! What the `host` image takes from the host's `/etc`: a closed list, because the next file that a package or an
//! operator puts there may be a secret.
//!
//! A name of the list is a file, a link or a directory with all that is below it. Of those,
//! - files are copied when everybody may read them, they are no larger than [`FILE_BYTES_MAX`] and hold no private
//!   key;
//! - links are copied as links; one that leaves `/usr` and the list dangles in the image and gives away nothing;
//! - everything else is left out.

use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::HostError;
use super::plan::{Node, Plan};
use crate::unpack::path::EntryPath;

/// What programs below `/usr` read of `/etc`, by what needs it. Configuration that may name credentials (proxies,
/// package registries, mail, databases) is not here.
const COPIED: &[&str] = &[
    // The loader finds shared libraries by these.
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    // On Debian, names in /usr/bin are links by way of here.
    "alternatives",
    // Trust anchors and TLS settings, where Debian, Fedora and Arch keep them.
    "ssl/certs",
    "ssl/cert.pem",
    "ssl/openssl.cnf",
    "pki/tls/certs",
    "pki/tls/cert.pem",
    "pki/tls/openssl.cnf",
    "pki/ca-trust/extracted",
    "ca-certificates/extracted",
    "crypto-policies",
    // Which system this is, its time zone and its numbers-to-names tables.
    "debian_version",
    "lsb-release",
    "redhat-release",
    "fedora-release",
    "alpine-release",
    "arch-release",
    "localtime",
    "timezone",
    "protocols",
    "services",
    "rpc",
    "gai.conf",
    "netconfig",
    "locale.alias",
    "locale.conf",
    "mime.types",
    "magic",
    "magic.mime",
    "mailcap",
    "inputrc",
    "terminfo",
    "login.defs",
    "skel",
    "dpkg/origins",
    "rpm",
    // Languages whose installation keeps a part of itself here.
    "python3",
    "python3.9",
    "python3.10",
    "python3.11",
    "python3.12",
    "python3.13",
    "python3.14",
    "perl",
    "java-8-openjdk",
    "java-11-openjdk",
    "java-17-openjdk",
    "java-21-openjdk",
    "java-25-openjdk",
    "java",
    ".java",
    "maven/m2.conf",
    "maven/logging",
    "R",
    "php",
    "ruby",
    "gprofng.rc",
    // Documents, fonts and pictures.
    "fonts",
    "groff",
    "texmf",
    "libpaper.d",
    "papersize",
    "ghostscript",
    "ImageMagick-6",
    "ImageMagick-7",
    "xml",
    "sgml",
    "X11/rgb.txt",
    // Debian's matplotlib does not load without it.
    "matplotlibrc",
    "glvnd",
    "OpenCL",
    "vulkan",
    // Editors.
    "vim",
    "nanorc",
];

/// Largest file copied: Java's trust store and the CA bundle stay below 1 MiB, so this is no configuration file.
const FILE_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// Most entries taken from one name of the list. Debian's largest, `alternatives`, holds some thousand.
const ENTRIES_MAX: usize = 20_000;

/// Deepest directory below a name of the list.
const DEPTH_MAX: usize = 8;

/// In the PEM header of every kind of private key.
const PRIVATE_KEY: &[u8] = b"PRIVATE KEY-----";

/// Adds the host's part of `/etc`.
///
/// # Errors
/// [`HostError::Read`] when something on the list is there and cannot be read.
pub(super) fn add(root: &Path, plan: &mut Plan) -> Result<(), HostError> {
    let etc = root.join("etc");
    for name in COPIED {
        let mut copy = Copy { etc: &etc, plan, entries: 0 };
        if let Some(metadata) = copy.metadata(Path::new(name))? {
            copy.parents(Path::new(name))?;
            copy.entry(PathBuf::from(name), &metadata, 0)?;
        }
    }
    Ok(())
}

/// What the copied part of `/etc` looks like from outside: when it is unchanged, so is the plan.
///
/// It costs one `stat` a name, cheap enough for every creation of a sandbox. A file that changes deep inside a
/// listed directory without touching it is noticed at the next start of the server.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Stamp(Vec<Option<(u64, Duration, u64)>>);

impl Stamp {
    /// Looks at the host now.
    pub(crate) fn take(root: &Path) -> Stamp {
        let look = |name: &&str| {
            let metadata = fs::symlink_metadata(root.join("etc").join(name)).ok()?;
            let changed = Duration::new(
                u64::try_from(metadata.ctime()).unwrap_or(0),
                u32::try_from(metadata.ctime_nsec()).unwrap_or(0),
            );
            Some((metadata.ino(), changed, metadata.len()))
        };
        Stamp(COPIED.iter().map(look).collect())
    }
}

struct Copy<'a> {
    etc: &'a Path,
    plan: &'a mut Plan,
    entries: usize,
}

impl Copy<'_> {
    /// Adds the directories above a listed name.
    fn parents(&mut self, name: &Path) -> Result<(), HostError> {
        let above: Vec<&Path> =
            name.ancestors().skip(1).filter(|path| !path.as_os_str().is_empty()).collect();
        for parent in above.into_iter().rev() {
            self.plan.add(self.inside(parent)?, Node::Directory { mode: 0o755, owner: 0 });
        }
        Ok(())
    }

    fn entry(&mut self, name: PathBuf, metadata: &Metadata, depth: usize) -> Result<(), HostError> {
        self.entries += 1;
        if self.entries > ENTRIES_MAX || depth > DEPTH_MAX {
            return Err(
                self.unreadable(&name, io::Error::other("too many entries for a directory of settings"))
            );
        }
        let inside = self.inside(&name)?;
        if metadata.is_symlink() {
            let target =
                fs::read_link(self.etc.join(&name)).map_err(|source| self.unreadable(&name, source))?;
            self.plan.add(inside, Node::Link(target.into_os_string().as_bytes().to_vec()));
        } else if metadata.is_dir() {
            self.plan.add(inside, Node::Directory { mode: 0o755, owner: 0 });
            for entry in
                fs::read_dir(self.etc.join(&name)).map_err(|source| self.unreadable(&name, source))?
            {
                let entry = entry.map_err(|source| self.unreadable(&name, source))?;
                let child = name.join(entry.file_name());
                // A package may be changing the directory while it is read.
                if let Some(metadata) = self.metadata(&child)? {
                    self.entry(child, &metadata, depth + 1)?;
                }
            }
        } else if let Some(contents) = self.public_contents(&name, metadata)? {
            self.plan.add(inside, Node::File(contents));
        }
        Ok(())
    }

    /// The contents of a regular file that holds no secret, else `None`.
    fn public_contents(&self, name: &Path, metadata: &Metadata) -> Result<Option<Vec<u8>>, HostError> {
        const OTHERS_READ: u32 = 0o004;
        if !metadata.is_file() || metadata.mode() & OTHERS_READ == 0 || metadata.len() > FILE_BYTES_MAX {
            return Ok(None);
        }
        let mut contents = Vec::new();
        File::options()
            .read(true)
            .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
            .open(self.etc.join(name))
            .and_then(|file| file.take(FILE_BYTES_MAX).read_to_end(&mut contents))
            .map_err(|source| self.unreadable(name, source))?;
        let secret = contents.windows(PRIVATE_KEY.len()).any(|window| window == PRIVATE_KEY);
        Ok((!secret).then_some(contents))
    }

    /// What a name is, without following it; `None` when it is not there.
    fn metadata(&self, name: &Path) -> Result<Option<Metadata>, HostError> {
        match fs::symlink_metadata(self.etc.join(name)) {
            Ok(metadata) => Ok(Some(metadata)),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
            Err(source) => Err(self.unreadable(name, source)),
        }
    }

    fn inside(&self, name: &Path) -> Result<EntryPath, HostError> {
        EntryPath::parse(Path::new("etc").join(name).as_os_str().as_bytes())
            .map_err(|error| self.unreadable(name, io::Error::other(error)))
    }

    fn unreadable(&self, name: &Path, source: io::Error) -> HostError {
        HostError::Read { path: self.etc.join(name), source }
    }
}
