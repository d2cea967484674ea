"""Models, as they are listed."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
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
    """One model, with the fields of OpenAI's API and those of Anthropic's."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str = "limpide"
    type: Literal["model"] = "model"
    display_name: str
    created_at: str
    lifecycle: Literal["active"] = "active"
    max_input_tokens: int | None = None
    """The context: tokens of prompt and answer together."""
    limpide: ModelFacts


class ModelList(Reply):
    """All models that can be asked for; the first is the default."""

    object: Literal["list"] = "list"
    data: list[ModelReply]
    has_more: Literal[False] = False
    first_id: str | None
    last_id: str | None


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
    return ModelReply(
        id=offer.name,
        created=offer.created,
        display_name=offer.name,
        created_at=datetime.fromtimestamp(offer.created, UTC).isoformat().replace("+00:00", "Z"),
        max_input_tokens=facts.context,
        limpide=facts,
    )


def model_list(offers: Iterable[Offer]) -> ModelList:
    """All offers as they are listed."""
    data = [model_reply(offer) for offer in offers]
    return ModelList(data=data, first_id=data[0].id if data else None, last_id=data[-1].id if data else None)
