"""`/v1/responses`: answers with a state that the server keeps."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from starlette.responses import JSONResponse, Response

from limpide.core.errors import BadRequest, InvalidParameter, NotFound
from limpide.server.answering import Answering, start
from limpide.server.context import caller_of, host_of, settings_of
from limpide.server.errors import problem_of
from limpide.server.ids import new_id
from limpide.server.kept import kept_of
from limpide.server.responses.events import ENDINGS, ResponseWriter
from limpide.server.responses.frame import frame as new_response
from limpide.server.responses.making import Making
from limpide.server.responses.request import Question, read_request
from limpide.server.responses.tools import names_of
from limpide.server.sse import EventStream, Frames, frame, until_client_leaves
from limpide.server.store import StoredResponse
from limpide.server.wire.responses import ResponseRequest
from limpide.server.wire.stored import Deleted, ItemList, ResponseReply, page

router = APIRouter(tags=["responses"])
_STREAMED: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "JSON, or with `stream` server-sent events with names.",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    }
}


@router.post("/v1/responses", response_model=ResponseReply, responses=_STREAMED)
async def create_response(request: Request, asked: ResponseRequest) -> Response:
    """Answer, and keep the answer unless `store` is false."""
    if asked.background and asked.store is False:
        raise InvalidParameter("background", True, "store, too: who comes back for a response finds it stored")
    if asked.stream_options and not asked.stream:
        raise InvalidParameter("stream_options", "given", "nothing, unless stream is true")
    question = await _question(request, asked)
    if asked.background:
        return await _in_background(request, asked, question)
    if asked.stream:
        answer, making = await _begin(request, asked, question)
        try:
            created = await making.create()
        except BaseException:
            await answer.aclose()
            raise

        async def closing() -> None:
            try:
                await making.end()
            finally:
                await answer.aclose()

        return _stream(request, _events(created, _written(making, answer)), closing)

    async def whole() -> Response:
        answer, making = await _begin(request, asked, question)
        async with answer:
            await making.create()
            try:
                async for _ in making.write(answer):
                    pass
            finally:
                await making.end()
        if making.error is not None:
            raise making.error
        return JSONResponse(making.body)

    return await until_client_leaves(request.receive, whole())


@router.get("/v1/responses/{response_id}", response_model=ResponseReply, responses=_STREAMED)
async def get_response(
    request: Request,
    response_id: str,
    stream: bool = False,
    starting_after: Annotated[int | None, Query(ge=0)] = None,
) -> Response:
    """A stored response; with `stream` the events of one that was made with `background` and `stream`."""
    kept = kept_of(request)
    live = kept.background.find(response_id)  # first: it may end while the store is read
    stored = await kept.responses.get(response_id, caller_of(request).client)
    if not stream:
        if starting_after is not None:
            raise InvalidParameter("starting_after", starting_after, "nothing, unless stream is true")
        return JSONResponse(stored.body if live is None or live.ended else live.making.body)
    after = -1 if starting_after is None else starting_after
    if live is not None:
        return _stream(request, live.follow(after))
    if stored.events is None:
        raise BadRequest(
            f"the stream of {response_id} was not kept", expected="a response made with background and stream"
        )
    return _stream(request, _events([dict(event) for event in stored.events if event["sequence_number"] > after]))


@router.delete("/v1/responses/{response_id}", response_model=Deleted)
async def delete_response(request: Request, response_id: str) -> Response:
    """Forget a response; one that is being written in the background is cancelled."""
    kept, client = kept_of(request), caller_of(request).client
    live = kept.background.find(response_id)
    await kept.responses.get(response_id, client)
    if live is not None:
        await kept.background.cancel(live)
    await kept.responses.delete(response_id, client)
    return JSONResponse({"id": response_id, "object": "response", "deleted": True})


@router.post("/v1/responses/{response_id}/cancel", response_model=ResponseReply)
async def cancel_response(request: Request, response_id: str) -> Response:
    """Stop a response that is being written in the background."""
    kept, client = kept_of(request), caller_of(request).client
    live = kept.background.find(response_id)
    stored = await kept.responses.get(response_id, client)
    if not stored.body["background"]:
        raise BadRequest(
            f"{response_id} is not written in the background", hint="close the connection to stop an answer"
        )
    if live is not None:
        await kept.background.cancel(live)
        stored = await kept.responses.get(response_id, client)
    elif stored.body["status"] in ("queued", "in_progress"):
        raise BadRequest(f"{response_id} is being written by another process of this server")
    return JSONResponse(stored.body)


@router.get("/v1/responses/{response_id}/input_items", response_model=ItemList)
async def list_input_items(
    request: Request,
    response_id: str,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    order: Literal["asc", "desc"] = "desc",
    after: str | None = None,
) -> Response:
    """The items of a response's own input, without those of the responses before it."""
    stored = await kept_of(request).responses.get(response_id, caller_of(request).client)
    items = list(stored.input) if order == "asc" else list(reversed(stored.input))
    if after is not None:
        ids = [item["id"] for item in items]
        if after not in ids:
            raise NotFound(f"{response_id} has no input item {after[:80]!r}")
        items = items[ids.index(after) + 1 :]
    return JSONResponse(page(items[: limit + 1], limit))


async def _question(request: Request, asked: ResponseRequest) -> Question:
    earlier = []
    if asked.previous_response_id is not None:
        responses = kept_of(request).responses
        earlier = await responses.conversation(asked.previous_response_id, caller_of(request).client)
    return read_request(asked, earlier=earlier, new_id=new_id, default_think=settings_of(request).default_think)


async def _begin(request: Request, asked: ResponseRequest, question: Question) -> tuple[Answering, Making]:
    """Have a model begin. What is wrong with the request is raised here, before anything is stored."""
    name = new_id("resp_")
    answer = await start(request, name, asked.model, lambda served, caller: served.chat(question.chat, caller))
    return answer, _making(request, asked, question, name, answer.model.info.name)


def _making(request: Request, asked: ResponseRequest, question: Question, name: str, model: str) -> Making:
    kept, stored = kept_of(request), asked.store is not False
    body = new_response(name, model, asked, question.chat, stored=stored)
    return Making(
        ResponseWriter(dict(body), new_id, outcomes=question.outcomes, names=names_of(asked.tools)),
        kept.responses if stored else None,
        StoredResponse(name, caller_of(request).client, body, question.items),
        keep_events=bool(asked.background and asked.stream),
    )


async def _in_background(request: Request, asked: ResponseRequest, question: Question) -> Response:
    background, name = kept_of(request).background, new_id("resp_")
    background.check_room()
    model = asked.model or host_of(request).offers()[0].name
    making = _making(request, asked, question, name, model)
    created = await making.create()
    body = making.body
    live = background.start(
        making,
        created,
        lambda: start(request, name, asked.model, lambda served, caller: served.chat(question.chat, caller)),
    )
    return _stream(request, live.follow()) if asked.stream else JSONResponse(body)


def _stream(request: Request, events: AsyncGenerator[dict[str, Any], None], closing: Any = None) -> EventStream:
    async def nothing() -> None:
        pass

    ping = settings_of(request).ping_seconds
    return EventStream(_frames(events), ping_seconds=ping, closing=closing or nothing, on_error=_error_frame)


async def _frames(events: AsyncGenerator[dict[str, Any], None]) -> Frames:
    try:
        async for event in events:
            yield frame(json.dumps(event, ensure_ascii=False), event["type"])
    finally:
        await events.aclose()


async def _events(
    first: list[dict[str, Any]], rest: AsyncGenerator[dict[str, Any], None] | None = None
) -> AsyncGenerator[dict[str, Any], None]:
    for event in first:
        yield event
    if rest is not None:
        try:
            async for event in rest:
                yield event
        finally:
            await rest.aclose()


async def _written(making: Making, answer: Answering) -> AsyncGenerator[dict[str, Any], None]:
    async for event in making.write(answer):
        if event["type"] in ENDINGS:
            await answer.aclose()  # who has read the last event may rely on it that nothing is held any more
        yield event


def _error_frame(error: Exception) -> bytes:
    """For what goes wrong beside the response itself, such as storing it."""
    problem = problem_of(error)
    event = {"type": "error", "code": problem.code, "message": problem.message, "param": problem.param}
    return frame(json.dumps({**event, "sequence_number": 0}, ensure_ascii=False), "error")
