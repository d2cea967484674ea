"""How the next token is chosen, as requests of several endpoints say it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from limpide.core.receipt import Outcome
from limpide.core.sampling import MAX_CHOICES, MAX_STOPS, MIN_REPETITION
from limpide.server.wire.base import Ask, Whole

MAX_SEED = 2**63 - 1
MAX_TOKEN = 2**31 - 1
OPENAI_DEFAULTS = {"temperature": 1.0, "top_p": 1.0, "n": 1}

Stop = Annotated[str, StringConstraints(min_length=1)]
Bias = Annotated[float, Field(ge=-100, le=100)]
Biases = Annotated[
    dict[Annotated[str, StringConstraints(pattern=r"^[0-9]{1,10}$")], Bias],
    Field(json_schema_extra={"additionalProperties": False}),
]
TokenId = Annotated[Whole, Field(ge=0, le=MAX_TOKEN)]
TokenLimit = Annotated[Whole, Field(ge=1, le=MAX_TOKEN)]


class SamplingFields(Ask):
    """The parameters that chat and raw completions share. What is left out has OpenAI's default."""

    model: str | None = None
    """Default: the first of `/v1/models`."""
    temperature: Annotated[float, Field(ge=0, le=100)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    top_k: Annotated[Whole, Field(ge=0, le=MAX_TOKEN)] | None = None
    """Ours. 0 keeps all tokens."""
    min_p: Annotated[float, Field(ge=0, le=1)] | None = None
    """Ours. Keep tokens at least this share as likely as the most likely one."""
    repetition_penalty: Annotated[float, Field(ge=MIN_REPETITION, le=100)] | None = None
    """Ours."""
    frequency_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    presence_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    logit_bias: Biases | None = None
    """By token id, in digits."""
    stop: Stop | Annotated[list[Stop], Field(max_length=MAX_STOPS)] | None = None
    seed: Annotated[Whole, Field(ge=0, le=MAX_SEED)] | None = None
    n: Annotated[Whole, Field(ge=1, le=MAX_CHOICES)] | None = None
    ignore_eos: bool | None = None
    """Ours. Go on after the end of turn: for benchmarks only."""

    @property
    def stops(self) -> tuple[str, ...]:
        """Strings that end the answer."""
        if self.stop is None:
            return ()
        return (self.stop,) if isinstance(self.stop, str) else tuple(self.stop)

    @property
    def biases(self) -> dict[int, float]:
        """What is added to the logits of tokens."""
        return {int(token): bias for token, bias in (self.logit_bias or {}).items()}

    def given(self, *names: str) -> dict[str, object]:
        """Of these parameters, those that were sent, and OpenAI's defaults for the others that have one."""
        values = {name: getattr(self, name) for name in names}
        values = {name: OPENAI_DEFAULTS.get(name) if value is None else value for name, value in values.items()}
        return {name: value for name, value in values.items() if value is not None}

    def defaults(self) -> dict[str, Outcome]:
        """What a receipt says of parameters that nobody sent and that are not ours to choose."""
        why = "none was given: OpenAI's default"
        return {
            name: Outcome("applied", None, value, why)
            for name, value in OPENAI_DEFAULTS.items()
            if getattr(self, name) is None
        }
