"""`quantization_config` of a config.json: how its weights are stored, read strictly.

What a setting could change is computed or refused by name; what only concerned the program that quantised is let pass.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Literal

from limpide.formats import Checkpoint
from limpide.formats.quant_method import QUANTIZATION, quant_method
from limpide.models.config import ConfigReader
from limpide.quant import PartedFormat
from limpide.quant.awq import AWQ
from limpide.quant.fp8 import FP8
from limpide.quant.gptq import GPTQ
from limpide.quant.mxfp4_pairs import MXFP4Pairs

KEY = QUANTIZATION

# Which modules are quantised shows in the tensors themselves.
_MODULES = (
    *("modules_to_not_convert", "modules_to_convert", "ignored_layers", "modules_in_block_to_quantize"),
    *("block_name_to_quantize", "module_name_preceding_first_block", "dequantize"),
)
# How the quantising was done, and which kernels its authors preferred.
_MAKING = (
    *("damp_percent", "damp_auto_increment", "true_sequential", "static_groups", "mse", "act_group_aware", "dataset"),
    *("tokenizer", "batch_size", "pad_token_id", "model_seqlen", "cache_block_outputs", "model_name_or_path"),
    *("model_file_base_name", "meta", "quantizer", "backend", "use_exllama", "exllama_config", "disable_exllama"),
    *("max_input_length", "use_cuda_fp16", "do_fuse", "fuse_max_seq_len", "modules_to_fuse"),
    *("lm_head", "sym", "offload_to_disk", "offload_to_disk_path", "pack_impl"),
)


def stored_format(checkpoint: Checkpoint) -> PartedFormat | None:
    """How a checkpoint spreads its matrices over several tensors; None if it doesn't.

    Raises UnsupportedFormat for a method that we can't read, UnsupportedConfig for a setting of one that we can.
    """
    if checkpoint.kind == "gguf":
        return None
    method, settings = quant_method(checkpoint.config), ConfigReader(checkpoint.config, "config.json").child(KEY)
    if method is None or settings is None:
        return None
    settings.only("quant_method", (method,), method)
    stored = METHODS[method](settings)
    settings.finish(harmless=(*_MODULES, *_MAKING))
    return stored


def _mxfp4(settings: ConfigReader) -> PartedFormat:
    return MXFP4Pairs()


def _fp8(settings: ConfigReader) -> PartedFormat:
    """DeepSeek's blocks, or one scale per tensor (Ministral 3). The original also rounds activations; we don't."""
    settings.only("fmt", ("e4m3",), "e4m3")
    settings.only("scale_fmt", ("float", "ue8m0"), "float or ue8m0")
    settings.only("expert_dtype", ("fp8",), "fp8")
    settings.only("activation_scheme", ("dynamic", "static"), "dynamic or static")
    settings.only("kv_cache_scheme", (), "null (keys and values are not rounded)")
    if "weight_block_size" not in settings:
        settings.harmless("weight_block_size")
        return FP8(None)
    sides = settings.numbers("weight_block_size")
    if len(sides) != 2 or any(side < 1 or not side.is_integer() for side in sides):
        raise settings.refusal("weight_block_size", list(sides), "two whole numbers above zero, or null")
    return FP8((int(sides[0]), int(sides[1])))


def _awq(settings: ConfigReader) -> PartedFormat:
    settings.only("bits", (4,), "4")
    settings.only("zero_point", (True,), "true")
    settings.only("desc_act", (False,), "false")
    for key in ("version", "format"):
        version = settings.string(key, "gemm")
        if version.lower() != "gemm":
            raise settings.refusal(key, version, "gemm: the order in which nibbles are packed")
    if settings.string("backend", "autoawq") == "llm-awq":
        raise settings.refusal("backend", "llm-awq", "autoawq: llm-awq packs nibbles in another order")
    return AWQ(_group(settings))


def _gptq(settings: ConfigReader) -> PartedFormat:
    bits = settings.integer("bits")
    if bits not in (4, 8):
        raise settings.refusal("bits", bits, "4 or 8")
    settings.only("pack_dtype", ("int32",), "int32")
    settings.only("dynamic", ({},), "null: the same settings for all modules")
    settings.only("adapter", ({},), "null")
    settings.only("rotation", (), "null")
    settings.only("is_marlin_format", (False,), "false: Marlin packs in an order of its own")
    version = settings.string("checkpoint_format", None) or settings.string("format", "gptq")
    settings.only("format", (version,), f"{version}, like checkpoint_format")
    if version not in ("gptq", "gptq_v2"):
        raise settings.refusal("checkpoint_format", version, "gptq or gptq_v2")
    width: Literal[4, 8] = 4 if bits == 4 else 8
    return GPTQ(
        width, _group(settings), zeros_less_one=version == "gptq", reordered=settings.boolean("desc_act", False)
    )


def _group(settings: ConfigReader) -> int:
    """Inputs that share a scale; 0 for all of them, which files write as -1."""
    size = settings.number("group_size", 128.0)
    if size == -1:
        return 0
    return settings.integer("group_size", 128) or 0


METHODS: Mapping[str, Callable[[ConfigReader], PartedFormat]] = MappingProxyType(
    {"awq": _awq, "fp8": _fp8, "gptq": _gptq, "mxfp4": _mxfp4}
)
