//! Disk images: one is formatted per size and kept, and every sandbox gets a sparse copy of it.
//!
//! Formatting takes about ten milliseconds and copying half a one: a fresh image has a few dozen blocks with data in
//! it, whatever its size. The file system has no journal: a sandbox's disk is unmounted when the sandbox ends, whoever
//! ends it, so only a crash of the host leaves it unclean, and then it is checked before its next use (`fsck`). What a
//! journal would cost every sandbox is a kernel thread, a third of the time that its death takes, and every write twice.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom as StdSeekFrom};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{SeekFrom, copy_file_range, ftruncate, ioctl_ficlone, seek};
use rustix::io::Errno;
use tokio::process::Command;

use crate::disk::{BLOCK_BYTES, overlay_directory};
use crate::error::Error;
use crate::layout::{DataDir, LOWERS_MAX, VOLUME_FILES};

/// Part of a template's name; another number for every change of what is formatted below.
const GENERATION: u32 = 1;

/// Bytes of disk for every inode: more small files than this fit no sandbox, and the limit is the same for all sizes.
const BYTES_PER_INODE: &str = "16384";

/// The image to copy for disks of `bytes`; it is made if it is not there.
///
/// # Errors
/// [`Error::Program`] if `mkfs.ext4` fails or is missing.
pub(crate) async fn ensure(data: &DataDir, bytes: u64) -> Result<PathBuf, Error> {
    let block = u64::from(BLOCK_BYTES);
    let bytes = bytes.div_ceil(block) * block;
    let directory = data.templates();
    let template = directory.join(format!("ext4-v{GENERATION}-{bytes}.img"));
    if tokio::fs::try_exists(&template).await.map_err(Error::file("look for", &template))? {
        return Ok(template);
    }
    tokio::fs::create_dir_all(&directory).await.map_err(Error::file("make", &directory))?;
    let work = tempfile::Builder::new()
        .prefix("making-")
        .tempdir_in(&directory)
        .map_err(Error::file("make a directory in", &directory))?;
    let image = work.path().join("image");
    let tree = work.path().join("tree");
    make_tree(&tree).map_err(Error::file("make", &tree))?;
    let file = new_image(&image).map_err(Error::file("make", &image))?;
    ftruncate(&file, bytes).map_err(|errno| Error::file("size", &image)(errno.into()))?;
    format(&image, &tree, Journal::None).await?;
    // Two calls may make the same template at once; either result will do.
    tokio::fs::rename(&image, &template).await.map_err(Error::file("rename to", &template))?;
    Ok(template)
}

/// What a fresh disk has in it: the upper and work directories of every overlay that a sandbox may have.
fn make_tree(tree: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true).mode(0o755);
    for index in 0..LOWERS_MAX {
        for part in ["upper", "work"] {
            builder.create(overlay_directory(tree, index).join(part))?;
        }
    }
    Ok(())
}

/// Makes the image of a volume, of `bytes` rounded up to blocks. Made whole or not at all: under another name first.
///
/// A volume is there for years, and its files for people, so it has a journal, and a crash of the host needs no repair.
///
/// # Errors
/// [`Error::Program`] if `mkfs.ext4` fails or is missing; [`Error::File`].
pub(crate) async fn make_volume(image: &Path, bytes: u64) -> Result<(), Error> {
    let block = u64::from(BLOCK_BYTES);
    let directory = image.parent().unwrap_or(Path::new("/"));
    let work = tempfile::Builder::new()
        .prefix(UNFINISHED)
        .tempdir_in(directory)
        .map_err(Error::file("make a directory in", directory))?;
    let (new, tree) = (work.path().join("image"), work.path().join("tree"));
    make_volume_tree(&tree).map_err(Error::file("make", &tree))?;
    let file = new_image(&new).map_err(Error::file("make", &new))?;
    let sized = ftruncate(&file, bytes.div_ceil(block) * block);
    sized.map_err(|errno| Error::file("size", &new)(errno.into()))?;
    format(&new, &tree, Journal::Small).await?;
    tokio::fs::rename(&new, image).await.map_err(Error::file("rename to", image))
}

/// What the name of a volume's image begins with while it is made.
pub(crate) const UNFINISHED: &str = "making-";

/// The one directory of a fresh volume, in which any user may write, as in any sandbox.
fn make_volume_tree(tree: &Path) -> std::io::Result<()> {
    let files = tree.join(VOLUME_FILES);
    std::fs::create_dir_all(&files)?;
    std::fs::set_permissions(files, std::fs::Permissions::from_mode(0o777))
}

/// Whether a file system has a journal.
#[derive(Clone, Copy)]
enum Journal {
    None,
    /// Of [`JOURNAL_MIB`].
    Small,
}

/// Megabytes of a journal: they are bytes of every volume, and enough for a few thousand changes on their way.
const JOURNAL_MIB: &str = "8";

async fn format(image: &Path, tree: &Path, journal: Journal) -> Result<(), Error> {
    let block = BLOCK_BYTES.to_string();
    let mut command = Command::new("mkfs.ext4");
    command
        .args(["-q", "-F", "-b", &block, "-i", BYTES_PER_INODE])
        // Nothing is kept back for root, which is the tenant here.
        .args(["-m", "0"])
        // No room for growing and no copies of the superblock, which would be blocks to copy.
        .args(["-E", "lazy_itable_init=1,nodiscard,num_backup_sb=0,root_owner=0:0"]);
    match journal {
        Journal::None => command.args(["-O", "^has_journal,^resize_inode,sparse_super2"]),
        Journal::Small => command
            .args(["-O", "has_journal,^resize_inode,sparse_super2"])
            .args(["-J", &format!("size={JOURNAL_MIB}")]),
    };
    run("mkfs.ext4", command.arg("-d").arg(tree).arg(image)).await.map(drop)
}

/// Repairs an image that was not unmounted, because the host crashed; does nothing to one that was.
///
/// # Errors
/// [`Error::Program`] if `e2fsck` fails or cannot repair everything.
pub(crate) async fn repair(image: &Path) -> Result<(), Error> {
    /// Exit status of e2fsck(8) when it repaired something.
    const REPAIRED: i32 = 1;
    if is_clean(image).map_err(Error::file("read", image))? {
        return Ok(());
    }
    let status = run("e2fsck", Command::new("e2fsck").arg("-p").arg(image)).await;
    match status {
        Err(Error::Program { program, output, status: Some(REPAIRED) }) => {
            tracing::warn!(image = %image.display(), program, output, "a disk was repaired after a crash of the host");
            Ok(())
        }
        other => other.map(drop),
    }
}

/// Makes an image that is not mounted as large as `bytes`, and its file system with it; one that is at least so large stays
/// as it is. What is interrupted is made good by another call, and is a working disk of the old size until then.
///
/// # Errors
/// [`Error::Program`] if `e2fsck` or `resize2fs` fails; [`Error::File`] if the image cannot be extended.
pub(crate) async fn grow(image: &Path, bytes: u64) -> Result<(), Error> {
    let block = u64::from(BLOCK_BYTES);
    let bytes = bytes.div_ceil(block) * block;
    let file = OpenOptions::new().write(true).open(image).map_err(Error::file("open", image))?;
    if file.metadata().map_err(Error::file("stat", image))?.len() < bytes {
        ftruncate(&file, bytes).map_err(|errno| Error::file("size", image)(errno.into()))?;
    }
    drop(file);
    repair(image).await?;
    // It insists on a check that is younger than the last mount.
    run("e2fsck", Command::new("e2fsck").arg("-fp").arg(image)).await?;
    run("resize2fs", Command::new("resize2fs").arg(image)).await.map(drop)
}

/// Whether the superblock says that the file system was unmounted.
fn is_clean(image: &Path) -> std::io::Result<bool> {
    /// `s_state` of the superblock, which begins at 1024; bit 0 is `EXT4_VALID_FS`.
    const STATE_AT: u64 = 1024 + 0x3A;
    const UNMOUNTED: u8 = 1;
    let mut file = File::open(image)?;
    let mut state = [0; 1];
    file.seek(StdSeekFrom::Start(STATE_AT))?;
    file.read_exact(&mut state)?;
    Ok(state[0] & UNMOUNTED != 0)
}

async fn run(program: &'static str, command: &mut Command) -> Result<(), Error> {
    let failed = |output: String, status| Error::Program { program, output, status };
    let output = command
        .env("LC_ALL", "C")
        .stdin(std::process::Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(|error| failed(format!("{error}; install e2fsprogs"), None))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(failed(said, output.status.code()))
}

/// A sparse copy of a template, made whole or not at all. Blocks the calling thread.
///
/// # Errors
/// Those of the file operations, `StorageFull` among them.
pub(crate) fn copy(template: &Path, image: &Path) -> std::io::Result<()> {
    let from = File::open(template)?;
    let to = new_image(image)?;
    match ioctl_ficlone(&to, &from) {
        Ok(()) => return Ok(()),
        // File systems that cannot share blocks say so in these ways.
        Err(Errno::OPNOTSUPP | Errno::INVAL | Errno::XDEV | Errno::NOTTY | Errno::NOSYS) => {}
        Err(errno) => return Err(errno.into()),
    }
    let bytes = from.metadata()?.len();
    ftruncate(&to, bytes)?;
    let mut at = 0;
    while at < bytes {
        let data = match seek(&from, SeekFrom::Data(at)) {
            Ok(data) => data,
            // No data from here to the end.
            Err(Errno::NXIO) => break,
            Err(errno) => return Err(errno.into()),
        };
        let hole = seek(&from, SeekFrom::Hole(data))?;
        let (mut read_at, mut write_at) = (data, data);
        while read_at < hole {
            let wanted = usize::try_from(hole - read_at).unwrap_or(usize::MAX);
            if copy_file_range(&from, Some(&mut read_at), &to, Some(&mut write_at), wanted)? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
        at = hole;
    }
    Ok(())
}

fn new_image(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    #[tokio::test]
    async fn a_disk_grows_with_what_is_on_it_and_never_shrinks() {
        let directory = tempfile::tempdir().unwrap();
        let image = ensure(&DataDir::on_host(directory.path()), 64 << 20).await.unwrap();
        let debugfs = |request: &str| {
            let output = std::process::Command::new("debugfs")
                .args(["-w", "-R", request])
                .arg(&image)
                .output()
                .unwrap();
            String::from_utf8(output.stdout).unwrap()
        };
        debugfs("mkdir /0/upper/kept");
        for bytes in [8 << 30, 8 << 30, 1 << 30] {
            grow(&image, bytes).await.unwrap();
            assert_eq!(std::fs::metadata(&image).unwrap().len(), 8 << 30);
        }
        assert!(debugfs("stats -h").contains("Block count:              2097152"), "{}", debugfs("stats -h"));
        assert!(debugfs("ls /0/upper").contains("kept"));
        assert!(std::fs::metadata(&image).unwrap().blocks() * 512 < 16 << 20, "it stays sparse");
    }

    #[tokio::test]
    async fn a_disk_is_a_sparse_copy_of_a_template_that_is_made_once() {
        let directory = tempfile::tempdir().unwrap();
        let data = DataDir::on_host(directory.path());
        let template = ensure(&data, 1 << 30).await.unwrap();
        let made = std::fs::metadata(&template).unwrap();
        assert_eq!(ensure(&data, (1 << 30) - 1).await.unwrap(), template, "sizes are rounded to blocks");
        assert_eq!(std::fs::metadata(&template).unwrap().ino(), made.ino());

        let image = directory.path().join("disk");
        copy(&template, &image).unwrap();
        let copied = std::fs::metadata(&image).unwrap();
        assert_eq!(copied.len(), 1 << 30);
        assert!(copied.blocks() * 512 < 1 << 20, "{} KiB of a fresh disk", copied.blocks() / 2);
        assert_eq!(std::fs::read(&template).unwrap()[..65536], std::fs::read(&image).unwrap()[..65536]);
        assert_eq!(copy(&template, &image).unwrap_err().kind(), ErrorKind::AlreadyExists);
    }

    #[tokio::test]
    async fn an_unclean_disk_is_repaired_and_a_ruined_one_is_refused() {
        use std::os::unix::fs::FileExt as _;
        let directory = tempfile::tempdir().unwrap();
        let image = ensure(&DataDir::on_host(directory.path()), 64 << 20).await.unwrap();
        let file = OpenOptions::new().write(true).open(&image).unwrap();
        repair(&image).await.unwrap();

        let dirty =
            std::process::Command::new("debugfs").args(["-w", "-R", "dirty"]).arg(&image).output().unwrap();
        assert!(dirty.status.success(), "{dirty:?}");
        assert!(!is_clean(&image).unwrap());
        repair(&image).await.unwrap();
        assert!(is_clean(&image).unwrap());

        file.write_at(&[0; 4096], 0).unwrap();
        assert!(matches!(repair(&image).await, Err(Error::Program { program: "e2fsck", .. })));
    }
}
