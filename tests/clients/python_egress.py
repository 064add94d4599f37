"""Containers that reach one name and no other, with the unmodified `openai` package.

Make a container whose `network_policy` allows one domain, put the authority of the test's own Internet into it as a file,
and have Python inside fetch pages: the allowed one arrives over HTTP and HTTPS, another does not exist. Then ask for what
the server's operator does not allow, and for policies that are none.

The server comes from OPENAI_BASE_URL and OPENAI_API_KEY, as every user of the package sets them; the only argument is the
authority's certificate. The server itself trusts it as well, so that it hands a secret to that host.
"""

import json
import os
import sys
import urllib.request

import openai
from openai import OpenAI

# Runs in the container with nothing but the standard library.
PROGRAM = """
import os, ssl, sys, urllib.request
trust = ssl.create_default_context(cafile=sys.argv[1])
for url in sys.argv[2:]:
    try:
        request = urllib.request.Request(url)
        if "API_KEY" in os.environ:
            request.add_header("Authorization", "Bearer " + os.environ["API_KEY"])
        with urllib.request.urlopen(request, timeout=20, context=trust) as page:
            print(page.status, page.read().decode().split(": ", 1)[1].strip())
    except Exception as error:
        print(type(error).__name__, error)
"""


def run_python(container_id, *arguments):
    """Runs PROGRAM through the native API, which takes the container's id as it is."""
    base = os.environ["OPENAI_BASE_URL"].removesuffix("/v1")
    command = ["python3", "-c", PROGRAM, *arguments]
    request = urllib.request.Request(
        f"{base}/lazaret/v1/sandboxes/{container_id}/exec",
        data=json.dumps({"command": command, "timeout_ms": 60_000}).encode(),
        headers={
            "Authorization": f"Bearer {os.environ['OPENAI_API_KEY']}",
            "Content-Type": "application/json",
        },
    )
    with urllib.request.urlopen(request, timeout=90) as response:
        result = json.load(response)
    assert result["exit_code"] == 0, result
    return result["stdout"].splitlines()


def refused(client, policy):
    """The error that a policy is refused with."""
    try:
        client.containers.create(name="refused", network_policy=policy)
    except openai.BadRequestError as error:
        return error.code, error.param, error.body["message"]
    raise AssertionError(f"made a container with {policy}")


def main():
    client = OpenAI()
    policy = {"type": "allowlist", "allowed_domains": ["Allowed.example"]}
    container = client.containers.create(name="networked", network_policy=policy)
    assert container.network_policy.type == "allowlist", container
    assert container.network_policy.allowed_domains == ["allowed.example"], container
    with open(sys.argv[1], "rb") as certificate:
        file = client.containers.files.create(container.id, file=("authority.pem", certificate))
    lines = run_python(
        container.id,
        file.path,
        "http://allowed.example/one",
        "https://allowed.example/two",
        "https://other.example/three",
        "http://93.184.0.20/four",
    )
    assert lines[:2] == ["200 GET /one for allowed.example", "200 GET /two for allowed.example"], lines
    assert lines[2].startswith("URLError") and "not known" in lines[2], lines
    assert lines[3].startswith("HTTPError HTTP Error 403"), lines

    closed = client.containers.create(name="closed", network_policy={"type": "disabled"})
    assert closed.network_policy.type == "disabled", closed
    with open(sys.argv[1], "rb") as certificate:
        file = client.containers.files.create(closed.id, file=("authority.pem", certificate))
    lines = run_python(closed.id, file.path, "http://allowed.example/", "http://93.184.0.10/")
    assert [line.split(" ")[0] for line in lines] == ["URLError", "URLError"], lines

    secret = {"domain": "allowed.example", "name": "API_KEY", "value": "hunter2-and-more"}
    policy = {"type": "allowlist", "allowed_domains": ["allowed.example"], "domain_secrets": [secret]}
    trusted = client.containers.create(name="trusted", network_policy=policy)
    for shown in (trusted, client.containers.retrieve(trusted.id)):
        assert "hunter2" not in shown.model_dump_json(), "a secret is never told"
    (line,) = run_python(trusted.id, "/etc/lazaret/ca-bundle.crt", "https://allowed.example/five")
    name, _, echoed = line.rpartition(" with ")
    assert name == "200 GET /five for allowed.example", line
    assert echoed == "Bearer ****************", "what was sent is told back without the value"
    unmatched = dict(secret, domain="other.example")
    elsewhere = refused(client, {**policy, "domain_secrets": [unmatched]})
    assert elsewhere[:2] == ("invalid_value", "network_policy.domain_secrets"), elsewhere
    assert "hunter2" not in elsewhere[2], "a secret is never told"

    outside = refused(client, {"type": "allowlist", "allowed_domains": ["allowed.example", "evil.test"]})
    assert outside[:2] == ("invalid_value", "network_policy.allowed_domains"), outside
    assert "evil.test" in outside[2], outside
    address = refused(client, {"type": "allowlist", "allowed_domains": ["93.184.0.20"]})
    assert address[:2] == ("invalid_value", "network_policy.allowed_domains"), address
    for made in client.containers.list():
        client.containers.delete(made.id)
    print("ok")


main()
