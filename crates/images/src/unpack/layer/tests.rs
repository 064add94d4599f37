//! Layers that build on each other, and layers that attack.

use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::PathBuf;

use tempfile::TempDir;

use super::super::limits::UnpackLimits;
use super::super::tar::samples::{header, link, member, owned, pax};
use super::*;

/// A tree in a directory of its own, with a file outside that no layer may touch.
struct Fixture {
    work: TempDir,
    tree: Tree,
    layers: usize,
}

impl Fixture {
    fn new() -> Fixture {
        let work = TempDir::new().unwrap();
        fs::write(work.path().join("outside"), "untouched").unwrap();
        let tree = Tree::create(work.path()).unwrap();
        Fixture { work, tree, layers: 0 }
    }

    fn with(layers: &[&[Vec<u8>]]) -> Fixture {
        let mut fixture = Fixture::new();
        for layer in layers {
            fixture.apply(layer).unwrap();
        }
        fixture
    }

    fn apply(&mut self, entries: &[Vec<u8>]) -> Result<LayerSummary, LayerError> {
        self.apply_within(entries, UnpackLimits::default())
    }

    fn apply_within(
        &mut self,
        entries: &[Vec<u8>],
        limits: UnpackLimits,
    ) -> Result<LayerSummary, LayerError> {
        let archive = [entries.concat(), vec![0; 1024]].concat();
        let position = if self.layers == 0 { Position::Lowest } else { Position::Above };
        self.layers += 1;
        let disk = OwnedFd::from(File::open(self.work.path()).unwrap());
        let mut budget = Budget::new(limits, disk);
        let outcome = apply(&archive[..], position, &mut self.tree, &mut budget, &mut |_| {});
        assert_eq!(fs::read_to_string(self.work.path().join("outside")).unwrap(), "untouched");
        outcome
    }

    fn at(&self, path: &str) -> PathBuf {
        self.work.path().join("rootfs").join(path)
    }

    /// Every path of the tree, with `/` after directories.
    fn names(&self) -> Vec<String> {
        let mut names = Vec::new();
        let mut directories = vec![self.at("")];
        while let Some(directory) = directories.pop() {
            for entry in fs::read_dir(directory).unwrap() {
                let entry = entry.unwrap();
                let name = entry.path().strip_prefix(self.at("")).unwrap().to_string_lossy().into_owned();
                if entry.file_type().unwrap().is_dir() {
                    directories.push(entry.path());
                    names.push(format!("{name}/"));
                } else {
                    names.push(name);
                }
            }
        }
        names.sort();
        names
    }
}

fn file(name: &str, contents: &str) -> Vec<u8> {
    member(name.as_bytes(), b'0', contents.as_bytes())
}

fn directory(name: &str) -> Vec<u8> {
    member(name.as_bytes(), b'5', b"")
}

/// The layer is refused, with this reason and the entry's name in the whole sentence.
fn refused(fixture: &mut Fixture, entries: &[Vec<u8>], want: &str) {
    let error = fixture.apply(entries).expect_err(want);
    let mut sentence = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        sentence = format!("{sentence}: {cause}");
        source = cause.source();
    }
    assert_eq!(sentence, want);
}

#[test]
fn contents_modes_owners_times_and_links_arrive() {
    let fixture = Fixture::with(&[&[
        directory("./"),
        owned(b"bin/su", 0o4755, 0, 7, b"setuid"),
        link(b"bin/alias", b'1', b"./bin/su"),
        link(b"lib", b'2', b"/usr/lib/../lib64"),
        member(b"run/pipe", b'6', b""),
        [
            pax(&[
                ("SCHILY.xattr.user.note", b"a\nb\0"),
                ("SCHILY.xattr.security.capability", b"x"),
                ("mtime", b"12.5"),
            ]),
            file("noted", ""),
        ]
        .concat(),
        owned(b"mine", 0o600, 65_535, 1000, b""),
    ]]);
    let su = fs::metadata(fixture.at("bin/su")).unwrap();
    assert_eq!((su.mode() & 0o7777, su.uid(), su.gid(), su.mtime()), (0o4755, 0, 7, 7));
    assert_eq!(fs::metadata(fixture.at("bin/alias")).unwrap().ino(), su.ino());
    assert_eq!(fs::read_link(fixture.at("lib")).unwrap(), PathBuf::from("/usr/lib/../lib64"));
    let noted = fs::metadata(fixture.at("noted")).unwrap();
    assert_eq!((noted.mtime(), noted.mtime_nsec()), (12, 500_000_000));
    let attributes: Vec<_> = xattr::list(fixture.at("noted")).unwrap().collect();
    assert_eq!(attributes, ["user.note"]);
    assert_eq!(xattr::get(fixture.at("noted"), "user.note").unwrap().unwrap(), b"a\nb\0");
    let mine = fs::metadata(fixture.at("mine")).unwrap();
    assert_eq!((mine.uid(), mine.gid()), (65_535, 1000));
    assert_eq!(fs::metadata(fixture.at("bin")).unwrap().mode() & 0o7777, 0o755);
    assert_eq!(fs::metadata(fixture.at("")).unwrap().mtime(), 7);
}

#[test]
fn a_marker_hides_the_layers_below_and_nothing_of_its_own_layer() {
    let below = [
        file("d/old", ""),
        file("d/both", "1"),
        file("d/sub/deep", ""),
        file("keep/x", ""),
        file("gone", ""),
    ];
    // The markers stand before, between and after what their layer adds.
    let above = [
        file("d/new", ""),
        file("d/.wh..wh..opq", ""),
        file("d/both", "2"),
        directory("d/sub"),
        file(".wh.gone", ""),
        file("keep/.wh.missing", ""),
        file("nowhere/.wh.missing", ""),
        file("d/.wh..wh..opq", ""),
        file(".wh..wh.plnk/1.2", ""),
    ];
    let fixture = Fixture::with(&[&below, &above]);
    assert_eq!(fixture.names(), ["d/", "d/both", "d/new", "d/sub/", "keep/", "keep/x"]);
    assert_eq!(fs::read_to_string(fixture.at("d/both")).unwrap(), "2");

    let fixture =
        Fixture::with(&[&below, &[file("d/sub/own", ""), file("d/.wh.sub", ""), file(".wh.keep", "")]]);
    assert_eq!(fixture.names(), ["d/", "d/both", "d/old", "d/sub/", "d/sub/own", "gone"]);

    let fixture = Fixture::with(&[&below, &[file(".wh..wh..opq", ""), file("only", "")]]);
    assert_eq!(fixture.names(), ["only"]);

    let fixture = Fixture::with(&[&[file("a", ""), file(".wh.a", ""), file(".wh..wh..opq", "")]]);
    assert_eq!(fixture.names(), ["a"]);
}

#[test]
fn whatever_has_the_name_is_replaced_but_a_directory_keeps_what_is_in_it() {
    let fixture = Fixture::with(&[
        &[
            directory("d"),
            file("d/in", ""),
            file("f", "1"),
            link(b"l", b'2', b"d"),
            file("was-dir/x", ""),
            file("h", "h"),
        ],
        &[
            directory("d"),
            directory("f"),
            directory("l"),
            file("was-dir", "now a file"),
            link(b"h", b'1', b"h"),
        ],
        &[file("f", "again"), file("d/in", "2"), file("d/in", "3")],
    ]);
    assert_eq!(fixture.names(), ["d/", "d/in", "f", "h", "l/", "was-dir"]);
    assert_eq!(fs::read_to_string(fixture.at("d/in")).unwrap(), "3");
    assert_eq!(fs::read_to_string(fixture.at("h")).unwrap(), "h");
}

#[test]
fn a_replaced_file_leaves_its_other_names_alone() {
    let fixture =
        Fixture::with(&[&[file("a", "old"), link(b"b", b'1', b"a")], &[owned(b"a", 0o4755, 0, 0, b"new")]]);
    assert_eq!(fs::read_to_string(fixture.at("b")).unwrap(), "old");
    assert_eq!(fs::metadata(fixture.at("b")).unwrap().mode() & 0o7777, 0o644);
}

#[test]
fn nothing_is_written_through_a_symlink_of_this_layer_or_one_below() {
    let escape = link(b"way", b'2', b"..");
    let absolute = link(b"way", b'2', b"/");
    for planted in [escape, absolute] {
        for attack in [
            file("way/outside", "written"),
            directory("way/outside"),
            link(b"way/outside", b'2', b"x"),
            file("way/.wh.outside", ""),
            file("way/deep/er", ""),
            member(b"way/pipe", b'6', b""),
        ] {
            let name = tar::Header::from_byte_slice(&attack[..512]).path_bytes().escape_ascii().to_string();
            let want = format!("entry \"{name}\": the name goes through a symlink");
            refused(
                &mut Fixture::with(&[std::slice::from_ref(&planted)]),
                std::slice::from_ref(&attack),
                &want,
            );
            refused(&mut Fixture::with(&[&[]]), &[planted.clone(), attack], &want);
        }
    }
    // An opaque marker reached through a link clears nothing on the other side.
    let mut fixture = Fixture::with(&[&[file("d/x", ""), link(b"l", b'2', b"d")]]);
    refused(
        &mut fixture,
        &[file("l/sub/.wh..wh..opq", "")],
        "entry \"l/sub/.wh..wh..opq\": the name goes through a symlink",
    );
    fixture.apply(&[file("l/.wh..wh..opq", "")]).unwrap();
    assert!(fixture.at("d/x").exists());
}

#[test]
fn a_hard_link_reaches_nothing_outside_and_no_directory() {
    for (target, reason) in [
        (&b"../outside"[..], "the target of the link cannot be used: the name goes up with \"..\""),
        (b"/outside", "the target of the hard link is not in the image"),
        (b"/etc/shadow", "the target of the hard link is not in the image"),
        (b"way/outside", "the name goes through a symlink"),
        (b"dir", "the target of the hard link is a directory"),
        (b".", "the target of the hard link is a directory"),
        (b"f/x", "the name goes through something that is not a directory"),
    ] {
        let layer =
            [directory("dir"), file("f", ""), link(b"way", b'2', b".."), link(b"stolen", b'1', target)];
        refused(&mut Fixture::new(), &layer, &format!("entry \"stolen\": {reason}"));
    }
    // A link to a link is the link, not what it points at.
    let fixture = Fixture::with(&[&[link(b"way", b'2', b"../outside"), link(b"copy", b'1', b"way")]]);
    assert_eq!(fs::read_link(fixture.at("copy")).unwrap(), PathBuf::from("../outside"));
}

#[test]
fn names_that_cannot_be_used_are_refused_with_the_entry() {
    let long = |name: &[u8]| [pax(&[("path", name)]), file("cut", "")].concat();
    for (entry, want) in [
        (file("../outside", "x"), "entry \"../outside\": the name goes up with \"..\""),
        (file("a/../../outside", "x"), "entry \"a/../../outside\": the name goes up with \"..\""),
        (long(b"a\0b"), "entry \"a\\x00b\": the name holds a NUL byte"),
        (file(".wh..", ""), "entry \".wh..\": it is not a whiteout that can be applied"),
        (file(".wh...", ""), "entry \".wh...\": it is not a whiteout that can be applied"),
        (file(".wh.", ""), "entry \".wh.\": it is not a whiteout that can be applied"),
        (file(".wh.d/x", ""), "entry \".wh.d/x\": it is not a whiteout that can be applied"),
        (directory(".wh.d"), "entry \".wh.d\": it is not a whiteout that can be applied"),
        (file(".", "x"), "entry \".\": the root of the image can only be a directory"),
        (link(b".", b'2', b"x"), "entry \".\": the root of the image can only be a directory"),
        (link(b"l", b'2', b""), "entry \"l\": the target of the symlink is not a path"),
    ] {
        refused(&mut Fixture::new(), &[entry], want);
    }
    refused(
        &mut Fixture::new(),
        &[long(&[b'n'; 256])],
        &format!("entry \"{}...\": a component of the name is longer than 255 bytes", "n".repeat(200)),
    );
    refused(
        &mut Fixture::new(),
        &[long(&b"nn/".repeat(1400))],
        &format!("entry \"{}nn...\": the name is longer than 4095 bytes", "nn/".repeat(66)),
    );
}

#[test]
fn names_of_any_bytes_and_of_four_kib_are_kept() {
    // 4,000 bytes in components of 200: what GNU and PAX headers are for.
    let long = [vec![b'n'; 199], b"/".to_vec()].concat().repeat(20);
    let fixture = Fixture::with(&[&[
        [pax(&[("path", &long)]), directory("cut")].concat(),
        member(b"caf\xe9 \xff\n", b'0', b"bytes"),
    ]]);
    assert_eq!(fixture.names().iter().map(String::len).max(), Some(long.len()));
    use std::os::unix::ffi::OsStrExt;
    let name = std::ffi::OsStr::from_bytes(b"caf\xe9 \xff\n");
    assert_eq!(fs::read(fixture.work.path().join("rootfs").join(name)).unwrap(), b"bytes");
}

#[test]
fn devices_sparse_files_strange_owners_and_overlay_attributes_are_refused() {
    let device = |name: &[u8], kind| header(name, kind, 0).as_bytes().to_vec();
    let with = |key: &str, value: &[u8]| [pax(&[(key, value)]), file("f", "")].concat();
    for (entry, want) in [
        (device(b"sda", b'4'), "entry \"sda\": device nodes are refused"),
        (device(b"etc/dev/null", b'3'), "entry \"etc/dev/null\": device nodes are refused"),
        (device(b"f", b'S'), "entry \"f\": sparse files are refused; make the archive without --sparse"),
        (
            with("GNU.sparse.major", b"1"),
            "entry \"f\": sparse files are refused; make the archive without --sparse",
        ),
        (device(b"f", b'M'), "entry \"f\": entries of type 'M' are refused"),
        (owned(b"f", 0o644, 65_536, 0, b""), "entry \"f\": its owner 65536:0 is outside 0 to 65535"),
        (with("gid", b"4294967295"), "entry \"f\": its owner 0:4294967295 is outside 0 to 65535"),
        (
            with("SCHILY.xattr.user.overlay.redirect", b"/"),
            "entry \"f\": attributes of overlayfs are refused",
        ),
        (
            with("SCHILY.xattr.trusted.overlay.opaque", b"y"),
            "entry \"f\": attributes of overlayfs are refused",
        ),
    ] {
        refused(&mut Fixture::new(), &[entry], want);
    }
    let mut fixture = Fixture::new();
    let summary = fixture.apply(&[device(b"./dev/null", b'3'), device(b"dev/loop0", b'4')]).unwrap();
    assert_eq!(summary, LayerSummary { devices_left_out: 2, complete: true });
    assert_eq!(fixture.names(), Vec::<String>::new());
}

#[test]
fn bombs_stop_at_their_limit() {
    let limits = UnpackLimits {
        image_bytes: 100_000,
        file_bytes: 50_000,
        entries: 50,
        name_bytes: 5_000,
        layers: 2,
        disk_reserve_bytes: 0,
    };
    let stop = |entries: &[Vec<u8>], limits: UnpackLimits| {
        let mut fixture = Fixture::new();
        match fixture.apply_within(entries, limits) {
            Err(LayerError::Exceeded(exceeded)) => exceeded,
            other => panic!("{other:?}"),
        }
    };
    let many: Vec<_> = (0..51).map(|number| file(&number.to_string(), "")).collect();
    assert_eq!(stop(&many, limits), Exceeded::Entries(50));
    let implied = [file(&"d/".repeat(30), ""), file(&"e/".repeat(30), "")];
    let implied =
        implied.map(|entry| [entry, file(&["x/".repeat(45), "f".to_owned()].concat(), "")].concat());
    assert_eq!(stop(&implied, limits), Exceeded::Entries(50));
    // A header may claim what the archive does not have; nothing is reserved for it.
    assert_eq!(stop(&[header(b"f", b'0', 60_000).as_bytes().to_vec()], limits), Exceeded::FileBytes(50_000));
    let large = member(b"f", b'0', &[7; 40_000]);
    assert_eq!(stop(&[large.clone(), large.clone(), large], limits), Exceeded::ImageBytes(100_000));
    assert_eq!(stop(&[vec![0; 200_000]], limits), Exceeded::ImageBytes(100_000));
    let long = [pax(&[("path", &b"n/".repeat(180)[..])]), directory("cut")].concat();
    assert_eq!(stop(&vec![long; 20], UnpackLimits { entries: 1000, ..limits }), Exceeded::NameBytes(5_000));
    let full = UnpackLimits { disk_reserve_bytes: u64::MAX / 2, ..limits };
    assert_eq!(stop(&[file("f", "x")], full), Exceeded::Disk(u64::MAX / 2));
}

#[test]
fn a_symlink_on_the_host_beside_the_tree_is_never_reached() {
    let mut fixture = Fixture::new();
    // As if something else had put a link into the tree between two entries.
    symlink(fixture.work.path(), fixture.at("planted")).unwrap();
    refused(
        &mut fixture,
        &[file("planted/outside", "x")],
        "entry \"planted/outside\": the name goes through a symlink",
    );
}
