"""The one forward pass: the same lines generate, score, are looked into and are tuned."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from limpide.kernels.buffers import LastingBuffers
from limpide.layers.block import Block
from limpide.layers.embedding import Embedding
from limpide.layers.fused import FusedStack, normed
from limpide.layers.kv import KVView
from limpide.layers.linear import Linear
from limpide.layers.norm import make_norm
from limpide.layers.per_layer import PerLayerInputs
from limpide.layers.rope import RopeTable
from limpide.layers.step import Step
from limpide.layers.taps import Taps
from limpide.layers.weights import Weights
from limpide.models.spec import ModelSpec


class CausalLM(nn.Module):
    """A decoder-only language model over a flat batch of tokens.

    Gradients are the caller's choice: wrap calls in `torch.inference_mode()` to do without. Building one from `weights`
    copies nothing; names and shapes are those of `limpide.models.parameters`.
    """

    def __init__(self, spec: ModelSpec, weights: Weights) -> None:
        super().__init__()
        self.spec = spec
        self.embed = Embedding(weights.at("embed"), scale=spec.embed_scale)
        self.positions = Embedding(weights.at("positions")) if spec.learned_positions else None
        width, ple = spec.per_layer_embedding, weights.at("per_layer")
        self.per_layer = PerLayerInputs(width, spec.norm, ple, hidden=spec.hidden) if width else None
        blocks = [Block(block, weights.at(f"blocks.{index}"), index) for index, block in enumerate(spec.blocks)]
        self.blocks = nn.ModuleList(blocks)
        self.norm = make_norm(spec.norm, weights.at("norm"))
        self.lm_head = Linear(weights.at("embed" if spec.tied else "lm_head"))
        if spec.tied:
            self.lm_head.weight = self.embed.weight
        ropes = {block.attention.rope for block in spec.blocks if block.attention.rope is not None}
        self._stack = FusedStack.of(blocks)
        self._lasting = LastingBuffers()
        self._ropes = {rope: RopeTable(rope) for rope in ropes}

    def forward(
        self, tokens: Tensor, positions: Tensor, kv: KVView, rows: Tensor | None = None, *, taps: Taps | None = None
    ) -> Tensor:
        """One step over the tokens of any number of sequences.

        `tokens` and `positions` are int64 [T], grouped by sequence as `kv.query_starts` says; keys and values are
        written to `kv`. `rows`, int64 [R], numbers the tokens whose result is wanted. Returns float32 [R, hidden] after
        the final norm, or [T, hidden] without `rows`.
        """
        if taps is not None:
            taps.check(len(self.blocks))
        starts, lengths = kv.query_starts, kv.kv_lengths
        rotations = {spec: table.rotation(positions, starts, lengths) for spec, table in self._ropes.items()}
        step = Step(kv, rotations, taps, self._lasting.at(tokens.shape[0]) if self._stack is not None else None)
        x: Tensor = self.embed(tokens)
        if self.positions is not None:
            x = x + self.positions(positions)
        if self.per_layer is not None:
            step.per_layer = self.per_layer(tokens, x)
        if taps is not None:
            x = taps("embed", x)
        if step.fused and self._stack is not None:
            return normed(self.norm, self._stack(x, step, rows))
        for block in self.blocks:
            x = block(x, step)
        x = self.norm(x if rows is None else x[rows])
        return x if taps is None else taps("norm", x)

    def settle(self, context: int) -> None:
        """Say once how long sequences can become, which LongRoPE has to know.

        Without it the choice between its two sets of frequencies follows each sequence's length, as in one pass over a
        whole text. Keys in a cache can't be turned again when their sequence outgrows the first set, or is shared.
        """
        for table in self._ropes.values():
            table.settle(context)

    def logits(self, hidden: Tensor, *, taps: Taps | None = None) -> Tensor:
        """Scores of every token of the vocabulary: rows [R, hidden] of `forward` to float32 [R, vocab]."""
        scores: Tensor = self.lm_head(hidden)
        if self.spec.logit_scale != 1.0:
            scores = scores * self.spec.logit_scale
        if self.spec.final_softcap is not None:
            scores = torch.tanh(scores / self.spec.final_softcap) * self.spec.final_softcap
        return scores if taps is None else taps("logits", scores)
