"""Embeddings, as they are asked for and returned."""

from __future__ import annotations

import base64
import struct
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, StringConstraints

from limpide.core.errors import InvalidParameter
from limpide.core.hosting import Embedding
from limpide.server.wire.base import Ask, Reply, Whole
from limpide.server.wire.completion_request import Tokens

MAX_INPUTS = 2048
Text = Annotated[str, StringConstraints(min_length=1)]


class EmbeddingRequest(Ask):
    """OpenAI's embeddings."""

    UNUSED: ClassVar = {"user": "nothing depends on it: limits go by key"}

    model: str | None = None
    """Default: the first of `/v1/models`."""
    input: (
        Text
        | Tokens
        | Annotated[list[Text], Field(min_length=1, max_length=MAX_INPUTS)]
        | Annotated[list[Tokens], Field(min_length=1, max_length=MAX_INPUTS)]
    )
    encoding_format: Literal["float", "base64"] | None = None
    """Numbers, or little-endian float32 in base64."""
    dimensions: Annotated[Whole, Field(ge=1)] | None = None
    """Only what the model has: its directions can't be shortened."""
    user: str | None = None

    @property
    def inputs(self) -> list[str | list[int]]:
        """One or several, each as text or tokens."""
        if isinstance(self.input, str) or isinstance(self.input[0], int):
            return [self.input]
        return list(self.input)


class EmbeddingReply(Reply):
    """A text as a direction of length 1."""

    object: Literal["embedding"] = "embedding"
    index: int
    embedding: list[float] | str


class EmbeddingUsage(Reply):
    """True counts."""

    prompt_tokens: int
    total_tokens: int


class EmbeddingExtras(Reply):
    """What other servers don't tell."""

    receipt: dict[str, Any]


class EmbeddingList(Reply):
    """The directions, in the order of the input."""

    object: Literal["list"] = "list"
    data: list[EmbeddingReply]
    model: str
    usage: EmbeddingUsage
    limpide: EmbeddingExtras


def embedding_list(asked: EmbeddingRequest, found: Sequence[Embedding], model: str) -> EmbeddingList:
    """The response. Raises InvalidParameter if other dimensions were asked for than the model has."""
    width = len(found[0].values)
    if asked.dimensions not in (None, width):
        raise InvalidParameter("dimensions", asked.dimensions, f"{width}, which is what {model} has")
    tokens = sum(embedding.tokens for embedding in found)
    data = [
        EmbeddingReply(object="embedding", index=index, embedding=_encoded(embedding, asked.encoding_format))
        for index, embedding in enumerate(found)
    ]
    parameters = {name: asdict(outcome) for name, outcome in asked.unused().items()}
    return EmbeddingList(
        object="list",
        data=data,
        model=model,
        usage=EmbeddingUsage(prompt_tokens=tokens, total_tokens=tokens),
        limpide=EmbeddingExtras(receipt={"model": model, "parameters": parameters}),
    )


def _encoded(embedding: Embedding, encoding: str | None) -> list[float] | str:
    if encoding != "base64":
        return list(embedding.values)
    return base64.b64encode(struct.pack(f"<{len(embedding.values)}f", *embedding.values)).decode()
