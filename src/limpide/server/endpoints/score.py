"""`/v1/score`: how likely given continuations are."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from limpide.server.context import caller_of, host_of
from limpide.server.sse import until_client_leaves
from limpide.server.wire.base import reply
from limpide.server.wire.tokens import ScoreList, ScoreReply, ScoreRequest

router = APIRouter(tags=["score"])


@router.post("/v1/score", response_model=ScoreList)
async def score(request: Request, asked: ScoreRequest) -> Response:
    """Log-likelihood of each continuation after the context, token by token, in nats."""

    async def whole() -> ScoreList:
        async with host_of(request).use(asked.model) as model:
            scored = await model.score(asked.context, asked.continuations, caller_of(request))
            return ScoreList(
                model=model.info.name,
                data=[
                    ScoreReply(index=at, logprob=s.total, token_logprobs=list(s.logprobs), greedy=s.greedy)
                    for at, s in enumerate(scored)
                ],
            )

    return reply(await until_client_leaves(request.receive, whole()))
