"""The `openai` package's own tests of containers and files, against a real server.

The suite was written for a mock that answers by schema: it names fixtures that no server has (`container_id`,
`file_id`), deletes them again and again, and sends values that a server must refuse (`minutes: 0`). A proxy between the
two supplies exactly that and nothing else: what it forwards and what comes back is the server's own.

    pytest ──container_id──▶ proxy ──cntr_…──▶ server

The one argument is the folder with the package's source archive, unpacked.
"""

import http.client
import http.server
import json
import os
import re
import subprocess
import sys
import threading
import urllib.parse

from openai import OpenAI

SUITES = ["tests/api_resources/test_containers.py", "tests/api_resources/containers", "tests/api_resources/test_files.py"]

# Fewer would mean that the suite was not found, or that most of it was skipped.
PASSED_MIN = 300

# What the suite takes is half a minute on two processors.
LIMIT_S = 150

HOP_BY_HOP = {"connection", "content-length", "host", "transfer-encoding"}


class Fixtures:
    """What the suite's placeholders stand for on the real server."""

    def __init__(self):
        self.client = OpenAI(max_retries=0)
        self.upload = self.make_upload()
        self.container = self.make_container()
        self.file = self.make_file()

    def make_upload(self):
        return self.client.files.create(file=("fixture", b"fixture"), purpose="user_data").id

    def make_container(self):
        return self.client.containers.create(name="fixture").id

    def make_file(self):
        return self.client.containers.files.create(self.container, file=("fixture", b"fixture")).id

    def path(self, method, path):
        """The path with placeholders replaced. A DELETE gets an object of its own, so that the fixture survives."""
        deletes = method == "DELETE"
        if re.fullmatch(r".*/containers/container_id/files/file_id", path):
            made = self.make_file() if deletes else self.file
            return path.replace("container_id", self.container).replace("file_id", made)
        if re.fullmatch(r".*/containers/container_id", path):
            return path.replace("container_id", self.make_container() if deletes else self.container)
        path = path.replace("/containers/container_id/", f"/containers/{self.container}/")
        if re.fullmatch(r".*/files/file_id(/content)?", path) and "/containers/" not in path:
            path = path.replace("file_id", self.make_upload() if deletes else self.upload)
        return path

    def query(self, path, query):
        """Cursors, limits and purposes that mean something."""
        if path.endswith("/containers"):
            cursor = self.container
        else:
            cursor = self.file if "/containers/" in path else self.upload
        real = {"after": cursor, "limit": "1", "purpose": "user_data"}
        return [(name, real.get(name, value)) for name, value in query]

    def body(self, path, content_type, body):
        """A JSON body without what the server is right to refuse."""
        if not content_type.startswith("application/json") or not body:
            return body
        value = json.loads(body)
        if "expires_after" in value:
            value["expires_after"]["minutes"] = 1
        if "file_ids" in value:
            value["file_ids"] = [self.upload]
        value.pop("skills", None)
        if path.endswith("/files") and not value:
            value["file_id"] = self.upload
        return json.dumps(value).encode()


class Proxy(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    fixtures = None
    upstream = None

    def forward(self):
        split = urllib.parse.urlsplit(self.path)
        path = self.fixtures.path(self.command, split.path)
        query = self.fixtures.query(split.path, urllib.parse.parse_qsl(split.query))
        headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP_BY_HOP}
        body = self.fixtures.body(split.path, self.headers.get("content-type", ""), self.read_body())
        target = path + (f"?{urllib.parse.urlencode(query)}" if query else "")
        connection = http.client.HTTPConnection(self.upstream, timeout=30)
        connection.request(self.command, target, body or None, headers)
        response = connection.getresponse()
        content = response.read()
        self.send_response(response.status)
        for name, value in response.getheaders():
            if name.lower() not in HOP_BY_HOP:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        connection.close()

    do_GET = do_POST = do_DELETE = forward

    def read_body(self):
        if self.headers.get("transfer-encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("content-length", 0)))
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def log_message(self, *_):
        """The suite's own report is enough."""


def main():
    source = sys.argv[1]
    base = urllib.parse.urlsplit(os.environ["OPENAI_BASE_URL"])
    Proxy.fixtures, Proxy.upstream = Fixtures(), base.netloc
    proxy = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    # The suite brings its own base URL and key; ours must not be picked up beside them.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OPENAI_")}
    environment["TEST_API_BASE_URL"] = f"http://127.0.0.1:{proxy.server_port}/v1"
    run = subprocess.run(
        # Their `addopts` asks for a plug-in that spreads the tests over processes, which nothing here needs.
        [sys.executable, "-m", "pytest", "-q", "-o", "addopts=", "--tb=short", *SUITES],
        cwd=source,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    proxy.shutdown()
    print(run.stdout[-20_000:])
    passed = re.search(r"(\d+) passed", run.stdout)
    if run.returncode == 0 and passed and int(passed[1]) >= PASSED_MIN:
        print("ok")
        return 0
    return 1


if __name__ == "__main__":
    sys.exit(main())
