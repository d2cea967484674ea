"""llama.cpp reads our tiny GGUF files and gives the same probabilities.

So names, permutations and constants are held by somebody else's reader, not only by ours and our writer's. Set
LIMPIDE_PEER_PYTHON to a Python that has the `xllamacpp` wheel (`python -m venv peers && peers/bin/pip install
xllamacpp`); without it these tests are skipped.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import gguf
import pytest
import torch
from mutations import Change, attention
from tiny_models import TINY, Tiny, make_reference, plain_logits, some_tokens, write_gguf

from limpide.formats import open_checkpoint
from limpide.layers.weights import Weights
from limpide.models import CausalLM
from limpide.models.loader import load_weights
from limpide.models.registry import read_spec
from limpide.models.spec import MaskSpec

PEER = os.environ.get("LIMPIDE_PEER_PYTHON")
WORKER = Path(__file__).with_name("llama_cpp_worker.py")
TOLERANCE = 1e-4
HALF_TABLES = 2e-2
"""llama.cpp looks GELU up in a table of half precision."""
VOCABULARY = 96

UNREADABLE = {
    "mixtral-legacy-gguf": "newer versions no longer read a tensor per expert",
    "mixtral-fused-gguf": "gate and up in one tensor are for newer architectures only",
    "gemma3-softcap": "it knows no biases there",
    "mla-biases": "it knows no biases there",
    "mla-direct-queries": "it wants a latent for queries",
    "granite4-hybrid": "it wants larger sizes",
    "granite4-hybrid-experts": "it knows no biases there",
    "qwen3.5-experts": "it knows no biases there",
}


def scaling(change: Callable[[Any], Any]) -> Change:
    return attention(lambda a: replace(a, rope=replace(a.rope, scaling=change(a.rope.scaling))))


DIFFERENT: dict[str, Change] = {
    # GGUF has no way to say that YaRN's range isn't rounded.
    "gpt-oss": scaling(lambda s: replace(s, truncate=True)),
    # Files don't state the temperature of queries; the reference has one by default, it has none.
    "mistral4": attention(lambda a: replace(a, q_temperature=None)),
    # It leaves out Phi-3's window.
    "phi3": attention(lambda a: replace(a, mask=MaskSpec())),
    # It chooses by how long the text may become, not by how long it is.
    "phi3-short": scaling(lambda s: replace(s, short_factor=s.long_factor)),
}
"""What llama.cpp computes otherwise than the reference, and we as the reference does."""


@pytest.fixture
def _with_tokenizer(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reader wants words for its numbers."""
    write = gguf.GGUFWriter.write_header_to_file

    def with_words(writer: gguf.GGUFWriter, *arguments: Any) -> None:
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre("gpt-2")
        writer.add_token_list([chr(0x21 + index) if index < 94 else f"<{index}>" for index in range(VOCABULARY)])
        writer.add_token_types([1] * 94 + [3, 3])
        writer.add_token_merges(['! "'])
        writer.add_eos_token_id(95)
        writer.add_add_bos_token(False)
        write(writer, *arguments)

    monkeypatch.setattr(gguf.GGUFWriter, "write_header_to_file", with_words)


@pytest.mark.skipif(PEER is None, reason="LIMPIDE_PEER_PYTHON names no Python with xllamacpp")
@pytest.mark.usefixtures("_with_tokenizer")
@pytest.mark.parametrize("tiny", [tiny for tiny in TINY if tiny.gguf is not None], ids=lambda tiny: tiny.name)
def test_probabilities_agree(tiny: Tiny, tmp_path: Path) -> None:
    if tiny.name in UNREADABLE:
        pytest.skip(UNREADABLE[tiny.name])
    path, tokens = tmp_path / "m.gguf", some_tokens(24) % 94
    write_gguf(tiny, make_reference(tiny), path)
    with open_checkpoint(path) as checkpoint:
        family, spec = read_spec(checkpoint)
        weights = Weights(load_weights(checkpoint, family, spec, "exact"))
    spec = DIFFERENT.get(tiny.name, lambda same: same)(spec)
    ours = plain_logits(CausalLM(spec, weights), tokens)[-1].log_softmax(-1)
    done = subprocess.run(
        [str(PEER), str(WORKER), json.dumps(tokens.tolist()), str(path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    said = json.loads(done.stdout)
    assert len(said) == VOCABULARY
    theirs = torch.tensor([said[str(token)] for token in range(VOCABULARY)])
    gelu = any(getattr(block.feed_forward, "activation", "silu").startswith("gelu") for block in spec.blocks)
    assert float((ours - theirs).abs().max()) < (HALF_TABLES if gelu else TOLERANCE)
