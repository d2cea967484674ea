"""Every format that we can compute with, by name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from limpide.core.errors import UnsupportedFormat
from limpide.quant.base import Format
from limpide.quant.bf16 import BF16
from limpide.quant.f16 import F16
from limpide.quant.f32 import F32
from limpide.quant.iq4_nl import IQ4_NL
from limpide.quant.iq4_xs import IQ4_XS
from limpide.quant.mxfp4 import MXFP4
from limpide.quant.q2_k import Q2_K
from limpide.quant.q3_k import Q3_K
from limpide.quant.q4_0 import Q4_0
from limpide.quant.q4_1 import Q4_1
from limpide.quant.q4_k import Q4_K
from limpide.quant.q5_0 import Q5_0
from limpide.quant.q5_1 import Q5_1
from limpide.quant.q5_k import Q5_K
from limpide.quant.q6_k import Q6_K
from limpide.quant.q8_0 import Q8_0

_ALL: tuple[type[Format], ...] = (
    *(F32, F16, BF16),
    *(Q4_0, Q4_1, Q5_0, Q5_1, Q8_0),
    *(Q2_K, Q3_K, Q4_K, Q5_K, Q6_K),
    *(IQ4_NL, IQ4_XS, MXFP4),
)

FORMATS: Mapping[str, Format] = MappingProxyType({kind.name: kind() for kind in _ALL})


def get_format(name: str) -> Format:
    """The format of that name. Raises UnsupportedFormat, which names those that there are."""
    try:
        return FORMATS[name]
    except KeyError:
        raise UnsupportedFormat(
            f"numbers stored as {name} can't be computed with",
            expected="one of " + ", ".join(FORMATS),
            hint="use a file in another quantization, for example Q4_K_M or Q8_0",
        ) from None
