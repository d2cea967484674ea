"""A key: who may ask, for what, and how much."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from dataclasses import dataclass, field

from limpide.core.errors import InvalidParameter

_FORM = re.compile(r"lmp_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
MOST_REQUESTS = 100_000
"""Requests per minute; each is remembered for a minute."""


@dataclass(frozen=True, slots=True)
class KeyRules:
    """What a key allows. None: as much as the server gives."""

    requests_per_minute: int | None = None
    tokens_per_day: int | None = None
    """Prompt and generated tokens per day, which begins at midnight UTC."""
    concurrent: int | None = None
    """Requests at the same time."""
    models: tuple[str, ...] | None = None
    expires: int | None = None
    """Seconds since 1970."""

    def __post_init__(self) -> None:
        bounds = {"requests_per_minute": MOST_REQUESTS, "tokens_per_day": 10**15, "concurrent": 100_000}
        for name, most in bounds.items():
            value = getattr(self, name)
            if value is not None and not 1 <= value <= most:
                raise InvalidParameter(name.replace("_", "-"), value, f"a number from 1 to {most}")
        if self.models is not None and not self.models:
            raise InvalidParameter("models", self.models, "at least one model, or no restriction")

    def expired(self, now: float) -> bool:
        """Whether the key opens nothing any more."""
        return self.expires is not None and now >= self.expires


@dataclass(frozen=True, slots=True)
class Key:
    """A key as it is stored: what it allows, and a hash of it by which it is recognised."""

    id: str
    """Its public part, by which it is looked up."""
    name: str
    sha256: str
    created: int
    rules: KeyRules = field(default_factory=KeyRules)

    @property
    def client(self) -> str:
        """What it is called as a `core.hosting.Caller`; never the same as an address."""
        return f"key:{self.id}"

    def opens_with(self, text: str) -> bool:
        """Whether this is the key, taking as long for a near miss as for a far one."""
        return hmac.compare_digest(_hash(text), self.sha256)


def new_key(name: str, rules: KeyRules) -> tuple[str, Key]:
    """A new key: its text, which is in nobody's hands afterwards but the caller's, and what is stored of it.

    256 bits from the system's source of randomness: nobody guesses them, so one round of SHA-256 hides them.
    """
    if not _NAME.fullmatch(name):
        raise InvalidParameter("name", name, "1 to 64 letters, digits or . _ @ -, the first a letter or digit")
    key_id = secrets.token_hex(6)
    text = f"lmp_{key_id}_{secrets.token_urlsafe(32)}"
    return text, Key(key_id, name, _hash(text), int(time.time()), rules)


def id_of(text: str) -> str | None:
    """The public part of what looks like one of our keys; None for anything else."""
    match = _FORM.fullmatch(text)
    return match[1] if match else None


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
