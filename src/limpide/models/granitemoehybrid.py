"""Granite 4 without Mamba layers and without experts: Granite 3 under other names."""

from __future__ import annotations

from dataclasses import replace

from limpide.core.errors import UnsupportedConfig
from limpide.formats import Checkpoint
from limpide.models import granite, names
from limpide.models.config import ConfigReader
from limpide.models.family import Family, TensorName, module
from limpide.models.rope_config import hf_rope
from limpide.models.sizes import hf_sizes
from limpide.models.spec import ModelSpec, RopeSpec
from limpide.models.transforms import Rows

_ATTENTION = {"attention", "full_attention"}
_MAMBA = ("chunk_size", "conv_bias", "d_conv", "d_head", "d_state", "expand", "n_groups", "n_heads", "proj_bias")


def from_hf(config: ConfigReader) -> ModelSpec:
    """The description in a Hugging Face config.json."""
    sizes = hf_sizes(config, context=2048)
    sizes = replace(sizes, width=config.integer("shared_intermediate_size", 1024))
    theta, scaling = hf_rope(config, theta=granite.THETA, context=sizes.context)
    _only_attention(config, sizes.layers)
    config.only("hidden_act", ("silu",), "silu")
    config.only("normalization_function", ("rmsnorm",), "rmsnorm")
    rope = RopeSpec(theta, sizes.head_dim, scaling=scaling)
    return granite.dense(
        sizes,
        rope if config.string("position_embedding_type", None) == "rope" else None,
        granite.hf_multipliers(config),
        attention_bias=config.boolean("attention_bias", False),
        mlp_bias=False,
    )


def _only_attention(config: ConfigReader, layers: int) -> None:
    """Refuse what makes a hybrid of it. The settings of layers that it hasn't say nothing."""
    types = config.strings("layer_types") or ("mamba",) * layers
    if len(types) != layers or not set(types) <= _ATTENTION:
        raise config.refusal("layer_types", list(types), f"{layers} times attention: Mamba layers aren't computed yet")
    experts = config.integer("num_local_experts", 8)
    if experts:
        raise config.refusal("num_local_experts", experts, "0: its mixture of experts isn't computed yet")
    config.harmless("num_experts_per_tok", "output_router_logits", "router_aux_loss_coef")
    config.harmless("time_step_limit", "init_method", *(f"mamba_{key}" for key in _MAMBA))


def _from_gguf(config: ConfigReader, checkpoint: Checkpoint) -> ModelSpec:
    raise UnsupportedConfig("a GGUF file of this model has the architecture granite")


def _mlp(ours: str, hf: str, gguf: str, rows: Rows | None = None) -> tuple[TensorName, ...]:
    return module(f"blocks.{{b}}.mlp.{ours}", f"model.layers.{{b}}.shared_mlp.{hf}", gguf, hf_transform=rows)


FAMILY = Family(
    name="granitemoehybrid",
    gguf_architectures=(),
    hf_model_types=("granitemoehybrid",),
    hf_architectures=("GraniteMoeHybridForCausalLM",),
    from_gguf=_from_gguf,
    from_hf=from_hf,
    tensors=(
        *names.OUTER,
        *names.attention(interleaved_gguf=True),
        *_mlp("gate", "input_linear", "blk.{b}.ffn_gate", Rows("gate")),
        *_mlp("up", "input_linear", "blk.{b}.ffn_up", Rows("up")),
        *_mlp("down", "output_linear", "blk.{b}.ffn_down"),
        *names.norms(),
    ),
)
