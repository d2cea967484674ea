"""The OpenAPI document says what the server does, and schemathesis finds nothing that contradicts it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, assume, given, reject, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.config import SchemathesisConfig
from schemathesis.core.errors import InvalidSchema
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)
from scripted_hosts import FakeHost

from limpide.backends.fake import FakeBackend
from limpide.hub import CATALOG
from limpide.hub.stock import HubStock, Serving
from limpide.server.app import create_app

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    negative_data_rejection,
    unsupported_method,
]


def document() -> dict[str, Any]:
    host = FakeHost(fake=FakeBackend())
    try:
        return create_app(host).openapi()
    finally:
        host.check()


DOCUMENT = document()
OPERATIONS = [
    (method.upper(), path, mode)
    for path, item in DOCUMENT["paths"].items()
    for method, operation in item.items()
    for mode in GenerationMode
    if mode is GenerationMode.POSITIVE or "requestBody" in operation  # what takes nothing can't be given wrong things
]


OTHER_FORMS = {
    ("/v1/files/{file_id}/content", "200"): "application/octet-stream",
    ("/metrics", "200"): "text/plain",
}


def test_every_operation_says_what_it_returns_and_how_it_fails() -> None:
    for path, item in DOCUMENT["paths"].items():
        for operation in item.values():
            assert operation["summary"]
            assert operation["description"], path
            assert "422" not in operation["responses"]
            for status, response in operation["responses"].items():
                if other := OTHER_FORMS.get((path, status)):
                    assert list(response["content"]) == [other]
                    continue
                schema = response["content"]["application/json"]["schema"]
                assert "$ref" in schema, (path, status)
                if status != "200":
                    dialect = "Message" if path.startswith("/v1/messages") else ""
                    assert schema["$ref"].endswith(f"/{dialect}ErrorReply")


def test_the_chunks_of_streams_are_described() -> None:
    assert DOCUMENT["components"]["schemas"].keys() >= {"ChatChunk", "MessageStart", "BlockDelta", "MessageStop"}
    for reference in _references(DOCUMENT):
        assert reference.rpartition("/")[2] in DOCUMENT["components"]["schemas"], reference


def test_bodies_are_closed() -> None:
    schema = DOCUMENT["components"]["schemas"]["ChatCompletionRequest"]
    assert schema["additionalProperties"] is False
    assert schema["required"] == ["messages"]
    assert schema["properties"].keys() > {"reasoning_effort", "top_k", "response_format", "tools"}
    schema = DOCUMENT["components"]["schemas"]["MessageRequest"]
    assert schema["additionalProperties"] is False
    assert sorted(schema["required"]) == ["max_tokens", "messages"]
    assert schema["properties"].keys() > {"system", "thinking", "tools", "tool_choice", "stop_sequences", "metadata"}


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for item in value.values():
            yield from _references(item)
    elif isinstance(value, list):
        for item in value:
            yield from _references(item)


@st.composite
def cases(draw: st.DrawFn, operation: Any, mode: GenerationMode) -> Any:
    """Requests to an operation. One that schemathesis sets out to make and then finds it can't is passed over."""
    try:
        return draw(operation.as_strategy(generation_mode=mode))
    except InvalidSchema:
        reject()


def leaves_out_a_field(case: Any) -> bool:
    """A field that is an empty list is not sent at all in a form, and a form without it may be right."""
    return case.media_type == "multipart/form-data" and isinstance(case.body, dict) and [] in case.body.values()


def form_of_its_dialect(ctx: Any, response: Any, case: Any) -> None:
    """Every error has OpenAI's body, or Anthropic's on its paths."""
    if response.status_code >= 400:
        body = response.json()
        if case.path.startswith("/v1/messages"):
            assert (body.keys(), body["type"]) == ({"type", "error", "request_id"}, "error")
            assert body["error"].keys() == {"type", "message", "details"}
        else:
            assert body["error"].keys() == {"message", "type", "param", "code"}
        assert body["error"]["message"]


@pytest.mark.parametrize(("method", "path", "mode"), OPERATIONS, ids=str)
def test_whatever_comes_is_answered_as_the_document_says(
    fake_host: Any,
    serve: Callable[..., httpx.Client],
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    path: str,
    mode: GenerationMode,
) -> None:
    few = {name: CATALOG[name] for name in ("smollm2-135m", "gemma3-270m", "deepseek-r1")}  # for the time it takes
    monkeypatch.setattr("limpide.hub.stock.CATALOG", few)
    stock = HubStock([], Serving(memory=1 << 30, offline=True), lambda *_: None)
    client = serve(fake_host("yes", model_context=512), stock=stock)
    config = SchemathesisConfig()
    config.projects.default.generation.update(modes=[mode])
    schema = schemathesis.openapi.from_dict(DOCUMENT, config=config)
    operation = schema[path][method]
    bounded = settings(
        max_examples=20,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )

    @bounded
    @given(cases(operation, mode))
    def probe(case: Any) -> None:
        assume(not leaves_out_a_field(case))
        case.call_and_validate(
            base_url=str(client.base_url).rstrip("/"), checks=[*CHECKS, form_of_its_dialect], timeout=20
        )

    probe()
