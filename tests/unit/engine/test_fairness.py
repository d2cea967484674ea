"""Clients take turns, and who is idle delays nobody."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from limpide.cache import BlockTables
from limpide.core.events import TextDelta, Usage
from limpide.core.hosting import Caller
from limpide.core.sampling import Sampling
from limpide.engine.request import EngineRequest
from limpide.engine.rounds import Rounds
from limpide.engine.scheduler import Plan, Scheduler
from limpide.engine.sequence import Sequence
from limpide.engine.stream import Stream

SIZE = 4


class Nobody:
    torn = False
    usage = Usage(0, 0, 0, 0)

    def on_logits(self, position: int, logits: object) -> None: ...

    def on_commit(self) -> bool:
        return False


@dataclass(frozen=True)
class Arrival:
    """A request, and how many steps are computed after it came."""

    client: str
    idle: bool
    prompt: int
    answer: int
    steps: int


ARRIVALS = st.lists(
    st.builds(
        Arrival,
        client=st.sampled_from("abcd"),
        idle=st.booleans(),
        prompt=st.integers(1, 12),
        answer=st.integers(1, 6),
        steps=st.integers(0, 3),
    ),
    max_size=25,
)


class Run:
    """A scheduler under a given traffic, step by step until all of it is done."""

    def __init__(self, num_blocks: int, max_batch: int) -> None:
        tables = BlockTables(num_blocks, SIZE, max_batch, share_prefixes=False)
        self.scheduler = Scheduler(tables, max_batch=max_batch, token_budget=12)
        self.ends: dict[Sequence, int] = {}
        self.admitted: list[Sequence] = []
        """In the order of their first step."""

    def add(self, number: int, arrival: Arrival) -> Sequence:
        tokens = list(range(100 * number, 100 * number + arrival.prompt))
        line = Sequence(number, tokens, Nobody(), logits_from=len(tokens) - 1)
        line.client, line.idle = arrival.client, arrival.idle
        self.ends[line] = arrival.prompt + arrival.answer
        self.scheduler.add(line)
        return line

    def step(self) -> Plan:
        plan = self.scheduler.schedule()
        assert bool(plan) == bool(self.ends)
        self.scheduler.commit(plan)
        self.scheduler.check_integrity()
        self.admitted += [line for line in plan if line not in self.admitted]
        for line in plan:
            if line.num_missing == 0:
                line.tokens.append(7)
                line.logits_from += 1
            if len(line.tokens) >= self.ends[line]:
                self.scheduler.remove(line)
                del self.ends[line]
        return plan


@given(arrivals=ARRIVALS, num_blocks=st.integers(5, 20), max_batch=st.integers(1, 4))
@settings(max_examples=100, deadline=None)
def test_clients_take_turns(arrivals: list[Arrival], num_blocks: int, max_batch: int) -> None:
    run = Run(num_blocks, max_batch)
    lines, before, patience = [], {}, {}
    for number, arrival in enumerate(arrivals):
        line = run.add(number, arrival)
        lines.append(line)
        before[line] = len(run.admitted)
        queue = [w for w in run.scheduler.waiting if (w.client, w.idle) == (line.client, line.idle)]
        patience[line] = len([w for w in queue if w not in run.admitted])
        for _ in range(arrival.steps):
            run.step()
    while run.ends:
        run.step()
    assert len(run.admitted) == len(arrivals), "nobody starves"
    for line in lines:
        overtaken = run.admitted[before[line] : run.admitted.index(line)]
        mine = [other for other in overtaken if (other.client, other.idle) == (line.client, line.idle)]
        assert all(other.id < line.id for other in mine), "a client is served in the order of arrival"
        for client in "abcd":
            theirs = [o for o in overtaken if o.client == client and o.idle == line.idle]
            assert len(theirs) <= patience[line] + 1, "one a round, and one of the round that had begun"


@given(arrivals=ARRIVALS, num_blocks=st.integers(5, 20), max_batch=st.integers(1, 4))
@settings(max_examples=100, deadline=None)
def test_who_is_idle_delays_nobody(arrivals: list[Arrival], num_blocks: int, max_batch: int) -> None:
    """The others' steps are to the token what they are without any idle work."""
    both, alone = Run(num_blocks, max_batch), Run(num_blocks, max_batch)

    def step() -> None:
        steps = [{line.id: count for line, count in run.step().items() if not line.idle} for run in (both, alone)]
        assert steps[0] == steps[1]

    for number, arrival in enumerate(arrivals):
        both.add(number, arrival)
        if not arrival.idle:
            alone.add(number, arrival)
        for _ in range(arrival.steps):
            step()
    while both.ends:
        step()
    assert not alone.ends


def test_one_who_asks_for_much_waits_for_himself() -> None:
    run = Run(num_blocks=30, max_batch=1)
    flood = [run.add(number, Arrival("a", False, 4, 1, 0)) for number in range(5)]
    run.step()
    visitors = [run.add(10 + number, Arrival(client, False, 4, 1, 0)) for number, client in enumerate("bc")]
    while run.ends:
        run.step()
    assert run.admitted == [*flood[:2], *visitors, *flood[2:]]


def test_a_request_that_was_given_up_costs_its_client_no_turn() -> None:
    run = Run(num_blocks=30, max_batch=1)
    run.add(0, Arrival("b", False, 4, 1, 0))
    for line in [run.add(number, Arrival("a", False, 4, 1, 0)) for number in range(1, 6)]:
        run.scheduler.remove(line)
        del run.ends[line]
    run.scheduler.check_integrity()
    again = run.add(7, Arrival("a", False, 4, 1, 0))
    other = run.add(8, Arrival("b", False, 4, 1, 0))
    while run.ends:
        run.step()
    assert run.admitted[1:] == [again, other]


def test_rounds_remember_only_clients_that_wait() -> None:
    rounds = Rounds()
    for number in range(1000):
        client = f"client {number}"
        rounds.serve(client, rounds.draw(client))
    rounds.check_integrity([])
    assert not rounds._last


def test_being_preempted_for_others_changes_no_token(world: Any, prompts: Callable[[int, int], list[int]]) -> None:
    """Random sampling, many clients, idle ones among them, and a cache that holds three of them."""

    def sampling(number: int) -> Sampling:
        return Sampling(temperature=1.0, seed=number, max_tokens=40, logprobs=0, ignore_eos=True)

    def tokens(stream: Stream) -> list[int]:
        return [p.token_id for event in stream if isinstance(event, TextDelta) for p in event.logprobs]

    asked = [prompts(20 + 3 * number, number) for number in range(9)]
    alone = [tokens(world.engine().submit(EngineRequest(p, sampling(n)))) for n, p in enumerate(asked)]
    engine = world.engine(num_blocks=14)
    streams = []
    for number, prompt in enumerate(asked):
        caller = Caller("abc"[number % 3], idle=number < 3)
        streams.append(engine.submit(EngineRequest(prompt, sampling(number), caller=caller)))
        for _ in range(6):
            engine.step()
            engine.check_integrity()
    while engine.step():
        engine.check_integrity()
    assert [tokens(stream) for stream in streams] == alone
    assert engine.load.preemptions >= 4, "the three that are idle, and another"
    assert engine.load.tokens_computed["answer"] == 9 * 40
