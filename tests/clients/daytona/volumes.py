"""Volumes with the unmodified `daytona` package of PyPI: make, find, share between sandboxes, delete.

The server comes from DAYTONA_API_URL and DAYTONA_API_KEY, as the package itself reads them; LAZARET_URL is its native API.
"""

import sys

from daytona import CreateSandboxFromSnapshotParams, Daytona, VolumeMount
from daytona.common.errors import DaytonaConflictError, DaytonaError, DaytonaNotFoundError, DaytonaValidationError
from support import raises


def sandbox(client, name, *mounts):
    return client.create(CreateSandboxFromSnapshotParams(name=name, volumes=list(mounts)))


def run(box, command):
    done = box.process.exec(command)
    assert done.exit_code == 0, done.result
    return done.result


def finding(client):
    volume = client.volume.create("found")
    try:
        assert volume.state.value == "ready" and volume.name == "found" and volume.organization_id, volume
        assert client.volume.get("found").id == volume.id
        assert [v.id for v in client.volume.list() if v.name == "found"] == [volume.id]
        raises(DaytonaConflictError, client.volume.create, "found")
        raises(DaytonaValidationError, client.volume.create, "a/b")
        raises(DaytonaNotFoundError, client.volume.get, "absent")
        assert client.volume.get("found", create=True).id == volume.id
        made = client.volume.get("made", create=True)
        assert made.state.value == "ready" and made.id != volume.id
        client.volume.delete(made)
    finally:
        client.volume.delete(volume)
    assert [v.name for v in client.volume.list()] == []
    raises(DaytonaNotFoundError, client.volume.get, "found")


def sharing(client):
    volume = client.volume.get("shared", create=True)
    one = sandbox(client, "one", VolumeMount(volume_id=volume.id, mount_path="/data"))
    other = sandbox(client, "other", VolumeMount(volume_id="shared", mount_path="/srv/data"))
    try:
        shown = one.volumes
        assert [(v.volume_id, v.mount_path) for v in shown] == [(volume.id, "/data")], shown
        run(one, "echo hello > /data/file")
        assert run(other, "cat /srv/data/file").strip() == "hello"
        other.fs.upload_file(b"from the other", "/srv/data/up")
        assert one.fs.download_file("/data/up") == b"from the other"
        raises(DaytonaConflictError, client.volume.delete, volume)
        one.stop()
        raises(DaytonaConflictError, client.volume.delete, volume)
        one.start()
        assert run(one, "cat /data/file").strip() == "hello"
    finally:
        one.delete(wait=True)
        other.delete(wait=True)
    # The files outlive both.
    later = sandbox(client, "later", VolumeMount(volume_id=volume.id, mount_path="/data"))
    try:
        assert run(later, "cat /data/file").strip() == "hello"
    finally:
        later.delete(wait=True)
    assert client.volume.get("shared").last_used_at
    client.volume.delete(volume)


def subpaths(client):
    volume = client.volume.create("tenants")
    alice, bob = (
        sandbox(client, name, VolumeMount(volume_id=volume.id, mount_path="/data", subpath=f"users/{name}"))
        for name in ("alice", "bob")
    )
    whole = sandbox(client, "whole", VolumeMount(volume_id=volume.id, mount_path="/data"))
    try:
        run(alice, "echo a > /data/of-alice")
        assert run(bob, "ls -A /data").strip() == ""
        assert "of-alice" not in run(bob, "ls -A /data/.. /data")
        assert run(whole, "find /data -type f").split() == ["/data/users/alice/of-alice"]
    finally:
        for box in (alice, bob, whole):
            box.delete(wait=True)
        client.volume.delete(volume)


def refusals(client):
    volume = client.volume.create("refused")
    try:
        for mount in (
            VolumeMount(volume_id=volume.id, mount_path="data"),
            VolumeMount(volume_id=volume.id, mount_path="/"),
            VolumeMount(volume_id=volume.id, mount_path="/proc/x"),
            VolumeMount(volume_id=volume.id, mount_path="/data/../etc"),
            VolumeMount(volume_id=volume.id, mount_path="/data", subpath="../up"),
        ):
            error = raises(DaytonaError, sandbox, client, "refused", mount)
            assert error.status_code == 400 and "volumes" in str(error), error
        twice = [VolumeMount(volume_id=volume.id, mount_path="/data")] * 2
        raises(DaytonaValidationError, sandbox, client, "refused", *twice)
        raises(DaytonaNotFoundError, sandbox, client, "refused", VolumeMount(volume_id="absent", mount_path="/data"))
    finally:
        client.volume.delete(volume)


def main():
    client = Daytona()
    finding(client)
    sharing(client)
    subpaths(client)
    refusals(client)
    print("ok")


if __name__ == "__main__":
    sys.exit(main())
