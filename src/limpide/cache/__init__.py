"""The key-value cache: paged blocks with shared prefixes and recurrent states, and a plain one for a single pass."""

from limpide.cache.branches import BranchCache
from limpide.cache.paged import BLOCK_SIZE, KVShape, PagedCache, block_bytes
from limpide.cache.plain import PlainKV
from limpide.cache.states import LayerState, state_bytes
from limpide.cache.tables import BlockTables, Lease
from limpide.cache.view import Pages, StepView

__all__ = [
    "BLOCK_SIZE",
    "BlockTables",
    "BranchCache",
    "KVShape",
    "LayerState",
    "Lease",
    "PagedCache",
    "Pages",
    "PlainKV",
    "StepView",
    "block_bytes",
    "state_bytes",
]
