"""Every known way to store numbers: how many sit in a block, and how many bytes a block takes.

Source: the tables of ggml (`ggml-common.h`, `ggml.h`) and of the safetensors format. The reader needs these sizes to
check a file; how to turn blocks into numbers is the business of `limpide.quant`, and a test holds the two together.
"""

from __future__ import annotations

from typing import NamedTuple


class Storage(NamedTuple):
    """Geometry of one block."""

    block_size: int
    """Numbers per block; a row of a matrix is a whole count of blocks."""
    block_bytes: int


STORAGE: dict[str, Storage] = {
    "F64": Storage(1, 8),
    "F32": Storage(1, 4),
    "F16": Storage(1, 2),
    "BF16": Storage(1, 2),
    "F8_E4M3": Storage(1, 1),
    "F8_E5M2": Storage(1, 1),
    "F8_E8M0": Storage(1, 1),
    "I64": Storage(1, 8),
    "I32": Storage(1, 4),
    "I16": Storage(1, 2),
    "I8": Storage(1, 1),
    "U64": Storage(1, 8),
    "U32": Storage(1, 4),
    "U16": Storage(1, 2),
    "U8": Storage(1, 1),
    "BOOL": Storage(1, 1),
    "Q4_0": Storage(32, 18),
    "Q4_1": Storage(32, 20),
    "Q5_0": Storage(32, 22),
    "Q5_1": Storage(32, 24),
    "Q8_0": Storage(32, 34),
    "Q8_1": Storage(32, 40),
    "Q2_K": Storage(256, 84),
    "Q3_K": Storage(256, 110),
    "Q4_K": Storage(256, 144),
    "Q5_K": Storage(256, 176),
    "Q6_K": Storage(256, 210),
    "Q8_K": Storage(256, 292),
    "IQ1_S": Storage(256, 50),
    "IQ1_M": Storage(256, 56),
    "IQ2_XXS": Storage(256, 66),
    "IQ2_XS": Storage(256, 74),
    "IQ2_S": Storage(256, 82),
    "IQ3_XXS": Storage(256, 98),
    "IQ3_S": Storage(256, 110),
    "IQ4_NL": Storage(32, 18),
    "IQ4_XS": Storage(256, 136),
    "TQ1_0": Storage(256, 54),
    "TQ2_0": Storage(256, 66),
    "MXFP4": Storage(32, 17),
    "NVFP4": Storage(64, 36),
    "Q1_0": Storage(128, 18),
}

GGUF_TYPES: dict[int, str] = {
    0: "F32",
    1: "F16",
    2: "Q4_0",
    3: "Q4_1",
    6: "Q5_0",
    7: "Q5_1",
    8: "Q8_0",
    9: "Q8_1",
    10: "Q2_K",
    11: "Q3_K",
    12: "Q4_K",
    13: "Q5_K",
    14: "Q6_K",
    15: "Q8_K",
    16: "IQ2_XXS",
    17: "IQ2_XS",
    18: "IQ3_XXS",
    19: "IQ1_S",
    20: "IQ4_NL",
    21: "IQ3_S",
    22: "IQ2_S",
    23: "IQ4_XS",
    24: "I8",
    25: "I16",
    26: "I32",
    27: "I64",
    28: "F64",
    29: "IQ1_M",
    30: "BF16",
    34: "TQ1_0",
    35: "TQ2_0",
    39: "MXFP4",
    40: "NVFP4",
    41: "Q1_0",
}
"""Numbers that stand for a storage type in a GGUF file."""

SAFETENSORS_TYPES = frozenset(
    {"F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2", "F8_E8M0"}
    | {"I64", "I32", "I16", "I8", "U64", "U32", "U16", "U8", "BOOL"}
)
"""Names of safetensors that we size; they are the same as ours."""
