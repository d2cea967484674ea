"""What the next step computes. Plain bookkeeping on the CPU: no tensors, no text."""

from __future__ import annotations

import time
from bisect import insort
from collections.abc import Iterable

from limpide.cache import BlockTables, Lease
from limpide.engine.rounds import Rounds
from limpide.engine.sequence import Sequence

Plan = dict[Sequence, int]
"""How many of each sequence's missing tokens a step computes, those of its draft included."""


class Scheduler:
    """Continuous batching with chunked prefill; clients take turns, and each is served first come, first served.

    Each step has a budget of tokens. Sequences that decode come first, since people read what they write; what is
    left of the budget goes to prompts, by rank and in chunks. When the blocks run out, the sequence that ranks last
    gives up its own and is computed again later: the first always moves on, so all of them end. Nobody who is let in
    later ranks before one who was let in.

    Idle sequences are computed in steps for which there is nothing else. While there is, they keep their blocks, but
    give them up, and their places in the batch, to whoever needs them.

    A sequence whose next block is being computed by another one in the same step waits for it: a shared prefix is
    computed once, also for requests that arrive together.
    """

    def __init__(self, cache: BlockTables, *, max_batch: int, token_budget: int) -> None:
        self.cache = cache
        self.max_batch = max_batch
        self.token_budget = max(token_budget, max_batch + cache.block_size)
        self.waiting: list[Sequence] = []
        self.running: list[Sequence] = []
        self.num_preemptions = 0
        self._rounds = {False: Rounds(), True: Rounds()}
        """Those of sequences that are idle, and of all others."""
        self._left = 0
        """Tokens that the step being planned may still take."""

    def add(self, sequence: Sequence) -> None:
        """Queue a sequence. Its whole length must fit in the pool."""
        sequence.turn = self._rounds[sequence.idle].draw(sequence.client)
        insort(self.waiting, sequence, key=_rank)

    def remove(self, sequence: Sequence) -> None:
        """Forget a sequence, wherever it is, and give its blocks back."""
        sequence.finished = True
        if sequence.lease is not None:
            self.running.remove(sequence)
            self.cache.close(sequence.lease)
            sequence.lease = None
        elif sequence in self.waiting:
            self.waiting.remove(sequence)
            client, idle = sequence.client, sequence.idle
            turns = [s.turn for s in self.waiting if (s.client, s.idle) == (client, idle)]
            self._rounds[idle].withdraw(client, turns)

    def reset(self, sequences: Iterable[Sequence]) -> None:
        """Forget the cache and start over with these sequences. For when a step was torn in the middle."""
        self.cache.reset()
        self.running = []
        self.waiting = sorted(sequences, key=_rank)
        for sequence in self.waiting:
            sequence.lease = None
            sequence.num_computed = 0
            sequence.draft = ()

    @property
    def decoding(self) -> list[Sequence]:
        """The sequences of the next step, if it computes one token of each and nothing else; otherwise none."""
        idle = self._only_idle
        active = [sequence for sequence in self.running if sequence.idle == idle]
        others = bool(self.waiting and self.waiting[0].idle == idle)
        return [] if others or any(sequence.num_missing != 1 for sequence in active) else active

    def schedule(self) -> Plan:
        """The next step, with room for it in the cache. Empty when there is nothing to do."""
        plan: Plan = {}
        self._left = self.token_budget
        idle = self._only_idle
        active = [sequence for sequence in self.running if sequence.idle == idle]
        short = self.cache.block_size
        for sequence in active:
            if sequence.num_missing <= short:
                self._continue(sequence, plan)
        for sequence in active:
            if sequence.num_missing > short and sequence.lease is not None:
                self._continue(sequence, plan)
        if self.waiting and self.waiting[0].idle == idle:
            self._admit(plan)
        for sequence in self.running:
            if sequence not in plan:
                sequence.draft = ()
        return plan

    def commit(self, plan: Plan) -> None:
        """The step's tokens are in the cache now."""
        for sequence, count in plan.items():
            lease = sequence.lease
            if lease is None:
                raise AssertionError("a sequence was computed without blocks")
            sequence.num_computed += count - len(sequence.draft)
            if (lease.num_committed + 1) * self.cache.block_size <= sequence.num_computed:
                self.cache.commit(lease, sequence.tokens, sequence.num_computed)

    def verify(self, sequence: Sequence) -> None:
        """The step's outcome is known: what was drafted is in the cache as far as it became the text."""
        draft, sequence.draft = sequence.draft, ()
        lease, known = sequence.lease, sequence.num_computed
        if lease is None or not draft:
            return
        # the last token is always computed again, for what follows it
        for token, came in zip(draft, sequence.tokens[known:-1], strict=False):
            if token != came:
                break
            sequence.num_computed += 1
        self.cache.commit(lease, sequence.tokens, sequence.num_computed)

    @property
    def _only_idle(self) -> bool:
        """Whether nobody wants anything at once. Idle sequences rank last."""
        return all(queue[0].idle for queue in (self.running, self.waiting) if queue)

    def _continue(self, sequence: Sequence, plan: Plan) -> None:
        """Schedule a running sequence, at the cost of the one that ranks last if blocks are short."""
        if sequence.lease is None:
            return  # preempted for another one in this very step
        count = self._chunk(sequence)
        if count == 0:
            return
        while not self.cache.reserve(sequence.lease, sequence.num_computed + count):
            last = self.running[-1]
            self._preempt(last, plan)
            if last is sequence:
                return
        plan[sequence] = count
        self._left -= count
        self._add_draft(sequence, plan)

    def _add_draft(self, sequence: Sequence, plan: Plan) -> None:
        """Compute the draft, too, where that costs nobody tokens or blocks."""
        drafted, lease = len(sequence.draft), sequence.lease
        if not drafted:
            return
        end = len(sequence.tokens) + drafted
        if (
            lease is None
            or plan[sequence] != sequence.num_missing
            or drafted > self._left
            or self.cache.blocks_for(end) - lease.num_blocks + len(self.running) > self.cache.num_available
            or not self.cache.reserve(lease, end)
        ):
            sequence.draft = ()
            return
        plan[sequence] += drafted
        self._left -= drafted

    def _admit(self, plan: Plan) -> None:
        """Let waiting sequences in while there are rows, tokens and blocks.

        Nobody is preempted for a newcomer but who is idle, for one who is not.
        """
        cache = self.cache
        idle = self.waiting[0].idle
        pending = {cache.prefix_key(s.lease, s.tokens) for s, n in plan.items() if n > 1 and s.lease is not None}
        admitted: list[Sequence] = []
        for sequence in self.waiting[: 4 * self.max_batch]:  # a long queue for one prefix isn't walked at every step
            if sequence.idle != idle or self._left == 0 or not self._has_row(sequence, len(admitted)):
                break
            lease = cache.open()
            computed = cache.extend_from_prefix(lease, sequence.tokens, sequence.logits_from)
            key = cache.prefix_key(lease, sequence.tokens)
            useful = (lease.num_committed + 1) * cache.block_size <= sequence.logits_from
            if cache.share_prefixes and useful and key in pending:
                cache.close(lease)
                continue
            if not self._has_room(sequence, lease, len(admitted)):
                cache.close(lease)
                break
            if not cache.reserve(lease, len(sequence.tokens)):
                raise AssertionError("a sequence was queued that can never fit")
            sequence.lease, sequence.num_computed = lease, computed
            if sequence.cached_tokens is None:
                sequence.cached_tokens, sequence.admitted_at = computed, time.perf_counter()
            admitted.append(sequence)
            plan[sequence] = self._chunk(sequence)
            self._left -= plan[sequence]
            if len(key[1]) == cache.block_size:
                pending.add(key)
        for sequence in admitted:
            self.waiting.remove(sequence)
            insort(self.running, sequence, key=_rank)
            self._rounds[idle].serve(sequence.client, sequence.turn)

    def _has_row(self, newcomer: Sequence, num_admitted: int) -> bool:
        """Whether there is a place in the batch, at the cost of an idle sequence if need be."""
        return len(self.running) + num_admitted < self.max_batch or self._displace(newcomer)

    def _has_room(self, newcomer: Sequence, lease: Lease, num_admitted: int) -> bool:
        """Whether there are blocks, at the cost of idle sequences if need be."""
        # Each running sequence may soon want one more block: without slack, a newcomer would be thrown out at once.
        slack = num_admitted + sum(sequence.idle == newcomer.idle for sequence in self.running)
        missing = self.cache.blocks_for(len(newcomer.tokens)) - lease.num_blocks
        while missing + slack > self.cache.num_available:
            if not self._displace(newcomer):
                return slack == 0
        return True

    def _displace(self, newcomer: Sequence) -> bool:
        """Preempt an idle sequence for one that is not. False if there is none."""
        if newcomer.idle or not self.running or not self.running[-1].idle:
            return False
        self._preempt(self.running[-1], {})
        return True

    def _chunk(self, sequence: Sequence) -> int:
        """How many of the missing tokens fit in the step; a part ends with a full block, so that it can be shared."""
        left, missing = self._left, sequence.num_missing
        if missing <= left:
            return missing
        end = sequence.num_computed + left
        aligned = end - end % self.cache.block_size
        return aligned - sequence.num_computed if aligned > sequence.num_computed else left

    def _preempt(self, sequence: Sequence, plan: Plan) -> None:
        if sequence.lease is None:
            raise AssertionError("only a running sequence can be preempted")
        self.running.remove(sequence)
        self._left += plan.pop(sequence, 0)
        self.cache.close(sequence.lease)
        sequence.lease = None
        sequence.num_computed = 0
        sequence.draft = ()
        insort(self.waiting, sequence, key=_rank)
        self.num_preemptions += 1

    def check_integrity(self) -> None:
        """AssertionError unless every sequence is in one place and has exactly the blocks that it needs."""
        for name, queue in (("waiting", self.waiting), ("running", self.running)):
            _require([_rank(s) for s in queue] == sorted({_rank(s) for s in queue}), f"{name} is out of order")
            _require(not any(s.finished for s in queue), f"a finished sequence is {name}")
        _require(not {s.id for s in self.waiting} & {s.id for s in self.running}, "a sequence is in two queues")
        _require(len(self.running) <= self.max_batch, "the batch is too large")
        for idle, rounds in self._rounds.items():
            rounds.check_integrity((s.client, s.turn) for s in self.waiting if s.idle == idle)
        for sequence in self.waiting:
            _require(sequence.lease is None and sequence.num_computed == 0, "a waiting sequence has blocks")
        leases = []
        for sequence in self.running:
            lease = sequence.lease
            if lease is None:
                raise AssertionError("a running sequence has no blocks")
            leases.append((lease, sequence.tokens))
            _require(0 <= sequence.num_computed <= len(sequence.tokens), "more is computed than there are tokens")
            _require(not sequence.draft, "a draft outlived its step")
            _require(lease.num_blocks >= self.cache.blocks_for(sequence.num_computed), "computed tokens have no block")
            full = sequence.num_computed // self.cache.block_size
            _require(lease.num_committed == full, "a full block is not shared")
        _require(len(leases) == len(self.cache.leases), "a lease has no sequence")
        self.cache.check_integrity(leases)


def _rank(sequence: Sequence) -> tuple[bool, int, int]:
    return sequence.idle, sequence.turn, sequence.id


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise AssertionError(otherwise)
