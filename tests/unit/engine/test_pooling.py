"""Embeddings through the scheduler: chunks, company, shared prefixes and preemption change nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from limpide.cache import PlainKV
from limpide.core.errors import ContextExceeded, EmptyPrompt, InvalidParameter
from limpide.core.sampling import Sampling
from limpide.engine.engine import Engine
from limpide.engine.request import EngineRequest

Prompts = Callable[[int, int], list[int]]


def plain(world: Any, tokens: list[int]) -> np.ndarray:
    """By one plain pass over the whole text."""
    with torch.inference_mode():
        hidden = world.model(torch.tensor(tokens), torch.arange(len(tokens)), PlainKV([len(tokens)]))
    mean = hidden.double().mean(0)
    return (mean / mean.norm()).float().numpy()


def embed(engine: Engine, *texts: list[int]) -> list[np.ndarray]:
    return engine.start_embedding(texts).wait()


@pytest.mark.parametrize("length", [1, 16, 70])
def test_it_is_the_mean_of_the_final_hidden_states(world: Any, engine: Engine, prompts: Prompts, length: int) -> None:
    [vector] = embed(engine, prompts(length, 1))
    np.testing.assert_allclose(vector, plain(world, prompts(length, 1)), atol=1e-6)
    assert vector.dtype == np.float32
    assert np.linalg.norm(vector) == pytest.approx(1)
    last = world.model(torch.tensor(prompts(70, 1)), torch.arange(70), PlainKV([70]))[-1].detach().numpy()
    assert length == 1 or not np.allclose(vector, last / np.linalg.norm(last), atol=0.1), "not the last one alone"


@pytest.mark.parametrize("kind", ["world", "hybrid"])
def test_company_chunks_and_a_small_cache_change_no_bit(
    kind: str, request: pytest.FixtureRequest, prompts: Prompts
) -> None:
    world = request.getfixturevalue(kind)
    texts = [prompts(10 + 17 * number, number) for number in range(5)]
    alone = [embed(world.engine(), text)[0] for text in texts]
    for options in ({}, {"token_budget": 48}, {"num_blocks": 10, "max_batch": 4}):
        engine = world.engine(**options)
        answer = engine.submit(EngineRequest(prompts(30, 9), Sampling(max_tokens=60, ignore_eos=True)))
        next(answer)
        together = embed(engine, *texts)
        assert all(np.allclose(ours, other, atol=1e-7) for ours, other in zip(together, alone, strict=True))
        answer.close()
        engine.check_integrity()


def test_a_cached_prefix_is_computed_again(engine: Engine, prompts: Prompts) -> None:
    text = prompts(70, 3)
    before = engine.counters.tokens["prompt"]
    list(engine.submit(EngineRequest(text, Sampling(max_tokens=1))))
    [first], [again] = embed(engine, text), embed(engine, text)
    assert (first == again).all()
    assert engine.counters.tokens["prompt"] - before == 3 * 70
    assert engine.counters.tokens["cached"] == 0


def test_equal_texts_do_not_wait_for_one_another(engine: Engine, prompts: Prompts) -> None:
    before = engine.counters.steps
    vectors = embed(engine, *[prompts(40, 4)] * 8)
    assert engine.counters.steps - before == 1
    assert all((vector == vectors[0]).all() for vector in vectors)


def test_an_embedding_that_is_preempted_begins_anew(world: Any, prompts: Prompts) -> None:
    engine = world.engine(num_blocks=8, token_budget=48)
    [alone] = embed(world.engine(), prompts(100, 5))
    answer = engine.submit(EngineRequest(prompts(20, 6), Sampling(max_tokens=80, ignore_eos=True)))
    next(answer)
    pending = engine.start_embedding([prompts(100, 5)])
    while not engine.scheduler.num_preemptions and not pending.job.done:
        engine.step()
    list(answer)
    assert (pending.wait()[0] == alone).all()


def test_what_can_not_be_embedded_is_refused(world: Any, prompts: Prompts) -> None:
    engine = world.engine(num_blocks=4)
    for error, tokens in ((EmptyPrompt, []), (InvalidParameter, [10_000]), (ContextExceeded, prompts(65, 1))):
        with pytest.raises(error):
            engine.start_embedding([prompts(3, 1), tokens])
    assert embed(engine) == []
    pending = engine.start_embedding([prompts(30, 1)])
    pending.close()
    engine.step()
    assert not engine.has_work
