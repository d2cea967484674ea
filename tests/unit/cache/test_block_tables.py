"""Shared prefixes, eviction and the integrity of the books, under any order of events."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, multiple, rule

from limpide.cache import BlockTables, Lease

SIZE = 4


def fill(tables: BlockTables, tokens: list[int]) -> Lease:
    lease = tables.open()
    tables.extend_from_prefix(lease, tokens, len(tokens))
    assert tables.reserve(lease, len(tokens))
    tables.commit(lease, tokens, len(tokens))
    return lease


def test_full_blocks_are_shared_and_partial_ones_are_not() -> None:
    tables = BlockTables(8, SIZE, 4)
    first = fill(tables, [1, 2, 3, 4, 5, 6, 7, 8, 9])
    second = tables.open()
    assert tables.extend_from_prefix(second, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10], 10) == 8
    assert second.table[:2].tolist() == first.table[:2].tolist()
    assert tables.num_available == 8 - 3


def test_a_prefix_is_the_whole_way_to_a_block_not_the_block_alone() -> None:
    tables = BlockTables(8, SIZE, 4)
    fill(tables, [1, 2, 3, 4, 5, 6, 7, 8])
    other = tables.open()
    assert tables.extend_from_prefix(other, [9, 9, 9, 9, 5, 6, 7, 8], 8) == 0


def test_equal_hashes_do_not_make_equal_prefixes() -> None:
    assert hash((-1, 0, 0, 0)) == hash((-2, 0, 0, 0))  # a real collision of CPython's
    tables = BlockTables(8, SIZE, 4)
    fill(tables, [-1, 0, 0, 0])
    other = tables.open()
    assert tables.extend_from_prefix(other, [-2, 0, 0, 0], 4) == 0


def test_the_longest_idle_leaf_goes_first() -> None:
    tables = BlockTables(4, SIZE, 4)
    old = fill(tables, [1] * 8)
    tables.close(old)
    new = fill(tables, [2] * 8)
    tables.close(new)
    tables.close(fill(tables, [1] * 4))  # the first block of the old one is wanted again
    lease = tables.open()
    assert tables.reserve(lease, 8)
    probe = tables.open()
    assert tables.extend_from_prefix(probe, [1] * 8, 8) == 4  # its second block was the oldest
    tables.close(probe)
    probe = tables.open()
    assert tables.extend_from_prefix(probe, [2] * 8, 8) == 4


def test_two_who_computed_the_same_block_end_up_with_one() -> None:
    tables = BlockTables(8, SIZE, 4)
    leases = [tables.open(), tables.open()]
    for lease in leases:
        assert tables.reserve(lease, 5)
    for lease in leases:
        tables.commit(lease, [1, 2, 3, 4, 5], 5)
    assert leases[0].table[0] == leases[1].table[0]
    assert leases[0].table[1] != leases[1].table[1]
    assert tables.num_available == 8 - 3
    assert not leases[1].contiguous
    tables.check_integrity([(lease, [1, 2, 3, 4, 5]) for lease in leases])


def test_nothing_changes_when_there_is_no_room() -> None:
    tables = BlockTables(4, SIZE, 4)
    held = fill(tables, [1] * 8)
    lease = tables.open()
    assert not tables.reserve(lease, 12)
    assert lease.num_blocks == 0
    assert tables.num_available == 2
    assert held.num_blocks == 2


@pytest.mark.parametrize(
    "damage",
    [
        lambda t: t.allocator.references.__setitem__(0, 2),
        lambda t: t.allocator.references.__setitem__(7, 1),
        lambda t: t.tree.nodes.popitem(),
        lambda t: t.tree.idle.__setitem__(0, t.tree.nodes[0]),
        lambda t: t.leases[0].table.__setitem__(1, 0),
        lambda t: t.allocator._free.append(t.allocator._free[0]),
        lambda t: t.allocator._free.pop(),
        lambda t: setattr(t.leases[0], "contiguous", False),
        lambda t: setattr(t.leases[0], "num_committed", 0),
        lambda t: t._free_rows.append(0),
    ],
)
def test_the_integrity_check_sees_damage(damage: object) -> None:
    tables = BlockTables(8, SIZE, 4)
    fill(tables, [1, 2, 3, 4, 5, 6, 7, 8, 9])
    tables.check_integrity()
    damage(tables)  # type: ignore[operator]
    with pytest.raises(AssertionError):
        tables.check_integrity()


class Books(RuleBasedStateMachine):
    """Sequences over a tiny alphabet, so that prefixes meet all the time, on a pool that is always too small."""

    leases = Bundle("leases")

    @initialize(num_blocks=st.integers(2, 12))
    def start(self, num_blocks: int) -> None:
        self.tables = BlockTables(num_blocks, SIZE, 5)
        self.open: list[tuple[Lease, list[int]]] = []

    @rule(target=leases, tokens=st.lists(st.integers(0, 1), max_size=30))
    def admit(self, tokens: list[int]) -> object:
        if not self.tables.num_free_rows:
            return multiple()
        lease = self.tables.open()
        cached = self.tables.extend_from_prefix(lease, tokens, max(0, len(tokens) - 1))
        assert cached % SIZE == 0
        assert cached <= max(0, len(tokens) - 1)
        entry = (lease, tokens[:cached])
        before = self.tables.num_available
        needed = self.tables.blocks_for(len(tokens)) - lease.num_blocks
        fits = self.tables.reserve(lease, len(tokens))
        assert fits == (needed <= before)
        if fits:
            entry = (lease, tokens)
            self.tables.commit(lease, tokens, len(tokens))
        self.open.append(entry)
        return entry

    @rule(entry=leases, more=st.lists(st.integers(0, 1), min_size=1, max_size=6))
    def grow(self, entry: tuple[Lease, list[int]], more: list[int]) -> None:
        lease, tokens = entry
        if self.tables.reserve(lease, len(tokens) + len(more)):
            tokens += more
            self.tables.commit(lease, tokens, len(tokens))

    @rule(entry=consumes(leases))
    def leave(self, entry: tuple[Lease, list[int]]) -> None:
        self.tables.close(entry[0])
        self.open = [e for e in self.open if e is not entry]

    @invariant()
    def holds(self) -> None:
        if hasattr(self, "tables"):
            self.tables.check_integrity(self.open)

    def teardown(self) -> None:
        if hasattr(self, "tables"):
            for lease, _ in self.open:
                self.tables.close(lease)
            assert self.tables.num_available == self.tables.num_blocks
            self.tables.check_integrity()


TestBooks = Books.TestCase
TestBooks.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
