"""True counts and receipts, as responses of OpenAI's dialect carry them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from limpide.core.events import Finished
from limpide.core.receipt import Outcome
from limpide.server.wire.base import Reply


class PromptDetails(Reply):
    """Of the prompt's tokens."""

    cached_tokens: int
    """Taken from the cache, not computed."""


class CompletionDetails(Reply):
    """Of the generated tokens."""

    reasoning_tokens: int


class UsageReply(Reply):
    """True counts, over all choices."""

    prompt_tokens: int
    completion_tokens: int
    """Thinking and answer."""
    total_tokens: int
    prompt_tokens_details: PromptDetails
    completion_tokens_details: CompletionDetails


class Extras(Reply):
    """What other servers don't tell."""

    receipt: dict[str, Any]
    """What became of every parameter, and what it takes to have the same answer again."""
    choices: dict[str, dict[str, Any]] | None = None
    """Of each choice by its index: seconds, whether the thinking was cut, and how the choice ended."""


def usage_of(ends: Sequence[Finished]) -> UsageReply:
    """The counts of all choices. A prompt that several choices share is counted once."""
    prompt = ends[0].usage.prompt_tokens
    generated = sum(end.usage.generated_tokens for end in ends)
    return UsageReply(
        prompt_tokens=prompt,
        completion_tokens=generated,
        total_tokens=prompt + generated,
        prompt_tokens_details=PromptDetails(cached_tokens=ends[0].usage.cached_tokens),
        completion_tokens_details=CompletionDetails(reasoning_tokens=sum(end.usage.thinking_tokens for end in ends)),
    )


def extras_of(ends: Sequence[Finished], outcomes: Mapping[str, Outcome]) -> Extras:
    """Receipt and details. outcomes: what the translation says beyond, or better than, the engine."""
    receipt = ends[0].receipt
    parameters = dict(receipt.parameters)
    for name, outcome in outcomes.items():
        parameters[name] = _merged(parameters.get(name), outcome)
    plain = replace(receipt, parameters=parameters).as_dict()
    return Extras(receipt=plain, choices={str(end.index): _choice(end, ends[0]) for end in ends})


def _merged(settled: Outcome | None, told: Outcome) -> Outcome:
    """A default stays what the engine made of it; that nobody asked for it is what the engine can't know."""
    if settled is None or told.requested is not None:
        return told
    return replace(settled, requested=None, why="; ".join(filter(None, (told.why, settled.why))))


def _choice(end: Finished, first: Finished) -> dict[str, Any]:
    usage = end.usage
    own = {
        name: asdict(outcome)
        for name, outcome in end.receipt.parameters.items()
        if outcome != first.receipt.parameters.get(name)
    }
    return {
        "reason": end.reason,
        "stop": end.stop,
        "thinking_truncated": usage.thinking_truncated,
        "queue_seconds": usage.queue_seconds,
        "prefill_seconds": usage.prefill_seconds,
        "decode_seconds": usage.decode_seconds,
        **({"parameters": own} if own else {}),
    }
