"""Which family a checkpoint belongs to. A new family is one line here."""

from __future__ import annotations

from limpide.core.errors import UnsupportedArchitecture, UnsupportedConfig
from limpide.formats import Checkpoint
from limpide.models import (
    deepseek3,
    gemma,
    gemma2,
    gemma3,
    gemma4,
    gpt2,
    gpt_oss,
    granite,
    granite_moe,
    granitemoehybrid,
    llama,
    llama4,
    mistral,
    mistral4,
    mixtral,
    phi3,
    qwen2,
    qwen2_moe,
    qwen3,
    qwen3_5,
    qwen3_moe,
    qwen3_next,
    smollm3,
)
from limpide.models.config import HARMLESS_GGUF, ConfigReader
from limpide.models.family import Family
from limpide.models.quantization import KEY, stored_format
from limpide.models.spec import ModelSpec
from limpide.models.wrappers import WRAPPERS, unwrapped

FAMILIES: tuple[Family, ...] = (
    mixtral.FAMILY,
    llama.FAMILY,
    gemma3.FAMILY,
    qwen2.FAMILY,
    qwen3.FAMILY,
    mistral.FAMILY,
    gemma2.FAMILY,
    gemma.FAMILY,
    granite.FAMILY,
    smollm3.FAMILY,
    phi3.FAMILY,
    gpt2.FAMILY,
    gemma4.FAMILY,
    granitemoehybrid.FAMILY,
    qwen2_moe.FAMILY,
    qwen3_moe.FAMILY,
    gpt_oss.FAMILY,
    granite_moe.FAMILY,
    llama4.FAMILY,
    deepseek3.FAMILY,
    mistral4.FAMILY,
    qwen3_next.FAMILY,
    qwen3_5.FAMILY,
)


def recognise(checkpoint: Checkpoint) -> Family:
    """The family of a checkpoint. Raises UnsupportedArchitecture, which lists those we have."""
    checkpoint = unwrapped(checkpoint)
    config = checkpoint.config
    if checkpoint.kind == "gguf":
        name = config.get("general.architecture")
        for family in FAMILIES:
            if name in family.gguf_architectures and family.claims(config):
                return family
        raise _unsupported(f"general.architecture {name!r}", [n for f in FAMILIES for n in f.gguf_architectures])
    model_type, architectures = config.get("model_type"), config.get("architectures")
    known = [n for f in FAMILIES for n in f.hf_architectures] + list(WRAPPERS.values())
    for family in FAMILIES:
        if model_type not in family.hf_model_types:
            continue
        if architectures is not None and not _any_of(architectures, family.hf_architectures):
            raise _unsupported(f"architectures {architectures!r}", known)
        return family
    raise _unsupported(f"model_type {model_type!r}, architectures {architectures!r}", known)


def read_spec(checkpoint: Checkpoint) -> tuple[Family, ModelSpec]:
    """A checkpoint's family and description.

    Raises UnsupportedArchitecture or UnsupportedConfig: for what can't be computed and for keys that nobody knows.
    """
    checkpoint = unwrapped(checkpoint)
    family = recognise(checkpoint)
    if checkpoint.kind == "gguf":
        _refuse_adapters(checkpoint)
        architecture = str(checkpoint.config["general.architecture"])
        config = ConfigReader(checkpoint.config, "GGUF metadata", prefix=f"{architecture}.")
        spec = family.from_gguf(config, checkpoint)
        config.finish(prefixes=HARMLESS_GGUF)
        return family, spec
    config = ConfigReader(checkpoint.config, "config.json")
    stored_format(checkpoint)
    config.harmless("model_type", KEY)
    spec = family.from_hf(config)
    config.finish_hf()
    return family, spec


def _any_of(written: object, known: tuple[str, ...]) -> bool:
    return isinstance(written, list) and any(name in known for name in written)


def _refuse_adapters(checkpoint: Checkpoint) -> None:
    kind = checkpoint.config.get("general.type", "model")
    if kind != "model":
        raise UnsupportedConfig(f"the file's general.type is {kind!r}", expected="a whole model")


def _unsupported(what: str, known: list[str]) -> UnsupportedArchitecture:
    return UnsupportedArchitecture(
        f"this checkpoint has {what}, which we can't compute", expected=f"one of {', '.join(sorted(known))}"
    )
