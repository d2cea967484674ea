"""Bookkeeping of the paged cache: which sequence has which blocks. Plain integers, no tensors."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from limpide.cache.allocator import BlockAllocator
from limpide.cache.prefix import Node, PrefixTree


class Lease:
    """The blocks of one sequence. Made by `BlockTables.open`, invalid after `close`."""

    __slots__ = ("contiguous", "node", "num_blocks", "num_committed", "row", "table")

    def __init__(self, row: int, table: npt.NDArray[np.int32], root: Node) -> None:
        self.row = row
        self.table = table
        """Block numbers in position order; meaningful up to `num_blocks`."""
        self.num_blocks = 0
        self.num_committed = 0
        """Leading blocks that are full and known to the prefix tree."""
        self.node = root
        """The tree's node for the last committed block."""
        self.contiguous = True
        """Whether each block's number is one above that of the block before."""


class BlockTables:
    """Block tables of up to `max_sequences` sequences over a pool of `num_blocks`, with shared prefixes.

    Full blocks are shared by every sequence that begins with the same tokens, and stay after their last holder left
    until their room is needed. `share_prefixes=False`: no sequence begins with what another one computed. Not
    thread-safe.
    """

    def __init__(self, num_blocks: int, block_size: int, max_sequences: int, *, share_prefixes: bool = True) -> None:
        self.share_prefixes = share_prefixes
        self.num_blocks = num_blocks
        self.block_size = block_size
        self.tables = np.zeros((max_sequences, num_blocks), dtype=np.int32)
        self.reset()

    def reset(self) -> None:
        """Forget every lease and every cached prefix."""
        self.allocator = BlockAllocator(self.num_blocks)
        self.tree = PrefixTree(self.block_size)
        self.leases: dict[int, Lease] = {}
        self._free_rows = list(range(len(self.tables) - 1, -1, -1))

    @property
    def num_available(self) -> int:
        """Blocks that `reserve` could still hand out, eviction included."""
        return self.allocator.num_free + len(self.tree.idle)

    @property
    def num_free_rows(self) -> int:
        """How many more leases can be open."""
        return len(self._free_rows)

    def blocks_for(self, length: int) -> int:
        """Blocks that `length` positions take."""
        return -(-length // self.block_size)

    def open(self) -> Lease:
        """A lease without blocks. IndexError when all rows are taken: callers look first."""
        row = self._free_rows.pop()
        lease = Lease(row, self.tables[row], self.tree.root)
        self.leases[row] = lease
        return lease

    def extend_from_prefix(self, lease: Lease, tokens: Sequence[int], end: int) -> int:
        """Take over cached blocks that go on with tokens[:end]. Returns how many leading positions are now cached.

        Does nothing if the lease has blocks that are not full.
        """
        if self.share_prefixes and lease.num_blocks == lease.num_committed:
            start = lease.num_committed * self.block_size
            for node in list(self.tree.walk(lease.node, tokens, start, end)):
                self._hold(node)
                self._append(lease, node.block)
                lease.num_committed += 1
                lease.node = node
        return lease.num_committed * self.block_size

    def prefix_key(self, lease: Lease, tokens: Sequence[int]) -> tuple[Node, tuple[int, ...]]:
        """What the first block that is not cached yet will go by in the tree: equal for equal prefixes."""
        start = lease.num_committed * self.block_size
        return lease.node, tuple(tokens[start : start + self.block_size])

    def reserve(self, lease: Lease, length: int) -> bool:
        """Make room for `length` positions, evicting idle blocks. False, and nothing changed, if it is not enough."""
        missing = self.blocks_for(length) - lease.num_blocks
        if missing <= 0:
            return True
        if missing > self.num_available:
            return False
        for _ in range(missing):
            if not self.allocator.num_free:
                self.allocator.free(self.tree.evict())
            self._append(lease, self.allocator.allocate())
        return True

    def commit(self, lease: Lease, tokens: Sequence[int], length: int) -> None:
        """Positions below `length` are computed: blocks that became full can be shared from now on."""
        size = self.block_size
        while (lease.num_committed + 1) * size <= length:
            index = lease.num_committed
            block = int(lease.table[index])
            node = self.tree.insert(lease.node, tuple(tokens[index * size : (index + 1) * size]), block)
            if node.block != block:
                # Someone else computed the same block meanwhile: keep one of the two.
                self._hold(node)
                lease.table[index] = node.block
                lease.contiguous = _contiguous(lease.table[: lease.num_blocks])
                self._release(block)
            lease.node = node
            lease.num_committed = index + 1

    def close(self, lease: Lease) -> None:
        """Give the lease's blocks back; what is cached of them stays until its room is needed."""
        if self.leases.pop(lease.row, None) is not lease:
            raise AssertionError("a lease was closed twice")
        for block in lease.table[: lease.num_blocks][::-1].tolist():  # leaf first, see PrefixTree
            self._release(block)
        lease.num_blocks = lease.num_committed = 0
        self._free_rows.append(lease.row)

    def _append(self, lease: Lease, block: int) -> None:
        count = lease.num_blocks
        if count and lease.contiguous:
            lease.contiguous = block == int(lease.table[count - 1]) + 1
        lease.table[count] = block
        lease.num_blocks = count + 1

    def _hold(self, node: Node) -> None:
        self.tree.wake(node)
        self.allocator.retain(node.block)

    def _release(self, block: int) -> None:
        if self.allocator.release(block):
            node = self.tree.nodes.get(block)
            if node is None:
                self.allocator.free(block)
            else:
                self.tree.rest(node)

    def check_integrity(self, prefixes: Iterable[tuple[Lease, Sequence[int]]] = ()) -> None:
        """AssertionError unless every block is accounted for exactly once.

        prefixes: leases with their sequence's tokens; their committed blocks must be what the tree has for them.
        """
        counted = [0] * self.num_blocks
        for row, lease in self.leases.items():
            _require(lease.row == row and row not in self._free_rows, "a row has two owners")
            blocks = lease.table[: lease.num_blocks].tolist()
            _require(len(set(blocks)) == len(blocks), "a sequence has a block twice")
            _require(lease.contiguous == _contiguous(lease.table[: lease.num_blocks]), "contiguous is wrong")
            _require(lease.num_committed <= lease.num_blocks, "more blocks committed than held")
            for block in blocks:
                counted[block] += 1
            node = lease.node
            for index in range(lease.num_committed - 1, -1, -1):
                _require(node.block == blocks[index] and node.parent is not None, "a lease left the tree's path")
                node = node.parent or node
            _require(node is self.tree.root, "a lease's path doesn't end at the root")
        _require(len(self.leases) + len(self._free_rows) == len(self.tables), "a row is lost")
        _require(counted == self.allocator.references, "a reference count is wrong")
        self.allocator.check_integrity(set(self.tree.idle))
        self.tree.check_integrity(self.allocator.references)
        for lease, tokens in prefixes:
            path = list(self.tree.walk(self.tree.root, tokens, 0, lease.num_committed * self.block_size))
            _require(len(path) == lease.num_committed, "a lease's tokens are not in the tree")
            _require(not path or path[-1] is lease.node, "a lease's tokens lead to another block")


def _contiguous(blocks: npt.NDArray[np.int32]) -> bool:
    return bool((np.diff(blocks) == 1).all())


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise AssertionError(otherwise)
