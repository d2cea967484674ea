"""One frozen description of a decoder block. A model family is a declaration in these terms.

Each field is a switch that some family needs. A family reader sets what its checkpoint asks for; a value that the
layers don't compute is refused here, when the description is made, so that nothing asked for is ever ignored.
"""

from limpide.layers.spec.attention import AttentionSpec, MaskSpec, QueryTemperature
from limpide.layers.spec.block import BlockSpec, MixerSpec
from limpide.layers.spec.checks import require
from limpide.layers.spec.latent import LatentAttentionSpec
from limpide.layers.spec.mlp import ACTIVATIONS, Activation, GateClamp, MLPSpec
from limpide.layers.spec.moe import MAX_EXPERTS, MoESpec, RouterSpec
from limpide.layers.spec.norm import NormSpec
from limpide.layers.spec.recurrent import RECURRENT, RUN, DeltaNetSpec, Mamba2Spec
from limpide.layers.spec.rope import (
    DivisorScaling,
    LinearScaling,
    Llama3Scaling,
    LongRopeScaling,
    RopeScaling,
    RopeSpec,
    YarnScaling,
)

__all__ = [
    "ACTIVATIONS",
    "MAX_EXPERTS",
    "RECURRENT",
    "RUN",
    "Activation",
    "AttentionSpec",
    "BlockSpec",
    "DeltaNetSpec",
    "DivisorScaling",
    "GateClamp",
    "LatentAttentionSpec",
    "LinearScaling",
    "Llama3Scaling",
    "LongRopeScaling",
    "MLPSpec",
    "Mamba2Spec",
    "MaskSpec",
    "MixerSpec",
    "MoESpec",
    "NormSpec",
    "QueryTemperature",
    "RopeScaling",
    "RopeSpec",
    "RouterSpec",
    "YarnScaling",
    "require",
]
