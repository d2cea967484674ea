"""The engine over a model whose layers carry states: nothing is shared, nothing is mixed up, nothing is left behind."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest
import torch

from limpide.core.events import Event, Finished, TextDelta
from limpide.core.sampling import Sampling
from limpide.engine.engine import Engine
from limpide.engine.request import EngineRequest
from limpide.engine.stream import Stream

Prompts = Callable[[int, int], list[int]]


def ask(engine: Engine, prompt: list[int], **asked: Any) -> Stream:
    return engine.submit(EngineRequest(prompt, Sampling(**{"logprobs": 0, "ignore_eos": True, **asked})))


def tokens(events: Iterable[Event], index: int = 0) -> list[int]:
    return [p.token_id for e in events if isinstance(e, TextDelta) and e.index == index for p in e.logprobs]


def greedy(hybrid: Any, prompt: list[int], count: int) -> list[int]:
    out = list(prompt)
    for _ in range(count):
        out.append(int(hybrid.plain_logits(out)[-1].argmax()))
    return out[len(prompt) :]


@pytest.mark.parametrize("length", [1, 15, 16, 17, 100])
@pytest.mark.parametrize("budget", [48, 512])
def test_cached_decoding_equals_plain_passes(hybrid: Any, prompts: Prompts, length: int, budget: int) -> None:
    engine = hybrid.engine(token_budget=budget)
    prompt = prompts(length, 1)
    assert tokens(ask(engine, prompt, max_tokens=30)) == greedy(hybrid, prompt, 30)
    engine.check_integrity()


def test_scores_do_not_depend_on_chunks(hybrid: Any, prompts: Prompts) -> None:
    prompt = prompts(150, 2)
    normalised = torch.log_softmax(hybrid.plain_logits(prompt), -1)
    wanted = [float(normalised[i, t]) for i, t in enumerate(prompt[1:])]
    for budget in (17, 33, 64, 512):
        [scored] = hybrid.engine(token_budget=budget, max_batch=1).score([(prompt, 1)])
        assert scored.logprobs == pytest.approx(wanted, abs=1e-4)


def test_batches_and_preemptions_change_nothing(hybrid: Any, prompts: Prompts) -> None:
    """Preempted sequences lose their state with their blocks, and begin again, perhaps in another's slot."""
    asked = [(prompts(10 + 13 * i, i), {"temperature": 0.8 * (i % 3), "seed": i, "max_tokens": 30}) for i in range(8)]
    alone = [tokens(ask(hybrid.engine(), prompt, **how)) for prompt, how in asked]
    for options in ({}, {"token_budget": 40}, {"num_blocks": 40, "max_batch": 8}):
        engine = hybrid.engine(**options)
        streams = [ask(engine, prompt, **how) for prompt, how in asked]
        while engine.step():
            engine.check_integrity()
        assert [tokens(stream) for stream in streams] == alone
        assert "num_blocks" not in options or engine.scheduler.num_preemptions > 0


def test_equal_prompts_are_computed_each_for_itself_and_at_once(hybrid: Any, prompts: Prompts) -> None:
    engine, prompt = hybrid.engine(), prompts(70, 3)
    streams = [ask(engine, prompt, max_tokens=10) for _ in range(3)]
    engine.step()
    assert [line.num_computed for line in engine.scheduler.running] == [70] * 3
    expected = greedy(hybrid, prompt, 10)
    for events in [list(stream) for stream in streams] + [list(ask(engine, prompt, max_tokens=10))]:
        [finished] = [e for e in events if isinstance(e, Finished)]
        assert finished.usage.cached_tokens == 0
        assert tokens(events) == expected
    engine.check_integrity()


def test_choices_of_one_request_each_have_a_state(hybrid: Any, prompts: Prompts) -> None:
    prompt = prompts(50, 5)
    events = list(ask(hybrid.engine(), prompt, n=4, temperature=1.0, seed=9, max_tokens=12))
    assert len({tuple(tokens(events, i)) for i in range(4)}) == 4
    assert tokens(ask(hybrid.engine(), prompt, temperature=1.0, seed=9, max_tokens=12)) == tokens(events, 0)


def test_an_aborted_request_leaves_a_clean_slot(hybrid: Any, prompts: Prompts) -> None:
    engine = hybrid.engine(max_batch=1)
    for length in (5, 40):  # inside the prompt, and while it writes
        stream = ask(engine, prompts(length, 6), max_tokens=50)
        for _ in range(3):
            engine.step()
        stream.close()
        prompt = prompts(33, 7)
        assert tokens(ask(engine, prompt, max_tokens=20)) == greedy(hybrid, prompt, 20)
        engine.check_integrity()
    assert not engine.cache.leases


class Interrupted:
    """The model, interrupted in its `at`-th step after some layers have written their state."""

    def __init__(self, model: Any, at: int, error: type[BaseException]) -> None:
        self._model, self._left, self._error = model, at, error

    def forward(self, *step: Any) -> Any:
        hidden = self._model.forward(*step)
        self._left -= 1
        if self._left == 0:
            raise self._error
        return hidden

    def logits(self, hidden: Any) -> Any:
        return self._model.logits(hidden)


@pytest.mark.parametrize("at", [1, 2, 3, 20])
def test_a_step_that_was_interrupted_is_computed_again(hybrid: Any, prompts: Prompts, at: int) -> None:
    engine = hybrid.engine(Interrupted(hybrid.model, at, KeyboardInterrupt), token_budget=48)
    asked = [prompts(70, 8), prompts(20, 9)]
    streams = [ask(engine, prompt, max_tokens=30) for prompt in asked]
    with pytest.raises(KeyboardInterrupt):
        engine.drive(lambda: not engine.has_work)
    assert [tokens(stream) for stream in streams] == [greedy(hybrid, prompt, 30) for prompt in asked]
    engine.check_integrity()


def test_a_step_that_failed_for_all_is_computed_for_each(hybrid: Any, prompts: Prompts) -> None:
    engine = hybrid.engine(Interrupted(hybrid.model, 5, RuntimeError))
    asked = [prompts(70, 8), prompts(20, 9)]
    streams = [ask(engine, prompt, max_tokens=30) for prompt in asked]
    assert [tokens(stream) for stream in streams] == [greedy(hybrid, prompt, 30) for prompt in asked]
