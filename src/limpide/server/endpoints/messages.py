"""`/v1/messages`, streamed or whole, and what its prompt would cost: Anthropic's dialect."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from limpide.server import errors
from limpide.server.answering import Answering, start
from limpide.server.context import host_of, settings_of
from limpide.server.ids import new_id
from limpide.server.message_errors import anthropic_error_frame, anthropic_form
from limpide.server.openapi import streamed
from limpide.server.sse import EventStream, Frames, frame, until_client_leaves
from limpide.server.wire.base import Reply, reply
from limpide.server.wire.message_errors import MESSAGE_ERROR_RESPONSES
from limpide.server.wire.message_reply import EVENTS, MessageEvents, MessageFold, MessageReply
from limpide.server.wire.message_request import MessagePrompt, MessageRequest, read_message, read_prompt

MESSAGES = "/v1/messages"
PING = frame('{"type": "ping"}', "ping")

router = APIRouter(tags=["messages"], responses=MESSAGE_ERROR_RESPONSES)
errors.FORMS[MESSAGES] = anthropic_form


class TokenCount(Reply):
    """What a prompt costs."""

    input_tokens: int


@router.post(MESSAGES, response_model=MessageReply, responses=streamed(*EVENTS, ending="`message_stop` is the last"))
async def create_message(request: Request, asked: MessageRequest) -> Response:
    """Answer a conversation. With `stream`, as server-sent events with names."""
    settings = settings_of(request)
    chat, outcomes = read_message(asked, settings.default_think, request.headers.getlist("anthropic-beta"))
    name = new_id("msg_")

    async def begin() -> tuple[Answering, MessageEvents]:
        answer = await start(request, name, asked.model, lambda served, caller: served.chat(chat, caller))
        events = MessageEvents(
            name,
            answer.model.info.name,
            prompt_tokens=answer.prompt_tokens,
            outcomes=outcomes,
            max_tokens=asked.max_tokens,
            show_thinking=asked.show_thinking,
        )
        return answer, events

    if asked.stream:
        answer, events = await begin()
        return EventStream(
            _frames(answer, events),
            ping_seconds=settings.ping_seconds,
            closing=answer.aclose,
            on_error=anthropic_error_frame,
            ping=PING,
        )

    async def whole() -> MessageReply:
        answer, events = await begin()
        async with answer:
            return await _whole(answer, events)

    return reply(await until_client_leaves(request.receive, whole()))


@router.post(f"{MESSAGES}/count_tokens")
async def count_tokens(request: Request, asked: MessagePrompt) -> TokenCount:
    """How many tokens the prompt of a message would have, tools and all."""
    chat, _ = read_prompt(asked, settings_of(request).default_think)
    async with host_of(request).use(asked.model) as model:
        return TokenCount(input_tokens=len((await model.render(chat)).tokens))


async def _frames(answer: Answering, events: MessageEvents) -> Frames:
    for each in events.open():
        yield frame(each.as_json(), each.type)
    async for event in answer:
        for each in events.push(event):
            yield frame(each.as_json(), each.type)
    last = events.close()
    await answer.aclose()  # who has read the last event may rely on it that nothing is held any more
    for each in last:
        yield frame(each.as_json(), each.type)


async def _whole(answer: Answering, events: MessageEvents) -> MessageReply:
    fold = MessageFold()
    fold.add(events.open())
    async for event in answer:
        fold.add(events.push(event))
    return fold.whole()
