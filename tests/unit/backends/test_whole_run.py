"""Scores of whole runs through a backend: text in, one score per request, each what `score` gives."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from limpide.backends.fake import FakeBackend
from limpide.backends.local import LocalBackend
from limpide.core.errors import ContextExceeded, EngineStopped, InvalidParameter
from limpide.core.ports import Backend, ScoreRequest

PREAMBLE = "Question: What falls from clouds?\nAnswer: rain\n\nQuestion: What do bees make?\nAnswer: honey\n\n"
REQUESTS = [
    ScoreRequest(f"{PREAMBLE}Question: What colour is {thing}?\nAnswer:", f" {colour}")
    for thing in ("the sky", "grass", "a ripe banana")
    for colour in ("blue", "green", "yellow", "ultramarine blue")
]
ODD = [
    ScoreRequest("", "Once upon a time"),
    ScoreRequest("Once upon", ""),
    ScoreRequest("The unbeliev", "able truth"),  # the border cuts a token
    ScoreRequest("Once upon", " a time"),
    ScoreRequest("Once upon", " a time"),
]


@pytest.fixture(scope="module")
def fast(smollm2_path: Path) -> Iterator[LocalBackend]:
    backend = LocalBackend.open(smollm2_path, context=512)
    yield backend
    backend.close()


@pytest.fixture(scope="module")
def exact(smollm2_path: Path) -> Iterator[LocalBackend]:
    backend = LocalBackend.open(smollm2_path, numerics="exact", context=512)
    yield backend
    backend.close()


def test_the_real_model_scores_a_run_as_it_scores_one_by_one(exact: LocalBackend) -> None:
    requests = [*REQUESTS[:5], *ODD]
    found = dict(exact.score_all(requests))
    assert sorted(found) == list(range(len(requests)))
    for index, request in enumerate(requests):
        [alone] = exact.score(request.context, [request.continuation])
        assert found[index].logprobs == pytest.approx(alone.logprobs, abs=1e-4)
        assert found[index].greedy == alone.greedy


def test_what_is_shared_is_said(fast: LocalBackend) -> None:
    work = fast.score_all(REQUESTS).work
    assert work.requests == work.distinct == len(REQUESTS)
    assert work.tokens > 4 * work.unique_tokens
    assert len(REQUESTS) < work.scored
    assert work.rows < work.scored  # the first token of four choices is looked up in one row


def test_parity_is_proved_on_the_real_model(fast: LocalBackend) -> None:
    parity = fast.prove_parity([*REQUESTS, *ODD[2:]], sample=6, seed=1)
    assert parity.sampled == 6
    assert parity.tokens >= 6
    assert parity.max_difference < 0.3  # rounding to bytes: other shapes of a step round a little differently
    assert parity.as_dict()["sampled"] == 6


def test_a_long_text_has_one_score_whatever_its_windows(exact: LocalBackend) -> None:
    text = "The old harbour lies behind the church. Boats come and go, and nobody counts them. " * 2
    [(_, whole)] = exact.score_rolling([text])
    [alone] = exact.score("", [text])
    assert whole.logprobs == pytest.approx(alone.logprobs, abs=1e-4)
    found = dict(exact.score_rolling([text, "", "One."], window=32, stride=8))
    assert len(found[0].logprobs) == len(whole.logprobs)
    assert found[0].logprobs[:31] == pytest.approx(whole.logprobs[:31], abs=1e-4)
    assert found[0].total < whole.total  # less context
    assert found[1].logprobs == ()
    assert len(found[2].logprobs) == 2
    for window, stride in ((1, 1), (513, 1), (32, 0), (32, 32)):
        with pytest.raises(InvalidParameter, match=r"window|stride"):
            exact.score_rolling([text], window=window, stride=stride)


def test_parity_in_exact_numerics_leaves_no_doubt(exact: LocalBackend) -> None:
    parity = exact.prove_parity(REQUESTS[:6], sample=3)
    assert parity.max_difference < 1e-4
    assert parity.flips == 0


def test_a_text_longer_than_the_context_is_refused_before_anything_is_computed(fast: LocalBackend) -> None:
    with pytest.raises(ContextExceeded):
        fast.score_all([*REQUESTS, ScoreRequest("word " * 600, "end")])


def test_the_fake_backend_knows_what_it_would_say() -> None:
    backend: Backend = FakeBackend("yes", context=64, cache_bytes=4096)
    requests = [ScoreRequest(f"Question {number}: ", answer) for number in range(6) for answer in ("yes", "no")]
    found = dict(backend.score_all(requests))
    assert [found[index].greedy for index in range(len(requests))] == [True, False] * 6
    backend.close()
    with pytest.raises(EngineStopped):
        backend.score_all(requests)
