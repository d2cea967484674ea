"""Model families as declarations, and the one forward pass that computes them all."""

from limpide.layers.kv import KVView, Pages
from limpide.layers.taps import Taps
from limpide.models.causal_lm import CausalLM
from limpide.models.loader import load_model
from limpide.models.spec import BlockSpec, ModelSpec

__all__ = ["BlockSpec", "CausalLM", "KVView", "ModelSpec", "Pages", "Taps", "load_model"]
