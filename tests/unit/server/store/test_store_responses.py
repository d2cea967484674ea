from __future__ import annotations

from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Protocol

import pytest

from limpide.core.errors import BadRequest, NotFound
from limpide.server.store import Database, ResponseStore, StoredResponse


class Run(Protocol):
    def __call__(self, coroutine: Coroutine[Any, Any, Any]) -> Any: ...


def response(name: str, status: str = "completed", previous: str | None = None, **more: Any) -> StoredResponse:
    output = [{"type": "message", "id": f"msg_{name}"}]
    body = {
        "id": f"resp_{name}",
        "created_at": 100,
        "status": status,
        "previous_response_id": previous,
        "output": output,
        **more,
    }
    return StoredResponse(f"resp_{name}", "somebody", body, [{"type": "message", "id": f"in_{name}"}])


@pytest.fixture
def store(database: Database) -> ResponseStore:
    return ResponseStore(database)


def test_a_response_comes_back_as_it_was(store: ResponseStore, run: Run) -> None:
    begun = response("a", "in_progress", metadata={"käse": "🧀\x00"})
    run(store.add(begun))
    assert run(store.get("resp_a", "somebody")) == begun
    done = {**begun.body, "status": "completed"}
    events = [{"type": "response.created", "sequence_number": 0}]
    assert run(store.update(done, ended=True, events=events))
    got = run(store.get("resp_a", "somebody"))
    assert (got.body, got.events, got.input) == (done, events, begun.input)


def test_nobody_else_sees_it(store: ResponseStore, run: Run) -> None:
    run(store.add(response("a")))
    for ask in (store.get, store.delete, store.conversation):
        with pytest.raises(NotFound, match="there is no response 'resp_a'"):
            run(ask("resp_a", "another"))
    assert run(store.get("resp_a", "somebody"))


def test_what_was_deleted_does_not_come_back(store: ResponseStore, run: Run) -> None:
    run(store.add(response("a", "in_progress")))
    run(store.delete("resp_a", "somebody"))
    assert not run(store.update(response("a").body, ended=True)), "its end is not stored"
    with pytest.raises(NotFound):
        run(store.get("resp_a", "somebody"))


def test_a_conversation_is_everything_in_order(store: ResponseStore, run: Run) -> None:
    for name, previous in (("a", None), ("b", "resp_a"), ("c", "resp_b")):
        run(store.add(response(name, previous=previous)))
    items = run(store.conversation("resp_c", "somebody"))
    assert [item["id"] for item in items] == ["in_a", "msg_a", "in_b", "msg_b", "in_c", "msg_c"]


def test_a_conversation_with_a_hole_is_refused(store: ResponseStore, run: Run) -> None:
    for name, previous in (("a", None), ("b", "resp_a"), ("c", "resp_b")):
        run(store.add(response(name, previous=previous)))
    run(store.delete("resp_a", "somebody"))
    with pytest.raises(NotFound, match="'resp_a'"):
        run(store.conversation("resp_c", "somebody"))


@pytest.mark.parametrize("status", ["queued", "in_progress", "failed", "cancelled"])
def test_without_an_answer_there_is_nothing_to_go_on_from(store: ResponseStore, run: Run, status: str) -> None:
    run(store.add(response("a", status)))
    with pytest.raises(BadRequest, match=f"resp_a is {status}"):
        run(store.conversation("resp_a", "somebody"))


def test_only_what_dead_processes_left_is_marked(path: Path, run: Run) -> None:
    mine, others = Database(path), Database(path)
    alive, dead = ResponseStore(mine), ResponseStore(others)
    run(alive.add(response("alive", "in_progress")))
    run(dead.add(response("dead", "in_progress")))
    run(dead.add(response("done", "in_progress")))
    run(dead.update(response("done").body, ended=True))
    assert run(alive.mark_stopped()) == 0, "the other one still lives"
    dead.close()
    assert run(alive.mark_stopped()) == 1
    states = {name: run(alive.get(f"resp_{name}", "somebody")).body for name in ("alive", "dead", "done")}
    assert {name: body["status"] for name, body in states.items()} == {
        "alive": "in_progress",
        "dead": "failed",
        "done": "completed",
    }
    assert states["dead"]["error"]["message"] == "the server stopped while this response was being written"
    assert run(alive.mark_stopped()) == 0
    for database in (mine, others):
        run(database.close())


def test_old_ones_are_dropped_unless_they_are_being_written(store: ResponseStore, run: Run) -> None:
    for name in ("old", "running"):
        run(store.add(response(name, "in_progress")))
    run(store.update(response("old").body, ended=True))
    assert run(store.drop_older(100)) == 0
    assert run(store.drop_older(101)) == 1
    assert run(store.get("resp_running", "somebody"))
