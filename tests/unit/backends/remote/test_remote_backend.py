"""A scripted model behind a real server, and endpoints that misbehave, over real sockets."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
import uvicorn

from limpide.backends.fake import FakeBackend
from limpide.backends.pool import ModelPool, Source
from limpide.backends.remote.backend import RemoteBackend
from limpide.backends.remote.endpoint import Endpoint
from limpide.backends.remote.patience import NO_PATIENCE, Patience
from limpide.core.answers import collect
from limpide.core.errors import BadRequest, EndpointFailed, EndpointRefused
from limpide.core.events import Event, Finished, TextDelta
from limpide.core.messages import Message, Tool
from limpide.core.ports import Answer, ChatRequest, ScoreRequest
from limpide.core.sampling import Sampling
from limpide.core.thinking import Thinking
from limpide.server.app import create_app
from limpide.server.guards import Guards
from strangers import SSE, WHOLE, Answered, chat, stranger
from threaded_server import listening

HELLO = ChatRequest((Message("user", "hello"),))
QUICK = Patience(tries=3, first=0.001, longest=0.01)


@contextmanager
def ours(**options: Any) -> Iterator[tuple[RemoteBackend, FakeBackend]]:
    """The same scripted model, behind a server and here."""
    served, here = FakeBackend(**options), FakeBackend(**options)
    pool = ModelPool([Source("fake", lambda: served, lambda: 0, 1_700_000_000)], memory=1)
    config = uvicorn.Config(create_app(pool, None, Guards()), port=0, log_config=None, lifespan="on", ws="none")
    with listening(config) as url:
        # Loaded, so that its facts are known.
        first = RemoteBackend(Endpoint.parse(url), patience=QUICK)
        list(first.stream(HELLO))
        first.close()
        remote = RemoteBackend(Endpoint.parse(url), patience=QUICK)
        yield remote, here
        remote.close()
    here.close()


def without_times(events: list[Event]) -> Any:
    answer = collect(events)[0]
    usage = answer.finished.usage
    counts = (usage.prompt_tokens, usage.thinking_tokens, usage.answer_tokens, usage.thinking_truncated)
    receipt = answer.finished.receipt
    return answer.text, answer.thinking, answer.tool_calls, answer.finished.reason, counts, receipt.weights_sha256


class TestOurs:
    @pytest.mark.parametrize(
        "request_",
        [
            HELLO,
            ChatRequest(HELLO.messages, thinking=Thinking.parse("low")),
            ChatRequest(HELLO.messages, thinking=Thinking.parse(5)),
            ChatRequest(HELLO.messages, Sampling(max_tokens=4, seed=1, temperature=1)),
            ChatRequest(HELLO.messages, Sampling(stop=("scripted",))),
        ],
    )
    def test_answers_as_it_does_here(self, request_: ChatRequest) -> None:
        with ours() as (remote, here):
            assert remote.limpide
            assert remote.loaded
            assert remote.info == here.info
            assert without_times(list(remote.stream(request_))) == without_times(list(here.stream(request_)))

    def test_calls_tools(self) -> None:
        call = '<tool_call>{"name": "look", "arguments": {"at": 1}}</tool_call>'
        request = ChatRequest(HELLO.messages, tools=(Tool("look", "", {"type": "object"}),))
        with ours(reply=call) as (remote, here):
            [answer], [expected] = collect(remote.stream(request)), collect(here.stream(request))
            assert [(c.name, c.arguments) for c in answer.tool_calls] == [("look", '{"at": 1}')]
            assert answer.finished.reason == expected.finished.reason == "tool_calls"

    def test_scores_and_continues(self) -> None:
        with ours() as (remote, here):
            scored, expected = remote.score("a", ["b", "cd"]), here.score("a", ["b", "cd"])
            assert [s.greedy for s in scored] == [s.greedy for s in expected]
            assert [s.logprobs for s in scored] == [pytest.approx(s.logprobs) for s in expected]
            requests = [ScoreRequest("a", "b"), ScoreRequest("", "ab"), ScoreRequest("a", "cd"), ScoreRequest("a", "b")]
            all_of, at_once = dict(remote.score_all(requests)), dict(here.score_all(requests))
            assert all_of.keys() == at_once.keys() == {0, 1, 2, 3}
            assert [all_of[n].logprobs for n in range(4)] == [pytest.approx(at_once[n].logprobs) for n in range(4)]
            sampling = Sampling(max_tokens=3)
            assert collect(remote.complete("a", sampling))[0].text == collect(here.complete("a", sampling))[0].text

    def test_many_at_once(self) -> None:
        wanted = [ChatRequest(HELLO.messages, Sampling(max_tokens=1 + n % 7)) for n in range(40)]
        wanted[13] = ChatRequest((Message("user", "x" * 9000),))
        with ours() as (remote, _):
            answers = dict(remote.answer_all(wanted))
        assert sorted(answers) == list(range(40))
        assert isinstance(answers.pop(13), EndpointRefused), "one that can't be answered does not stop the others"
        for number, answer in answers.items():
            assert isinstance(answer, Answer)
            assert answer.text == "This is a scripted answer."[: 1 + number % 7]

    def test_its_fingerprint_is_the_models(self) -> None:
        with ours() as (remote, here):
            assert replace(remote.fingerprint(), kind="local") == here.fingerprint()

    def test_hanging_up_ends_the_answer(self) -> None:
        with ours(reply="x" * 5000) as (remote, _):
            stream = remote.stream(HELLO)
            assert isinstance(next(stream), TextDelta)
            stream.close()  # type: ignore[attr-defined]
            assert collect(remote.stream(ChatRequest(HELLO.messages, Sampling(max_tokens=2))))[0].text == "xx"

    def test_what_it_refuses_is_passed_on(self) -> None:
        with ours(context=64) as (remote, _):
            with pytest.raises(EndpointRefused, match="64"):
                list(remote.stream(ChatRequest((Message("user", "a" * 100),))))


def asked_of(answer: Callable[[int], Answered]) -> tuple[list[Event], int]:
    with stranger(chat(answer)) as (url, asked):
        backend = RemoteBackend(Endpoint.parse(url, "key"), patience=QUICK)
        assert (backend.limpide, backend.info.context, backend.info.numerics) == (False, 77, None)
        try:
            return list(backend.stream(HELLO)), len(asked)
        finally:
            backend.close()


class TestStrangers:
    def test_a_whole_answer(self) -> None:
        events, tries = asked_of(lambda _: (200, SSE, WHOLE))
        assert (collect(events)[0].text, tries) == ("yes", 1)

    @pytest.mark.parametrize("status", [429, 500, 503, 529])
    def test_tried_again_until_it_works(self, status: int) -> None:
        events, tries = asked_of(lambda number: (200, SSE, WHOLE) if number == 3 else (status, {}, b"not now"))
        assert (collect(events)[0].text, tries) == ("yes", 3)

    def test_in_the_end_it_fails(self) -> None:
        with pytest.raises(EndpointFailed, match=r"500.*not now") as failed:
            asked_of(lambda _: (500, {}, b"not now"))
        assert failed.value.exit_code == 3

    def test_told_to_come_much_later_it_is_not_asked_again(self) -> None:
        with stranger(chat(lambda _: (429, {"Retry-After": "3600"}, b'{"error": {"message": "slow"}}'))) as (
            url,
            asked,
        ):
            backend = RemoteBackend(Endpoint.parse(url), "m", patience=QUICK)
            with pytest.raises(EndpointFailed, match="slow") as failed:
                list(backend.stream(HELLO))
            backend.close()
            assert (failed.value.retry_after, len(asked)) == (3600, 1)

    @pytest.mark.parametrize("status", [400, 401, 404, 422])
    def test_a_refusal_is_final(self, status: int) -> None:
        with pytest.raises(EndpointRefused, match="no such thing") as refused:
            asked_of(lambda _: (status, {}, b'{"error": {"message": "no such thing"}}'))
        assert refused.value.status == status

    @pytest.mark.parametrize(
        "answer",
        [
            (200, SSE, b""),
            (200, SSE, WHOLE[:60]),
            (200, SSE, b"data: {\n\n"),
            (200, SSE, b'data: {"error": {"message": "it broke"}}\n\n'),
            (200, {"Content-Type": "text/html"}, b"<html>"),
            (200, {**SSE, "Content-Length": "9999"}, WHOLE[:60]),
            (302, {"Location": "http://example.com"}, b""),
        ],
    )
    def test_half_answers_and_rubbish(self, answer: Answered) -> None:
        with pytest.raises(EndpointFailed):
            asked_of(lambda _: answer)

    def test_has_no_scores(self) -> None:
        with stranger(chat(lambda _: (200, SSE, WHOLE))) as (url, _):
            backend = RemoteBackend(Endpoint.parse(url), "m", patience=QUICK)
            with pytest.raises(BadRequest, match="log-likelihood"):
                backend.score("a", ["b"])
            backend.close()

    def test_a_model_that_is_not_listed_is_asked_anyway(self) -> None:
        with stranger(lambda path, _: (404, {}, b"{}") if "models" in path else (200, SSE, WHOLE)) as (url, asked):
            backend = RemoteBackend(Endpoint.parse(url), "org/m", patience=QUICK)
            assert isinstance(list(backend.stream(HELLO))[-1], Finished)
            backend.close()
            assert asked[0]["model"] == "org/m"

    @pytest.mark.parametrize(
        "body", [b"[]", b"{}", b'{"data": []}', b'{"data": [1]}', b'{"data": [{}]}', b"<", b"\xff"]
    )
    def test_lists_that_are_none(self, body: bytes) -> None:
        with stranger(lambda *_: (200, {}, body)) as (url, _), pytest.raises(EndpointFailed):
            RemoteBackend(Endpoint.parse(url), patience=QUICK)


class TestManyToAStranger:
    def all_of(self, answer: Callable[[int], Answered], count: int = 20) -> tuple[dict[int, Any], int]:
        with stranger(chat(answer)) as (url, asked):
            backend = RemoteBackend(Endpoint.parse(url), patience=NO_PATIENCE, at_once=3)
            try:
                return dict(backend.answer_all([HELLO] * count)), len(asked)
            finally:
                backend.close()
                self.asked = len(asked)

    def test_a_failure_is_one_items(self) -> None:
        answers, _ = self.all_of(lambda number: (500, {}, b"no") if number == 7 else (200, SSE, WHOLE))
        assert sum(isinstance(answer, EndpointFailed) for answer in answers.values()) == 1
        assert sum(isinstance(answer, Answer) for answer in answers.values()) == 19

    @pytest.mark.parametrize("status", [401, 404])
    def test_what_concerns_all_ends_it(self, status: int) -> None:
        with pytest.raises(EndpointRefused):
            self.all_of(lambda _: (status, {}, b"{}"))
        assert self.asked <= 4

    def test_an_endpoint_that_is_gone_ends_it(self) -> None:
        with pytest.raises(EndpointFailed):
            self.all_of(lambda number: (200, SSE, WHOLE) if number < 3 else (500, {}, b"gone"), 100)
        assert self.asked < 20

    def test_what_one_is_told_all_keep_to(self) -> None:
        """The first is sent away for a moment; while it waits, nobody asks."""
        times: list[float] = []

        def answer(number: int) -> Answered:
            times.append(time.monotonic())
            return (429, {"Retry-After": "0.4"}, b"{}") if number == 1 else (200, SSE, WHOLE)

        with stranger(chat(answer)) as (url, _):
            backend = RemoteBackend(Endpoint.parse(url), patience=Patience(tries=2, first=0.001), at_once=1)
            [(_, first)] = backend.answer_all([HELLO])
            assert isinstance(first, Answer)
            backend.close()
        assert times[1] - times[0] >= 0.4

    def test_closing_it_hangs_up(self) -> None:
        with ours(reply="x" * 5000) as (remote, _):
            answers = remote.answer_all([ChatRequest(HELLO.messages, Sampling(max_tokens=1)), *[HELLO] * 5])
            assert next(answers)[0] == 0
            answers.close()  # type: ignore[attr-defined]


def test_nobody_there() -> None:
    with pytest.raises(EndpointFailed, match="nobody") as failed:
        RemoteBackend(Endpoint.parse("http://127.0.0.1:9"), patience=QUICK)
    assert "running" in (failed.value.hint or "")
