"""Every family against transformers, on tiny random models, from folders and from GGUF files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gguf
import pytest
import torch
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

from limpide.formats import open_checkpoint
from limpide.layers.weights import Weight, Weights
from limpide.models import BlockSpec, CausalLM, ModelSpec, load_model
from limpide.models.loader import load_weights
from limpide.models.registry import read_spec
from limpide.models.spec import AttentionSpec, MaskSpec, MoESpec, NormSpec
from limpide.quant import QuantTensor

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


@pytest.fixture(scope="module", params=TINY, ids=lambda tiny: tiny.name)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make(request.param, tmp_path_factory.mktemp(request.param.name))


def make(tiny: Tiny, folder: Path) -> Made:
    reference = make_reference(tiny)
    reference.save_pretrained(folder / "hf")
    write_gguf(tiny, reference, folder / "f32.gguf")
    state = write_gguf(tiny, reference, folder / "q8_0.gguf", gguf.GGMLQuantizationType.Q8_0)
    return Made(tiny, reference, folder / "hf", folder / "f32.gguf", folder / "q8_0.gguf", state)


def load(path: Path, numerics: Any = "exact") -> CausalLM:
    with open_checkpoint(path) as checkpoint:
        return load_model(checkpoint, numerics=numerics)


@pytest.mark.parametrize("source", ["folder", "gguf"])
def test_a_plain_forward_pass_agrees(made: Made, source: str) -> None:
    tokens = some_tokens()
    ours = plain_logits(load(getattr(made, source)), tokens)
    assert distance(ours, reference_logits(made.reference, tokens)) < TOLERANCE


def test_quantised_blocks_agree(made: Made) -> None:
    """Row permutations and offsets also hold on stored blocks."""
    tokens = some_tokens()
    original = {name: tensor.clone() for name, tensor in made.reference.state_dict().items()}
    made.reference.load_state_dict(made.quantised_state)
    expected = reference_logits(made.reference, tokens)
    made.reference.load_state_dict(original)
    assert distance(expected, reference_logits(made.reference, tokens)) > TOLERANCE, "quantising changed nothing"
    assert distance(plain_logits(load(made.quantised), tokens), expected) < TOLERANCE


def test_fast_keeps_the_blocks_that_exact_expands(made: Made) -> None:
    """How far `fast` arithmetic drifts is measured on real models; the weights are the same numbers."""
    with open_checkpoint(made.quantised) as checkpoint:
        family, spec = read_spec(checkpoint)
        fast, exact = (load_weights(checkpoint, family, spec, numerics) for numerics in ("fast", "exact"))
    assert fast.keys() == exact.keys()
    for name, weight in fast.items():
        assert isinstance(weight, QuantTensor) == (exact[name].ndim == 2)
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
        with open_checkpoint(path) as checkpoint:
            family, spec = read_spec(checkpoint)
            weights = load_weights(checkpoint, family, spec, "fast")
            names = family.stored_names(spec, checkpoint.kind)
            assert {name for ours in weights for name in names[ours].names} >= set(checkpoint.tensors) - {
                "rope_freqs.weight"
            }
            for ours, weight in weights.items():
                stored = names[ours]
                if stored.layout is not None:
                    continue  # stacks of experts are only ever read
                back = weight if stored.transform is None else stored.transform.store(weight, stored.block)
                raw = QuantTensor.from_raw(checkpoint.tensors[stored.name], checkpoint.raw(stored.name))
                if isinstance(back, QuantTensor):
                    assert torch.equal(back.data, raw.data)
                else:  # adding and taking away 1 rounds
                    torch.testing.assert_close(back.flatten(), raw.unpack().flatten(), rtol=0, atol=1e-6)


# --- every distinctive feature is seen by these tests: without it they fail ---

Change = Callable[[ModelSpec], ModelSpec]


def block(**changes: Any) -> Change:
    return lambda spec: replace(spec, blocks=tuple(replace(b, **changes) for b in spec.blocks))


def _inside(part: str, change: Callable[[Any], Any]) -> Change:
    def changed(b: BlockSpec) -> BlockSpec:
        return replace(b, **{part: change(getattr(b, part))})

    return lambda spec: replace(spec, blocks=tuple(changed(b) for b in spec.blocks))


def attention(change: Callable[[AttentionSpec], AttentionSpec]) -> Change:
    return _inside("attention", change)


def mlp(**changes: Any) -> Change:
    return _inside("feed_forward", lambda m: replace(m, **changes))


def rope(**changes: Any) -> Change:
    return attention(lambda a: replace(a, rope=replace(a.rope, **changes)))


def window(by: int) -> Change:
    def change(a: AttentionSpec) -> AttentionSpec:
        return replace(a, mask=MaskSpec("window", a.mask.size + by)) if a.mask.kind == "window" else a

    return attention(change)


def whole(**changes: Any) -> Change:
    return lambda spec: replace(spec, **changes)


def swap_thetas(spec: ModelSpec) -> ModelSpec:
    thetas = {b.attention.rope.theta for b in spec.blocks if b.attention.rope}
    (low, high) = sorted(thetas)
    return attention(lambda a: replace(a, rope=replace(a.rope, theta=low + high - a.rope.theta)))(spec)


def router(**changes: Any) -> Change:
    def change(m: Any) -> Any:
        return replace(m, router=replace(m.router, **changes)) if isinstance(m, MoESpec) else m

    return _inside("feed_forward", change)


def _without_magnitude(a: Any) -> Any:
    return replace(a, scale=(a.nope_dim + a.rope.dims) ** -0.5)


def _mscale(a: Any) -> Any:
    return replace(a, rope=replace(a.rope, scaling=replace(a.rope.scaling, mscale=None)))


MUTATIONS: dict[str, dict[str, Change]] = {
    "mla": {
        "rope on a part": attention(lambda a: replace(a, rope=replace(a.rope, theta=10.0))),
        "interleaved rope": rope(style="half"),
        "norm of latents": attention(lambda a: replace(a, latent_norm=NormSpec(1e-6, weighted=False))),
        "attention scale": attention(lambda a: replace(a, scale=a.kv_latent**-0.5)),
    },
    "deepseek3": {
        "correction of the choice": router(choice_bias=False),
        "groups": router(groups=1, groups_kept=1),
        "scale of the weights": router(scale=1.0),
        "renormalised weights": router(renormalise=False),
        "sigmoid": router(score="softmax"),
    },
    "mla-yarn-legacy-gguf": {
        "scaling": rope(scaling=None),
        "magnitude on the scores": attention(_without_magnitude),
        "magnitude taken from cosines": attention(_mscale),
    },
    "mla-biases": {"biases of down and output projections": attention(lambda a: replace(a, bias=False))},
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
}


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
