//! Warm Python in a real sandbox: a run must not be told from a cold one, and a context keeps what it knows.

#![forbid(unsafe_code)]

use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use lazaret_tests::{Native, Server, wait};
use serde_json::{Value, json};

/// Programs that a warm interpreter could get wrong, each a way in which it differs from a fresh one inside.
const PROGRAMS: &[(&str, &str)] = &[
    ("last line without newline", "print(1, end='')"),
    ("exit code", "import sys; print('out'); sys.exit(7)"),
    ("exit with a message", "raise SystemExit('bye')"),
    ("abrupt exit", "import os; print('lost'); os._exit(3)"),
    ("uncaught error", "def f():\n    return 1/0\n\nf()"),
    ("chained errors", "try:\n    1/0\nexcept ZeroDivisionError as e:\n    raise ValueError('x') from e"),
    ("syntax error", "x = 1\ndef f(:\n    pass"),
    ("indentation error", "if 1:\nprint(1)"),
    ("interrupt", "raise KeyboardInterrupt"),
    ("own signal", "import os, signal; os.kill(os.getpid(), signal.SIGUSR1)"),
    ("crash", "import ctypes; ctypes.string_at(0)"),
    ("main", "print(__name__, __spec__, __package__, __doc__, __cached__, sorted(globals()))"),
    (
        "file",
        "import os; print(os.path.dirname(__file__), os.path.exists(__file__), open(__file__).read() != '')",
    ),
    (
        "path",
        "import sys; print(sys.path, sys.flags, sys.warnoptions, sys.executable, len(sys.argv), len(sys.orig_argv))",
    ),
    ("modules", "import sys; print(sorted(sys.modules))"),
    (
        "streams",
        "import sys\nfor s in (sys.stdin, sys.stdout, sys.stderr):\n    print(s.name, s.mode, s.encoding, s.errors, s.line_buffering, s.seekable(), s.isatty())",
    ),
    ("standard input", "import sys; print(repr(sys.stdin.read()))"),
    ("descriptors", "import os; print(sorted(os.listdir('/proc/self/fd')), os.readlink('/proc/self/fd/0'))"),
    (
        "signals",
        "import signal; print([(s, signal.getsignal(s)) for s in (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE, signal.SIGCHLD)])",
    ),
    (
        "mask",
        "import os, signal; print(signal.pthread_sigmask(signal.SIG_BLOCK, []), os.umask(0), os.getpgid(0) == os.getpid())",
    ),
    ("environment", "import os; print(sorted(os.environ.items()))"),
    ("user", "import os; print(os.getuid(), os.getgid(), os.getgroups(), os.getcwd())"),
    ("limits", "import resource; print([resource.getrlimit(n) for n in range(16)])"),
    ("finaliser", "class A:\n    def __del__(self): print('gone')\na = A()\nb = [a]; b.append(b)"),
    ("finaliser in a module", "import os\nclass A:\n    def __del__(self): print('gone')\nos.kept = A()"),
    (
        "unflushed file",
        "f = open('/tmp/unflushed', 'w'); f.write('kept')\nimport atexit\natexit.register(print, 'at exit')",
    ),
    ("read it", "print(open('/tmp/unflushed').read())"),
    (
        "suspended generator",
        "def g():\n    try:\n        yield\n    finally:\n        print('closed')\nx = g(); next(x)",
    ),
    (
        "weak callback",
        "import weakref\nclass A: pass\na = A()\nr = weakref.ref(a, lambda _: print('called'))",
    ),
    (
        "thread",
        "import threading, time\nthreading.Thread(target=lambda: (time.sleep(.05), print('late'))).start()",
    ),
    (
        "daemon thread",
        "import threading, time\nthreading.Thread(target=time.sleep, args=(60,), daemon=True).start(); print(1)",
    ),
    (
        "pool by fork",
        "import multiprocessing as m\ndef f(x): return x * x\nif __name__ == '__main__':\n    with m.get_context('fork').Pool(2) as p: print(p.map(f, range(4)))",
    ),
    (
        "pool by spawn",
        "import multiprocessing as m\ndef f(x): return x * x\nif __name__ == '__main__':\n    with m.get_context('spawn').Pool(1) as p: print(p.map(f, range(4)))",
    ),
    (
        "subprocess",
        "import subprocess, sys; print(subprocess.run([sys.executable, '-c', 'print(2)'], capture_output=True).stdout)",
    ),
    (
        "fork",
        "import os\npid = os.fork()\nprint('child' if pid == 0 else 'parent', flush=True) if pid == 0 else print(os.waitpid(pid, 0)[1])",
    ),
    ("binary output", "import sys; sys.stdout.buffer.write(bytes(range(256)))"),
    ("closed output", "import os; os.close(1); print('x')"),
    (
        "hook",
        "import sys\nsys.excepthook = lambda t, v, tb: print('hook', t, v, tb.tb_lineno, tb.tb_next)\n1/0",
    ),
    ("source of a function", "import inspect\ndef f(): return 1\nprint(inspect.getsource(f))"),
    ("pickle", "import pickle\nclass A: x = 1\nprint(pickle.loads(pickle.dumps(A)).x)"),
    (
        "future",
        "from __future__ import annotations\ndef f(x: nothing): pass\nprint(f.__annotations__, __annotations__)",
    ),
    ("coding", "# -*- coding: latin-1 -*-\nprint('\u{e9}')"),
    ("asyncio", "import asyncio\nasync def f(): return 3\nprint(asyncio.run(f()))"),
    ("random", "import random, uuid; print(len({random.random(), uuid.uuid4().int}))"),
    ("large output", "print('x' * 3_000_000)"),
    ("collector", "import gc; print(gc.isenabled(), gc.get_threshold(), gc.callbacks, gc.garbage)"),
];

struct Sandbox {
    server: Server,
    native: Native,
    id: String,
}

impl Sandbox {
    fn new() -> Result<Self> {
        let server = Server::start();
        let native = server.native();
        let id = native.create(&json!({"env": {"KEPT": "é"}, "resources": {"cpu_millis": 2000}}))?;
        Ok(Self { server, native, id })
    }

    fn post(&self, path: &str, body: &Value, status: u16) -> Result<Value> {
        let path = format!("/lazaret/v1/sandboxes/{}{path}", self.id);
        let answer = self.native.client().post(&path, body)?;
        ensure!(answer.status == status, "{path}: {answer}");
        Ok(if answer.body.is_empty() { Value::Null } else { answer.json() })
    }

    fn run(&self, body: &Value) -> Result<Value> {
        self.post("/run", body, 200)
    }

    /// As the ordinary way does it: a file in `/tmp`, and `python3` with its name.
    fn cold(&self, code: &str) -> Result<Value> {
        self.native.write(&self.id, "/tmp/.lazaret-cold.py", code.as_bytes())?;
        let request =
            json!({"command": ["python3", "/tmp/.lazaret-cold.py"], "output_limit_bytes": 10 << 20});
        let done = self.native.exec_with(&self.id, &request)?;
        self.native.exec(&self.id, &["rm", "/tmp/.lazaret-cold.py"])?;
        Ok(done)
    }

    fn context(&self) -> Result<String> {
        let made = self.post("/contexts", &json!({}), 201)?;
        Ok(made["id"].as_str().context("an id")?.to_owned())
    }

    fn cell(&self, context: &str, code: &str) -> Result<Value> {
        self.post(&format!("/contexts/{context}/execute"), &json!({ "code": code }), 200)
    }

    /// Whether a driver runs, which is how a test knows that it tests something warm.
    fn drivers(&self) -> Result<usize> {
        let listed = self
            .native
            .shell(&self.id, "cat /proc/[0-9]*/cmdline | tr '\\0' '\\n' | grep -c '^\"\"\"The warm'")?;
        Ok(listed.trim().parse()?)
    }
}

/// What of a result may not differ.
fn told(done: &Value) -> Value {
    let text = |name: &str| {
        let text = done[name].as_str().unwrap_or_default();
        // The name of the script's file is random.
        let mut words = text.split("/tmp/.lazaret-");
        let first = words.next().unwrap_or_default().to_owned();
        words.fold(first, |all, rest| all + "SCRIPT" + rest.split_once(".py").map_or(rest, |(_, rest)| rest))
    };
    json!([
        done["exit_code"],
        done["signal"],
        text("stdout"),
        text("stderr"),
        done["stdout_base64"],
        done["truncated"]
    ])
}

#[test]
fn a_warm_run_cannot_be_told_from_a_cold_one() -> Result<()> {
    let sandbox = Sandbox::new()?;
    let mut differ = Vec::new();
    for (what, code) in PROGRAMS {
        let warm = sandbox.run(&json!({"language": "python", "code": code}))?;
        let cold = sandbox.cold(code)?;
        if told(&warm) != told(&cold) {
            differ.push(format!("{what}:\n  warm {}\n  cold {}", told(&warm), told(&cold)));
        }
    }
    ensure!(differ.is_empty(), "{}", differ.join("\n"));
    ensure!(sandbox.drivers()? == 1, "nothing was warm");
    let left = sandbox.native.shell(&sandbox.id, "ls -A /tmp")?;
    ensure!(!left.contains(".lazaret-"), "scripts stayed behind: {left}");
    Ok(())
}

#[test]
fn a_run_has_its_own_arguments_variables_directory_and_time() -> Result<()> {
    let sandbox = Sandbox::new()?;
    let code = "import os, sys; print(sys.argv[1:], os.environ['A'], os.environ['KEPT'], os.getcwd()); os.environ['B'] = '1'";
    let run = json!({"language": "python", "code": code, "args": ["x y", "", "ü"], "env": {"A": "ä"}, "cwd": "/usr"});
    let done = sandbox.run(&run)?;
    ensure!(done["stdout"] == "['x y', '', 'ü'] ä é /usr\n", "{done}");
    let done = sandbox.run(
        &json!({"language": "python", "code": "import os; print([k for k in 'AB' if k in os.environ])"}),
    )?;
    ensure!(done["stdout"] == "[]\n", "a run left something to the next: {done}");

    // What an interpreter reads at its start makes it a fresh one; that can be seen by the seed of its hashes.
    let seeded = json!({"language": "python", "code": "print(hash('x'))", "env": {"PYTHONHASHSEED": "0"}});
    let want = sandbox.native.exec_with(
        &sandbox.id,
        &json!({"command": ["python3", "-c", "print(hash('x'))"], "env": {"PYTHONHASHSEED": "0"}}),
    )?;
    ensure!(sandbox.run(&seeded)?["stdout"] == want["stdout"], "{want}");

    let path = format!("/lazaret/v1/sandboxes/{}/run", sandbox.id);
    let bad = sandbox
        .native
        .client()
        .post(&path, &json!({"language": "python", "code": "1", "cwd": "/nowhere"}))?;
    ensure!(bad.status == 422 && bad.json()["error"]["problem"] == "bad_working_directory", "{bad}");

    // The whole group goes, also where it does not listen.
    let code = "import os, signal, subprocess, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nsubprocess.Popen(['sleep', '1234'])\nprint('on', flush=True)\ntime.sleep(60)";
    let (done, took) =
        wait::timed(|| sandbox.run(&json!({"language": "python", "code": code, "timeout_ms": 400})));
    let done = done?;
    ensure!(done["timed_out"] == true && done["signal"] == 9 && done["stdout"] == "on\n", "{done}");
    ensure!(took < Duration::from_secs(10), "{took:?}");
    let left = sandbox
        .native
        .shell(&sandbox.id, "cat /proc/[0-9]*/cmdline | tr '\\0' ' ' | grep -c '[s]leep 1234' || true")?;
    ensure!(left.trim() == "0", "a child of the run lives on");

    // Also where the main process ends as it is asked, and another does not.
    let code =
        "import subprocess\nsubprocess.run(['sh', '-c', 'trap \"\" TERM; echo on; sleep 1234; sleep 1234'])";
    let done = sandbox.run(&json!({"language": "python", "code": code, "timeout_ms": 400}))?;
    ensure!(done["timed_out"] == true && done["signal"] == 15, "{done}");
    let left = sandbox
        .native
        .shell(&sandbox.id, "cat /proc/[0-9]*/cmdline | tr '\\0' ' ' | grep -c '[s]leep 1234' || true")?;
    ensure!(left.trim() == "0", "a child of a child of the run lives on");

    let done = sandbox
        .run(&json!({"language": "python", "code": "while True: print('x' * 65536)", "timeout_ms": 1500}))?;
    ensure!(done["truncated"] == true && done["timed_out"] == true, "{}", done["duration_ms"]);
    ensure!(done["stdout"].as_str().map(str::len) == Some(10 << 20), "the output limit");
    Ok(())
}

#[test]
fn runs_at_once_do_not_wait_for_each_other() -> Result<()> {
    let sandbox = Sandbox::new()?;
    sandbox.run(&json!({"language": "python", "code": "1"}))?;
    let code = "import sys, time; time.sleep(0.4); print(sys.argv[1])";
    let (all, took) = wait::timed(|| {
        thread::scope(|scope| {
            let runs: Vec<_> = (0..8)
                .map(|n| {
                    let sandbox = &sandbox;
                    scope.spawn(move || {
                        sandbox.run(&json!({"language": "python", "code": code, "args": [n.to_string()]}))
                    })
                })
                .collect();
            for (n, run) in runs.into_iter().enumerate() {
                let done = run.join().expect("no panic")?;
                ensure!(done["stdout"] == format!("{n}\n"), "{n}: {done}");
            }
            Ok(())
        })
    });
    all?;
    ensure!(took < Duration::from_millis(3000), "one after another: {took:?}");
    Ok(())
}

#[test]
fn an_interpreter_is_replaced_when_it_died_or_a_new_one_would_find_other_files() -> Result<()> {
    let sandbox = Sandbox::new()?;
    let print = |code: &str| sandbox.run(&json!({"language": "python", "code": code}));
    print("1")?;
    // A `.pth` file is read at the start of an interpreter, and never again.
    let site = "/usr/local/lib/python3.11/dist-packages";
    let find = "import site; print(site.getsitepackages()[0])";
    let found = print(find)?["stdout"].as_str().unwrap_or(site).trim().to_owned();
    sandbox.native.shell(
        &sandbox.id,
        &format!(
            "mkdir -p {found} /opt/lib && echo /opt/lib > {found}/new.pth && echo 'x = 5' > /opt/lib/fresh.py"
        ),
    )?;
    let done = print("import fresh; print(fresh.x)")?;
    ensure!(done["stdout"] == "5\n", "{done}");

    let killed = sandbox.native.client().post(
        &format!("/lazaret/v1/sandboxes/{}/run", sandbox.id),
        &json!({"language": "python", "code": "import os; os.kill(os.getppid(), 9)\nimport time; time.sleep(3)"}),
    )?;
    ensure!(killed.status == 503, "the end of the interpreter is no result: {killed}");
    wait::until("a new interpreter", Duration::from_secs(10), || {
        (print("print(1)").ok()?["stdout"] == "1\n").then_some(())
    });

    // With the sandbox's run ends everything warm.
    let context = sandbox.context()?;
    sandbox.native.apply(&sandbox.id, "stop")?;
    sandbox.native.apply(&sandbox.id, "start")?;
    ensure!(print("print(2)")?["stdout"] == "2\n", "after a restart");
    sandbox.post(&format!("/contexts/{context}/execute"), &json!({"code": "1"}), 404)?;
    Ok(())
}

#[test]
fn a_context_keeps_variables_shows_values_and_tells_of_errors() -> Result<()> {
    let sandbox = Sandbox::new()?;
    let context = sandbox.context()?;
    let cell = |code: &str| sandbox.cell(&context, code);
    let text = |done: &Value| done["shown"][0]["representations"][0]["text"].clone();

    ensure!(cell("x = 41")?["shown"] == json!([]), "a statement has no value");
    let done = cell("print('out')\nimport sys; print('err', file=sys.stderr)\nx + 1")?;
    ensure!(text(&done) == "42" && done["shown"][0]["is_value"] == true, "{done}");
    ensure!(done["stdout"] == "out\n" && done["stderr"] == "err\n" && done["error"].is_null(), "{done}");

    let done = cell("def f():\n    return 1 / 0\nf()")?;
    ensure!(
        done["error"]["name"] == "ZeroDivisionError" && done["error"]["value"] == "division by zero",
        "{done}"
    );
    let trace = done["error"]["traceback"].as_str().context("a traceback")?;
    ensure!(trace.contains("return 1 / 0") && !trace.contains("lazaret"), "{trace}");
    ensure!(cell("x y")?["error"]["name"] == "SyntaxError", "a syntax error is one");
    ensure!(text(&cell("await __import__('asyncio').sleep(0, 'later')")?) == "'later'", "await at the top");

    let rich = "class Table:\n    def _repr_html_(self): return '<b>1</b>'\n    def _repr_png_(self): return b'\\x89PNG'\n    def __repr__(self): return 'T'\ndisplay(Table())\nTable()";
    let done = cell(rich)?;
    for (index, is_value) in [(0, false), (1, true)] {
        let want = json!({"is_value": is_value, "representations": [
            {"media_type": "text/plain", "text": "T", "data_base64": null},
            {"media_type": "text/html", "text": "<b>1</b>", "data_base64": null},
            {"media_type": "image/png", "text": null, "data_base64": "iVBORw=="},
        ]});
        ensure!(done["shown"][index] == want, "{done}");
    }

    let own = json!({"code": "import os; os.environ['ONCE']", "env": {"ONCE": "here"}});
    let done = sandbox.post(&format!("/contexts/{context}/execute"), &own, 200)?;
    ensure!(text(&done) == "'here'", "{done}");
    ensure!(text(&cell("'ONCE' in os.environ")?) == "False", "a variable of one cell");

    let other = sandbox.context()?;
    ensure!(sandbox.cell(&other, "x")?["error"]["name"] == "NameError", "contexts are apart");
    sandbox.cell("default", "y = 1")?;
    ensure!(text(&sandbox.cell("default", "y")?) == "1", "the default context");
    let listed =
        sandbox.native.client().get(&format!("/lazaret/v1/sandboxes/{}/contexts", sandbox.id))?.json();
    let listed = listed["contexts"].as_array().context("a list")?.clone();
    ensure!(listed.len() == 3 && listed[2]["is_default"] == true && listed[0]["id"] == context, "{listed:?}");

    let path = format!("/lazaret/v1/sandboxes/{}/contexts/{context}", sandbox.id);
    ensure!(sandbox.native.client().delete(&path)?.status == 204, "deleted");
    ensure!(sandbox.native.client().delete(&path)?.status == 404, "deleted once");
    let refused = sandbox.post("/contexts", &json!({"language": "javascript"}), 501)?;
    ensure!(refused["error"]["code"] == "unsupported", "{refused}");
    sandbox.post("/contexts", &json!({"cwd": "/nowhere"}), 422)?;
    Ok(())
}

#[test]
fn figures_are_shown_in_contexts_and_saved_in_runs() -> Result<()> {
    let sandbox = Sandbox::new()?;
    let context = sandbox.context()?;
    let pictures = |done: &Value| -> Vec<bool> {
        let shown = done["shown"].as_array().into_iter().flatten();
        let kinds = shown.map(|value| value["representations"].as_array().into_iter().flatten());
        kinds.map(|mut kinds| kinds.any(|kind| kind["media_type"] == "image/png")).collect()
    };
    let done = sandbox
        .cell(&context, "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()\nplt.figure()")?;
    ensure!(pictures(&done) == [true, true] && done["error"].is_null(), "{done}");
    let done = sandbox.cell(&context, "plt.get_fignums()")?;
    ensure!(done["shown"][0]["representations"][0]["text"] == "[]", "what was shown is closed: {done}");

    let save = "import matplotlib.pyplot as plt, os\nplt.plot([1, 2])\nplt.savefig('/tmp/figure.png')\n\
                print(os.path.getsize('/tmp/figure.png') > 1000)";
    let done = sandbox.native.run(&sandbox.id, "python", save)?;
    ensure!(done["stdout"] == "True\n", "{done}");
    Ok(())
}

#[test]
fn a_cell_is_interrupted_and_a_context_that_does_not_listen_is_ended() -> Result<()> {
    let sandbox = Sandbox::new()?;
    let context = sandbox.context()?;
    let execute = format!("/contexts/{context}/execute");
    let done =
        sandbox.post(&execute, &json!({"code": "kept = 1\nwhile True: pass", "timeout_ms": 300}), 200)?;
    ensure!(done["timed_out"] == true && done["error"]["name"] == "KeyboardInterrupt", "{done}");
    ensure!(done["context_ended"] == false, "{done}");

    // Queued cells run in turn; an interrupt ends the one that runs.
    let (first, second) = thread::scope(|scope| {
        let first =
            scope.spawn(|| sandbox.cell(&context, "open('/tmp/runs', 'w'); import time; time.sleep(30)"));
        wait::until("the first cell", Duration::from_secs(10), || {
            (sandbox.native.shell(&sandbox.id, "test -e /tmp/runs && echo yes || true").ok()? == "yes\n")
                .then_some(())
        });
        let second = scope.spawn(|| sandbox.cell(&context, "kept += 1; kept"));
        sandbox.post(&format!("/contexts/{context}/interrupt"), &json!({}), 204)?;
        anyhow::Ok((first.join().expect("no panic")?, second.join().expect("no panic")?))
    })?;
    ensure!(first["error"]["name"] == "KeyboardInterrupt" && first["timed_out"] == false, "{first}");
    ensure!(second["shown"][0]["representations"][0]["text"] == "2", "{second}");

    let deaf = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass";
    let done = sandbox.post(&execute, &json!({"code": deaf, "timeout_ms": 300}), 200)?;
    ensure!(done["timed_out"] == true && done["context_ended"] == true && done["signal"] == 9, "{done}");
    sandbox.post(&execute, &json!({"code": "1"}), 404)?;

    let context = sandbox.context()?;
    let done = sandbox.cell(&context, "print('last'); import os; os._exit(5)")?;
    ensure!(done["context_ended"] == true && done["exit_code"] == 5 && done["stdout"] == "last\n", "{done}");
    // Nothing of this has ended the server's own view of the sandbox.
    ensure!(sandbox.server.native().state(&sandbox.id)? == "running", "the sandbox runs");
    Ok(())
}
