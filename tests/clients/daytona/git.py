"""Repositories in a sandbox, with the unmodified `daytona` package of PyPI, also over HTTP from a server with a password.

    git.py [ROOT HUB OPEN]

The server comes from DAYTONA_API_URL and DAYTONA_API_KEY; LAZARET_URL is its native API, by which a git server is started
in the sandbox's own network namespace. With arguments, that is somewhere else and serves ROOT: at HUB (HOST:PORT) with the
password, at OPEN without; the sandbox's image then needs no git.
"""

import json
import os
import pathlib
import subprocess
import sys
import time
import urllib.request

from daytona import CreateSandboxFromSnapshotParams, Daytona
from daytona.common.errors import (
    DaytonaConflictError,
    DaytonaError,
    DaytonaGitAuthFailedError,
    DaytonaGitBranchExistsError,
    DaytonaGitBranchNotFoundError,
    DaytonaGitDirtyWorktreeError,
    DaytonaGitPushRejectedError,
    DaytonaGitRepoNotFoundError,
    DaytonaGitTransportFailedError,
    DaytonaValidationError,
)
import support

URL, KEY = os.environ["LAZARET_URL"], os.environ["LAZARET_API_KEY"]
SERVER = pathlib.Path(__file__).parents[2] / "git" / "server.py"
PASSWORD = "hunter2-of-the-daytona-tests"


def raises(kind, fn, *args, **kw):
    error = support.raises(kind, fn, *args, **kw)
    assert PASSWORD not in str(error)
    return error


def execute(sandbox, command, **more):
    """A command through the native API."""
    request = urllib.request.Request(
        f"{URL}/lazaret/v1/sandboxes/{sandbox.id}/exec",
        data=json.dumps({"command": command, **more}).encode(),
        headers={"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def shell(sandbox, script):
    result = execute(sandbox, ["sh", "-c", script])
    assert result["exit_code"] == 0, result
    return result["stdout"]


def everyday(sandbox):
    git, fs = sandbox.git, sandbox.fs
    git.init("repo", initial_branch="main")
    fs.upload_file(b"one\n", "repo/a")
    status = git.status("repo")
    assert (status.current_branch, status.branch_published) == ("main", False)
    assert [(f.name, f.staging.value, f.worktree.value) for f in status.file_status] == [
        ("a", "Untracked", "Untracked")
    ]
    git.add("repo", ["a"])
    assert git.status("repo").file_status[0].staging.value == "Added"
    first = git.commit("repo", "first", "Ada", "ada@example.org").sha
    raises(DaytonaError, git.commit, "repo", "nothing", "Ada", "ada@example.org")
    git.commit("repo", "empty", "Ada", "ada@example.org", allow_empty=True)
    git.create_branch("repo", "dev")
    raises(DaytonaGitBranchExistsError, git.create_branch, "repo", "dev")
    git.checkout_branch("repo", "dev")
    branches = git.branches("repo")
    assert (branches.branches, branches.current) == (["dev", "main"], "dev")
    raises(DaytonaGitBranchNotFoundError, git.delete_branch, "repo", "none")
    fs.upload_file(b"two\n", "repo/a")
    git.add("repo", ["."])
    git.commit("repo", "second", "Ada", "ada@example.org")
    fs.upload_file(b"dirty\n", "repo/a")
    raises(DaytonaGitDirtyWorktreeError, git.checkout_branch, "repo", "main")
    git.restore("repo", ["a"], worktree=True)
    assert fs.download_file("repo/a") == b"two\n"
    git.reset("repo", mode="hard", target=first)
    assert fs.download_file("repo/a") == b"one\n"
    git.checkout_branch("repo", "main")
    git.delete_branch("repo", "dev")
    git.remote_add("repo", "origin", "http://127.0.0.1:1/none.git")
    assert git.remote_get("repo", "origin") == "http://127.0.0.1:1/none.git"
    raises(DaytonaGitTransportFailedError, git.pull, "repo")
    git.set_config("core.abbrev", "12", scope="local", path="repo")
    assert git.get_config("core.abbrev", scope="local", path="repo") == "12"
    assert git.get_config("no.such") is None
    git.configure_user("Ada", "ada@example.org")
    assert git.get_config("user.name") == "Ada"
    raises(DaytonaGitRepoNotFoundError, git.status, "elsewhere")
    raises(DaytonaValidationError, git.reset, "repo", mode="odd")
    refused = raises(DaytonaError, git.dangerously_authenticate, "ada", PASSWORD)
    assert refused.status_code == 501, refused


def seed(run, root):
    """Two repositories beneath `root`, which `run` makes where they are to be served; the first of their two commits."""
    run(
        f"git init -q -b main {root}/seed && cd {root}/seed && git config user.name t && git config user.email t@t && "
        "echo 1 > f && git add f && git commit -qm one && git branch dev && echo 2 > f && git commit -qam two && "
        f"git clone -q --bare {root}/seed {root}/hub.git && git clone -q --bare {root}/seed {root}/open.git"
    )
    return run(f"git -C {root}/seed rev-parse HEAD~1").strip()


def serve_inside(sandbox):
    sandbox.fs.upload_file(SERVER.read_bytes(), "/root/server.py")
    shell(sandbox, "mkdir /root/hub")
    execute(sandbox, ["python3", "/root/server.py", "/root/hub", "8931", "ada", PASSWORD], background=True)
    execute(sandbox, ["python3", "/root/server.py", "/root/hub", "8932"], background=True)
    shell(sandbox, "python3 - <<'E'\nimport socket, time\nfor port in (8931, 8932):\n"
          "    for _ in range(200):\n        try: socket.create_connection(('127.0.0.1', port)); break\n"
          "        except OSError: time.sleep(0.1)\nE")


def run_here(script):
    return subprocess.run(["sh", "-c", script], check=True, capture_output=True, text=True).stdout


def over_http(sandbox, run, root, hub, anyone):
    git, fs = sandbox.git, sandbox.fs
    first = seed(run, root)
    none = f"http://{anyone}/none.git"
    hub, anyone = f"http://{hub}/hub.git", f"http://{anyone}/open.git"
    git.clone(anyone, "open")
    assert fs.download_file("open/f") == b"2\n"
    git.clone(anyone, "open-dev", branch="dev")
    assert git.status("open-dev").current_branch == "dev"
    raises(DaytonaGitAuthFailedError, git.clone, hub, "no")
    raises(DaytonaGitAuthFailedError, git.clone, hub, "no", username="ada", password="wrong")
    raises(DaytonaConflictError, git.clone, anyone, "open")
    raises(DaytonaGitRepoNotFoundError, git.clone, none, "no")
    raises(DaytonaGitBranchNotFoundError, git.clone, anyone, "no", branch="none")
    secret = {"username": "ada", "password": PASSWORD}
    git.clone(hub, "one", **secret)
    git.clone(hub, "two", commit_id=first, **secret)
    status = git.status("two")
    assert (status.current_branch, fs.download_file("two/f")) == ("HEAD", b"1\n"), status
    fs.upload_file(b"3\n", "one/f")
    git.add("one", ["."])
    pushed = git.commit("one", "three", "Ada", "ada@example.org").sha
    assert git.status("one").ahead == 1
    raises(DaytonaGitAuthFailedError, git.push, "one")
    git.push("one", **secret)
    git.push("one", **secret)
    assert run(f"git -C {root}/hub.git rev-parse main").strip() == pushed
    git.checkout_branch("two", "main")
    fs.upload_file(b"other\n", "two/g")
    git.add("two", ["."])
    git.commit("two", "four", "Ada", "ada@example.org")
    raises(DaytonaGitPushRejectedError, git.push, "two", **secret)
    git.pull("two", **secret)
    git.push("two", **secret)
    git.pull("one", **secret)
    assert fs.download_file("one/g") == b"other\n"
    work = sandbox.get_work_dir()
    assert shell(sandbox, f"cd {work} && ls -d one two > /dev/null && {{ grep -rl {PASSWORD} one two ~/.git* /tmp 2>/dev/null; true; }}") == ""


def main():
    outside = sys.argv[1:]
    domains = ",".join(outside[1:]) or None
    sandbox = Daytona().create(CreateSandboxFromSnapshotParams(name="git", domain_allow_list=domains))
    try:
        everyday(sandbox)
        if outside:
            assert sandbox.process.exec("command -v git").exit_code != 0
            over_http(sandbox, run_here, *outside)
        else:
            serve_inside(sandbox)
            over_http(sandbox, lambda script: shell(sandbox, script), "/root/hub", "127.0.0.1:8931", "127.0.0.1:8932")
    finally:
        sandbox.delete()
    print("ok")


if __name__ == "__main__":
    sys.exit(main())
