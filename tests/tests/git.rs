//! Git in sandboxes: with and without a git of their own, over HTTP and without, and what happens to passwords.

#![forbid(unsafe_code)]

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use lazaret_tests::{Client, KEY, Native, Server, wait};
use serde_json::{Value, json};

/// Longest until a server that was started in a sandbox listens, or a process there has ended.
const NOTICE_LIMIT: Duration = Duration::from_secs(20);

/// Longest that the client of a clone waits that will not come to an end.
const HANG_UP_AFTER: Duration = Duration::from_secs(4);

/// `git http-backend` behind Python, with one user.
const HTTP_SERVER: &str = include_str!("../git/server.py");

/// An image of a static busybox and the few folders that a start needs.
const BUSYBOX: &str = "git-busybox";

/// The user and the password of the HTTP server.
const PASSWORD: &str = "hunter2-of-the-git-tests";

/// A sandbox and the git routes beneath it.
struct Git<'a> {
    native: &'a Native,
    id: &'a str,
}

impl Git<'_> {
    fn post(&self, route: &str, body: Value) -> Result<lazaret_tests::Answer> {
        self.native.client().post(&format!("/lazaret/v1/sandboxes/{}/git/{route}", self.id), &body)
    }

    #[track_caller]
    fn done(&self, route: &str, body: Value) {
        let answer = self.post(route, body).expect("an answer");
        assert_eq!(answer.status, 204, "{route}: {answer}");
    }

    #[track_caller]
    fn fails(&self, route: &str, body: Value, problem: &str) -> String {
        let answer = self.post(route, body).expect("an answer");
        let error = answer.expect(422)["error"].clone();
        assert_eq!((&error["code"], &error["problem"]), (&json!("git_failed"), &json!(problem)), "{answer}");
        answer.to_string()
    }

    fn get(&self, route: &str) -> Result<Value> {
        let answer = self.native.client().get(&format!("/lazaret/v1/sandboxes/{}/git/{route}", self.id))?;
        ensure!(answer.status == 200, "{route}: {answer}");
        Ok(answer.json())
    }

    #[track_caller]
    fn commit(&self, path: &str, message: &str) -> String {
        self.done("add", json!({"path": path, "files": ["."]}));
        let commit = json!({"path": path, "message": message, "author": "Ada", "email": "ada@example.org"});
        let answer = self.post("commit", commit).expect("an answer");
        answer.expect(201)["hash"].as_str().expect("a hash").to_owned()
    }
}

/// Imports an image that has busybox and nothing else, in particular no git, no library and no certificates.
fn import_busybox(native: &Native) -> Result<()> {
    let folder = tempfile::tempdir()?;
    for name in ["bin", "dev", "etc", "proc", "root", "sys", "tmp"] {
        std::fs::create_dir(folder.path().join(name))?;
    }
    let busybox = Command::new("sh").args(["-c", "command -v busybox"]).output()?;
    let busybox = String::from_utf8(busybox.stdout)?;
    std::fs::copy(busybox.trim(), folder.path().join("bin/busybox")).context("copy busybox")?;
    for applet in ["sh", "cat", "dd", "echo", "httpd", "ls", "mkdir", "printf", "rm", "sleep"] {
        std::os::unix::fs::symlink("busybox", folder.path().join("bin").join(applet))?;
    }
    let archive = Command::new("tar").arg("-C").arg(folder.path()).args(["-c", "."]).output()?;
    ensure!(archive.status.success(), "make an archive");
    native.import_rootfs(BUSYBOX, archive.stdout.as_slice())
}

#[test]
fn git_works_in_an_image_that_has_none() -> Result<()> {
    let server = Server::start();
    let native = server.native();
    import_busybox(&native)?;
    let sandbox = json!({"image": BUSYBOX, "resources": {"disk_bytes": 56 << 20}});
    let id = native.create(&sandbox)?;
    let git = Git { native: &native, id: &id };
    assert_eq!(
        native.try_exec(&id, &json!({"command": ["git"]}))?.expect(422)["error"]["problem"],
        "program_not_found"
    );

    git.done("init", json!({"path": "/root/repo", "initial_branch": "main"}));
    native.write(&id, "/root/repo/a", b"one\n")?;
    native.write(&id, "/root/repo/dir/b", b"two\n")?;
    let status = git.get("status?path=/root/repo")?;
    assert_eq!((&status["branch"], &status["head"]), (&json!("main"), &Value::Null), "{status}");
    assert_eq!(status["files"].as_array().map(Vec::len), Some(2), "{status}");
    let hash = git.commit("/root/repo", "first");
    assert_eq!(git.get("status?path=/root/repo")?["files"], json!([]));
    git.done("branches", json!({"path": "/root/repo", "name": "side", "switch": true}));
    native.write(&id, "/root/repo/a", b"changed\n")?;
    git.commit("/root/repo", "second");
    git.done("checkout", json!({"path": "/root/repo", "target": "main"}));
    assert_eq!(native.read(&id, "/root/repo/a")?, b"one\n");
    let history = git.get("history?path=/root/repo")?;
    assert_eq!(
        (&history["commits"][0]["hash"], &history["commits"][0]["message"]),
        (&json!(hash), &json!("first"))
    );

    for url in ["/root/repo", "file:///root/repo"] {
        git.done("clone", json!({"url": url, "path": "/root/copy", "branch": "side"}));
        assert_eq!(native.read(&id, "/root/copy/a")?, b"changed\n");
        git.fails("clone", json!({"url": url, "path": "/root/copy"}), "target_exists");
        native.shell(&id, "rm -rf /root/copy")?;
    }

    // Over HTTP, from a server that knows nothing of git, in a place without DNS, certificates or an /etc/passwd.
    native.shell(
        &id,
        &format!(
            "mkdir -p /root/repo/.git/info; printf '{hash}\\trefs/heads/main\\n' > /root/repo/.git/info/refs"
        ),
    )?;
    native.background(&id, &["httpd", "-f", "-p", "127.0.0.1:8931", "-h", "/root/repo/.git"])?;
    let clone = json!({"url": "http://127.0.0.1:8931/", "path": "/root/copy"});
    let cloned = wait::within(NOTICE_LIMIT, || {
        let answer = git.post("clone", clone.clone()).ok()?;
        (answer.status == 204).then_some(())
    });
    cloned.context("the clone over HTTP never succeeded")?;
    assert_eq!(native.read(&id, "/root/copy/dir/b")?, b"two\n");

    // A repository that is too large for the disk stops there, and the server and the sandbox go on.
    native
        .shell(&id, "rm -rf /root/copy; dd if=/dev/urandom of=/root/repo/big bs=1M count=16 2>/dev/null")?;
    git.commit("/root/repo", "big");
    git.fails("clone", json!({"url": "/root/repo", "path": "/root/copy"}), "no_space");
    assert_eq!(native.shell(&id, "echo fine")?, "fine\n");
    Ok(())
}

#[test]
fn a_private_repository_is_cloned_pushed_and_pulled_and_its_password_stays_nowhere() -> Result<()> {
    let server = Server::start();
    let native = server.native();
    let id = native.create(&json!({}))?;
    let git = Git { native: &native, id: &id };
    native.write(&id, "/root/server.py", HTTP_SERVER.as_bytes())?;
    let seed = "git init -q -b main /root/seed && cd /root/seed && \
        git -c user.name=t -c user.email=t@t commit -q --allow-empty -m zero && \
        mkdir /root/hub && git clone -q --bare /root/seed /root/hub/hub.git";
    native.shell(&id, seed)?;
    native.background(&id, &["python3", "/root/server.py", "/root/hub", "8931", "ada", PASSWORD])?;
    let url = "http://127.0.0.1:8931/hub.git";
    let clone = |into: &str| json!({"url": url, "path": into, "username": "ada", "password": PASSWORD});
    let cloned = wait::within(NOTICE_LIMIT, || {
        let answer = git.post("clone", clone("/root/one")).ok()?;
        (answer.status == 204).then_some(())
    });
    cloned.context("the first clone never succeeded")?;

    git.fails("clone", json!({"url": url, "path": "/root/no"}), "auth_failed");
    let wrong = json!({"url": url, "path": "/root/no", "username": "ada", "password": "a-wrong-password"});
    let answer = git.fails("clone", wrong, "auth_failed");
    ensure!(!answer.contains("a-wrong-password"), "{answer}");

    native.write(&id, "/root/one/a", b"1\n")?;
    let hash = git.commit("/root/one", "first");
    let with_password = |path: &str| json!({"path": path, "username": "ada", "password": PASSWORD});
    git.fails("push", json!({"path": "/root/one"}), "auth_failed");
    git.done("push", with_password("/root/one"));
    assert_eq!(native.shell(&id, "git -C /root/hub/hub.git rev-parse main")?.trim(), hash);
    let by_commit = json!({
        "url": url.replace("http://", &format!("http://ada:{PASSWORD}@")), "path": "/root/two", "commit": hash
    });
    git.done("clone", by_commit);
    assert_eq!(git.get("status?path=/root/two")?["branch"], Value::Null);
    git.done("checkout", json!({"path": "/root/two", "target": "main"}));
    native.write(&id, "/root/one/a", b"2\n")?;
    git.commit("/root/one", "second");
    git.done("push", with_password("/root/one"));
    git.done("pull", with_password("/root/two"));
    assert_eq!(native.read(&id, "/root/two/a")?, b"2\n");

    let found = native
        .shell(&id, &format!("grep -rl {PASSWORD} /root/one /root/two /tmp /var /etc 2>/dev/null; true"))?;
    assert_eq!(found, "", "the password is in a file");
    ensure!(!server.log().contains(PASSWORD), "the password is in the server's log");
    Ok(())
}

#[test]
fn a_client_that_hangs_up_ends_its_clone_whose_process_nobody_inside_can_look_into() -> Result<()> {
    let server = Server::start();
    let native = server.native();
    let id = native.create(&json!({}))?;
    // A server that takes connections and never answers.
    let silent = "import socket,time\ns=socket.create_server(('127.0.0.1',8931))\nopen('/tmp/up','w')\ntime.sleep(600)";
    native.background(&id, &["python3", "-c", silent])?;
    wait::until("the silent server", NOTICE_LIMIT, || native.shell(&id, "test -e /tmp/up").ok());

    let impatient = Client::with_timeout(&server.url(), Some(KEY), HANG_UP_AFTER);
    let clone =
        json!({"url": "http://127.0.0.1:8931/x", "path": "/root/x", "username": "ada", "password": PASSWORD});
    let path = format!("/lazaret/v1/sandboxes/{id}/git/clone");
    let asking = std::thread::spawn(move || impatient.post(&path, &clone).map(|answer| answer.status));
    let find =
        "for p in /proc/[0-9]*; do grep -aq '^lazaret-git' $p/cmdline 2>/dev/null && echo $p; done; true";
    let process = wait::until("the clone's process", NOTICE_LIMIT, || {
        let found = native.shell(&id, find).ok()?;
        found.lines().next().map(str::to_owned)
    });
    assert_eq!(native.shell(&id, &format!("tr '\\0' ' ' < {process}/cmdline"))?.trim(), "lazaret-git");
    for file in ["environ", "mem", "maps", "fd/0", "exe"] {
        let looked =
            native.exec_with(&id, &json!({"command": ["head", "-c", "1", format!("{process}/{file}")]}))?;
        assert_ne!(looked["exit_code"], 0, "{file}: {looked}");
    }
    ensure!(asking.join().expect("a thread").is_err(), "the clone was answered");
    wait::until("the end of the clone and of what it had made", NOTICE_LIMIT, || {
        let left = native.shell(&id, &format!("{find}; ls -d /root/x 2>/dev/null; true")).ok()?;
        left.is_empty().then_some(())
    });
    Ok(())
}
