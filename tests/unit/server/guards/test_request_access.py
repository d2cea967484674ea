"""Who may ask: with a key, without one, from a web page, from another machine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from asgi_client import Echo, ask

from limpide.core.errors import InvalidParameter, KeyRefused, LimitReached, NotAllowed
from limpide.core.events import Usage
from limpide.core.hosting import Caller
from limpide.server.access import Key, Keyring, KeyStore, LocalOnly, RequestAccess, check_binding, is_loopback
from limpide.server.access.store import DAY

Make = Callable[..., tuple[str, Key]]
HOST = ("host", "localhost:8000")


@dataclass
class Time:
    """A clock that goes when it is told to."""

    now: float = 20_000.0 * DAY

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def keyring(store: KeyStore, time: Time) -> Keyring:
    return Keyring(store, required=True, now=time, clock=time)


@pytest.fixture
def app(echo: Echo, keyring: Keyring) -> RequestAccess:
    return RequestAccess(echo, keyring)


def bearer(text: str) -> list[tuple[str, str]]:
    return [HOST, ("authorization", f"Bearer {text}")]


@pytest.mark.parametrize("name", ["authorization", "x-api-key"])
def test_a_key_in_either_header(name: str, app: RequestAccess, echo: Echo, make_key: Make) -> None:
    text, key = make_key()
    value = f"bearer  {text}" if name == "authorization" else text
    answer = asyncio.run(ask(app, b"{}", headers=[HOST, (name, value)]))
    assert answer.status == 200
    assert echo.scopes[0]["state"]["caller"] == Caller(f"key:{key.id}")


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("authorization", "Basic bG1wXzEy")],
        [("authorization", "Bearer sk-proj-something")],
        [("x-api-key", "lmp_000000000000_" + "A" * 43)],
        [("x-api-key", "")],
    ],
)
def test_no_key_no_answer(headers: list[tuple[str, str]], app: RequestAccess, echo: Echo, make_key: Make) -> None:
    make_key()
    answer = asyncio.run(ask(app, b"{}", headers=[HOST, *headers]))
    assert answer.status == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.error["type"] == "authentication_error"
    assert echo.scopes == [], "the app was not asked"
    assert asyncio.run(ask(app, path="/health", method="GET", headers=[HOST])).status == 200


def test_every_character_of_a_key_counts(app: RequestAccess, make_key: Make) -> None:
    text, _ = make_key()
    for place in range(len(text)):
        other = text[:place] + ("0" if text[place] != "0" else "1") + text[place + 1 :]
        assert asyncio.run(ask(app, b"", headers=bearer(other))).status == 401
    assert asyncio.run(ask(app, b"", headers=bearer(text))).status == 200


def test_a_made_up_key_beside_ours(app: RequestAccess, make_key: Make) -> None:
    """Agents send two headers when both of their variables are set."""
    text, _ = make_key()
    headers = [HOST, ("authorization", "Bearer sk-ant-other"), ("x-api-key", text)]
    assert asyncio.run(ask(app, b"", headers=headers)).status == 200


def test_where_no_key_is_needed(echo: Echo, store: KeyStore, make_key: Make) -> None:
    app = RequestAccess(echo, Keyring(store, required=False))
    text, key = make_key()
    assert asyncio.run(ask(app, b"", client="127.0.0.1")).status == 200
    assert asyncio.run(ask(app, b"", headers=bearer("EMPTY"))).status == 200
    assert asyncio.run(ask(app, b"", headers=bearer(text))).status == 200
    assert [scope["state"]["caller"].client for scope in echo.scopes] == ["127.0.0.1", "127.0.0.1", key.client]
    store.revoke("alice")
    assert asyncio.run(ask(app, b"", headers=bearer(text))).status == 401, "ours, and wrong"


def test_revoked_and_expired(app: RequestAccess, store: KeyStore, make_key: Make, time: Time) -> None:
    text, _ = make_key(expires=int(time.now) + 10)
    assert asyncio.run(ask(app, b"", headers=bearer(text))).status == 200
    time.now += 10
    answer = asyncio.run(ask(app, b"", headers=bearer(text)))
    assert answer.status == 401
    assert "expired" in answer.error["message"]
    other, _ = make_key("bob")
    assert asyncio.run(ask(app, b"", headers=bearer(other))).status == 200
    store.revoke("bob")
    assert asyncio.run(ask(app, b"", headers=bearer(other))).status == 401


def test_requests_per_minute(app: RequestAccess, make_key: Make, time: Time) -> None:
    text, _ = make_key(requests_per_minute=2)
    other, _ = make_key("bob", requests_per_minute=1)
    status = lambda key: asyncio.run(ask(app, b"", headers=bearer(key)))  # noqa: E731
    assert status(text).status == 200
    time.now += 20
    assert status(text).status == 200
    time.now += 0.5
    refused = status(text)
    assert refused.status == 429
    assert refused.headers["retry-after"] == "40", "when the first of the two is a minute old"
    assert status(other).status == 200, "each key counts for itself"
    time.now += 39.4
    assert status(text).status == 429
    time.now += 0.1
    assert status(text).status == 200, "what was refused did not count"


def test_concurrent_requests(keyring: Keyring, make_key: Make) -> None:
    async def scenario() -> None:
        text, _ = make_key(concurrent=1)
        inside, go_on = asyncio.Event(), asyncio.Event()

        async def slow(scope: object, receive: object, send: object) -> None:
            inside.set()
            await go_on.wait()
            raise RuntimeError("an app that fails gives its place back too")

        app = RequestAccess(slow, keyring)
        first = asyncio.create_task(ask(app, b"", headers=bearer(text)))
        await inside.wait()
        refused = await ask(app, b"", headers=bearer(text))
        assert refused.status == 429
        assert refused.headers["retry-after"] == "1"
        for ending in (go_on.set, None):
            if ending:
                ending()
                with pytest.raises(RuntimeError):
                    await first
            else:
                go_on.clear()
                inside.clear()
                task = asyncio.create_task(ask(app, b"", headers=bearer(text)))
                await inside.wait()
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
        go_on.set()
        with pytest.raises(RuntimeError):
            await ask(app, b"", headers=bearer(text))

    asyncio.run(scenario())


def test_models_of_a_key(keyring: Keyring, make_key: Make) -> None:
    _, key = make_key(models=("small", "large"))
    keyring.check_model(key.client, ("small",))
    keyring.check_model(key.client, ("hf:org/name", "large"))
    keyring.check_model("127.0.0.1", ("other",))
    with pytest.raises(NotAllowed, match="other"):
        keyring.check_model(key.client, ("other",))


def test_the_days_budget(keyring: Keyring, store: KeyStore, make_key: Make, time: Time) -> None:
    _, key = make_key(tokens_per_day=100)
    time.now += DAY - 600
    asyncio.run(keyring.charge(key.client, Usage(60, 10, 20, 19)))
    keyring.check_budget(key.client)
    asyncio.run(keyring.charge(key.client, Usage(1, 0, 0, 0)))
    with pytest.raises(LimitReached) as refused:
        keyring.check_budget(key.client)
    assert refused.value.retry_after == 600
    with KeyStore(store.path) as other, pytest.raises(LimitReached):  # a restart is no new day
        Keyring(other, required=True, now=time).check_budget(key.client)
    time.now += 600
    keyring.check_budget(key.client)
    asyncio.run(keyring.charge("127.0.0.1", Usage(1, 0, 0, 0)))  # nobody to charge


def test_what_was_asked_before_a_revocation(keyring: Keyring, store: KeyStore, make_key: Make) -> None:
    _, key = make_key()
    keyring.check_budget(key.client)
    store.revoke("alice")
    for check in (keyring.check_budget, lambda client: keyring.check_model(client, ("m",))):
        with pytest.raises(KeyRefused):
            check(key.client)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.8.8", "::1", "[::1]", "localhost"])
def test_loopback(address: str) -> None:
    assert is_loopback(address)
    check_binding(address, None)


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "192.168.1.5", "example.org", "", "127.0.0.1.example.org"])
def test_beyond_loopback_a_key_is_needed(address: str, store: KeyStore, make_key: Make) -> None:
    for keys in (None, store):
        with pytest.raises(InvalidParameter, match="limpide keys create"):
            check_binding(address, keys)
    make_key()
    check_binding(address, store)


def local(echo: Echo, *headers: tuple[str, str]) -> int:
    app = LocalOnly(echo, ["box.lan"], ["https://page.example"])
    return asyncio.run(ask(app, b"", headers=headers)).status


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:8000", "127.0.0.1:8000", "[::1]:8000", "box.lan", "Box.lan:1"]
)
def test_names_of_this_machine(host: str, echo: Echo) -> None:
    assert local(echo, ("host", host)) == 200


@pytest.mark.parametrize(
    "host",
    [
        "attacker.example",
        "127.0.0.1.attacker.example",
        "localhost.attacker.example:8000",
        "",
        "192.168.1.5",
        "[::1",
        "a@localhost:x",
    ],
)
def test_dns_rebinding(host: str, echo: Echo) -> None:
    assert local(echo, ("host", host)) == 403
    assert local(echo, HOST, ("host", host)) == 403
    assert local(echo) == 403
    assert echo.scopes == []


@pytest.mark.parametrize("origin", ["http://localhost:8000", "https://page.example", "https://PAGE.example"])
def test_pages_that_may_ask(origin: str, echo: Echo) -> None:
    assert local(echo, HOST, ("origin", origin)) == 200


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "https://attacker.example",
        "http://localhost:3000",
        "http://page.example",
        "https://page.example.attacker",
    ],
)
def test_pages_that_may_not(origin: str, echo: Echo) -> None:
    assert local(echo, HOST, ("origin", origin)) == 403
    assert local(echo, HOST, ("origin", "https://page.example"), ("origin", origin)) == 403
