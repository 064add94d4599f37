//! Repositories that are made to harm whoever clones them.

use std::fs;

use lazaret_protocol::git::{Add, Answer, Operation, Problem, Request};

use crate::support::{Place, clone};

/// A bare repository whose `main` has a tree of these entries: mode, name, content.
fn crafted(place: &Place, name: &str, entries: &[(&str, &str, &str)]) {
    fs::create_dir(place.path(name)).expect("a directory");
    place.git(name, &["init", "-q", "--bare", "-b", "main"]);
    let mut tree = Vec::new();
    for (mode, path, content) in entries {
        place.write("object", content);
        let kind = if *mode == "40000" { "tree" } else { "blob" };
        let hash = if kind == "tree" {
            (*content).to_owned()
        } else {
            place.git(name, &["hash-object", "-w", &place.at("object")])
        };
        let raw: Vec<u8> =
            (0..20).map(|at| u8::from_str_radix(&hash[2 * at..2 * at + 2], 16).expect("hex")).collect();
        tree.extend([mode.as_bytes(), b" ", path.as_bytes(), b"\0", &raw].concat());
    }
    fs::write(place.path("object"), tree).expect("a file");
    // Literally: git itself would not make such a tree.
    let tree = place.git(name, &["hash-object", "-w", "--literally", "-t", "tree", &place.at("object")]);
    let commit = place.git(name, &["commit-tree", &tree, "-m", "crafted"]);
    place.git(name, &["update-ref", "refs/heads/main", &commit]);
}

/// Clones it; whatever happens, nothing may appear outside, nor in `.git`.
fn harmless(place: &Place, name: &str) {
    let answer = place.run(Operation::Clone(Box::new(clone(&place.at(name), &place.at("target/clone")))));
    assert!(!place.path("escaped").exists() && !place.path("target/escaped").exists(), "{name}: {answer:?}");
    for hook in ["post-checkout", "evil"] {
        assert!(!place.path(&format!("target/clone/.git/hooks/{hook}")).exists(), "{name}: {answer:?}");
    }
    let _ = fs::remove_dir_all(place.path("target"));
}

#[test]
fn trees_that_reach_for_git_or_for_the_outside_write_neither() {
    let place = Place::new();
    fs::create_dir(place.path("parts")).expect("a directory");
    crafted(&place, "parts/inner", &[("100755", "evil", "#!/bin/sh\ntouch /tmp/x\n")]);
    for (name, entries) in [
        ("dotgit", vec![("100644", ".git", "gitdir: /etc\n")]),
        ("case", vec![("100644", ".GIT", "x")]),
        ("hfs", vec![("100644", ".g\u{200c}it", "x")]),
        ("up", vec![("100644", "../escaped", "x")]),
        ("dots", vec![("100644", "..", "x")]),
        ("slash", vec![("100755", ".git/hooks/post-checkout", "#!/bin/sh\n")]),
        // A link, and then a file through it: the order that a tree forbids and an attacker writes.
        ("through", vec![("120000", "a", "../.."), ("100644", "a/escaped", "x")]),
        ("hooks", vec![("120000", "a", ".git/hooks"), ("100755", "a/evil", "x")]),
    ] {
        crafted(&place, name, &entries);
        harmless(&place, name);
    }
}

#[test]
fn submodules_and_hooks_of_a_clone_are_not_run() {
    let place = Place::new();
    place.repository("src");
    place.repository("sub");
    place.git(
        "src",
        &["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", &place.at("sub"), "nested"],
    );
    place.git("src", &["commit", "-q", "-m", "with a submodule"]);
    place.done(Operation::Clone(Box::new(clone(&place.at("src"), &place.at("clone")))));
    assert_eq!(
        fs::read_dir(place.path("clone/nested")).map_or(0, Iterator::count),
        0,
        "nothing of it is fetched"
    );

    // Programs that a repository's own configuration names.
    let marker = place.at("marker");
    for key in [
        "core.fsmonitor",
        "core.sshCommand",
        "filter.x.clean",
        "filter.x.smudge",
        "core.pager",
        "diff.external",
    ] {
        place.git("src", &["config", key, &format!("touch {marker}; cat")]);
    }
    place.write("src/.gitattributes", "* filter=x\n");
    place.write("src/.git/hooks/pre-commit", &format!("#!/bin/sh\ntouch {marker}\n"));
    place.write("src/z", "1");
    place.done(Operation::Add(Add { path: place.at("src"), files: vec![".".to_owned()] }));
    assert!(matches!(place.run(Operation::Status(place.at("src"))), Answer::Status(_)));
    assert!(!place.path("marker").exists());
}

#[test]
fn a_path_through_a_link_is_not_staged() {
    let place = Place::new();
    place.repository("src");
    place.write("outside/secret", "s");
    std::os::unix::fs::symlink(place.path("outside"), place.path("src/link")).expect("a link");
    let answer =
        place.run(Operation::Add(Add { path: place.at("src"), files: vec!["link/secret".to_owned()] }));
    assert!(matches!(answer, Answer::Failed(_)), "{answer:?}");
    place.done(Operation::Add(Add { path: place.at("src"), files: vec!["link".to_owned()] }));
    assert_eq!(place.git("src", &["ls-files", "-s", "link"]).split(' ').next(), Some("120000"));
}

#[test]
fn what_is_no_repository_and_what_is_no_request_get_an_answer_or_none() {
    let place = Place::new();
    place.write("torn/.git/HEAD", "ref: refs/heads/main\n");
    place.write("link/.git", "gitdir: /proc/self\n");
    for name in ["torn", "link", "home", "missing"] {
        place.fails(Operation::Status(place.at(name)), Problem::RepoNotFound);
    }
    let without = Request { operation: None, ..Request::new(Operation::Status(String::new())) };
    let Answer::Failed(failed) = place.ask(&without) else { panic!("it was carried out") };
    assert_eq!(failed.problem, Problem::Unsupported);

    let output = std::process::Command::new(env!("CARGO_BIN_EXE_lazaret-git"))
        .stdin(std::process::Stdio::null())
        .output()
        .expect("the program");
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(1), b"".as_slice()));
}
