"""The same client, asynchronous: make several at once, find them, stop, archive, start and delete them."""

import asyncio
import sys

from daytona import AsyncDaytona, CreateSandboxFromSnapshotParams, ListSandboxesQuery
from daytona.common.errors import DaytonaConflictError, DaytonaNotFoundError
from support import raises_async


async def main():
    async with AsyncDaytona() as client:
        names = [f"async-{n}" for n in range(4)]
        create = lambda name: client.create(CreateSandboxFromSnapshotParams(name=name, labels={"suite": "async"}))
        made = await asyncio.gather(*map(create, names))
        assert {s.state.value for s in made} == {"started"}
        await raises_async(DaytonaConflictError, create(names[0]))
        found = [s.name async for s in client.list(ListSandboxesQuery(labels={"suite": "async"}, limit=3))]
        assert sorted(found) == names, found
        first = await client.get(names[0])
        await first.stop()
        assert first.state.value == "stopped"
        await first.archive()
        await first.start()
        assert first.state.value == "started"
        await asyncio.gather(*(s.delete(wait=True) for s in made))
        await raises_async(DaytonaNotFoundError, client.get(names[0]))
    print("ok")


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
