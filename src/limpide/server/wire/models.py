"""Models, as they are listed."""

from __future__ import annotations

from typing import Literal

from limpide.core.hosting import Offer
from limpide.core.receipt import Numerics
from limpide.core.thinking import Capability
from limpide.server.wire.base import Reply


class ModelFacts(Reply):
    """What is known of a model; all but `state` once it was loaded."""

    state: Literal["unloaded", "loading", "loaded"]
    architecture: str | None = None
    context: int | None = None
    """Tokens of prompt and answer together."""
    thinking: Capability | None = None
    """native, always, prompted or none: what it can do with the thinking dial."""
    chat: bool | None = None
    """Whether it takes conversations; a base model only continues text."""
    tools: str | None = None
    """The dialect in which it calls tools, "prompted" if it was not tuned for them; null if it can't."""
    licence: str | None = None
    numerics: Numerics | None = None


class ModelReply(Reply):
    """One model."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str = "limpide"
    limpide: ModelFacts


class ModelList(Reply):
    """All models that can be asked for; the first is the default."""

    object: Literal["list"] = "list"
    data: list[ModelReply]


def model_reply(offer: Offer) -> ModelReply:
    """An offer as it is listed."""
    info = offer.info
    facts = ModelFacts(state=offer.state)
    if info is not None:
        facts = ModelFacts(
            state=offer.state,
            architecture=info.architecture,
            context=info.context,
            thinking=info.thinking,
            chat=info.chat,
            tools=info.tools,
            licence=info.licence,
            numerics=info.numerics,
        )
    return ModelReply(id=offer.name, created=offer.created, limpide=facts)
