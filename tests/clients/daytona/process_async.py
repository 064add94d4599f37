"""Processes with the asynchronous client of the unmodified `daytona` package of PyPI, several at once.

The server comes from DAYTONA_API_URL and DAYTONA_API_KEY, as the package itself reads them.
"""

import asyncio

from daytona import AsyncDaytona, CodeRunParams, CreateSandboxFromSnapshotParams, PtySize, SessionExecuteRequest
from daytona.common.errors import DaytonaProcessExecutionTimeoutError
from support import raises_async


async def session(process, name):
    await process.create_session(name)
    r = await process.execute_session_command(name, SessionExecuteRequest(command=f"N={name}; echo $N"))
    assert r.stdout == f"{name}\n", r
    job = await process.execute_session_command(
        name, SessionExecuteRequest(command="read x; echo $N $x; echo e >&2", run_async=True)
    )
    out, err = [], []
    follow = asyncio.create_task(
        process.get_session_command_logs_async(name, job.cmd_id, out.append, err.append)
    )
    await process.send_session_command_input(name, job.cmd_id, "ping")
    await asyncio.wait_for(follow, 30)
    assert f"{name} ping\n" in "".join(out) and "".join(err) == "e\n", (out, err)
    await process.delete_session(name)


async def terminal(process, name):
    buffer = bytearray()
    pty = await process.create_pty_session(
        id=name, on_data=buffer.extend, envs={"N": name}, pty_size=PtySize(rows=20, cols=60)
    )
    await pty.wait_for_connection()
    await pty.send_input("echo $N-ok; stty size; exit 3\n")
    result = await asyncio.wait_for(pty.wait(), 30)
    assert result.exit_code == 3, result
    assert f"{name}-ok".encode() in buffer and b"20 60" in buffer, buffer


async def main():
    async with AsyncDaytona() as client:
        sandbox = await client.create(CreateSandboxFromSnapshotParams(language="python"), timeout=120)
        try:
            process = sandbox.process
            results = await asyncio.gather(*(process.exec(f"echo {n}; exit {n}") for n in range(8)))
            assert [(r.exit_code, r.result) for r in results] == [(n, f"{n}\n") for n in range(8)]
            code = "import sys, time; time.sleep(0.2); print(sys.argv[1])"
            results = await asyncio.gather(
                *(process.code_run(code, CodeRunParams(argv=[str(n)])) for n in range(8))
            )
            assert [r.result for r in results] == [f"{n}\n" for n in range(8)]
            await raises_async(DaytonaProcessExecutionTimeoutError, process.exec("sleep 30", timeout=1))
            await asyncio.gather(*(session(process, f"s{n}") for n in range(3)))
            await asyncio.gather(*(terminal(process, f"p{n}") for n in range(3)))
            r = await sandbox.code_interpreter.run_code("x = 1\nprint(x)")
            assert r.stdout == "1\n", r
        finally:
            await sandbox.delete()
    print("ok")


asyncio.run(main())
