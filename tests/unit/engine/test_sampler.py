"""The sampler against naive definitions, and its distribution against the one it claims."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limpide.core.errors import CorruptModelFile, InvalidParameter
from limpide.core.sampling import MIN_REPETITION, Sampling
from limpide.engine.nucleus import largest, nucleus
from limpide.engine.sampler import Sampler

Row = npt.NDArray[np.float32]


def sampler(seed: int = 0, prompt: tuple[int, ...] = (), vocab: int = 50, index: int = 0, **asked: Any) -> Sampler:
    return Sampler(Sampling(**asked), seed=seed, index=index, prompt=prompt, vocab_size=vocab)


def row(vocab: int = 50, seed: int = 0, spread: float = 2.0) -> Row:
    return (np.random.default_rng(seed).standard_normal(vocab) * spread).astype(np.float32)


def expected(logits: Row, temperature: float, top_k: int = 0, top_p: float = 1.0, min_p: float = 0.0) -> Any:
    """Probabilities by the textbook: sort everything, cut in the documented order."""
    order = np.argsort(-logits, kind="stable")
    p = np.exp((logits[order].astype(np.float64) - logits.max()) / temperature)
    if top_k:
        p[top_k:] = 0
    p /= p.sum()
    if top_p < 1:
        p[np.searchsorted(np.cumsum(p), top_p) + 1 :] = 0
    p[p < min_p * p.max()] = 0
    out = np.zeros(len(logits))
    out[order] = p / p.sum()
    return out


def chi_square_limit(freedom: int) -> float:
    """What chi-square exceeds once in 10,000 times, by Wilson and Hilferty's approximation."""
    spread = 2 / (9 * freedom)
    return float(freedom * (1 - spread + 3.719 * math.sqrt(spread)) ** 3)


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"temperature": 0.5},
        {"temperature": 3.0},
        {"top_k": 5},
        {"top_k": 1},
        {"top_p": 0.7},
        {"top_p": 1e-9},
        {"min_p": 0.1},
        {"top_k": 12, "top_p": 0.8, "min_p": 0.05, "temperature": 1.7},
    ],
)
def test_draws_follow_the_distribution(asked: dict[str, Any]) -> None:
    logits = row()
    asked = {"temperature": 1.0, **asked}
    drawer = sampler(seed=11, **asked)
    count = 4000
    seen = np.bincount([drawer.choose(logits, i).token for i in range(count)], minlength=50)
    wanted = expected(logits, **asked) * count
    assert seen[wanted == 0].sum() == 0
    common = wanted >= 5
    observed = np.append(seen[common], seen[~common].sum())
    hoped = np.append(wanted[common], wanted[~common].sum())
    observed, hoped = observed[hoped > 0], hoped[hoped > 0]
    if len(hoped) > 1:
        assert ((observed - hoped) ** 2 / hoped).sum() < chi_square_limit(len(hoped) - 1)


def test_a_draw_depends_on_seed_choice_and_position_only() -> None:
    logits = row(spread=0.1)
    one = [sampler(seed=1, temperature=1.0).choose(logits, i).token for i in range(30)]
    again = sampler(seed=1, temperature=1.0)
    assert [again.choose(logits, i).token for i in reversed(range(30))] == one[::-1]
    for other in ({"seed": 2}, {"index": 1}):
        drawer = sampler(**{"seed": 1, **other}, temperature=1.0)
        assert [drawer.choose(logits, i).token for i in range(30)] != one


@pytest.mark.parametrize("temperature", [5e-324, 1e-45, 1e-30, 1e-7])
def test_what_is_as_good_as_cold_is_greedy(temperature: float) -> None:
    """Divided by a temperature that float32 can't hold, logits would be no numbers."""
    logits = row(spread=30.0)
    assert sampler(temperature=temperature).choose(logits, 0).token == logits.argmax()


@pytest.mark.parametrize("factor", [MIN_REPETITION, 100.0])
def test_the_strongest_repetition_penalties_leave_numbers(factor: float) -> None:
    logits = np.array([-3e4, 0.0, 3e4, 1.0], dtype=np.float32)
    drawer = sampler(vocab=4, prompt=(0, 1, 2), repetition_penalty=factor, temperature=1.0)
    assert drawer.choose(logits, 0).token == 2


def test_greedy_takes_the_first_of_the_best() -> None:
    logits = np.array([0, 3, 1, 3], dtype=np.float32)
    assert sampler(vocab=4).choose(logits, 0).token == 1


@settings(deadline=None)
@given(
    st.lists(st.integers(-3, 3), min_size=1, max_size=40),
    st.integers(1, 45),
)
def test_largest_is_a_stable_sort_cut_off(values: list[int], count: int) -> None:
    array = np.array(values, dtype=np.float32)
    wanted = np.sort(np.argsort(-array, kind="stable")[:count])
    assert largest(array, count).tolist() == wanted.tolist()


@settings(deadline=None)
@given(st.lists(st.integers(1, 6), min_size=1, max_size=40), st.floats(0.01, 0.999))
def test_nucleus_is_the_smallest_set_that_reaches_the_share(values: list[int], share: float) -> None:
    weights = np.array(values, dtype=np.float64)
    order = np.argsort(-weights, kind="stable")
    sums = np.cumsum(weights[order])
    wanted = order[: int(np.searchsorted(sums, share * sums[-1])) + 1]
    assert nucleus(weights, share).tolist() == sorted(wanted.tolist())


@pytest.mark.parametrize("spread", [0.0, 0.001, 1.0, 4.0, 12.0])
@pytest.mark.parametrize("share", [0.05, 0.5, 0.9, 0.999])
def test_nucleus_of_a_large_vocabulary(spread: float, share: float) -> None:
    weights = np.exp(row(60_000, spread=spread)).astype(np.float64)
    kept = nucleus(weights, share)
    order = np.argsort(-weights, kind="stable")
    count = int(np.searchsorted(np.cumsum(weights[order]), share * weights.sum())) + 1
    assert abs(len(kept) - count) <= 1  # sums in another order may round differently
    assert set(kept.tolist()) <= set(order[: count + 1].tolist())


def penalised(logits: Row, asked: Sampling, prompt: list[int], answer: list[int]) -> Any:
    """The definitions: CTRL's for repetition, OpenAI's for frequency and presence."""
    out = logits.astype(np.float64).copy()
    for token in asked.logit_bias:
        out[token] += asked.logit_bias[token]
    for token in set(prompt) | set(answer):
        if asked.repetition_penalty != 1.0:
            out[token] *= 1 / asked.repetition_penalty if out[token] > 0 else asked.repetition_penalty
    for token in set(answer):
        out[token] -= answer.count(token) * asked.frequency_penalty + asked.presence_penalty
    return out


@settings(deadline=None, max_examples=200)
@given(
    prompt=st.lists(st.integers(0, 9), max_size=12),
    answer=st.lists(st.integers(0, 9), max_size=150),
    repetition=st.sampled_from([1.0, 0.7, 1.3, 5.0]),
    frequency=st.sampled_from([0.0, -1.5, 0.4]),
    presence=st.sampled_from([0.0, -0.5, 1.1]),
    bias=st.dictionaries(st.integers(0, 9), st.floats(-5, 5), max_size=3),
    seed=st.integers(0, 9),
)
def test_penalties_and_bias_are_the_naive_definitions(
    prompt: list[int],
    answer: list[int],
    repetition: float,
    frequency: float,
    presence: float,
    bias: dict[int, float],
    seed: int,
) -> None:
    asked = {
        "repetition_penalty": repetition,
        "frequency_penalty": frequency,
        "presence_penalty": presence,
        "logit_bias": bias,
    }
    chooser = sampler(prompt=tuple(prompt), vocab=10, **asked)
    for token in answer:
        chooser.accept(token)
    logits = row(10, seed)
    before = logits.copy()
    wanted = penalised(logits, Sampling(**asked), prompt, answer)
    np.testing.assert_allclose(chooser._adjusted(logits), wanted, rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(logits, before)
    best = chooser.choose(logits, 0).token
    assert wanted[best] >= wanted.max() - 1e-3


def test_penalties_reach_more_tokens_than_the_first_arrays_hold() -> None:
    chooser = sampler(vocab=500, presence_penalty=2.0)
    for token in range(300):
        chooser.accept(token)
    adjusted = chooser._adjusted(np.zeros(500, dtype=np.float32))
    assert (adjusted[:300] == -2).all()
    assert (adjusted[300:] == 0).all()


def test_logprobs_are_those_of_the_raw_logits() -> None:
    logits = row()
    asked = {"temperature": 0.3, "top_k": 3, "logit_bias": {7: 50.0}, "logprobs": 4}
    chosen = sampler(seed=5, **asked).choose(logits, 3)
    log_softmax = logits - math.log(np.exp(logits.astype(np.float64)).sum())
    assert chosen.token == 7
    assert chosen.logprob == pytest.approx(log_softmax[7], abs=1e-5)
    best = np.argsort(-logits)[:4]
    assert [token for token, _ in chosen.top] == best.tolist()
    assert [value for _, value in chosen.top] == pytest.approx(log_softmax[best].tolist(), abs=1e-5)
    assert sampler(logprobs=0).choose(logits, 0).top == ()


def test_bias_beyond_the_vocabulary_is_refused() -> None:
    with pytest.raises(InvalidParameter, match="50"):
        sampler(vocab=50, logit_bias={50: 1.0})


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_broken_model_is_told(bad: float) -> None:
    logits = row()
    logits[3] = bad
    with pytest.raises(CorruptModelFile):
        sampler().choose(logits, 0)


def test_masked_tokens_are_never_drawn() -> None:
    logits = row()
    logits[10:] = -np.inf
    drawer = sampler(temperature=100.0, logprobs=2)
    assert max(drawer.choose(logits, i).token for i in range(200)) < 10
