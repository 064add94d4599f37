"""What the strict `openai` client insists on, call by call: types, literals, page walking, error classes."""

import sys

import openai
from openai import OpenAI


def main():
    client = OpenAI(_strict_response_validation=True, max_retries=0)
    upload = client.files.create(file=("in.csv", b"a,b\n1,2\n"), purpose="user_data")
    assert client.files.content(upload.id).read() == b"a,b\n1,2\n"
    container = client.containers.create(
        name="conformance",
        file_ids=[upload.id],
        memory_limit="1g",
        expires_after={"anchor": "last_active_at", "minutes": 20},
    )
    files = client.containers.files
    sent = files.create(container.id, file=("x.txt", b"hello"))
    assert sent.path.startswith("/mnt/data/") and sent.path.endswith("x.txt"), sent
    assert sent.bytes == 5 and sent.source == "user", sent
    copied = files.create(container.id, file_id=upload.id)
    assert copied.id != upload.id, copied

    # One file a page, so that the client has to walk; an id must be the same on every page and every walk.
    first = {file.id for file in files.list(container.id, limit=1)}
    assert len(first) == 3, first
    assert {file.id for file in files.list(container.id)} == first
    assert files.content.retrieve(sent.id, container_id=container.id).read() == b"hello"
    empty = files.create(container.id, file=("empty", b""))
    assert files.content.retrieve(empty.id, container_id=container.id).read() == b""

    assert container.id in [item.id for item in client.containers.list(name="conformance", order="desc")]
    assert files.delete(sent.id, container_id=container.id) is None
    try:
        files.retrieve(sent.id, container_id=container.id)
    except openai.NotFoundError as error:
        assert "not found" in error.message.lower(), error.body
    else:
        raise AssertionError("the deleted file can still be retrieved")

    assert client.containers.delete(container.id) is None
    try:
        client.containers.delete(container.id)
    except openai.NotFoundError as error:
        assert f"Container with id '{container.id}' not found." in error.message, error.body
    else:
        raise AssertionError("a second delete succeeded")
    assert client.files.delete(upload.id).deleted is True
    print("ok")


if __name__ == "__main__":
    sys.exit(main())
