"""The official client of OpenAI, as people use it, against a real server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from scripted_hosts import FakeHost, serving

from limpide.backends.local import LocalBackend

REPLY, THOUGHT = "Paris, of course.", "First one thing, then another."
HELLO: Any = [{"role": "user", "content": "What is the capital of France?"}]
LOOK: Any = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}


@pytest.fixture
def client(fake_host: Any, serve: Callable[..., httpx.Client]) -> Iterator[openai.OpenAI]:
    url = serve(fake_host(REPLY, thinking=THOUGHT)).base_url
    with openai.OpenAI(base_url=f"{str(url).rstrip('/')}/v1", api_key="none", max_retries=0) as made:
        yield made


def test_chat(client: openai.OpenAI) -> None:
    whole = client.chat.completions.create(model="fake", messages=HELLO, reasoning_effort="low")
    message = whole.choices[0].message
    assert (message.content, message.reasoning_content) == (REPLY, THOUGHT)  # type: ignore[attr-defined]
    assert whole.usage
    assert whole.usage.completion_tokens_details
    assert whole.usage.completion_tokens_details.reasoning_tokens == len(THOUGHT + "</think>")
    again = [*HELLO, message.model_dump(), {"role": "user", "content": "And of Spain?"}]
    assert client.chat.completions.create(model="fake", messages=again).choices[0].message.content == REPLY


def test_chat_stream(client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(
        model="fake", messages=HELLO, stream=True, stream_options={"include_usage": True}, reasoning_effort="low"
    )
    chunks = list(stream)
    assert chunks[0].choices[0].delta.role == "assistant"
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == REPLY
    assert chunks[-1].usage
    assert chunks[-1].limpide["receipt"]["model"] == "fake"  # type: ignore[attr-defined]


def test_the_clients_own_accumulator(client: openai.OpenAI) -> None:
    with client.chat.completions.stream(model="fake", messages=HELLO) as stream:
        for _ in stream:
            pass
        final = stream.get_final_completion()
    assert final.choices[0].message.content == REPLY
    assert final.choices[0].finish_reason == "stop"


def test_tools(fake_host: Any, serve: Callable[..., httpx.Client]) -> None:
    url = serve(fake_host('<tool_call>{"name": "look", "arguments": {"at": 1}}</tool_call>')).base_url
    with openai.OpenAI(base_url=f"{str(url).rstrip('/')}/v1", api_key="none") as client:
        whole = client.chat.completions.create(model="fake", messages=HELLO, tools=[LOOK])
        [call] = whole.choices[0].message.tool_calls or []
        assert json.loads(call.function.arguments) == {"at": 1}  # type: ignore[union-attr]
        with client.chat.completions.stream(model="fake", messages=HELLO, tools=[LOOK]) as stream:
            final = stream.get_final_completion()
        [streamed] = final.choices[0].message.tool_calls or []
        assert streamed.function.arguments == call.function.arguments  # type: ignore[union-attr]


def test_everything_else(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["fake"]
    assert client.models.retrieve("fake").owned_by == "limpide"
    assert client.completions.create(model="fake", prompt="Par").choices[0].text == "is, of course."
    assert next(iter(client.completions.create(model="fake", prompt="Par", stream=True))).choices[0].text == "i"
    found = client.embeddings.create(model="fake", input=["a", "bc"])  # asks for base64 and decodes it
    plain = client.embeddings.create(model="fake", input=["a", "bc"], encoding_format="float")
    for one, other in zip(found.data, plain.data, strict=True):
        assert one.embedding == pytest.approx(other.embedding, abs=1e-6)


def test_errors_are_the_clients_own(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as unknown:
        client.chat.completions.create(model="gpt-4", messages=HELLO)
    assert unknown.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError) as bad:
        client.chat.completions.create(model="fake", messages=HELLO, extra_body={"temprature": 1})
    assert bad.value.param == "temprature"
    with pytest.raises(openai.BadRequestError) as long:
        client.chat.completions.create(model="fake", messages=[{"role": "user", "content": "x" * 9000}])
    assert long.value.code == "context_length_exceeded"


def test_many_at_once_with_the_async_client(fake_host: Any, serve: Callable[..., httpx.Client]) -> None:
    url = serve(fake_host(lambda prompt: prompt[-2:] * 9, thinking=THOUGHT)).base_url

    async def ask(client: openai.AsyncOpenAI, number: int) -> str:
        messages: Any = [{"role": "user", "content": f"say {number}"}]
        stream = await client.chat.completions.create(model="fake", messages=messages, stream=True)
        return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

    async def run() -> list[str]:
        async with openai.AsyncOpenAI(base_url=f"{str(url).rstrip('/')}/v1", api_key="none") as client:
            return await asyncio.gather(*(ask(client, number) for number in range(10, 26)))

    assert asyncio.run(run()) == [str(number) * 9 for number in range(10, 26)]


@pytest.fixture(scope="module")
def real(smollm2_path: Path) -> Iterator[openai.OpenAI]:
    host = FakeHost(smollm2=LocalBackend.open(smollm2_path, name="smollm2", context=2048))
    with serving(host) as url, openai.OpenAI(base_url=f"{str(url).rstrip('/')}/v1", api_key="none") as client:
        yield client


def test_the_real_model_answers(real: openai.OpenAI) -> None:
    asked: Any = {"model": "smollm2", "messages": HELLO, "temperature": 0, "max_tokens": 24}
    whole = real.chat.completions.create(**asked)
    assert "Paris" in (whole.choices[0].message.content or "")
    streamed = real.chat.completions.create(**asked, stream=True)
    assert "".join(c.choices[0].delta.content or "" for c in streamed) == whole.choices[0].message.content


def test_the_real_model_thinks_within_its_budget(real: openai.OpenAI) -> None:
    whole = real.chat.completions.create(
        model="smollm2", messages=HELLO, temperature=0, max_tokens=80, extra_body={"thinking_token_budget": 20}
    )
    details = whole.usage and whole.usage.completion_tokens_details
    assert details
    assert 0 < (details.reasoning_tokens or 0) < 40
    assert whole.choices[0].message.reasoning  # type: ignore[attr-defined]
    assert whole.choices[0].message.content
