"""The official client of Anthropic, as people use it, against a real server."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anthropic
import httpx
import pytest
from scripted_hosts import FakeHost, serving

from limpide.backends.local import LocalBackend
from limpide.server.settings import ServerSettings
from limpide.server.wire.message_reply import SIGNATURE

REPLY, THOUGHT = "Paris, of course.", "First one thing, then another."
HELLO: Any = [{"role": "user", "content": "What is the capital of France?"}]
LOOK: Any = {"name": "look", "description": "Looks.", "input_schema": {"type": "object"}}
CALL = '<tool_call>{"name": "look", "arguments": {"at": 1}}</tool_call>'
ON: Any = {"type": "enabled", "budget_tokens": 200}


def client_of(url: Any) -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=str(url).rstrip("/"), api_key="none", max_retries=0)


@pytest.fixture
def client(fake_host: Any, serve: Callable[..., httpx.Client]) -> Iterator[anthropic.Anthropic]:
    with client_of(serve(fake_host(REPLY, thinking=THOUGHT)).base_url) as made:
        yield made


def test_a_message_with_its_thinking(client: anthropic.Anthropic) -> None:
    message = client.messages.create(model="fake", max_tokens=500, messages=HELLO, thinking=ON)
    thinking, text = message.content
    assert (thinking.type, thinking.thinking, thinking.signature) == ("thinking", THOUGHT, SIGNATURE)  # type: ignore[union-attr]
    assert (text.type, text.text) == ("text", REPLY)  # type: ignore[union-attr]
    assert (message.stop_reason, message.stop_sequence, message.model) == ("end_turn", None, "fake")
    assert message.usage.output_tokens_details
    assert message.usage.output_tokens_details.thinking_tokens == len(THOUGHT + "</think>")
    assert message.limpide["receipt"]["model"] == "fake"  # type: ignore[attr-defined]
    again: Any = [*HELLO, message.to_param(), {"role": "user", "content": "And of Spain?"}]
    answer = client.messages.create(model="fake", max_tokens=500, messages=again)
    assert [block.type for block in answer.content] == ["text"]


def test_the_budget_is_enforced(client: anthropic.Anthropic) -> None:
    short: Any = {"type": "enabled", "budget_tokens": 12}
    message = client.messages.create(model="fake", max_tokens=500, messages=HELLO, thinking=short)
    thinking = message.content[0]
    assert thinking.thinking == THOUGHT[: len(thinking.thinking)]  # type: ignore[union-attr]
    assert 0 < len(thinking.thinking) <= 12  # type: ignore[union-attr]
    assert message.limpide["choices"]["0"]["thinking_truncated"] is True  # type: ignore[attr-defined]


def test_the_stream_helper(client: anthropic.Anthropic) -> None:
    asked: Any = {"model": "fake", "max_tokens": 500, "messages": HELLO, "thinking": {"type": "adaptive"}}
    with client.messages.stream(**asked) as stream:
        kinds = [event.type for event in stream]
        streamed = stream.get_final_message()
    assert {"thinking", "signature", "text", "message_stop"} <= set(kinds)
    whole = client.messages.create(**asked)
    volatile = {"id": True, "limpide": True, "stop_details": True, "usage": True}
    assert streamed.model_dump(exclude=volatile) | {"content": []} == whole.model_dump(exclude=volatile) | {
        "content": []
    }
    assert [block.to_dict() for block in streamed.content] == [block.to_dict() for block in whole.content]
    assert streamed.usage.output_tokens == whole.usage.output_tokens
    with client.messages.stream(**asked) as stream:
        assert "".join(stream.text_stream) == REPLY


def test_tools_and_their_results(fake_host: Any, serve: Callable[..., httpx.Client]) -> None:
    prompts: list[str] = []

    def reply(prompt: str) -> str:
        prompts.append(prompt)
        return REPLY if "blue" in prompt else CALL

    with client_of(serve(fake_host(reply, thinking=THOUGHT)).base_url) as client:
        asked: Any = {"model": "fake", "max_tokens": 500, "tools": [LOOK], "thinking": ON, "extra_body": {"seed": 1}}
        message = client.messages.create(**asked, messages=HELLO)
        assert message.stop_reason == "tool_use"
        call: Any = message.content[-1]
        assert (call.type, call.name, call.input) == ("tool_use", "look", {"at": 1})
        with client.messages.stream(**asked, messages=HELLO) as stream:
            streamed: Any = stream.get_final_message()
        assert [block.to_dict() for block in streamed.content] == [block.to_dict() for block in message.content]
        result: Any = {"type": "tool_result", "tool_use_id": call.id, "content": "blue", "is_error": True}
        history = [*HELLO, message.to_param(), {"role": "user", "content": [result]}]
        answer: Any = client.messages.create(**asked, messages=history).content[-1]
        assert answer.text == REPLY
        assert prompts[-1].endswith("Error: blue")
        assert '<tool_call>{"name": "look", "arguments": ' in prompts[-1]


def test_a_call_can_be_demanded_and_forbidden(fake_host: Any, serve: Callable[..., httpx.Client]) -> None:
    with client_of(serve(fake_host("words")).base_url) as client:
        asked: Any = {
            "model": "fake",
            "max_tokens": 200,
            "messages": HELLO,
            "tools": [LOOK],
            "extra_body": {"temperature": 0},
        }
        forced = client.messages.create(**asked, tool_choice={"type": "tool", "name": "look"})
        assert forced.content[0].type == "tool_use"
        assert client.messages.create(**asked, tool_choice={"type": "none"}).content[0].type == "text"


def test_a_call_that_was_cut_off_is_no_call_to_make(fake_host: Any, serve: Callable[..., httpx.Client]) -> None:
    long = '<tool_call>{"name": "look", "arguments": {"path": "/tmp/somewhere"}}</tool_call>'
    with client_of(serve(fake_host(long)).base_url) as client:
        message: Any = client.messages.create(model="fake", max_tokens=58, messages=HELLO, tools=[LOOK])
        assert message.stop_reason == "max_tokens"
        [(name, written)] = message.content[0].input.items()
        assert (name, written) == ("INVALID_JSON", '{"path": "/tmp/so')


def test_what_ends_a_message(client: anthropic.Anthropic) -> None:
    asked: Any = {"model": "fake", "messages": HELLO}
    stopped = client.messages.create(**asked, max_tokens=99, stop_sequences=[", of", "zz"])
    assert (stopped.stop_reason, stopped.stop_sequence) == ("stop_sequence", ", of")
    assert stopped.content[0].text == "Paris"  # type: ignore[union-attr]
    assert client.messages.create(**asked, max_tokens=3).stop_reason == "max_tokens"
    full: Any = [{"role": "user", "content": "x" * 8180}]
    reason = client.messages.create(model="fake", messages=full, max_tokens=99).stop_reason
    assert reason == "model_context_window_exceeded"


def test_a_schema_with_thinking_before_it(fake_host: Any, serve: Callable[..., httpx.Client]) -> None:
    schema = {
        "type": "object",
        "properties": {"n": {"enum": [1]}},
        "required": ["n"],
        "additionalProperties": False,
    }
    with client_of(serve(fake_host("no JSON", thinking=THOUGHT)).base_url) as client:
        form: Any = {"format": {"type": "json_schema", "schema": schema}}
        message: Any = client.messages.create(
            model="fake", max_tokens=500, messages=HELLO, output_config=form, thinking=ON
        )
        assert message.content[0].thinking == THOUGHT
        assert json.loads(message.content[1].text) == {"n": 1}


def test_counting(client: anthropic.Anthropic) -> None:
    asked: Any = {"model": "fake", "messages": HELLO, "system": "Be kind.", "tools": [LOOK], "thinking": ON}
    count = client.messages.count_tokens(**asked).input_tokens
    for _ in range(2):  # the second time from the cache
        usage = client.messages.create(**asked, max_tokens=300).usage
        assert usage.input_tokens + (usage.cache_read_input_tokens or 0) == count
    assert usage.cache_read_input_tokens
    with client.messages.stream(**asked, max_tokens=300) as stream:
        first = next(iter(stream))
        assert first.message.usage.input_tokens == count  # type: ignore[union-attr]
        usage = stream.get_final_message().usage
    assert usage.input_tokens + (usage.cache_read_input_tokens or 0) == count
    assert usage.cache_read_input_tokens
    assert client.messages.count_tokens(model="fake", messages=[{"role": "user", "content": "x" * 9000}])


def test_a_billing_header_does_not_cost_the_cache(client: anthropic.Anthropic) -> None:
    def ask(number: str) -> anthropic.types.Usage:
        header = f"x-anthropic-billing-header: cc_version=2.1.177.01c; cc_entrypoint=cli; cch={number};"
        system: Any = [{"type": "text", "text": header}, {"type": "text", "text": "You write code. " * 20}]
        message = client.messages.create(model="fake", max_tokens=50, messages=HELLO, system=system)
        parameters = message.limpide["receipt"]["parameters"]  # type: ignore[attr-defined]
        assert parameters["system[0].text billing header"]["requested"] == header
        return message.usage

    first, second = ask("36ee5"), ask("0aaa9")
    assert first.cache_read_input_tokens == 0
    assert second.input_tokens < 20 < (second.cache_read_input_tokens or 0)


def test_betas_are_taken_and_said(client: anthropic.Anthropic) -> None:
    message = client.beta.messages.create(
        model="fake", max_tokens=50, messages=HELLO, betas=["context-1m-2025-08-07"], context_management={"edits": []}
    )
    parameters = message.limpide["receipt"]["parameters"]  # type: ignore[attr-defined]
    assert parameters["anthropic-beta"]["requested"] == "context-1m-2025-08-07"
    assert parameters["context_management"]["status"] == "refused"


def test_models(client: anthropic.Anthropic) -> None:
    [model] = client.models.list()
    assert (model.id, model.type, model.created_at.year) == ("fake", "model", 2023)
    assert client.models.retrieve("fake").display_name == "fake"
    with pytest.raises(anthropic.NotFoundError):
        client.models.retrieve("other")


def test_errors_are_the_clients_own(client: anthropic.Anthropic) -> None:
    asked: Any = {"model": "fake", "max_tokens": 50, "messages": HELLO}
    with pytest.raises(anthropic.NotFoundError) as unknown:
        client.messages.create(**asked | {"model": "claude"})
    assert (unknown.value.type, unknown.value.error_code) == ("not_found_error", "model_not_found")
    with pytest.raises(anthropic.BadRequestError) as bad:
        client.messages.create(**asked, extra_body={"temprature": 1})
    assert (bad.value.type, bad.value.error_code) == ("invalid_request_error", "unknown_parameter")
    image: Any = {"role": "user", "content": [{"type": "image", "source": {"type": "url", "url": "x"}}]}
    with pytest.raises(anthropic.BadRequestError, match=r"messages\[0\].content\[0\].type: .*text only"):
        client.messages.create(**asked | {"messages": [image]})
    with pytest.raises(anthropic.BadRequestError, match=r"prompt is too long: .* 9003 .* 8192"):
        client.messages.create(**asked | {"messages": [{"role": "user", "content": "x" * 9000}]})
    with pytest.raises(anthropic.BadRequestError):
        client.messages.count_tokens(model="fake", messages=[])


def test_an_error_in_the_middle_of_a_stream(fake_host: Any, serve: Callable[..., httpx.Client]) -> None:
    def fail(prompt: str) -> str:
        raise RuntimeError("secret")

    with client_of(serve(fake_host(fail)).base_url) as client:
        with pytest.raises(anthropic.APIStatusError) as failed:
            with client.messages.stream(model="fake", max_tokens=50, messages=HELLO) as stream:
                stream.get_final_message()
    assert failed.value.type in ("api_error", "overloaded_error")
    assert "secret" not in str(failed.value)


def test_frames_have_names_and_silence_has_pings(fake_host: Any, serve: Callable[..., httpx.Client]) -> None:
    pinged = threading.Event()

    def reply(prompt: str) -> str:
        assert pinged.wait(30)
        return REPLY

    http = serve(fake_host(reply), ServerSettings(ping_seconds=0.01))
    body = {"max_tokens": 200, "messages": HELLO, "stream": True}
    names = []
    with http.stream("POST", "/v1/messages", json=body, headers={"anthropic-version": "2023-06-01"}) as answer:
        lines = answer.iter_lines()
        for name, data, blank in zip(lines, lines, lines, strict=True):
            assert blank == ""
            assert name == "event: " + json.loads(data.removeprefix("data: "))["type"]
            names.append(name.removeprefix("event: "))
            if names[-1] == "ping":
                pinged.set()
    assert names[:2] == ["message_start", "ping"]
    assert names[-2:] == ["message_delta", "message_stop"]


def test_many_at_once_with_the_async_client(fake_host: Any, serve: Callable[..., httpx.Client]) -> None:
    url = serve(fake_host(lambda prompt: prompt[-2:] * 9, thinking=THOUGHT)).base_url

    async def ask(client: anthropic.AsyncAnthropic, number: int) -> str:
        asked: Any = {"model": "fake", "max_tokens": 50, "messages": [{"role": "user", "content": f"say {number}"}]}
        if number % 2:
            return (await client.messages.create(**asked)).content[0].text  # type: ignore[union-attr]
        async with client.messages.stream(**asked) as stream:
            return await stream.get_final_text()

    async def run() -> list[str]:
        async with anthropic.AsyncAnthropic(base_url=str(url).rstrip("/"), api_key="none") as client:
            return await asyncio.gather(*(ask(client, number) for number in range(10, 26)))

    assert asyncio.run(run()) == [str(number) * 9 for number in range(10, 26)]


def test_who_leaves_a_stream_holds_nothing(fake_host: Any, serve: Callable[..., httpx.Client]) -> None:
    """What the host checks in the end."""
    with client_of(serve(fake_host("word " * 1000)).base_url) as client:
        stream = client.messages.create(model="fake", max_tokens=4000, messages=HELLO, stream=True)
        for _, event in zip(range(5), stream, strict=False):
            assert event.type != "message_stop"
        stream.close()
        assert client.messages.create(model="fake", max_tokens=9, messages=HELLO).stop_reason == "max_tokens"


@pytest.fixture(scope="module")
def real(smollm2_path: Path) -> Iterator[anthropic.Anthropic]:
    host = FakeHost(smollm2=LocalBackend.open(smollm2_path, name="smollm2", context=2048))
    with serving(host) as url, client_of(url) as client:
        yield client


def test_the_real_model_answers(real: anthropic.Anthropic) -> None:
    asked: Any = {"model": "smollm2", "messages": HELLO, "extra_body": {"temperature": 0}, "max_tokens": 24}
    whole = real.messages.create(**asked)
    assert "Paris" in whole.content[0].text  # type: ignore[union-attr]
    with real.messages.stream(**asked) as stream:
        assert stream.get_final_text() == whole.content[0].text  # type: ignore[union-attr]
    assert real.messages.count_tokens(model="smollm2", messages=HELLO).input_tokens == (
        whole.usage.input_tokens + (whole.usage.cache_read_input_tokens or 0)
    )


def test_the_real_model_thinks_within_its_budget(real: anthropic.Anthropic) -> None:
    thinking: Any = {"type": "enabled", "budget_tokens": 20}
    asked: Any = {"model": "smollm2", "messages": HELLO, "extra_body": {"temperature": 0}, "max_tokens": 80}
    whole = real.messages.create(**asked, thinking=thinking)
    details = whole.usage.output_tokens_details
    assert details
    assert 0 < details.thinking_tokens < 40
    assert [block.type for block in whole.content] == ["thinking", "text"]
