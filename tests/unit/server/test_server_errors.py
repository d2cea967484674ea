"""Every way to be wrong is answered in OpenAI's form, with the field's name."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from limpide.core.errors import (
    ContextExceeded,
    EngineStopped,
    InvalidParameter,
    InvalidShape,
    LimpideError,
    Overloaded,
    ThinkingUnsupported,
    UnknownModel,
)
from limpide.server import errors

CHAT = "/v1/chat/completions"


@pytest.fixture(scope="module")
def raising() -> TestClient:
    """An app whose only endpoint raises what it is told to."""
    app = FastAPI()
    errors.install(app)
    app.state.error = LimpideError("?")

    @app.get("/{path:path}")
    async def fail() -> None:
        raise app.state.error

    return TestClient(app, raise_server_exceptions=False)


def answered(client: TestClient, error: Exception, path: str = "/x") -> httpx.Response:
    client.app.state.error = error  # type: ignore[attr-defined]
    return client.get(path)


@pytest.mark.parametrize(
    ("error", "status", "kind", "code", "param"),
    [
        (ContextExceeded(9000, 8192), 400, "invalid_request_error", "context_length_exceeded", None),
        (InvalidParameter("n", 0, "1"), 400, "invalid_request_error", "invalid_parameter", "n"),
        (InvalidShape("no schema"), 400, "invalid_request_error", "invalid_shape", "response_format"),
        (ThinkingUnsupported("no"), 400, "invalid_request_error", "thinking_unsupported", None),
        (UnknownModel("who?"), 404, "invalid_request_error", "model_not_found", None),
        (EngineStopped("gone"), 503, "overloaded_error", "engine_stopped", None),
        (LimpideError("odd"), 500, "server_error", "limpide_error", None),
    ],
)
def test_errors_of_ours(
    raising: TestClient, error: LimpideError, status: int, kind: str, code: str, param: str | None
) -> None:
    answer = answered(raising, error)
    assert answer.status_code == status
    assert answer.json() == {"error": {"message": str(error), "type": kind, "param": param, "code": code}}
    assert ("retry-after" in answer.headers) == (status == 503)


def test_each_dialect_has_its_own_names_of_fields(raising: TestClient) -> None:
    shape, limit = InvalidShape("no schema"), InvalidParameter("max_tokens", 0, "1")
    for path, names in (
        ("/v1/chat", ["response_format", "max_tokens"]),
        ("/v1/responses", ["text.format", "max_output_tokens"]),
    ):
        assert [answered(raising, error, path).json()["error"]["param"] for error in (shape, limit)] == names


def test_too_long_names_both_numbers(raising: TestClient) -> None:
    message = answered(raising, ContextExceeded(9000, 8192)).json()["error"]["message"]
    assert "9000" in message
    assert "8192" in message


def test_when_to_come_again(raising: TestClient) -> None:
    assert answered(raising, Overloaded("full", retry_after=7)).headers["retry-after"] == "7"


def test_the_unexpected_is_logged_and_not_told(raising: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, "limpide.server"):
        answer = answered(raising, RuntimeError("secret"))
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert answer.json()["error"]["type"] == "server_error"
    assert "secret" in caplog.text


def test_a_path_of_another_dialect_has_its_own_form(raising: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(errors.FORMS, "/v1/other", lambda problem: {"said": problem.message})
    assert answered(raising, UnknownModel("who?"), "/v1/other/x").json() == {"said": "who?"}
    assert "error" in answered(raising, UnknownModel("who?"), "/v1").json()


@pytest.fixture
def client(fake_host: Any, serve: Callable[..., httpx.Client]) -> httpx.Client:
    return serve(fake_host(model_context=256))


def hello(**fields: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": "hello"}], **fields}


@pytest.mark.parametrize(
    ("method", "path", "options", "status", "code"),
    [
        ("GET", "/nowhere", {}, 404, "not_found"),
        ("DELETE", CHAT, {}, 405, "method_not_allowed"),
        ("POST", CHAT, {"content": b"hello"}, 415, "not_json"),
        ("POST", CHAT, {"content": b"{", "headers": {"Content-Type": "application/json"}}, 400, "invalid_json"),
        ("POST", CHAT, {"content": b"\xff", "headers": {"Content-Type": "application/json"}}, 400, "bad_request"),
        (
            "POST",
            CHAT,
            {"content": b"[" * 100_000, "headers": {"Content-Type": "application/json"}},
            400,
            "bad_request",
        ),
        ("POST", CHAT, {}, 400, "missing_required_parameter"),
        ("POST", CHAT, {"json": hello(model="nobody")}, 404, "model_not_found"),
        ("GET", "/v1/models/nobody", {}, 404, "model_not_found"),
        (
            "POST",
            CHAT,
            {"json": {"messages": [{"role": "user", "content": "x" * 300}]}},
            400,
            "context_length_exceeded",
        ),
        ("POST", "/v1/chat/completions/chatcmpl-1/cancel", {}, 404, "not_found"),
        ("POST", "/v1/chat/completions/chatcmpl-1/stop-thinking", {}, 404, "not_found"),
    ],
)
def test_requests_that_fail(client: httpx.Client, method: str, path: str, options: Any, status: int, code: str) -> None:
    answer = client.request(method, path, **options)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (status, code)
    assert error.keys() == {"message", "type", "param", "code"}


@pytest.mark.parametrize(
    ("body", "param", "words"),
    [
        (hello(**{"\ud800": 1}), None, "character"),
        ({"messages": [{"role": "\ud800"}]}, "messages[0].role", "assistant"),
        (hello(stop=["\ud800"]), "stop", "character"),
        (hello(temprature=1), "temprature", "did you mean temperature"),
        (hello(stop=5), "stop", "string or a valid list"),
        (hello(temperature="warm"), "temperature", "'warm'"),
        (hello(n=1000), "n", "128"),
        (hello(functions=[]), "functions", "tools"),
        (hello(audio={}), "audio", "text"),
        (hello(response_format={"type": "xml"}), "response_format.type", "json_schema"),
        (hello(stream_options={"usage": True}), "stream_options.usage", "include_usage"),
        (hello(reasoning_effort="none", think=True), "think", "reasoning_effort"),
        (hello(logit_bias={"1": 200}), "logit_bias.1", "100"),
        ({"messages": []}, "messages", "at least 1 item"),
        ({"messages": [{"content": "hello"}]}, "messages[0].role", "missing"),
        ({"messages": [{"role": "nobody", "content": "hello"}]}, "messages[0].role", "assistant"),
        ({"messages": [{"role": "user"}]}, "messages[0].content", "missing"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content", "string"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]},
            "messages[0].content[0].type",
            "text only",
        ),
        ({}, "messages", "missing"),
    ],
)
def test_the_field_is_named(client: httpx.Client, body: Any, param: str | None, words: str) -> None:
    answer = client.post(CHAT, content=json.dumps(body), headers={"Content-Type": "application/json"})
    error = answer.json()["error"]
    assert (answer.status_code, error["param"]) == (400, param)
    assert words in error["message"]


def test_a_model_that_can_not_think_says_so(fake_host: Any, serve: Callable[..., httpx.Client]) -> None:
    answer = serve(fake_host(dialect="none")).post(CHAT, json=hello(reasoning_effort="low"))
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "thinking_unsupported")


def test_raw_text_alone_goes_to_a_base_model(fake_host: Any, serve: Callable[..., httpx.Client]) -> None:
    client = serve(fake_host("The quick brown fox", chat=False))
    assert client.post(CHAT, json=hello()).json()["error"]["code"] == "chat_unsupported"
    whole = client.post("/v1/completions", json={"prompt": "The quick"}).json()
    assert whole["choices"][0]["text"] == " brown fox"
