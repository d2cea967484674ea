"""A tiny random transformer, a byte vocabulary and an engine over both."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from limpide.backends.bytes import byte_tokenizer
from limpide.cache import PagedCache, PlainKV
from limpide.engine.engine import Engine
from limpide.layers.spec import (
    AttentionSpec,
    BlockSpec,
    DeltaNetSpec,
    LatentAttentionSpec,
    Mamba2Spec,
    MaskSpec,
    MixerSpec,
    MLPSpec,
    NormSpec,
    RopeSpec,
)
from limpide.layers.weights import Weights
from limpide.models.causal_lm import CausalLM
from limpide.models.parameters import parameters
from limpide.models.spec import ModelSpec

VOCAB = 300
CONTEXT = 512


def tiny_model(seed: int = 0, width: int = 48) -> CausalLM:
    """Three blocks, grouped heads, one of them with a window of 24 positions; sharp, so that greedy texts vary.

    A width that is a multiple of 32, as those of real models are, makes a token's result the same bits in any step:
    torch's vectors leave no rest, which it would compute with another exp.
    """
    norm = NormSpec(eps=1e-6)

    def block(mask: MaskSpec) -> BlockSpec:
        attention = AttentionSpec(
            heads=4, kv_heads=2, head_dim=8, scale=8**-0.5, rope=RopeSpec(theta=100.0, dims=8), mask=mask
        )
        return BlockSpec(attention=attention, feed_forward=MLPSpec(width=width, activation="silu"), norm=norm)

    full = MaskSpec()
    spec = ModelSpec(
        family="toy",
        vocab_size=VOCAB,
        hidden=32,
        context=CONTEXT,
        blocks=(block(full), block(MaskSpec("window", 24)), block(full)),
        norm=norm,
        tied=True,
    )
    generator = torch.Generator().manual_seed(seed)
    weights = {name: torch.randn(shape, generator=generator) * 0.4 for name, shape in parameters(spec).items()}
    return CausalLM(spec, Weights(weights))


class World:
    """Everything that a test of the engine needs."""

    VOCAB = VOCAB
    CONTEXT = CONTEXT

    def __init__(self, model: CausalLM | None = None) -> None:
        self.model = model or tiny_model()
        self.tokenizer = byte_tokenizer(VOCAB)

    def cache(self, num_blocks: int = 256, max_sequences: int = 32) -> PagedCache:
        spec = self.model.spec
        return PagedCache(spec.kv_shapes, num_blocks, max_sequences=max_sequences, states=spec.state_shapes)

    def engine(self, model: Any = None, *, num_blocks: int = 256, **options: Any) -> Engine:
        options.setdefault("context", CONTEXT)
        return Engine(
            model or self.model,
            self.tokenizer,
            self.cache(num_blocks),
            **options,
        )

    def plain_logits(self, tokens: list[int]) -> Tensor:
        """[T, vocab] by one plain forward pass."""
        with torch.inference_mode():
            hidden = self.model(torch.tensor(tokens), torch.arange(len(tokens)), PlainKV([len(tokens)]))
            return self.model.logits(hidden)

    def greedy(self, prompt: list[int], count: int) -> list[int]:
        """Greedy continuation without any cache: one plain pass per token."""
        tokens = list(prompt)
        for _ in range(count):
            tokens.append(int(self.plain_logits(tokens)[-1].argmax()))
            if tokens[-1] in self.tokenizer.eos_ids:
                break
        return tokens[len(prompt) :]


def hybrid_model(seed: int = 0) -> CausalLM:
    """One block of each kind that there is: two recurrent ones, attention with a window, latent attention."""
    norm, rope = NormSpec(eps=1e-6), RopeSpec(theta=100.0, dims=8)
    mixers: tuple[MixerSpec, ...] = (
        Mamba2Spec(heads=4, head_dim=16, groups=2, state=8, kernel=4, norm=norm),
        AttentionSpec(heads=4, kv_heads=2, head_dim=8, scale=0.4, rope=rope, mask=MaskSpec("window", 24)),
        DeltaNetSpec(key_heads=2, value_heads=4, key_dim=8, value_dim=16, kernel=4, norm=norm),
        LatentAttentionSpec(4, kv_latent=16, nope_dim=8, value_dim=8, scale=0.3, rope=rope, latent_norm=norm),
    )
    blocks = tuple(BlockSpec(attention=mixer, feed_forward=MLPSpec(width=48), norm=norm) for mixer in mixers)
    spec = ModelSpec("toy", VOCAB, 32, CONTEXT, blocks=blocks, norm=norm, tied=True)
    generator = torch.Generator().manual_seed(seed)
    weights = {name: torch.randn(shape, generator=generator) * 0.4 for name, shape in parameters(spec).items()}
    weights |= {name: -weight.abs() * 0.1 for name, weight in weights.items() if name.endswith("decay")}
    return CausalLM(spec, Weights(weights))


@pytest.fixture(scope="session")
def hybrid() -> World:
    """As `world`, with layers that carry a state."""
    return World(hybrid_model())


@pytest.fixture(scope="session")
def world() -> World:
    return World()


@pytest.fixture(scope="session")
def even() -> World:
    """As `world`, with results that are the same bits however many tokens share a step."""
    return World(tiny_model(width=64))


@pytest.fixture(scope="session")
def stranger() -> World:
    """As `even`, with other weights."""
    return World(tiny_model(seed=1, width=64))


@pytest.fixture
def engine(world: World) -> Iterator[Engine]:
    engine = world.engine()
    yield engine
    engine.check_integrity()
    engine.close()
    engine.check_integrity()
    assert not engine.cache.leases


@pytest.fixture(scope="session")
def prompts() -> Callable[[int, int], list[int]]:
    """Random prompt of a length, by seed."""

    def make(length: int, seed: int = 0) -> list[int]:
        generator = torch.Generator().manual_seed(seed)
        return torch.randint(0, 256, (length,), generator=generator).tolist()

    return make
