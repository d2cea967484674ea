"""Speculation is invisible: any request has the same answer, bit for bit, with drafts and without."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from limpide.backends.guessing import speculation_of
from limpide.cache import PagedCache
from limpide.core.events import Event, Finished, TextDelta, ThinkingDelta
from limpide.core.sampling import Sampling
from limpide.core.shape import Regex
from limpide.engine.draft_model import DraftModel
from limpide.engine.drafts import Evidence
from limpide.engine.engine import Engine
from limpide.engine.request import EngineRequest
from limpide.engine.speculation import LookupDrafter, Speculation
from limpide.text import ThinkingPlan
from limpide.text.grammar.answer import answer_grammar

Prompts = Callable[[int, int], list[int]]


class Oracle:
    """Guesses what another engine wrote, of which every `wrong`-th token is spoiled."""

    name = "oracle"
    seconds = 0.0

    def __init__(self, texts: list[list[int]], wrong: int) -> None:
        self._texts, self._wrong = texts, wrong

    def expect(self, choice: Any, track: Any) -> float:
        return 0.9

    def draft(self, choice: Any, count: int) -> list[int]:
        done = len(choice.sequence.tokens)
        text = self._texts[choice.sequence.id % len(self._texts)]
        return [t if (i + 1) % self._wrong else t ^ 1 for i, t in enumerate(text)][done : done + count]


def outcome(events: Iterable[Event]) -> Any:
    """All that a request shows but its times and what was drafted."""
    shown: dict[int, list[Any]] = {}
    for event in events:
        if isinstance(event, TextDelta | ThinkingDelta):
            shown.setdefault(event.index, []).append((type(event).__name__, event.text, event.logprobs))
        elif isinstance(event, Finished):
            usage = event.usage
            shown.setdefault(event.index, []).append(
                (event.reason, event.stop, usage.thinking_tokens, usage.answer_tokens, usage.thinking_truncated)
            )
    return shown


def some_request(draw: random.Random) -> EngineRequest:
    """Anything that can be asked, with prompts that repeat themselves."""
    phrase = [draw.randrange(256) for _ in range(draw.randint(1, 20))]
    prompt = (phrase * 20)[: draw.randint(1, 120)]
    sampling = Sampling(
        temperature=draw.choice([0.0, 0.0, 0.3, 1.0]),
        top_p=draw.choice([1.0, 0.8]),
        top_k=draw.choice([0, 5]),
        min_p=draw.choice([0.0, 0.1]),
        repetition_penalty=draw.choice([1.0, 1.0, 1.3]),
        presence_penalty=draw.choice([0.0, 0.5]),
        logit_bias=draw.choice([{}, {65: 3.0}]),
        stop=draw.choice([(), ("e",), ("\ufffd\ufffd", "ab")]),
        max_tokens=draw.randint(1, 70),
        seed=draw.randrange(1000),
        n=draw.choice([1, 1, 2]),
        logprobs=draw.choice([None, 0, 3]),
        ignore_eos=draw.random() < 0.5,
    )
    return EngineRequest(prompt, sampling)


def run(engine: Engine, requests: list[EngineRequest]) -> tuple[list[list[Event]], list[list[int]]]:
    """Events of each request, and the tokens of each choice."""
    streams = [engine.submit(request) for request in requests]
    lines = [line for stream in streams for line in stream.job.sequences]
    while engine.step():
        engine.check_integrity()
    return [list(stream) for stream in streams], [line.tokens for line in lines]


def counted(answers: list[list[Event]]) -> tuple[int, int]:
    """Drafted tokens that were right, and wrong."""
    ends = [event.usage for events in answers for event in events if isinstance(event, Finished)]
    return sum(u.accepted_draft_tokens for u in ends), sum(u.rejected_draft_tokens for u in ends)


@pytest.mark.parametrize("wrong", [0, 1, 3, 1000])
def test_any_requests_have_the_answers_that_they_have_without(even: Any, wrong: int) -> None:
    draw = random.Random(wrong)
    requests = [some_request(draw) for _ in range(8)]
    requests += [EngineRequest([i] * 60, Sampling(max_tokens=70, ignore_eos=True, logprobs=0)) for i in range(2)]
    plain, texts = run(even.engine(), requests)
    preempted = False
    for options in ({"token_budget": 48}, {"num_blocks": 13, "max_batch": 8}):
        drafter = Oracle(texts, wrong) if wrong else LookupDrafter()
        engine = even.engine(speculation=Speculation(drafter, always=True), **options)
        for _ in range(2):  # the second time from the prefixes that the first one left
            answers, _ = run(engine, requests)
            assert [outcome(events) for events in answers] == [outcome(events) for events in plain]
            right, rejected = counted(answers)
            assert (right > 0) == (wrong != 1)
            assert (rejected > 0) == (wrong != 1000)
        preempted |= engine.scheduler.num_preemptions > 0
    assert preempted


def test_right_guesses_save_steps(even: Any, prompts: Prompts) -> None:
    request = EngineRequest(prompts(20, 1), Sampling(max_tokens=64, ignore_eos=True, seed=0))
    plain, texts = run(even.engine(), [request])
    engine = even.engine(speculation=Speculation(Oracle(texts, 1000), always=True))
    answers, _ = run(engine, [request])
    # the prompt gives a token, each step then eight, and one more is drafted than fits at the end
    assert (engine.load.steps, counted(answers)) == (1 + 8, (55, 0))
    assert outcome(answers[0]) == outcome(plain[0])


@pytest.mark.parametrize("budget", [0, 3, 8])
@pytest.mark.parametrize("wrong", [2, 1000])
def test_a_budget_ends_the_thinking_in_the_middle_of_a_draft(
    even: Any, prompts: Prompts, budget: int, wrong: int
) -> None:
    plan = ThinkingPlan(
        starts_thinking=True, open_marker="<t>", close_marker="</t>", forced_close="..</t>", budget=budget
    )
    request = EngineRequest(prompts(20, 2), Sampling(max_tokens=40, ignore_eos=True, logprobs=0), thinking=plan)
    plain, texts = run(even.engine(), [request])
    answers, again = run(even.engine(speculation=Speculation(Oracle(texts, wrong), always=True)), [request])
    assert (outcome(answers[0]), again) == (outcome(plain[0]), texts)
    assert counted(answers)[0] > 0


def test_a_grammar_holds_for_drafts(even: Any, prompts: Prompts) -> None:
    grammar = answer_grammar(even.tokenizer.split_special, Regex("(ab|ba){1,9}c"), None, None)
    request = EngineRequest(list(b"abababababab"), Sampling(max_tokens=40, temperature=1.0, seed=4), grammar=grammar)
    plain, texts = run(even.engine(), [request])
    for drafter in (Oracle(texts, 1000), Oracle(texts, 3), LookupDrafter()):
        answers, again = run(even.engine(speculation=Speculation(drafter, always=True)), [request])
        assert (outcome(answers[0]), again) == (outcome(plain[0]), texts)
        assert counted(answers)[0] > 0
    # what the grammar forbids is not even computed
    wrong = [texts[0][:-1] + [ord("x")] * 9]
    answers, _ = run(even.engine(speculation=Speculation(Oracle(wrong, 1000), always=True)), [request])
    assert counted(answers)[1] == 0


def test_a_draft_is_given_up_where_blocks_are_short(even: Any, prompts: Prompts) -> None:
    requests = [EngineRequest(prompts(14, i), Sampling(max_tokens=18, ignore_eos=True, seed=0)) for i in range(2)]
    plain, texts = run(even.engine(), requests)
    engine = even.engine(speculation=Speculation(Oracle(texts, 1000), always=True), num_blocks=4, max_batch=2)
    answers, _ = run(engine, requests)
    assert [outcome(events) for events in answers] == [outcome(events) for events in plain]
    assert engine.scheduler.num_preemptions == 0


def test_an_interrupted_step_is_computed_again(even: Any, prompts: Prompts) -> None:
    class Interrupted:
        left = 4

        def forward(self, *step: Any) -> Any:
            Interrupted.left -= 1
            if Interrupted.left == 0:
                raise KeyboardInterrupt
            return even.model.forward(*step)

        logits = even.model.logits

    request = EngineRequest(prompts(20, 3), Sampling(max_tokens=64, ignore_eos=True, seed=0))
    plain, texts = run(even.engine(), [request])
    engine = even.engine(Interrupted(), speculation=Speculation(Oracle(texts, 3), always=True))
    stream = engine.submit(request)
    with pytest.raises(KeyboardInterrupt):
        engine.drive(lambda: stream.job.done)
    while engine.step():
        engine.check_integrity()
    assert outcome(stream) == outcome(plain[0])


def test_layers_that_carry_a_state_are_left_alone_and_the_receipt_says_so(hybrid: Any, prompts: Prompts) -> None:
    speculation = speculation_of("auto", hybrid.model.spec)
    request = EngineRequest(prompts(3, 3) * 20, Sampling(max_tokens=20, ignore_eos=True))
    answers, _ = run(hybrid.engine(speculation=speculation), [request])
    told = answers[0][-1].receipt.parameters["speculate"]
    assert (told.status, told.requested, told.effective) == ("clamped", "auto", "off")
    assert "state" in told.why
    assert counted(answers) == (0, 0)


class Broken(Oracle):
    def expect(self, choice: Any, track: Any) -> float:
        raise RuntimeError("out of guesses")


def test_a_drafter_that_fails_costs_no_answer(even: Any, prompts: Prompts) -> None:
    request = EngineRequest(prompts(20, 3), Sampling(max_tokens=20, ignore_eos=True))
    engine = even.engine(speculation=Speculation(Broken([], 1)))
    assert outcome(run(engine, [request])[0][0]) == outcome(run(even.engine(), [request])[0][0])
    told = run(engine, [request])[0][0][-1].receipt.parameters["speculate"]
    assert (told.effective, told.why) == ("off", "oracle failed: out of guesses")


@pytest.mark.parametrize("agrees", [True, False])
def test_a_draft_model_changes_nothing_however_much_it_agrees(
    even: Any, stranger: Any, prompts: Prompts, agrees: bool
) -> None:
    """The model itself guesses all, sampled tokens too: it draws with the same random numbers."""
    requests = [
        EngineRequest(prompts(10 + 9 * i, i), Sampling(max_tokens=40, ignore_eos=True, temperature=0.7 * i, seed=i))
        for i in range(6)
    ]
    plain, _ = run(even.engine(), requests)
    cache = PagedCache(even.model.spec.kv_shapes, 16, max_sequences=4)
    draft = DraftModel((even if agrees else stranger).model, cache, context=even.CONTEXT, name="draft")
    engine = even.engine(speculation=Speculation(draft, always=True))
    answers, _ = run(engine, requests)
    assert [outcome(events) for events in answers] == [outcome(events) for events in plain]
    right, wrong = counted(answers)
    assert right > 0
    assert (wrong == 0) == agrees
    assert len(cache.leases) <= 4


def test_it_is_done_only_where_it_pays() -> None:
    """The lengths follow from what steps cost, what guesses are worth, and who else is in the batch."""

    def lengths(lines: int, chance: float, slope: float, seconds: float = 0.0) -> list[int]:
        speculation = Speculation(LookupDrafter())
        for rows in range(1, 65):
            for _ in range(2):
                speculation.costs.add(rows, 1.0 + slope * (rows - 1))
        return speculation._lengths(lines, [(None, chance, 7)] * lines, 64 - lines, seconds)  # type: ignore[list-item]

    assert lengths(1, 0.95, 0.1) == [7]
    assert lengths(1, 0.1, 0.2) == [0]
    assert 0 < lengths(1, 0.7, 0.2)[0] < 7
    assert lengths(1, 0.9, 1.0) == [0]  # a machine without room for further rows
    assert lengths(1, 0.9, 0.1, seconds=1.0) == [0]  # a draft model that is too slow
    assert sum(lengths(8, 0.7, 0.1)) < 8 * lengths(1, 0.7, 0.1)[0]


def test_wrong_guesses_stop_and_right_ones_go_on() -> None:
    evidence = Evidence(0.5)
    for _ in range(20):
        evidence.add(False)
    assert evidence.chance < 0.1
    for _ in range(100):
        evidence.add(True)
    assert 0.9 < evidence.chance < 1
