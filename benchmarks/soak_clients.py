"""What the soak's clients do: every kind of request there is, well and badly behaved, with what must come back."""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from plain_http import Head, ask, exchange

Body = dict[str, Any]
SUBJECTS = "rivers glass trains bread winter maps bridges music clocks tea islands sand letters birds ships".split()  # noqa: SIM905
SYSTEMS = [f"You are a guide to {a} and {b}. " * 12 for a, b in zip(SUBJECTS[::2], SUBJECTS[1::2], strict=False)]
SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 12}, "size": {"type": "integer", "minimum": 0}},
    "required": ["name", "size"],
    "additionalProperties": False,
}
TOOL = {"type": "function", "function": {"name": "look_up", "description": "Looks a word up.", "parameters": SCHEMA}}
GREEDY = [f"Say something about {subject}." for subject in SUBJECTS[:8]]
"""Prompts whose greedy answers must be the same every time, whoever shares the batch and whatever is cached."""


class Fault(Exception):
    """Something that must not happen."""


@dataclass
class Shared:
    """What all clients know and count."""

    url: str
    context: int
    paths: frozenset[str]
    counts: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    greedy: dict[str, str] = field(default_factory=dict)
    batches: dict[str, tuple[int, bool]] = field(default_factory=dict)
    """Lines of each, and whether it was cancelled."""


def expect(holds: bool, otherwise: str) -> None:
    if not holds:
        raise Fault(otherwise)


class Client:
    """One of many, with a mixture of its own."""

    def __init__(self, shared: Shared, seed: str) -> None:
        self._shared = shared
        self._draw = random.Random(seed)
        self._mixture: list[tuple[int, Callable[[], Awaitable[None]]]] = [
            (20, self.chat_stream),
            (12, self.chat_whole),
            (8, self.chat_greedy),
            (6, self.chat_schema),
            (6, self.chat_tools),
            (10, self.leave_within_stream),
            (4, self.leave_at_once),
            (2, self.leave_within_request),
            (6, self.steer),
            (4, self.thinking_refused),
            (8, self.completion),
            (8, self.response),
            (4, self.response_in_background),
            (3, self.response_taken_up_again),
            (6, self.embeddings),
            (6, self.tokens),
            (5, self.score),
            (2, self.batch),
            (4, self.too_long),
            (8, self.malformed),
            (4, self.look_around),
        ]
        if "/v1/messages" in shared.paths:
            self._mixture.append((10, self.messages))

    async def act(self) -> str:
        """Do something; returns what it was."""
        weights = [weight for weight, _ in self._mixture]
        _, action = self._draw.choices(self._mixture, weights)[0]
        name = action.__name__
        self._shared.counts[name] += 1
        try:
            await action()
        except Fault as fault:
            raise Fault(f"{name}: {fault}") from None
        return name

    # Chat

    def _chat(self, **more: Any) -> Body:
        draw = self._draw
        messages = [{"role": "user", "content": f"{draw.random()}: tell me about {draw.choice(SUBJECTS)}."}]
        if draw.random() < 0.5:
            messages.insert(0, {"role": "system", "content": draw.choice(SYSTEMS)})
        body: Body = {"messages": messages, "max_tokens": draw.randint(1, 40)}
        body |= draw.choice([{}, {"temperature": 0}, {"top_p": 0.9, "seed": draw.randrange(1000)}, {"stop": ["\n\n"]}])
        body |= draw.choice([{}, {}, {"n": 2}, {"logprobs": True, "top_logprobs": 2}, {"reasoning_effort": "none"}])
        return body | more

    async def chat_stream(self) -> None:
        body = self._chat()
        folded = await self._chat_events(body)
        expect(set(folded) == set(range(body.get("n", 1))), f"choices {set(folded)}")

    async def _chat_events(self, body: Body) -> dict[int, tuple[str, str, list[Body]]]:
        """Text, finish reason and calls of each choice."""
        folded: dict[int, tuple[str, str, list[Body]]] = {}
        text: Counter[int] = Counter()
        parts: dict[int, list[str]] = {}
        calls: dict[int, list[Body]] = {}
        async for chunk in self._chunks("/v1/chat/completions", body, "chat.completion.chunk"):
            for choice in chunk["choices"]:
                index, delta = choice["index"], choice["delta"]
                expect(index not in folded, "something came after a finish reason")
                expect((text[index] == 0) == ("role" in delta), f"the role is not in the first delta: {chunk}")
                text[index] += 1
                parts.setdefault(index, []).append(delta.get("content") or "")
                for call in delta.get("tool_calls") or ():
                    known = calls.setdefault(index, [])
                    if call["index"] == len(known):
                        known.append({"name": call["function"]["name"], "arguments": ""})
                    known[call["index"]]["arguments"] += call["function"].get("arguments") or ""
                if choice["finish_reason"]:
                    folded[index] = "".join(parts[index]), choice["finish_reason"], calls.get(index, [])
        expect(set(folded) == set(text), "a choice has no finish reason")
        return folded

    async def _chunks(self, path: str, body: Body, kind: str) -> AsyncIterator[Body]:
        """The chunks of a stream of OpenAI's form, checked to its end."""
        body = {**body, "stream": True, "stream_options": {"include_usage": True}}
        ids, done, usage = set(), False, None
        async for _, data in self._events(path, body):
            expect(not done, "something came after [DONE]")
            if data == "[DONE]":
                done = True
                continue
            chunk = json.loads(data)
            expect("error" not in chunk, f"an error within a stream: {data[:300]}")
            expect(chunk["object"] == kind, f"object {chunk['object']}")
            ids.add(chunk["id"])
            usage = chunk.get("usage") or usage
            yield chunk
        expect(done, "no [DONE]")
        expect(len(ids) == 1, f"ids {ids}")
        expect(bool(usage) and usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"], f"{usage}")

    async def _events(self, path: str, body: Body) -> AsyncIterator[tuple[str, str]]:
        async with exchange(self._shared.url, "POST", path, json.dumps(body).encode()) as sent:
            self._status(sent.head, 200, await sent.body() if sent.head.status != 200 else b"")
            expect(sent.head.headers["content-type"].startswith("text/event-stream"), "no event stream")
            async with aclosing(sent.events()) as events:
                async for event in events:
                    yield event

    def _status(self, head: Head, expected: int | tuple[int, ...], body: object) -> None:
        self._shared.statuses[head.status] += 1
        expected = (expected,) if isinstance(expected, int) else expected
        expect(head.status in expected, f"status {head.status} in place of {expected}: {str(body)[:300]}")
        if head.status >= 400:
            error = body.get("error") if isinstance(body, dict) else None
            expect(isinstance(error, dict) and {"message", "type", "param", "code"} <= set(error), f"error {body!r}")

    async def _ask(self, method: str, path: str, body: Any = None, status: int | tuple[int, ...] = 200) -> Any:
        head, answer = await ask(self._shared.url, method, path, body)
        self._status(head, status, answer)
        return answer

    async def chat_whole(self) -> None:
        body = self._chat()
        answer = await self._ask("POST", "/v1/chat/completions", body)
        expect(len(answer["choices"]) == body.get("n", 1), "choices")
        expect(answer["usage"]["completion_tokens"] <= body["max_tokens"] * body.get("n", 1), "too many tokens")
        expect(all(choice["finish_reason"] in ("stop", "length") for choice in answer["choices"]), "finish reason")

    async def chat_greedy(self) -> None:
        prompt = self._draw.choice(GREEDY)
        body = {"messages": [{"role": "user", "content": prompt}], "temperature": 0, "max_tokens": 24}
        text = (await self._chat_events(body))[0][0]
        before = self._shared.greedy.setdefault(prompt, text)
        expect(text == before, f"a greedy answer changed from {before!r} to {text!r}")

    async def chat_schema(self) -> None:
        shape = {"type": "json_schema", "json_schema": {"name": "thing", "strict": True, "schema": SCHEMA}}
        body = self._chat(response_format=shape, max_tokens=60)
        body.pop("stop", None)
        if self._draw.random() < 0.5:
            answer = await self._ask("POST", "/v1/chat/completions", body)
            found = [(choice["message"]["content"], choice["finish_reason"]) for choice in answer["choices"]]
        else:
            found = [(text, reason) for text, reason, _ in (await self._chat_events(body)).values()]
        for text, reason in found:
            if reason == "stop":
                expect(set(json.loads(text)) == {"name", "size"}, f"not of the schema: {text!r}")

    async def chat_tools(self) -> None:
        choice = self._draw.choice(["auto", "none", "required", {"type": "function", "function": {"name": "look_up"}}])
        body = self._chat(tools=[TOOL], tool_choice=choice, max_tokens=60)
        body.pop("stop", None)
        for _, reason, calls in (await self._chat_events(body)).values():
            expect(not calls or choice != "none", "a call in spite of tool_choice none")
            if reason == "tool_calls":
                expect(bool(calls), "no call in spite of the finish reason")
            if reason == "tool_calls" and choice not in ("auto", "none"):
                expect(all(set(json.loads(call["arguments"])) == {"name", "size"} for call in calls), f"{calls}")
            if choice not in ("auto", "none"):
                expect(reason in ("tool_calls", "length"), f"finish reason {reason} in spite of {choice}")

    async def thinking_refused(self) -> None:
        """This model can't think, and says so."""
        more: Body = self._draw.choice(
            [{"reasoning_effort": "high"}, {"think": True}, {"reasoning": {"effort": "low"}}]
        )
        body = self._chat()
        body.pop("reasoning_effort", None)
        await self._ask("POST", "/v1/chat/completions", {**body, **more, "stream": self._draw.random() < 0.5}, 400)

    # Those who don't wait

    async def leave_within_stream(self) -> None:
        body = self._chat(max_tokens=200, ignore_eos=True)
        body.pop("stop", None)
        body["n"] = self._draw.choice([1, 1, 3])
        wanted = self._draw.randint(1, 20)
        async with aclosing(self._events("/v1/chat/completions", {**body, "stream": True})) as events:
            async for _ in events:
                wanted -= 1
                if wanted == 0:
                    return

    async def leave_at_once(self) -> None:
        path, body = self._draw.choice(
            [
                ("/v1/chat/completions", self._chat(max_tokens=300)),
                ("/v1/completions", {"prompt": "Once", "max_tokens": 300}),
                ("/v1/responses", {"input": "A long story.", "max_output_tokens": 300}),
                ("/v1/embeddings", {"input": ["a long text " * 50] * 4}),
                ("/v1/score", {"context": "a b c " * 50, "continuations": [" d", " e", " f"]}),
            ]
        )
        await self._abandon(path, json.dumps(body).encode(), self._draw.random() * 0.2)

    async def leave_within_request(self) -> None:
        body = json.dumps(self._chat()).encode()
        await self._abandon("/v1/chat/completions", body, 0.0, announced=len(body) + 100)

    async def _abandon(self, path: str, body: bytes, after: float, announced: int | None = None) -> None:
        host, port = self._shared.url.removeprefix("http://").split(":")
        _, writer = await asyncio.open_connection(host, int(port))
        length = len(body) if announced is None else announced
        lines = [
            f"POST {path} HTTP/1.1",
            f"Host: {host}",
            "Content-Type: application/json",
            f"Content-Length: {length}",
        ]
        writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        await writer.drain()
        await asyncio.sleep(after)
        writer.close()

    async def steer(self) -> None:
        """Tell an answer that is being written something; it may have ended a moment ago."""
        told = self._draw.choice(["cancel", "stop-thinking"])
        after, long = self._draw.randint(1, 10), self._draw.choice([20, 200])
        body = self._chat(max_tokens=long, ignore_eos=True)
        body.pop("stop", None)
        seen, reasons = 0, set()
        async with aclosing(self._chunks("/v1/chat/completions", body, "chat.completion.chunk")) as chunks:
            async for chunk in chunks:
                seen += 1
                reasons |= {choice["finish_reason"] for choice in chunk["choices"]}
                if seen == after:
                    await self._ask("POST", f"/v1/chat/completions/{chunk['id']}/{told}", None, (200, 404))
        expect(reasons - {None} == {"length"}, f"finish reasons {reasons}")

    # Raw completions, responses, messages

    async def completion(self) -> None:
        draw = self._draw
        prompt: Any = draw.choice(["Once upon a time", ["One", "Two"], [1, 2, 3, draw.randrange(1000)]])
        count = len(prompt) if isinstance(prompt, list) and isinstance(prompt[0], str) else 1
        body: Body = {"prompt": prompt, "max_tokens": draw.randint(1, 30), "temperature": draw.choice([0, 1])}
        if draw.random() < 0.5:
            answer = await self._ask("POST", "/v1/completions", body)
            expect(len(answer["choices"]) == count, "choices")
            return
        ended = Counter[int]()
        async for chunk in self._chunks("/v1/completions", body, "text_completion"):
            for choice in chunk["choices"]:
                ended[choice["index"]] += choice["finish_reason"] is not None
        expect(ended == Counter(range(count)), f"finish reasons {ended}")

    async def response(self) -> None:
        draw = self._draw
        body: Body = {"input": f"{draw.random()}: {draw.choice(SUBJECTS)}?", "max_output_tokens": draw.randint(1, 30)}
        if draw.random() < 0.5:
            found = await self._ask("POST", "/v1/responses", body)
        else:
            found = await self._response_events(self._events("/v1/responses", {**body, "stream": True}))
        expect(found["status"] in ("completed", "incomplete"), f"status {found['status']}")
        path = f"/v1/responses/{found['id']}"
        kept = await self._ask("GET", path)
        expect(kept == found, "the stored response is not the one that was answered")
        then = draw.choice(["go on", "delete", "items", "nothing"])
        if then == "go on":
            await self._ask("POST", "/v1/responses", {**body, "previous_response_id": found["id"]})
        if then == "items":
            expect(len((await self._ask("GET", f"{path}/input_items"))["data"]) == 1, "input items")
        if then == "delete":
            await self._ask("DELETE", path)
            await self._ask("GET", path, None, 404)

    async def _response_events(self, events: AsyncIterator[tuple[str, str]], first: int = 0) -> Body:
        """A stream of named events, checked to its end; the response that it ends with."""
        number, last = first, {}
        async for name, data in events:
            expect(last.get("type", "") not in ENDS, f"{name} came after the end")
            last = json.loads(data)
            expect(last["type"] == name, f"{name} is {last['type']}")
            expect(last["sequence_number"] == number, f"number {last['sequence_number']} in place of {number}")
            expect(number > 0 or name == "response.created", f"the first event is {name}")
            number += 1
        expect(last.get("type") in ENDS, f"the stream ends with {last.get('type')}")
        ended: Body = last["response"]
        return ended

    async def response_in_background(self) -> None:
        body = {"input": "A long story, please.", "max_output_tokens": self._draw.choice([5, 150]), "background": True}
        found = await self._ask("POST", "/v1/responses", body)
        path = f"/v1/responses/{found['id']}"
        then = self._draw.choice(["wait", "cancel", "delete"])
        if then == "delete":
            await self._ask("DELETE", path)
            await self._ask("GET", path, None, 404)
            return
        if then == "cancel":
            await asyncio.sleep(self._draw.random() * 0.3)
            await self._ask("POST", f"{path}/cancel", None)
        while (found := await self._ask("GET", path))["status"] in ("queued", "in_progress"):
            await asyncio.sleep(0.3)
        ends = ("completed", "incomplete") + (("cancelled",) if then == "cancel" else ())
        expect(found["status"] in ends, f"status {found['status']} after {then}")

    async def response_taken_up_again(self) -> None:
        """Leave the stream of a background response, and come back for the rest."""
        body = {"input": "Stories?", "max_output_tokens": 40, "background": True, "stream": True}
        response_id, number = "", -1
        async with aclosing(self._events("/v1/responses", body)) as events:
            async for _, data in events:
                event = json.loads(data)
                number = event["sequence_number"]
                response_id = response_id or event["response"]["id"]
                if number == 5:
                    break
        path = f"/v1/responses/{response_id}?stream=true&starting_after={number}"
        async with exchange(self._shared.url, "GET", path) as sent:
            self._status(sent.head, 200, await sent.body() if sent.head.status != 200 else b"")
            async with aclosing(sent.events()) as events:
                ended = await self._response_events(events, number + 1)
        expect(ended["status"] in ("completed", "incomplete"), f"status {ended['status']}")

    async def messages(self) -> None:
        draw = self._draw
        body: Body = {
            "model": (await self._ask("GET", "/v1/models"))["data"][0]["id"],
            "max_tokens": draw.randint(1, 30),
            "messages": [{"role": "user", "content": f"{draw.random()}: {draw.choice(SUBJECTS)}?"}],
        }
        if draw.random() < 0.5:
            answer = await self._ask("POST", "/v1/messages", body)
            expect(answer["stop_reason"] in ("end_turn", "max_tokens"), f"stop reason {answer['stop_reason']}")
            return
        names, leave = [], draw.random() < 0.3
        async with aclosing(self._events("/v1/messages", {**body, "stream": True})) as events:
            async for name, data in events:
                expect(json.loads(data)["type"] == name, f"{name} is {data[:100]}")
                names.append(name)
                if leave and len(names) == 3:
                    return
        expect((names[0], names[-1]) == ("message_start", "message_stop"), f"events {names}")

    # Everything else

    async def embeddings(self) -> None:
        texts = [f"{self._draw.random()} {self._draw.choice(SUBJECTS)}" for _ in range(self._draw.randint(1, 4))]
        answer = await self._ask("POST", "/v1/embeddings", {"input": texts})
        for each in answer["data"]:
            expect(abs(sum(value * value for value in each["embedding"]) - 1) < 1e-3, "no direction of length 1")
        expect(len(answer["data"]) == len(texts), "embeddings")

    async def tokens(self) -> None:
        text = f"{self._draw.random()} ä € {self._draw.choice(SUBJECTS)}"
        found = await self._ask("POST", "/tokenize", {"text": text})
        back = await self._ask("POST", "/detokenize", {"tokens": found["tokens"]})
        expect(back["text"] == text, f"{text!r} came back as {back['text']!r}")
        await self._ask("POST", "/apply-template", self._chat())

    async def score(self) -> None:
        endings = [f" {subject}" for subject in self._draw.sample(SUBJECTS, self._draw.randint(1, 6))]
        asked = {"context": f"{self._draw.choice(SYSTEMS)} I like", "continuations": endings}
        answer = await self._ask("POST", "/v1/score", asked)
        expect(all(each["logprob"] <= 0 for each in answer["data"]), "a probability above 1")
        expect([each["index"] for each in answer["data"]] == list(range(len(endings))), "scores")

    async def batch(self) -> None:
        lines = []
        model = (await self._ask("GET", "/v1/models"))["data"][0]["id"]
        for number in range(self._draw.randint(1, 4)):
            body = {"model": model, "messages": [{"role": "user", "content": f"{number}?"}], "max_tokens": 6}
            line = {"custom_id": str(number), "method": "POST", "url": "/v1/chat/completions", "body": body}
            lines.append(json.dumps(line))
        parts = [
            '--limit\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n',
            '--limit\r\nContent-Disposition: form-data; name="file"; filename="a.jsonl"\r\n\r\n',
            "\n".join(lines),
            "\r\n--limit--\r\n",
        ]
        headers = {"Content-Type": "multipart/form-data; boundary=limit"}
        async with exchange(self._shared.url, "POST", "/v1/files", "".join(parts).encode(), headers) as sent:
            file = json.loads(await sent.body())
            self._status(sent.head, 200, file)
        asked = {"input_file_id": file["id"], "endpoint": "/v1/chat/completions", "completion_window": "24h"}
        batch = await self._ask("POST", "/v1/batches", asked)
        cancelled = self._draw.random() < 0.3
        self._shared.batches[batch["id"]] = len(lines), cancelled
        if cancelled:
            await self._ask("POST", f"/v1/batches/{batch['id']}/cancel", None, (200, 400, 409))

    async def too_long(self) -> None:
        context = self._shared.context
        long = "word " * (context + self._draw.randrange(2000))
        path, body = self._draw.choice(
            [
                ("/v1/chat/completions", {"messages": [{"role": "user", "content": long}], "stream": True}),
                ("/v1/completions", {"prompt": long}),
                ("/v1/responses", {"input": long}),
                ("/v1/embeddings", {"input": long}),
                ("/v1/score", {"context": long, "continuations": ["a"]}),
            ]
        )
        answer = await self._ask("POST", path, body, 400)
        error = answer["error"]
        numbers = [int(number.replace(",", "")) for number in re.findall(r"[\d,]*\d", error["message"])]
        expect(error["code"] == "context_length_exceeded", f"{path}: {error}")
        expect(any(number > context for number in numbers) and len(numbers) > 1, f"not both numbers: {error}")

    async def malformed(self) -> None:
        path, body, status = self._draw.choice(MALFORMED)
        async with exchange(self._shared.url, "POST", path, body) as sent:
            answer = await sent.body()
            self._status(sent.head, status, json.loads(answer))

    async def look_around(self) -> None:
        path = self._draw.choice(["/health", "/v1/models", "/metrics", "/openapi.json", "/v1/batches", "/v1/files"])
        await self._ask("GET", path)


ENDS = ("response.completed", "response.incomplete", "response.failed")
MALFORMED = [
    ("/v1/chat/completions", b"", 400),
    ("/v1/chat/completions", b"{", 400),
    ("/v1/chat/completions", b"\xff\xfe\x00", 400),
    ("/v1/chat/completions", b"[" * 10_000, 400),
    ("/v1/chat/completions", b'{"messages": []}', 400),
    ("/v1/chat/completions", b'{"messages": [{"role": "nobody", "content": "a"}]}', 400),
    ("/v1/chat/completions", b'{"messages": [{"role": "user", "content": "a"}], "max_tokns": 4}', 400),
    ("/v1/chat/completions", b'{"messages": [{"role": "user", "content": "a"}], "temperature": -1}', 400),
    ("/v1/chat/completions", b'{"messages": [{"role": "user", "content": "a"}], "model": "gpt-17"}', 404),
    ("/v1/chat/completions", b'{"messages": [{"role": "user", "content": "\\ud800"}]}', 400),
    ("/v1/completions", b'{"prompt": [99999999]}', 400),
    ("/v1/completions", b'{"prompt": "a", "response_format": {"type": "regex", "pattern": "("}}', 400),
    ("/v1/responses", b'{"input": "a", "previous_response_id": "resp_0"}', 404),
    ("/v1/responses", b'{"input": 7}', 400),
    ("/v1/embeddings", b'{"input": []}', 400),
    ("/v1/score", b'{"context": "a", "continuations": []}', 400),
    ("/v1/batches", b'{"input_file_id": "f", "endpoint": "/v1/chat/completions", "completion_window": "24h"}', 404),
    ("/v1/chat/completions/chatcmpl-0/cancel", b"", 404),
    ("/v1/nothing", b"{}", 404),
]
"""Path, body, and the status that it must have."""
