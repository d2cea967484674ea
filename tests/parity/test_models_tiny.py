"""Every family against transformers, on tiny random models, from folders and from GGUF files."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gguf
import pytest
import torch
from descriptions import differences
from mutations import Change, attention, block, mlp, rope, swap_thetas, whole, window
from mutations_dense import DENSE_MUTATIONS
from mutations_moe import MOE_MUTATIONS
from mutations_own import OWN_MUTATIONS
from tiny_models import (
    LENGTH,
    TINY,
    Tiny,
    distance,
    make_reference,
    plain_logits,
    reference_logits,
    some_tokens,
    stepped_logits,
    write_gguf,
)
from torch import Tensor

from limpide.formats import TensorInfo, open_checkpoint
from limpide.layers.weights import Weight, Weights
from limpide.models import CausalLM, ModelSpec, load_model
from limpide.models.family import StoredTensor
from limpide.models.loader import load_weights
from limpide.models.recurrent import HeadRows
from limpide.models.registry import read_spec
from limpide.models.spec import MaskSpec
from limpide.models.wrappers import unwrapped
from limpide.quant import QuantStack, QuantTensor

TOLERANCE = 1e-4


@dataclass(frozen=True)
class Made:
    """A tiny model in all its forms."""

    tiny: Tiny
    reference: Any
    folder: Path
    gguf: Path
    quantised: Path
    quantised_state: dict[str, Tensor]
    """Empty, like the two files are missing, where GGUF can't hold the model."""


@pytest.fixture(scope="module", params=TINY, ids=lambda tiny: tiny.name)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make(request.param, tmp_path_factory)


@pytest.fixture(scope="module", params=[tiny for tiny in TINY if tiny.gguf is not None], ids=lambda tiny: tiny.name)
def made_gguf(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make(request.param, tmp_path_factory)


_MADE: dict[str, Made] = {}


def make(tiny: Tiny, factory: pytest.TempPathFactory) -> Made:
    if tiny.name not in _MADE:
        _MADE[tiny.name] = _make(tiny, factory.mktemp(tiny.name))
    return _MADE[tiny.name]


def _make(tiny: Tiny, folder: Path) -> Made:
    reference = make_reference(tiny)
    reference.save_pretrained(folder / "hf")
    if tiny.gguf is None:
        return Made(tiny, reference, folder / "hf", folder / "f32.gguf", folder / "q8_0.gguf", {})
    write_gguf(tiny, reference, folder / "f32.gguf")
    state = write_gguf(tiny, reference, folder / "q8_0.gguf", gguf.GGMLQuantizationType.Q8_0)
    return Made(tiny, reference, folder / "hf", folder / "f32.gguf", folder / "q8_0.gguf", state)


def load(path: Path, numerics: Any = "exact") -> CausalLM:
    with open_checkpoint(path) as checkpoint:
        return load_model(checkpoint, numerics=numerics)


def test_a_plain_forward_pass_agrees(made: Made) -> None:
    tokens = some_tokens()
    ours = plain_logits(load(made.folder), tokens)
    assert distance(ours, reference_logits(made.reference, tokens)) < TOLERANCE


def test_the_same_model_as_gguf_agrees(made_gguf: Made) -> None:
    tokens = some_tokens()
    ours = plain_logits(load(made_gguf.gguf), tokens)
    assert distance(ours, reference_logits(made_gguf.reference, tokens)) < TOLERANCE


def test_a_gguf_file_is_described_as_its_folder(made_gguf: Made) -> None:
    """Constants that these files leave out too, and those that 40 tokens can't show: chunks of 8192, say."""
    specs = []
    for path in (made_gguf.folder, made_gguf.gguf):
        with open_checkpoint(path) as checkpoint:
            specs.append(read_spec(checkpoint)[1])
    assert list(differences(*specs)) == []


def test_quantised_blocks_agree(made_gguf: Made) -> None:
    """Row permutations and offsets also hold on stored blocks."""
    tokens = some_tokens()
    original = {name: tensor.clone() for name, tensor in made_gguf.reference.state_dict().items()}
    made_gguf.reference.load_state_dict(made_gguf.quantised_state)
    expected = reference_logits(made_gguf.reference, tokens)
    made_gguf.reference.load_state_dict(original)
    assert distance(expected, reference_logits(made_gguf.reference, tokens)) > TOLERANCE, "quantising changed nothing"
    assert distance(plain_logits(load(made_gguf.quantised), tokens), expected) < TOLERANCE


def test_fast_keeps_the_blocks_that_exact_expands(made_gguf: Made) -> None:
    """How far `fast` arithmetic drifts is measured on real models; the weights are the same numbers."""
    with open_checkpoint(made_gguf.quantised) as checkpoint:
        family, spec = read_spec(checkpoint)
        fast, exact = (load_weights(checkpoint, family, spec, numerics) for numerics in ("fast", "exact"))
        names = family.stored_names(spec, checkpoint.kind, checkpoint.tensors)
    assert fast.keys() == exact.keys()
    for name, weight in fast.items():
        dimensions = len(checkpoint.tensors[names[name].first].shape)
        matrix = names[name].layout is not None or dimensions == exact[name].ndim == 2
        assert isinstance(weight, QuantTensor | QuantStack) == (matrix and not name.endswith(".bias"))
        assert torch.equal(weight if isinstance(weight, Tensor) else weight.unpack(), exact[name])


@pytest.mark.parametrize("chunks", [[1] * LENGTH, [17] + [1] * 23, [7, 7, 7, 7, 7, 5], [3, 30, 7]])
def test_cached_steps_agree(made: Made, chunks: list[int]) -> None:
    tokens = some_tokens()
    (ours,) = stepped_logits(load(made.folder), [tokens], [[count] for count in chunks])
    assert distance(ours, reference_logits(made.reference, tokens)) < TOLERANCE


def test_a_ragged_batch_agrees(made: Made) -> None:
    sequences = [some_tokens(24, 2), some_tokens(13, 3), some_tokens(40, 4)]
    counts = [[11, 13, 0], [1, 0, 20], [1, 0, 1], [10, 0, 18], [1, 0, 1]]
    for ours, tokens in zip(stepped_logits(load(made.folder), sequences, counts), sequences, strict=True):
        assert distance(ours, reference_logits(made.reference, tokens)) < TOLERANCE


def test_steps_and_strangers_do_not_change_a_bit(made: Made) -> None:
    """In exact numerics chunks, batches and shared prefixes can't change a token, not even with sampling."""
    model = load(made.folder)
    sequences = [some_tokens(24, 2), some_tokens(13, 3), some_tokens(40, 4)]
    counts = [[11, 13, 0], [1, 0, 20], [1, 0, 1], [10, 0, 18], [1, 0, 1]]
    for stepped, tokens in zip(stepped_logits(model, sequences, counts), sequences, strict=True):
        assert torch.equal(stepped, plain_logits(model, tokens))


def test_names_and_transforms_go_both_ways(made: Made) -> None:
    """What was loaded, stored again, is what the file holds."""
    for path in (made.folder, made.gguf, made.quantised):
        if not path.exists():
            continue
        with open_checkpoint(path) as checkpoint:
            family, spec = read_spec(checkpoint)
            weights = load_weights(checkpoint, family, spec, "fast")
            shown = family.view(unwrapped(checkpoint))
            names = family.stored_names(spec, checkpoint.kind, shown.tensors)
            taken = {name for ours in weights for name in names[ours].names}
            assert all(name.startswith("rope_f") for name in set(shown.tensors) - taken)
            stored: dict[str, list[Weight]] = {}
            for ours in (name for name in names if name in weights):  # stacked tensors in the table's order
                if has_layout(names[ours]):
                    continue
                transform, block = names[ours].transform, names[ours].block
                parts = stored.setdefault(names[ours].name, [])
                parts.append(weights[ours] if transform is None else transform.store(weights[ours], block))
            for name, parts in stored.items():
                _assert_same_numbers(parts, shown.raw(name), shown.tensors[name])


def test_tensors_with_a_layout_go_both_ways(made: Made) -> None:
    """Each part written to its place, the tensor is what the file holds."""
    for path in (made.folder, made.gguf):
        if not path.exists():
            continue
        with open_checkpoint(path) as checkpoint:
            family, spec = read_spec(checkpoint)
            weights = load_weights(checkpoint, family, spec, "exact")
            shown = family.view(unwrapped(checkpoint))
            names = family.stored_names(spec, checkpoint.kind, shown.tensors)
            back: dict[str, Tensor] = {}
            for ours in filter(lambda ours: has_layout(names[ours]), weights):
                for name, part in zip(names[ours].names, as_stored(names[ours], weights[ours]), strict=True):
                    back[name] = back[name] + part if name in back else part
            for name, tensor in back.items():
                assert torch.equal(tensor.flatten(), torch.from_numpy(shown.raw(name)).view(torch.float32))


def has_layout(stored: StoredTensor) -> bool:
    return stored.layout is not None or hasattr(stored.transform, "layout") or isinstance(stored.transform, HeadRows)


def as_stored(stored: StoredTensor, ours: Any) -> list[Any]:
    """Ours at their places in the checkpoint's tensors, zeros elsewhere."""
    if stored.layout is None:
        assert stored.transform is not None
        return [stored.transform.store(ours, stored.block)]
    stacks = list(ours) if "{e}" in stored.name else [ours]
    tensors = [torch.zeros(stored.layout.stored_shape(tuple(stack.shape))) for stack in stacks]
    for tensor, stack in zip(tensors, stacks, strict=True):
        stored.layout.view(tensor).copy_(stack)
    return tensors


def _assert_same_numbers(parts: list[Weight], raw: Any, info: TensorInfo) -> None:
    """The parts, one below the other, are what is stored."""
    if all(isinstance(part, QuantTensor) for part in parts):
        turned = sum(part.shape[0] for part in parts) != info.shape[0]  # stacked side by side, since it is transposed
        joined = torch.cat([part.data for part in parts if isinstance(part, QuantTensor)], dim=1 if turned else 0)
        assert torch.equal(joined.flatten(), torch.from_numpy(raw))
    else:  # adding and taking away 1 rounds
        joined = torch.cat([part for part in parts if isinstance(part, Tensor)])
        expected = QuantTensor.from_raw(info, raw).unpack()
        torch.testing.assert_close(joined, expected.view_as(joined), rtol=0, atol=1e-6)


# --- every distinctive feature is seen by these tests: without it they fail ---

MUTATIONS: dict[str, dict[str, Change]] = {
    "llama": {
        "rope": attention(lambda a: replace(a, rope=None)),
        "rope style": rope(style="interleaved"),
        "theta": rope(theta=500.0),
        "attention scale": attention(lambda a: replace(a, scale=a.scale * 1.1)),
        "activation": mlp(activation="gelu"),
        "eps": lambda spec: replace(block(norm=replace(spec.norm, eps=1e-2))(spec), norm=replace(spec.norm, eps=1e-2)),
        "residual scale": block(residual_scale=0.9),
        "logit scale": whole(logit_scale=0.9),
        "untied output": whole(tied=True),
    },
    "llama-tied-mha": {
        "theta": rope(theta=500.0),
        "attention scale": attention(lambda a: replace(a, scale=a.scale * 1.1)),
    },
    "llama-biases-head-dim": {
        "qkv bias": attention(lambda a: replace(a, qkv_bias=False)),
        "output bias": attention(lambda a: replace(a, out_bias=False)),
        "mlp bias": mlp(bias=False),
    },
    "llama3-scaling": {"scaling": rope(scaling=None)},
    "llama-yarn": {
        "scaling": rope(scaling=None),
        "attention factor": attention(
            lambda a: replace(a, rope=replace(a.rope, scaling=replace(a.rope.scaling, attention_factor=1.0)))
        ),
    },
    "llama-linear": {"scaling": rope(scaling=None)},
    "gemma3": {
        "sandwich norms": block(placement="pre"),
        "query and key norms": attention(lambda a: replace(a, qk_norm=None)),
        "window": attention(lambda a: replace(a, mask=MaskSpec())),
        "window one shorter": window(-1),
        "window one longer": window(1),
        "theta per layer type": swap_thetas,
        "embedding scale": whole(embed_scale=1.0),
        "tanh in gelu": mlp(activation="gelu"),
    },
    "gemma3-linear-on-full-layers": {"scaling": rope(scaling=None)},
    "gemma3-softcap": {
        "final softcap": whole(final_softcap=None),
        "qkv bias": attention(lambda a: replace(a, qkv_bias=False)),
        "output bias": attention(lambda a: replace(a, out_bias=False)),
    },
    **DENSE_MUTATIONS,
    **MOE_MUTATIONS,
    **OWN_MUTATIONS,
}


def test_every_row_has_something_taken_away() -> None:
    assert sorted(MUTATIONS) == sorted(tiny.name for tiny in TINY)


@pytest.mark.parametrize(
    ("name", "feature"), [(name, feature) for name, features in MUTATIONS.items() for feature in features]
)
def test_removing_a_feature_is_noticed(name: str, feature: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    reference, spec, weights = _loaded(name, tmp_path_factory)
    tokens = some_tokens()
    expected = reference_logits(reference, tokens)
    assert distance(plain_logits(CausalLM(spec, Weights(weights)), tokens), expected) < TOLERANCE
    mutant = CausalLM(MUTATIONS[name][feature](spec), Weights(weights))
    assert distance(plain_logits(mutant, tokens), expected) > 10 * TOLERANCE


_LOADED: dict[str, tuple[Any, ModelSpec, dict[str, Weight]]] = {}


def _loaded(name: str, factory: pytest.TempPathFactory) -> tuple[Any, ModelSpec, dict[str, Weight]]:
    if name not in _LOADED:
        (tiny,) = (t for t in TINY if t.name == name)
        folder = factory.mktemp("mutations")
        reference = make_reference(tiny)
        reference.save_pretrained(folder)
        with open_checkpoint(folder) as checkpoint:
            family, spec = read_spec(checkpoint)
            _LOADED[name] = reference, spec, load_weights(checkpoint, family, spec, "exact")
    return _LOADED[name]


KINDS = {
    "llama": ["q_proj.weight", "k_proj.weight", "norm.weight", "layernorm.weight"],
    "gemma3": ["q_proj.weight", "k_proj.weight", "norm.weight", "layernorm.weight"],
    "granite4-hybrid": ["A_log", "mamba.D", "dt_bias", "conv1d.weight", "in_proj.weight", "mamba.norm.weight"],
    "qwen3-next": ["A_log", "dt_bias", "conv1d.weight", "in_proj_qkvz.weight", "in_proj_ba.weight", "attn.norm.weight"],
    "qwen3.5": [
        "A_log",
        "in_proj_qkv.weight",
        "in_proj_z.weight",
        "in_proj_b.weight",
        "in_proj_a.weight",
        "q_proj.weight",
    ],
    "gpt2": ["wpe.weight", "c_attn.bias", "ln_f.bias"],
    "gpt-oss": ["sinks", "router.weight", "gate_up_proj", "down_proj_bias"],
    "deepseek3": ["mlp.gate.weight", "shared_experts.gate_proj.weight", "experts.down_proj"],
    "gemma4-small": ["embed_tokens_per_layer.weight", "per_layer_input_gate.weight", "q_norm.weight"],
    "mla": ["q_a_proj.weight", "q_a_layernorm.weight", "kv_a_proj_with_mqa.weight", "kv_b_proj.weight"],
}


@pytest.mark.parametrize(("name", "suffix"), [(name, suffix) for name, kinds in KINDS.items() for suffix in kinds])
def test_every_kind_of_weight_counts(name: str, suffix: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A reference with one weight changed no longer agrees: nothing is read from elsewhere."""
    reference, spec, weights = _loaded(name, tmp_path_factory)
    tokens = some_tokens()
    parameter = next(p for n, p in reference.named_parameters() if n.endswith(suffix))
    with torch.no_grad():
        kept = parameter.clone()
        parameter += torch.randn_like(parameter) * parameter.std() * 0.05
        changed = reference_logits(reference, tokens)
        parameter.copy_(kept)
    assert distance(plain_logits(CausalLM(spec, Weights(weights)), tokens), changed) > TOLERANCE
