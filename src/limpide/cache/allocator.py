"""Who holds which block of the key-value cache. Knows neither tokens nor tensors."""

from __future__ import annotations


class BlockAllocator:
    """Reference counts over `num_blocks` numbered blocks.

    A block is free (nobody wants its content), held (one or more holders), or idle (no holder, but its content is
    worth keeping: the prefix tree decides for how long).
    """

    def __init__(self, num_blocks: int) -> None:
        self.num_blocks = num_blocks
        self.references: list[int] = [0] * num_blocks
        # Popped from the end, so that a fresh pool hands out 0, 1, 2, …: neighbours in memory are neighbours in
        # position, which lets a reader take one slice in place of a gather.
        self._free: list[int] = list(range(num_blocks - 1, -1, -1))

    @property
    def num_free(self) -> int:
        """Blocks that can be handed out at once."""
        return len(self._free)

    def allocate(self) -> int:
        """A free block, with one reference. IndexError when none is free: callers look first."""
        block = self._free.pop()
        self.references[block] = 1
        return block

    def retain(self, block: int) -> None:
        """One more holder of a held or idle block."""
        self.references[block] += 1

    def release(self, block: int) -> bool:
        """One holder fewer. True when it was the last: the caller then frees the block or keeps it idle."""
        count = self.references[block] - 1
        if count < 0:
            raise AssertionError(f"block {block} released more often than retained")
        self.references[block] = count
        return count == 0

    def free(self, block: int) -> None:
        """Forget the content of a block that nobody holds."""
        if self.references[block]:
            raise AssertionError(f"block {block} freed while it has {self.references[block]} holders")
        self._free.append(block)

    def check_integrity(self, idle: set[int]) -> None:
        """AssertionError unless every block is exactly one of free, held and idle."""
        free = set(self._free)
        held = {block for block, count in enumerate(self.references) if count > 0}
        _require(len(free) == len(self._free), "a block is free twice")
        _require(min(self.references, default=0) >= 0, "a reference count is negative")
        _require(not free & held and not free & idle and not held & idle, "a block is in two states")
        _require(len(free) + len(held) + len(idle) == self.num_blocks, "a block is lost")


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise AssertionError(otherwise)
