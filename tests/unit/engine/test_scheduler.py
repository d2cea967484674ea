"""Continuous batching as bookkeeping: no tensors, thousands of steps."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from limpide.cache import BlockTables
from limpide.core.events import Usage
from limpide.engine.scheduler import Plan, Scheduler
from limpide.engine.sequence import Sequence

SIZE = 4


class Nobody:
    torn = False
    usage = Usage(0, 0, 0, 0)

    def on_logits(self, position: int, logits: object) -> None: ...

    def on_commit(self) -> bool:
        return False


def sequence(number: int, tokens: list[int], client: str = "", *, idle: bool = False) -> Sequence:
    line = Sequence(number, list(tokens), Nobody(), logits_from=len(tokens) - 1)
    line.client, line.idle = client, idle
    return line


def scheduler(num_blocks: int = 64, *, max_batch: int = 4, token_budget: int = 16) -> Scheduler:
    return Scheduler(BlockTables(num_blocks, SIZE, max_batch), max_batch=max_batch, token_budget=token_budget)


def run(scheduler: Scheduler) -> Plan:
    """One step, in which every sequence that is through decodes one more token."""
    plan = scheduler.schedule()
    scheduler.commit(plan)
    scheduler.check_integrity()
    for line in plan:
        if line.num_missing == 0:
            line.tokens.append(7)
            line.logits_from += 1
    return plan


def test_prompts_are_taken_in_chunks_and_do_not_stop_those_who_decode() -> None:
    s = scheduler(token_budget=20)
    writer, reader = sequence(0, [1] * 5), sequence(1, list(range(100, 170)))
    s.add(writer)
    run(s)
    s.add(reader)
    for _ in range(3):
        plan = run(s)
        assert plan[writer] == 1
        assert plan[reader] % SIZE == 0  # a chunk ends with a whole block
        assert sum(plan.values()) <= 20
    while reader.num_missing > 1:
        run(s)
    assert run(s) == {writer: 1, reader: 1}


def test_a_prefix_that_arrives_many_times_at_once_is_computed_once() -> None:
    s = scheduler(num_blocks=200, max_batch=8, token_budget=32)
    prompt = list(range(70))
    lines = [sequence(i, prompt) for i in range(8)]
    for line in lines:
        s.add(line)
    computed = 0
    while any(line.num_missing > 1 or not line.num_computed for line in lines):
        computed += sum(run(s).values())
    assert lines[0].cached_tokens == 0
    assert [line.cached_tokens for line in lines[1:]] == [68] * 7
    assert computed < 70 + 8 * 12


def test_strangers_are_not_held_up_by_a_shared_prefix() -> None:
    s = scheduler(num_blocks=200, max_batch=8, token_budget=64)
    twins, stranger = [sequence(i, list(range(40))) for i in range(2)], sequence(2, list(range(500, 510)))
    for line in (*twins, stranger):
        s.add(line)
    assert list(run(s)) == [twins[0], stranger]


def test_the_youngest_gives_way_and_comes_back() -> None:
    s = scheduler(num_blocks=6)
    old, young = sequence(0, [1] * 8), sequence(1, [2] * 7)
    s.add(old)
    s.add(young)
    run(s)
    assert [s.running, s.waiting] == [[old, young], []]
    while not s.num_preemptions:
        run(s)
    assert s.running == [old]
    assert s.waiting == [young]
    length = len(young.tokens)
    s.remove(old)
    run(s)
    assert s.running == [young]
    assert len(young.tokens) >= length


def test_nobody_is_preempted_for_a_newcomer() -> None:
    s = scheduler(num_blocks=6)
    first, second = sequence(0, [1] * 12), sequence(1, [2] * 12)
    s.add(first)
    run(s)
    s.add(second)
    run(s)
    assert s.waiting == [second]
    assert s.num_preemptions == 0


def test_order_of_arrival_is_kept() -> None:
    s = scheduler(num_blocks=8, max_batch=2)
    lines = [sequence(i, [i] * 5) for i in range(5)]
    for line in reversed(lines):
        s.add(line)
    assert list(s.schedule()) == lines[:2:-1]


def test_the_cache_is_used_up_to_the_token_whose_logits_are_wanted() -> None:
    s = scheduler()
    for number in range(2):
        line = sequence(number, list(range(12)))
        s.add(line)
        plan = s.schedule()
        assert plan[line] == (12 if number == 0 else 4)
        s.commit(plan)
        s.remove(line)


def test_after_a_reset_all_work_is_still_there() -> None:
    s = scheduler()
    lines = [sequence(i, list(range(i, i + 9))) for i in range(6)]
    for line in lines:
        s.add(line)
    run(s)
    s.schedule()  # interrupted before the commit
    s.reset(lines)
    s.check_integrity()
    assert s.waiting == lines
    assert list(run(s)) == lines[: len(s.running)]


class Traffic(RuleBasedStateMachine):
    """Requests of several clients come, decode, force tokens, end and are aborted, on a pool too small for them."""

    @initialize(num_blocks=st.integers(6, 30), budget=st.integers(1, 40), batch=st.integers(1, 5))
    def start(self, num_blocks: int, budget: int, batch: int) -> None:
        self.scheduler = scheduler(num_blocks, max_batch=batch, token_budget=budget)
        self.limit = num_blocks * SIZE
        self.count = 0
        self.alive: list[Sequence] = []

    @rule(
        tokens=st.lists(st.integers(0, 1), min_size=1, max_size=24), client=st.sampled_from("abc"), idle=st.booleans()
    )
    def arrive(self, tokens: list[int], client: str, idle: bool) -> None:
        line = sequence(self.count, tokens, client, idle=idle)
        self.count += 1
        self.alive.append(line)
        self.scheduler.add(line)

    @precondition(lambda self: getattr(self, "alive", None))
    @rule(data=st.data())
    def step(self, data: st.DataObject) -> None:
        plan = self.scheduler.schedule()
        assert plan, "there is work, and nothing is done"
        assert sum(plan.values()) <= self.scheduler.token_budget
        first = min(self.alive, key=lambda line: (line.idle, line.turn, line.id))
        if self.scheduler.running[0] is first and sum(plan.values()) < self.scheduler.token_budget:
            assert first in plan
        assert len({line.idle for line in plan}) == 1
        assert next(iter(plan)).idle == all(line.idle for line in self.alive)
        assert all(0 < n <= line.num_missing for line, n in plan.items())
        for line, n in plan.items():
            assert line.lease is not None
            assert line.lease.num_blocks * SIZE >= line.num_computed + n
        if data.draw(st.integers(0, 9)) == 0:
            return  # interrupted while the model ran
        self.scheduler.commit(plan)
        for line in plan:
            if line.num_missing == 0:
                more = data.draw(st.lists(st.integers(0, 1), min_size=1, max_size=6))
                if len(line.tokens) + len(more) > self.limit:
                    self.end(line)
                else:
                    line.tokens += more
                    line.logits_from = len(line.tokens) - 1

    @precondition(lambda self: getattr(self, "alive", None))
    @rule(data=st.data())
    def abort(self, data: st.DataObject) -> None:
        self.end(data.draw(st.sampled_from(self.alive)))

    @precondition(lambda self: getattr(self, "alive", None))
    @rule()
    def torn(self) -> None:
        self.scheduler.reset(self.alive)

    def end(self, line: Sequence) -> None:
        self.scheduler.remove(line)
        self.alive.remove(line)

    @invariant()
    def holds(self) -> None:
        if hasattr(self, "scheduler"):
            self.scheduler.check_integrity()
            assert {s.id for s in self.alive} == {s.id for s in (*self.scheduler.running, *self.scheduler.waiting)}

    def teardown(self) -> None:
        if hasattr(self, "scheduler"):
            for _ in range(2000):  # everyone ends: nobody starves, nothing deadlocks
                if not self.alive:
                    break
                plan = self.scheduler.schedule()
                assert plan
                self.scheduler.commit(plan)
                for line in plan:
                    if line.num_missing == 0:
                        self.end(line)
            assert not self.alive
            assert not self.scheduler.cache.leases


TestTraffic = Traffic.TestCase
TestTraffic.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


@pytest.mark.parametrize("budget", [1, 7])
def test_a_tiny_budget_is_raised_so_that_everyone_moves(budget: int) -> None:
    s = scheduler(max_batch=4, token_budget=budget)
    lines = [sequence(i, [i] * 30) for i in range(4)]
    for line in lines:
        s.add(line)
    for _ in range(60):
        run(s)
    assert all(len(line.tokens) > 30 for line in lines)
