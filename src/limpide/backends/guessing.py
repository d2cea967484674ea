"""Where a model's guesses at its own next tokens come from, as `--speculate` says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Protocol

import torch

from limpide.backends.memory import plan_cache
from limpide.backends.parts import read_tokenizer
from limpide.cache import LayerState, PagedCache
from limpide.core.errors import InvalidParameter
from limpide.core.receipt import Numerics
from limpide.engine.draft_model import MAX_LINES, DraftModel
from limpide.engine.speculation import LookupDrafter, Speculation
from limpide.formats import open_checkpoint
from limpide.models import load_model
from limpide.text import Tokenizer

MODES: Final = ("auto", "off", "lookup")
_CARRIES_STATE: Final = "its layers carry a state from token to token, which can't go back to before a wrong guess"


class Decoder(Protocol):
    """What has to be known of a model to guess for it."""

    @property
    def state_shapes(self) -> Sequence[LayerState]: ...  # noqa: D102


def speculation_of(mode: str | Path, spec: Decoder, draft: DraftModel | None = None) -> Speculation | None:
    """How a model guesses. mode: one of MODES, or the path of the model behind `draft`.

    Raises InvalidParameter for another mode.
    """
    if isinstance(mode, str) and mode not in MODES:
        raise InvalidParameter("speculate", mode, f"{', '.join(MODES)}, or the path of a smaller model")
    if mode == "off":
        return None
    requested = draft.name if draft else str(mode)
    if any(spec.state_shapes):
        return Speculation(None, requested=requested, why=_CARRIES_STATE)
    return Speculation(draft or LookupDrafter(), always=mode == "lookup", requested=requested)


def open_draft_model(
    path: Path, tokenizer: Tokenizer, *, numerics: Numerics, dtype: torch.dtype, context: int
) -> tuple[DraftModel, Callable[[], None]]:
    """A model that guesses for one with this tokenizer and context, and what closes its file.

    Raises as `LocalBackend.open`, and InvalidParameter if it speaks other tokens or can't go back to before a guess.
    """
    checkpoint = open_checkpoint(path)
    try:
        if not _same_tokens(read_tokenizer(checkpoint), tokenizer):
            raise InvalidParameter("speculate", path.name, "a model with the very tokens of the one it guesses for")
        model = load_model(checkpoint, numerics=numerics)
        spec = model.spec
        if any(spec.state_shapes):
            raise InvalidParameter("speculate", path.name, f"a model of another kind: {_CARRIES_STATE}")
        limit, num_blocks = plan_cache(
            spec.kv_shapes, dtype, model_context=spec.context, context=min(context, spec.context), cache_bytes=None
        )
        model.settle(limit)
        cache = PagedCache(spec.kv_shapes, num_blocks, dtype=dtype, max_sequences=MAX_LINES)
        return DraftModel(model, cache, context=limit, name=path.stem), checkpoint.close
    except BaseException:
        checkpoint.close()
        raise


def _same_tokens(ours: Tokenizer, theirs: Tokenizer) -> bool:
    return (
        ours.vocab_size == theirs.vocab_size
        and ours.special_tokens == theirs.special_tokens
        and all(ours.token_bytes(token) == theirs.token_bytes(token) for token in range(ours.vocab_size))
    )
