"""Models of this machine and of the catalog, and pulls, as they are asked for and returned."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import Field

from limpide.core.stock import Prediction, Pull, Room, StockedModel, Terms
from limpide.core.thinking import Capability
from limpide.server.errors import problem_of, writable
from limpide.server.wire.base import Ask, Reply

MAX_NAME = 512
Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME)]


class RoomReply(Reply):
    """Memory, in bytes."""

    total: int
    """Of the machine, or of the container."""
    available: int
    """What programs can still get."""
    models: int
    """What all loaded models may take together."""
    resident: int
    """What the server's process holds."""


class TermsReply(Reply):
    """A licence that a model comes under. The terms themselves decide."""

    key: str
    """What `accept_licences` names."""
    name: str
    spdx: str
    url: str
    commercial: Literal["yes", "limited", "no"]
    """Whether one may earn money with it; `limited`: below a threshold, or within a use policy."""
    display: str | None
    """Words to be shown beside what is built with the model."""
    use_policy: bool
    """Whether a policy of the publisher forbids uses."""
    plainly: list[str]
    """What it asks for, one sentence each."""
    needs_acceptance: bool
    accepted: bool
    """Whether somebody accepted it on this machine."""


class SpeedRange(Reply):
    """Tokens per second, from and to."""

    low: float
    high: float


class PredictionReply(Reply):
    """What a model will take and how fast it will be, as this server would load it."""

    fits: bool
    memory_bytes: int
    weights_bytes: int
    cache_bytes: int | None
    """Of a full context; null where the model's shape is not known."""
    context: int
    """Tokens."""
    generation: SpeedRange | None
    """Null where it doesn't fit."""
    prompt: SpeedRange | None
    slowed: list[str]
    """Why the kernels can't compute all of it."""


class StockedReply(Reply):
    """A model that is here or can be fetched."""

    name: str
    """By which it is pulled and loaded, and asked for once it is served."""
    title: str
    publisher: str | None
    parameters: int | None
    size_bytes: int
    size_is_estimate: bool
    stored: str | None
    """The dominant stored type of its weights, as GGUF names it."""
    context: int | None
    """Tokens that it was trained to hold."""
    thinking: Capability | None
    chat: bool | None
    terms: list[TermsReply]
    """All that apply, the model's own first; empty where they are not known."""
    note: str
    here: bool
    """Whether it is on this machine, whole."""
    prediction: PredictionReply


class CatalogReply(Reply):
    """Every model that this server has or could have."""

    object: Literal["catalog"] = "catalog"
    room: RoomReply | None
    """Null where nobody counts."""
    models: list[StockedReply]


class PullRequest(Ask):
    """Which model to fetch."""

    model: Name
    """A name of the catalog, or `hf:org/name[:file]` for a repository of the Hugging Face hub."""
    accept_licences: Annotated[list[Annotated[str, Field(max_length=80)]] | None, Field(max_length=16)] = None
    """Keys of licences that whoever asks has read and accepts. It is remembered on the server's machine."""


class PullProblem(Reply):
    """Why a pull failed."""

    message: str
    code: str | None


class PullReply(Reply):
    """A model on its way here, or what became of it."""

    id: str
    object: Literal["pull"] = "pull"
    model: str
    state: Literal["running", "cancelling", "done", "cancelled", "failed"]
    step: str
    """What is being fetched or unpacked: a file, a package."""
    done_bytes: int
    """Of this step."""
    total_bytes: int | None
    said: str
    """The last thing that was worth a line: a source that failed, another process that is waited for."""
    error: PullProblem | None


class PullList(Reply):
    """Those on their way and the last of each model, the newest first."""

    object: Literal["list"] = "list"
    data: list[PullReply]


class LoadRequest(Ask):
    """Which model."""

    model: Name
    """One of `/v1/models`."""


class LoadReply(Reply):
    """A model's state, and the server's memory before and after."""

    model: str
    state: Literal["unloaded", "loading", "loaded"]
    """Of one that should be unloaded, `loaded` means that somebody uses it."""
    resident_before: int | None
    """Bytes that the server's process held; null where nobody counts."""
    resident_after: int | None


def _room(room: Room) -> RoomReply:
    return RoomReply(total=room.total, available=room.available, models=room.models, resident=room.resident)


def catalog_reply(room: Room | None, models: Iterable[StockedModel]) -> CatalogReply:
    """The whole catalog."""
    return CatalogReply(room=_room(room) if room else None, models=[_stocked(model) for model in models])


def pull_reply(pull: Pull) -> PullReply:
    """A pull as it is told."""
    problem = problem_of(pull.error) if pull.error else None
    return PullReply(
        id=pull.id,
        model=pull.model,
        state=pull.state,
        step=writable(pull.step),
        done_bytes=pull.done_bytes,
        total_bytes=pull.total_bytes,
        said=writable(pull.said),
        error=PullProblem(message=writable(problem.message), code=problem.code) if problem else None,
    )


def _stocked(model: StockedModel) -> StockedReply:
    return StockedReply(
        name=model.name,
        title=model.title,
        publisher=model.publisher,
        parameters=model.parameters,
        size_bytes=model.size_bytes,
        size_is_estimate=model.size_is_estimate,
        stored=model.stored,
        context=model.context,
        thinking=model.thinking,
        chat=model.chat,
        terms=[_terms(terms) for terms in model.terms],
        note=model.note,
        here=model.here,
        prediction=_prediction(model.prediction),
    )


def _terms(terms: Terms) -> TermsReply:
    return TermsReply(
        key=terms.key,
        name=terms.name,
        spdx=terms.spdx,
        url=terms.url,
        commercial=terms.commercial,
        display=terms.display,
        use_policy=terms.use_policy,
        plainly=list(terms.plainly),
        needs_acceptance=terms.needs_acceptance,
        accepted=terms.accepted,
    )


def _prediction(found: Prediction) -> PredictionReply:
    return PredictionReply(
        fits=found.fits,
        memory_bytes=found.memory_bytes,
        weights_bytes=found.weights_bytes,
        cache_bytes=found.cache_bytes,
        context=found.context,
        generation=_speeds(found.generation),
        prompt=_speeds(found.prompt),
        slowed=list(found.slowed),
    )


def _speeds(speeds: tuple[float, float] | None) -> SpeedRange | None:
    return None if speeds is None else SpeedRange(low=speeds[0], high=speeds[1])
