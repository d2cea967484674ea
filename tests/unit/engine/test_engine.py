"""The whole engine over a tiny random transformer: whatever shares the step, the tokens are those of a plain pass."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterable
from typing import Any

import pytest
import torch

from limpide.core.errors import ContextExceeded, EmptyPrompt, EngineStopped, InvalidParameter, OutOfMemory
from limpide.core.events import Event, Finished, TextDelta, ThinkingDelta
from limpide.core.sampling import Sampling
from limpide.engine.engine import Engine
from limpide.engine.receipts import Identity
from limpide.engine.request import EngineRequest
from limpide.engine.stream import Stream

Prompts = Callable[[int, int], list[int]]


def ask(engine: Engine, prompt: list[int], **asked: Any) -> Stream:
    return engine.submit(EngineRequest(prompt, Sampling(**{"logprobs": 0, "ignore_eos": True, **asked})))


def tokens(events: Iterable[Event], index: int = 0) -> list[int]:
    """Ids of the shown tokens, from their log-probabilities."""
    return [
        p.token_id for e in events if isinstance(e, TextDelta | ThinkingDelta) and e.index == index for p in e.logprobs
    ]


def text(events: Iterable[Event], index: int = 0) -> str:
    return "".join(e.text for e in events if isinstance(e, TextDelta) and e.index == index)


def end(events: Iterable[Event], index: int = 0) -> Finished:
    [finished] = [e for e in events if isinstance(e, Finished) and e.index == index]
    return finished


def drain(stream: Stream, into: list[Event], *more: Any) -> None:
    """Read to the end; what was read before an exception is kept."""
    for event in stream:
        into.append(event)
    if more:
        drain(*more)


def greedy(world: Any, prompt: list[int], count: int) -> list[int]:
    out = list(prompt)
    for _ in range(count):
        out.append(int(world.plain_logits(out)[-1].argmax()))
    return out[len(prompt) :]


@pytest.mark.parametrize("length", [1, 15, 16, 17, 100])
@pytest.mark.parametrize("budget", [48, 512])
def test_cached_decoding_equals_plain_passes(world: Any, prompts: Prompts, length: int, budget: int) -> None:
    engine = world.engine(token_budget=budget)
    prompt = prompts(length, 1)
    assert tokens(ask(engine, prompt, max_tokens=40)) == greedy(world, prompt, 40)
    engine.check_integrity()


def test_chunks_of_any_size_give_the_logits_of_one_pass(world: Any, prompts: Prompts) -> None:
    prompt = prompts(150, 2)
    whole = world.plain_logits(prompt)
    normalised = torch.log_softmax(whole, -1)
    for budget in (17, 33, 64, 512):
        [scored] = world.engine(token_budget=budget, max_batch=1).score([(prompt, 1)])
        wanted = [float(normalised[i, t]) for i, t in enumerate(prompt[1:])]
        assert scored.logprobs == pytest.approx(wanted, abs=1e-4)


def test_a_batch_of_strangers_changes_nothing(world: Any, prompts: Prompts) -> None:
    asked = [(prompts(10 + 13 * i, i), {"temperature": 0.8 * (i % 3), "seed": i, "max_tokens": 30}) for i in range(8)]
    alone = [tokens(ask(world.engine(), prompt, **how)) for prompt, how in asked]
    for options in ({}, {"token_budget": 40}, {"num_blocks": 40, "max_batch": 8}):
        engine = world.engine(**options)
        streams = [ask(engine, prompt, **how) for prompt, how in asked]
        while engine.step():
            engine.check_integrity()
        assert [tokens(stream) for stream in streams] == alone
        assert "num_blocks" not in options or engine.scheduler.num_preemptions > 0


def test_prefix_reuse_changes_no_token_and_is_counted(world: Any, engine: Engine, prompts: Prompts) -> None:
    prompt = prompts(70, 3)
    first = list(ask(engine, prompt, max_tokens=30))
    assert end(first).usage.cached_tokens == 0
    again = list(ask(engine, prompt, max_tokens=30))
    assert end(again).usage.cached_tokens == 64
    assert tokens(again) == tokens(first)
    conversation = prompt + tokens(first) + prompts(5, 4)
    more = list(ask(engine, conversation, max_tokens=10))
    assert end(more).usage.cached_tokens == 96  # the answer's blocks are found again, too
    assert tokens(more) == greedy(world, conversation, 10)


def test_choices_share_the_prompt_and_differ(world: Any, engine: Engine, prompts: Prompts) -> None:
    prompt = prompts(50, 5)
    events = list(ask(engine, prompt, n=4, temperature=1.0, seed=9, max_tokens=12))
    choices = [tokens(events, i) for i in range(4)]
    assert len({tuple(c) for c in choices}) == 4
    assert [end(events, i).usage.cached_tokens for i in range(4)] == [0, 48, 48, 48]
    assert tokens(ask(world.engine(), prompt, temperature=1.0, seed=9, max_tokens=12)) == choices[0]


def test_equal_prompts_submitted_together_are_computed_once(engine: Engine, prompts: Prompts) -> None:
    prompt = prompts(100, 6)
    streams = [ask(engine, prompt, max_tokens=3) for _ in range(5)]
    assert [end(list(s)).usage.cached_tokens for s in streams] == [0, 96, 96, 96, 96]


def test_the_seed_decides_and_is_reported(engine: Engine, prompts: Prompts) -> None:
    prompt = prompts(20, 7)
    drawn = list(ask(engine, prompt, temperature=1.0, max_tokens=20))
    seed = end(drawn).receipt.seed
    assert seed is not None
    assert "drawn" in (end(drawn).receipt.parameters["seed"].why or "")
    assert tokens(ask(engine, prompt, temperature=1.0, max_tokens=20, seed=seed)) == tokens(drawn)
    assert tokens(ask(engine, prompt, temperature=1.0, max_tokens=20, seed=seed + 1)) != tokens(drawn)


def test_many_can_be_read_at_once_from_threads(world: Any, prompts: Prompts) -> None:
    asked = [prompts(20 + i, i) for i in range(6)]
    alone = [greedy(world, prompt, 15) for prompt in asked]
    engine = world.engine(max_batch=4)
    results: dict[int, list[int]] = {}

    def work(i: int) -> None:
        for _ in range(3):
            results[i] = tokens(ask(engine, asked[i], max_tokens=15))
            ask(engine, asked[i], max_tokens=15).close()

    threads = [threading.Thread(target=work, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [results[i] for i in range(6)] == alone
    engine.check_integrity()
    assert not engine.has_work


@pytest.mark.parametrize("how", ["close", "drop", "abort", "thread"])
@pytest.mark.parametrize("after", [0, 1, 5])
def test_an_answer_can_be_left_at_any_time(engine: Engine, prompts: Prompts, how: str, after: int) -> None:
    other = ask(engine, prompts(30, 8), max_tokens=20)
    stream = ask(engine, prompts(40, 9), max_tokens=1000 if after else 50)
    seen = [next(stream) for _ in range(after)]
    if how == "close":
        stream.close()
        assert list(stream) == []
    elif how == "drop":
        del stream
        gc.collect()
    else:
        if how == "abort":
            stream.abort()
        else:
            thread = threading.Thread(target=stream.abort)
            thread.start()
            thread.join()
        rest = list(stream)
        assert end(rest).reason == "aborted"
        assert end(rest).usage.answer_tokens >= len(tokens(seen))
    engine.check_integrity()
    assert len(engine.scheduler.running) + len(engine.scheduler.waiting) == 1
    assert end(list(other)).reason == "length"


class Interrupting:
    """A model that is interrupted, or fails, once, in the middle of a step."""

    def __init__(self, model: Any, at: int, error: BaseException) -> None:
        self.model, self.at, self.error, self.calls = model, at, error, 0

    def forward(self, *args: Any) -> Any:
        self.calls += 1
        if self.calls == self.at:
            raise self.error
        return self.model.forward(*args)

    def logits(self, hidden: Any) -> Any:
        return self.model.logits(hidden)


@pytest.mark.parametrize("at", [1, 2, 7])
def test_an_interrupted_step_is_computed_again(world: Any, prompts: Prompts, at: int) -> None:
    engine = world.engine(Interrupting(world.model, at, KeyboardInterrupt()))
    asked = [prompts(30, 1), prompts(20, 2)]
    streams = [ask(engine, prompt, max_tokens=12) for prompt in asked]
    seen: list[list[Event]] = [[], []]
    with pytest.raises(KeyboardInterrupt):
        drain(streams[0], seen[0], streams[1], seen[1])
    engine.check_integrity()
    for i in (0, 1):
        seen[i] += list(streams[i])
        assert tokens(seen[i]) == greedy(world, asked[i], 12)


@pytest.mark.parametrize("moment", ["scheduler.schedule", "scheduler.commit", "cache.commit", "cache.reserve"])
@pytest.mark.parametrize("before", [True, False])
def test_an_interrupt_in_the_bookkeeping_costs_only_time(
    world: Any, prompts: Prompts, monkeypatch: pytest.MonkeyPatch, moment: str, before: bool
) -> None:
    engine = world.engine()
    asked = [prompts(30, 1), prompts(40, 2)]
    streams = [ask(engine, prompt, max_tokens=24) for prompt in asked]
    seen: list[list[Event]] = [[next(streams[0])], [next(streams[1])]]
    where, name = moment.split(".")
    part = getattr(engine, where)
    real = getattr(part, name)

    def interrupted(*args: Any) -> Any:
        monkeypatch.undo()
        if before:
            raise KeyboardInterrupt
        real(*args)
        raise KeyboardInterrupt

    monkeypatch.setattr(part, name, interrupted)
    with pytest.raises(KeyboardInterrupt):
        drain(streams[0], seen[0])
    for i in (0, 1):
        seen[i] += list(streams[i])
        engine.check_integrity()
        assert tokens(seen[i]) == greedy(world, asked[i], 24)


def test_an_interrupt_inside_an_answers_own_books_ends_that_answer(
    world: Any, prompts: Prompts, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = world.engine()
    torn, other = ask(engine, prompts(30, 1), max_tokens=9), ask(engine, prompts(40, 2), max_tokens=9)
    next(torn)
    choice = engine.scheduler.running[0].owner

    def interrupted(*_: Any) -> None:
        monkeypatch.undo()
        raise KeyboardInterrupt

    monkeypatch.setattr(choice._output, "push", interrupted)
    seen: list[Event] = []
    with pytest.raises(KeyboardInterrupt):
        drain(other, seen)
    assert tokens([*seen, *other]) == greedy(world, prompts(40, 2), 9)
    with pytest.raises(EngineStopped):
        list(torn)
    engine.check_integrity()


def test_an_error_takes_down_only_the_request_that_causes_it(world: Any, prompts: Prompts) -> None:
    class Allergic(Interrupting):
        def forward(self, flat: Any, *args: Any) -> Any:
            if 299 in flat.tolist():
                raise RuntimeError("299 is poison")
            return self.model.forward(flat, *args)

    engine = world.engine(Allergic(world.model, 0, ValueError()))
    good, bad, late = (
        ask(engine, prompts(30, 1), max_tokens=8),
        ask(engine, [*prompts(50, 2), 299], max_tokens=8, n=3),
        ask(engine, prompts(20, 3), max_tokens=8),
    )
    with pytest.raises(RuntimeError, match="poison"):
        list(bad)
    assert tokens(good) == greedy(world, prompts(30, 1), 8)
    assert tokens(late) == greedy(world, prompts(20, 3), 8)
    engine.check_integrity()
    assert not engine.has_work


def test_running_out_of_memory_is_said_so(world: Any, prompts: Prompts) -> None:
    def forward(*_: Any) -> Any:
        return torch.empty(1 << 60, dtype=torch.uint8)

    hungry = Interrupting(world.model, 0, ValueError())
    hungry.forward = forward  # type: ignore[method-assign]
    with pytest.raises(OutOfMemory):
        list(ask(world.engine(hungry), prompts(30, 1)))


def test_a_message_that_came_during_a_step_is_not_left_lying(world: Any, prompts: Prompts) -> None:
    class Leaving(Interrupting):
        other: Stream | None = None

        def forward(self, *args: Any) -> Any:
            if self.other is not None:
                thread = threading.Thread(target=self.other.close)
                thread.start()
                thread.join()
                self.other = None
            return self.model.forward(*args)

    model = Leaving(world.model, 0, ValueError())
    engine = world.engine(model)
    stream, model.other = ask(engine, prompts(30, 1), max_tokens=1), ask(engine, prompts(40, 2), max_tokens=9)
    list(stream)
    assert not engine.has_work
    engine.check_integrity()


def test_what_can_not_be_done_is_refused_before_it_is_queued(world: Any, prompts: Prompts) -> None:
    engine = world.engine(num_blocks=8, context=512)
    with pytest.raises(EmptyPrompt):
        ask(engine, [])
    with pytest.raises(ContextExceeded, match=r"600.*512"):
        ask(engine, prompts(600, 0))
    with pytest.raises(OutOfMemory, match=r"200.*128"):
        ask(engine, prompts(200, 0))
    for bad in (300, -1):
        with pytest.raises(InvalidParameter):
            ask(engine, [1, bad, 2])
    with pytest.raises(InvalidParameter):
        ask(engine, [1], logit_bias={300: 1.0})
    assert not engine.has_work


def test_the_last_token_of_the_context_is_used(world: Any, prompts: Prompts) -> None:
    engine = world.engine(num_blocks=4)
    events = list(ask(engine, prompts(50, 0)))
    assert end(events).reason == "length"
    assert end(events).usage.answer_tokens == 14
    outcome = end(events).receipt.parameters["max_tokens"]
    assert (outcome.status, outcome.effective) == ("applied", 14)
    events = list(ask(engine, prompts(50, 0), max_tokens=99))
    outcome = end(events).receipt.parameters["max_tokens"]
    assert (outcome.status, outcome.requested, outcome.effective) == ("clamped", 99, 14)


def test_the_receipt_names_every_parameter(world: Any) -> None:
    identity = Identity("toy", "exact", "c" * 64, lambda: "t" * 64, lambda: "w" * 64)
    engine = world.engine(identity=identity)
    receipt = end(list(ask(engine, [1], max_tokens=1, top_p=0.5, seed=3))).receipt
    assert receipt.parameters["top_p"].why  # it makes no difference to a greedy answer, and says so
    assert receipt.parameters.keys() == set(Sampling.__dataclass_fields__)
    cold = end(list(ask(engine, [1], max_tokens=1, top_p=0.5, temperature=1e-9))).receipt
    assert cold.parameters["temperature"].status == "clamped"
    assert cold.parameters["top_p"].why
    assert (receipt.model, receipt.weights_sha256, receipt.seed) == ("toy", "w" * 64, 3)
    assert (receipt.tokenizer_sha256, receipt.template_sha256) == ("t" * 64, "c" * 64)
    assert receipt.engine.startswith("limpide ")


def test_closing_ends_what_runs(world: Any) -> None:
    engine = world.engine()
    stream = ask(engine, [1, 2, 3], max_tokens=100)
    next(stream)
    engine.close()
    with pytest.raises(EngineStopped):
        list(stream)
    with pytest.raises(EngineStopped):
        ask(engine, [1])
    engine.close()
    engine.check_integrity()


def test_scores_share_their_context_and_know_what_is_greedy(world: Any, engine: Engine, prompts: Prompts) -> None:
    context = prompts(60, 1)
    likely = greedy(world, context, 4)
    items = [(context + likely, 60), ([*context, 5, 6, 7], 60), (context, 60), (context + likely[:1], 60)]
    scored = engine.score(items)
    assert [s.greedy for s in scored] == [True, False, True, True]
    assert scored[2].logprobs == ()
    for s, (line, start) in zip(scored, items, strict=True):
        normalised = torch.log_softmax(world.plain_logits(line), -1)
        wanted = [float(normalised[i - 1, line[i]]) for i in range(start, len(line))]
        assert s.logprobs == pytest.approx(wanted, abs=1e-4)
    for start in (0, 61):
        with pytest.raises(InvalidParameter):
            engine.score([(context, start)])
    with pytest.raises(ContextExceeded):
        engine.score([(prompts(513, 0), 1)])
    assert not engine.has_work


def test_logits_are_computed_only_where_they_are_wanted(world: Any, prompts: Prompts) -> None:
    class Counting(Interrupting):
        rows = 0

        def logits(self, hidden: Any) -> Any:
            self.rows += len(hidden)
            assert len(hidden) <= 64
            return self.model.logits(hidden)

    model = Counting(world.model, 0, ValueError())
    engine = world.engine(model)
    list(ask(engine, prompts(100, 1), max_tokens=5))
    assert model.rows == 5
    engine.score([(prompts(200, 2), 20)])
    assert model.rows == 5 + 180
