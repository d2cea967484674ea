"""AWQ's four bits in the layout of its GEMM kernels (arXiv:2306.00978; AutoAWQ's `version: gemm`).

The matrix lies transposed, [in, out], eight outputs to a word, in an order made for a GPU's registers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from limpide.core.errors import CorruptModelFile
from limpide.quant.parted import Infos, PartedFormat, Parts, numbers, require_matrix, require_part, span
from limpide.quant.words import covering, fields

_PER_WORD = 8
_PLACES = [0, 4, 1, 5, 2, 6, 3, 7]
"""Which field of a word, from the lowest up, holds outputs 0 to 7."""


@dataclass(frozen=True)
class AWQ(PartedFormat):
    """(q - z)·s, with zero point and scale per output and `group` inputs; `group` 0 is all inputs."""

    group: int = 128

    name = "AWQ"
    whole = ".weight"
    sign = ".qweight"
    required = (".qweight", ".qzeros", ".scales")

    def shape(self, infos: Infos) -> tuple[int, ...]:
        """(out, in)."""
        packed = infos[".qweight"]
        inputs, words = require_matrix(packed, "I32")
        group = self.group or inputs
        if inputs == 0 or inputs % group:
            raise CorruptModelFile(
                f"tensor {packed.name!r} has {inputs} inputs", expected=f"a multiple of the group, {group}"
            )
        require_part(infos[".qzeros"], ("I32",), (inputs // group, words))
        require_part(infos[".scales"], ("F16", "BF16", "F32"), (inputs // group, words * _PER_WORD))
        return words * _PER_WORD, inputs

    def prepare(self, infos: Infos, raw: Mapping[str, Tensor]) -> Parts:
        """Words as bytes [in or groups, words, 4], scales as numbers [groups, out]."""
        words = infos[".qweight"].shape[1]
        packed = {part: raw[part].view(-1, words, 4) for part in (".qweight", ".qzeros")}
        return packed | {".scales": numbers(infos[".scales"], raw[".scales"])}

    def expand(self, parts: Parts, rows: range) -> Tensor:
        """(q - z)·s; exact in float32 where scales are half precision."""
        words, columns = covering(rows, _PER_WORD)
        zeros = _outputs(parts[".qzeros"], words, columns)
        scales = parts[".scales"][:, span(rows)].float()
        values = _outputs(parts[".qweight"], words, columns)
        grouped = values.view(len(zeros), len(values) // len(zeros), len(rows))
        grouped.sub_(zeros[:, None]).mul_(scales[:, None])
        return values.T.contiguous()


def _outputs(packed: Tensor, words: range, columns: Tensor) -> Tensor:
    """Some outputs of [n, words, 4] bytes, as float32 [n, len(columns)]."""
    ordered = fields(packed[:, span(words)], 4)[..., _PLACES]
    return ordered.flatten(1).index_select(1, columns).float()
