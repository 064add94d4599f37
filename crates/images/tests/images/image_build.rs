//! What builds ask of the store: contexts, copies into layers, and results of steps that are remembered until they go.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::sync::Arc;
use std::time::Duration;

use lazaret_core::ports::{BuildRoom, CopyFiles, Images, MakeDirectory};
use lazaret_core::{
    CollectionPolicy, CopyAction, Digest, Error, Image, ImageConfig, StageText, Viewer, body_from_bytes,
};
use tar::EntryType;

use crate::support::{Store, maker};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// An entry: its name, its kind, and its contents or target.
type Entry<'a> = (&'a str, EntryType, &'a str);

/// An archive of entries as they are, of the user 1000.
fn archive(entries: &[Entry<'_>]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, kind, content) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(*kind);
        header.set_mode(if kind.is_dir() { 0o755 } else { 0o640 });
        header.set_uid(1000);
        header.set_gid(1000);
        header.set_mtime(1_000_000);
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        if kind.is_symlink() || kind.is_hard_link() {
            header.as_old_mut().linkname[..content.len()].copy_from_slice(content.as_bytes());
        }
        let content = if kind.is_file() { content.as_bytes() } else { b"" };
        header.set_size(content.len() as u64);
        header.set_cksum();
        builder.append(&header, content).unwrap();
    }
    builder.into_inner().unwrap()
}

async fn room(store: &Store, entries: &[Entry<'_>]) -> Arc<dyn BuildRoom> {
    store.images.begin_build(maker(), Some(body_from_bytes(archive(entries)))).await.unwrap()
}

fn copy(sources: &[&str], destination: &str) -> CopyAction {
    CopyAction {
        from: None,
        sources: sources.iter().map(|source| (*source).to_owned()).collect(),
        texts: Vec::new(),
        destination: destination.trim_end_matches('/').to_owned(),
        into_directory: destination.ends_with('/'),
        owner: None,
        mode: None,
        unpack: false,
    }
}

async fn copied(
    room: &Arc<dyn BuildRoom>,
    base: &Image,
    from: Option<Digest>,
    copy: CopyAction,
) -> Result<Image, String> {
    let config = ImageConfig::default();
    let copy = CopyFiles { base: base.digest, from, copy, config, made_by: "COPY".to_owned() };
    room.copy(copy).await.map_err(|error| error.to_string())
}

/// A base with a merged `/usr`, as Debian has it.
async fn base(store: &Store) -> Image {
    use EntryType::{Directory, Regular, Symlink};
    let entries = [
        ("usr/bin", Directory, ""),
        ("usr/bin/sh", Regular, "sh"),
        ("bin", Symlink, "usr/bin"),
        ("etc/passwd", Regular, "app:x:7:8::/:\n"),
        ("srv/old", Regular, "old"),
        ("srv/dir/kept", Regular, "kept"),
    ];
    store.import(archive(&entries), Some("base:1")).await.unwrap()
}

#[tokio::test]
async fn files_land_where_docker_puts_them_and_symlinks_of_the_base_are_followed_to_directories() {
    use EntryType::{Directory, Link, Regular, Symlink};
    let store = Store::new();
    let base = base(&store).await;
    let entries = [
        ("one", Regular, "1"),
        ("two", Link, "one"),
        ("root/bin/tool", Regular, "tool"),
        ("root/srv/dir", Directory, ""),
        ("root/srv/dir/new", Regular, "new"),
        ("root/link", Symlink, "/nowhere"),
        ("alias", Symlink, "root/srv"),
    ];
    let room = room(&store, &entries).await;
    let cases: [(CopyAction, &[(&str, &str)]); 6] = [
        (copy(&["one"], "/srv/name"), &[("srv/name", "1")]),
        (copy(&["one"], "/srv"), &[("srv/one", "1"), ("srv/old", "old")]),
        (copy(&["t*", "one"], "/a/b/"), &[("a/b/one", "1"), ("a/b/two", "1")]),
        (
            copy(&["root"], "/"),
            &[
                ("usr/bin/tool", "tool"),
                ("usr/bin/sh", "sh"),
                ("srv/dir/new", "new"),
                ("srv/dir/kept", "kept"),
            ],
        ),
        (copy(&["alias"], "/x"), &[("x/dir/new", "new")]),
        (copy(&["root/bin/tool"], "/bin/"), &[("usr/bin/tool", "tool")]),
    ];
    for (copy, want) in cases {
        let image = copied(&room, &base, None, copy.clone())
            .await
            .unwrap_or_else(|error| panic!("{copy:?}: {error}"));
        let root = store.root(&image).await;
        for (name, text) in want {
            let found = fs::read_to_string(root.join(name)).map_err(|error| error.to_string());
            assert_eq!(found.as_deref(), Ok(*text), "{name} of {copy:?}");
        }
        assert!(fs::symlink_metadata(root.join("bin")).unwrap().is_symlink(), "{copy:?}");
    }
    for (copy, want) in [
        (
            copy(&["one"], "/srv/old/x"),
            "dockerfile: /srv/old/x: the path goes through something that is not a directory",
        ),
        (
            copy(&["root"], "/srv/old"),
            "dockerfile: /srv/old is not a directory: a directory cannot be copied over it",
        ),
        (copy(&["root/link"], "/"), "dockerfile: root/link: there is no such file to copy"),
        (copy(&["[", "one"], "/a/"), "dockerfile: [: [ is a malformed pattern"),
    ] {
        assert_eq!(copied(&room, &base, None, copy).await, Err(want.to_owned()));
    }
}

#[tokio::test]
async fn owners_and_modes_are_roots_the_sources_or_those_asked_for() {
    let store = Store::new();
    let base = base(&store).await;
    let room = room(&store, &[("one", EntryType::Regular, "1")]).await;
    let look = async |image: &Image, name: &str| {
        let stat = fs::symlink_metadata(store.root(image).await.join(name)).unwrap();
        (stat.uid(), stat.gid(), stat.permissions().mode() & 0o7777)
    };
    let plain = copied(&room, &base, None, copy(&["one"], "/new/file")).await.unwrap();
    assert_eq!(look(&plain, "new/file").await, (0, 0, 0o640));
    assert_eq!(look(&plain, "new").await, (0, 0, 0o755));
    let asked =
        CopyAction { owner: Some("app".to_owned()), mode: Some(0o4711), ..copy(&["one"], "/new/file") };
    let asked = copied(&room, &base, None, asked).await.unwrap();
    assert_eq!(look(&asked, "new/file").await, (7, 8, 0o4711));
    assert_eq!(look(&asked, "new").await, (7, 8, 0o755));
    // An image's files keep their owners.
    let from = copied(&room, &base, Some(base.digest), copy(&["srv/old"], "/taken")).await.unwrap();
    assert_eq!(look(&from, "taken").await, (1000, 1000, 0o640));
    let text = StageText { name: "t".to_owned(), text: "text".to_owned() };
    let text = CopyAction { texts: vec![text], ..copy(&[], "/etc/") };
    let text = copied(&room, &base, None, text).await.unwrap();
    assert_eq!(look(&text, "etc/t").await, (0, 0, 0o644));
}

#[tokio::test]
async fn archives_that_are_added_are_unpacked_and_reach_nothing_but_the_destination() {
    use EntryType::{Block, Regular, Symlink};
    let store = Store::new();
    let base = base(&store).await;
    let good =
        archive(&[("in/file", Regular, "1"), ("in/link", Symlink, "file"), ("bin/added", Regular, "2")]);
    let through = archive(&[("way", Symlink, "/srv"), ("way/old", Regular, "changed")]);
    let marker = archive(&[("srv/.wh.old", Regular, "")]);
    let device = archive(&[("disk", Block, "")]);
    let climbing = archive(&[("../x", Regular, "")]);
    let mut context = tar::Builder::new(Vec::new());
    for (name, bytes) in [
        ("good.tar", &good[..]),
        ("through.tar", &through),
        ("marker.tar", &marker),
        ("device.tar", &device),
        ("climbing.tar", &climbing),
        ("cut.tar", &good[..good.len() - 1024]),
        ("plain.txt", b"no archive"),
        ("some.xz", b"\xfd7zXZ\0...."),
    ] {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(bytes.len() as u64);
        context.append_data(&mut header, name, bytes).unwrap();
    }
    let context = body_from_bytes(context.into_inner().unwrap());
    let room = store.images.begin_build(maker(), Some(context)).await.unwrap();
    let add = async |name: &str| {
        let add = CopyAction { unpack: true, ..copy(&[name], "/") };
        let add = CopyAction { destination: "/".to_owned(), into_directory: true, ..add };
        copied(&room, &base, None, add).await
    };
    let root = store.root(&add("good.tar").await.unwrap()).await;
    assert_eq!(fs::read_to_string(root.join("in/link")).unwrap(), "1");
    assert_eq!(fs::read_to_string(root.join("usr/bin/added")).unwrap(), "2");
    let root = store.root(&add("plain.txt").await.unwrap()).await;
    assert_eq!(fs::read_to_string(root.join("plain.txt")).unwrap(), "no archive");
    for (name, want) in [
        ("through.tar", "through a symlink"),
        ("marker.tar", "a name that begins with \".wh.\" cannot be in an image"),
        ("device.tar", "/disk is neither a file nor a directory nor a link"),
        ("climbing.tar", "the name goes up"),
        ("cut.tar", "good.tar cannot be unpacked"),
        ("some.xz", "compressed with xz"),
    ] {
        let error = add(name).await.map(|image| image.digest).unwrap_err();
        let want = want.replace("good.tar", name);
        assert!(error.contains(&want), "{name}: {error}");
    }
    let unchanged = store.root(&base).await;
    assert_eq!(fs::read_to_string(unchanged.join("srv/old")).unwrap(), "old");
}

#[tokio::test]
async fn steps_are_remembered_and_hidden_until_their_images_go() {
    let store = Store::new();
    let room = room(&store, &[("one", EntryType::Regular, "1")]).await;
    let scratch = store.images.scratch().await.unwrap();
    let make = MakeDirectory {
        base: scratch.digest,
        path: "/srv/app".to_owned(),
        config: ImageConfig::default(),
        made_by: "WORKDIR /srv/app".to_owned(),
    };
    let made = room.make_directory(make.clone()).await.unwrap().expect("it is not there");
    let again = MakeDirectory { base: made.digest, ..make };
    assert_eq!(room.make_directory(again).await.unwrap(), None);
    let key = room.digest(&["one".to_owned()]).await.unwrap();
    store.images.remember_step(&key, &made.digest).await.unwrap();
    store.images.remember_step(&made.digest, &key).await.unwrap();
    assert_eq!(store.images.find_step(&key).await.unwrap(), Some(made.digest));
    assert_eq!(store.images.find_step(&made.digest).await.unwrap(), None, "there is no such image");
    let listed = async |store: &Store| {
        store.images.list(Viewer::Server).await.unwrap().iter().map(|image| image.digest).collect::<Vec<_>>()
    };
    assert!(!listed(&store).await.contains(&made.digest));
    drop(room);

    // Uses are noted on disk by this clock, not by the kernel's.
    store.images.rootfs(&scratch.digest).await.unwrap();
    let store = store.reopen();
    assert_eq!(store.images.find_step(&key).await.unwrap(), Some(made.digest));
    assert!(!listed(&store).await.contains(&made.digest));
    let policy = CollectionPolicy { unused_after: DAY * 30, budget_bytes: None };
    store.clock.advance(DAY * 40);
    let needed = BTreeSet::from([made.digest]);
    assert_eq!(store.images.collect(&needed, &policy).await.unwrap(), [scratch.digest]);
    assert_eq!(store.images.collect(&BTreeSet::new(), &policy).await.unwrap(), [made.digest]);
    assert_eq!(store.images.find_step(&key).await.unwrap(), None);
    assert_eq!(store.files("steps"), Vec::<String>::new());
    let store = store.reopen();
    assert_eq!(store.images.find_step(&key).await.unwrap(), None);
}

#[tokio::test]
async fn a_context_that_is_refused_or_given_up_leaves_nothing() {
    let store = Store::new();
    let empty = |store: &Store| store.files("work").is_empty();
    for (context, want) in [
        (archive(&[("a/../../x", EntryType::Regular, "x")]), "context: the context: entry"),
        (b"no archive".repeat(100), "context: the context: "),
        (b"\xfd7zXZ\0.".to_vec(), "context: the context: the archive is compressed with xz"),
    ] {
        let refused =
            store.images.begin_build(maker(), Some(body_from_bytes(context))).await.map(drop).unwrap_err();
        assert!(matches!(refused, Error::Invalid { field: "context", .. }), "{refused}");
        assert!(refused.to_string().starts_with(want), "{refused}");
    }
    wait_until(|| empty(&store)).await;
    let kept = room(&store, &[("one", EntryType::Regular, "1")]).await;
    assert!(!empty(&store));
    drop(kept);
    wait_until(|| empty(&store)).await;
}

/// How long anything may take before a test calls it a hang. Generous, because the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(20);

/// Looks again until something is so.
pub(crate) async fn wait_until(mut is_so: impl FnMut() -> bool) {
    let held = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, held).await.expect("waited in vain");
}
