"""Renders chat templates in a process of its own. Imports nothing of Limpide.

A template is a program by a stranger. Inside Python nothing can bound what it costs: not only loops, but single
operations (`'a' * 10**12`, the comparison of two nested lists) run for as long as they like. The kernel can: this
process has a limit on memory and, while it renders, on processor time, and it can open no file: see
`confined_worker.py`, which calls `make`.

In: source, context, max_characters. Out: text, or error and message.
"""

from __future__ import annotations

import json
import sys
import time
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime
from typing import Any, NoReturn

import jinja2
import jinja2.debug
import jinja2.ext
import jinja2.nodes
import jinja2.parser
import jinja2.sandbox
from jinja2.exceptions import SecurityError

MEMORY_BYTES = 1 << 29
_CACHED_TEMPLATES = 32
_MAX_MESSAGE = 1000
_WARM_UP = (
    "{% set a = 'é' %}{% for b in [a, x] %}{{ loop.index ~ b|trim|upper|tojson }}{% endfor %}"
    "{{ strftime_now('%d %B') ~ x|wordwrap(9)|striptags|urlize|pprint }}"
)
"""Makes Python load all that it loads late (codecs, for one) while it still can."""


class Generation(jinja2.ext.Extension):
    """`{% generation %}…{% endgeneration %}` marks the assistant's words for training; rendering ignores it."""

    tags = {"generation"}  # noqa: RUF012 - jinja2's own declaration is not a ClassVar

    def parse(self, parser: jinja2.parser.Parser) -> list[jinja2.nodes.Node]:
        """What stands between the tags."""
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class Refusal(Exception):
    """What a template says against a conversation."""


def raise_exception(message: object) -> NoReturn:
    """How templates refuse a conversation."""
    raise Refusal(str(message))


def strftime_now(pattern: str) -> str:
    """Today's date, as templates ask for it."""
    return datetime.now().astimezone().strftime(pattern)


def tojson(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """JSON without jinja2's HTML escapes, as the templates' authors saw it."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


class Environment(jinja2.sandbox.ImmutableSandboxedEnvironment):
    """The sandbox, where reaching for internals is an error at once and not an empty text."""

    def unsafe_undefined(self, obj: Any, attribute: str) -> NoReturn:
        """Refuse."""
        raise SecurityError(f"{attribute!r} of a {type(obj).__name__}")


def make_environment() -> Environment:
    """The dialect of Jinja that chat templates are written in."""
    environment = Environment(trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols", Generation])
    environment.globals.update(raise_exception=raise_exception, strftime_now=strftime_now)
    environment.filters["tojson"] = tojson
    del environment.globals["lipsum"], environment.filters["random"]  # the same request must give the same prompt
    return environment


class Renderer:
    """Compiles and renders."""

    def __init__(self) -> None:
        self._environment = make_environment()
        self._templates: OrderedDict[str, jinja2.Template] = OrderedDict()

    def answer(self, request: dict[str, Any]) -> dict[str, str]:
        """The response to one request."""
        response = self._answer(request)
        return {key: value if key == "text" else value[:_MAX_MESSAGE] for key, value in response.items()}

    def _answer(self, request: dict[str, Any]) -> dict[str, str]:
        try:
            return {"text": self._render(request["source"], request["context"], request["max_characters"])}
        except SecurityError as error:
            return {"error": "unsafe", "message": str(error)}
        except jinja2.TemplateSyntaxError as error:
            return {"error": "syntax", "message": f"{error.message} (line {error.lineno})"}
        except Refusal as error:
            return {"error": "raised", "message": str(error)}
        except MemoryError:
            return {"error": "memory", "message": ""}
        except RecursionError:
            return {"error": "recursion", "message": ""}
        except Exception as error:  # noqa: BLE001 - whatever a template's code raises is the template's error
            return {"error": "failed", "message": f"{type(error).__name__}: {error}"}

    def _render(self, source: str, context: dict[str, Any], max_characters: int) -> str:
        template = self._templates.get(source)
        if template is None:
            template = self._templates[source] = self._environment.from_string(source)
            if len(self._templates) > _CACHED_TEMPLATES:
                self._templates.popitem(last=False)
        parts, room = [], max_characters
        for part in template.generate(**context):
            room -= len(part)
            if room < 0:
                raise OverflowError(f"it wrote more than {max_characters} characters")
            parts.append(part)
        return "".join(parts)


def make() -> Callable[[dict[str, Any]], dict[str, str]]:
    """What renders, once it has rendered: Python loads late, and so is the time zone's file read."""
    renderer = Renderer()
    warmed = renderer.answer({"source": _WARM_UP, "context": {"x": "é"}, "max_characters": 1 << 16})
    if "text" not in warmed:
        sys.exit(f"the renderer can't render: {warmed}")
    time.localtime()
    return renderer.answer
