"""schemathesis against a document that the server serves: no 5xx, no undeclared answer, none that its schema forbids.

Its argument is the document: `native`, `daytona-control` or `daytona-toolbox`. Needs a server without bounds on rates and
that pulls no image by itself. Left out are the operations that would end what the others are tried with, those that last as
long as what they follow, one whose body is an archive, which it cannot make up, and those for which 502 is right: a pull from a
registry that is not there, a port that nobody listens on.
"""

import json
import os
import pathlib
import re
import subprocess
import sys
import urllib.request

URL = os.environ["LAZARET_URL"]
KEY = os.environ["LAZARET_API_KEY"]
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"

LEFT_OUT = {
    "native": [
        *("delete_account", "delete_key", "delete_sandbox", "pause_sandbox", "stop_sandbox"),
        *("follow_exec", "command_log", "terminal_socket", "exec_socket", "build_image"),
        *("pull_image", "forward_to_port"),
    ],
    "daytona-control": ["deleteApiKey", "deleteSandbox", "pauseSandbox", "stopSandbox", "removeSnapshot", "connectEvents"],
    "daytona-toolbox": [
        *("DeleteSession", "DeletePtySession", "ConnectPtySession", "CreateConnectPtySession"),
        "ExecuteInterpreterCode",
    ],
}
# Fewer would mean that most of the document was not tried.
CASES_AT_LEAST = {"native": 300, "daytona-control": 400, "daytona-toolbox": 600}


def post(path, body):
    headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
    request = urllib.request.Request(f"{URL}{path}", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        text = answer.read()
        return json.loads(text) if text else None


def prepared(document, sandbox):
    """Where the document is, where its paths begin, and what `schemathesis.toml` is told of by the environment."""
    if document == "native":
        return "/lazaret/v1/openapi.json", "", {}
    if document == "daytona-control":
        post("/api/snapshots", {"name": "fuzz", "imageName": "host"})
        return "/api/openapi.json", "/api", {}
    toolbox = f"/toolbox/{sandbox}"
    post(f"{toolbox}/git/init", {"path": "/tmp/fuzz"})
    identity = {"author": "fuzz", "email": "fuzz@example.org", "allow_empty": True}
    post(f"{toolbox}/git/commit", {"path": "/tmp/fuzz", "message": "first", **identity})
    post(f"{toolbox}/process/pty", {"id": "fuzz"})
    post(f"{toolbox}/process/session", {"sessionId": "fuzz"})
    command = post(f"{toolbox}/process/session/fuzz/exec", {"command": "echo fuzz"})
    return "/api/toolbox/openapi.json", toolbox, {"FUZZ_COMMAND": command["cmdId"]}


document = sys.argv[1]
sandbox = post("/lazaret/v1/sandboxes", {"name": "fuzz"})["id"]
path, base, environment = prepared(document, sandbox)
here = pathlib.Path(__file__).parent
command = [pathlib.Path(sys.executable).with_name("schemathesis"), "--config-file", here / "schemathesis.toml"]
command += ["run", f"{URL}{path}", "--header", f"Authorization: Bearer {KEY}", "--checks", CHECKS]
command += ["--url", f"{URL}{base}", "--request-timeout", "30", "--continue-on-failure"]
for operation in LEFT_OUT[document]:
    command += ["--exclude-operation-id", operation]
environment = {**os.environ, "FUZZ_COMMAND": "none", **environment}
run = subprocess.run(command, capture_output=True, text=True, timeout=160, env=environment)
print(run.stdout[-20_000:], run.stderr[-4_000:])
assert run.returncode == 0, run.returncode
assert "unresolvable reference" not in run.stdout
cases = re.search(r"(\d+) generated", run.stdout)
assert cases and int(cases[1]) >= CASES_AT_LEAST[document], "too little was tried"
print("ok")
