"""Whose request this is, and whether it may be made."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections.abc import Callable, Collection, Sequence

from limpide.core.errors import KeyRefused, LimitReached, NotAllowed
from limpide.core.events import Usage
from limpide.server.access.allowance import Allowances
from limpide.server.access.key import Key, id_of
from limpide.server.access.store import KeyStore, seconds_to_midnight

_log = logging.getLogger("limpide.server.access")

HOW = "Authorization: Bearer KEY, or x-api-key: KEY"


class Keyring:
    """The rules of access. For one event loop; `time` is seconds since 1970, `clock` any that never goes back."""

    def __init__(
        self,
        store: KeyStore | None,
        *,
        required: bool,
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._required = required
        self._now = now
        self.allowances = Allowances(clock)

    def identify(self, presented: Sequence[str]) -> Key | None:
        """The key among what a request presented; None if it needs none and brought none of ours.

        Clients send a made-up key where none is needed, which means nothing. One of our form must be right.
        Raises KeyRefused.
        """
        for text in presented:
            if key_id := id_of(text):
                return self._checked(text, key_id)
        if not self._required:
            return None
        what = "that is not a key of this server" if presented else "this server wants a key, and none came"
        raise KeyRefused(what, expected=HOW, hint="limpide keys create NAME, on the machine that serves")

    def check_model(self, client: str, names: Collection[str]) -> None:
        """Whether this caller may use the model that goes by these names. Raises KeyRefused or NotAllowed."""
        key = self._key_of(client)
        if key is None or key.rules.models is None or not set(names).isdisjoint(key.rules.models):
            return
        raise NotAllowed(f"the key {key.name} may not use {next(iter(names))}", expected=" or ".join(key.rules.models))

    def check_budget(self, client: str) -> None:
        """Whether this caller may have something computed today. Raises KeyRefused or LimitReached."""
        key = self._key_of(client)
        if key is None or key.rules.tokens_per_day is None or self._store is None:
            return
        used = self._store.used(key.id, self._now()).tokens
        if used >= key.rules.tokens_per_day:
            raise LimitReached(
                f"the key {key.name} has used {used} tokens today",
                retry_after=seconds_to_midnight(self._now()),
                expected=f"at most {key.rules.tokens_per_day} per day (UTC)",
            )

    async def charge(self, client: str, usage: Usage) -> None:
        """Write down what this caller used; nothing for one without a key."""
        key_id = _key_id(client)
        if key_id is None or self._store is None:
            return
        try:
            await asyncio.to_thread(self._store.charge, key_id, usage, self._now())
        except sqlite3.Error as error:  # the answer is there, and not having it would help nobody
            _log.error("what a key used was not written down", extra={"fields": {"key": key_id, "why": str(error)}})

    def _key_of(self, client: str) -> Key | None:
        """The caller's key as it is now: what was asked yesterday may be computed, in a batch, today."""
        key_id = _key_id(client)
        if key_id is None:
            return None
        key = self._store.find(key_id) if self._store else None
        if key is None:
            raise KeyRefused("the key that this was asked with is there no more", hint="limpide keys list")
        self._check_expiry(key)
        return key

    def _checked(self, text: str, key_id: str) -> Key:
        key = self._store.find(key_id) if self._store else None
        if key is None or not key.opens_with(text):
            raise KeyRefused(f"the key lmp_{key_id}_… is not one of this server's", expected=HOW)
        self._check_expiry(key)
        return key

    def _check_expiry(self, key: Key) -> None:
        if key.rules.expired(self._now()):
            raise KeyRefused(f"the key {key.name} has expired", hint=f"limpide keys create {key.name}")


def _key_id(client: str) -> str | None:
    return client.removeprefix("key:") if client.startswith("key:") else None
