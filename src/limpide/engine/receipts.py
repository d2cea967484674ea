"""What becomes of each parameter of a request, settled before it runs and reported at its end."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace

from limpide import __version__
from limpide.core.errors import ContextExceeded, EmptyPrompt, InvalidParameter, OutOfMemory
from limpide.core.receipt import Numerics, Outcome, Receipt
from limpide.core.sampling import Sampling
from limpide.engine.request import EngineRequest
from limpide.engine.sampler import COLDEST

ANSWER_ROOM = 256
"""Tokens that thinking leaves to the answer, where the limit allows so many; otherwise a quarter of the limit."""

_ONLY_WHEN_SAMPLING = {"top_p": 1.0, "top_k": 0, "min_p": 0.0}


@dataclass(frozen=True, slots=True)
class Identity:
    """Who answers, for receipts. Hashes are asked for at the end of a request, since they take a while."""

    model: str = "model"
    numerics: Numerics = "exact"
    template_sha256: str | None = None
    tokenizer_sha256: Callable[[], str | None] = lambda: None
    weights_sha256: Callable[[], str | None] = lambda: None

    def wait(self) -> None:
        """Wait for the hashes, so that no receipt has to."""
        self.tokenizer_sha256()
        self.weights_sha256()


@dataclass(frozen=True, slots=True)
class Settled:
    """A request's limits as they will be enforced."""

    seed: int
    max_tokens: int
    budget: int | None
    outcomes: Mapping[str, Outcome]

    def receipt(self, identity: Identity) -> Receipt:
        """The receipt to hand out with the answer."""
        return Receipt(
            parameters=self.outcomes,
            model=identity.model,
            weights_sha256=identity.weights_sha256(),
            tokenizer_sha256=identity.tokenizer_sha256(),
            template_sha256=identity.template_sha256,
            engine=f"limpide {__version__}",
            numerics=identity.numerics,
            seed=self.seed,
        )


def settle(request: EngineRequest, *, context: int, capacity: int, closing_tokens: int) -> Settled:
    """Check a request against the context and the cache, and fix what it left open.

    context: positions that the model can see; capacity: positions that the cache can hold for one sequence;
    closing_tokens: how many tokens it takes to close the thinking.

    Raises EmptyPrompt, ContextExceeded, OutOfMemory, or InvalidParameter if `max_tokens` leaves nothing for an answer.
    """
    prompt = len(request.prompt)
    if prompt == 0:
        raise EmptyPrompt("the prompt has no tokens", expected="some text to answer")
    if prompt >= context:
        raise ContextExceeded(prompt, context)
    if prompt >= capacity:
        raise OutOfMemory(
            f"the prompt has {prompt} tokens, the key-value cache has room for {capacity}",
            expected=f"at most {capacity - 1} prompt tokens with this cache",
            hint="give the cache more memory, or shorten the prompt",
        )
    outcomes = {**_sampling_outcomes(request.sampling), **request.outcomes}
    seed = request.sampling.seed
    if seed is None:
        seed = secrets.randbits(63)
        outcomes["seed"] = Outcome("applied", None, seed, "none was given, so one was drawn")
    room = min(context, capacity) - prompt
    max_tokens, outcomes["max_tokens"] = _max_tokens(request.sampling.max_tokens, room, prompt, context, capacity)
    budget = None
    if request.thinking is not None and request.thinking.budget == 0:
        budget = 0  # thinking that comes unasked is closed at once
    elif request.thinking is not None:
        budget = _budget(request, max_tokens, closing_tokens, context)
        outcomes["think"] = _thinking_outcome(outcomes.get("think"), request.thinking.budget, budget, max_tokens)
    return Settled(seed, max_tokens, budget, outcomes)


def _sampling_outcomes(sampling: Sampling) -> dict[str, Outcome]:
    outcomes = {}
    for name in (f.name for f in fields(Sampling)):
        value = getattr(sampling, name)
        value = dict(value) if name == "logit_bias" else value
        outcome = Outcome("applied", value, value)
        if sampling.temperature < COLDEST and value != _ONLY_WHEN_SAMPLING.get(name, value):
            outcome = replace(outcome, why="makes no difference at temperature 0, which takes the most likely token")
        outcomes[name] = outcome
    if 0 < sampling.temperature < COLDEST:
        why = "float32 does not resolve so low a temperature"
        outcomes["temperature"] = Outcome("clamped", sampling.temperature, 0.0, why)
    return outcomes


def _max_tokens(asked: int | None, room: int, prompt: int, context: int, capacity: int) -> tuple[int, Outcome]:
    holder = f"the context of {context}" if context <= capacity else f"the key-value cache of {capacity}"
    why = f"{holder} tokens leaves {room} after a prompt of {prompt}"
    if asked is None:
        return room, Outcome("applied", None, room, why)
    if asked > room:
        return room, Outcome("clamped", asked, room, why)
    return asked, Outcome("applied", asked, asked)


def _budget(request: EngineRequest, max_tokens: int, closing_tokens: int, context: int) -> int:
    if max_tokens <= closing_tokens:
        asked = request.sampling.max_tokens
        if asked is None or asked > max_tokens:
            raise ContextExceeded(
                len(request.prompt) + closing_tokens, context, hint="shorten the prompt, or turn thinking off"
            )
        raise InvalidParameter(
            "max_tokens",
            asked,
            f"more than {closing_tokens}, which closing the thinking takes",
            hint="raise it, or turn thinking off",
        )
    longest = max(0, max_tokens - closing_tokens - max(1, min(ANSWER_ROOM, max_tokens // 4)))
    budget = request.thinking.budget if request.thinking else None
    return longest if budget is None else min(budget, longest)


def _thinking_outcome(known: Outcome | None, asked: int | None, budget: int, max_tokens: int) -> Outcome:
    requested = known.requested if known else asked
    because = known.why if known else None
    if asked is None:
        why = f"up to {budget} tokens, so that an answer fits in {max_tokens}"
    elif budget < asked:
        why = f"{asked} tokens of thinking would leave no room for an answer in {max_tokens}"
    else:
        return Outcome(known.status if known else "applied", requested, budget, because)
    return Outcome(
        "applied" if asked is None else "clamped", requested, budget, f"{because}; {why}" if because else why
    )
