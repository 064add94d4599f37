"""Language servers in sandboxes, with the unmodified `daytona` package of PyPI: a real one, none, and one that is none.

    lsp.py IMAGE

The server comes from DAYTONA_API_URL and DAYTONA_API_KEY; its default image has `pylsp`. LAZARET_URL is its native API, by which
sandboxes of IMAGE are made, which is BusyBox and nothing else.
"""

import json
import os
import sys
import urllib.request

from daytona import CreateSandboxFromSnapshotParams, Daytona
from daytona.common.errors import (
    DaytonaBadGatewayError,
    DaytonaBadRequestError,
    DaytonaLspServerNotInitializedError,
    DaytonaNotFoundError,
)
from daytona.common.lsp_server import LspCompletionPosition

URL, KEY = os.environ["LAZARET_URL"], os.environ["LAZARET_API_KEY"]

SHAPES = b'''"""Shapes."""


class Square:
    """A square."""

    def area(self):
        return 4


def make():
    return Square()


make().
'''


def raises(kind, fn, *args):
    try:
        fn(*args)
    except kind as error:
        return str(error)
    raise AssertionError(f"{fn} did not raise {kind.__name__}")


def names(symbols):
    return [symbol.name for symbol in symbols]


def running(sandbox):
    """How many language servers run."""
    return int(sandbox.process.exec("pgrep -c -f '[/]pylsp' || true").result)


def a_server_of_the_image(sandbox):
    project = f"{sandbox.get_work_dir()}/a project"
    path = f"{project}/shapes.py"
    sandbox.fs.create_folder(project, "755")
    sandbox.fs.upload_file(SHAPES, path)
    lsp = sandbox.create_lsp_server("python", project)
    assert "not found" in raises(DaytonaLspServerNotInitializedError, lsp.document_symbols, path)

    lsp.start()
    lsp.start()
    raises(DaytonaNotFoundError, lsp.did_open, f"{project}/none.py")
    lsp.did_open(path)
    symbols = {symbol.name: symbol for symbol in lsp.document_symbols(path)}
    assert {"Square", "area", "make"} <= symbols.keys(), symbols
    location = symbols["make"].location
    assert location.uri == f"file://{path}".replace(" ", "%20"), location
    assert (location.range.start.line, symbols["make"].kind) == (10, 12), symbols["make"]

    place = LspCompletionPosition(line=14, character=7)
    found = {item.label: item for item in lsp.completions(path, place).items}
    area = found["area()"]
    assert area.kind is not None and area.insert_text == "area", area

    # What is in the file now is what the server is asked about, once it was told.
    sandbox.fs.upload_file(b"class Circle:\n    pass\n", path)
    assert "Square" in names(lsp.document_symbols(path))
    lsp.did_open("shapes.py")
    assert names(lsp.document_symbols(path)) == ["Circle"]

    # This server does not know the question; it says so, and goes on.
    assert "workspace/symbol" in raises(DaytonaBadRequestError, lsp.sandbox_symbols, "Circle")
    lsp.did_close(path)
    assert names(lsp.document_symbols(path)) == ["Circle"]

    assert running(sandbox) == 1
    lsp.stop()
    lsp.stop()
    assert running(sandbox) == 0
    raises(DaytonaLspServerNotInitializedError, lsp.did_open, path)


def no_server(sandbox):
    said = raises(DaytonaBadRequestError, sandbox.create_lsp_server("python", "/tmp").start)
    assert "python needs one of pylsp, pyright-langserver, basedpyright-langserver" in said, said
    said = raises(DaytonaBadRequestError, sandbox.create_lsp_server("typescript", "/tmp").start)
    assert "typescript needs typescript-language-server" in said, said


def servers_that_are_none(sandbox):
    for script, kind, why in [
        ("printf 'hello\\r\\n\\r\\n'; exec cat", DaytonaBadGatewayError, "does not speak the protocol"),
        ("exec cat /dev/zero >&2", DaytonaBadGatewayError, "does not speak the protocol"),
        ("exec cat /dev/zero", DaytonaBadGatewayError, "does not speak the protocol"),
        ("echo 'no such module' >&2; exit 3", DaytonaLspServerNotInitializedError, "('no such module'): has ended"),
    ]:
        sandbox.fs.upload_file(f"#!/bin/sh\n{script}\n".encode(), "/bin/pylsp")
        sandbox.fs.set_file_permissions("/bin/pylsp", mode="755")
        said = raises(kind, sandbox.create_lsp_server("python", "/tmp").start)
        assert why in said, (script, said)
    assert sandbox.fs.download_file("/bin/pylsp").endswith(b"exit 3\n"), "the sandbox lives"


def made_of(image):
    request = urllib.request.Request(
        f"{URL}/lazaret/v1/sandboxes",
        data=json.dumps({"image": image}).encode(),
        headers={"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return Daytona().get(json.load(answer)["id"])


def main():
    sandbox = Daytona().create(CreateSandboxFromSnapshotParams(name="languages"))
    try:
        a_server_of_the_image(sandbox)
    finally:
        sandbox.delete()
    sandbox = made_of(sys.argv[1])
    try:
        no_server(sandbox)
        servers_that_are_none(sandbox)
    finally:
        sandbox.delete()
    print("ok")


main()
