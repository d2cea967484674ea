"""Eight-bit floats (E4M3) with one scale per rectangle of the matrix: how DeepSeek V3 and R1 are published.

Source: DeepSeek-V3's technical report (arXiv:2412.19437, section 3.3) and its inference code: a weight is its stored
number times `weight_scale_inv` of its rectangle of 128 by 128. Activations, which the original rounds too, are left as
they are: the weights are the published ones and nothing else is rounded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from limpide.quant.parted import Infos, PartedFormat, Parts, numbers, require_matrix, require_part, span


@dataclass(frozen=True)
class FP8(PartedFormat):
    """E4M3 numbers and their scales. `block` is (rows, cols) of a rectangle, None where one scale serves all."""

    block: tuple[int, int] | None = (128, 128)

    name = "FP8"
    whole = ".weight"
    sign = ".weight_scale_inv"
    required = (".weight", ".weight_scale_inv")
    unused = (".activation_scale", ".input_scale")

    def shape(self, infos: Infos) -> tuple[int, ...]:
        """That of the numbers; a last rectangle in either direction may be cut off."""
        weight, scales = infos[".weight"], infos[".weight_scale_inv"]
        require_part(weight, ("F8_E4M3",))
        require_part(scales, ("F32", "BF16", "F16"))
        if self.block is None:
            require_part(scales, (scales.format,), () if not scales.shape else (1,))
            return weight.shape
        rows, cols = require_matrix(weight, "F8_E4M3")
        require_part(scales, (scales.format,), (-(-rows // self.block[0]), -(-cols // self.block[1])))
        return rows, cols

    def prepare(self, infos: Infos, raw: Mapping[str, Tensor]) -> Parts:
        """Numbers as bytes [out, in], scales as float32 [rectangles down, rectangles across]."""
        weight = infos[".weight"]
        grid = numbers(infos[".weight_scale_inv"], raw[".weight_scale_inv"]).float()
        return {
            ".weight": raw[".weight"].view(-1, weight.shape[-1]),
            ".weight_scale_inv": grid.view(1, 1) if self.block is None else grid,
        }

    def expand(self, parts: Parts, rows: range) -> Tensor:
        """Number times scale, in float32."""
        values = parts[".weight"][span(rows)].view(torch.float8_e4m3fn).float()
        grid = parts[".weight_scale_inv"]
        if self.block is None:
            return values.mul_(grid)
        down, across = self.block
        scales = grid[torch.tensor(rows, dtype=torch.int64) // down]
        whole = values.shape[1] // across
        values[:, : whole * across].view(len(rows), whole, across).mul_(scales[:, :whole, None])
        values[:, whole * across :].mul_(scales[:, whole:])
        return values
