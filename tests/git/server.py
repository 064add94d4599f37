"""A git server over HTTP for tests: `git http-backend` behind Python's own server.

    server.py ROOT [ADDRESS:]PORT [USER PASSWORD]

Serves the repositories beneath ROOT, to be read and pushed to; with a user, to nobody else. Paths that begin with
/moved/ are redirected to the same path without it. Prints one line when it listens.
"""

import base64
import os
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ROOT = sys.argv[1]
ADDRESS, _, PORT = sys.argv[2].rpartition(":")
WANTED = None
if len(sys.argv) > 4:
    WANTED = "Basic " + base64.b64encode(f"{sys.argv[3]}:{sys.argv[4]}".encode()).decode()


class Handler(BaseHTTPRequestHandler):
    def answer(self):
        if self.path.startswith("/moved/"):
            self.send_response(301)
            self.send_header("Location", self.path[len("/moved"):])
            self.send_header("Content-Length", "0")
            return self.end_headers()
        if WANTED and self.headers.get("Authorization") != WANTED:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="test"')
            self.send_header("Content-Length", "0")
            return self.end_headers()
        path, _, query = self.path.partition("?")
        environment = dict(
            os.environ,
            GIT_PROJECT_ROOT=ROOT,
            GIT_HTTP_EXPORT_ALL="1",
            GIT_CONFIG_COUNT="2",
            GIT_CONFIG_KEY_0="http.receivepack",
            GIT_CONFIG_VALUE_0="true",
            GIT_CONFIG_KEY_1="safe.directory",
            GIT_CONFIG_VALUE_1="*",
            PATH_INFO=path,
            QUERY_STRING=query,
            REQUEST_METHOD=self.command,
            CONTENT_TYPE=self.headers.get("Content-Type", ""),
            REMOTE_USER="test",
            REMOTE_ADDR="127.0.0.1",
        )
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        done = subprocess.run(
            ["git", "http-backend"], input=body, env=environment, capture_output=True, check=False
        )
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        headers = [line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line]
        status = next((value for name, value in headers if name == "Status"), "200 OK")
        self.send_response(int(status.split()[0]))
        for name, value in headers:
            if name != "Status":
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = answer

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer((ADDRESS or "127.0.0.1", int(PORT)), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
