"""Previews and signed file URLs, with the unmodified `daytona` package of PyPI, against a server that runs inside.

The server comes from DAYTONA_API_URL and DAYTONA_API_KEY; LAZARET_URL is its native API, by which the server inside is started.
"""

import http.client
import json
import os
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

from daytona import CreateSandboxFromSnapshotParams, Daytona

URL, KEY = os.environ["LAZARET_URL"], os.environ["LAZARET_API_KEY"]
SERVER = urllib.parse.urlsplit(URL)


def background(sandbox, *command):
    request = urllib.request.Request(
        f"{URL}/lazaret/v1/sandboxes/{sandbox.id}/exec",
        data=json.dumps({"command": command, "background": True}).encode(),
        headers={"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"},
    )
    urllib.request.urlopen(request, timeout=30).close()


def visit(url, **headers):
    """The status and body at a preview's URL, whose host name need not be known to this machine."""
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(SERVER.hostname, SERVER.port, timeout=30)
    connection.request("GET", parts.path or "/", headers={"Host": parts.netloc, **headers})
    answer = connection.getresponse()
    try:
        return answer.status, answer.read()
    finally:
        connection.close()


def main():
    sandbox = Daytona().create(CreateSandboxFromSnapshotParams(name="previews"))
    try:
        sandbox.fs.upload_file(b"hello", "/srv/index.html")
        background(sandbox, "python3", "-m", "http.server", "8080", "--bind", "127.0.0.1", "--directory", "/srv")
        link = sandbox.get_preview_link(8080)
        token = {"X-Daytona-Preview-Token": link.token}
        for _ in range(200):
            if visit(link.url, **token)[0] != 502:
                break
            time.sleep(0.1)
        assert visit(link.url, **token) == (200, b"hello")
        assert visit(link.url, Authorization=f"Bearer {KEY}") == (200, b"hello")
        assert visit(link.url)[0] == 401
        assert visit(link.url, **{"X-Daytona-Preview-Token": "0" * 40})[0] == 401
        signed = sandbox.create_signed_preview_url(8080, expires_in_seconds=120)
        assert visit(signed.url) == (200, b"hello")
        sandbox.expire_signed_preview_url(8080, signed.token)
        assert visit(signed.url)[0] == 401

        assert urllib.request.urlopen(sandbox.download_url("/srv/index.html"), timeout=30).read() == b"hello"
        upload = sandbox.upload_url("/srv/new é.txt", ttl_seconds=60)
        body = b'--b\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\nnew\r\n--b--\r\n'
        kind = {"Content-Type": "multipart/form-data; boundary=b"}
        urllib.request.urlopen(urllib.request.Request(upload, body, kind), timeout=30).close()
        assert sandbox.fs.download_file("/srv/new é.txt") == b"new"
        old = sandbox.download_url("/srv/index.html")
        sandbox.rotate_signing_key()
        try:
            urllib.request.urlopen(old, timeout=30)
            raise AssertionError("a URL of the old key still opens")
        except urllib.error.HTTPError as error:
            assert error.code == 401, error
        assert urllib.request.urlopen(sandbox.download_url("/srv/index.html"), timeout=30).read() == b"hello"
    finally:
        sandbox.delete()
    print("ok")


if __name__ == "__main__":
    sys.exit(main())
