"""Processes with the unmodified `daytona` package of PyPI: exec, code_run, sessions, PTYs, interpreter contexts.

The server comes from DAYTONA_API_URL and DAYTONA_API_KEY, as the package itself reads them.
"""

import asyncio

from daytona import CodeRunParams, CreateSandboxFromSnapshotParams, Daytona, PtySize, SessionExecuteRequest
from daytona.common.errors import (
    DaytonaConflictError,
    DaytonaError,
    DaytonaNotFoundError,
    DaytonaProcessExecutionTimeoutError,
    DaytonaTimeoutError,
)
from daytona_toolbox_api_client.exceptions import ApiException
from support import raises


def execs(process, work):
    r = process.exec("echo out; echo err >&2; exit 3")
    assert r.exit_code == 3 and r.result == "out\nerr\n", r
    assert process.exec("echo $GREETING-$X", env={"X": "1"}).result == "hello-1\n"
    assert process.exec("pwd", cwd="/tmp").result == "/tmp\n"
    assert process.exec("pwd").result.strip() == work
    assert process.exec("cd / && cat <<'END'\na $HOME b\nEND").result == "a $HOME b\n"
    assert process.exec("pwd", cwd="/no/such").exit_code == -1
    raises(DaytonaProcessExecutionTimeoutError, process.exec, "sleep 30", timeout=1)


def snippets(process):
    r = process.code_run("import sys; print(6 * 7, sys.argv[1:])", CodeRunParams(argv=["a"]))
    assert (r.exit_code, r.result) == (0, "42 ['a']\n"), r
    assert process.code_run("raise SystemExit(9)").exit_code == 9
    assert "Traceback" in process.code_run("1/0").result
    assert process.code_run("import os; print(os.environ['A'])", CodeRunParams(env={"A": "b"})).result == "b\n"
    # This method of the package leaves the error of its generated client as it is.
    error = raises(ApiException, process.code_run, "while True: pass", timeout=1)
    assert error.status == 408 and error.data.code == "PROCESS_EXECUTION_TIMEOUT", error


def sessions(process):
    process.create_session("s1")
    raises(DaytonaConflictError, process.create_session, "s1")
    r = process.execute_session_command(
        "s1", SessionExecuteRequest(command="export K=v; cd /tmp; echo a; echo b >&2")
    )
    assert (r.exit_code, r.stdout, r.stderr) == (0, "a\n", "b\n"), r
    r = process.execute_session_command("s1", SessionExecuteRequest(command="echo $K $PWD"))
    assert r.stdout == "v /tmp\n"
    job = process.execute_session_command(
        "s1",
        SessionExecuteRequest(
            command="echo ready; echo warn >&2; read line; echo got $line; (exit 4)", run_async=True
        ),
    )
    assert job.cmd_id and job.exit_code is None
    out, err = [], []

    async def follow():
        task = asyncio.create_task(
            process.get_session_command_logs_async("s1", job.cmd_id, out.append, err.append)
        )
        while "ready" not in "".join(out):
            await asyncio.sleep(0.05)
        process.send_session_command_input("s1", job.cmd_id, "ping")
        await asyncio.wait_for(task, 20)

    asyncio.run(follow())
    assert "ready\n" in "".join(out) and "got ping\n" in "".join(out) and "".join(err) == "warn\n", (out, err)
    assert process.get_session_command("s1", job.cmd_id).exit_code == 4
    logs = process.get_session_command_logs("s1", job.cmd_id)
    assert (logs.stdout, logs.stderr) == ("ready\nping\ngot ping\n", "warn\n"), logs
    error = raises(DaytonaError, process.send_session_command_input, "s1", job.cmd_id, "late")
    assert error.status_code == 410, error
    assert "s1" in [session.session_id for session in process.list_sessions()]
    assert [command.id for command in process.get_session("s1").commands][-1] == job.cmd_id
    raises(DaytonaNotFoundError, process.get_session_command, "s1", "no-such")
    r = process.execute_session_command("s1", SessionExecuteRequest(command="exit 5"))
    assert r.exit_code == 5
    error = raises(DaytonaError, process.execute_session_command, "s1", SessionExecuteRequest(command="true"))
    assert error.status_code == 410, error
    process.delete_session("s1")
    raises(DaytonaNotFoundError, process.get_session, "s1")


def followed_from_the_start(process):
    """A follower that comes late and reads a lot gets every line."""
    process.create_session("s2")
    job = process.execute_session_command(
        "s2", SessionExecuteRequest(command="seq 1 200000; echo end >&2", run_async=True)
    )
    out, err = [], []
    logs = process.get_session_command_logs_async("s2", job.cmd_id, out.append, err.append)
    asyncio.run(asyncio.wait_for(logs, 60))
    assert "".join(out) == "".join(f"{n}\n" for n in range(1, 200001)), len("".join(out))
    assert "".join(err) == "end\n"
    process.delete_session("s2")


def terminals(process):
    buffer = bytearray()
    pty = process.create_pty_session(id="p1", envs={"PV": "pv"}, pty_size=PtySize(rows=30, cols=100))
    raises(DaytonaConflictError, process.create_pty_session, id="p1")
    info = process.get_pty_session_info("p1")
    assert (info.rows, info.cols, info.active, info.envs) == (30, 100, True, {"PV": "pv"}), info
    pty.send_input("echo $PV-ok; stty size; exit 7\n")
    assert pty.wait(on_data=buffer.extend, timeout=20).exit_code == 7
    pty.disconnect()
    assert b"pv-ok" in buffer and b"30 100" in buffer, buffer
    process.create_pty_session(id="p2").disconnect()
    assert process.resize_pty_session("p2", PtySize(rows=40, cols=120)).cols == 120
    assert "p2" in [terminal.id for terminal in process.list_pty_sessions()]
    pty = process.connect_pty_session("p2")
    buffer.clear()
    pty.send_input("stty size; kill -9 $$\n")
    assert pty.wait(on_data=buffer.extend, timeout=20).exit_code == 137
    assert b"40 120" in buffer, buffer
    assert "p2" not in [terminal.id for terminal in process.list_pty_sessions()]
    process.create_pty_session(id="p3").disconnect()
    process.kill_pty_session("p3")
    raises(DaytonaNotFoundError, process.get_pty_session_info, "p3")
    raises(DaytonaError, process.connect_pty_session, "no-such")


def contexts(interpreter):
    assert interpreter.run_code("x = 41\nprint(x)").stdout == "41\n"
    r = interpreter.run_code("import sys; print(x + 1); print('e', file=sys.stderr); y")
    assert (r.stdout, r.stderr, r.error.name) == ("42\n", "e\n", "NameError"), r
    context = interpreter.create_context(cwd="/tmp")
    assert interpreter.run_code("import os; print(os.getcwd())", context=context).stdout == "/tmp\n"
    assert interpreter.run_code("print('x' in globals())", context=context).stdout == "False\n"
    assert context.id in [one.id for one in interpreter.list_contexts()]
    raises(DaytonaTimeoutError, interpreter.run_code, "while True: pass", context=context, timeout=1)
    interpreter.delete_context(context)
    assert context.id not in [one.id for one in interpreter.list_contexts()]


def main():
    client = Daytona()
    params = CreateSandboxFromSnapshotParams(language="python", env_vars={"GREETING": "hello"})
    sandbox = client.create(params, timeout=120)
    try:
        execs(sandbox.process, sandbox.get_work_dir())
        snippets(sandbox.process)
        sessions(sandbox.process)
        followed_from_the_start(sandbox.process)
        terminals(sandbox.process)
        contexts(sandbox.code_interpreter)
    finally:
        sandbox.delete()
    print("ok")


main()
