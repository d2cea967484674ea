"""DeepSeek V3 and R1: latent attention and a mixture of experts after the first layers."""

from __future__ import annotations

from dataclasses import replace

from limpide.formats import Checkpoint
from limpide.models import latent
from limpide.models.config import ConfigReader
from limpide.models.family import Family
from limpide.models.rope_config import gguf_scaling, hf_rope
from limpide.models.spec import ModelSpec, RopeScaling, YarnScaling


def from_hf(config: ConfigReader) -> ModelSpec:
    """The description in a Hugging Face config.json."""
    theta, scaling = hf_rope(config, theta=10000.0, context=config.integer("max_position_embeddings", 4096))
    config.only("topk_method", ("noaux_tc",), "noaux_tc")
    config.only("num_nextn_predict_layers", (0, 1), "0 or 1: one layer that is left out")
    attention = latent.hf_attention(config, theta, scaling)
    return latent.hf_model("deepseek3", config, attention, score="sigmoid", choice_bias=True)


def from_gguf(config: ConfigReader, checkpoint: Checkpoint) -> ModelSpec:
    """The description in GGUF metadata."""
    scaling = gguf_scaling(config, checkpoint, context=config.integer("context_length"))
    attention = latent.gguf_attention(config, checkpoint, _with_magnitude(config, scaling))
    return latent.gguf_model("deepseek3", config, checkpoint, attention, score="sigmoid")


def _with_magnitude(config: ConfigReader, scaling: RopeScaling | None) -> RopeScaling | None:
    """YaRN with its magnitude on the scores alone: files hold a tenth of `mscale_all_dim`, and no `mscale`."""
    if not isinstance(scaling, YarnScaling):
        config.only("rope.scaling.yarn_log_multiplier", (), "nothing, without YaRN")
        return scaling
    magnitude = config.positive("rope.scaling.yarn_log_multiplier") * 10
    return replace(scaling, mscale=magnitude, mscale_all_dim=magnitude)


FAMILY = Family(
    name="deepseek3",
    gguf_architectures=("deepseek2",),
    hf_model_types=("deepseek_v3",),
    hf_architectures=("DeepseekV3ForCausalLM",),
    from_gguf=from_gguf,
    from_hf=from_hf,
    tensors=latent.TENSORS,
    unused_tensors=("model.layers.{n}.*", "model.layers.*.self_attn.rotary_emb.inv_freq"),
)
