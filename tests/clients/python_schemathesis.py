"""schemathesis against the document that the server serves: no 5xx, no undeclared answer, none that its schema forbids.

Needs a server without bounds on rates and that pulls no image by itself. Left out are the operations that would end what the
others are tried with, those that last as long as what they follow, one whose body is an archive, which it cannot make up, and
those for which 502 is right: a pull from a registry that is not there, a port that nobody listens on.
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
LEFT_OUT = ["delete_account", "delete_key", "delete_sandbox", "pause_sandbox", "stop_sandbox"]
LEFT_OUT += ["follow_exec", "command_log", "terminal_socket", "exec_socket", "build_image"]
LEFT_OUT += ["pull_image", "forward_to_port"]
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
# Fewer would mean that most of the document was not tried.
CASES_AT_LEAST = 300

request = urllib.request.Request(
    f"{URL}/lazaret/v1/sandboxes",
    json.dumps({"name": "fuzz"}).encode(),
    {"authorization": f"Bearer {KEY}", "content-type": "application/json"},
)
with urllib.request.urlopen(request, timeout=30) as answer:
    assert answer.status == 201, answer.status

here = pathlib.Path(__file__).parent
command = [pathlib.Path(sys.executable).with_name("schemathesis"), "--config-file", here / "schemathesis.toml"]
command += ["run", f"{URL}/lazaret/v1/openapi.json", "--header", f"Authorization: Bearer {KEY}", "--checks", CHECKS]
command += ["--request-timeout", "30", "--continue-on-failure"]
for operation in LEFT_OUT:
    command += ["--exclude-operation-id", operation]
run = subprocess.run(command, capture_output=True, text=True, timeout=160)
print(run.stdout[-20_000:], run.stderr[-4_000:])
assert run.returncode == 0, run.returncode
assert "unresolvable reference" not in run.stdout
cases = re.search(r"(\d+) generated", run.stdout)
assert cases and int(cases[1]) >= CASES_AT_LEAST, "too little was tried"
print("ok")
