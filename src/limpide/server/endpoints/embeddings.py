"""`/v1/embeddings`: texts as directions."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from limpide.server.context import caller_of, host_of
from limpide.server.sse import until_client_leaves
from limpide.server.wire.base import reply
from limpide.server.wire.embeddings import EmbeddingList, EmbeddingRequest, embedding_list

router = APIRouter(tags=["embeddings"])


@router.post("/v1/embeddings", response_model=EmbeddingList)
async def create_embeddings(request: Request, asked: EmbeddingRequest) -> Response:
    """Mean of the last layer's normalised hidden states, scaled to length 1, for each text."""

    async def whole() -> EmbeddingList:
        async with host_of(request).use(asked.model) as model:
            return embedding_list(asked, await model.embed(asked.inputs, caller_of(request)), model.info.name)

    return reply(await until_client_leaves(request.receive, whole()))
