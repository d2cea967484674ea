"""What is stored belongs to a key, and a batch is worked off on behalf of its key, with a key required or not."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import httpx

from limpide.server.access import Key, KeyStore
from limpide.server.app import create_app
from limpide.server.guards import Guards

LINE = {
    "custom_id": "a",
    "method": "POST",
    "url": "/v1/chat/completions",
    "body": {"model": "fake", "messages": [{"role": "user", "content": "hi"}]},
}


def test_a_key_sees_its_own_and_pays_for_its_batch(
    fake_host: Callable[..., Any], store: KeyStore, make_key: Callable[..., tuple[str, Key]]
) -> None:
    mine, key = make_key("mine")
    others, _ = make_key("others")
    app = create_app(fake_host("one two three"), guard=Guards(keys=store, require_keys=True))

    async def scenario(owner: httpx.AsyncClient, stranger: httpx.AsyncClient) -> None:
        response = (await owner.post("/v1/responses", json={"input": "hi"})).json()
        form: dict[str, Any] = {"files": {"file": json.dumps(LINE).encode()}, "data": {"purpose": "batch"}}
        file = (await owner.post("/v1/files", **form)).json()
        asked = {"input_file_id": file["id"], "endpoint": LINE["url"], "completion_window": "24h"}
        before = store.used(key.id).requests
        batch = (await owner.post("/v1/batches", json=asked)).json()
        while batch["status"] not in ("completed", "failed"):
            batch = (await owner.get(f"/v1/batches/{batch['id']}")).json()
        assert batch["request_counts"] == {"total": 1, "completed": 1, "failed": 0}
        assert store.used(key.id).answer > 0
        assert store.used(key.id).requests > before
        paths = [f"/v1/responses/{response['id']}", f"/v1/files/{file['id']}", f"/v1/batches/{batch['id']}"]
        paths += [f"/v1/files/{batch['output_file_id']}/content", f"{paths[0]}/input_items"]
        assert [(await owner.get(path)).status_code for path in paths] == [200] * 5
        assert [(await stranger.get(path)).status_code for path in paths] == [404] * 5
        for path in ("/v1/files", "/v1/batches"):
            assert (await owner.get(path)).json()["data"]
            assert (await stranger.get(path)).json()["data"] == []

    async def run() -> None:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        clients = [
            httpx.AsyncClient(
                transport=transport, base_url="http://localhost", headers={"authorization": f"Bearer {text}"}
            )
            for text in (mine, others)
        ]
        async with app.router.lifespan_context(app):
            await asyncio.wait_for(scenario(*clients), 60)
        for client in clients:
            await client.aclose()

    asyncio.run(run())
