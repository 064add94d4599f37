"""The same client, asynchronous: files and repositories of one sandbox."""

import asyncio
import sys

from daytona import AsyncDaytona, CreateSandboxFromSnapshotParams, FileDownloadRequest, FileUpload
from daytona.common.errors import DaytonaFileNotFoundError, DaytonaGitRepoNotFoundError
from support import raises_async


async def main():
    async with AsyncDaytona() as client:
        sandbox = await client.create(CreateSandboxFromSnapshotParams(name="files-async"))
        fs, git = sandbox.fs, sandbox.git
        try:
            await fs.upload_files([FileUpload(b"x" * n, f"many/{n} é.txt") for n in range(20)])
            asked = [FileDownloadRequest(f"many/{n} é.txt") for n in range(21)]
            got = await fs.download_files(asked)
            assert [one.result for one in got[:20]] == [b"x" * n for n in range(20)]
            assert got[20].error_details.status_code == 404
            await raises_async(DaytonaFileNotFoundError, fs.download_file("many/none"))
            assert len(await fs.list_files("many")) == 20
            assert (await fs.get_file_info("many/7 é.txt")).size == 7
            assert len((await fs.search_files("many", "1? *.txt")).files) == 10
            assert len(await fs.find_files("many", "xxxxxxxxxxxxxxxxxxx")) == 1
            await fs.create_folder("repo", "755")
            await git.init("repo", initial_branch="main")
            await fs.upload_file(b"one\n", "repo/a")
            await git.add("repo", ["."])
            commit = await git.commit("repo", "first", "Ada", "ada@example.org")
            status = await git.status("repo")
            assert (status.current_branch, status.file_status) == ("main", []), status
            assert commit.sha and (await git.branches("repo")).branches == ["main"]
            await raises_async(DaytonaGitRepoNotFoundError, git.status("many"))
        finally:
            await sandbox.delete()
    print("ok")


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
