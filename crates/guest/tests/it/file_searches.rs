//! Looking through trees, and changing what is found.

use std::os::unix::fs::{PermissionsExt, symlink};

use lazaret_protocol::limits::MATCH_LINE_MAX;
use lazaret_protocol::{ErrorKind, FileKind, Find, ReplaceText, RequestBody, Selection, Target, Walk};

use crate::support::{Event, Sandbox};

/// Path, line and text of what a search finds, sorted, and whether it was cut.
fn found(sandbox: &Sandbox, target: Target, text: &str, limit: u32) -> (Vec<(String, u64, String)>, bool) {
    let mut client = sandbox.request(RequestBody::Find(Find { target, text: text.into(), limit }));
    let mut all = Vec::new();
    loop {
        match client.expect() {
            Event::Matches(matches) => all.extend(matches.into_iter().map(|found| {
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                (text(&found.path), found.line, text(&found.text))
            })),
            Event::ListEnd { truncated } => {
                all.sort();
                return (all, truncated);
            }
            other => panic!("{other:?} in a search"),
        }
    }
}

/// Names and kinds of what a selection finds, sorted.
fn selected(sandbox: &Sandbox, root: &str, selection: Selection) -> Vec<(String, FileKind)> {
    let walk = Walk { target: Target::absolute(root), limit: 100, selection: Some(selection) };
    let mut client = sandbox.request(RequestBody::Walk(walk));
    let mut all = Vec::new();
    loop {
        match client.expect() {
            Event::Entries(entries) => all.extend(
                entries
                    .into_iter()
                    .map(|entry| (String::from_utf8_lossy(&entry.path).into_owned(), entry.metadata.kind)),
            ),
            Event::ListEnd { truncated } => {
                assert!(!truncated);
                all.sort_by(|a, b| a.0.cmp(&b.0));
                return all;
            }
            other => panic!("{other:?} in a listing"),
        }
    }
}

fn plant(sandbox: &Sandbox) -> String {
    std::fs::create_dir_all(sandbox.path("root/a/b")).expect("directories");
    for (name, content) in [
        ("one.txt", "first\nneedle here\r\nlast needle"),
        ("a/two.rs", "no\nno\nneedle"),
        ("a/b/three.txt", "nothing"),
        ("a/binary", "\0needle"),
    ] {
        std::fs::write(sandbox.path(&format!("root/{name}")), content).expect("a file");
    }
    symlink("one.txt", sandbox.path("root/link.txt")).expect("a link");
    symlink("nowhere", sandbox.path("root/dangling.txt")).expect("a link");
    symlink("..", sandbox.path("root/a/up")).expect("a link");
    sandbox.path("root")
}

#[test]
fn lines_with_a_text_are_found_in_text_files_and_links_are_not_entered() {
    let sandbox = Sandbox::start();
    let root = plant(&sandbox);
    let line = |path: &str, line, text: &str| (path.to_owned(), line, text.to_owned());
    let all = vec![
        line("a/two.rs", 3, "needle"),
        line("one.txt", 2, "needle here"),
        line("one.txt", 3, "last needle"),
    ];
    assert_eq!(found(&sandbox, Target::absolute(root.as_str()), "needle", 100), (all, false));
    let (some, truncated) = found(&sandbox, Target::absolute(root.as_str()), "needle", 2);
    assert_eq!((some.len(), truncated), (2, true));
    let file = Target::absolute(format!("{root}/link.txt").into_bytes());
    assert_eq!(found(&sandbox, file, "first", 100), (vec![line("", 1, "first")], false));
}

#[test]
fn a_long_line_is_searched_whole_and_shown_in_part() {
    let sandbox = Sandbox::start();
    let path = sandbox.path("long");
    let text = format!("{}needle\nshort needle", "x".repeat(3_000_000));
    std::fs::write(&path, text).expect("a file");
    let (all, truncated) = found(&sandbox, Target::absolute(path.as_str()), "needle", 100);
    assert_eq!((all.len(), truncated), (2, false));
    assert_eq!((all[0].1, all[0].2.len()), (1, MATCH_LINE_MAX));
    assert_eq!((all[1].1, all[1].2.as_str()), (2, "short needle"));
}

#[test]
fn what_a_user_may_not_read_holds_nothing_for_them() {
    let sandbox = Sandbox::start();
    std::fs::set_permissions(sandbox.directory(), PermissionsExt::from_mode(0o755)).expect("permissions");
    let root = plant(&sandbox);
    std::fs::set_permissions(format!("{root}/one.txt"), PermissionsExt::from_mode(0o600))
        .expect("permissions");
    let target = Target { user: Some("nobody".into()), ..Target::absolute(root.as_str()) };
    let (all, _) = found(&sandbox, target, "needle", 100);
    assert_eq!(all.iter().map(|line| line.0.as_str()).collect::<Vec<_>>(), ["a/two.rs"]);
}

#[test]
fn a_selection_has_every_kind_down_to_its_depth_and_by_its_glob() {
    let sandbox = Sandbox::start();
    let root = plant(&sandbox);
    let names = |selection| selected(&sandbox, &root, selection);
    let top = names(Selection { depth: Some(1), ..Selection::default() });
    let kinds: Vec<_> = top.iter().map(|(name, kind)| (name.as_str(), *kind)).collect();
    let want = [
        ("a", FileKind::Directory),
        ("dangling.txt", FileKind::Symlink),
        ("link.txt", FileKind::Symlink),
        ("one.txt", FileKind::File),
    ];
    assert_eq!(kinds, want);
    assert_eq!(names(Selection { depth: Some(2), ..Selection::default() }).len(), 8);
    let texts = names(Selection { name: Some("*.txt".into()), ..Selection::default() });
    let texts: Vec<_> = texts.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(texts, ["a/b/three.txt", "dangling.txt", "link.txt", "one.txt"]);
    let followed = names(Selection { depth: Some(1), name: Some("*.txt".into()), follow: true });
    let want = [("link.txt".to_owned(), FileKind::File), ("one.txt".to_owned(), FileKind::File)];
    assert_eq!(followed, want);
}

#[test]
fn a_pattern_that_means_nothing_is_refused() {
    let sandbox = Sandbox::start();
    let root = Target::absolute(plant(&sandbox));
    let selection = Some(Selection { name: Some("[".into()), ..Selection::default() });
    let walk = RequestBody::Walk(Walk { target: root.clone(), limit: 1, selection });
    assert_eq!(sandbox.refused(walk).kind, ErrorKind::BadPattern);
    let find = RequestBody::Find(Find { target: root.clone(), text: "".into(), limit: 1 });
    assert_eq!(sandbox.refused(find).kind, ErrorKind::BadPattern);
    let replace = RequestBody::ReplaceText(ReplaceText { target: root, text: "".into(), with: "x".into() });
    assert_eq!(sandbox.refused(replace).kind, ErrorKind::BadPattern);
}

#[test]
fn a_replacement_keeps_the_mode_follows_a_link_and_leaves_what_has_no_match() {
    let sandbox = Sandbox::start();
    let root = plant(&sandbox);
    let replace = |name: &str, text: &str, with: &str| {
        let target = Target::absolute(format!("{root}/{name}").into_bytes());
        RequestBody::ReplaceText(ReplaceText { target, text: text.into(), with: with.into() })
    };
    let one = format!("{root}/one.txt");
    std::fs::set_permissions(&one, PermissionsExt::from_mode(0o751)).expect("permissions");
    assert_eq!(sandbox.request(replace("link.txt", "needle", "pin")).expect(), Event::Replaced(2));
    assert_eq!(std::fs::read_to_string(&one).expect("the file"), "first\npin here\r\nlast pin");
    assert_eq!(std::fs::metadata(&one).expect("the file").permissions().mode() & 0o7777, 0o751);
    assert!(std::fs::symlink_metadata(format!("{root}/link.txt")).expect("a link").is_symlink());
    assert_eq!(sandbox.request(replace("one.txt", "needle", "pin")).expect(), Event::Replaced(0));
    assert_eq!(sandbox.refused(replace("none", "a", "b")).kind, ErrorKind::NotFound);
    assert_eq!(sandbox.refused(replace("a", "a", "b")).kind, ErrorKind::IsADirectory);
    // A large file, whose matches lie across the pieces in which it is read.
    std::fs::write(&one, "abcdefg".repeat(100_000)).expect("a file");
    assert_eq!(sandbox.request(replace("one.txt", "cdef", "")).expect(), Event::Replaced(100_000));
    assert_eq!(std::fs::read_to_string(&one).expect("the file"), "abg".repeat(100_000));
    let names = std::fs::read_dir(&root).expect("the directory").count();
    assert_eq!(names, 4, "nothing is left behind");
}
