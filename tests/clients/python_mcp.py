"""The twelve actions, with the unmodified `mcp` client over both transports, and as plain HTTP.

Each transport lists twelve tools and calls each of them with good and with bad input; every answer is held against the
output schema that the tool declares, and is never a protocol error.

The server comes from LAZARET_URL and LAZARET_API_KEY; LAZARET_PROGRAM is the command line that speaks over standard streams.
"""

import asyncio
import base64
import json
import os
import sys
import urllib.error
import urllib.request

import jsonschema
from mcp import ClientSession, MCPError, StdioServerParameters, stdio_client
from mcp.client.streamable_http import create_mcp_http_client, streamable_http_client

URL, KEY = os.environ["LAZARET_URL"], os.environ["LAZARET_API_KEY"]
NAMES = [
    "create_sandbox",
    "list_sandboxes",
    "get_sandbox",
    "start_sandbox",
    "stop_sandbox",
    "delete_sandbox",
    "run_code",
    "execute_command",
    "upload_file",
    "download_file",
    "list_files",
    "git_clone",
]
MISSING = "00000000-0000-8000-8000-000000000000"
SUMMARY = 15


def http(method, path, body=None, key=KEY):
    request = urllib.request.Request(f"{URL}{path}", data=body, method=method)
    if key:
        request.add_header("Authorization", f"Bearer {key}")
    try:
        with urllib.request.urlopen(request, timeout=130) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


class Tools:
    """Calls tools and checks what every answer must have."""

    def __init__(self, schemas, call):
        self.schemas, self.call = schemas, call

    async def __call__(self, name, /, **arguments):
        output = await self.call(name, arguments)
        schema = self.schemas[name]
        jsonschema.validate(output, schema)
        assert output.keys() == schema["properties"].keys(), output
        assert output["success"] == (output["error"] is None), output
        return output

    async def ok(self, name, /, **arguments):
        output = await self(name, **arguments)
        assert output["success"], (name, output)
        return output

    async def refused(self, name, want, /, **arguments):
        output = await self(name, **arguments)
        assert not output["success"] and want in output["error"], (name, want, output)
        return output


async def walk(tools, label):
    """Every action once as it is meant, and once for each way it refuses."""
    name = f"walk-{label}"
    made = (await tools.ok("create_sandbox", name=name, labels={"a": 1, "b": True}, env={"GREETING": "hi"}, cpu="1"))["sandbox"]
    assert len(made) == SUMMARY and made["state"] == "started" and made["name"] == name, made
    assert made["labels"] == {"a": "1", "b": "true"} and made["auto_stop_interval"] == 15, made
    id = made["id"]
    await tools.refused("create_sandbox", f"Sandbox with name {name} already exists", name=name)
    await tools.refused("create_sandbox", "env.A must be a string", env={"A": None})
    await tools.refused("create_sandbox", "cpu must be an integer", cpu=1.5)
    await tools.refused("create_sandbox", "Auto-stop interval must be non-negative", auto_stop_interval=-1)
    await tools.refused("create_sandbox", "", snapshot="127.0.0.1:1/no-such-image")

    for limit in (0, 1, 200, 1000, None):
        listed = await tools.ok("list_sandboxes", limit=limit, labels={"a": "1"}, name=name.upper())
        assert [one["id"] for one in listed["sandboxes"]] == [id] and listed["next_cursor"] is None, listed
    other = (await tools.ok("create_sandbox", auto_stop_interval=0))["sandbox"]
    assert other["auto_stop_interval"] == 0, other
    seen, cursor = [], None
    while True:
        page = await tools.ok("list_sandboxes", limit=1, cursor=cursor)
        seen += [one["id"] for one in page["sandboxes"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert sorted(seen) == sorted([id, other["id"]]), seen
    await tools.refused("list_sandboxes", "Cursor garbage is not valid", cursor="garbage")
    assert (await tools.ok("list_sandboxes", labels={"a": "2"}))["sandboxes"] == []
    await tools.ok("delete_sandbox", sandbox_id=other["id"])

    for key in (id, name):
        assert (await tools.ok("get_sandbox", sandbox_id=f" {key} "))["sandbox"]["id"] == id
        assert (await tools.ok("start_sandbox", sandbox_id=key))["sandbox"]["state"] == "started"
    await tools.refused("get_sandbox", "Sandbox ID is required.", sandbox_id="  ")
    await tools.refused("get_sandbox", "sandbox_id is required")
    await tools.refused("get_sandbox", f"Sandbox with ID or name {MISSING} not found", sandbox_id=MISSING)

    ran = await tools.ok("run_code", sandbox_id=id, code="import os; print(os.environ['X'], os.environ['GREETING'])", language="python", env={"X": 1})
    assert (ran["exit_code"], ran["result"], ran["artifacts"]) == (0, "1 hi\n", None), ran
    ran = await tools.ok("run_code", sandbox_id=id, code="raise SystemExit(3)", language="python")
    assert (ran["exit_code"], ran["result"]) == (3, ""), ran
    ran = await tools.ok("run_code", sandbox_id=id, code="const n: number = 1; console.log(n)", language="typescript")
    assert ran["result"] == "1\n", ran
    await tools.refused("run_code", "cobol", sandbox_id=id, code="1", language="cobol")
    await tools.refused("run_code", "not found", sandbox_id=name, code="1", language="python")
    await tools.refused("run_code", "timeout", sandbox_id=id, code="1", language="python", timeout=0)
    late = await tools.refused("run_code", "timeout", sandbox_id=id, code="import time; time.sleep(60)", language="python", timeout=1)
    assert late["exit_code"] is None, late

    ran = await tools.ok("execute_command", sandbox_id=id, command="echo out; echo err >&2; pwd; exit 4", cwd="/usr")
    assert ran["exit_code"] == 4 and sorted(ran["result"].split()) == ["/usr", "err", "out"], ran
    await tools.refused("execute_command", "timeout", sandbox_id=id, command="sleep 60", timeout=1)
    await tools.refused("execute_command", "command is required", sandbox_id=id)
    await tools.refused("execute_command", "", sandbox_id=id, command="true", cwd="/nowhere")

    every_byte = bytes(range(256))
    content = base64.b64encode(every_byte).decode()
    up = await tools.ok("upload_file", sandbox_id=id, destination_path="/data/in/", file_content_base64=content, file_name="ä.bin")
    assert (up["uploaded_path"], up["name"], up["size"]) == ("/data/in/ä.bin", "ä.bin", 256), up
    up = await tools.ok("upload_file", sandbox_id=id, destination_path="/data/", file_content_base64="")
    assert (up["uploaded_path"], up["name"], up["size"]) == ("/data/data", "data", 0), up
    await tools.refused("upload_file", "file_content_base64 is not valid base64: ", sandbox_id=id, destination_path="/x", file_content_base64="%%%")
    down = await tools.ok("download_file", sandbox_id=id, file_path=" /data/in/ä.bin ")
    assert base64.b64decode(down["content_base64"]) == every_byte and down["size"] == 256 and down["name"] == "ä.bin", down
    down = await tools.ok("download_file", sandbox_id=id, file_path="/data/data")
    assert (down["content_base64"], down["size"], down["mime_type"]) == ("", 0, "application/octet-stream"), down
    await tools.refused("download_file", "no such file", sandbox_id=id, file_path="/nothing")
    await tools.refused("download_file", "", sandbox_id=id, file_path="/data")
    files = {file["name"]: file for file in (await tools.ok("list_files", sandbox_id=id, path="/data"))["files"]}
    assert files.keys() == {"in", "data"} and files["in"]["is_dir"] and not files["data"]["is_dir"], files
    assert (files["data"]["mode"], files["data"]["permissions"]) == ("-rw-r--r--", "0644"), files
    await tools.ok("list_files", sandbox_id=id)
    await tools.refused("list_files", "not a directory", sandbox_id=id, path="/data/data")
    await tools.refused("list_files", "no such file", sandbox_id=id, path="/nothing")

    made = "git init -q -b main /src && cd /src && echo 1 > f && git add f && git -c user.name=a -c user.email=a@b commit -qm one"
    ran = await tools.ok("execute_command", sandbox_id=id, command=made)
    assert ran["exit_code"] == 0, ran
    cloned = await tools.ok("git_clone", sandbox_id=id, url="/src", path="/data/copy", branch="main")
    assert (cloned["repo_url"], cloned["clone_path"]) == ("/src", "/data/copy"), cloned
    copied = await tools.ok("download_file", sandbox_id=id, file_path="/data/copy/f")
    assert base64.b64decode(copied["content_base64"]) == b"1\n", copied
    await tools.refused("git_clone", "", sandbox_id=id, url="/src", path="/data/copy")
    secret = "not-to-be-told"
    cloned = await tools("git_clone", sandbox_id=id, url="https://host.invalid/a.git", path="/a", username="me", password=secret)
    assert not cloned["success"] and cloned["error"] and secret not in cloned["error"], cloned

    stopped = (await tools.ok("stop_sandbox", sandbox_id=name))["sandbox"]
    assert stopped["state"] == "stopped", stopped
    await tools.refused("stop_sandbox", "Sandbox is not in a stoppable state", sandbox_id=id)
    await tools.refused("execute_command", "stopped", sandbox_id=id, command="true")
    assert (await tools.ok("start_sandbox", sandbox_id=name))["sandbox"]["state"] == "started"
    down = await tools.ok("download_file", sandbox_id=id, file_path="/data/in/ä.bin")
    assert base64.b64decode(down["content_base64"]) == every_byte, "files survive a stop"
    gone = (await tools.ok("delete_sandbox", sandbox_id=name))["sandbox"]
    assert gone["id"] == id and gone["state"] in ("destroying", "destroyed"), gone
    await tools.refused("delete_sandbox", f"Sandbox with ID or name {id} not found", sandbox_id=id)


async def over_mcp(session, label):
    await session.initialize()
    listed = (await session.list_tools()).tools
    assert [tool.name for tool in listed] == NAMES, listed
    for tool in listed:
        assert tool.description and tool.input_schema["type"] == "object", tool
        assert "api_key" not in tool.input_schema["properties"], tool
        jsonschema.Draft202012Validator.check_schema(tool.output_schema)
        jsonschema.Draft202012Validator.check_schema(tool.input_schema)
    hints = {tool.name: tool.annotations for tool in listed}
    assert hints["get_sandbox"].read_only_hint and hints["delete_sandbox"].destructive_hint, hints

    async def call(name, arguments):
        result = await session.call_tool(name, arguments)
        assert result.is_error in (False, None), result
        (content,) = result.content
        assert json.loads(content.text) == result.structured_content, result
        return result.structured_content

    await walk(Tools({tool.name: tool.output_schema for tool in listed}, call), label)
    try:
        await session.call_tool("no_such_tool", {})
    except MCPError:
        pass
    else:
        raise AssertionError("an unknown tool is a protocol fault")


async def over_streams():
    program = StdioServerParameters(
        command=os.environ["LAZARET_PROGRAM"], args=["mcp"], env={"LAZARET_URL": URL, "LAZARET_API_KEY": KEY}
    )
    async with stdio_client(program) as (read, write), ClientSession(read, write) as session:
        await over_mcp(session, "streams")


async def over_http():
    client = create_mcp_http_client(headers={"Authorization": f"Bearer {KEY}"})
    async with streamable_http_client(f"{URL}/mcp", http_client=client) as streams:
        async with ClientSession(*streams[:2]) as session:
            await over_mcp(session, "http")


async def as_actions():
    status, listed = http("GET", "/actions")
    assert status == 200 and [action["name"] for action in listed["actions"]] == NAMES, listed
    schemas = {action["name"]: action["outputSchema"] for action in listed["actions"]}

    async def call(name, arguments):
        status, output = http("POST", f"/actions/{name}", json.dumps(arguments).encode())
        assert status == 200, (status, output)
        return output

    await walk(Tools(schemas, call), "actions")
    status, output = http("POST", "/actions/list_sandboxes", b"")
    assert status == 200 and output["success"], output
    for name, body, key, want in [
        ("list_sandboxes", b"[]", KEY, 400),
        ("list_sandboxes", b"{", KEY, 400),
        ("run_code", b"{}", None, 401),
        ("run_code", b"{}", "wrong", 401),
    ]:
        status, output = http("POST", f"/actions/{name}", body, key)
        assert status == want and output["success"] is False and output["error"], (status, output)
        jsonschema.validate(output, schemas[name])
        assert output.keys() == schemas[name]["properties"].keys(), output
    status, output = http("POST", "/actions/no_such_action", b"{}")
    assert status == 404 and output.keys() == {"success", "error"}, (status, output)
    for method in ("GET", "DELETE"):
        status = urllib.request.Request(f"{URL}/mcp", method=method, headers={"Authorization": f"Bearer {KEY}"})
        try:
            urllib.request.urlopen(status, timeout=30)
        except urllib.error.HTTPError as error:
            assert error.code == 405, error
        else:
            raise AssertionError("there are no sessions")
    foreign = urllib.request.Request(
        f"{URL}/mcp", data=b"{}", headers={"Authorization": f"Bearer {KEY}", "Origin": "https://evil.example"}
    )
    try:
        urllib.request.urlopen(foreign, timeout=30)
    except urllib.error.HTTPError as error:
        assert error.code == 403, error
    else:
        raise AssertionError("a page of another origin got in")


async def limits():
    """The largest download, and one byte more."""
    _, made = http("POST", "/actions/create_sandbox", b"{}")
    id = made["sandbox"]["id"]
    exact = 100 * 1024 * 1024
    for size, want in [(exact, None), (exact + 1, "File size (100.00MB) exceeds download limit of 100MB")]:
        command = {"sandbox_id": id, "command": f"truncate -s {size} /large", "timeout": 60}
        assert http("POST", "/actions/execute_command", json.dumps(command).encode())[1]["exit_code"] == 0
        download = {"sandbox_id": id, "file_path": "/large"}
        _, output = http("POST", "/actions/download_file", json.dumps(download).encode())
        assert output["error"] == want, output["error"]
        assert output["size"] == (size if want is None else None), output["size"]
    http("POST", "/actions/delete_sandbox", json.dumps({"sandbox_id": id}).encode())


for part in (as_actions, over_http, over_streams, limits):
    asyncio.run(part())
    print(part.__name__, file=sys.stderr)
print("ok")
