"""How much of the machine's memory the key-value cache may take."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from limpide.cache import BLOCK_SIZE, KVShape, LayerState, block_bytes, state_bytes
from limpide.core.errors import InvalidParameter, OutOfMemory

SHARE_OF_AVAILABLE = 0.5
"""Of the memory that is free once the model is mapped: the rest is for the weights' pages and for other programs."""
SHARE_FOR_STATES = 0.25
"""What recurrent layers may take of it, beside the key-value cache."""
USEFUL_BYTES = 512 << 20
"""More than one sequence of full length needs is reserved up to here, for further sequences and cached prefixes."""


def plan_cache(
    layers: Sequence[KVShape],
    dtype: torch.dtype,
    *,
    model_context: int,
    context: int | None,
    cache_bytes: int | None,
    available: int | None = None,
) -> tuple[int, int]:
    """Context and number of blocks.

    layers: what each keeps of a token. context: None is the model's, made smaller if its cache would not fit.
    cache_bytes: None is decided from the memory that is free. available: bytes, for tests; None asks the system.

    Raises InvalidParameter for a context that the model was not made for, OutOfMemory if it does not fit.
    """
    if context is not None and not 1 <= context <= model_context:
        raise InvalidParameter("context", context, f"from 1 to {model_context}, which the model was made for")
    per_block = block_bytes(layers, dtype)
    available = _available() if available is None else available
    wanted = -(-(context or model_context) // BLOCK_SIZE)
    if cache_bytes is None:
        most = int(available * SHARE_OF_AVAILABLE) // per_block
        num_blocks = min(max(wanted, USEFUL_BYTES // per_block), most)
    else:
        num_blocks = cache_bytes // per_block
    needed = wanted if context is not None else 1
    if num_blocks < needed:
        raise OutOfMemory(
            f"a context of {context or BLOCK_SIZE} tokens needs {needed * per_block / 1e6:.1f} MB of key-value cache, "
            f"and there is room for {num_blocks * per_block / 1e6:.1f} MB",
            expected=f"a context of at most {num_blocks * BLOCK_SIZE} tokens here",
            hint="ask for a smaller context, close other programs, or use a smaller model",
        )
    return min(context or model_context, num_blocks * BLOCK_SIZE), num_blocks


def plan_batch(states: Sequence[LayerState], max_batch: int, *, available: int | None = None) -> int:
    """How many sequences may run at once, at least one: fewer than asked for where recurrent states are large."""
    per_sequence = state_bytes(states)
    if per_sequence == 0:
        return max_batch
    available = _available() if available is None else available
    return max(1, min(max_batch, int(available * SHARE_FOR_STATES) // per_sequence))


def _available() -> int:
    import psutil

    return int(psutil.virtual_memory().available)
