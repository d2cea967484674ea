"""The endpoints over the network: what they answer, and what they hold no longer when the client is gone."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from limpide.backends.fake import FakeBackend

Serve = Callable[..., httpx.Client]
CHAT = "/v1/chat/completions"
REPLY, THOUGHT = "Paris, of course.", "First one thing, then another."


def hello(**fields: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": "hello"}], **fields}


def chunks(lines: Iterator[str]) -> Iterator[dict[str, Any]]:
    """What a stream carries. It ends with [DONE], and between events there is an empty line."""
    for line in lines:
        if line == "data: [DONE]":
            assert list(lines) == [""]
            return
        assert line.startswith("data: ")
        yield json.loads(line.removeprefix("data: "))
        assert next(lines) == ""
    raise AssertionError("the stream broke off")


@pytest.fixture
def client(fake_host: Any, serve: Serve) -> httpx.Client:
    return serve(fake_host(REPLY, thinking=THOUGHT))


def test_health(client: httpx.Client) -> None:
    assert client.get("/health").json() == {"status": "ok"}


def test_models_say_what_they_can(client: httpx.Client) -> None:
    client.post(CHAT, json=hello()).raise_for_status()
    listed = client.get("/v1/models").json()
    assert (listed["object"], [model["id"] for model in listed["data"]]) == ("list", ["fake"])
    one = client.get("/v1/models/fake").json()
    assert one == listed["data"][0]
    assert (one["object"], one["created"]) == ("model", 1_700_000_000)
    facts = {"state": "loaded", "context": 8192, "thinking": "native", "chat": True, "tools": "hermes"}
    assert facts.items() <= one["limpide"].items()
    assert one["limpide"]["licence"] == "Apache-2.0"


def test_an_answer_with_thinking(client: httpx.Client) -> None:
    whole = client.post(CHAT, json=hello(reasoning_effort="low", user="me")).json()
    message = whole["choices"][0]["message"]
    assert (message["content"], message["reasoning"], message["reasoning_content"]) == (REPLY, THOUGHT, THOUGHT)
    assert whole["usage"]["completion_tokens_details"]["reasoning_tokens"] == len(THOUGHT + "</think>")
    parameters = whole["limpide"]["receipt"]["parameters"]
    assert parameters["user"]["status"] == "refused"
    assert parameters["temperature"]["why"].startswith("none was given")
    assert parameters["think"]["effective"] == 256
    assert whole["model"] == "fake"


def test_the_budget_is_enforced(client: httpx.Client) -> None:
    whole = client.post(CHAT, json=hello(thinking_token_budget=5)).json()
    assert whole["choices"][0]["message"]["reasoning"] == THOUGHT[:5]
    assert whole["choices"][0]["message"]["content"] == REPLY
    assert whole["limpide"]["choices"]["0"]["thinking_truncated"] is True


@pytest.mark.parametrize("fields", [{}, {"n": 2, "temperature": 0.5}, {"logprobs": True, "top_logprobs": 1}])
def test_stream_and_whole_are_the_same(client: httpx.Client, fields: dict[str, Any]) -> None:
    body = hello(seed=1, think="low", **fields)
    whole = client.post(CHAT, json=body).json()
    options = {"stream": True, "stream_options": {"include_usage": True}}
    with client.stream("POST", CHAT, json={**body, **options}) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        *streamed, last = chunks(response.iter_lines())
    for choice in whole["choices"]:
        mine = [c["choices"][0] for c in streamed if c["choices"][0]["index"] == choice["index"]]
        message = choice["message"]
        assert "".join(c["delta"].get("content", "") for c in mine) == message["content"]
        assert "".join(c["delta"].get("reasoning", "") for c in mine) == message["reasoning"]
        assert mine[-1]["finish_reason"] == choice["finish_reason"]
        logprobs = [token for c in mine if c["logprobs"] for token in c["logprobs"]["content"]]
        assert logprobs == (choice["logprobs"] or {"content": []})["content"]
    same = ("prompt_tokens", "completion_tokens", "completion_tokens_details")
    assert [last["usage"][name] for name in same] == [whole["usage"][name] for name in same]
    assert last["limpide"]["receipt"] == whole["limpide"]["receipt"]


def test_the_second_time_the_prompt_comes_from_the_cache(client: httpx.Client) -> None:
    body = {"messages": [{"role": "user", "content": "x" * 200}]}
    used = [client.post(CHAT, json=body).json()["usage"] for _ in range(2)]
    assert used[0]["prompt_tokens_details"]["cached_tokens"] == 0
    assert 150 < used[1]["prompt_tokens_details"]["cached_tokens"] < used[1]["prompt_tokens"]


def test_logprobs_add_up_to_the_text(fake_host: Any, serve: Serve) -> None:
    """Streamed and whole, though the model writes blanks between thinking and answer."""
    client = serve(fake_host(REPLY, thinking=THOUGHT))
    body = hello(think="low", logprobs=True)
    [choice] = client.post(CHAT, json=body).json()["choices"]
    with client.stream("POST", CHAT, json={**body, "stream": True}) as response:
        pieces = [choice for chunk in chunks(response.iter_lines()) for choice in chunk["choices"]]
    said = [piece["delta"].get("content") or "" for piece in pieces]
    tokens = [[token["token"] for token in (piece.get("logprobs") or {}).get("content") or ()] for piece in pieces]
    assert said == ["".join(each) for each in tokens]
    assert choice["message"]["content"] == "".join(said) == REPLY
    assert [token["token"] for token in choice["logprobs"]["content"]] == [token for each in tokens for token in each]


def test_tool_calls(fake_host: Any, serve: Serve) -> None:
    reply = '<tool_call>{"name": "look", "arguments": {"at": "me"}}</tool_call>'
    tools = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]
    client = serve(fake_host(reply))
    whole = client.post(CHAT, json=hello(tools=tools)).json()
    [call] = whole["choices"][0]["message"]["tool_calls"]
    assert (call["function"]["name"], json.loads(call["function"]["arguments"])) == ("look", {"at": "me"})
    assert whole["choices"][0]["finish_reason"] == "tool_calls"
    answer = whole["choices"][0]["message"]
    result = {"role": "tool", "tool_call_id": call["id"], "content": "seen"}
    again = client.post(CHAT, json={"messages": [*hello()["messages"], answer, result], "tools": tools})
    assert again.status_code == 200


def test_an_answer_that_nobody_waits_for_is_given_up(fake_host: Any, serve: Serve) -> None:
    """Both kinds. That nothing is held any more is checked by the fixture, and the endless reply would go on."""
    host = fake_host("on and on " * 500)
    client = serve(host)
    with client.stream("POST", CHAT, json=hello(stream=True)) as response:
        next(response.iter_lines())
    with pytest.raises(httpx.ReadTimeout):
        client.post(CHAT, json=hello(), timeout=0.05)
    [engine] = host.engines
    while engine.has_work:
        client.get("/health")  # gives the server's loop its turn
    assert engine.load.tokens_computed["answer"] < 2 * 5000


def test_raw_text_goes_on(fake_host: Any, serve: Serve) -> None:
    client = serve(fake_host("The quick brown fox"))
    whole = client.post("/v1/completions", json={"prompt": "Say: The quick", "echo": True}).json()
    assert (whole["object"], whole["choices"][0]["text"]) == ("text_completion", "Say: The quick brown fox")
    assert whole["limpide"]["receipt"]["parameters"]["max_tokens"]["effective"] == 16
    tokens = list(b"The quick")
    body = {"prompt": [tokens, list(b"The quick brown")], "n": 2, "temperature": 0, "max_tokens": 5}
    whole = client.post("/v1/completions", json=body).json()
    assert [(c["index"], c["text"]) for c in whole["choices"]] == [
        (0, " brow"),
        (1, " brow"),
        (2, " fox"),
        (3, " fox"),
    ]
    assert [c["finish_reason"] for c in whole["choices"]] == ["length", "length", "stop", "stop"]
    assert whole["usage"]["prompt_tokens"] == len(tokens) + len(b"The quick brown")
    with client.stream("POST", "/v1/completions", json={**body, "stream": True}) as response:
        streamed = list(chunks(response.iter_lines()))
    texts = ["", "", "", ""]
    for chunk in streamed:
        for choice in chunk["choices"]:
            texts[choice["index"]] += choice["text"]
    assert texts == [" brow", " brow", " fox", " fox"]
    assert [("limpide" in chunk) for chunk in streamed] == [False] * (len(streamed) - 1) + [True]


def test_logprobs_of_raw_text_and_the_best_of_several(fake_host: Any, serve: Serve) -> None:
    client = serve(fake_host("The quick brown fox"))
    body = {"prompt": "The quick", "logprobs": 2, "temperature": 0, "max_tokens": 3}
    found = client.post("/v1/completions", json=body).json()["choices"][0]["logprobs"]
    assert (found["tokens"], found["text_offset"]) == ([" ", "b", "r"], [0, 1, 2])
    assert all(value > -1e-6 for value in found["token_logprobs"])
    assert [max(top, key=top.get) for top in found["top_logprobs"]] == [" ", "b", "r"]  # type: ignore[arg-type]
    whole = client.post("/v1/completions", json={"prompt": "The quick", "best_of": 3, "seed": 1}).json()
    assert [c["text"] for c in whole["choices"]] == [" brown fox"]
    assert whole["choices"][0]["logprobs"] is None
    assert whole["usage"]["completion_tokens"] == 3 * len(" brown fox.")


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"suffix": "x"}, "suffix"),
        ({"reasoning_effort": "low"}, "reasoning_effort"),
        ({"best_of": 1, "n": 2}, "best_of"),
        ({"best_of": 2, "stream": True}, "best_of"),
        ({"echo": True, "logprobs": 1}, "echo"),
        ({"prompt": ["a"] * 100, "n": 2}, "prompt"),
        ({"prompt": []}, "prompt"),
        ({"prompt": [1, "a"]}, "prompt[1]"),
        ({"prompt": [100_000]}, "prompt"),
    ],
)
def test_raw_requests_that_are_refused(client: httpx.Client, fields: dict[str, Any], param: str) -> None:
    answer = client.post("/v1/completions", json={"prompt": "a", **fields})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


def test_embeddings(client: httpx.Client) -> None:
    body = {"input": ["a", "hello"], "user": "me"}
    found = client.post("/v1/embeddings", json=body).json()
    assert [item["index"] for item in found["data"]] == [0, 1]
    assert found["usage"] == {"prompt_tokens": 8, "total_tokens": 8}  # each text is begun with a token
    assert found["limpide"]["receipt"]["parameters"]["user"]["status"] == "refused"
    encoded = client.post("/v1/embeddings", json={**body, "encoding_format": "base64"}).json()
    for plain, packed in zip(found["data"], encoded["data"], strict=True):
        raw = base64.b64decode(packed["embedding"])
        width = len(plain["embedding"])
        assert struct.unpack(f"<{width}f", raw) == pytest.approx(plain["embedding"])
    assert client.post("/v1/embeddings", json={"input": [1, 2]}).json()["usage"]["prompt_tokens"] == 2
    assert client.post("/v1/embeddings", json={"input": "a", "dimensions": width}).status_code == 200
    refused = client.post("/v1/embeddings", json={"input": "a", "dimensions": width + 1})
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "dimensions")


def test_tokens_and_back(client: httpx.Client) -> None:
    found = client.post("/tokenize", json={"text": "é<|end|>"}).json()
    assert (found["tokens"], found["count"], found["model"]) == (list("é<|end|>".encode()), 9, "fake")
    assert client.post("/tokenize", json={"text": "<|end|>", "special": True, "bos": True}).json()["tokens"] == [
        256,
        257,
    ]
    back = client.post("/detokenize", json={"tokens": found["tokens"]}).json()
    assert back == {"model": "fake", "text": "é<|end|>"}
    assert client.post("/detokenize", json={"tokens": [99999]}).status_code == 400


def test_the_prompt_of_a_conversation_is_what_it_costs(client: httpx.Client) -> None:
    body = hello(reasoning_effort="low", stream=True)
    shown = client.post("/apply-template", json=body).json()
    assert "hello" in shown["prompt"]
    assert shown["prompt"].endswith("<think>\n")
    assert shown["count"] == len(shown["tokens"])
    whole = client.post(CHAT, json={**body, "stream": False}).json()
    assert whole["usage"]["prompt_tokens"] == shown["count"]


def test_scores(fake_host: Any, serve: Serve) -> None:
    client = serve(fake_host("The quick brown fox"))
    body = {"context": "The quick", "continuations": [" brown", " brass"]}
    right, wrong = client.post("/v1/score", json=body).json()["data"]
    assert (right["greedy"], wrong["greedy"]) == (True, False)
    assert right["logprob"] > -1e-4 > -50 > wrong["logprob"]
    assert len(right["token_logprobs"]) == 6


def test_several_models_by_name(fake_host: Any, serve: Serve) -> None:
    host = type(fake_host("x"))(one=FakeBackend("I am one.", name="one"), two=FakeBackend("I am two.", name="two"))
    client = serve(host)
    for name in ("one", "two"):
        whole = client.post(CHAT, json=hello(model=name)).json()
        assert (whole["model"], whole["choices"][0]["message"]["content"]) == (name, f"I am {name}.")
    assert client.post(CHAT, json=hello()).json()["model"] == "one"
    assert [m["limpide"]["state"] for m in client.get("/v1/models").json()["data"]] == ["loaded", "loaded"]
