"""`/catalog`, `/pulls`, `/load`, `/unload` over HTTP: a scripted host, the real stock, models from a shelf."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from scripted_hosts import FakeHost

from limpide.backends.fake import FakeBackend
from limpide.backends.pool import Source
from limpide.hub import CATALOG, LocatedModel, Store
from limpide.hub.progress import Progress
from limpide.hub.sources import SourceFailed
from limpide.hub.stock import HubStock, Serving
from limpide.server.access import KeyRules, KeyStore, new_key
from limpide.server.app import create_app
from limpide.server.guards import Guards

sys.path.append(str(Path(__file__).parents[1] / "hub"))
from tinymodel import Shelf, make_entry

DATA = b"GGUF" + bytes(50_000)


class Nowhere(Shelf):
    """A source out of reach."""

    def fetch(self, target: Path, scratch: Path, progress: Progress) -> Path:
        raise SourceFailed("the shelf is empty")


@pytest.fixture(autouse=True)
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty machine, and a model called `tiny` that it can get."""
    for name in list(os.environ):
        if name.startswith(("LIMPIDE_", "HF_", "PIP_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("LIMPIDE_HOME", str(tmp_path))
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.setitem(CATALOG, "tiny", make_entry(DATA, Shelf(DATA)))
    monkeypatch.setitem(CATALOG, "gone", make_entry(DATA, Nowhere(DATA), name="gone"))


class Served:
    """A host whose stock brings it scripted models in place of those that come."""

    def __init__(self, **options: Any) -> None:
        self.host = FakeHost(fake=FakeBackend("ok"))
        self.stock = HubStock([], Serving(memory=4 << 30, **options), self.arrive)

    def arrive(self, name: str, _: LocatedModel) -> None:
        backend = FakeBackend(f"I am {name}.", name=name)
        self.host.backends[name] = backend
        self.host.engines.append(backend.engine)
        self.host.add(Source(name, lambda: backend, lambda: 0))


@pytest.fixture
def start(serve: Callable[..., httpx.Client]) -> Iterator[Callable[..., httpx.Client]]:
    made: list[Served] = []

    def begin(guard: Guards | None = None, **options: Any) -> httpx.Client:
        made.append(Served(**options))
        return serve(made[-1].host, guard=guard, stock=made[-1].stock)

    yield begin
    for served in made:
        served.host.check()


def ended(http: httpx.Client, pull: dict[str, Any]) -> dict[str, Any]:
    while pull["state"] in ("running", "cancelling"):
        pull = http.get(f"/pulls/{pull['id']}").json()
    return pull


def test_a_model_that_was_pulled_is_served_without_a_restart(start: Callable[..., httpx.Client]) -> None:
    http = start()
    listed = {model["name"]: model for model in http.get("/catalog").json()["models"]}
    assert (listed["tiny"]["here"], listed["tiny"]["terms"][0]["commercial"]) == (False, "yes")
    question = {"model": "tiny", "messages": [{"role": "user", "content": "who?"}]}
    assert http.post("/v1/chat/completions", json=question).status_code == 404
    pull = ended(http, http.post("/pulls", json={"model": "tiny"}).json())
    assert (pull["state"], pull["error"]) == ("done", None)
    assert http.get("/pulls").json()["data"] == [pull]
    assert [model["id"] for model in http.get("/v1/models").json()["data"]] == ["fake", "tiny"]
    loaded = http.post("/load", json={"model": "tiny"}).json()
    assert loaded["state"] == "loaded"
    assert loaded["resident_before"] > 0 < loaded["resident_after"]
    answer = http.post("/v1/chat/completions", json=question).json()
    assert answer["choices"][0]["message"]["content"] == "I am tiny."
    assert http.post("/unload", json={"model": "tiny"}).json()["state"] == "unloaded"
    first = http.get("/catalog").json()["models"][0]
    assert (first["name"], first["here"]) == ("tiny", True)


def test_what_is_in_use_stays() -> None:
    async def main() -> list[str]:
        host = FakeHost(fake=FakeBackend("ok"))
        transport = httpx.ASGITransport(create_app(host))
        async with httpx.AsyncClient(transport=transport, base_url="http://limpide") as http:
            async with host.use("fake"):
                states = [(await http.post("/unload", json={"model": "fake"})).json()["state"]]
            states.append((await http.post("/unload", json={"model": "fake"})).json()["state"])
            assert (await http.post("/unload", json={"model": "nobody"})).status_code == 404
        return states

    assert asyncio.run(main()) == ["loaded", "unloaded"]


def test_every_refusal_has_its_name(start: Callable[..., httpx.Client]) -> None:
    http = start()

    def refused(body: dict[str, Any], client: httpx.Client = http) -> tuple[int, str]:
        answer = client.post("/pulls", json=body)
        return answer.status_code, answer.json()["error"]["code"]

    assert refused({"model": "nothing-like-it"}) == (404, "model_not_found")
    assert refused({"model": str(Path(__file__))}) == (404, "model_not_found")
    assert refused({"model": "gemma3-270m"}) == (403, "licence_not_accepted")
    assert refused({"model": "tiny", "accept_licences": ["nobody's"]})[0] == 400
    assert refused({"model": ""})[0] == 400
    assert refused({"model": "tiny"}, start(offline=True)) == (403, "offline_error")
    assert http.get("/pulls").json()["data"] == []
    assert http.get("/pulls/pull-none").status_code == 404
    assert http.post("/pulls/pull-none/cancel").status_code == 404
    failed = ended(http, http.post("/pulls", json={"model": "gone"}).json())
    assert (failed["state"], failed["error"]["code"]) == ("failed", "download_failed")
    assert Store().models() == []


def test_a_key_for_some_models_brings_moves_and_stops_no_others(
    start: Callable[..., httpx.Client], tmp_path: Path
) -> None:
    with KeyStore(tmp_path / "keys.sqlite") as keys:
        text, key = new_key("narrow", KeyRules(models=("fake",)))
        keys.add(key)
        http = start(Guards(keys=keys))
        own = {"Authorization": f"Bearer {text}"}
        for path in ("/pulls", "/load", "/unload"):
            assert http.post(path, json={"model": "tiny"}, headers=own).status_code == 403, path
        assert http.get("/pulls").json()["data"] == []
        pull = http.post("/pulls", json={"model": "tiny"}).json()
        assert http.post(f"/pulls/{pull['id']}/cancel", headers=own).status_code == 403
        assert ended(http, pull)["state"] == "done"
        assert http.post("/load", json={"model": "fake"}, headers=own).json()["state"] == "loaded"


def test_an_application_without_a_stock_has_an_empty_catalog(
    fake_host: Callable[..., Any], serve: Callable[..., httpx.Client]
) -> None:
    http = serve(fake_host("ok"))
    assert http.get("/catalog").json() == {"object": "catalog", "room": None, "models": []}
    assert http.post("/pulls", json={"model": "smollm2-135m"}).status_code == 404
    assert http.post("/load", json={"model": "fake"}).json()["resident_after"] is None
