"""The key-value cache: paged blocks with shared prefixes, and a plain one for a single pass."""

from limpide.cache.paged import BLOCK_SIZE, KVShape, PagedCache, block_bytes
from limpide.cache.plain import PlainKV
from limpide.cache.tables import BlockTables, Lease
from limpide.cache.view import Pages, StepView

__all__ = ["BLOCK_SIZE", "BlockTables", "KVShape", "Lease", "PagedCache", "Pages", "PlainKV", "StepView", "block_bytes"]
