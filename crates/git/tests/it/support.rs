//! One directory with repositories, git to make and check them, and servers that give them away.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use lazaret_protocol::git::{
    ANSWER_MAX, Answer, Clone, Credentials, Failed, Operation, Problem, Request, decode, encode,
};
use tempfile::TempDir;

/// A place of its own for a test: `home` is the user's, everything else is the test's.
pub(crate) struct Place {
    directory: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        let directory = TempDir::new().expect("a temporary directory");
        fs::create_dir(directory.path().join("home")).expect("a home");
        Self { directory }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The same as text, as a request has it.
    pub(crate) fn at(&self, name: &str) -> String {
        self.path(name).to_str().expect("a temporary path in UTF-8").to_owned()
    }

    pub(crate) fn write(&self, name: &str, content: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a file is in a directory")).expect("directories");
        fs::write(path, content).expect("a file");
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// Runs the machine's git in `repository` and gives what it prints.
    pub(crate) fn git(&self, repository: &str, arguments: &[&str]) -> String {
        let output = Command::new("git")
            .args([
                "-c",
                "user.name=Test",
                "-c",
                "user.email=test@example.org",
                "-c",
                "protocol.file.allow=always",
            ])
            .args(arguments)
            .current_dir(self.path(repository))
            .env("HOME", self.path("home"))
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .output()
            .expect("git is installed");
        assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    /// A repository with a working tree, two commits on `main` and one more on `side`.
    pub(crate) fn repository(&self, name: &str) {
        fs::create_dir_all(self.path(name)).expect("a directory");
        self.git(name, &["init", "-q", "-b", "main"]);
        for (file, content) in [("a", "one\n"), ("b", "two\n")] {
            self.write(&format!("{name}/{file}"), content);
            self.git(name, &["add", "."]);
            self.git(name, &["commit", "-q", "-m", &format!("add {file}")]);
        }
        self.git(name, &["checkout", "-q", "-b", "side"]);
        self.write(&format!("{name}/c"), "three\n");
        self.git(name, &["add", "."]);
        self.git(name, &["commit", "-q", "-m", "add c"]);
        self.git(name, &["checkout", "-q", "main"]);
    }

    /// A copy of it that can be pushed to.
    pub(crate) fn bare(&self, from: &str, name: &str) {
        self.git(".", &["clone", "-q", "--bare", from, name]);
    }

    /// The answer to a request, and everything that the program has printed besides.
    pub(crate) fn ask(&self, request: &Request) -> Answer {
        let mut program = Command::new(env!("CARGO_BIN_EXE_lazaret-git"))
            .current_dir(self.path("."))
            .env_clear()
            .env("HOME", self.path("home"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program");
        let bytes = encode(request, usize::MAX).expect("a request");
        program.stdin.take().expect("a pipe").write_all(&bytes).expect("the program reads");
        let output = program.wait_with_output().expect("the program ends");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && errors.is_empty(), "{:?}: {errors}", output.status);
        assert!(output.stdout.len() <= ANSWER_MAX);
        decode(&output.stdout).expect("an answer")
    }

    pub(crate) fn run(&self, operation: Operation) -> Answer {
        self.ask(&Request::new(operation))
    }

    #[track_caller]
    pub(crate) fn done(&self, operation: Operation) {
        assert_eq!(self.run(operation), Answer::Done);
    }

    #[track_caller]
    pub(crate) fn fails(&self, operation: Operation, problem: Problem) -> String {
        refused(self.run(operation), problem)
    }
}

/// The sentence of a failure that must be this one.
#[track_caller]
pub(crate) fn refused(answer: Answer, problem: Problem) -> String {
    match answer {
        Answer::Failed(Failed { problem: got, detail }) if got == problem => detail,
        other => panic!("{other:?} instead of {problem:?}"),
    }
}

pub(crate) fn clone(url: &str, path: &str) -> Clone {
    Clone { url: url.to_owned(), path: path.to_owned(), branch: None, commit: None, depth: None }
}

/// A request with a user and a password.
pub(crate) fn with_password(operation: Operation, username: &str, password: &str) -> Request {
    let credentials = Credentials { username: username.to_owned(), password: password.to_owned() };
    Request { credentials: Some(credentials), ..Request::new(operation) }
}

/// A server that ends with the test.
pub(crate) struct HttpServer {
    process: Child,
    pub(crate) url: String,
}

impl HttpServer {
    /// `git http-backend` for everything beneath `root`, with `credentials` for one user alone.
    pub(crate) fn git(root: &Path, credentials: &[&str]) -> Self {
        let program = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/git/server.py");
        Self::start(Command::new("python3").arg(program).arg(root).arg("0").args(credentials))
    }

    /// A server that knows nothing of git.
    pub(crate) fn files(root: &Path) -> Self {
        const PROGRAM: &str = "\
import http.server, sys
class Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_): pass
server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
";
        Self::start(Command::new("python3").args(["-c", PROGRAM]).current_dir(root))
    }

    fn start(command: &mut Command) -> Self {
        let mut process = command.stdout(Stdio::piped()).spawn().expect("python3 is installed");
        let mut line = String::new();
        let mut lines = BufReader::new(process.stdout.take().expect("a pipe"));
        lines.read_line(&mut line).expect("a line when it listens");
        let port: u16 = line.trim().parse().expect("a port");
        Self { process, url: format!("http://127.0.0.1:{port}") }
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
