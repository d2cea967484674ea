"""The two real models in exact numerics against transformers on the same dequantized weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from real_models import GREEDY, PROMPTS, greedy, reference_logits, reference_model
from torch import Tensor

from limpide.cache import PlainKV
from limpide.engine.walk import Layout, Walk
from limpide.formats import open_checkpoint
from limpide.models import CausalLM, load_model
from limpide.text import Tokenizer

pytestmark = pytest.mark.timeout(900)  # a minute on two idle cores, many on busy ones

TOLERANCE = 1e-3
KEPT = 3
"""Sequences whose logits are compared after each step of cached decoding, not only their best tokens."""


@dataclass(frozen=True)
class Pair:
    prompts: list[Tensor]
    ours: CausalLM
    reference: Any


@pytest.fixture(scope="module", params=["smollm2_path", "gemma3_path"])
def pair(request: pytest.FixtureRequest) -> Pair:
    path: Path = request.getfixturevalue(request.param)
    with open_checkpoint(path) as checkpoint:
        tokenizer = Tokenizer.from_gguf(checkpoint.config)
        prompts = [torch.tensor(tokenizer.encode(text, bos=tokenizer.add_bos)) for text in PROMPTS]
        return Pair(prompts, load_model(checkpoint, numerics="exact"), reference_model(path))


def test_cached_decoding_gives_the_same_greedy_tokens(pair: Pair) -> None:
    """If the reference's best token after each prefix is ours, it would have generated the same tokens."""
    with torch.inference_mode():
        sequences, logits = greedy(pair.ours, pair.prompts, GREEDY, KEPT)
        expected = reference_logits(pair.reference, sequences, GREEDY)
    for tokens, prompt, rows in zip(sequences, pair.prompts, expected, strict=True):
        assert len(tokens) == len(prompt) + GREEDY
        assert torch.equal(rows.argmax(-1), tokens[len(prompt) :])
    for ours, rows in zip(logits, expected, strict=False):
        assert float((ours - rows).abs().max()) < TOLERANCE


def test_a_text_longer_than_the_window_agrees(pair: Pair) -> None:
    tokens = torch.cat(pair.prompts * 3)[:640]
    masks = {block.attention.mask for block in pair.ours.spec.blocks}
    assert all(mask.size < len(tokens) for mask in masks)
    assert len(tokens) == 640
    with torch.inference_mode():
        ours = pair.ours(tokens, torch.arange(640), PlainKV([640]))
        expected = pair.reference.model(tokens[None]).last_hidden_state[0]
        rows = torch.arange(1, 640, 3)
        difference = pair.ours.logits(ours[rows]) - pair.reference.lm_head(expected[rows])
    assert float(difference.abs().max()) < TOLERANCE


def test_a_run_that_shares_prefixes_has_the_reference_likelihoods(pair: Pair) -> None:
    """Questions after shared examples, choices after shared questions, in a cache that holds little more than one."""
    examples = torch.cat(pair.prompts[1:4]).tolist()
    texts = []
    for question in pair.prompts[4:6]:
        context = examples + question.tolist()
        texts += [(context + choice.tolist(), len(context)) for choice in pair.prompts[18:20]]
    longest = max(len(tokens) for tokens, _ in texts)
    run = Walk(pair.ours, texts, Layout(pair.ours.spec.kv_shapes, torch.float32, longest + 32))
    assert run.work.unique_tokens < 0.6 * run.work.tokens
    for index, scored in run:
        tokens, start = texts[index]
        with torch.inference_mode():
            rows = torch.log_softmax(pair.reference(torch.tensor([tokens])).logits[0, start - 1 : -1], -1)
        expected = [float(row[token]) for row, token in zip(rows, tokens[start:], strict=True)]
        assert scored.logprobs == pytest.approx(expected, abs=TOLERANCE)
        assert scored.greedy == (rows.argmax(-1).tolist() == tokens[start:])
