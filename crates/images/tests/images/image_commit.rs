//! Images of what sandboxes have written: uppers as overlayfs leaves them, made by hand.

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use lazaret_core::ports::{Changes, Commit, Images, Keep};
use lazaret_core::{AccountId, CollectionPolicy, Error, Image, ImageConfig, Limit, Viewer};
use lazaret_images::unpack::limits::UnpackLimits;
use rustix::fs::{CWD, FileType, Mode};
use tempfile::TempDir;

use crate::support::{Store, docker_archive, maker, tar_of};

/// Fills an upper.
type Make<'a> = &'a dyn Fn(&Path);

/// What overlayfs puts in the place of a name that is gone.
fn whiteout(path: PathBuf) {
    rustix::fs::mknodat(CWD, path, FileType::CharacterDevice, Mode::empty(), 0).unwrap();
}

fn opaque(directory: &Path) {
    fs::create_dir_all(directory).unwrap();
    xattr::set(directory, "user.overlay.opaque", b"y").unwrap();
    xattr::set(directory, "user.overlay.origin", b"bookkeeping").unwrap();
}

fn changes(upper: &Path) -> Changes {
    Changes { uppers: vec![OwnedFd::from(fs::File::open(upper).unwrap())], held: Box::new(()) }
}

fn new(base: &Image, upper: Option<&Path>) -> Commit {
    Commit {
        maker: maker(),
        base: base.digest,
        changes: upper.map(changes),
        config: base.config.clone(),
        name: None,
        made_by: "test".to_owned(),
        keep: Keep::UntilRemoved,
    }
}

/// An image of two layers with something to hide.
async fn base(store: &Store) -> Image {
    let lower = tar_of([
        ("etc/hosts", &b"the image's"[..]),
        ("etc/gone", b"1"),
        ("opt/old/a", b"1"),
        ("opt/old/b/c", b"1"),
        ("srv/kept", b"1"),
        ("srv/replaced", b"1"),
        ("was/a/directory", b"1"),
    ]);
    let upper = tar_of([("srv/upper", &b"2"[..])]);
    store.import(docker_archive(r#"["base:1"]"#, &[&lower, &upper]), None).await.unwrap()
}

#[tokio::test]
async fn an_image_of_a_sandbox_has_what_the_sandbox_saw() {
    let store = Store::new();
    let base = base(&store).await;
    let work = TempDir::new().unwrap();
    let at = |path: &str| work.path().join(path);
    for directory in ["etc", "srv/sub", "opt"] {
        fs::create_dir_all(at(directory)).unwrap();
    }
    for own in ["etc/hostname", "etc/hosts", "etc/resolv.conf"] {
        fs::write(at(own), "the sandbox's").unwrap();
    }
    whiteout(at("etc/gone"));
    opaque(&at("opt/old"));
    fs::write(at("opt/old/new"), "new").unwrap();
    fs::write(at("srv/replaced"), "replaced").unwrap();
    fs::write(at("was"), "a file now").unwrap();
    let long = format!("srv/sub/{}", "n".repeat(200));
    fs::write(at(&long), "long").unwrap();
    std::os::unix::fs::chown(at(&long), Some(1000), Some(65_535)).unwrap();
    fs::set_permissions(at(&long), fs::Permissions::from_mode(0o4751)).unwrap();
    xattr::set(at(&long), "user.mime", b"text").unwrap();
    let modified = UNIX_EPOCH + Duration::new(1_000_000, 7);
    fs::File::options().write(true).open(at(&long)).unwrap().set_modified(modified).unwrap();
    fs::hard_link(at(&long), at("srv/second")).unwrap();
    symlink("/etc/passwd", at("srv/link")).unwrap();
    rustix::fs::mknodat(CWD, at("srv/fifo"), FileType::Fifo, Mode::RUSR, 0).unwrap();
    let _listener = UnixListener::bind(at("srv/socket")).unwrap();
    fs::set_permissions(at("srv/sub"), fs::Permissions::from_mode(0o2770)).unwrap();
    fs::set_permissions(work.path(), fs::Permissions::from_mode(0o755)).unwrap();

    let image = store.images.commit(new(&base, Some(work.path()))).await.unwrap();
    let root = store.root(&image).await;
    let read = |path: &str| fs::read_to_string(root.join(path));
    assert_eq!(read("etc/hosts").unwrap(), "the image's", "each sandbox gets its own");
    for gone in ["etc/hostname", "etc/gone", "opt/old/a", "opt/old/b", "srv/socket"] {
        assert!(fs::symlink_metadata(root.join(gone)).is_err(), "{gone}");
    }
    for (path, want) in [
        ("opt/old/new", "new"),
        ("srv/kept", "1"),
        ("srv/upper", "2"),
        ("srv/replaced", "replaced"),
        ("was", "a file now"),
        (&long, "long"),
        ("srv/second", "long"),
    ] {
        assert_eq!(read(path).unwrap(), want, "{path}");
    }
    let stat = |path: &str| fs::symlink_metadata(root.join(path)).unwrap();
    let file = stat(&long);
    assert_eq!((file.mode() & 0o7777, file.uid(), file.gid()), (0o4751, 1000, 65_535));
    assert_eq!(file.modified().unwrap(), modified);
    assert_eq!(file.ino(), stat("srv/second").ino());
    assert_eq!(xattr::get(root.join(&long), "user.mime").unwrap().as_deref(), Some(&b"text"[..]));
    assert_eq!(xattr::list(root.join("opt/old")).unwrap().count(), 0, "overlayfs' own are not kept");
    assert_eq!(fs::read_link(root.join("srv/link")).unwrap(), Path::new("/etc/passwd"));
    assert!(stat("srv/fifo").file_type().is_fifo());
    assert_eq!(stat("srv/sub").mode() & 0o7777, 0o2770);

    let origin = store.root(&base).await;
    assert_eq!(fs::read_to_string(origin.join("srv/replaced")).unwrap(), "1", "the base stays what it is");
    assert_eq!(stat("srv/kept").ino(), fs::metadata(origin.join("srv/kept")).unwrap().ino(), "and is shared");

    // A second layer on the first, after a restart.
    let store = store.reopen();
    let more = TempDir::new().unwrap();
    fs::create_dir(more.path().join("srv")).unwrap();
    whiteout(more.path().join("srv/second"));
    let second = store.images.commit(new(&image, Some(more.path()))).await.unwrap();
    let root = store.root(&second).await;
    assert!(
        !root.join("srv/second").exists() && root.join(&long).exists() && !root.join("etc/gone").exists()
    );
}

#[tokio::test]
async fn the_same_changes_are_the_same_image_and_a_configuration_alone_is_one_on_the_same_tree() {
    let store = Store::new();
    let base = base(&store).await;
    let work = TempDir::new().unwrap();
    fs::write(work.path().join("b"), "1").unwrap();
    fs::write(work.path().join("a"), "1").unwrap();
    let one = store.images.commit(new(&base, Some(work.path()))).await.unwrap();
    let before = store.listing();
    let again = store.images.commit(new(&base, Some(work.path()))).await.unwrap();
    assert_eq!((again.digest, store.listing()), (one.digest, before));

    let config = ImageConfig {
        command: vec!["/bin/other".to_owned()],
        env: vec![("A".to_owned(), "2".to_owned())],
        ..ImageConfig::default()
    };
    let other = Commit { config: config.clone(), name: Some("other:1".to_owned()), ..new(&one, None) };
    let other = store.images.commit(other).await.unwrap();
    assert_ne!(other.digest, one.digest);
    assert_eq!((&other.config, &other.names), (&config, &vec!["other:1".to_owned()]));
    assert_eq!(store.root(&other).await, store.root(&one).await);
    store.images.remove(&one.digest.to_string(), Viewer::Server).await.unwrap();
    let store = store.reopen();
    let found = store.images.find("other:1", Viewer::Server).await.unwrap().unwrap();
    assert_eq!(found.config, config);
    assert!(store.root(&found).await.join("a").exists(), "the tree is the other image's now");
    let gone = store.images.commit(new(&one, None)).await.unwrap_err();
    assert_eq!(gone.to_string(), format!("image {} not found", one.digest));
}

#[tokio::test]
async fn what_no_image_can_hold_is_refused_by_name_and_leaves_nothing() {
    let limits = UnpackLimits { file_bytes: 1 << 20, entries: 400, ..UnpackLimits::default() };
    let store = Store::with_limits(limits);
    let base = base(&store).await;
    let before = store.listing();
    let invalid = |reason: &str| format!("sandbox: the sandbox cannot become an image: {reason}");
    let deep = vec!["d"; 201].join("/");
    let cases: [(&str, Make<'_>, String); 4] = [
        (
            "a marker",
            &|upper| fs::write(upper.join(".wh.x"), "").unwrap(),
            invalid(
                "\".wh.x\" cannot be in an image: its name begins with \".wh.\", by which a layer hides a file",
            ),
        ),
        (
            "a deep directory",
            &|upper| fs::create_dir_all(upper.join(&deep)).unwrap(),
            invalid(&format!(
                "\"{}...\" cannot be in an image: the name is nested deeper than 200 levels",
                &"d/".repeat(100)
            )),
        ),
        (
            "a large file",
            &|upper| fs::File::create(upper.join("large")).unwrap().set_len((1 << 20) + 1).unwrap(),
            Error::LimitReached(Limit::ImageSize).to_string(),
        ),
        (
            "many entries",
            &|upper| (0..400).for_each(|n| fs::write(upper.join(n.to_string()), "").unwrap()),
            Error::LimitReached(Limit::ImageSize).to_string(),
        ),
    ];
    for (what, make, want) in cases {
        let work = TempDir::new().unwrap();
        make(work.path());
        let error = store.images.commit(new(&base, Some(work.path()))).await.unwrap_err();
        assert_eq!(error.to_string(), want, "{what}");
        assert_eq!(store.listing(), before, "{what}");
    }
    let host = store.images.find("host", Viewer::Server).await.unwrap().unwrap();
    let error = store.images.commit(new(&host, None)).await.unwrap_err();
    assert!(matches!(error, Error::Unsupported { .. }), "{error}");
}

#[tokio::test]
async fn a_commit_that_nobody_waits_for_ends_and_leaves_nothing() {
    let store = Store::new();
    let base = base(&store).await;
    let before = store.listing();
    let work = TempDir::new().unwrap();
    // Half a minute of zeros to read, were it not given up.
    for number in 0..20 {
        fs::File::create(work.path().join(number.to_string())).unwrap().set_len(1 << 30).unwrap();
    }
    let commit = store.images.commit(new(&base, Some(work.path())));
    tokio::time::timeout(Duration::from_millis(100), commit).await.unwrap_err();
    let gone = async {
        while store.listing() != before {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), gone).await.expect("the workspace is still there");
}

#[tokio::test]
async fn zeros_take_no_room_and_what_is_kept_while_used_goes_unused() {
    let store = Store::new();
    let base = base(&store).await;
    let work = TempDir::new().unwrap();
    let sparse = fs::File::create(work.path().join("zeros")).unwrap();
    sparse.set_len(50_000_001).unwrap();
    std::os::unix::fs::FileExt::write_at(&sparse, b"x", 20_000_000).unwrap();
    let commit = Commit { keep: Keep::WhileUsed, ..new(&base, Some(work.path())) };
    let image = store.images.commit(commit).await.unwrap();
    let file = fs::metadata(store.root(&image).await.join("zeros")).unwrap();
    assert_eq!(file.len(), 50_000_001);
    assert!(file.blocks() * 512 < 1 << 20, "{} KiB", file.blocks() / 2);
    let copy = fs::read(store.root(&image).await.join("zeros")).unwrap();
    assert!(copy == fs::read(work.path().join("zeros")).unwrap(), "the contents differ");

    let day = Duration::from_secs(24 * 60 * 60);
    let policy = CollectionPolicy { unused_after: day, budget_bytes: None };
    store.clock.advance(day * 2);
    let needed = [image.digest].into();
    assert_eq!(store.images.collect(&needed, &policy).await.unwrap(), []);
    // Made once more to stay, it stays.
    let kept = store.images.commit(new(&base, Some(work.path()))).await.unwrap();
    assert_eq!(kept.digest, image.digest);
    assert_eq!(store.images.collect(&[].into(), &policy).await.unwrap(), []);
    store.images.remove(&kept.digest.to_string(), Viewer::Server).await.unwrap();
    let commit = Commit { keep: Keep::WhileUsed, ..new(&base, Some(work.path())) };
    let image = store.images.commit(commit).await.unwrap();
    store.clock.advance(day * 2);
    assert_eq!(store.images.collect(&[].into(), &policy).await.unwrap(), [image.digest]);
}

#[tokio::test]
async fn what_an_account_made_is_its_own_until_somebody_names_it_or_brings_it_from_elsewhere() {
    let store = Store::new();
    let base = base(&store).await;
    let work = TempDir::new().unwrap();
    fs::write(work.path().join("secret"), "of one account").unwrap();
    let (own, other, third) = (maker(), AccountId::from_bytes([2; 16]), AccountId::from_bytes([3; 16]));
    let image = store.images.commit(new(&base, Some(work.path()))).await.unwrap();
    let digest = image.digest.to_string();
    let short = &image.digest.hex()[..12];
    let seen = async |store: &Store, account| {
        let viewer = Viewer::Account(account);
        let found = store.images.find(&digest, viewer).await.unwrap().is_some();
        assert_eq!(store.images.find(short, viewer).await.unwrap().is_some(), found);
        let listed = store.images.list(viewer).await.unwrap();
        assert_eq!(listed.iter().any(|listed| listed.digest == image.digest), found);
        assert!(listed.iter().any(|listed| listed.digest == base.digest), "what was imported is everybody's");
        found
    };
    assert!(seen(&store, own).await && !seen(&store, other).await);
    let refused = store.images.remove(&digest, Viewer::Account(other)).await.unwrap_err();
    assert!(matches!(refused, Error::NotFound { .. }), "{refused}");
    assert!(store.images.find(&digest, Viewer::Server).await.unwrap().is_some());

    // The same changes of the same base, by another account: it has them too, and has not seen anybody else's.
    let again = Commit { maker: other, ..new(&base, Some(work.path())) };
    assert_eq!(store.images.commit(again).await.unwrap().digest, image.digest);
    let store = store.reopen();
    assert!(seen(&store, own).await && seen(&store, other).await && !seen(&store, third).await);

    let named = Commit { name: Some("shared:1".to_owned()), ..new(&base, Some(work.path())) };
    store.images.commit(named).await.unwrap();
    assert!(seen(&store, third).await, "a name is for everybody");
    store.images.remove("shared:1", Viewer::Account(third)).await.unwrap();
    assert!(store.images.find(&digest, Viewer::Server).await.unwrap().is_none(), "it was its only name");
}
