"""The whole application behind its guards: measured, charged, logged and traced, and silent about content."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from fastapi import FastAPI, Request
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from prometheus_client.parser import text_string_to_metric_families

from limpide.core.errors import InvalidParameter
from limpide.core.hosting import Caller
from limpide.server.access import Key, KeyStore, Used
from limpide.server.app import create_app
from limpide.server.guards import Guards
from limpide.server.logs import configure_logging
from limpide.server.settings import ServerSettings
from limpide.server.traces import Tracing, open_tracing

SECRET = "xyzzy-plugh-1234"
Make = Callable[..., tuple[str, Key]]
MakeHost = Callable[..., Any]


def chat(content: str = "hello", **fields: Any) -> dict[str, Any]:
    return {"model": "fake", "messages": [{"role": "user", "content": content}], **fields}


def client_for(app: FastAPI, key: str | None = None) -> httpx.AsyncClient:
    headers = {"authorization": f"Bearer {key}"} if key else {}
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://localhost:8000", headers=headers)


def samples(text: str) -> dict[tuple[str, ...], float]:
    """Name and the values of its labels, to value."""
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found[sample.name, *sample.labels.values()] = sample.value
    return found


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    """All that is logged in the whole process, at any level."""
    stream = io.StringIO()
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    handler = configure_logging(as_json=True, level="debug", stream=stream)
    yield stream
    root.removeHandler(handler)
    root.setLevel(level)
    logging.getLogger("uvicorn.access").disabled = False
    assert root.handlers == handlers


def lines(stream: io.StringIO, event: str = "request") -> list[dict[str, Any]]:
    found = [json.loads(line) for line in stream.getvalue().splitlines()]
    return [line for line in found if line["event"] == event]


def test_what_is_charged_is_what_was_used(fake_host: MakeHost, store: KeyStore, make_key: Make) -> None:
    text, key = make_key()

    async def scenario() -> list[dict[str, int]]:
        async with client_for(create_app(fake_host("one two three"), guard=Guards(keys=store)), text) as client:
            whole = await client.post("/v1/chat/completions", json=chat())
            options = {"include_usage": True}
            stream = await client.post("/v1/chat/completions", json=chat(stream=True, stream_options=options))
            events = [json.loads(line[6:]) for line in stream.text.splitlines() if line.startswith("data: {")]
            embedded = await client.post("/v1/embeddings", json={"model": "fake", "input": "three words here"})
            return [whole.json()["usage"], events[-1]["usage"], embedded.json()["usage"]]

    usages = asyncio.run(scenario())
    used = store.used(key.id)
    assert used.requests == 3
    assert used.prompt == sum(usage["prompt_tokens"] for usage in usages) > 0
    assert used.answer + used.thinking == sum(usage.get("completion_tokens", 0) for usage in usages) > 0


def test_who_leaves_early_pays_too(fake_host: MakeHost, store: KeyStore, make_key: Make) -> None:
    """What was computed until then, prompt included, though no Finished ever reached the endpoint."""
    _, key = make_key()
    host = fake_host("word " * 2000)

    async def scenario() -> Used:
        from limpide.core.messages import Message
        from limpide.core.ports import ChatRequest
        from limpide.server.access import Keyring
        from limpide.server.metering import Books, MeteredHost
        from limpide.server.metrics import Metrics

        metered = MeteredHost(host, Books(Keyring(store, required=True), Metrics(host)))
        async with metered.use("fake") as model:
            running = await model.chat(ChatRequest((Message("user", "hi"),)), Caller(key.client))
            seen = 0
            async for _ in running:
                seen += 1
                if seen == 3:
                    break
            await running.aclose()
            await running.aclose()
        return store.used(key.id)

    used = asyncio.run(scenario())
    assert used.requests == 1
    assert used.prompt > 0
    assert 3 <= used.answer < 2000


def test_a_batch_is_its_owners_in_idle_hours(
    fake_host: MakeHost, serve: Any, store: KeyStore, make_key: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lines pass the guards without a key, are charged to whoever made it, and wait for everybody else."""
    text, key = make_key(concurrent=2)
    other, _ = make_key("other")
    host = fake_host("yes")
    [engine] = host.engines
    submit, callers = engine.submit, []

    def noted(request: Any) -> Any:
        callers.append(request.caller)
        return submit(request)

    monkeypatch.setattr(engine, "submit", noted)
    url = serve(host, guard=Guards(keys=store, require_keys=True)).base_url
    client = openai.OpenAI(base_url=f"{url}/v1", api_key=text, max_retries=0)
    lines = [{"custom_id": n, "method": "POST", "url": "/v1/chat/completions", "body": chat()} for n in "abcde"]
    file = client.files.create(file=("in", "\n".join(map(json.dumps, lines)).encode()), purpose="batch")
    batch = client.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h")
    while batch.status != "completed":
        batch = client.batches.retrieve(batch.id)
        assert batch.status in ("validating", "in_progress", "finalizing", "completed")
    assert batch.request_counts.completed == 5  # type: ignore[union-attr]
    assert callers == [Caller(key.client, idle=True)] * 5
    assert store.used(key.id).requests == 5
    with pytest.raises(openai.NotFoundError):
        openai.OpenAI(base_url=f"{url}/v1", api_key=other, max_retries=0).batches.retrieve(batch.id)


def test_limits_of_a_key_at_the_model(fake_host: MakeHost, store: KeyStore, make_key: Make) -> None:
    poor, _ = make_key("poor", tokens_per_day=1)
    narrow, _ = make_key("narrow", models=("other",))

    async def scenario() -> list[httpx.Response]:
        app = create_app(fake_host("yes"), guard=Guards(keys=store, require_keys=True))
        async with client_for(app, poor) as client:
            found = [await client.post("/v1/chat/completions", json=chat()) for _ in range(2)]
        async with client_for(app, narrow) as client:
            found += [await client.post("/v1/chat/completions", json=chat())]
            found += [await client.post("/tokenize", json={"model": "fake", "content": "hi", "text": "hi"})]
            found += [await client.get("/v1/models")]
        async with client_for(app) as client:
            return [*found, await client.get("/metrics"), await client.get("/health")]

    first, second, model, tokens, listed, metrics, health = asyncio.run(scenario())
    assert first.status_code == 200, first.text
    assert second.status_code == 429
    assert int(second.headers["retry-after"]) > 0
    assert second.json()["error"]["type"] == "rate_limit_error"
    assert model.status_code == 403
    assert tokens.status_code in (400, 403), "refused by its fields, or the model"
    assert listed.status_code == 200
    assert metrics.status_code == 401, "metrics are protected like the rest"
    assert health.status_code == 200


def test_a_server_open_to_strangers_does_not_start(fake_host: MakeHost, store: KeyStore) -> None:
    for guard in (Guards(address="0.0.0.0"), Guards(address="0.0.0.0", keys=store), Guards(require_keys=True)):
        with pytest.raises(InvalidParameter, match="limpide keys create"):
            create_app(fake_host("x"), guard=guard)


def test_metrics(fake_host: MakeHost) -> None:
    async def scenario() -> str:
        async with client_for(create_app(fake_host("one two three four"), guard=Guards())) as client:
            answer = await client.post("/v1/chat/completions", json=chat())
            assert answer.status_code == 200
            await client.post("/v1/chat/completions", json={"messages": 3})
            for number in range(50):
                await client.get(f"/{SECRET}/{number}?q={SECRET}")
                await client.request(f"VERB{number}", "/health")
            response = await client.get("/metrics")
            assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
            return response.text

    text = asyncio.run(scenario())
    found = samples(text)
    path = "/v1/chat/completions"
    assert found["limpide_http_requests_total", "POST", path, "200"] == 1
    assert found["limpide_http_requests_total", "POST", path, "400"] == 1
    assert found["limpide_http_requests_total", "GET", "unmatched", "404"] == 50
    assert found["limpide_http_requests_open",] == 1, "the one that asks"
    assert found["limpide_time_to_first_token_seconds_count", "fake"] == 1
    assert found["limpide_inter_token_latency_seconds_count", "fake"] >= 1
    assert found["limpide_answer_duration_seconds_count", "fake"] == 1
    assert found["limpide_tokens_total", "prompt", "fake"] > 0
    assert found["limpide_tokens_total", "answer", "fake"] > 0
    assert found["limpide_model_state", "fake", "loaded"] == 1
    assert found["limpide_model_state", "fake", "unloaded"] == 0
    assert SECRET not in text
    assert "VERB" not in text
    assert len([key for key in found if key[0] == "limpide_http_requests_total"]) < 8, "labels are few"


def test_metric_names_end_in_units(fake_host: MakeHost) -> None:
    app = create_app(fake_host("x"), guard=Guards())
    for family in text_string_to_metric_families(app.state.metrics.text().decode()):
        assert family.name.startswith("limpide_")
        assert family.documentation
        if family.type == "histogram":
            assert family.name.endswith("_seconds")
        assert not family.name.endswith(("_ms", "_count", "_sum")), family.name


def test_the_log_says_all_but_what_was_said(
    fake_host: MakeHost, logged: io.StringIO, store: KeyStore, make_key: Make
) -> None:
    text, _ = make_key("alice")
    app = create_app(fake_host(f"the answer is {SECRET}"), guard=Guards(keys=store))

    @app.post("/broken/{name}")
    async def broken(request: Request) -> None:
        asyncio.get_running_loop().call_exception_handler(
            {"message": "lost", "exception": ValueError(SECRET), "future": SECRET}
        )
        logging.getLogger("some.library").debug("body was %s", SECRET)
        try:
            raise KeyError(SECRET)
        except KeyError:
            logging.getLogger("limpide.engine").exception("it failed")
        raise ValueError(f"can't work with {(await request.body()).decode()}")

    async def scenario() -> None:
        async with client_for(app, text) as client:
            named = {"x-request-id": "my-request.1"}
            good = await client.post("/v1/chat/completions", json=chat(SECRET), headers=named)
            assert SECRET in good.text
            assert good.headers["x-request-id"] == "my-request.1"
            await client.post("/v1/chat/completions", json=chat(SECRET, max_tokens=-1))
            await client.post("/v1/chat/completions", json={SECRET: SECRET})
            await client.post("/v1/chat/completions", content=f'{{"{SECRET}')
            await client.get(f"/{SECRET}?{SECRET}", headers={"x-secret": SECRET, "x-request-id": f"{SECRET} \x7f"})
            failed = await client.post(f"/broken/{SECRET}", content=SECRET)
            assert failed.status_code == 500
            assert SECRET not in failed.text
            assert failed.json()["error"]["type"] == "server_error"
            assert failed.headers["x-request-id"].startswith("req_")

    asyncio.run(scenario())
    assert SECRET not in logged.getvalue()
    assert text not in logged.getvalue()
    good, *_, lost, failed = lines(logged)
    assert good["request_id"] == "my-request.1"
    assert (good["method"], good["path"], good["status"]) == ("POST", "/v1/chat/completions", 200)
    assert (good["key"], good["model"], good["operation"]) == ("alice", "fake", "chat")
    assert good["prompt_tokens"] > 0
    assert good["answer_tokens"] > 0
    assert 0 < good["first_token_seconds"] <= good["seconds"]
    assert "error" not in good
    assert lines(logged)[1]["error"], "errors of endpoints are named too"
    assert (lost["path"], lost["status"]) == ("unmatched", 404)
    assert (failed["path"], failed["status"], failed["error"]) == ("/broken/{name}", 500, "ValueError")
    [unexpected] = lines(logged, "unexpected error")
    assert unexpected["exception"] == "ValueError"
    assert any(frame.endswith(" broken") for frame in unexpected["traceback"]), "where it happened is said"
    assert lines(logged, "it failed")[0]["exception"] == "KeyError"


def test_content_is_logged_if_that_is_asked_for(fake_host: MakeHost, logged: io.StringIO) -> None:
    async def scenario() -> None:
        app = create_app(fake_host("the answer"), guard=Guards(log_content=True))
        async with client_for(app) as client:
            await client.post("/v1/chat/completions", json=chat(SECRET))

    asyncio.run(scenario())
    [line] = lines(logged)
    assert SECRET in line["request"]
    assert "the answer" in line["response"]


def test_plain_lines(fake_host: MakeHost, capsys: pytest.CaptureFixture[str]) -> None:
    handler = configure_logging(as_json=False)
    try:
        logging.getLogger("limpide.test").warning("two\nlines", extra={"fields": {"name": 'a "b"', "n": 3}})
    finally:
        logging.getLogger().removeHandler(handler)
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert err.endswith('warning two name="a \\"b\\"" n=3\n')


def test_cors_is_off_unless_origins_are_named(fake_host: MakeHost) -> None:
    origin = {"origin": "https://page.example"}
    preflight = {**origin, "access-control-request-method": "POST", "access-control-request-headers": "authorization"}

    async def scenario(*origins: str) -> list[httpx.Response]:
        async with client_for(create_app(fake_host("x"), guard=Guards(allowed_origins=origins))) as client:
            return [
                await client.options("/v1/models", headers=preflight),
                await client.get("/v1/models", headers=origin),
                await client.get("/v1/models", headers={"origin": "https://attacker.example"}),
                await client.get("/v1/models", headers={"host": "attacker.example"}),
            ]

    for response in asyncio.run(scenario()):
        assert response.status_code == 403
        assert not any(name.startswith("access-control") for name in response.headers)
    asked, got, other, rebound = asyncio.run(scenario("https://page.example"))
    assert asked.status_code == got.status_code == 200
    assert (
        asked.headers["access-control-allow-origin"] == got.headers["access-control-allow-origin"] == origin["origin"]
    )
    assert "access-control-allow-credentials" not in got.headers
    assert other.status_code == rebound.status_code == 403


def test_spans(fake_host: MakeHost) -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing = Tracing(provider.get_tracer("test"), provider.shutdown)
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

    async def scenario() -> None:
        app = create_app(fake_host(f"it is {SECRET}"), guard=Guards(tracing=tracing))

        @app.get("/broken")
        async def broken() -> None:
            raise ValueError(SECRET)

        async with client_for(app) as client:
            await client.post("/v1/chat/completions", json=chat(SECRET), headers={"traceparent": parent})
            await client.get("/broken", headers={"x-secret": SECRET})

    asyncio.run(scenario())
    answered, failed = exporter.get_finished_spans()
    assert answered.name == "POST /v1/chat/completions"
    assert answered.kind is SpanKind.SERVER
    assert f"{answered.context.trace_id:032x}" == parent.split("-")[1]
    assert answered.attributes is not None
    assert answered.attributes["gen_ai.operation.name"] == "chat"
    assert answered.attributes["gen_ai.request.model"] == "fake"
    assert answered.attributes["gen_ai.response.finish_reasons"] == ("stop",)
    assert int(str(answered.attributes["gen_ai.usage.output_tokens"])) > 0
    assert answered.attributes["http.response.status_code"] == 200
    assert failed.status.status_code is StatusCode.ERROR
    assert failed.attributes is not None
    assert failed.attributes["error.type"] == "ValueError"
    assert SECRET not in answered.to_json() + failed.to_json()


def test_traces_need_their_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    tracing = open_tracing(InMemorySpanExporter())
    tracing.close()
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(InvalidParameter, match=r"limpide\[otel\]"):
        open_tracing()


def test_the_page_opens_without_a_key_and_nothing_else_does(
    fake_host: MakeHost, store: KeyStore, make_key: Make, tmp_path: Path
) -> None:
    make_key()
    (tmp_path / "index.html").write_text("<!doctype html>")
    (tmp_path / "one.js").write_text("export {};")
    app = create_app(fake_host("ok"), ServerSettings(page=tmp_path), Guards(require_keys=True, keys=store))

    async def look() -> list[int]:
        async with client_for(app) as client:
            return [
                (await client.get(path)).status_code for path in ("/", "/page/one.js", "/page/two.js", "/v1/models")
            ]

    assert asyncio.run(look()) == [200, 200, 401, 401]
