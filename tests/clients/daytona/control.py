"""Sandboxes as a whole, with the unmodified `daytona` package of PyPI: make, list, change, stop, archive, delete.

The server comes from DAYTONA_API_URL and DAYTONA_API_KEY, as the package itself reads them; LAZARET_URL is its native API.
"""

import io
import os
import sys
import tarfile
import time
import urllib.request

from daytona import (
    CreateSandboxFromImageParams,
    CreateSandboxFromSnapshotParams,
    CreateSnapshotParams,
    Daytona,
    DaytonaConfig,
    Image,
    ListSandboxesQuery,
    Resources,
)
from daytona.common.errors import (
    DaytonaAuthenticationError,
    DaytonaConflictError,
    DaytonaError,
    DaytonaNotFoundError,
    DaytonaValidationError,
)
from support import raises

# An image of the test's own to build on: the built-in one is the host's own /usr, on which nothing can be built.
BASE = "busybox:1"
URL, KEY = os.environ["LAZARET_URL"], os.environ["LAZARET_API_KEY"]
GIB = 1 << 30


def file(sandbox, path, content=None):
    """A file through the native API, which speaks of the same sandbox."""
    request = urllib.request.Request(
        f"{URL}/lazaret/v1/sandboxes/{sandbox.id}/files{path}",
        data=content,
        method="PUT" if content is not None else "GET",
        headers={"Authorization": f"Bearer {KEY}"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.read()


def import_base():
    """Imports the host's static busybox as an image, through the native API."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.add("/bin/busybox", "bin/busybox")
        for name in ("dev", "etc", "proc", "root", "sys", "tmp"):
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(folder)
        for name in ("sh", "cat", "echo", "sleep"):
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
    request = urllib.request.Request(
        f"{URL}/lazaret/v1/images/import?name={BASE}&source=rootfs-tar",
        data=archive.getvalue(),
        headers={"Authorization": f"Bearer {KEY}"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert answer.status == 201, answer.status


def defaults(client):
    """No parameter at all."""
    sandbox = client.create()
    try:
        assert sandbox.state.value == "started", sandbox.state
        assert sandbox.labels == {"code-toolbox-language": "python"}, sandbox.labels
        assert min(sandbox.cpu, sandbox.memory, sandbox.disk) > 0
        assert sandbox.organization_id and sandbox.created_at and sandbox.name
        assert sandbox.auto_stop_interval == 15 and sandbox.auto_archive_interval == 7 * 24 * 60
        assert sandbox.auto_delete_interval == -1 and sandbox.public is False and sandbox.kvm is False
        assert sandbox.get_work_dir().startswith("/") and sandbox.get_user_home_dir().startswith("/")
    finally:
        client.delete(sandbox, wait=True)
    assert sandbox.state.value == "destroyed", sandbox.state
    raises(DaytonaNotFoundError, client.get, sandbox.id)
    raises(DaytonaNotFoundError, sandbox.refresh_data)


def finding(client):
    tag = "find"
    made = [
        client.create(CreateSandboxFromSnapshotParams(name=f"{tag}-{n}", labels={"suite": tag, "n": str(n)}))
        for n in range(3)
    ]
    try:
        raises(DaytonaConflictError, client.create, CreateSandboxFromSnapshotParams(name=f"{tag}-1"))
        found = list(client.list(ListSandboxesQuery(labels={"suite": tag}, limit=1)))
        assert sorted(s.id for s in found) == sorted(s.id for s in made), "three pages of one"
        one = list(client.list(ListSandboxesQuery(labels={"suite": tag, "n": "2"})))
        assert [s.name for s in one] == [f"{tag}-2"]
        assert client.get(f"{tag}-0").id == client.get(made[0].id).id == made[0].id
        raises(DaytonaNotFoundError, client.get, "no-such-sandbox")
        raises(DaytonaValidationError, client.create, CreateSandboxFromSnapshotParams(snapshot="no-such"))
    finally:
        for sandbox in made:
            sandbox.delete()


def changing(client):
    sandbox = client.create(
        CreateSandboxFromImageParams(
            image=BASE, name="change", resources=Resources(cpu=1, memory=1, disk=1), env_vars={"GREETING": "hello"}
        )
    )
    try:
        assert (sandbox.cpu, sandbox.memory, sandbox.disk) == (1, 1, 1) and sandbox.env == {"GREETING": "hello"}
        assert sandbox.set_labels({"k": "v"}) == {"k": "v"}
        sandbox.set_autostop_interval(0)
        sandbox.set_auto_archive_interval(60)
        sandbox.set_auto_delete_interval(-1)
        sandbox.set_public(True)
        sandbox.resize(Resources(cpu=2, memory=2))
        sandbox.refresh_activity()
        sandbox.refresh_data()
        assert (sandbox.auto_stop_interval, sandbox.auto_archive_interval) == (0, 60)
        assert (sandbox.cpu, sandbox.memory, sandbox.public, sandbox.labels) == (2, 2, True, {"k": "v"})
        raises(DaytonaError, sandbox.resize, Resources(memory=1))
        sandbox.stop()
        sandbox.resize(Resources(disk=2))
        assert sandbox.disk == 2
        sandbox.start()
        assert sandbox.state.value == "started"
    finally:
        sandbox.delete(wait=True)


def building(client):
    """A declared image is built here."""
    image = Image.base(BASE).run_commands("echo built > /root/made").workdir("/srv").env({"A": "1"})
    sandbox = client.create(CreateSandboxFromImageParams(image=image, name="built"), timeout=120)
    try:
        assert file(sandbox, "/root/made") == b"built\n"
        assert sandbox.get_work_dir() == "/srv", sandbox.get_work_dir()
    finally:
        sandbox.delete(wait=True)


def snapshots(client):
    """Snapshots of an image, of a Dockerfile and of a stopped sandbox, and sandboxes of them."""
    plain = client.snapshot.create(CreateSnapshotParams(name="plain", image=BASE, resources=Resources(cpu=2)))
    assert plain.state == "active" and plain.cpu == 2, plain
    image = Image.base(BASE).run_commands("echo built > /root/made")
    declared = client.snapshot.create(CreateSnapshotParams(name="declared", image=image), timeout=120)
    assert declared.state == "active", declared
    sandbox = client.create(CreateSandboxFromSnapshotParams(snapshot="declared"))
    assert file(sandbox, "/root/made") == b"built\n" and sandbox.snapshot == "declared"
    raises(DaytonaConflictError, client.snapshot.create, CreateSnapshotParams(name="plain", image=BASE))
    assert client.snapshot.get("plain").id == plain.id
    assert {s.name for s in client.snapshot.list().items} == {"plain", "declared"}
    sandbox.delete(wait=True)
    client.snapshot.delete(plain)
    client.snapshot.delete(declared)
    raises(DaytonaNotFoundError, client.snapshot.get, "plain")


def surviving(client):
    """Files survive stop and start, and archive and start."""
    sandbox = client.create(CreateSandboxFromSnapshotParams(name="survivor", auto_stop_interval=30))
    blob = bytes(range(256)) * 400
    try:
        file(sandbox, "/root/blob.bin", blob)
        for way in ("stop", "archive"):
            sandbox.stop()
            assert sandbox.state.value == "stopped"
            if way == "archive":
                sandbox.archive()
                sandbox.refresh_data()
                assert sandbox.state.value == "archived", sandbox.state
            sandbox.start()
            assert sandbox.state.value == "started"
            assert file(sandbox, "/root/blob.bin") == blob, way
        raises(DaytonaValidationError, sandbox.archive)
        sandbox.stop(force=True)
    finally:
        sandbox.delete(wait=True)


def ephemeral(client):
    sandbox = client.create(CreateSandboxFromSnapshotParams(ephemeral=True))
    sandbox.stop()
    assert sandbox.state.value == "destroyed", sandbox.state
    raises(DaytonaNotFoundError, client.get, sandbox.id)


def hearing(client):
    """A second client hears of what the first does, without asking."""
    other = Daytona()
    sandbox = client.create(CreateSandboxFromSnapshotParams(name="heard"))
    try:
        watcher = other.get("heard")
        deadline = time.monotonic() + 20
        while not other._event_dispatcher.is_connected:
            assert time.monotonic() < deadline, "the events never connected"
            time.sleep(0.05)
        sandbox.stop()
        while watcher.state.value != "stopped":
            assert time.monotonic() < deadline, f"it was never told: {watcher.state}"
            time.sleep(0.05)
    finally:
        sandbox.delete(wait=True)


def refused():
    stranger = Daytona(DaytonaConfig(api_key="wrong", api_url=os.environ["DAYTONA_API_URL"]))
    raises(DaytonaAuthenticationError, stranger.get, "x")


def main():
    client = Daytona()
    import_base()
    for part in (defaults, finding, changing, building, snapshots, surviving, ephemeral):
        part(client)
    if os.environ.get("DAYTONA_USE_DEPRECATED_POLLING") != "true":
        hearing(client)
    refused()
    assert list(client.list()) == [], "nothing is left"
    print("ok")


if __name__ == "__main__":
    sys.exit(main())
