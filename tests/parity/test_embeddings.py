"""Embeddings against the hidden states that transformers gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_models import TINY, make_reference, some_tokens

from limpide.backends.bytes import byte_tokenizer
from limpide.cache import PagedCache
from limpide.core.sampling import Sampling
from limpide.engine.engine import Engine
from limpide.engine.request import EngineRequest
from limpide.formats import open_checkpoint
from limpide.models import CausalLM, load_model

LENGTHS = (1, 17, 40, 23, 5)


@pytest.fixture(scope="module", params=["llama", "gemma3"])
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, CausalLM]:
    [tiny] = [tiny for tiny in TINY if tiny.name == request.param]
    reference = make_reference(tiny)
    folder: Path = tmp_path_factory.mktemp(tiny.name)
    reference.save_pretrained(folder)
    with open_checkpoint(folder) as checkpoint:
        return reference, load_model(checkpoint, numerics="exact")


def engine(model: CausalLM, num_blocks: int = 64, **options: Any) -> Engine:
    spec = model.spec
    cache = PagedCache(spec.kv_shapes, num_blocks, states=spec.state_shapes)
    return Engine(model, byte_tokenizer(), cache, context=64, vocab_size=spec.vocab_size, **options)


def test_it_is_the_mean_of_the_last_hidden_states(made: tuple[Any, CausalLM]) -> None:
    reference, model = made
    texts = [some_tokens(length, length).tolist() for length in LENGTHS]
    vectors = engine(model, token_budget=48).start_embedding(texts).wait()
    for tokens, vector in zip(texts, vectors, strict=True):
        with torch.inference_mode():
            hidden = reference.base_model(torch.tensor([tokens])).last_hidden_state[0]
        mean = hidden.mean(0)
        assert torch.allclose(torch.from_numpy(vector), mean / mean.norm(), atol=1e-5)


def test_company_and_chunks_change_no_bit(made: tuple[Any, CausalLM]) -> None:
    _, model = made
    texts = [some_tokens(length, length).tolist() for length in LENGTHS]
    alone = [engine(model).start_embedding([text]).wait()[0] for text in texts]
    for options in ({}, {"token_budget": 33}, {"num_blocks": 6, "max_batch": 3}):
        shared = engine(model, **options)
        answer = shared.submit(EngineRequest(some_tokens(9, 9).tolist(), Sampling(max_tokens=30, ignore_eos=True)))
        next(answer)
        together = shared.start_embedding(texts).wait()
        assert all((ours == other).all() for ours, other in zip(together, alone, strict=True))
        answer.close()
