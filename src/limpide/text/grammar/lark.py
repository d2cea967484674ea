"""Writes a grammar in llguidance's form of Lark, rule by rule."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

_ON_ONE_LINE: Final = {
    "x-guidance": {"whitespace_flexible": False, "item_separator": r",\x20?", "key_separator": r":\x20?"}
}
"""Where white space may stand in JSON: small models write it without end if they may, and it costs tokens anyway."""
_META = re.compile(r"[\\.+*?()|\[\]{}^$&\-~#/]")
_UNESCAPED = re.compile(r"\\.|[/\n]", re.DOTALL)

SplitSpecial = Callable[[str], Sequence[str | int]]
"""A text cut at special tokens: strings between them, ids for them."""


class Lark:
    """A grammar in the making. Methods return expressions, in which rules made on the way are named.

    Text is what a template would write: where it holds special tokens these are meant, and nothing else is; what
    the grammar leaves free can't hold special tokens at all.
    """

    def __init__(self, split: SplitSpecial) -> None:
        self.split = split
        self._bodies: dict[str, str] = {}
        self._names: dict[str, str] = {}
        self._grammars: list[dict[str, str]] = []

    def text(self, text: str) -> str:
        """Exactly this text."""
        parts = (f"<[{part}]>" if isinstance(part, int) else _quoted(part) for part in self.split(text))
        return " ".join(parts) or '""'

    def plain(self, text: str) -> str:
        """Exactly this text, in which nothing is a special token whatever it looks like."""
        return _quoted(text)

    def json(self, schema: Mapping[str, Any] | bool) -> str:
        """JSON that a schema accepts."""
        form = {"allOf": [schema]} if isinstance(schema, bool) else dict(schema)
        return self.rule(f"%json {json.dumps({**form, **_ON_ONE_LINE}, ensure_ascii=False)}")

    def regex(self, pattern: str, without: Sequence[str] = ()) -> str:
        """Text that a regular expression matches as a whole, and that does not hold one of some texts."""
        exclusion = f" & ~/(?s:.*)({'|'.join(map(escaped, without))})(?s:.*)/" if without else ""
        return self.terminal(f"/{_slashed(pattern)}/{exclusion}")

    def free(self, *without: str, at_start: bool = False) -> str:
        """Any text that does not hold one of some texts, or that does not begin with one of them."""
        if not without:
            return self.terminal("/(?s:.*)/")
        before = r"\s*" if at_start else "(?s:.*)"
        return self.terminal(f"/(?s:.*)/ & ~/{before}({'|'.join(map(escaped, without))})(?s:.*)/")

    def until(self, end: str, *, low: int = 0, high: int | None = None, unlike: Sequence[str] = ()) -> str:
        """Text of `low` to `high` characters up to the first `end`, and that.

        unlike: patterns, as they stand between slashes, that the whole may not match.
        White space before a special token in `end` is not insisted on.
        """
        counted = f"(?s:.{{{low},{'' if high is None else high}}})" if low or high is not None else "(?s:.*)"
        other = "".join(f" & ~/{pattern}/" for pattern in unlike)
        parts = self.split(end)
        special = next((number for number, part in enumerate(parts) if isinstance(part, int)), None)
        if special is None:
            once = f" & ~/(?s:.*){escaped(end)}(?s:.+)/" if low else ""
            return self.rule(self.terminal(f"/{counted}{escaped(end)}/{once}{other}"), options="[lazy]")
        end = end.removeprefix("".join(part for part in parts[:special] if isinstance(part, str)))
        return f"{self.terminal(f'/{counted}/ & ~/(?s:.*){escaped(end)}(?s:.*)/{other}')} {self.text(end)}"

    def grammar(self, text: str) -> str:
        """What another grammar derives."""
        name = f"g{len(self._grammars)}"
        self._grammars.append({"name": name, "lark_grammar": text})
        return f"@{name}"

    def any_of(self, alternatives: Sequence[str]) -> str:
        """One of some expressions."""
        return alternatives[0] if len(alternatives) == 1 else self.rule(" | ".join(alternatives))

    def rule(self, body: str, *, options: str = "") -> str:
        """A rule of that body."""
        return self._named("r", body, options)

    def reserve(self) -> str:
        """The name of a rule whose body is told later, with `define`: for rules that lead back to themselves."""
        name = f"r{len(self._bodies)}"
        self._bodies[name] = ""
        return name

    def define(self, name: str, body: str) -> None:
        """The body of a reserved rule."""
        self._bodies[name] = f": {body}"

    def terminal(self, body: str) -> str:
        """A terminal of that body."""
        return self._named("T", body, "")

    def finish(self, start: str) -> str:
        """The whole grammar, which begins with an expression."""
        text = "\n".join([f"start: {start}", *(f"{name}{body}" for name, body in self._bodies.items())])
        if not self._grammars:
            return text
        return json.dumps({"grammars": [{"lark_grammar": text}, *self._grammars]}, ensure_ascii=False)

    def _named(self, kind: str, body: str, options: str) -> str:
        line = f"{options}: {body}"
        name = self._names.get(kind + line)
        if name is None:
            name = self._names[kind + line] = f"{kind}{len(self._bodies)}"
            self._bodies[name] = line
        return name


def escaped(text: str) -> str:
    """A regular expression that matches this text alone."""
    return _META.sub(lambda found: f"\\{found[0]}", text).replace("\n", r"\n")


def _slashed(pattern: str) -> str:
    """A pattern as it can stand between slashes."""
    return _UNESCAPED.sub(lambda found: {"/": r"\/", "\n": r"\n"}.get(found[0], found[0]), pattern)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
