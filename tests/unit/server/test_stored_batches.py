"""The official client and the batches API: idle work, honest results, and nothing done twice."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Any

import openai
import pytest

from limpide.backends.fake import FakeBackend
from limpide.backends.pool import ModelPool, Source
from limpide.server.batches.reading import MAX_FAULTS, LineReader
from limpide.server.settings import ServerSettings

CHAT = "/v1/chat/completions"


def line(number: int, url: str = CHAT, **body: Any) -> dict[str, Any]:
    body = {"model": "fake", "messages": [{"role": "user", "content": f"question {number}"}], **body}
    return {"custom_id": f"id-{number}", "method": "POST", "url": url, "body": body}


def jsonl(lines: Sequence[Any]) -> bytes:
    return b"".join(json.dumps(each).encode() + b"\n" for each in lines)


def start(client: openai.OpenAI, lines: Sequence[Any], endpoint: Any = CHAT) -> Any:
    file = client.files.create(file=("in.jsonl", jsonl(lines)), purpose="batch")
    return client.batches.create(
        input_file_id=file.id, endpoint=endpoint, completion_window="24h", metadata={"who": "us"}
    )


def finished(client: openai.OpenAI, batch: Any) -> Any:
    deadline = time.monotonic() + 60
    while batch.status in ("validating", "in_progress", "finalizing", "cancelling") and time.monotonic() < deadline:
        batch = client.batches.retrieve(batch.id)
    return batch


def results(client: openai.OpenAI, file_id: str | None) -> list[Any]:
    return [] if file_id is None else [json.loads(each) for each in client.files.content(file_id).text.splitlines()]


def deep(levels: int) -> list[Any]:
    return [deep(levels - 1)] if levels else []


@pytest.fixture
def client(fake_host: Any, serve: Any) -> openai.OpenAI:
    http = serve(fake_host(lambda before: before[-20:]))
    return openai.OpenAI(base_url=f"{http.base_url}/v1", api_key="none", max_retries=0)


def test_a_batch_is_worked_off(client: openai.OpenAI) -> None:
    lines = [line(number) for number in range(9)]
    lines[4]["body"]["messages"][0]["content"] = "x" * 20_000  # longer than the context: found out when it is asked
    batch = start(client, lines)
    assert (batch.status, batch.request_counts.total, batch.metadata) == ("validating", 9, {"who": "us"})
    batch = finished(client, batch)
    assert batch.status == "completed", batch
    assert batch.request_counts.to_dict() == {"total": 9, "completed": 8, "failed": 1}
    assert batch.created_at <= batch.in_progress_at <= batch.finalizing_at <= batch.completed_at
    good, bad = results(client, batch.output_file_id), results(client, batch.error_file_id)
    assert [each["custom_id"] for each in good] == [f"id-{n}" for n in range(9) if n != 4]
    for each in good:
        assert each["error"] is None
        assert each["response"]["status_code"] == 200
        said = each["response"]["body"]["choices"][0]["message"]["content"]
        assert f"question {each['custom_id'][3:]}" in said
    assert [(each["custom_id"], each["response"]["status_code"]) for each in bad] == [("id-4", 400)]
    assert bad[0]["response"]["body"]["error"]["code"] == "context_length_exceeded"


@pytest.mark.parametrize(
    ("endpoint", "body"),
    [
        ("/v1/completions", {"model": "fake", "prompt": "hi"}),
        ("/v1/embeddings", {"model": "fake", "input": "hi"}),
        ("/v1/responses", {"model": "fake", "input": "hi", "store": False}),
        ("/v1/messages", {"model": "fake", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}),
    ],
)
def test_every_endpoint(client: openai.OpenAI, endpoint: str, body: dict[str, Any]) -> None:
    request = {"custom_id": "a", "method": "POST", "url": endpoint, "body": body}
    batch = finished(client, start(client, [request], endpoint))
    assert (batch.status, batch.request_counts.completed) == ("completed", 1), results(client, batch.error_file_id)


@pytest.mark.parametrize("endpoint", [CHAT, "/v1/messages"])
def test_a_model_that_does_not_fit_fails_its_lines(serve: Any, endpoint: Any) -> None:
    """Once: waiting would not make it smaller."""
    pool = ModelPool([Source("large", FakeBackend, lambda: 2)], memory=1)
    http = serve(pool)
    client = openai.OpenAI(base_url=f"{http.base_url}/v1", api_key="none", max_retries=0)
    limit = {"max_tokens": 9} if endpoint == "/v1/messages" else {}
    lines = [line(number, endpoint, model="large", **limit) for number in range(2)]
    batch = finished(client, start(client, lines, endpoint))
    assert (batch.status, batch.request_counts.failed) == ("completed", 2)
    for each in results(client, batch.error_file_id):
        assert each["response"]["status_code"] == 503
        assert "large needs" in each["response"]["body"]["error"]["message"]


@pytest.mark.parametrize(
    ("wrong", "code", "param"),
    [
        ("not json", "invalid_value", None),
        ({**line(1), "method": "GET"}, "invalid_value", "method"),
        (line(1, tools=deep(70)), "invalid_json_line", None),
        ({**line(1), "url": "/v1/embeddings"}, "mismatched_url", "url"),
        (line(0), "duplicate_custom_id", "custom_id"),
        ({"custom_id": "x"}, "missing_required_parameter", None),
        (line(1, unheard_of=1), "unknown_parameter", "body.unheard_of"),
        (line(1, temperature="hot"), "invalid_value", "body.temperature"),
        (line(1, stream=True), "invalid_value", "body.stream"),
        (line(1, model="nobody"), "model_not_found", "body.model"),
    ],
)
def test_a_wrong_line_is_named_and_nothing_is_done(
    client: openai.OpenAI, wrong: Any, code: str, param: str | None
) -> None:
    batch = start(client, [line(0), line(2), wrong])
    assert (batch.status, batch.request_counts.completed) == ("failed", 0)
    [error] = batch.errors.data
    assert (error.line, error.code) == (3, code)
    if param is not None:
        assert error.param == param
    assert client.batches.retrieve(batch.id).status == "failed"


def test_what_can_not_be_a_batch(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match=r"'/v1/models'(?s:.*)/v1/chat/completions(?s:.*)/v1/messages"):
        start(client, [line(0)], "/v1/models")
    file = client.files.create(file=b"x", purpose="user_data")
    with pytest.raises(openai.BadRequestError, match="user_data"):
        client.batches.create(input_file_id=file.id, endpoint=CHAT, completion_window="24h")
    with pytest.raises(openai.BadRequestError, match="completion_window"):
        client.batches.create(input_file_id=file.id, endpoint=CHAT, completion_window="soon")  # type: ignore[arg-type]
    with pytest.raises(openai.NotFoundError):
        client.batches.create(input_file_id="file-0", endpoint=CHAT, completion_window="24h")
    assert start(client, []).errors.data[0].code == "empty_file"


def test_cancelling_keeps_what_is_done(fake_host: Any, serve: Any) -> None:
    host = fake_host(lambda before: "short" if "question 0" in before else "word " * 1500)
    http = serve(host, ServerSettings(batch_lines=1))
    client = openai.OpenAI(base_url=f"{http.base_url}/v1", api_key="none", max_retries=0)
    batch = start(client, [line(number) for number in range(5)])
    while client.batches.retrieve(batch.id).request_counts.completed < 1:
        pass
    with pytest.raises(openai.BadRequestError, match="is the input of"):
        client.files.delete(batch.input_file_id)
    assert client.batches.cancel(batch.id).status == "cancelling"
    batch = finished(client, batch)
    assert batch.status == "cancelled"
    assert batch.request_counts.to_dict() == {"total": 5, "completed": 1, "failed": 0}
    assert [each["custom_id"] for each in results(client, batch.output_file_id)] == ["id-0"]
    with pytest.raises(openai.BadRequestError, match="is cancelled"):
        client.batches.cancel(batch.id)
    client.files.delete(batch.input_file_id)


def test_lists_by_pages(client: openai.OpenAI) -> None:
    ids = [start(client, ["wrong"]).id for _ in range(3)]
    assert [batch.id for batch in client.batches.list(limit=2)] == ids[::-1]


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_lines_are_found_however_the_file_is_cut(size: int) -> None:
    data = b"\n  \r\n" + jsonl([line(n) for n in range(3)]) + json.dumps(line(3)).encode()
    reader = LineReader(CHAT, {"fake"})
    for at in range(0, len(data), size):
        reader.read(data[at : at + size])
    reader.end()
    assert reader.faults == []
    assert [each.number for each in reader.lines] == [3, 4, 5, 6]
    found = [json.loads(data[each.start : each.start + each.length]) for each in reader.lines]
    assert found == [line(n) for n in range(4)]


def test_faults_are_bounded() -> None:
    reader = LineReader(CHAT, set())
    reader.read(b"wrong\n" * 10_000)
    assert reader.hopeless
    assert len(reader.faults) == MAX_FAULTS
    endless = LineReader(CHAT, set())
    for _ in range(20):
        endless.read(b"x" * (1 << 20))
        if endless.hopeless:
            break
    assert (endless.faults[0].code, endless.faults[0].line) == ("line_too_long", 1)
