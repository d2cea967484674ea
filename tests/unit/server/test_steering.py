"""Answers that are told something while they are being written, in every dialect."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

Serve = Callable[..., httpx.Client]
CHAT, MESSAGES, RESPONSES = "/v1/chat/completions", "/v1/messages", "/v1/responses"
REPLY = "Paris, of course."
ASK: Any = [{"role": "user", "content": "hello"}]
BODIES: dict[str, dict[str, Any]] = {
    CHAT: {"messages": ASK, "think": "max"},
    MESSAGES: {"messages": ASK, "max_tokens": 7000, "thinking": {"type": "enabled", "budget_tokens": 6900}},
    RESPONSES: {"input": "hello", "reasoning": {"effort": "xhigh"}},
}


class Pausing:
    """Words for a scripted model, which after some tokens waits until it is told to go on."""

    def __init__(self, words: str, tokens: int = 200) -> None:
        self._words = words
        self._left = tokens
        self.go_on = threading.Event()

    def __call__(self, _: str) -> str:
        self._left -= 1
        if self._left < 0:
            assert self.go_on.wait(30)
        return self._words


def events_of(lines: Iterator[str]) -> Iterator[dict[str, Any]]:
    """What a stream carries, of whichever dialect."""
    for line in lines:
        if line.startswith("data: {"):
            yield json.loads(line.removeprefix("data: "))


def head_of(event: dict[str, Any]) -> str:
    """The id in the first event of a stream."""
    name: str = (event.get("message") or event.get("response") or event)["id"]
    return name


def end_of(events: list[dict[str, Any]]) -> dict[str, Any]:
    """What the receipt's neighbour says of how the answer ended."""
    [extras] = [e["limpide"] for e in (x.get("response") or x for x in events) if e.get("limpide")]
    end: dict[str, Any] = extras["choices"]["0"]
    return end


def answer_in(events: list[dict[str, Any]]) -> str:
    """The text of the answer, without its thinking."""
    texts = []
    for event in events:
        if "choices" in event:
            texts += [choice["delta"].get("content") or "" for choice in event["choices"]]
        elif event["type"] == "content_block_delta":
            texts.append(event["delta"].get("text", ""))
        elif event["type"] == "response.output_text.delta":
            texts.append(event["delta"])
    return "".join(texts)


@pytest.mark.parametrize(
    ("path", "told"), [(CHAT, "chat.completion.told"), (MESSAGES, "message.told"), (RESPONSES, "response.told")]
)
def test_thinking_can_be_told_to_stop(fake_host: Any, serve: Serve, path: str, told: str) -> None:
    thought = Pausing("on and on " * 690)
    client = serve(fake_host(REPLY, thinking=thought))
    with client.stream("POST", path, json={**BODIES[path], "stream": True}) as response:
        stream = events_of(response.iter_lines())
        name = head_of(next(stream))
        reply = client.post(f"{path}/{name}/stop-thinking").json()
        thought.go_on.set()
        rest = list(stream)
    assert reply == {"id": name, "object": told, "told": "stop-thinking"}
    assert len(rest) < 320, "the thinking alone would be thousands"
    assert answer_in(rest) == REPLY
    assert end_of(rest)["thinking_truncated"] is True
    late = client.post(f"{path}/{name}/stop-thinking")
    assert late.status_code == 404
    assert ("request_id" in late.json()) == (path == MESSAGES), "each path in the form of its dialect"


def test_a_response_in_the_background_can_be_told_to_stop_thinking(fake_host: Any, serve: Serve) -> None:
    thought = Pausing("on and on " * 690)
    client = serve(fake_host(REPLY, thinking=thought))
    name = client.post(RESPONSES, json={**BODIES[RESPONSES], "background": True}).json()["id"]
    while client.post(f"{RESPONSES}/{name}/stop-thinking").status_code == 404:
        pass  # it waits for its model
    thought.go_on.set()
    while (response := client.get(f"{RESPONSES}/{name}").json())["status"] in ("queued", "in_progress"):
        pass
    assert response["limpide"]["choices"]["0"]["thinking_truncated"] is True
    assert response["output"][-1]["content"][0]["text"] == REPLY


@pytest.mark.parametrize("path", [CHAT, MESSAGES])
def test_an_answer_can_be_cancelled(fake_host: Any, serve: Serve, path: str) -> None:
    reply = Pausing("on and on " * 690)
    client = serve(fake_host(reply))
    body = {"messages": ASK, "max_tokens": 7000, "stream": True}
    with client.stream("POST", path, json=body) as response:
        stream = events_of(response.iter_lines())
        name = head_of(next(stream))
        assert client.post(f"{path}/{name}/cancel").json()["told"] == "cancel"
        reply.go_on.set()
        rest = list(stream)
    assert end_of(rest)["reason"] == "aborted"
    if path == CHAT:
        assert rest[-1]["choices"][0]["finish_reason"] == "length"
    else:
        assert [event["delta"]["stop_reason"] for event in rest if event["type"] == "message_delta"] == ["max_tokens"]
