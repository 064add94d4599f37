"""The same client, asynchronous: sandboxes that are made at once share a volume."""

import asyncio
import sys

from daytona import AsyncDaytona, CreateSandboxFromSnapshotParams, VolumeMount
from daytona.common.errors import DaytonaConflictError, DaytonaNotFoundError
from support import raises_async


async def main():
    async with AsyncDaytona() as client:
        volume = await client.volume.get("async", create=True)
        assert volume.state.value == "ready" and (await client.volume.get("async")).id == volume.id
        mount = VolumeMount(volume_id=volume.id, mount_path="/data")
        create = lambda n: client.create(CreateSandboxFromSnapshotParams(name=f"async-{n}", volumes=[mount]))
        boxes = await asyncio.gather(*map(create, range(4)))
        await asyncio.gather(*(box.process.exec(f"echo {n} > /data/{n}") for n, box in enumerate(boxes)))
        for box in boxes:
            seen = await box.process.exec("cat /data/*")
            assert seen.result.split() == ["0", "1", "2", "3"], seen.result
        await raises_async(DaytonaConflictError, client.volume.delete(volume))
        await asyncio.gather(*(box.delete(wait=True) for box in boxes))
        await client.volume.delete(volume)
        assert await client.volume.list() == []
        await raises_async(DaytonaNotFoundError, client.volume.get("async"))
    print("ok")


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
