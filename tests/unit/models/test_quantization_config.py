"""`quantization_config`: what we can unpack is read strictly, all else is refused with the way out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_checkpoint import LLAMA, hf_tensors, write_folder

from limpide.core.errors import CorruptModelFile, UnsupportedConfig, UnsupportedFormat
from limpide.formats import open_checkpoint
from limpide.formats.quant_method import READABLE_METHODS
from limpide.models import load_model
from limpide.models.quantization import METHODS, stored_format
from limpide.models.registry import read_spec
from limpide.models.stored import StoredTensors
from limpide.quant import PartedFormat
from limpide.quant.awq import AWQ
from limpide.quant.fp8 import FP8
from limpide.quant.gptq import GPTQ
from limpide.quant.mxfp4_pairs import MXFP4Pairs

QWEN_AWQ = {
    "bits": 4, "group_size": 128, "modules_to_not_convert": None, "quant_method": "awq", "version": "gemm",
    "zero_point": True,
}  # fmt: skip
QWEN_GPTQ = {
    "bits": 4, "damp_percent": 0.01, "desc_act": False, "group_size": 128, "model_file_base_name": "model",
    "model_name_or_path": None, "quant_method": "gptq", "static_groups": False, "sym": True, "true_sequential": True,
}  # fmt: skip
MODEL_CLOUD_GPTQ = {
    "bits": 4, "checkpoint_format": "gptq_v2", "desc_act": True, "dynamic": None, "group_size": -1, "lm_head": False,
    "meta": {"quantizer": ["gptqmodel:1.1.0"], "damp_percent": 0.1}, "pack_dtype": "int32", "quant_method": "gptq",
    "sym": False,
}  # fmt: skip
DEEPSEEK = {
    "activation_scheme": "dynamic", "fmt": "e4m3", "quant_method": "fp8", "weight_block_size": [128, 128],
}  # fmt: skip
MINISTRAL_3 = {
    "activation_scheme": "static", "dequantize": False, "modules_to_not_convert": ["lm_head"], "quant_method": "fp8",
    "weight_block_size": None,
}  # fmt: skip
GPT_OSS = {"modules_to_not_convert": ["lm_head"], "quant_method": "mxfp4"}


def read(tmp_path: Path, settings: Any, key: str = "quantization_config") -> PartedFormat | None:
    with open_checkpoint(write_folder(tmp_path / "m", LLAMA | {key: settings}, hf_tensors())) as checkpoint:
        read_spec(checkpoint)
        return stored_format(checkpoint)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (None, None),
        (QWEN_AWQ, AWQ(128)),
        (QWEN_AWQ | {"version": "GEMM", "group_size": -1}, AWQ(0)),
        (QWEN_GPTQ, GPTQ(4, 128)),
        (QWEN_GPTQ | {"bits": 8, "desc_act": True, "group_size": 32}, GPTQ(8, 32, reordered=True)),
        (MODEL_CLOUD_GPTQ, GPTQ(4, 0, zeros_less_one=False, reordered=True)),
        (DEEPSEEK, FP8((128, 128))),
        (DEEPSEEK | {"scale_fmt": "ue8m0"}, FP8((128, 128))),
        (MINISTRAL_3, FP8(None)),
        (GPT_OSS, MXFP4Pairs()),
    ],
    ids=str,
)
def test_what_publishers_write_is_understood(tmp_path: Path, settings: Any, expected: PartedFormat | None) -> None:
    assert read(tmp_path, settings) == expected


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        (QWEN_AWQ | {"bits": 8}, "bits"),
        (QWEN_AWQ | {"version": "gemv"}, "version"),
        (QWEN_AWQ | {"zero_point": False}, "zero_point"),
        (QWEN_AWQ | {"backend": "llm-awq"}, "backend"),
        (QWEN_AWQ | {"group_size": -2}, "group_size"),
        (QWEN_AWQ | {"rounding": "up"}, "rounding"),
        (QWEN_GPTQ | {"bits": 3}, "bits"),
        (QWEN_GPTQ | {"checkpoint_format": "marlin"}, "checkpoint_format"),
        (QWEN_GPTQ | {"is_marlin_format": True}, "is_marlin_format"),
        (QWEN_GPTQ | {"pack_dtype": "int16"}, "pack_dtype"),
        (QWEN_GPTQ | {"dynamic": {"-:.*mlp.*": {}}}, "dynamic"),
        (QWEN_GPTQ | {"desc_act": "yes"}, "desc_act"),
        (QWEN_GPTQ | {"group_size": 0.5}, "group_size"),
        ({"quant_method": "gptq"}, "bits"),
        (DEEPSEEK | {"fmt": "e5m2"}, "fmt"),
        (DEEPSEEK | {"weight_block_size": [128]}, "weight_block_size"),
        (DEEPSEEK | {"weight_block_size": [0, 128]}, "weight_block_size"),
        (DEEPSEEK | {"expert_dtype": "fp4"}, "expert_dtype"),
        (DEEPSEEK | {"kv_cache_scheme": "static"}, "kv_cache_scheme"),
        (GPT_OSS | {"block": 16}, "block"),
    ],
    ids=str,
)
def test_a_setting_that_we_cannot_follow_is_refused_by_name(tmp_path: Path, settings: Any, named: str) -> None:
    with pytest.raises(UnsupportedConfig, match=named):
        read(tmp_path, settings)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"quant_method": "bitsandbytes", "load_in_4bit": True}, "bitsandbytes"),
        ({"load_in_8bit": True}, "bitsandbytes"),
        ({"quant_method": "compressed-tensors", "format": "pack-quantized"}, "compressed-tensors"),
        ({"quant_method": "hqq"}, "hqq"),
        ({"quant_method": "torchao"}, "torchao"),
        ({}, "without a name"),
        ({"quant_method": 4}, "by 4"),
        ("nf4", "nf4"),
        (["awq"], "awq"),
    ],
    ids=str,
)
def test_other_methods_are_refused_with_the_way_out(tmp_path: Path, settings: Any, named: str) -> None:
    with pytest.raises(UnsupportedFormat, match=named) as caught:
        read(tmp_path, settings)
    assert "GGUF" in str(caught.value)
    assert "awq, fp8, gptq, mxfp4" in str(caught.value)


def test_every_method_that_the_hub_lets_pass_has_a_reader() -> None:
    assert tuple(sorted(METHODS)) == READABLE_METHODS


def test_so_is_the_first_spelling_of_compressed_tensors(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedFormat, match="compressed-tensors"):
        read(tmp_path, {"format": "int-quantized"}, key="compression_config")


def parts(suffixes: tuple[str, ...] = ("qweight", "qzeros", "scales")) -> dict[str, np.ndarray]:
    whole = hf_tensors()
    name = "model.layers.1.self_attn.q_proj."
    del whole[name + "weight"]
    packed = {
        "qweight": np.zeros((16, 2), np.int32),
        "qzeros": np.zeros((1, 2), np.int32),
        "scales": np.ones((1, 16), np.float16),
    }
    return whole | {name + suffix: packed[suffix] for suffix in suffixes}


def test_only_what_is_stored_in_parts_is_joined(tmp_path: Path) -> None:
    config = LLAMA | {"quantization_config": QWEN_AWQ | {"group_size": 16}}
    with open_checkpoint(write_folder(tmp_path / "m", config, parts())) as checkpoint:
        stored = StoredTensors(checkpoint, stored_format(checkpoint))
        assert stored.tensors.keys() == hf_tensors().keys()
        info = stored.tensors["model.layers.1.self_attn.q_proj.weight"]
        assert (info.shape, info.format, info.nbytes) == ((16, 16), "AWQ", 128 + 8 + 32)
        load_model(checkpoint)


@pytest.mark.parametrize("missing", ["qzeros", "scales"])
def test_a_missing_part_is_named(tmp_path: Path, missing: str) -> None:
    config = LLAMA | {"quantization_config": QWEN_AWQ | {"group_size": 16}}
    there = tuple(part for part in ("qweight", "qzeros", "scales") if part != missing)
    with open_checkpoint(write_folder(tmp_path / "m", config, parts(there))) as checkpoint:
        with pytest.raises(CorruptModelFile, match=rf"q_proj\.{missing}"):
            load_model(checkpoint)


def test_a_part_without_its_numbers_is_left_over(tmp_path: Path) -> None:
    config = LLAMA | {"quantization_config": QWEN_AWQ | {"group_size": 16}}
    extra = {"model.layers.0.self_attn.q_proj.scales": np.ones((1, 16), np.float16)}
    with open_checkpoint(write_folder(tmp_path / "m", config, parts() | extra)) as checkpoint:
        with pytest.raises(CorruptModelFile, match=r"layers\.0\.self_attn\.q_proj\.scales"):
            load_model(checkpoint)


def test_a_folder_that_is_not_what_its_configuration_says_is_refused(tmp_path: Path) -> None:
    with open_checkpoint(write_folder(tmp_path / "m", LLAMA | {"quantization_config": GPT_OSS}, hf_tensors())) as it:
        with pytest.raises(CorruptModelFile, match="quantization_config says MXFP4"):
            load_model(it)


def test_scales_of_activations_are_no_obstacle(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    folder = write_folder(tmp_path / "m", LLAMA | {"quantization_config": MINISTRAL_3}, hf_tensors())
    tensors = {name: torch.from_numpy(values) for name, values in hf_tensors().items()}
    name = "model.layers.0.mlp.up_proj"
    tensors[f"{name}.weight"] = tensors[f"{name}.weight"].to(torch.float8_e4m3fn)
    tensors |= {f"{name}.weight_scale_inv": torch.tensor(0.5), f"{name}.activation_scale": torch.tensor(2.0)}
    save_file(tensors, folder / "model.safetensors")
    with open_checkpoint(folder) as checkpoint:
        model = load_model(checkpoint, numerics="exact")
    assert torch.equal(model.blocks[0].mlp.up.weight, tensors[f"{name}.weight"].float() * 0.5)


def gptq_parts() -> dict[str, np.ndarray]:
    whole = parts()
    name = "model.layers.1.self_attn.q_proj."
    del whole[name + "qweight"]
    return whole | {name + "qweight": np.zeros((2, 16), np.int32), name + "g_idx": np.zeros(16, np.int32)}


def test_zeros_that_old_programs_added_as_biases_are_no_obstacle(tmp_path: Path) -> None:
    config = LLAMA | {"quantization_config": QWEN_GPTQ | {"group_size": 16}}
    for index, (name, filled, refused) in enumerate(
        [
            ("model.layers.1.self_attn.q_proj.bias", 0.0, False),
            ("model.layers.1.self_attn.q_proj.bias", 1.0, True),
            ("model.layers.0.self_attn.q_proj.bias", 0.0, True),  # beside a matrix that isn't quantised
        ]
    ):
        tensors = gptq_parts() | {name: np.full(16, filled, np.float16)}
        with open_checkpoint(write_folder(tmp_path / str(index), config, tensors)) as checkpoint:
            if refused:
                with pytest.raises(CorruptModelFile, match=name.replace(".", r"\.")):
                    load_model(checkpoint)
            else:
                load_model(checkpoint)


def test_a_multimodal_checkpoint_says_it_beside_the_text_model(tmp_path: Path) -> None:
    """As the published Ministral 3 does."""
    text = {key: value for key, value in LLAMA.items() if key != "architectures"} | {"model_type": "mistral"}
    outer: dict[str, Any] = {"model_type": "mistral3", "architectures": ["Mistral3ForConditionalGeneration"]}
    outer |= {"text_config": text, "vision_config": {}}
    with open_checkpoint(
        write_folder(tmp_path / "m", outer | {"quantization_config": MINISTRAL_3}, hf_tensors())
    ) as it:
        with pytest.raises(CorruptModelFile, match="quantization_config says FP8"):
            load_model(it)
    other = {"quantization_config": {"quant_method": "bitsandbytes"}}
    with open_checkpoint(write_folder(tmp_path / "n", outer | other, hf_tensors())) as it:
        with pytest.raises(UnsupportedFormat, match="bitsandbytes"):
            load_model(it)


def test_loading_reads_no_matrix(tmp_path: Path) -> None:
    """Two matrices of 4 GB in a file full of holes: afterwards this process has hardly more memory than before."""
    import psutil

    shapes = {"weight": ("F8_E4M3", 1 << 16, 1), "weight_scale_inv": ("F32", 1 << 9, 4)}
    places, reached = {}, 0
    for module in ("a", "b"):
        for part, (dtype, side, width) in shapes.items():
            end = reached + side * side * width
            places[f"{module}.{part}"] = {"dtype": dtype, "shape": [side, side], "data_offsets": [reached, end]}
            reached = end
    header = json.dumps(places).encode()
    path = tmp_path / "large.safetensors"
    with path.open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(file.tell() + reached)
    before = psutil.Process().memory_info().rss
    with open_checkpoint(path) as checkpoint:
        stored = StoredTensors(checkpoint, FP8((128, 128)))
        matrices = [stored.matrix(f"{module}.weight") for module in ("a", "b")]
    assert [matrix.nbytes for matrix in matrices] == [(1 << 32) + (1 << 20)] * 2
    assert not matrices[1].rows(slice(8, 16)).unpack().any()
    assert psutil.Process().memory_info().rss - before < 64 << 20
