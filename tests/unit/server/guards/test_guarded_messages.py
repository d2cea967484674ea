"""What the guards refuse on the paths of Anthropic's dialect is refused in its form."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import anthropic
import httpx
import pytest

from limpide.server.access import Key, KeyStore
from limpide.server.app import create_app
from limpide.server.guards import Guards
from limpide.server.limits import Limits

ASKED: dict[str, Any] = {"model": "fake", "max_tokens": 20, "messages": [{"role": "user", "content": "hello"}]}
ERRORS: dict[str, type[anthropic.APIStatusError]] = {
    "authentication_error": anthropic.AuthenticationError,
    "permission_error": anthropic.PermissionDeniedError,
    "rate_limit_error": anthropic.RateLimitError,
    "request_too_large": anthropic.ContentTooLargeError,
    "overloaded_error": anthropic.ServiceUnavailableError,
}


def ask(app: Any, path: str, headers: dict[str, str], body: Any) -> httpx.Response:
    async def once() -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8000") as client:
            return await client.post(path, json=body, headers=headers)

    return asyncio.run(once())


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages/count_tokens", "/v1/messages/batches"])
@pytest.mark.parametrize(
    ("headers", "limits", "kind", "status"),
    [
        ({}, Limits(), "authentication_error", 401),
        ({"x-api-key": "limpide-nobody"}, Limits(), "authentication_error", 401),
        ({"host": "attacker.example", "x-api-key": "KEY"}, Limits(), "permission_error", 403),
        ({"x-api-key": "KEY"}, Limits(body_bytes=10), "request_too_large", 413),
        ({"x-api-key": "KEY"}, Limits(open_requests=0), "overloaded_error", 503),
    ],
)
def test_refusals(
    fake_host: Callable[..., Any],
    store: KeyStore,
    make_key: Callable[..., tuple[str, Key]],
    path: str,
    headers: dict[str, str],
    limits: Limits,
    kind: str,
    status: int,
) -> None:
    text, _ = make_key()
    app = create_app(fake_host("yes"), guard=Guards(keys=store, require_keys=True, limits=limits))
    answer = ask(app, path, {name: text if value == "KEY" else value for name, value in headers.items()}, ASKED)
    body = answer.json()
    assert (answer.status_code, body["type"], body["error"]["type"]) == (status, "error", kind)
    assert body["request_id"] == answer.headers["request-id"] == answer.headers["x-request-id"]
    assert ERRORS[kind].status_code == status


def test_a_keys_limit_is_a_rate_limit(
    fake_host: Callable[..., Any], store: KeyStore, make_key: Callable[..., tuple[str, Key]]
) -> None:
    text, _ = make_key("poor", tokens_per_day=1)
    app = create_app(fake_host("yes"), guard=Guards(keys=store, require_keys=True))
    first, second = (ask(app, "/v1/messages", {"x-api-key": text}, ASKED) for _ in range(2))
    assert first.status_code == 200
    assert (second.status_code, second.json()["error"]["type"]) == (429, "rate_limit_error")
    assert int(second.headers["retry-after"]) > 0
    assert first.headers["request-id"].startswith("req_")


def test_a_message_is_charged_like_any_answer(
    fake_host: Callable[..., Any], store: KeyStore, make_key: Callable[..., tuple[str, Key]]
) -> None:
    text, key = make_key()
    app = create_app(fake_host("yes"), guard=Guards(keys=store, require_keys=True))
    usage = ask(app, "/v1/messages", {"x-api-key": text}, ASKED).json()["usage"]
    used = store.used(key.id)
    assert used.prompt == usage["input_tokens"] + usage["cache_read_input_tokens"] > 0
    assert used.answer + used.thinking == usage["output_tokens"] > 0
