"""Stored formats: how a block becomes numbers, and how to multiply by it."""

from limpide.quant.base import Format
from limpide.quant.matrix import StoredMatrix
from limpide.quant.multiply import multiply, multiply_all, multiply_reference
from limpide.quant.parted import PartedFormat, PartedMatrix
from limpide.quant.registry import FORMATS, get_format
from limpide.quant.stack import Layout, QuantStack
from limpide.quant.tensor import QuantTensor

__all__ = [
    "FORMATS",
    "Format",
    "Layout",
    "PartedFormat",
    "PartedMatrix",
    "QuantStack",
    "QuantTensor",
    "StoredMatrix",
    "get_format",
    "multiply",
    "multiply_all",
    "multiply_reference",
]
