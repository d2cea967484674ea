"""One frozen description of a decoder block. A model family is a declaration in these terms.

Each field is a switch that some family needs. A family reader sets what its checkpoint asks for; a value that the
layers don't compute is refused here, when the description is made, so that nothing asked for is ever ignored. Fields
marked "declared" are refused unless they have their default: they show where the layers will grow.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Literal, get_args

from limpide.core.errors import UnsupportedConfig

Activation = Literal["silu", "gelu", "gelu_tanh", "relu"]
RUN = 16
"""Positions that a recurrent layer computes together; runs begin at multiples of it."""
MAX_EXPERTS = 1024
"""Of one layer. Bounded: names of each one's tensors are made before the weights are looked at."""
ACTIVATIONS: tuple[Activation, ...] = ("silu", "gelu", "gelu_tanh", "relu")


def require(condition: bool, switch: str, value: object, expected: str) -> None:
    """Refuse a switch's value by name. Raises UnsupportedConfig unless `condition` holds."""
    if not condition:
        raise UnsupportedConfig(f"{switch} = {value!r} can't be computed", expected=expected)


def _positive(name: str, spec: object, *fields: str) -> None:
    for field_name in fields:
        value = getattr(spec, field_name)
        require(value > 0, f"{name}.{field_name}", value, "a number above zero")


def _declared(switch: str, value: object, default: object = None) -> None:
    require(value == default, switch, value, f"{default!r}: nothing else is computed yet")


def _one_of(switch: str, value: str, allowed: Collection[str]) -> None:
    require(value in allowed, switch, value, " or ".join(allowed))


@dataclass(frozen=True, slots=True)
class NormSpec:
    """A normalisation. An offset that a family adds to stored weights is folded in by the loader, so it is not here."""

    eps: float
    kind: Literal["rms", "layer"] = "rms"
    mul_in_fp32: bool = False
    """Multiply by the weight before rounding to the activations' type (Gemma), not after (Llama)."""
    bias: bool = False
    weighted: bool = True
    """False: only normalise, there is no weight in the checkpoint."""

    def __post_init__(self) -> None:
        _one_of("norm.kind", self.kind, ("rms", "layer"))
        require(self.weighted or not self.bias, "norm.bias", self.bias, "no bias where there is no weight")
        require(0.0 <= self.eps < 1.0, "norm.eps", self.eps, "a small number, zero or above")
        require(self.kind == "layer" or not self.bias, "norm.bias", self.bias, "a bias in layer norms only")


@dataclass(frozen=True, slots=True)
class LinearScaling:
    """Positions divided by `factor` (position interpolation, arXiv:2306.15595)."""

    factor: float

    def __post_init__(self) -> None:
        _positive("rope.scaling", self, "factor")


@dataclass(frozen=True, slots=True)
class Llama3Scaling:
    """Low frequencies slowed by `factor`, high ones kept, a smooth blend between (Llama 3.1)."""

    factor: float
    low_freq_factor: float
    high_freq_factor: float
    original_context: int

    def __post_init__(self) -> None:
        _positive("rope.scaling", self, "factor", "low_freq_factor", "high_freq_factor", "original_context")


@dataclass(frozen=True, slots=True)
class YarnScaling:
    """YaRN (arXiv:2309.00071). `attention_factor` None is computed as the paper says, or from the mscale pair."""

    factor: float
    original_context: int
    beta_fast: float = 32.0
    beta_slow: float = 1.0
    attention_factor: float | None = None
    mscale: float | None = None
    mscale_all_dim: float | None = None
    truncate: bool = True

    def __post_init__(self) -> None:
        _positive("rope.scaling", self, "factor", "original_context", "beta_fast", "beta_slow")


@dataclass(frozen=True, slots=True)
class LongRopeScaling:
    """LongRoPE (arXiv:2402.13753): one divisor per frequency, one set for short and one for long sequences."""

    short_factor: tuple[float, ...]
    long_factor: tuple[float, ...]
    original_context: int
    factor: float
    """Extended context over original context."""
    attention_factor: float | None = None

    def __post_init__(self) -> None:
        _positive("rope.scaling", self, "factor")
        require(self.original_context > 1, "rope.scaling.original_context", self.original_context, "above one")


@dataclass(frozen=True, slots=True)
class DivisorScaling:
    """One divisor per frequency, as GGUF files carry them in `rope_freqs.weight`."""

    divisors: tuple[float, ...]


RopeScaling = LinearScaling | Llama3Scaling | YarnScaling | LongRopeScaling | DivisorScaling


@dataclass(frozen=True, slots=True)
class RopeSpec:
    """Rotary positions (arXiv:2104.09864) on the first `dims` of each head."""

    theta: float
    dims: int
    style: Literal["half", "interleaved"] = "half"
    """Pairs are (i, i + dims/2), or (2i, 2i + 1)."""
    scaling: RopeScaling | None = None

    def __post_init__(self) -> None:
        _one_of("rope.style", self.style, ("half", "interleaved"))
        require(self.theta > 1, "rope.theta", self.theta, "a number above one")
        require(self.dims > 0 and self.dims % 2 == 0, "rope.dims", self.dims, "an even number above zero")
        for name in ("divisors", "short_factor", "long_factor"):
            factors = getattr(self.scaling, name, None)
            ok = factors is None or (len(factors) == self.dims // 2 and all(f > 0 for f in factors))
            require(ok, f"rope.scaling.{name}", factors, f"{self.dims // 2} numbers above zero")


@dataclass(frozen=True, slots=True)
class MaskSpec:
    """Which earlier keys a query sees: all, the last `size` (itself included), or those of its own chunk of `size`."""

    kind: Literal["full", "window", "chunk"] = "full"
    size: int = 0

    def __post_init__(self) -> None:
        _one_of("mask.kind", self.kind, ("full", "window", "chunk"))
        require(
            (self.size > 0) == (self.kind != "full"),
            "mask.size",
            self.size,
            "above zero for a window or a chunk, else 0",
        )


@dataclass(frozen=True, slots=True)
class QueryTemperature:
    """Queries grow with their position: times 1 + beta · ln(1 + ⌊(position + offset) / period⌋)."""

    beta: float
    period: int
    offset: int = 0

    def __post_init__(self) -> None:
        _positive("attention.q_temperature", self, "period")
        require(self.offset >= 0, "attention.q_temperature.offset", self.offset, "zero or above")


@dataclass(frozen=True, slots=True)
class AttentionSpec:
    """Grouped-query attention. Latent attention and state-space mixers are specs of their own beside this one."""

    heads: int
    kv_heads: int
    head_dim: int
    scale: float
    """What queries times keys are multiplied by, usually 1/√head_dim."""
    rope: RopeSpec | None = None
    """None: this layer has no positions of its own."""
    mask: MaskSpec = field(default_factory=MaskSpec)
    qk_norm: NormSpec | None = None
    """Norm of each head's queries and keys."""
    qk_norm_after_rope: bool = False
    v_norm: NormSpec | None = None
    """Norm of each head's values."""
    softcap: float | None = None
    """Scores become softcap · tanh(scores / softcap) before the mask."""
    sinks: bool = False
    """One learned logit per head that takes part in the softmax and is then dropped."""
    qkv_bias: bool = False
    out_bias: bool = False
    q_temperature: QueryTemperature | None = None
    """What queries are multiplied by after rope (Llama 4, Ministral 3)."""
    kv_source_layer: int | None = None
    """Attend to the keys and values of this earlier layer; the layer has none of its own (Gemma 4)."""
    out_gate: bool = False
    """Each head's queries are projected together with a gate, whose sigmoid multiplies the head's result."""
    k_eq_v: bool = False
    """Values are the keys as projected, before their norm and rope (Gemma 4)."""

    def __post_init__(self) -> None:
        source = self.kv_source_layer
        require(source is None or source >= 0, "attention.kv_source_layer", source, "a layer's number")
        ok = self.heads > 0 and self.kv_heads > 0 and self.head_dim > 0 and self.heads % self.kv_heads == 0
        shape = (self.heads, self.kv_heads, self.head_dim)
        require(ok, "attention heads, kv_heads, head_dim", shape, "above zero, heads a multiple of kv_heads")
        require(self.softcap is None or self.softcap > 0, "attention.softcap", self.softcap, "a number above zero")
        if self.rope is not None:
            require(self.rope.dims <= self.head_dim, "rope.dims", self.rope.dims, f"at most head_dim {self.head_dim}")


@dataclass(frozen=True, slots=True)
class LatentAttentionSpec:
    """Multi-head latent attention (DeepSeek-V2, arXiv:2405.04434).

    Keys and values of all heads are made from one latent vector per token, and only that is kept, beside one key part
    with positions that all heads share. To the cache it is one key of `kv_latent` + rope dims, and no value.
    """

    heads: int
    kv_latent: int
    """Width of what keys and values are made of."""
    nope_dim: int
    """Width of a head's queries and keys without positions."""
    value_dim: int
    """Width of a head's values."""
    scale: float
    rope: RopeSpec
    """On the part with positions, which is `rope.dims` wide."""
    latent_norm: NormSpec
    q_latent: int | None = None
    """Width of what queries are made of; None: they are projected at once."""
    mask: MaskSpec = field(default_factory=MaskSpec)
    bias: bool = False
    """On the projections down to the latents and on the output projection."""
    q_temperature: QueryTemperature | None = None
    """What queries are multiplied by after rope (Mistral 4)."""
    joint_up: bool = True
    """One matrix for the keys and values of all heads. False: two, per head, and the keys' is transposed."""

    def __post_init__(self) -> None:
        _positive("attention", self, "heads", "kv_latent", "nope_dim", "value_dim")
        require(self.q_latent is None or self.q_latent > 0, "attention.q_latent", self.q_latent, "above zero, or None")

    @property
    def kv_heads(self) -> int:
        """All heads share what is kept of a token."""
        return 1

    @property
    def head_dim(self) -> int:
        """Width of what is kept of a token."""
        return self.kv_latent + self.rope.dims

    @property
    def softcap(self) -> None:
        """Scores are taken as they are."""
        return None


@dataclass(frozen=True, slots=True)
class Mamba2Spec:
    """A selective state space (Mamba-2, arXiv:2405.21060): each head keeps head_dim × state numbers."""

    heads: int
    head_dim: int
    groups: int
    """Heads of a group share what is written to the state and how it is read."""
    state: int
    kernel: int
    """Tokens that the convolution before it sees."""
    norm: NormSpec
    """Of the gated result, per group."""
    bias: bool = False
    """On the input and output projections."""
    conv_bias: bool = True
    rope: None = None

    def __post_init__(self) -> None:
        _positive("mamba", self, "heads", "head_dim", "groups", "state")
        require(self.heads % self.groups == 0, "mamba.groups", self.groups, f"a divisor of {self.heads} heads")
        require(self.kernel > 1, "mamba.kernel", self.kernel, "two tokens or more")

    @property
    def inner(self) -> int:
        """Width of all heads together."""
        return self.heads * self.head_dim

    @property
    def channels(self) -> int:
        """Width of what the convolution works on: the heads' input, what is written, how it is read."""
        return self.inner + 2 * self.groups * self.state

    @property
    def state_shapes(self) -> tuple[tuple[int, ...], ...]:
        """Inputs of the convolution, inputs of an unfinished run, and the state itself."""
        rows = self.channels + self.heads
        return (self.kernel - 1, self.channels), (RUN, rows), (self.heads, self.head_dim, self.state)


@dataclass(frozen=True, slots=True)
class DeltaNetSpec:
    """Linear attention by the gated delta rule (arXiv:2412.06464): each head keeps a key_dim × value_dim matrix."""

    key_heads: int
    value_heads: int
    key_dim: int
    value_dim: int
    kernel: int
    """Tokens that the convolution before it sees."""
    norm: NormSpec
    """Of each head's result, before its gate."""
    tiled: bool = False
    """Value head v uses key head v mod key_heads, as some files are ordered; else neighbours share a key head."""
    rope: None = None

    def __post_init__(self) -> None:
        _positive("deltanet", self, "key_heads", "value_heads", "key_dim", "value_dim")
        shared = self.value_heads % self.key_heads == 0
        require(shared, "deltanet.value_heads", self.value_heads, f"a multiple of {self.key_heads} key heads")
        require(self.kernel > 1, "deltanet.kernel", self.kernel, "two tokens or more")

    @property
    def channels(self) -> int:
        """Width of what the convolution works on: queries, keys and values."""
        return 2 * self.key_heads * self.key_dim + self.value_heads * self.value_dim

    @property
    def state_shapes(self) -> tuple[tuple[int, ...], ...]:
        """Inputs of the convolution, inputs of an unfinished run, and the state itself."""
        rows = self.channels + 2 * self.value_heads
        return (self.kernel - 1, self.channels), (RUN, rows), (self.value_heads, self.key_dim, self.value_dim)


RECURRENT = (Mamba2Spec, DeltaNetSpec)
"""Layers that carry a state along a sequence and keep nothing of single tokens."""
MixerSpec = AttentionSpec | LatentAttentionSpec | Mamba2Spec | DeltaNetSpec
"""What lets a token see those before it."""


@dataclass(frozen=True, slots=True)
class GateClamp:
    """gpt-oss: gate = min(g, limit), up = clamp(u, ±limit), neurons = (up + 1) · gate · sigmoid(alpha · gate)."""

    alpha: float
    limit: float

    def __post_init__(self) -> None:
        _positive("mlp.clamp", self, "alpha", "limit")


@dataclass(frozen=True, slots=True)
class MLPSpec:
    """Two matrices and an activation, or three with a gate: down(act(gate(x)) · up(x))."""

    width: int
    activation: Activation = "silu"
    gated: bool = True
    bias: bool = False
    clamp: GateClamp | None = None
    """Takes the activation's place."""

    def __post_init__(self) -> None:
        require(self.clamp is None or self.gated, "mlp.clamp", self.clamp, "a clamp in gated MLPs only")
        _one_of("mlp.activation", self.activation, ACTIVATIONS)
        require(self.width > 0, "mlp.width", self.width, "above zero")


@dataclass(frozen=True, slots=True)
class RouterSpec:
    """How tokens choose experts: one function of the logits for every family, giving (logits, indices, weights)."""

    experts: int
    chosen: int
    score: Literal["softmax", "sigmoid"] = "softmax"
    order: Literal["topk_then_score", "score_then_topk"] = "score_then_topk"
    renormalise: bool = True
    scale: float = 1.0
    bias: bool = False
    choice_bias: bool = False
    """A correction that takes part in choosing, not in weighing."""
    groups: int = 1
    """Experts come in so many groups; a group's score is the sum of its two best."""
    groups_kept: int = 1
    """Experts are chosen from so many of the best groups."""
    weight_on: Literal["input", "output"] = "output"
    """Whether a weight multiplies what its expert reads or what it gives."""
    norm: NormSpec | None = None
    """The router's own norm of what it reads."""
    input_scale: float = 1.0
    """What the router reads is multiplied by this, after its norm."""
    expert_scale: bool = False
    """Weights are multiplied by a stored number per expert at the end."""

    def __post_init__(self) -> None:
        _one_of("router.score", self.score, ("softmax", "sigmoid"))
        _one_of("router.order", self.order, ("topk_then_score", "score_then_topk"))
        _one_of("router.weight_on", self.weight_on, ("input", "output"))
        _positive("router", self, "scale", "input_scale")
        require(0 < self.experts <= MAX_EXPERTS, "router.experts", self.experts, f"1 to {MAX_EXPERTS} experts")
        group_size = self.experts // self.groups if self.groups > 0 else 0
        even = self.groups == 1 or (group_size > 1 and group_size * self.groups == self.experts)
        require(even, "router.groups", self.groups, f"a divisor of {self.experts} with two experts or more to a group")
        require(0 < self.groups_kept <= self.groups, "router.groups_kept", self.groups_kept, f"1 to {self.groups}")
        candidates = self.groups_kept * group_size
        require(0 < self.chosen <= candidates, "router.chosen", self.chosen, f"1 to {candidates} experts")
        scored = self.order == "score_then_topk" or not (self.choice_bias or self.groups > 1)
        require(scored, "router.order", self.order, "score_then_topk, since scores are corrected or grouped")


@dataclass(frozen=True, slots=True)
class MoESpec:
    """A mixture of experts in the MLP's place."""

    router: RouterSpec
    expert: MLPSpec
    shared: MLPSpec | None = None
    """An expert that every token uses."""
    shared_gate: bool = False
    """The shared expert's output is weighed by a sigmoid of its own."""

    def __post_init__(self) -> None:
        require(self.shared is not None or not self.shared_gate, "moe.shared_gate", self.shared_gate, "a shared expert")


@dataclass(frozen=True, slots=True)
class BlockSpec:
    """One decoder block.

    Modules of other kinds are specs of their own: latent attention, Mamba-2 and gated DeltaNet in the place of
    `attention`, a mixture of experts in that of `feed_forward`.
    """

    attention: MixerSpec
    feed_forward: MLPSpec | MoESpec
    norm: NormSpec
    placement: Literal["pre", "sandwich"] = "pre"
    """Norm before each sublayer, or before and after."""
    residual_scale: float = 1.0
    """What each sublayer's output is multiplied by before it joins the residual stream."""
    per_layer_input: int = 0
    """Width of the block's own part of a second embedding, which it mixes in at its end (Gemma 3n, 4). 0: none."""
    experts_beside: MoESpec | None = None
    """A mixture of experts beside the MLP, which reads the residual stream through norms of its own (Gemma 4)."""
    layer_scalar: bool = False
    """The block's result is multiplied by one stored number (Gemma 4)."""

    def __post_init__(self) -> None:
        require(self.per_layer_input >= 0, "block.per_layer_input", self.per_layer_input, "zero or above")
        _one_of("block.placement", self.placement, ("pre", "sandwich"))
        for switch, value, kinds in (
            ("block.attention", self.attention, get_args(MixerSpec)),
            ("block.feed_forward", self.feed_forward, (MLPSpec, MoESpec)),
        ):
            require(isinstance(value, kinds), switch, value, " or ".join(kind.__name__ for kind in kinds))
        beside = self.experts_beside is None or isinstance(self.feed_forward, MLPSpec)
        require(beside, "block.experts_beside", self.experts_beside, "an MLP in feed_forward")

    @property
    def mixture(self) -> MoESpec | None:
        """The block's experts, wherever they are."""
        return self.feed_forward if isinstance(self.feed_forward, MoESpec) else self.experts_beside
