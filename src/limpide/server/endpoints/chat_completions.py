"""`/v1/chat/completions`, streamed or whole."""

from __future__ import annotations

import time

from fastapi import APIRouter, Request
from starlette.responses import Response

from limpide.server.answering import Answering, start
from limpide.server.chunked import chunk_frames
from limpide.server.context import settings_of
from limpide.server.ids import new_id
from limpide.server.openapi import streamed
from limpide.server.sse import EventStream, until_client_leaves
from limpide.server.wire.base import reply
from limpide.server.wire.chat_reply import ChatChunk, ChatChunks, ChatCompletion, ChatFold
from limpide.server.wire.chat_request import ChatCompletionRequest, read_chat

router = APIRouter(tags=["chat"])


@router.post("/v1/chat/completions", response_model=ChatCompletion, responses=streamed(ChatChunk))
async def create_chat_completion(request: Request, asked: ChatCompletionRequest) -> Response:
    """Answer a conversation. With `stream`, as server-sent events that end with `[DONE]`."""
    settings = settings_of(request)
    chat, outcomes = read_chat(asked, settings.default_think)
    name = new_id("chatcmpl-")

    async def begin() -> tuple[Answering, ChatChunks]:
        answer = await start(request, name, asked.model, lambda served, caller: served.chat(chat, caller))
        chunks = ChatChunks(
            name,
            int(time.time()),
            answer.model.info.name,
            outcomes=outcomes,
            choices=chat.sampling.n,
            include_usage=asked.include_usage,
            show_thinking=asked.show_thinking,
        )
        return answer, chunks

    if asked.stream:
        answer, chunks = await begin()
        frames = chunk_frames(answer, chunks)
        return EventStream(frames, ping_seconds=settings.ping_seconds, closing=answer.aclose)

    async def whole() -> ChatCompletion:
        answer, chunks = await begin()
        async with answer:
            return await _whole(answer, chunks)

    return reply(await until_client_leaves(request.receive, whole()))


async def _whole(answer: Answering, chunks: ChatChunks) -> ChatCompletion:
    fold = ChatFold(chunks.ends)
    fold.add(chunks.open())
    async for event in answer:
        fold.add(chunks.push(event))
    return fold.whole()
