//! `…/git/…`: what reaches the core, what comes back, and what is refused before either.

use std::time::Duration;

use lazaret_core::{
    GitChange, GitCommand, GitConfigFile, GitFile, GitOutcome, GitProblem, GitRemote, GitResetMode,
    GitStatus, Scope, limits,
};
use serde_json::{Value, json};

use crate::support::Server;
use crate::{at, sandbox, sandbox_with};

#[tokio::test]
async fn a_clone_runs_as_the_sandboxs_user_with_its_environment_and_a_time_limit() {
    let server = Server::start().await;
    let id = sandbox_with(&server, json!({"env": {"HTTPS_PROXY": "http://p:1"}, "user": "1000"})).await;
    let body = json!({
        "url": "https://example.org/a.git", "path": "a", "branch": "main", "commit": "abc", "depth": 1,
        "username": "u", "password": "hunter2", "insecure_skip_tls": true
    });
    server.post(&at(&id, "/git/clone")).json(&body).send().await.expect(204);
    let (place, command) = server.git.last();
    assert_eq!(place.user.as_deref(), Some("1000"));
    assert_eq!(place.env.get("HTTPS_PROXY").map(String::as_str), Some("http://p:1"));
    assert_eq!(place.timeout, Some(limits::GIT_REMOTE_TIMEOUT));
    let GitCommand::Clone(clone) = command else { panic!("{command:?}") };
    assert_eq!((clone.path.as_str(), clone.branch.as_deref(), clone.depth), ("a", Some("main"), Some(1)));
    assert!(clone.access.insecure_skip_tls);
    let credentials = clone.access.credentials.expect("credentials");
    assert_eq!((credentials.username.as_str(), credentials.password.expose()), ("u", "hunter2"));
}

#[tokio::test]
async fn half_of_the_credentials_is_refused_and_nothing_runs() {
    let server = Server::start().await;
    let id = sandbox(&server).await;
    for (route, given, missing) in [
        ("/git/clone", "username", "password"),
        ("/git/clone", "password", "username"),
        ("/git/push", "username", "password"),
        ("/git/pull", "username", "password"),
        ("/git/remotes", "password", "username"),
    ] {
        let mut body = json!({"path": "/r", given: "hunter2"});
        if route == "/git/clone" || route == "/git/remotes" {
            body["url"] = json!("https://example.org");
        }
        if route == "/git/remotes" {
            body["name"] = json!("origin");
        }
        let answer = server.post(&at(&id, route)).json(&body).send().await.expect(400);
        assert_eq!(answer["error"]["field"], missing, "{route}: {answer}");
        assert!(!answer.to_string().contains("hunter2"));
    }
    assert_eq!(server.git.count(), 0);
}

#[tokio::test]
async fn fields_that_no_repository_could_take_are_refused_by_name() {
    let server = Server::start().await;
    let id = sandbox(&server).await;
    let long = "x".repeat(limits::GIT_NAME_MAX_BYTES + 1);
    for (route, body, field) in [
        ("/git/clone", json!({"url": "", "path": "/r"}), "url"),
        ("/git/clone", json!({"url": "x", "path": ""}), "path"),
        ("/git/clone", json!({"url": "x", "path": "/a\u{0}"}), "path"),
        ("/git/clone", json!({"url": "x", "path": "/a", "depth": 0}), "depth"),
        ("/git/clone", json!({"url": "x", "path": "/a", "branch": long}), "branch"),
        ("/git/add", json!({"path": "/r", "files": []}), "files"),
        ("/git/add", json!({"path": "/r", "files": [""]}), "files"),
        ("/git/commit", json!({"path": "/r", "message": "", "author": "a", "email": "b"}), "message"),
        ("/git/checkout", json!({"path": "/r", "target": ""}), "target"),
        ("/git/restore", json!({"path": "/r", "files": []}), "files"),
        ("/git/push", json!({"path": "/r", "username": "a\nb", "password": "c"}), "username"),
        ("/git/init", json!({"path": "/r", "barely": true}), "barely"),
    ] {
        let answer = server.post(&at(&id, route)).json(&body).send().await.expect(400);
        assert_eq!(answer["error"]["field"], field, "{route} {body}: {answer}");
    }
    assert_eq!(server.git.count(), 0);
}

#[tokio::test]
async fn every_problem_of_git_has_its_word_and_a_sentence() {
    let server = Server::start().await;
    let id = sandbox(&server).await;
    server.git.fail(GitProblem::BranchNotFound, "the remote has no branch 'x'");
    let body = json!({"path": "/r"});
    let answer = server.post(&at(&id, "/git/push")).json(&body).send().await.expect(422);
    assert_eq!(answer["error"]["code"], "git_failed");
    assert_eq!(answer["error"]["problem"], "branch_not_found");
    assert_eq!(answer["error"]["message"], "git: branch not found: the remote has no branch 'x'");
}

#[tokio::test]
async fn a_status_tells_branch_upstream_and_files() {
    let server = Server::start().await;
    let id = sandbox(&server).await;
    let file = GitFile {
        path: "b".to_owned(),
        old_path: Some("a".to_owned()),
        staged: GitChange::Renamed,
        worktree: GitChange::Unmodified,
    };
    server.git.answer(GitOutcome::Status(GitStatus {
        branch: Some("main".to_owned()),
        upstream: Some("origin/main".to_owned()),
        published: true,
        ahead: 2,
        files: vec![file],
        ..GitStatus::default()
    }));
    let answer = server.get(&at(&id, "/git/status?path=/r")).send().await.expect(200);
    assert_eq!(
        answer,
        json!({
            "branch": "main", "head": null, "upstream": "origin/main", "published": true, "ahead": 2, "behind": 0,
            "files": [{"path": "b", "old_path": "a", "staged": "renamed", "worktree": "unmodified"}],
            "truncated": false
        })
    );
    assert_eq!(server.git.last().0.timeout, Some(limits::GIT_LOCAL_TIMEOUT));
}

#[tokio::test]
async fn an_answer_to_another_question_is_not_passed_on() {
    let server = Server::start().await;
    let id = sandbox(&server).await;
    server.git.answer(GitOutcome::Done);
    let answer = server.get(&at(&id, "/git/status?path=/r")).send().await.expect(503);
    assert_eq!(answer["error"]["code"], "unavailable");
}

#[tokio::test]
async fn the_other_commands_reach_the_core_as_they_were_asked() {
    let server = Server::start().await;
    let id = sandbox(&server).await;
    let post = async |route: &str, body: Value| {
        server.post(&at(&id, route)).json(&body).send().await.expect(204);
        server.git.last().1
    };
    let reset = post("/git/reset", json!({"path": "/r", "mode": "hard", "target": "HEAD~1"})).await;
    let GitCommand::Reset(reset) = reset else { panic!("{reset:?}") };
    assert_eq!((reset.mode, reset.target.as_deref()), (GitResetMode::Hard, Some("HEAD~1")));
    let branch = post("/git/branches", json!({"path": "/r", "name": "x", "switch": true})).await;
    let GitCommand::CreateBranch(branch) = branch else { panic!("{branch:?}") };
    assert!(branch.switch);
    let add = post("/git/add", json!({"path": "/r", "files": ["."]})).await;
    assert_eq!(add, GitCommand::Add { path: "/r".to_owned(), files: vec![".".to_owned()] });

    let committed = server
        .post(&at(&id, "/git/commit"))
        .json(&json!({"path": "/r", "message": "m", "author": "a", "email": "a@b"}))
        .send()
        .await
        .expect(201);
    assert_eq!(committed["hash"].as_str().map(str::len), Some(40));
    server.delete(&at(&id, "/git/branches?path=/r&name=x")).send().await.expect(204);
    server.git.answer(GitOutcome::Remotes(vec![GitRemote { name: "o".to_owned(), url: "u".to_owned() }]));
    let remotes = server.get(&at(&id, "/git/remotes?path=/r")).send().await.expect(200);
    assert_eq!(remotes, json!({"remotes": [{"name": "o", "url": "u"}]}));
    let history = server.get(&at(&id, "/git/history?path=/r&limit=5")).send().await.expect(200);
    assert_eq!(history, json!({"commits": [], "truncated": false}));
    let answer = server.get(&at(&id, "/git/history?path=/r&limit=0")).send().await.expect(400);
    assert_eq!(answer["error"]["field"], "limit");
}

#[tokio::test]
async fn a_configuration_belongs_to_the_user_a_repository_or_the_system() {
    let server = Server::start().await;
    let id = sandbox(&server).await;
    let put = |body: Value| server.put(&at(&id, "/git/config")).json(&body).send();
    put(json!({"values": {"user.name": "Ada", "user.email": "a@b"}})).await.expect(204);
    let GitCommand::SetConfig { file, entries } = server.git.last().1 else { panic!("another command") };
    assert_eq!((file, entries.len()), (GitConfigFile::Global, 2));
    put(json!({"values": {"a.b": "c"}, "scope": "local", "path": "/r"})).await.expect(204);
    put(json!({"values": {"a.b": "c"}, "scope": "local"})).await.expect(400);
    put(json!({"values": {"a.b": "c"}, "path": "/r"})).await.expect(400);
    let value = server.get(&at(&id, "/git/config?key=user.name&scope=system")).send().await.expect(200);
    assert_eq!(value, json!({"value": null}));
}

#[tokio::test]
async fn looking_needs_the_scope_to_read_and_changing_the_one_to_write() {
    let server = Server::start().await;
    let id = sandbox(&server).await;
    let reader = server.key_with(&[Scope::SandboxesRead]).await;
    server.get(&at(&id, "/git/status?path=/r")).key(&reader).send().await.expect(200);
    let body = json!({"path": "/r", "files": ["."]});
    let refused = server.post(&at(&id, "/git/add")).key(&reader).json(&body).send().await;
    refused.expect(403);
    assert_eq!(server.git.count(), 1);
}

#[tokio::test]
async fn git_is_a_use_of_the_sandbox() {
    let server = Server::start().await;
    let id = sandbox_with(&server, json!({"lease": {"idle_timeout_s": 60, "idle_action": "stop"}})).await;
    for _ in 0..3 {
        server.clock.advance(Duration::from_secs(40));
        server.get(&at(&id, "/git/status?path=/r")).send().await.expect(200);
    }
    server.services.reconcile().await;
    let shown = server.get(&at(&id, "")).send().await.expect(200);
    assert_eq!(shown["state"], "running");
}
