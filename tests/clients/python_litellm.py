"""The same endpoints through `litellm`, whose models insist on the `object` literals and on delete bodies."""

import os
import sys

# It would fetch a price list from the internet at import.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import litellm  # noqa: E402


def main():
    to_us = {
        "api_base": os.environ["OPENAI_BASE_URL"],
        "api_key": os.environ["OPENAI_API_KEY"],
        "custom_llm_provider": "openai",
    }
    container = litellm.create_container(
        name="litellm", expires_after={"anchor": "last_active_at", "minutes": 20}, **to_us
    )
    sent = litellm.upload_container_file(container_id=container.id, file=("a.txt", b"hey"), **to_us)
    listed = litellm.list_container_files(container_id=container.id, **to_us)
    assert [file.id for file in listed.data] == [sent.id] and listed.has_more is False, listed
    retrieved = litellm.retrieve_container(container_id=container.id, **to_us)
    assert retrieved.status == "running", retrieved
    deleted = litellm.delete_container(container_id=container.id, **to_us)
    assert deleted.id == container.id and deleted.deleted is True, deleted
    print("ok")


if __name__ == "__main__":
    sys.exit(main())
