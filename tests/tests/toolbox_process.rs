//! Daytona's toolbox over plain HTTP, in a real sandbox: what its clients do with processes, to the letter.

#![forbid(unsafe_code)]

use anyhow::Result;
use lazaret_tests::{Answer, Server};
use serde_json::{Value, json};

struct World {
    server: Server,
    id: String,
}

impl World {
    fn new() -> Result<Self> {
        let server = Server::start();
        let id = server.native().create(&json!({"env": {"GREETING": "hello"}}))?;
        Ok(Self { server, id })
    }

    fn post(&self, path: &str, body: &Value) -> Result<Answer> {
        self.server.client().post(&format!("/toolbox/{}{path}", self.id), body)
    }

    fn get(&self, path: &str) -> Result<Answer> {
        self.server.client().get(&format!("/toolbox/{}{path}", self.id))
    }

    fn execute(&self, body: &Value) -> Result<(i64, String)> {
        Ok(ran(&self.post("/process/execute", body)?.expect(200)))
    }

    fn code(&self, body: &Value) -> Result<(i64, String)> {
        Ok(ran(&self.post("/process/code-run", body)?.expect(200)))
    }
}

fn ran(body: &Value) -> (i64, String) {
    (body["exitCode"].as_i64().expect("a code"), body["result"].as_str().expect("a result").to_owned())
}

#[test]
fn shell_text_runs_as_the_contract_says() -> Result<()> {
    let world = World::new()?;
    let said = |text: &str| text.to_owned();
    for (body, want) in [
        (json!({"command": "echo out; echo err >&2; echo again; exit 3"}), (3, said("out\nerr\nagain\n"))),
        (json!({"command": "echo $GREETING-$X", "envs": {"X": 1}}), (0, said("hello-1\n"))),
        (json!({"command": "pwd", "cwd": "/tmp"}), (0, said("/tmp\n"))),
        (json!({"command": "for i in 1 2; do\necho $i\ndone"}), (0, said("1\n2\n"))),
        (json!({"command": "kill -9 $$"}), (137, said(""))),
        (json!({"command": "sleep 1000 &"}), (0, said(""))),
        (json!({"command": "cat"}), (0, said(""))),
    ] {
        assert_eq!(world.execute(&body)?, want, "{body}");
    }
    let long = format!("echo {}", "x".repeat(300_000));
    assert_eq!(world.execute(&json!({"command": long}))?.1.len(), 300_001, "beyond any argument's length");
    let (code, why) = world.execute(&json!({"command": "true", "cwd": "/no/such"}))?;
    assert_eq!(code, -1);
    assert!(why.contains("/no/such"), "{why}");
    Ok(())
}

#[test]
fn what_cannot_run_is_refused_in_the_contracts_words() -> Result<()> {
    let world = World::new()?;
    for (path, body, status, code, message) in [
        (
            "/process/execute",
            json!({"command": "sleep 30", "timeout": 1}),
            408,
            "PROCESS_EXECUTION_TIMEOUT",
            "request timeout: command execution timeout",
        ),
        ("/process/execute", json!({"command": "  "}), 400, "BAD_REQUEST", "command: is empty"),
        (
            "/process/execute",
            json!({"command": "true", "envs": {"1A": "x"}}),
            400,
            "BAD_REQUEST",
            "invalid environment variable name: '1A'",
        ),
        (
            "/process/code-run",
            json!({"code": "", "language": "cobol"}),
            400,
            "BAD_REQUEST",
            "unsupported language: cobol",
        ),
        (
            "/process/code-run",
            json!({"code": "while True: pass", "language": "python", "timeout": 1}),
            408,
            "PROCESS_EXECUTION_TIMEOUT",
            "request timeout: command execution timeout",
        ),
        (
            "/process/session",
            json!({"sessionId": "entrypoint"}),
            400,
            "BAD_REQUEST",
            "the session id 'entrypoint' is reserved",
        ),
        (
            "/lsp/start",
            json!({"languageId": "cobol", "pathToProject": "/"}),
            400,
            "BAD_REQUEST",
            "languageId: 'cobol' is not one of python, javascript, typescript",
        ),
    ] {
        let answer = world.post(path, &body)?;
        let told = answer.json();
        assert_eq!(
            (answer.status, &told["code"], &told["message"]),
            (status, &json!(code), &json!(message)),
            "{body}"
        );
        assert_eq!(told["source"], "DAYTONA_DAEMON");
    }
    Ok(())
}

#[test]
fn snippets_run_unbuffered_with_both_streams_in_one() -> Result<()> {
    let world = World::new()?;
    let python = |code: &str| json!({"code": code, "language": "python", "argv": ["a", "b c"]});
    assert_eq!(
        world.code(&python("import sys; print(6 * 7, sys.argv[1:])"))?,
        (0, "42 ['a', 'b c']\n".to_owned())
    );
    assert_eq!(world.code(&python("raise SystemExit(9)"))?.0, 9);
    let mixed = "import os, sys\nprint(1)\nprint(2, file=sys.stderr)\nos.write(1, b'3\\n')\nprint(4)\n1/0";
    let (code, result) = world.code(&python(mixed))?;
    assert_eq!(code, 1);
    assert!(result.starts_with("1\n2\n3\n4\nTraceback (most recent call last):"), "{result}");
    assert!(result.ends_with("ZeroDivisionError: division by zero\n"), "{result}");
    // What a program leaves behind of its own is ended as by any interpreter, also where nothing is left of ours.
    for (leaves, want) in [
        ("import io, sys\nsys.stdout = io.TextIOWrapper(sys.stdout.buffer)\nprint('kept')", "kept\n"),
        ("import sys\nmine = open(1, 'w', closefd=False); mine.write('kept')", "kept"),
        ("class A:\n    def __del__(self): print('gone')\na = A()", "gone\n"),
        ("import atexit; atexit.register(print, 'at exit'); print(1)", "1\nat exit\n"),
    ] {
        assert_eq!(world.code(&python(leaves))?, (0, want.to_owned()), "{leaves}");
    }
    let cold = json!({"code": "import sys; print(1); print(2, file=sys.stderr); print(3)", "language": "python",
        "envs": {"PYTHONPATH": "/tmp"}});
    assert_eq!(world.code(&cold)?, (0, "1\n2\n3\n".to_owned()), "without a warm interpreter as well");
    if world.execute(&json!({"command": "command -v node"}))?.0 != 0 {
        eprintln!("NOTICE: node is left out: this host has none");
        return Ok(());
    }
    for (language, code) in [
        ("javascript", "console.log(process.argv.slice(1).join()); console.error('e')"),
        ("javascript", "import os from 'os';\nconsole.log(process.argv.slice(1).join()); console.error('e')"),
        (
            "typescript",
            "const a: string[] = process.argv.slice(1); console.log(a.join()); console.error('e')",
        ),
    ] {
        let body = json!({"code": code, "language": language, "argv": ["x", "--y"]});
        assert_eq!(world.code(&body)?, (0, "x,--y\ne\n".to_owned()), "{code}");
    }
    Ok(())
}

/// Figures of the real matplotlib, of every kind that is told apart.
const FIGURES: &str = r#"
import matplotlib.pyplot as plt
plt.plot([1, 2, 3], [4, 5, float("nan")], label="a"); plt.title("a title"); plt.xlabel("time"); plt.show()
plt.bar(["p", "q"], [3, 4.5], label="g"); plt.show()
plt.pie([1, 3], labels=["a", "b"]); plt.show()
plt.boxplot([[1, 2, 3, 4, 50]]); plt.show()
plt.scatter([1, 2], [3, 4], label="s"); plt.show()
_, (left, right) = plt.subplots(1, 2)
left.plot([1, 2], [3, 4]); right.barh(["u", "v"], [3, 4]); plt.suptitle("two"); plt.show()
plt.imshow([[1, 2], [3, 4]]); plt.show()
print("shown")
"#;

#[test]
fn figures_that_a_snippet_shows_are_charts() -> Result<()> {
    let world = World::new()?;
    let run = json!({"code": FIGURES, "language": "python"});
    let done = world.post("/process/code-run", &run)?.expect(200);
    // A slow machine is told that fonts are being looked for.
    assert!(done["result"].as_str().is_some_and(|said| said.ends_with("shown\n")), "{done}");
    let charts = done["artifacts"]["charts"].as_array().expect("charts");
    let kinds: Vec<&str> = charts.iter().filter_map(|chart| chart["type"].as_str()).collect();
    let want = ["line", "bar", "pie", "box_and_whisker", "scatter", "composite_chart", "unknown"];
    assert_eq!(kinds, want, "{done}");
    assert!(charts.iter().all(|chart| chart["png"].as_str().is_some_and(|png| png.starts_with("iVBOR"))));
    let elements: Vec<&Value> = charts.iter().map(|chart| &chart["elements"][0]).collect();
    assert_eq!((&charts[0]["title"], &charts[0]["x_label"]), (&json!("a title"), &json!("time")));
    assert_eq!(
        elements[0],
        &json!({"label": "a", "points": [[1.0, 4.0], [2.0, 5.0]]}),
        "what is no number is left out"
    );
    assert_eq!(elements[1], &json!({"label": "p", "group": "g", "value": "3"}));
    assert_eq!(elements[2], &json!({"label": "a", "angle": 90.0, "radius": 1.0}));
    assert_eq!((&elements[3]["median"], &elements[3]["outliers"]), (&json!(3.0), &json!([50.0])));
    assert_eq!(elements[4], &json!({"label": "s", "points": [[1.0, 3.0], [2.0, 4.0]]}));
    assert_eq!((&charts[5]["title"], &elements[5]["type"]), (&json!("two"), &json!("line")));
    assert_eq!(charts[5]["elements"][1]["elements"][1], json!({"label": "v", "group": "", "value": "4"}));
    Ok(())
}

#[test]
fn the_environment_and_the_ports_are_the_sandboxs_own() -> Result<()> {
    let world = World::new()?;
    world.post("/env", &json!({"set": {"A": "1", "B": "secret-x"}, "unset": ["GREETING"]}))?.expect(200);
    assert_eq!(world.execute(&json!({"command": "echo \"[$A$GREETING]\""}))?.1, "[1]\n");
    world.post("/env", &json!({"set": {"C": "secret-y"}, "unsetValuePrefix": "secret-"}))?.expect(200);
    assert_eq!(world.execute(&json!({"command": "echo \"[$B$C]\""}))?.1, "[secret-y]\n");
    assert_eq!(world.get("/port")?.expect(200), json!({"ports": []}));
    let listen = "python3 -c 'import socket, time; s = socket.create_server((\"127.0.0.1\", 3456)); print(1, flush=True); time.sleep(600)' > /tmp/on 2>&1 & while ! test -s /tmp/on; do sleep 0.05; done";
    assert_eq!(world.execute(&json!({"command": listen}))?.0, 0);
    assert_eq!(world.get("/port")?.expect(200), json!({"ports": [3456]}));
    for (port, want) in [("3456", true), ("3457", false)] {
        assert_eq!(world.get(&format!("/port/{port}/in-use"))?.expect(200), json!({"isInUse": want}));
    }
    assert_eq!(world.get("/port/80/in-use")?.status, 400);
    let metrics = world.get("/system/metrics")?.expect(200);
    for key in ["cpuCount", "memTotal", "memUsed", "diskTotal", "diskUsed", "timestampUnix"] {
        assert!(metrics[key].as_u64().is_some_and(|number| number > 0), "{key} of {metrics}");
    }
    Ok(())
}
