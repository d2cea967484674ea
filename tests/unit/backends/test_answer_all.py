"""Many requests at once: every one is answered, the batch is really one, and one that fails fails alone."""

from __future__ import annotations

import pytest

from limpide.backends.fake import FakeBackend
from limpide.core.errors import ContextExceeded, EngineStopped
from limpide.core.messages import conversation
from limpide.core.ports import Answer, ChatRequest
from limpide.core.sampling import Sampling
from limpide.core.thinking import Thinking


def question(text: str, think: str = "off") -> ChatRequest:
    return ChatRequest(conversation(text), Sampling(), Thinking.parse(think))


def echo(prompt: str) -> str:
    return f"You said: {prompt[-6:]}"


def test_every_answer_belongs_to_its_question() -> None:
    backend = FakeBackend(echo, max_batch=4)
    found = dict(backend.answer_all(question(f"Q{number:05d}") for number in range(25)))
    assert sorted(found) == list(range(25))
    for number, answer in found.items():
        assert isinstance(answer, Answer)
        assert answer.text == f"You said: Q{number:05d}"
        assert answer.finished.usage.answer_tokens > 0
    backend.close()


def test_they_are_computed_together() -> None:
    def steps(max_batch: int) -> int:
        backend = FakeBackend("ten tokens", max_batch=max_batch)
        assert len(list(backend.answer_all(question("Well?") for _ in range(16)))) == 16
        taken = backend.engine.load.steps
        backend.close()
        return taken

    assert steps(16) * 4 < steps(1)


def test_requests_are_taken_as_there_is_room() -> None:
    taken: list[int] = []

    def requests() -> object:
        for number in range(100):
            taken.append(number)
            yield question("Well?")

    backend = FakeBackend("x", max_batch=2)
    answers = backend.answer_all(requests())  # type: ignore[arg-type]
    next(answers)
    assert len(taken) <= 4
    answers.close()  # type: ignore[attr-defined]
    assert not backend.engine.num_jobs(idle=False)
    backend.close()


def test_one_that_fails_fails_alone() -> None:
    backend = FakeBackend(context=200)
    answers = dict(backend.answer_all([question("short"), question("long" * 100), question("short")]))
    assert isinstance(answers[1], ContextExceeded)
    assert isinstance(answers[0], Answer)
    assert isinstance(answers[2], Answer)
    backend.close()


def test_an_engine_that_stops_ends_all() -> None:
    backend = FakeBackend(max_batch=1)
    answers = backend.answer_all(question("Well?") for _ in range(5))
    next(answers)
    backend.engine.close()
    with pytest.raises(EngineStopped):
        list(answers)
    backend.close()


def test_the_fingerprint_has_what_a_receipt_has() -> None:
    backend = FakeBackend()
    [(_, answer)] = backend.answer_all([question("Well?")])
    assert isinstance(answer, Answer)
    receipt, print_ = answer.finished.receipt, backend.fingerprint()
    assert (print_.kind, print_.engine, print_.numerics) == ("local", receipt.engine, "exact")
    assert print_.tokenizer_sha256 == receipt.tokenizer_sha256
    assert print_.template_sha256 == receipt.template_sha256
    backend.close()
