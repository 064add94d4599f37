//! Everything that needs no network.

use lazaret_protocol::git::{
    Add, AddRemote, Answer, Change, Checkout, Clone, CommitStaged, ConfigScope, CreateBranch, DeleteBranch,
    FileStatus, GetConfig, Init, Log, Operation, Problem, Pull, Push, Remote, Remotes, Reset, ResetMode,
    Restore, SetConfig, Status,
};

use crate::support::{Place, clone};

fn status(place: &Place, repository: &str) -> Status {
    match place.run(Operation::Status(place.at(repository))) {
        Answer::Status(status) => status,
        other => panic!("{other:?}"),
    }
}

fn add(place: &Place, repository: &str, files: &[&str]) -> Operation {
    let files = files.iter().map(|&file| file.to_owned()).collect();
    Operation::Add(Add { path: place.at(repository), files })
}

fn commit(place: &Place, repository: &str, message: &str) -> CommitStaged {
    CommitStaged {
        path: place.at(repository),
        message: message.to_owned(),
        author: "Ada".to_owned(),
        email: "ada@example.org".to_owned(),
        allow_empty: false,
    }
}

#[test]
fn a_path_is_cloned_with_one_branch_and_its_upstream() {
    let place = Place::new();
    place.repository("src");
    for (url, into) in [
        (place.at("src"), "by-path"),
        (format!("file://{}", place.at("src")), "by-url"),
        ("src".to_owned(), "relative"),
    ] {
        place.done(Operation::Clone(Box::new(clone(&url, &place.at(into)))));
        assert_eq!(place.read(&format!("{into}/a")), "one\n");
        assert_eq!(place.git(into, &["branch", "-a", "--format=%(refname)"]).lines().count(), 3, "{into}");
        assert_eq!(place.git(into, &["rev-parse", "--abbrev-ref", "main@{upstream}"]), "origin/main");
        assert_eq!(place.git(into, &["status", "--porcelain"]), "");
        assert_eq!(place.git(into, &["fsck", "--strict", "--no-dangling"]), "");
    }
}

#[test]
fn a_branch_a_tag_or_a_commit_of_another_branch_can_be_cloned() {
    let place = Place::new();
    place.repository("src");
    place.git("src", &["tag", "-a", "v1", "-m", "first", "main~1"]);
    let url = place.at("src");
    place.done(Operation::Clone(Box::new(Clone { branch: Some("side".to_owned()), ..clone(&url, "side") })));
    assert_eq!(place.git("side", &["branch", "--show-current"]), "side");
    place.done(Operation::Clone(Box::new(Clone { branch: Some("v1".to_owned()), ..clone(&url, "tag") })));
    assert_eq!(place.git("tag", &["describe", "--tags"]), "v1");
    let hash = place.git("src", &["rev-parse", "side"]);
    place.done(Operation::Clone(Box::new(Clone { commit: Some(hash.clone()), ..clone(&url, "commit") })));
    assert_eq!(place.git("commit", &["rev-parse", "HEAD"]), hash);
    let seen = status(&place, "commit");
    assert_eq!((seen.branch, seen.head), (None, Some(hash)));
}

#[test]
fn a_clone_that_fails_leaves_nothing_and_one_in_the_way_is_not_touched() {
    let place = Place::new();
    place.repository("src");
    let url = place.at("src");
    let no_branch = Clone { branch: Some("nope".to_owned()), ..clone(&url, &place.at("new")) };
    place.fails(Operation::Clone(Box::new(no_branch)), Problem::BranchNotFound);
    let no_commit = Clone { commit: Some("1".repeat(40)), ..clone(&url, &place.at("new")) };
    place.fails(Operation::Clone(Box::new(no_commit)), Problem::RevisionNotFound);
    place.fails(
        Operation::Clone(Box::new(clone(&place.at("nowhere"), &place.at("new")))),
        Problem::RepoNotFound,
    );
    assert!(!place.path("new").exists());
    place.write("taken/mine", "mine");
    place.fails(Operation::Clone(Box::new(clone(&url, &place.at("taken")))), Problem::TargetExists);
    assert_eq!(place.read("taken/mine"), "mine");
    place
        .fails(Operation::Clone(Box::new(clone("ssh://git@h/x", &place.at("new")))), Problem::UnsupportedUrl);
}

#[test]
fn a_repository_is_not_made_where_a_file_is_or_under_a_name_that_cannot_be() {
    let place = Place::new();
    place.write("file", "mine");
    let init = |path: String| Operation::Init(Init { path, bare: false, initial_branch: None });
    place.fails(init(place.at("file")), Problem::TargetExists);
    place.fails(init(place.at("file/beneath")), Problem::TargetExists);
    place.fails(init(place.at(&"n".repeat(256))), Problem::InvalidName);
    assert_eq!(place.read("file"), "mine");
}

#[test]
fn a_repository_is_made_filled_and_committed_to() {
    let place = Place::new();
    let init = Init { path: place.at("new"), bare: false, initial_branch: Some("trunk".to_owned()) };
    place.done(Operation::Init(init));
    let seen = status(&place, "new");
    assert_eq!((seen.branch.as_deref(), seen.head, seen.published), (Some("trunk"), None, false));
    place.write("new/a", "1");
    place.write("new/dir/b", "2");
    place.write("new/.gitignore", "ignored\n");
    place.write("new/ignored", "3");
    place.fails(Operation::Commit(commit(&place, "new", "nothing")), Problem::NothingToCommit);
    place.done(add(&place, "new", &["."]));
    let Answer::Committed(hash) = place.run(Operation::Commit(commit(&place, "new", "first"))) else {
        panic!("no commit")
    };
    assert_eq!(place.git("new", &["rev-parse", "trunk"]), hash);
    assert_eq!(place.git("new", &["ls-files"]), ".gitignore\na\ndir/b");
    assert_eq!(place.git("new", &["log", "-1", "--format=%an <%ae> %s"]), "Ada <ada@example.org> first");
    let empty = CommitStaged { allow_empty: true, ..commit(&place, "new", "second") };
    place.run(Operation::Commit(empty));
    assert_eq!(place.git("new", &["rev-list", "--count", "HEAD"]), "2");
}

#[test]
fn a_status_tells_every_kind_of_change() {
    let place = Place::new();
    place.repository("src");
    place.git("src", &["mv", "b", "moved"]);
    place.write("src/a", "changed\n");
    place.write("src/staged", "new\n");
    place.git("src", &["add", "staged"]);
    place.write("src/sub/unknown", "?");
    let entry =
        |path: &str, staged, worktree| FileStatus { path: path.to_owned(), old_path: None, staged, worktree };
    let mut files = status(&place, "src").files;
    files.sort_by(|one, other| one.path.cmp(&other.path));
    let moved =
        FileStatus { old_path: Some("b".to_owned()), ..entry("moved", Change::Renamed, Change::Unmodified) };
    assert_eq!(
        files,
        [
            entry("a", Change::Unmodified, Change::Modified),
            moved,
            entry("staged", Change::Added, Change::Unmodified),
            entry("sub/unknown", Change::Untracked, Change::Untracked),
        ]
    );
}

#[test]
fn branches_are_made_switched_and_deleted() {
    let place = Place::new();
    place.repository("src");
    let path = place.at("src");
    let new = |name: &str, switch| CreateBranch { path: path.clone(), name: name.to_owned(), switch };
    place.done(Operation::CreateBranch(new("x/y", true)));
    place.fails(Operation::CreateBranch(new("side", false)), Problem::BranchExists);
    place.fails(Operation::CreateBranch(new("a..b", false)), Problem::InvalidName);
    let Answer::Branches(branches) = place.run(Operation::Branches(path.clone())) else {
        panic!("no branches")
    };
    assert_eq!(
        (branches.names, branches.current.as_deref()),
        (vec!["main".into(), "side".into(), "x/y".into()], Some("x/y"))
    );

    let switch =
        |target: &str| Operation::Checkout(Checkout { path: path.clone(), target: target.to_owned() });
    place.done(switch("side"));
    assert_eq!(place.read("src/c"), "three\n");
    place.fails(switch("nope"), Problem::BranchNotFound);
    place.write("src/c", "changed\n");
    place.fails(switch("main"), Problem::DirtyWorktree);
    assert_eq!(
        (place.read("src/c").as_str(), place.git("src", &["branch", "--show-current"]).as_str()),
        ("changed\n", "side")
    );
    place.git("src", &["checkout", "-q", "c"]);
    place.done(switch(&place.git("src", &["rev-parse", "--short", "main~1"])));
    assert!(!place.path("src/b").exists() && status(&place, "src").branch.is_none());

    let delete =
        |name: &str| Operation::DeleteBranch(DeleteBranch { path: path.clone(), name: name.to_owned() });
    place.done(switch("main"));
    place.fails(delete("main"), Problem::BranchInUse);
    place.fails(delete("nope"), Problem::BranchNotFound);
    place.done(delete("x/y"));
    assert_eq!(place.git("src", &["branch", "--list", "x/y"]), "");
}

#[test]
fn files_are_staged_one_by_one_with_their_deletions_and_nothing_outside() {
    let place = Place::new();
    place.repository("src");
    place.write("src/new", "1");
    place.write("src/dir/x", "1");
    std::fs::remove_file(place.path("src/a")).expect("a file to delete");
    place.done(add(&place, "src", &["new", "a", "dir"]));
    assert_eq!(place.git("src", &["diff", "--cached", "--name-status"]), "D\ta\nA\tdir/x\nA\tnew");
    place.done(add(&place, "src", &[&place.at("src/b")]));
    // Characters that would be a pattern are a name.
    place.write("src/[id]/x*", "1");
    place.write("src/i/y", "1");
    place.done(add(&place, "src", &["[id]"]));
    assert_eq!(
        place.git("src", &["diff", "--cached", "--name-only", "--diff-filter=A"]),
        "[id]/x*\ndir/x\nnew"
    );
    std::fs::remove_file(place.path("src/dir/x")).expect("a file to delete");
    place.done(add(&place, "src", &["."]));
    assert_eq!(place.git("src", &["status", "--porcelain"]), "A  [id]/x*\nD  a\nA  i/y\nA  new");
    let unstage = Restore {
        path: place.at("src"),
        files: vec!["[id]/x*".to_owned()],
        staged: true,
        worktree: false,
        source: None,
    };
    place.done(Operation::Restore(unstage));
    assert_eq!(place.git("src", &["status", "--porcelain"]), "D  a\nA  i/y\nA  new\n?? [id]/");
    place.write("outside", "x");
    for file in ["../outside", "/etc/hostname", ".git/../../outside"] {
        place.fails(add(&place, "src", &[file]), Problem::InvalidName);
    }
    place.fails(add(&place, "src", &["nope"]), Problem::PathNotFound);
}

#[test]
fn push_and_pull_move_commits_between_repositories() {
    let place = Place::new();
    place.repository("src");
    place.bare("src", "hub.git");
    let hub = place.at("hub.git");
    for name in ["one", "two"] {
        place.done(Operation::Clone(Box::new(clone(&hub, &place.at(name)))));
    }
    let push = |from: &str| {
        Operation::Push(Push { path: place.at(from), remote: None, branch: None, set_upstream: true })
    };
    let pull = |into: &str| Operation::Pull(Pull { path: place.at(into), remote: None, branch: None });
    let change = |name: &str, file: &str, content: &str| {
        place.write(&format!("{name}/{file}"), content);
        place.done(add(&place, name, &["."]));
        assert!(matches!(place.run(Operation::Commit(commit(&place, name, file))), Answer::Committed(_)));
    };
    change("one", "from-one", "1\n");
    assert_eq!((status(&place, "one").ahead, status(&place, "one").behind), (1, 0));
    place.done(push("one"));
    place.done(push("one"));
    assert_eq!(status(&place, "one").ahead, 0);
    place.done(pull("two"));
    place.done(pull("two"));
    assert_eq!(place.read("two/from-one"), "1\n");

    // Both go on: the second push is refused, and a pull merges first.
    change("one", "more", "1\n");
    place.done(push("one"));
    change("two", "from-two", "2\n");
    place.fails(push("two"), Problem::PushRejected);
    place.fails(pull("two"), Problem::NoIdentity);
    let entries =
        vec![("user.name".to_owned(), "Ada".to_owned()), ("user.email".to_owned(), "a@b".to_owned())];
    place.done(Operation::SetConfig(SetConfig { scope: ConfigScope::Global, path: None, entries }));
    place.done(pull("two"));
    assert_eq!(place.git("two", &["log", "-1", "--format=%an %P"]).split(' ').count(), 3);
    assert_eq!(
        (place.read("two/more"), place.git("two", &["status", "--porcelain"])),
        ("1\n".to_owned(), String::new())
    );
    place.done(push("two"));

    // The same line on both sides: nothing changes here.
    place.done(pull("one"));
    change("one", "a", "ours\n");
    place.done(push("one"));
    change("two", "a", "theirs\n");
    let before = place.git("two", &["rev-parse", "HEAD"]);
    place.fails(pull("two"), Problem::MergeConflict);
    assert_eq!(
        (place.read("two/a"), place.git("two", &["rev-parse", "HEAD"])),
        ("theirs\n".to_owned(), before)
    );

    // What is not committed is in the way of what comes.
    place.write("one/b", "dirty\n");
    place.done(Operation::Reset(Reset {
        path: place.at("two"),
        mode: ResetMode::Hard,
        target: Some("origin/main".to_owned()),
        files: vec![],
    }));
    change("two", "b", "committed\n");
    place.done(push("two"));
    place.fails(pull("one"), Problem::DirtyWorktree);
    assert_eq!(place.read("one/b"), "dirty\n");
    let elsewhere = Pull { path: place.at("one"), remote: Some("nope".to_owned()), branch: None };
    place.fails(Operation::Pull(elsewhere), Problem::RemoteNotFound);
    let no_branch = Pull { path: place.at("one"), remote: None, branch: Some("nope".to_owned()) };
    place.fails(Operation::Pull(no_branch), Problem::BranchNotFound);
}

#[test]
fn history_goes_back_from_the_current_commit_as_far_as_was_asked() {
    let place = Place::new();
    place.repository("src");
    let log = |limit| match place.run(Operation::Log(Log { path: place.at("src"), limit })) {
        Answer::History(history) => history,
        other => panic!("{other:?}"),
    };
    let messages: Vec<_> = log(10).commits.iter().map(|commit| commit.message.clone()).collect();
    assert_eq!((messages, log(10).truncated), (vec!["add b\n".to_owned(), "add a\n".to_owned()], false));
    assert_eq!((log(1).commits.len(), log(1).truncated), (1, true));
    assert_eq!(log(1).commits[0].hash, place.git("src", &["rev-parse", "HEAD"]));
    place.fails(Operation::Log(Log { path: place.at("home"), limit: 1 }), Problem::RepoNotFound);
}

#[test]
fn reset_and_restore_bring_back_what_was() {
    let place = Place::new();
    place.repository("src");
    let restore = |files: &[&str], staged, worktree, source: Option<&str>| {
        Operation::Restore(Restore {
            path: place.at("src"),
            files: files.iter().map(|&file| file.to_owned()).collect(),
            staged,
            worktree,
            source: source.map(str::to_owned),
        })
    };
    place.write("src/a", "x\n");
    place.write("src/b", "y\n");
    place.done(restore(&["a"], false, false, None));
    assert_eq!((place.read("src/a"), place.read("src/b")), ("one\n".to_owned(), "y\n".to_owned()));
    place.done(add(&place, "src", &["b"]));
    place.done(restore(&["b"], true, false, None));
    assert_eq!(place.git("src", &["status", "--porcelain"]), " M b");
    place.done(restore(&["c"], false, true, Some("side")));
    assert_eq!(
        (place.read("src/c"), place.git("src", &["status", "--porcelain"])),
        ("three\n".to_owned(), " M b\n?? c".to_owned())
    );
    place.done(restore(&["."], false, false, None));
    assert_eq!(place.read("src/b"), "two\n");
    place.fails(restore(&["nope"], false, false, None), Problem::PathNotFound);

    let reset = |mode, target: &str, files: &[&str]| {
        let files = files.iter().map(|&file| file.to_owned()).collect();
        Operation::Reset(Reset { path: place.at("src"), mode, target: Some(target.to_owned()), files })
    };
    place.done(reset(ResetMode::Soft, "HEAD~1", &[]));
    assert_eq!(place.git("src", &["status", "--porcelain"]), "A  b\n?? c");
    place.done(reset(ResetMode::Mixed, "HEAD", &["b"]));
    assert_eq!(place.git("src", &["status", "--porcelain"]), "?? b\n?? c");
    place.done(reset(ResetMode::Hard, "side", &[]));
    assert_eq!(place.git("src", &["status", "--porcelain"]), "");
    place.write("src/c", "mine\n");
    place.fails(reset(ResetMode::Keep, "HEAD~1", &[]), Problem::DirtyWorktree);
    assert_eq!(place.read("src/c"), "mine\n");
    place.fails(reset(ResetMode::Hard, "nope", &[]), Problem::RevisionNotFound);
}

#[test]
fn remotes_are_listed_added_and_replaced_without_their_credentials() {
    let place = Place::new();
    place.repository("src");
    let add = |url: &str, overwrite| {
        let name = "up".to_owned();
        Operation::AddRemote(AddRemote {
            path: place.at("src"),
            name,
            url: url.to_owned(),
            overwrite,
            fetch: false,
        })
    };
    place.done(add("https://u:hunter2@example.org/a", false));
    place.fails(add("https://example.org/b", false), Problem::RemoteExists);
    let listed = || place.run(Operation::Remotes(place.at("src")));
    let remote =
        |url: &str| Answer::Remotes(Remotes { remotes: vec![Remote { name: "up".into(), url: url.into() }] });
    assert_eq!(listed(), remote("https://example.org/a"));
    assert!(!place.read("src/.git/config").contains("hunter2"));
    place.done(add("https://example.org/b", true));
    assert_eq!(listed(), remote("https://example.org/b"));
}

#[test]
fn the_configuration_has_a_file_for_the_user_and_one_for_each_repository() {
    let place = Place::new();
    place.repository("src");
    let get = |scope, path: Option<String>, key: &str| {
        place.run(Operation::GetConfig(GetConfig { scope, path, key: key.to_owned() }))
    };
    assert_eq!(get(ConfigScope::Global, None, "user.name"), Answer::Value(None));
    let set = |scope, path, value: &str| {
        let entries = vec![("user.name".to_owned(), value.to_owned())];
        place.done(Operation::SetConfig(SetConfig { scope, path, entries }));
    };
    set(ConfigScope::Global, None, "Ada");
    set(ConfigScope::Local, Some(place.at("src")), "Bea");
    assert_eq!(get(ConfigScope::Global, None, "user.name"), Answer::Value(Some("Ada".to_owned())));
    assert_eq!(
        get(ConfigScope::Local, Some(place.at("src")), "user.name"),
        Answer::Value(Some("Bea".to_owned()))
    );
    assert!(place.read("home/.gitconfig").contains("Ada"));
    let bad = GetConfig { scope: ConfigScope::Global, path: None, key: "no key".to_owned() };
    place.fails(Operation::GetConfig(bad), Problem::InvalidName);
}
