"""GPTQ's packed integers (arXiv:2210.17323) as AutoGPTQ and GPTQModel store them.

The matrix lies transposed, [in, out], with several inputs to a word; zero points have several outputs to a word. With
`desc_act` an input's group is whatever `g_idx` says, so scales are looked up and never assumed to come in runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from limpide.core.errors import CorruptModelFile
from limpide.quant.parted import Infos, PartedFormat, Parts, numbers, require_matrix, require_part, span
from limpide.quant.words import covering, fields


@dataclass(frozen=True)
class GPTQ(PartedFormat):
    """(q - z)·s, with zero point and scale per output and group of inputs; `group` 0 is all inputs."""

    bits: Literal[4, 8] = 4
    group: int = 128
    zeros_less_one: bool = True
    """Zero points are stored less one, as in the first version of the format. As in GPTQModel the ones are added to
    whole words, so that a zero point of 0, which borrowed from its neighbour, gives back what it took."""
    reordered: bool = False
    """`desc_act`: groups are not runs of inputs, so that they can't be known without `g_idx`."""

    name = "GPTQ"
    whole = ".weight"
    sign = ".qweight"
    required = (".qweight", ".qzeros", ".scales")
    optional = (".g_idx",)
    padded = (".bias",)  # AutoGPTQ's older versions gave one to every matrix

    @property
    def _per_word(self) -> int:
        return 32 // self.bits

    def shape(self, infos: Infos) -> tuple[int, ...]:
        """(out, in)."""
        packed = infos[".qweight"]
        words, outputs = require_matrix(packed, "I32")
        inputs = words * self._per_word
        if inputs == 0 or outputs % self._per_word:
            raise CorruptModelFile(
                f"tensor {packed.name!r} is {list(packed.shape)}",
                expected=f"inputs, and a multiple of {self._per_word} outputs",
            )
        groups = -(-inputs // (self.group or inputs))
        require_part(infos[".qzeros"], ("I32",), (groups, outputs // self._per_word))
        require_part(infos[".scales"], ("F16", "BF16", "F32"), (groups, outputs))
        if ".g_idx" in infos:
            require_part(infos[".g_idx"], ("I32",), (inputs,))
        elif self.reordered:
            raise CorruptModelFile(f"tensor {packed.name!r} has no g_idx beside it", expected="one, with desc_act")
        return outputs, inputs

    def prepare(self, infos: Infos, raw: Mapping[str, Tensor]) -> Parts:
        """Words as bytes [words, out, 4], zeros [groups, words, 4], scales [groups, out], groups of inputs [in]."""
        outputs, inputs = self.shape(infos)
        groups = infos[".scales"].shape[0]
        zeros = numbers(infos[".qzeros"], raw[".qzeros"])
        if self.zeros_less_one:
            zeros = zeros + (0x11111111 if self.bits == 4 else 0x01010101)
        if ".g_idx" in infos:
            group_of = numbers(infos[".g_idx"], raw[".g_idx"]).long()
            if int(group_of.min()) < 0 or int(group_of.max()) >= groups:
                raise CorruptModelFile(
                    f"tensor {infos['.g_idx'].name!r} names groups from {int(group_of.min())} to {int(group_of.max())}",
                    expected=f"0 to {groups - 1}",
                )
        else:
            group_of = torch.arange(inputs) // (self.group or inputs)
        return {
            ".qweight": raw[".qweight"].view(-1, outputs, 4),
            ".qzeros": zeros.view(torch.uint8).view(groups, -1, 4),
            ".scales": numbers(infos[".scales"], raw[".scales"]),
            ".g_idx": group_of,
        }

    def expand(self, parts: Parts, rows: range) -> Tensor:
        """(q - z)·s; exact in float32 where scales are half precision."""
        words, columns = covering(rows, self._per_word)
        group_of = parts[".g_idx"]
        zeros = fields(parts[".qzeros"][:, span(words)], self.bits).flatten(1).index_select(1, columns).float()
        scales = parts[".scales"][:, span(rows)].float()
        packed = parts[".qweight"][:, span(rows)]
        values = fields(packed, self.bits).transpose(0, 1).flatten(1).float()
        values.sub_(zeros.T.contiguous().index_select(1, group_of))
        return values.mul_(scales.T.contiguous().index_select(1, group_of))
