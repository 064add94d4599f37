//! Git of the toolbox: the shapes of the contract, over a git that remembers what it was asked.

use axum::http::Method;
use lazaret_core::{
    GitBranches, GitChange, GitCommand, GitCommitEntry, GitConfigFile, GitFile, GitHistory, GitOutcome,
    GitProblem, GitRemote, GitResetMode, GitStatus, Timestamp,
};
use serde_json::{Value, json};

use crate::support::Server;
use crate::{failure, sandbox, toolbox};

async fn ready() -> (Server, String) {
    let server = Server::start().await;
    let id = sandbox(&server).await;
    (server, id)
}

#[tokio::test]
async fn a_clone_takes_credentials_as_a_pair_and_a_path_from_the_working_directory() {
    let (server, id) = ready().await;
    let clone = async |body: Value| {
        let answer = server.post(&toolbox(&id, "/git/clone")).json(&body).send().await;
        assert_eq!((answer.status.as_u16(), answer.body.len()), (200, 0), "{:?}", answer.body);
        match server.git.last().1 {
            GitCommand::Clone(clone) => clone,
            other => panic!("{other:?}"),
        }
    };
    let asked = clone(json!({
        "url": "https://example.org/a.git", "path": "repo", "branch": "dev", "commit_id": "abc", "depth": 1,
        "username": "u", "password": "hunter2", "insecure_skip_tls": true, "later": 1,
    }))
    .await;
    assert_eq!((asked.path.as_str(), asked.branch.as_deref()), ("/repo", Some("dev")));
    assert_eq!((asked.commit.as_deref(), asked.depth), (Some("abc"), Some(1)));
    assert!(asked.access.insecure_skip_tls);
    let credentials = asked.access.credentials.expect("a pair");
    assert_eq!((credentials.username.as_str(), credentials.password.expose()), ("u", "hunter2"));
    let half = json!({"url": "x", "path": "/r", "branch": null, "username": "u", "password": ""});
    let asked = clone(half).await;
    assert_eq!((asked.access.credentials, asked.branch, asked.path.as_str()), (None, None, "/r"));
}

#[tokio::test]
async fn state_comes_in_the_words_of_the_contract() {
    let (server, id) = ready().await;
    let get = async |path: &str| server.get(&toolbox(&id, path)).send().await.expect(200);
    let file = |path: &str, old: Option<&str>, staged, worktree| GitFile {
        path: path.to_owned(),
        old_path: old.map(str::to_owned),
        staged,
        worktree,
    };
    server.git.answer(GitOutcome::Status(GitStatus {
        branch: Some("main".to_owned()),
        upstream: Some("origin/main".to_owned()),
        published: true,
        ahead: 1,
        behind: 2,
        files: vec![
            file("new", Some("old"), GitChange::Renamed, GitChange::Modified),
            file("odd", None, GitChange::Untracked, GitChange::Untracked),
            file("both", None, GitChange::Unmerged, GitChange::Unmerged),
        ],
        ..GitStatus::default()
    }));
    insta::assert_json_snapshot!("status", get("/git/status?path=repo").await);
    assert_eq!(server.git.last().1, GitCommand::Status("/repo".to_owned()));
    server.git.answer(GitOutcome::Status(GitStatus::default()));
    let detached = get("/git/status?path=/r").await;
    assert_eq!((&detached["currentBranch"], &detached["detached"]), (&json!("HEAD"), &json!(true)));

    let names = vec!["dev".to_owned(), "main".to_owned()];
    server.git.answer(GitOutcome::Branches(GitBranches { names, current: Some("main".to_owned()) }));
    assert_eq!(get("/git/branches?path=/r").await, json!({"branches": ["dev", "main"], "current": "main"}));

    server.git.answer(GitOutcome::History(GitHistory {
        commits: vec![GitCommitEntry {
            hash: "abc".to_owned(),
            author: "Ada".to_owned(),
            email: "ada@example.org".to_owned(),
            message: "one".to_owned(),
            at: Timestamp::from_unix_micros(0),
        }],
        truncated: false,
    }));
    let want = json!([{
        "hash": "abc", "author": "Ada", "email": "ada@example.org", "message": "one",
        "timestamp": "1970-01-01T00:00:00.000Z",
    }]);
    assert_eq!(get("/git/history?path=/r").await, want);

    let remote = GitRemote { name: "origin".to_owned(), url: "https://example.org".to_owned() };
    server.git.answer(GitOutcome::Remotes(vec![remote]));
    let want = json!({"remotes": [{"name": "origin", "url": "https://example.org"}]});
    assert_eq!(get("/git/remotes?path=/r").await, want);
    server.git.answer(GitOutcome::Value(Some("Ada".to_owned())));
    assert_eq!(get("/git/config?key=user.name").await, json!({"value": "Ada"}));
    assert_eq!(get("/git/config?key=none").await, json!({"value": null}));
}

#[tokio::test]
async fn changes_answer_with_the_codes_of_the_contract() {
    let (server, id) = ready().await;
    for (method, path, body, status) in [
        (Method::POST, "/git/init", json!({"path": "r", "bare": true, "initial_branch": "x"}), 201),
        (Method::POST, "/git/branches", json!({"path": "r", "name": "dev"}), 201),
        (Method::DELETE, "/git/branches", json!({"path": "r", "name": "dev"}), 204),
        (Method::POST, "/git/checkout", json!({"path": "r", "branch": "dev"}), 200),
        (Method::POST, "/git/add", json!({"path": "r", "files": ["."]}), 200),
        (Method::POST, "/git/push", json!({"path": "r", "set_upstream": true}), 200),
        (Method::POST, "/git/pull", json!({"path": "r", "remote": "o", "branch": "b"}), 200),
        (Method::POST, "/git/remotes", json!({"path": "r", "name": "o", "url": "https://x"}), 201),
        (Method::POST, "/git/reset", json!({"path": "r", "mode": "hard", "target": "HEAD~1"}), 200),
        (Method::POST, "/git/restore", json!({"path": "r", "files": ["a"], "staged": true}), 200),
        (Method::POST, "/git/config", json!({"key": "a.b", "value": "c"}), 200),
        (Method::POST, "/git/config/user", json!({"name": "Ada", "email": "a@b"}), 200),
    ] {
        let answer = server.call(method, &toolbox(&id, path)).json(&body).send().await;
        assert_eq!((answer.status.as_u16(), answer.body.len()), (status, 0), "{path}: {:?}", answer.body);
    }
    let last = server.git.last().1;
    let GitCommand::SetConfig { file, entries } = last else { panic!("{last:?}") };
    assert_eq!(file, GitConfigFile::Global);
    assert_eq!(entries.len(), 2);
    let body = json!({"path": "r", "message": "m", "author": "Ada", "email": "a@b"});
    let commit = server.post(&toolbox(&id, "/git/commit")).json(&body).send().await.expect(200);
    assert_eq!(commit["hash"].as_str().map(str::len), Some(40));
    let local = json!({"key": "a.b", "value": "c", "scope": "local", "path": "r"});
    server.post(&toolbox(&id, "/git/config")).json(&local).send().await.expect(200);
    let last = server.git.last().1;
    assert!(matches!(&last, GitCommand::SetConfig { file: GitConfigFile::Local(path), .. } if path == "/r"));
    server.post(&toolbox(&id, "/git/reset")).json(&json!({"path": "r"})).send().await.expect(200);
    let last = server.git.last().1;
    assert!(matches!(&last, GitCommand::Reset(reset) if reset.mode == GitResetMode::Mixed), "{last:?}");
}

#[tokio::test]
async fn failures_carry_the_codes_that_clients_make_their_exceptions_of() {
    let (server, id) = ready().await;
    for (problem, want) in [
        (GitProblem::AuthFailed, "401 GIT_AUTH_FAILED"),
        (GitProblem::AccessDenied, "403 FORBIDDEN"),
        (GitProblem::RepoNotFound, "404 GIT_REPO_NOT_FOUND"),
        (GitProblem::BranchNotFound, "404 GIT_BRANCH_NOT_FOUND"),
        (GitProblem::BranchExists, "409 GIT_BRANCH_EXISTS"),
        (GitProblem::PushRejected, "409 GIT_PUSH_REJECTED"),
        (GitProblem::DirtyWorktree, "409 GIT_DIRTY_WORKTREE"),
        (GitProblem::MergeConflict, "409 GIT_MERGE_CONFLICT"),
        (GitProblem::TransportFailed, "502 GIT_TRANSPORT_FAILED"),
        (GitProblem::RemoteRejected, "422 GIT_REMOTE_REJECTED"),
        (GitProblem::TargetExists, "409 CONFLICT"),
    ] {
        server.git.fail(problem, "it did not");
        let answer = server.post(&toolbox(&id, "/git/pull")).json(&json!({"path": "/r"})).send().await;
        let line = failure(&answer);
        assert!(line.starts_with(&format!("{want} POST /git/pull: git: ")), "{line}");
    }
}

#[tokio::test]
async fn what_is_not_done_is_refused_by_its_name_and_no_secret_comes_back() {
    let (server, id) = ready().await;
    let send = async |path: &str, body: Value| {
        let line = failure(&server.post(&toolbox(&id, path)).json(&body).send().await);
        assert!(!line.contains("hunter2"), "{line}");
        line
    };
    let lines = [
        send("/git/credentials", json!({"username": "u", "password": "hunter2"})).await,
        send("/git/reset", json!({"path": "/r", "mode": "merge"})).await,
        send("/git/reset", json!({"path": "/r", "mode": "odd"})).await,
        send("/git/config", json!({"key": "a.b", "value": "c", "scope": "local"})).await,
        send("/git/config", json!({"key": "a.b", "value": "c", "scope": "odd"})).await,
        send("/git/clone", json!({"path": "/r", "password": "hunter2"})).await,
        send("/git/clone", json!({"url": "", "path": "/r"})).await,
        send("/git/add", json!({"path": "/r", "files": []})).await,
    ];
    insta::assert_snapshot!(lines.join("\n"));
    assert_eq!(server.git.count(), 0);
}
