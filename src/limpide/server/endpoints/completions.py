"""`/v1/completions`: raw text, or tokens, continued."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import AsyncExitStack

from fastapi import APIRouter, Request
from starlette.responses import Response

from limpide.core.hosting import Caller, Running, ServedModel
from limpide.core.sampling import Sampling
from limpide.core.shape import Shape
from limpide.server.answering import Answering, start
from limpide.server.chunked import chunk_frames
from limpide.server.context import settings_of
from limpide.server.ids import new_id
from limpide.server.merging import Merged
from limpide.server.openapi import streamed
from limpide.server.sse import EventStream, until_client_leaves
from limpide.server.wire.base import reply
from limpide.server.wire.completion_reply import TextChunks, TextCompletion, TextFold
from limpide.server.wire.completion_request import CompletionRequest, Prompt, read_completion
from limpide.server.wire.usage import Ends

router = APIRouter(tags=["completions"])


@router.post("/v1/completions", response_model=TextCompletion, responses=streamed(TextCompletion))
async def create_completion(request: Request, asked: CompletionRequest) -> Response:
    """Continue raw text without a template. With `stream`, as server-sent events that end with `[DONE]`."""
    sampling, shape, outcomes = read_completion(asked)
    prompts = asked.prompts
    name = new_id("cmpl-")

    async def begin() -> tuple[Answering, TextChunks]:
        answer = await start(
            request, name, asked.model, lambda model, caller: _ask(model, caller, prompts, sampling, shape)
        )
        chunks = TextChunks(
            name,
            int(time.time()),
            answer.model.info.name,
            ends=Ends(outcomes, choices=sampling.n, prompts=len(prompts)),
            prompts=[await _text(answer.model, prompt) if asked.echo else "" for prompt in prompts],
            choices=sampling.n,
            include_usage=asked.include_usage,
        )
        return answer, chunks

    if asked.stream:
        answer, chunks = await begin()
        frames = chunk_frames(answer, chunks)
        return EventStream(frames, ping_seconds=settings_of(request).ping_seconds, closing=answer.aclose)

    async def whole() -> TextCompletion:
        answer, chunks = await begin()
        async with answer:
            fold = TextFold(chunks.ends)
            fold.add(chunks.open())
            async for event in answer:
                fold.add(chunks.push(event))
        return fold.whole(written=sampling.n, kept=asked.kept, with_logprobs=asked.logprobs is not None)

    return reply(await until_client_leaves(request.receive, whole()))


async def _ask(
    model: ServedModel, caller: Caller, prompts: Sequence[Prompt], sampling: Sampling, shape: Shape | None
) -> Running:
    async with AsyncExitStack() as held:
        runnings = []
        for prompt in prompts:
            runnings.append(await model.complete(prompt, sampling, shape=shape, caller=caller))
            held.push_async_callback(runnings[-1].aclose)
        held.pop_all()
    return runnings[0] if len(runnings) == 1 else Merged(runnings, sampling.n)


async def _text(model: ServedModel, prompt: Prompt) -> str:
    return prompt if isinstance(prompt, str) else await model.detokenize(prompt)
