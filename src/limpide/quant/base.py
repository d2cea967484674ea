"""What a stored format is: blocks of bytes, and how they become numbers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor

_TILE = 1 << 18
"""Numbers expanded at a time: few enough that the passes over a tile stay in a core's cache."""


class Format(ABC):
    """One way to store numbers. Stateless; `FORMATS` holds one object of each.

    The arithmetic of `unpack` rounds where ggml's rounds, so the result is the same bit for bit.
    """

    name: ClassVar[str]
    """As in `TensorInfo.format`."""
    block_size: ClassVar[int]
    """Numbers per block."""
    block_bytes: ClassVar[int]
    """Bytes per block."""

    def row_bytes(self, cols: int) -> int:
        """Bytes of a row of `cols` numbers. ValueError if that is no whole count of blocks."""
        if cols % self.block_size:
            raise ValueError(f"{self.name} stores rows of a multiple of {self.block_size} numbers, not {cols}")
        return cols // self.block_size * self.block_bytes

    def unpack(self, raw: Tensor) -> Tensor:
        """Expand: uint8 [..., n * block_bytes] -> float32 [..., n * block_size], on the CPU, newly allocated."""
        if raw.dtype != torch.uint8 or raw.shape[-1] % self.block_bytes:
            raise ValueError(
                f"{self.name} expands uint8 with a multiple of {self.block_bytes} bytes per row, "
                f"not {raw.dtype} of shape {tuple(raw.shape)}"
            )
        num_blocks = raw.numel() // self.block_bytes
        blocks = raw.reshape(num_blocks, self.block_bytes)
        values = torch.empty(num_blocks, self.block_size, dtype=torch.float32)
        tile = _TILE // self.block_size
        for start in range(0, num_blocks, tile):
            self.expand(blocks[start : start + tile], values[start : start + tile])
        return values.view(*raw.shape[:-1], raw.shape[-1] // self.block_bytes * self.block_size)

    @abstractmethod
    def expand(self, blocks: Tensor, values: Tensor) -> None:
        """Write the numbers of uint8 [n, block_bytes] into float32 [n, block_size]. Does not modify the blocks."""


def aligned(data: Tensor, nbytes: int) -> Tensor:
    """The same bytes, contiguous, at an address that is a multiple of `nbytes`: a mapped file promises none."""
    data = data.contiguous()
    return data if data.data_ptr() % nbytes == 0 and data.storage_offset() % nbytes == 0 else data.clone()


def half(blocks: Tensor, at: int) -> Tensor:
    """The half-precision number at a byte of every block: uint8 [n, block_bytes] -> float32 [n, 1]."""
    return aligned(blocks[:, at : at + 2], 2).view(torch.float16).float()


def write_nibbles(packed: Tensor, values: Tensor) -> None:
    """Spread 4-bit numbers: uint8 [..., k] -> float32 [..., 2, k], the low halves first, then the high halves."""
    values[..., 0, :] = packed & 15
    values[..., 1, :] = packed >> 4


def bits(packed: Tensor, width: int) -> Tensor:
    """Fields of `width` bits, from the lowest up: uint8 [..., k] -> uint8 [..., 8 // width, k]."""
    shifts = torch.arange(0, 8, width, dtype=torch.uint8)[:, None]
    return (packed[..., None, :] >> shifts) & ((1 << width) - 1)
