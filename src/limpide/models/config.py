"""Typed reads of a stranger's configuration, with a record of what was read.

What a family doesn't read might change the result, so `finish` refuses it by name unless it is known to be harmless.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeVar, overload

import numpy as np

from limpide.core.errors import UnsupportedConfig

_D = TypeVar("_D")
_ABSENT: Any = object()

HARMLESS_HF = frozenset({
    # what the file is and who wrote it
    "_name_or_path", "architectures", "auto_map", "dtype", "torch_dtype", "transformers_version",
    "transformers.js_config", "unsloth_fixed", "unsloth_version",
    # tokens and generation defaults: read by text and hub, not part of the computation
    "bos_token_id", "eos_token_id", "pad_token_id", "sep_token_id", "decoder_start_token_id", "use_cache", "max_length",
    "do_sample", "temperature", "top_k", "top_p", "cache_implementation", "forced_bos_token_id", "forced_eos_token_id",
    "min_length", "early_stopping", "num_beams", "num_beam_groups", "diversity_penalty", "typical_p",
    "repetition_penalty", "length_penalty", "no_repeat_ngram_size", "encoder_no_repeat_ngram_size", "bad_words_ids",
    "num_return_sequences", "remove_invalid_values", "exponential_decay_length_penalty", "suppress_tokens",
    "begin_suppress_tokens", "prefix",
    # training only
    "initializer_range", "attention_dropout", "hidden_dropout", "resid_pdrop", "embd_pdrop", "attn_pdrop",
    "gradient_checkpointing",
    # how a reference implementation splits its work or returns its results
    "pretraining_tp", "_attn_implementation_autoset", "attn_implementation", "_attn_implementation", "return_dict",
    "output_attentions", "output_hidden_states", "output_scores", "return_dict_in_generate", "output_past",
    "chunk_size_feed_forward", "torchscript", "use_bfloat16", "tf_legacy_loss", "tie_encoder_decoder", "is_decoder",
    # what it was trained for besides
    "tokenizer_class", "is_llama_config", "problem_type", "id2label", "label2id", "_num_labels", "finetuning_task",
    "task_specific_params",
})  # fmt: skip
"""Keys of config.json known not to change what a forward pass computes."""

_PLAIN_DECODER: Mapping[str, Collection[Any]] = MappingProxyType({
    "is_encoder_decoder": (False,), "add_cross_attention": (False,), "pruned_heads": ({},),
})  # fmt: skip
"""Keys that older files of every family have, and what they say of a decoder without additions."""

HARMLESS_GGUF = ("general.", "tokenizer.", "split.", "quantize.", "imatrix.", "GGUF.")
"""Prefixes of GGUF keys known not to change what a forward pass computes. Architecture keys are never among them."""

MAX_LAYERS = 4096


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) < 2**63 if isinstance(value, int) else math.isfinite(value)


class ConfigReader:
    """One mapping of a configuration. `where` is what messages call it, for example "config.json"."""

    def __init__(self, values: Mapping[str, Any], where: str, *, prefix: str = "") -> None:
        self._values = values
        self._where = where
        self._prefix = prefix
        self._read: set[str] = set()
        self._children: dict[str, ConfigReader] = {}

    def __contains__(self, key: str) -> bool:
        return self._values.get(self._prefix + key) is not None

    def is_null(self, key: str) -> bool:
        """Whether the file has the key and says "nothing", where leaving it out would mean the family's default."""
        name = self._prefix + key
        return name in self._values and self._values[name] is None

    @overload
    def integer(self, key: str) -> int: ...
    @overload
    def integer(self, key: str, default: _D) -> int | _D: ...
    def integer(self, key: str, default: Any = _ABSENT) -> Any:
        """A whole number, zero or above."""
        value = self._get(key, default)
        if value is default:
            return value
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**40:
            raise self.refusal(key, value, "a whole number, zero or above")
        return value

    @overload
    def number(self, key: str) -> float: ...
    @overload
    def number(self, key: str, default: _D) -> float | _D: ...
    def number(self, key: str, default: Any = _ABSENT) -> Any:
        """A finite number."""
        value = self._get(key, default)
        if value is default:
            return value
        if not _is_number(value):
            raise self.refusal(key, value, "a finite number")
        return float(value)

    def positive(self, key: str, default: float = math.nan) -> float:
        """A finite number above zero."""
        value = self.number(key) if math.isnan(default) else self.number(key, default)
        if value <= 0:
            raise self.refusal(key, value, "a number above zero")
        return value

    def layers(self, key: str) -> int:
        """A number of blocks. Bounded: a description of each is made before the weights are looked at."""
        value = self.integer(key)
        if not 0 < value <= MAX_LAYERS:
            raise self.refusal(key, value, f"1 to {MAX_LAYERS} layers")
        return value

    def boolean(self, key: str, default: bool) -> bool:
        """True or false."""
        value = self._get(key, default)
        if not isinstance(value, bool):
            raise self.refusal(key, value, "true or false")
        return value

    @overload
    def string(self, key: str) -> str: ...
    @overload
    def string(self, key: str, default: _D) -> str | _D: ...
    def string(self, key: str, default: Any = _ABSENT) -> Any:
        """A word."""
        value = self._get(key, default)
        if value is not default and not isinstance(value, str):
            raise self.refusal(key, value, "a string")
        return value

    def strings(self, key: str) -> tuple[str, ...] | None:
        """A list of words, or None if it isn't there."""
        value = self._get(key, None)
        if value is None:
            return None
        if not isinstance(value, Sequence) or isinstance(value, str) or not all(isinstance(v, str) for v in value):
            raise self.refusal(key, value, "a list of strings")
        return tuple(value)

    def numbers(self, key: str) -> tuple[float, ...]:
        """A list of finite numbers."""
        value = self._get(key, _ABSENT)
        if isinstance(value, np.ndarray) and value.ndim == 1:
            value = value.tolist()
        if not isinstance(value, list | tuple) or not all(map(_is_number, value)):
            raise self.refusal(key, value, "a list of finite numbers")
        return tuple(float(v) for v in value)

    def per_layer(self, key: str, layers: int, default: int) -> tuple[int, ...]:
        """A whole number per layer: a list of them, or one for all."""
        value = self._get(key, default)
        if isinstance(value, np.ndarray) and value.ndim == 1:
            value = value.tolist()
        if not isinstance(value, list | tuple):
            return (self.integer(key, default),) * layers
        if len(value) != layers or not all(_is_number(v) and v >= 0 and v == int(v) for v in value):
            raise self.refusal(key, value, f"{layers} whole numbers, one per layer")
        return tuple(int(v) for v in value)

    def flags(self, key: str, layers: int) -> tuple[bool, ...]:
        """True or false per layer."""
        value = self._get(key, _ABSENT)
        if isinstance(value, np.ndarray) and value.ndim == 1:
            value = value.tolist()
        if not isinstance(value, list | tuple) or len(value) != layers or not all(isinstance(v, bool) for v in value):
            raise self.refusal(key, value, f"{layers} times true or false, one per layer")
        return tuple(value)

    def child(self, key: str) -> ConfigReader | None:
        """A mapping inside this one, or None if it isn't there. It is finished together with this one.

        Asked for again it is the same reader.
        """
        if key in self._children:
            return self._children[key]
        value = self._get(key, None)
        if value is None:
            return None
        if not isinstance(value, Mapping):
            raise self.refusal(key, value, "a mapping")
        reader = ConfigReader(value, f"{self._where}: {self._prefix}{key}")
        self._children[key] = reader
        return reader

    def only(self, key: str, allowed: Collection[Any], why: str) -> None:
        """Accept a key that we don't compute with, as long as its value asks for nothing. Raises UnsupportedConfig."""
        value = self._get(key, None)
        if value is not None and (isinstance(value, np.ndarray) or value not in allowed):
            raise self.refusal(key, value, why)

    def harmless(self, *keys: str) -> None:
        """Note keys that this family knows not to change the result."""
        self._read.update(self._prefix + key for key in keys)

    def finish_hf(self, *, harmless: Collection[str] = ()) -> None:
        """`finish` for a config.json, with what files of every family have in common."""
        for key, allowed in _PLAIN_DECODER.items():
            self.only(key, allowed, "a decoder without additions")
        self.finish(harmless=HARMLESS_HF.union(harmless))

    def refusal(self, key: str, value: object, expected: str) -> UnsupportedConfig:
        """The error for a key whose value we can't work with."""
        shown = repr(value) if len(repr(value)) <= 80 else repr(value)[:77] + "..."
        return UnsupportedConfig(f"{self._where}: {self._prefix}{key} is {shown}", expected=expected)

    def finish(self, *, harmless: Collection[str] = (), prefixes: Iterable[str] = ()) -> None:
        """Refuse what nobody read. Raises UnsupportedConfig with the names; keys without a value pass."""
        prefixes = tuple(prefixes)
        unknown = [
            key
            for key, value in self._values.items()
            if value is not None and key not in self._read and key not in harmless and not key.startswith(prefixes)
        ]
        if unknown:
            raise UnsupportedConfig(
                f"{self._where} has keys that may change the result, unknown to us: {', '.join(sorted(unknown))}",
                expected="only keys whose meaning we compute or know to be harmless",
                hint="a newer version of limpide, or a checkpoint without them",
            )
        for reader in self._children.values():
            reader.finish()

    def _get(self, key: str, default: Any) -> Any:
        self._read.add(self._prefix + key)
        value = self._values.get(self._prefix + key)
        if value is not None:
            return value
        if default is _ABSENT:
            raise UnsupportedConfig(
                f"{self._where} lacks {self._prefix}{key}", expected="a complete model configuration"
            )
        return default
