"""What a server is handed besides its models: those that this machine has or could have, and fetching them.

Everything here is called from the server's event loop and returns to it; what waits for disks and networks has threads
of its own.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from limpide.core.errors import LimpideError
from limpide.core.thinking import Capability


@dataclass(frozen=True, slots=True)
class Terms:
    """One licence that a model comes under, as far as a person has to know it. The terms themselves decide."""

    key: str
    """What an acceptance names."""
    name: str
    spdx: str
    url: str
    """Where the terms are published."""
    commercial: Literal["yes", "limited", "no"]
    """Whether one may earn money with it; `limited`: below a threshold, or within a use policy."""
    display: str | None
    """Words to be shown beside what is built with the model."""
    use_policy: bool
    """Whether a policy of the publisher forbids uses."""
    plainly: tuple[str, ...]
    """What they ask for, one sentence each."""
    needs_acceptance: bool
    accepted: bool
    """Whether somebody accepted them on this machine."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a model will take and how fast it will be, as this server would load it. Bytes, and tokens per second."""

    fits: bool
    """Whether the server would load it: other models that nobody uses make room."""
    memory_bytes: int
    weights_bytes: int
    cache_bytes: int | None
    """Of a full context. None where a model's shape is not known."""
    context: int
    """Tokens."""
    generation: tuple[float, float] | None
    """From, to. None where it doesn't fit."""
    prompt: tuple[float, float] | None
    slowed: tuple[str, ...]
    """Why the kernels can't compute all of it; such a model is slow."""


@dataclass(frozen=True, slots=True)
class StockedModel:
    """A model that is here or can be fetched."""

    name: str
    """By which it is pulled, and loaded."""
    title: str
    publisher: str | None
    parameters: int | None
    size_bytes: int
    """Of its file or files."""
    size_is_estimate: bool
    stored: str | None
    """The dominant stored type of its weights, as GGUF names it."""
    context: int | None
    """Tokens that it was trained to hold."""
    thinking: Capability | None
    chat: bool | None
    terms: tuple[Terms, ...]
    """All that apply, the model's own first; empty where they are not known."""
    note: str
    here: bool
    """Whether it is on this machine, whole."""
    prediction: Prediction


@dataclass(frozen=True, slots=True)
class Room:
    """Memory, in bytes."""

    total: int
    """Of the machine, or of the container."""
    available: int
    """What programs can still get."""
    models: int
    """What all loaded models may take together."""
    resident: int
    """What this process holds."""


@dataclass(frozen=True, slots=True)
class Pull:
    """A model on its way here, or what became of it."""

    id: str
    model: str
    state: Literal["running", "cancelling", "done", "cancelled", "failed"]
    step: str
    """What is being fetched or unpacked: a file, a package."""
    done_bytes: int
    """Of this step."""
    total_bytes: int | None
    said: str
    """The last thing that was worth a line: a source that failed, another process that is waited for."""
    error: LimpideError | None
    """Why it failed."""


class Stock(Protocol):
    """The models of this machine, and those that it can get."""

    async def models(self) -> Sequence[StockedModel]:
        """All that are known: those that the server was started with, then the others, the smallest first."""

    def room(self) -> Room | None:
        """Memory, as it is now; None where nobody counts."""

    async def pull(self, model: str, accept: Collection[str] = ()) -> Pull:
        """Have a model fetched if it is not here, and served. One that is on its way already is joined.

        accept: keys of terms that the person who asks has accepted, which is remembered.

        Raises UnknownModel, InvalidParameter for a licence that nobody knows, LicenceNotAccepted, OfflineError, or
        Overloaded if too many are on their way.
        """

    def pulls(self) -> Sequence[Pull]:
        """Those on their way and the last that came to an end, the newest first."""

    def cancel(self, pull: str) -> Pull:
        """Have a pull stopped. What came is kept, as far as a later one can go on from it, and never passes for whole.

        Raises NotFound. One that has ended stays as it is.
        """

    async def aclose(self) -> None:
        """Stop all pulls and wait until they have ended."""
