"""The whole way of a data file through a container, with the unmodified `openai` package.

Upload a CSV file of vega_datasets, make a container that holds a copy, have Python inside group it, list and download
the result, compare it with the same computed here; then page through 45 containers by cursor, delete, and look for
what is gone.

The server comes from OPENAI_BASE_URL and OPENAI_API_KEY, as every user of the package sets them.
"""

import collections
import csv
import io
import json
import os
import sys
import urllib.request

import openai
from openai import OpenAI
from vega_datasets import local_data

GROUP_BY, VALUE = "weather", "temp_max"
CONTAINERS = 45
NAME = "python-pages"

# Runs in the container with nothing but the standard library: the default image need not have pandas.
PROGRAM = f"""
import collections, csv, sys
groups = collections.defaultdict(list)
with open(sys.argv[1], newline="") as source:
    for row in csv.DictReader(source):
        groups[row[{GROUP_BY!r}]].append(float(row[{VALUE!r}]))
with open("/mnt/data/out.csv", "w", newline="") as target:
    writer = csv.writer(target)
    writer.writerow([{GROUP_BY!r}, "mean"])
    for group in sorted(groups):
        writer.writerow([group, repr(sum(groups[group]) / len(groups[group]))])
print(len(groups))
"""


def native_exec(container_id, command):
    """Runs a command through the native API, which takes the container's id as it is."""
    base = os.environ["OPENAI_BASE_URL"].removesuffix("/v1")
    request = urllib.request.Request(
        f"{base}/lazaret/v1/sandboxes/{container_id}/exec",
        data=json.dumps({"command": command, "timeout_ms": 30_000}).encode(),
        headers={
            "Authorization": f"Bearer {os.environ['OPENAI_API_KEY']}",
            "Content-Type": "application/json",
        },
    )
    with urllib.request.urlopen(request, timeout=60) as response:
        return json.load(response)


def means(path):
    """The same figures, computed on this side."""
    groups = collections.defaultdict(list)
    with open(path, newline="") as source:
        for row in csv.DictReader(source):
            groups[row[GROUP_BY]].append(float(row[VALUE]))
    return {group: sum(values) / len(values) for group, values in groups.items()}


def file_through_a_container(client):
    dataset = local_data.seattle_weather.filepath
    with open(dataset, "rb") as source:
        upload = client.files.create(file=source, purpose="user_data")
    assert upload.bytes == os.path.getsize(dataset), upload

    container = client.containers.create(name="flow", memory_limit="1g", file_ids=[upload.id])
    assert container.status == "running" and container.memory_limit == "1g", container

    (copied,) = client.containers.files.list(container.id)
    assert copied.source == "user" and copied.path.startswith("/mnt/data/"), copied

    done = native_exec(container.id, ["python3", "-c", PROGRAM, copied.path])
    assert done["exit_code"] == 0, done
    expected = means(dataset)
    assert done["stdout"] == f"{len(expected)}\n", done

    made = [file for file in client.containers.files.list(container.id) if file.path == "/mnt/data/out.csv"]
    assert len(made) == 1 and made[0].source == "assistant", made
    content = client.containers.files.content.retrieve(made[0].id, container_id=container.id).read()
    assert made[0].bytes == len(content), made
    rows = csv.DictReader(io.StringIO(content.decode(), newline=""))
    assert {row[GROUP_BY]: float(row["mean"]) for row in rows} == expected, content

    client.containers.delete(container.id)
    try:
        client.containers.retrieve(container.id)
    except openai.NotFoundError as error:
        assert error.type == "invalid_request_error" and error.request_id, error.body
    else:
        raise AssertionError("the deleted container can still be retrieved")
    client.files.delete(upload.id)


def pages(client):
    created = [client.containers.create(name=NAME).id for _ in range(CONTAINERS)]
    for order, expected in (("asc", created), ("desc", created[::-1])):
        listed = [container.id for container in client.containers.list(name=NAME, limit=10, order=order)]
        assert listed == expected, (order, listed)
    for container_id in created:
        client.containers.delete(container_id)
    left = list(client.containers.list(name=NAME))
    assert left == [], left


def refusals(client):
    for wrong in ({"memory_limit": "2g"}, {"expires_after": {"anchor": "last_active_at", "minutes": 0}}):
        try:
            client.containers.create(name="wrong", **wrong)
        except openai.BadRequestError as error:
            assert error.param, error.body
        else:
            raise AssertionError(f"accepted {wrong}")
    try:
        OpenAI(api_key="wrong", max_retries=0).containers.list()
    except openai.AuthenticationError as error:
        assert error.code == "invalid_api_key", error.body
    else:
        raise AssertionError("a wrong key was accepted")


def main():
    client = OpenAI(_strict_response_validation=True, max_retries=0)
    file_through_a_container(client)
    pages(client)
    refusals(client)
    print("ok")


if __name__ == "__main__":
    sys.exit(main())
