"""True counts and receipts, as responses of OpenAI's dialect carry them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any, Literal, TypeVar

from limpide.core.errors import EngineStopped
from limpide.core.events import Finished
from limpide.core.receipt import Outcome
from limpide.server.wire.base import Reply

C = TypeVar("C", bound=Reply)
"""A chunk that has `choices`, `usage` and `limpide`."""


class PromptDetails(Reply):
    """Of the prompt's tokens."""

    cached_tokens: int
    """Taken from the cache, not computed."""


class CompletionDetails(Reply):
    """Of the generated tokens."""

    reasoning_tokens: int
    accepted_prediction_tokens: int = 0
    """Guessed ahead, rightly: they took no step of their own."""
    rejected_prediction_tokens: int = 0
    """Guessed ahead, wrongly: no part of `completion_tokens`."""


class UsageReply(Reply):
    """True counts, over all choices."""

    prompt_tokens: int
    completion_tokens: int
    """Thinking and answer."""
    total_tokens: int
    prompt_tokens_details: PromptDetails
    completion_tokens_details: CompletionDetails


FinishReason = Literal["stop", "length", "tool_calls"]


class Extras(Reply):
    """What other servers don't tell."""

    receipt: dict[str, Any]
    """What became of every parameter, and what it takes to have the same answer again."""
    choices: dict[str, dict[str, Any]] | None = None
    """Of each choice by its index: seconds, whether the thinking was cut, and how the choice ended."""


class Ends:
    """Collects the ends of an answer's choices, and tells what only all of them together say.

    outcomes: what the translation says beyond, or better than, the engine. choices: how many there are for each of
    `prompts` prompts; the index counts through.
    """

    def __init__(self, outcomes: Mapping[str, Outcome], *, choices: int, prompts: int = 1) -> None:
        self._outcomes = outcomes
        self._choices = choices
        self._prompts = prompts
        self._ends: dict[int, Finished] = {}

    def add(self, end: Finished) -> bool:
        """One more; whether it was the last."""
        self._ends[end.index] = end
        return self.complete

    def close(self, end: Finished, chunk: C, *, include_usage: bool) -> list[C]:
        """The chunks that a choice's end is told with: its own and, after the last end, what all together say.

        The receipt is in the last chunk of all. With `include_usage` that is one without choices, with the counts.
        """
        if not self.add(end):
            return [chunk]
        if not include_usage:
            return [chunk.model_copy(update={"limpide": self.extras()})]
        return [chunk, chunk.model_copy(update={"choices": [], "usage": self.usage(), "limpide": self.extras()})]

    @property
    def complete(self) -> bool:
        """Whether all choices ended."""
        return len(self._ends) == self._choices * self._prompts

    def check(self) -> None:
        """Raises EngineStopped unless all choices ended."""
        if not self.complete:
            raise EngineStopped("the answer broke off before its end", hint="ask again")

    def usage(self) -> UsageReply:
        """The counts of all choices; a prompt that several choices share is counted once. Raises EngineStopped."""
        self.check()
        each = [end.usage for end in self._ends.values()]
        firsts = [self._ends[number * self._choices].usage for number in range(self._prompts)]
        prompt = sum(usage.prompt_tokens for usage in firsts)
        generated = sum(usage.generated_tokens for usage in each)
        return UsageReply(
            prompt_tokens=prompt,
            completion_tokens=generated,
            total_tokens=prompt + generated,
            prompt_tokens_details=PromptDetails(cached_tokens=sum(usage.cached_tokens for usage in firsts)),
            completion_tokens_details=CompletionDetails(
                reasoning_tokens=sum(u.thinking_tokens for u in each),
                accepted_prediction_tokens=sum(u.accepted_draft_tokens for u in each),
                rejected_prediction_tokens=sum(u.rejected_draft_tokens for u in each),
            ),
        )

    def extras(self) -> Extras:
        """Receipt and details. Raises EngineStopped."""
        self.check()
        first = self._ends[0]
        parameters = dict(first.receipt.parameters)
        for name, outcome in self._outcomes.items():
            parameters[name] = _merged(parameters.get(name), outcome)
        return Extras(
            receipt=replace(first.receipt, parameters=parameters).as_dict(),
            choices={str(index): _choice(end, first) for index, end in sorted(self._ends.items())},
        )


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


def finish_reason(end: Finished) -> FinishReason:
    """OpenAI's word for an end. It has none for an answer that was cut off by other means than a limit of tokens."""
    return "length" if end.reason == "aborted" else end.reason
