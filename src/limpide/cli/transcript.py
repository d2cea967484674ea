"""A conversation as a file: Markdown to read, JSON to read back."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from limpide.cli.terminal import harmless
from limpide.core.errors import DiskFull, InvalidParameter
from limpide.core.messages import Message
from limpide.core.results import to_json

SCHEMA = "limpide.chat/1"
_SUFFIXES = ".md or .json"


def save(path: Path, messages: Sequence[Message], about: Mapping[str, Any]) -> None:
    """Write the conversation, whole or not at all; the suffix says the form. Raises InvalidParameter, DiskFull."""
    if path.suffix.lower() == ".json":
        turns = [_turn(message) for message in messages]
        content = to_json({"schema": SCHEMA, **about, "messages": turns}) + "\n"
    elif path.suffix.lower() == ".md":
        content = _markdown(messages, about)
    else:
        raise InvalidParameter("file", str(path), f"a name that ends in {_SUFFIXES}")
    _write_whole(path, content)


def load(path: Path) -> tuple[Message, ...]:
    """Read a conversation that `save` wrote as JSON. Raises InvalidParameter for anything else."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if data["schema"] != SCHEMA:
            raise ValueError
        return tuple(Message(turn["role"], turn["content"], turn.get("thinking")) for turn in data["messages"])
    except OSError as error:
        raise InvalidParameter("file", str(path), f"a file that can be read ({error.strerror})") from None
    except (ValueError, KeyError, TypeError, RecursionError):
        raise InvalidParameter("file", str(path), "a conversation that /save wrote as .json") from None


def _turn(message: Message) -> dict[str, str]:
    turn = {"role": message.role, "content": message.content}
    return {**turn, "thinking": message.thinking} if message.thinking else turn


def _markdown(messages: Sequence[Message], about: Mapping[str, Any]) -> str:
    parts = ["# Conversation\n"]
    parts += [f"- {name}: {value}" for name, value in about.items()]
    for message in messages:
        parts.append(f"\n## {message.role.capitalize()}\n")
        if message.thinking:
            quoted = "\n".join(f"> {line}" for line in message.thinking.strip().splitlines())
            parts.append(f"{quoted}\n")
        parts.append(message.content)
    return harmless("\n".join(parts)) + "\n"  # Markdown is for reading, often in a terminal


def _write_whole(path: Path, content: str) -> None:
    """Write beside the target and move: a crash or a full disk leaves the old file or none, never half of one."""
    try:
        handle, name = tempfile.mkstemp(dir=path.parent or Path(), prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        import errno

        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(f"{path} could not be written: {error.strerror}", hint="free some room") from None
        raise InvalidParameter("file", str(path), f"a place that can be written ({error.strerror})") from None
