from __future__ import annotations

import torch
from torch import nn

from limpide.cli.measuring import bytes_per_token, peak_rss_bytes
from limpide.layers.embedding import Embedding
from limpide.layers.linear import Linear
from limpide.layers.moe import MoE
from limpide.layers.spec import MLPSpec, MoESpec, RouterSpec
from limpide.layers.weights import Weights
from limpide.quant import QuantStack, QuantTensor, get_format

Q8 = get_format("Q8_0")


class Net(nn.Module):
    """An embedding [10, 32], one float32 matrix [4, 32] with a bias, and an output matrix [10, 32]."""

    def __init__(self, embedding: torch.Tensor | QuantTensor, head: torch.Tensor | QuantTensor, *, tied: bool) -> None:
        super().__init__()
        self.embed = Embedding(Weights({"weight": embedding}))
        self.hidden = Linear(Weights({"weight": torch.zeros(4, 32), "bias": torch.zeros(4)}), bias=True)
        self.head = Linear(Weights({"weight": head}))
        if tied:
            self.head.weight = self.embed.weight


HIDDEN = 4 * 32 * 4 + 4 * 4


def quant() -> QuantTensor:
    return QuantTensor(Q8, (10, 32), torch.zeros(10, Q8.row_bytes(32), dtype=torch.uint8))


def test_an_untied_embedding_is_a_lookup() -> None:
    net = Net(torch.zeros(10, 32), torch.zeros(10, 32), tied=False)
    assert bytes_per_token(net) == HIDDEN + 10 * 32 * 4


def test_a_tied_embedding_counts_once_as_output() -> None:
    net = Net(torch.zeros(10, 32), torch.zeros(10, 32), tied=True)
    assert bytes_per_token(net) == HIDDEN + 10 * 32 * 4


def test_stored_blocks_count_as_stored() -> None:
    stored = quant()
    assert bytes_per_token(Net(stored, stored, tied=True)) == HIDDEN + 10 * 34
    assert bytes_per_token(Net(quant(), quant(), tied=False)) == HIDDEN + 10 * 34


def test_experts_count_by_the_share_that_is_chosen() -> None:
    """Three of twelve, stored as blocks or expanded; the router is read whole."""
    spec = MoESpec(RouterSpec(12, 3), MLPSpec(32))
    router = torch.zeros(12, 32)
    for bytes_each, stack in ((32 * 32 * 4, torch.zeros(12, 32, 32)), (32 * 34, blocks())):
        weights = {"router.weight": router} | {f"experts.{name}.weight": stack for name in ("gate", "up", "down")}
        assert bytes_per_token(MoE(spec, Weights(weights), 0)) == 12 * 32 * 4 + 3 * 3 * bytes_each


def blocks() -> QuantStack:
    whole = QuantTensor(Q8, (12 * 32, 32), torch.zeros(12 * 32, 34, dtype=torch.uint8))
    return QuantStack.split(whole, (12, 32, 32))


def test_peak_memory_is_in_bytes() -> None:
    assert 10 * 2**20 < peak_rss_bytes() < 2**44
