"""The official client and the files API, and forms that no client sends."""

from __future__ import annotations

import re
import time
from typing import Any

import httpx
import openai
import pytest

from limpide.server.settings import ServerSettings

CUT = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nhalf of it'
"""A form that ends within its file."""


@pytest.fixture
def http(fake_host: Any, serve: Any) -> Any:
    return serve(fake_host("ok"), ServerSettings(file_bytes=3 << 20))


@pytest.fixture
def client(http: httpx.Client) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{http.base_url}/v1", api_key="none", max_retries=0)


def test_a_file_goes_up_and_comes_back(client: openai.OpenAI) -> None:
    data = bytes(i % 256 for i in range(2_500_000))
    file = client.files.create(file=("käse.bin", data), purpose="user_data")
    assert (file.bytes, file.filename, file.purpose, file.status) == (len(data), "käse.bin", "user_data", "processed")
    assert client.files.retrieve(file.id) == file
    assert client.files.content(file.id).read() == data
    assert client.files.delete(file.id).deleted
    with pytest.raises(openai.NotFoundError):
        client.files.content(file.id)


def test_lists_by_pages(client: openai.OpenAI) -> None:
    ids = [client.files.create(file=(f"{i}", b"x"), purpose="batch").id for i in range(5)]
    assert [file.id for file in client.files.list(limit=2, order="asc")] == ids
    assert [file.id for file in client.files.list(purpose="user_data")] == []


def test_a_file_that_shall_be_forgotten(client: openai.OpenAI) -> None:
    file = client.files.create(file=b"x", purpose="batch", expires_after={"anchor": "created_at", "seconds": 3600})
    assert file.expires_at is not None
    assert 3590 < file.expires_at - time.time() <= 3600


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"files": {"file": b"x"}, "data": {"purpose": "anything"}}, "purpose"),
        ({"files": {"file": b"x"}}, "purpose"),
        ({"data": {"purpose": "batch"}, "files": {"other": b"x"}}, "form field"),
        ({"data": {"purpose": "batch", "file": "text"}, "files": {"x": b""}}, "form field"),
        ({"files": {"file": b"x"}, "data": {"purpose": ["batch", "batch"]}}, "form field"),
        ({"files": {"file": b"x"}, "data": {"purpose": "batch", "expires_after[seconds]": "9999"}}, "anchor"),
        ({"json": {"file": "x"}}, "multipart/form-data"),
        ({"content": b"x", "headers": {"content-type": "multipart/form-data"}}, "can't be read"),
        (
            {"content": CUT, "headers": {"content-type": "multipart/form-data; boundary=b"}},
            "ends before its closing boundary",
        ),
        ({"content": b"", "headers": {"content-type": "multipart/form-data; boundary=b"}}, "can't be read"),
        (
            {"content": b"", "headers": {"content-type": "multipart/form-data; boundary=b; charset=xyz"}},
            "can't be|file",
        ),
    ],
)
def test_wrong_forms_are_named_and_store_nothing(http: httpx.Client, form: dict[str, Any], said: str) -> None:
    answer = http.post("/v1/files", **form)
    assert answer.status_code == 400, answer.text
    assert re.search(said, answer.json()["error"]["message"])
    assert http.get("/v1/files").json()["data"] == []


@pytest.mark.parametrize("size", [(3 << 20) + 1, 5 << 20])
def test_what_is_too_large_says_so(http: httpx.Client, size: int) -> None:
    """Just too large, and so large that it is not even read to its end."""
    answer = http.post("/v1/files", files={"file": b"x" * size}, data={"purpose": "batch"})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (413, "request_too_large")
    assert "at most 3145728" in error["message"]
    assert http.get("/v1/files").json()["data"] == []


def test_a_name_is_never_a_path(http: httpx.Client) -> None:
    name = "../../etc/pass\twd" + "x" * 300
    file = http.post("/v1/files", files={"file": (name, b"x")}, data={"purpose": "batch"}).json()
    assert file["filename"].isprintable()
    assert len(file["filename"]) == 255
    head = http.get(f"/v1/files/{file['id']}/content").headers
    assert head["content-disposition"].startswith("attachment; filename*=UTF-8''")
    assert "/" not in head["content-disposition"]
