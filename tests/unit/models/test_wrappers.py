"""The text model inside a multimodal checkpoint, and tensors under the names of older files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_checkpoint import LLAMA, hf_tensors, write_folder

from limpide.cache import PlainKV
from limpide.core.errors import CorruptModelFile, LimpideError, UnsupportedArchitecture, UnsupportedConfig
from limpide.formats import open_checkpoint
from limpide.models import CausalLM, load_model
from limpide.models.renamed import renamed

Tensors = dict[str, np.ndarray]

TEXT = {
    key: value for key, value in LLAMA.items() if key not in ("architectures", "tie_word_embeddings", "torch_dtype")
}
TEXT |= {"model_type": "mistral", "sliding_window": None}
WRAPPER: dict[str, Any] = {
    "architectures": ["Mistral3ForConditionalGeneration"], "model_type": "mistral3", "image_token_index": 10,
    "multimodal_projector_bias": False, "projector_hidden_act": "gelu", "spatial_merge_size": 2, "text_config": TEXT,
    "torch_dtype": "bfloat16", "transformers_version": "4.50.0.dev0", "vision_config": {"model_type": "pixtral"},
    "vision_feature_layer": -1,
}  # fmt: skip
TOWERS = {
    "vision_tower.patch_conv.weight": np.ones((2, 3, 2, 2), np.float32),
    "multi_modal_projector.linear_1.weight": np.ones((4, 4), np.float32),
}
HEAD = np.random.default_rng(5).normal(size=(40, 16)).astype(np.float32)


def old(tensors: Tensors) -> Tensors:
    """Mistral Small 3.1 and Gemma 3 as they were published."""
    return {f"language_model.{name}": tensor for name, tensor in tensors.items()} | TOWERS


def new(tensors: Tensors) -> Tensors:
    """As transformers 5 writes them."""
    text = {name.replace("model.", "model.language_model.", 1): tensor for name, tensor in tensors.items()}
    return text | {f"model.{name}": tensor for name, tensor in TOWERS.items()}


def load(path: Path) -> CausalLM:
    with open_checkpoint(path) as checkpoint:
        return load_model(checkpoint, numerics="exact")


def logits(path: Path) -> torch.Tensor:
    model = load(path)
    with torch.inference_mode():
        return model.logits(model(torch.arange(9), torch.arange(9), PlainKV([9])))


@pytest.mark.parametrize("names", [old, new])
@pytest.mark.parametrize("head", [{}, {"lm_head.weight": HEAD}], ids=["tied", "untied"])
def test_it_is_the_same_model_as_the_text_alone(tmp_path: Path, names: Any, head: Tensors) -> None:
    tensors = hf_tensors() | head
    alone = LLAMA | TEXT | {"architectures": ["MistralForCausalLM"], "tie_word_embeddings": not head}
    expected = logits(write_folder(tmp_path / "alone", alone, tensors))
    assert torch.equal(logits(write_folder(tmp_path / "inside", WRAPPER, names(tensors))), expected)


def test_a_stored_output_matrix_wins_over_a_default(tmp_path: Path) -> None:
    """transformers 5 writes an outer true of which nobody thought."""
    folder = write_folder(
        tmp_path / "m", WRAPPER | {"tie_word_embeddings": True}, old(hf_tensors() | {"lm_head.weight": HEAD})
    )
    assert torch.equal(load(folder).lm_head.weight, torch.from_numpy(HEAD))


def test_an_output_matrix_that_is_said_to_be_there_is_missed(tmp_path: Path) -> None:
    with pytest.raises(CorruptModelFile, match=r"lm_head\.weight"):
        load(write_folder(tmp_path / "m", WRAPPER | {"tie_word_embeddings": False}, old(hf_tensors())))
    inside = WRAPPER | {"text_config": WRAPPER["text_config"] | {"tie_word_embeddings": False}}
    with pytest.raises(CorruptModelFile, match="lm_head"):
        load(write_folder(tmp_path / "inside", inside, old(hf_tensors())))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"new_switch": 1}, "new_switch"),
        ({"text_config": TEXT | {"new_switch": 1}}, "new_switch"),
        ({"text_config": "none"}, "text_config"),
        ({"text_config": TEXT | {"hidden_act": "gelu"}}, "hidden_act"),
        ({"tie_word_embeddings": "yes"}, "tie_word_embeddings"),
    ],
)
def test_a_config_that_we_cannot_follow_is_refused_by_name(tmp_path: Path, change: dict[str, Any], named: str) -> None:
    with pytest.raises(UnsupportedConfig, match=named):
        load(write_folder(tmp_path / "m", WRAPPER | change, old(hf_tensors())))


@pytest.mark.parametrize(
    "change",
    [
        {"model_type": "unheard_of"},
        {"architectures": ["Mistral3ForSpeech"]},
        {"text_config": TEXT | {"model_type": "unheard_of"}},
        {"text_config": {}},
    ],
    ids=str,
)
def test_so_is_an_architecture(tmp_path: Path, change: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedArchitecture):
        load(write_folder(tmp_path / "m", WRAPPER | change, old(hf_tensors())))


def test_a_tensor_of_no_known_tower_is_named(tmp_path: Path) -> None:
    stranger = {"language_model.model.layers.0.adapter.weight": np.ones((4, 4), np.float32)}
    with pytest.raises(CorruptModelFile, match=r"adapter\.weight"):
        load(write_folder(tmp_path / "m", WRAPPER, old(hf_tensors()) | stranger))


def test_the_same_tensor_under_two_names_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CorruptModelFile, match="the same tensor"):
        load(write_folder(tmp_path / "m", WRAPPER, old(hf_tensors()) | new(hf_tensors())))


def test_a_renamed_checkpoint_is_the_same_bytes(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "m", LLAMA, hf_tensors())
    with open_checkpoint(folder) as checkpoint, renamed(checkpoint, [("model.norm.", "final.")]) as view:
        assert (view.path, view.kind, view.sha256) == (checkpoint.path, checkpoint.kind, checkpoint.sha256)
        assert view.raw("final.weight").tobytes() == checkpoint.raw("model.norm.weight").tobytes()
        assert len(view.tensors) == len(checkpoint.tensors)
        assert "model.norm.weight" not in view.tensors


GPT2 = {
    "architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", "n_embd": 16, "n_head": 4, "n_layer": 2,
    "n_positions": 64, "vocab_size": 40,
}  # fmt: skip


def gpt2_tensors(prefix: str) -> Tensors:
    random = np.random.default_rng(0)
    parts = {
        "ln_1": (16,), "ln_2": (16,), "attn.c_attn": (16, 48), "attn.c_proj": (16, 16), "mlp.c_fc": (16, 64),
        "mlp.c_proj": (64, 16),
    }  # fmt: skip
    shapes = {"wte.weight": (40, 16), "wpe.weight": (64, 16), "ln_f.weight": (16,), "ln_f.bias": (16,)}
    for layer in range(2):
        shapes |= {f"h.{layer}.{part}.weight": shape for part, shape in parts.items()}
        shapes |= {f"h.{layer}.{part}.bias": shape[-1:] for part, shape in parts.items()}
    return {prefix + name: random.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


def test_gpt2_as_first_published(tmp_path: Path) -> None:
    """Names without their prefix, and a causal mask stored beside the weights of each layer."""
    mask = {f"h.{layer}.attn.bias": np.tri(64, dtype=np.float32)[None, None] for layer in range(2)}
    first = write_folder(tmp_path / "first", GPT2, gpt2_tensors("") | mask)
    assert torch.equal(logits(first), logits(write_folder(tmp_path / "now", GPT2, gpt2_tensors("transformer."))))


def test_a_position_that_was_not_learned_does_not_exist(tmp_path: Path) -> None:
    model = load(write_folder(tmp_path / "m", GPT2, gpt2_tensors("")))
    with pytest.raises(IndexError):
        model(torch.arange(2), torch.tensor([63, 64]), PlainKV([2]))


def test_stored_numbers_that_cannot_be_turned_are_refused() -> None:
    from limpide.models.transforms import Transposed
    from limpide.quant import get_format
    from limpide.quant.tensor import QuantTensor

    blocks = QuantTensor(get_format("Q8_0"), (2, 32), torch.zeros(2, 34, dtype=torch.uint8))
    with pytest.raises(LimpideError, match="Q8_0"):
        Transposed().load(blocks, None)
