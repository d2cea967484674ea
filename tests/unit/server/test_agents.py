"""Coding agents: what they send is taken, their loop of calls and results turns, errors are told as they know them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from agent_turns import AGENTS, Agent, Codex

Json = dict[str, Any]
Serve = Callable[..., httpx.Client]
agents = pytest.mark.parametrize("agent", AGENTS, ids=lambda agent: type(agent).__name__)


def asked(client: httpx.Client, agent: Agent, body: Json) -> list[Json]:
    """The events of an answer."""
    headers = {"authorization": "Bearer limpide", **agent.headers}
    with client.stream("POST", agent.path, json=body, headers=headers) as response:
        assert response.status_code == 200, response.read()
        lines = [line for line in response.iter_lines() if line.startswith("data: {")]
    return [json.loads(line.removeprefix("data: ")) for line in lines]


def extras(events: list[Json]) -> Json:
    """What the last event that has it says of Limpide's own."""
    found = [event.get("response", event).get("limpide") for event in events]
    receipt: Json = [each for each in found if each][-1]["receipt"]
    return receipt


def once_called(agent: Agent) -> Callable[[str], str]:
    """Calls, until there is a result."""
    return lambda before: "There is one file." if "a.txt" in before else f"I will look.\n{agent.call}"


@agents
def test_the_loop_turns(agent: Agent, fake_host: Any, serve: Serve) -> None:
    client = serve(fake_host(once_called(agent), model_context=100_000, thinking="Hm."))
    first = asked(client, agent, agent.first())
    parameters = extras(first)["parameters"]
    assert {name for name, outcome in parameters.items() if outcome["status"] == "refused"} == agent.refused
    second = asked(client, agent, agent.after(agent.first(), first, "a.txt"))
    deltas = [event.get("delta") for event in second] + [
        choice["delta"].get("content") for event in second for choice in event.get("choices", ())
    ]
    said = "".join(each if isinstance(each, str) else (each or {}).get("text", "") for each in deltas)
    assert said.endswith("There is one file.")


@agents
def test_a_field_that_nobody_sends_is_still_refused(agent: Agent, fake_host: Any, serve: Serve) -> None:
    client = serve(fake_host())
    answer = client.post(agent.path, json={**agent.first(), "unheard_of": 1}, headers=agent.headers)
    assert answer.status_code == 400
    assert "unheard_of" in answer.text


@agents
def test_a_conversation_that_is_too_long_is_told_so_that_the_agent_knows(
    agent: Agent, fake_host: Any, serve: Serve
) -> None:
    client = serve(fake_host(model_context=64))
    answer = client.post(agent.path, json=agent.first(), headers=agent.headers)
    assert answer.status_code == 400
    error = answer.json()["error"]
    known = error["message"].startswith("prompt is too long") or error["code"] == "context_length_exceeded"
    assert known, error


def test_a_call_in_a_namespace_comes_back_in_it(fake_host: Any, serve: Serve) -> None:
    class InNamespace(Codex):
        call = '<tool_call>{"name": "multi_agent_v1__close_agent", "arguments": {"target": "x"}}</tool_call>'

    agent = InNamespace()
    seen: list[str] = []
    script = once_called(agent)
    client = serve(fake_host(lambda before: seen.append(before) or script(before), model_context=100_000))  # type: ignore[func-returns-value]
    first = asked(client, agent, agent.first())
    [item] = [e["item"] for e in first if e["type"] == "response.output_item.done" and "arguments" in e["item"]]
    assert (item["namespace"], item["name"]) == ("multi_agent_v1", "close_agent")
    asked(client, agent, agent.after(agent.first(), first, "a.txt"))
    assert '"name": "multi_agent_v1__close_agent"' in seen[-1].rpartition("I will look.")[2], "as it was offered"
