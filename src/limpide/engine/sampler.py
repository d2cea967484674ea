"""How one row of logits becomes a token."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from limpide.core.errors import CorruptModelFile, InvalidParameter
from limpide.core.sampling import Sampling
from limpide.engine.nucleus import largest, nucleus, pick

Row = npt.NDArray[np.float32]

COLDEST = 1e-6
"""Below it, temperature sets apart what float32 does not: the most likely token is all that is left."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """A token; if logprobs were asked for, its natural log-probability in the raw logits, and the likeliest others."""

    token: int
    logprob: float | None = None
    top: tuple[tuple[int, float], ...] = ()


class Sampler:
    """Chooses the tokens of one choice of one request.

    The random number of a position depends on seed, choice index and position alone (Philox, a counter-based
    generator: Salmon et al. 2011), so neither the batch nor a preemption changes the outcome.
    """

    def __init__(self, sampling: Sampling, *, seed: int, index: int, prompt: Sequence[int], vocab_size: int) -> None:
        self.sampling = sampling
        self._key = np.array([seed, index], dtype=np.uint64)
        self._bias = _bias(sampling, vocab_size)
        self._penalties = _Penalties(sampling, prompt) if _penalised(sampling) else None
        # Most requests are this one, and it needs nothing but an argmax.
        self._plain_greedy = (
            sampling.temperature < COLDEST
            and self._bias is None
            and self._penalties is None
            and sampling.logprobs is None
        )

    def choose(self, logits: Row, position: int, allowed: npt.NDArray[np.bool_] | None = None) -> Chosen:
        """The token at `position` (0 is the first generated one). logits: float32 [vocab]; they are not modified.

        allowed: bool [vocab], at least one of them true: what a grammar leaves to choose from. None leaves everything.
        Log-probabilities are those of all tokens, as if nothing were forbidden.
        """
        best = int(logits.argmax())
        if not math.isfinite(logits[best]):
            raise CorruptModelFile(
                "the model computed a logit that is not a number",
                expected="finite logits",
                hint="check the weights with `limpide models show`; a damaged or wrongly converted file does this",
            )
        if self._plain_greedy and (allowed is None or allowed[best]):
            return Chosen(best)
        row = self._adjusted(logits)
        token = self._pick(row, position) if allowed is None else self._pick_allowed(row, position, allowed)
        if self.sampling.logprobs is None:
            return Chosen(token)
        return _with_logprobs(logits, token, self.sampling.logprobs)

    def accept(self, token: int) -> None:
        """`token` was generated (chosen or forced): penalties count it from now on."""
        if self._penalties is not None:
            self._penalties.add(token)

    def _adjusted(self, logits: Row) -> Row:
        if self._bias is None and self._penalties is None:
            return logits
        row = logits.copy()
        if self._bias is not None:
            ids, values = self._bias
            row[ids] += values
        if self._penalties is not None:
            self._penalties.apply(row)
        return row

    def _pick(self, row: Row, position: int) -> int:
        return int(row.argmax()) if self.sampling.temperature < COLDEST else self._draw(row, position)

    def _pick_allowed(self, row: Row, position: int, allowed: npt.NDArray[np.bool_]) -> int:
        """As if there were no other tokens: filters like top_k count the allowed ones alone."""
        ids = np.flatnonzero(allowed)
        return int(ids[self._pick(row[ids], position)])

    def _draw(self, row: Row, position: int) -> int:
        asked = self.sampling
        ids = largest(row, asked.top_k) if 0 < asked.top_k < len(row) else None
        scaled = (row if ids is None else row[ids]) / np.float32(asked.temperature)
        scaled -= scaled.max()
        weights = np.exp(scaled, out=scaled)
        if asked.top_p < 1.0:
            kept = nucleus(weights, asked.top_p)
            weights, ids = weights[kept], kept if ids is None else ids[kept]
        if asked.min_p > 0.0:
            kept = np.flatnonzero(weights >= asked.min_p * weights.max())
            weights, ids = weights[kept], kept if ids is None else ids[kept]
        index = pick(weights, self._uniform(position))
        return index if ids is None else int(ids[index])

    def _uniform(self, position: int) -> float:
        generator = np.random.Philox(key=self._key, counter=[position, 0, 0, 0])
        return float(int(generator.random_raw()) >> 11) * 2.0**-53


class _Penalties:
    """Tokens seen so far and how often the answer has them, as arrays that grow by doubling."""

    def __init__(self, sampling: Sampling, prompt: Sequence[int]) -> None:
        self._repetition = np.float32(sampling.repetition_penalty)
        self._frequency = np.float32(sampling.frequency_penalty)
        self._presence = np.float32(sampling.presence_penalty)
        seen = dict.fromkeys(prompt) if sampling.repetition_penalty != 1.0 else {}
        self._index = {token: i for i, token in enumerate(seen)}
        room = max(64, 2 * len(self._index))
        self._ids = np.zeros(room, dtype=np.int64)
        self._ids[: len(self._index)] = list(self._index)
        self._counts = np.zeros(room, dtype=np.float32)

    def add(self, token: int) -> None:
        index = self._index.setdefault(token, len(self._index))
        if index == len(self._ids):
            self._ids = np.concatenate((self._ids, np.zeros_like(self._ids)))
            self._counts = np.concatenate((self._counts, np.zeros_like(self._counts)))
        self._ids[index] = token
        self._counts[index] += 1

    def apply(self, row: Row) -> None:
        size = len(self._index)
        ids, counts = self._ids[:size], self._counts[:size]
        values = row[ids]
        if self._repetition != 1.0:
            values = np.where(values > 0, values / self._repetition, values * self._repetition)
        values -= counts * self._frequency + (counts > 0) * self._presence
        row[ids] = values


def _penalised(sampling: Sampling) -> bool:
    return sampling.repetition_penalty != 1.0 or sampling.frequency_penalty != 0.0 or sampling.presence_penalty != 0.0


def _bias(sampling: Sampling, vocab_size: int) -> tuple[npt.NDArray[np.int64], Row] | None:
    for token in sampling.logit_bias:
        if token >= vocab_size:
            raise InvalidParameter("logit_bias token", token, f"a token id below the vocabulary's size, {vocab_size}")
    if not sampling.logit_bias:
        return None
    ids = np.fromiter(sampling.logit_bias.keys(), dtype=np.int64)
    return ids, np.fromiter(sampling.logit_bias.values(), dtype=np.float32)


def log_normaliser(logits: Row) -> float:
    """Logarithm of the sum of exp(logits)."""
    top = logits.max()
    shifted = logits - top
    return float(top) + math.log(float(np.exp(shifted, out=shifted).sum()))


def _with_logprobs(logits: Row, token: int, alternatives: int) -> Chosen:
    normaliser = log_normaliser(logits)
    top: list[tuple[int, float]] = []
    if alternatives:
        ids = largest(logits, alternatives)
        order = np.argsort(-logits[ids], kind="stable")
        top = [(int(i), float(logits[i]) - normaliser) for i in ids[order]]
    return Chosen(token, float(logits[token]) - normaliser, tuple(top))
