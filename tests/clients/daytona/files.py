"""Files of a sandbox, with the unmodified `daytona` package of PyPI: every call of `fs`, good and bad.

The server comes from DAYTONA_API_URL and DAYTONA_API_KEY, as the package itself reads them.
"""

import os
import sys
import tempfile

from daytona import CreateSandboxFromSnapshotParams, Daytona, FileDownloadRequest, FileUpload
from daytona.common.errors import (
    DaytonaConflictError,
    DaytonaFileNotFoundError,
    DaytonaNotFoundError,
    DaytonaValidationError,
)
from support import raises

MIB = 1 << 20


def contents(fs):
    blob = bytes(range(256)) * 300
    fs.upload_file(blob, "data/blob.bin")
    fs.upload_files([FileUpload(b"one", "data/1 é.txt"), FileUpload(b"two", "data/2.txt")])
    assert fs.download_file("data/blob.bin") == blob
    got = fs.download_files([FileDownloadRequest("data/1 é.txt"), FileDownloadRequest("data/none")])
    assert got[0].result == b"one", got[0]
    assert got[1].error_details.status_code == 404, got[1]
    assert got[1].error_details.error_code == "FILE_NOT_FOUND", got[1]
    raises(DaytonaFileNotFoundError, fs.download_file, "data/none")
    assert b"".join(fs.download_file_stream("data/blob.bin")) == blob
    assert fs.download_file("/proc/version").startswith(b"Linux version")
    # From a file to a file, larger than any buffer on the way.
    with tempfile.TemporaryDirectory() as folder:
        large, back = os.path.join(folder, "large"), os.path.join(folder, "back")
        with open(large, "wb") as file:
            for _ in range(24):
                file.write(os.urandom(MIB))
        fs.upload_file(large, "data/large")
        fs.download_file("data/large", back)
        with open(large, "rb") as one, open(back, "rb") as two:
            assert one.read() == two.read()
    fs.upload_file(b"", "data/empty")
    assert fs.download_file("data/empty") == b""
    fs.delete_file("data/empty")
    fs.delete_file("data/large")


def listings(fs):
    assert {f.name for f in fs.list_files("data")} == {"blob.bin", "1 é.txt", "2.txt"}
    info = fs.get_file_info("data/2.txt")
    assert (info.size, info.is_dir, info.permissions, info.mode) == (3, False, "0644", "-rw-r--r--")
    assert info.name == "2.txt" and info.mod_time.endswith(" +0000 UTC")
    assert fs.get_file_info("data").is_dir
    raises(DaytonaFileNotFoundError, fs.get_file_info, "data/none")
    raises(DaytonaFileNotFoundError, fs.list_files, "data/none")
    raises(DaytonaValidationError, fs.list_files, "data/2.txt")


def changes(fs):
    fs.create_folder("data/sub", "755")
    fs.create_folder("data/sub", "755")
    fs.move_files("data/2.txt", "data/sub/3.txt")
    raises(DaytonaFileNotFoundError, fs.move_files, "data/none", "data/x")
    raises(DaytonaConflictError, fs.move_files, "data/blob.bin", "data/sub")
    # Another file system.
    fs.move_files("data/sub/3.txt", "/dev/shm/3.txt")
    fs.move_files("/dev/shm/3.txt", "data/sub/3.txt")
    fs.set_file_permissions("data/sub/3.txt", mode="600")
    assert fs.get_file_info("data/sub/3.txt").permissions == "0600"
    raises(DaytonaValidationError, fs.set_file_permissions, "data/sub/3.txt", mode="999")
    raises(DaytonaValidationError, fs.set_file_permissions, "data/sub/3.txt", owner="no-such-user")
    raises(DaytonaNotFoundError, fs.set_file_permissions, "data/none", mode="600")
    assert fs.find_files("data", "two")[0].line == 1
    found = fs.find_files("data", "two")[0]
    assert (found.file, found.content) == ("data/sub/3.txt", "two"), found
    assert fs.find_files("data", "no such text") == []
    assert len(fs.search_files("data", "*.txt").files) == 2
    assert fs.search_files("data", "sub").files == ["data/sub"]
    raises(DaytonaValidationError, fs.search_files, "data", "[")
    results = fs.replace_in_files(["data/sub/3.txt", "data/none"], "two", "2")
    assert [r.success for r in results] == [True, False] and results[1].error, results
    assert fs.download_file("data/sub/3.txt") == b"2"
    raises(DaytonaValidationError, fs.delete_file, "data/sub")
    fs.delete_file("data/sub", recursive=True)
    raises(DaytonaFileNotFoundError, fs.get_file_info, "data/sub")
    raises(DaytonaFileNotFoundError, fs.delete_file, "data/sub")


def main():
    client = Daytona()
    sandbox = client.create(CreateSandboxFromSnapshotParams(name="files"))
    try:
        contents(sandbox.fs)
        listings(sandbox.fs)
        changes(sandbox.fs)
        work = sandbox.get_work_dir()
        assert sandbox.fs.download_file(f"{work}/data/blob.bin") == sandbox.fs.download_file("data/blob.bin")
    finally:
        sandbox.delete()
    print("ok")


if __name__ == "__main__":
    sys.exit(main())
