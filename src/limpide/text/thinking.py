"""How each kind of model is asked to think, and how its thinking is told from its answer.

A dialect is data: a row of `DIALECTS`. What it prepares for one request is a `Prepared`: messages, switches for the
chat template, a suffix that opens the assistant's turn, and the plan by which the engine enforces the budget.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from limpide.core.errors import InvalidParameter, ThinkingUnsupported
from limpide.core.messages import Message
from limpide.core.thinking import Capability, Thinking


@dataclass(frozen=True, slots=True)
class ThinkingPlan:
    """What the engine needs to know for one request."""

    budget: int | None = 0
    """Tokens of thinking; 0 is none, None is unlimited."""
    starts_thinking: bool = False
    """Generation begins inside the thinking: the prompt or the suffix opened it."""
    open_marker: str | None = None
    """Text with which the model itself opens thinking, at the start of its turn."""
    close_marker: str | None = None
    """Text with which the model ends its thinking."""
    forced_close: str = ""
    """What the engine appends when the budget is reached, or at the end of turn inside thinking; the answer follows."""
    eos_closes: bool = False
    """An end of turn inside thinking closes it instead of ending the answer."""


NO_THINKING: Final = ThinkingPlan()


@dataclass(frozen=True, slots=True)
class Prepared:
    """One request as a dialect puts it."""

    messages: tuple[Message, ...]
    template_kwargs: dict[str, Any] = field(default_factory=dict)
    suffix: str = ""
    """Follows the rendered prompt; trusted text, in which special tokens count."""
    plan: ThinkingPlan = NO_THINKING
    note: str | None = None
    """What a receipt should say beyond what was asked, for example that off is only emulated."""


@dataclass(frozen=True, slots=True)
class ThinkingDialect:
    """One way to think. `on` and `off` are the template's switches; `open` and `close` fence the thinking."""

    name: str
    capability: Capability
    open: str | None = None
    close: str | None = None
    on: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    off: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    on_suffix: str = ""
    off_suffix: str = ""
    forced_close: str = ""
    eos_closes: bool = False

    def prepare(self, messages: Sequence[Message], thinking: Thinking) -> Prepared:
        """The request in this dialect. Raises ThinkingUnsupported if a base model is asked to think."""
        messages = tuple(messages)
        if not thinking.enabled:
            emulated = self.capability is Capability.ALWAYS
            return Prepared(
                messages,
                dict(self.off),
                self.off_suffix,
                note="this model always thinks: off is emulated by an empty thinking block" if emulated else None,
            )
        if self.capability is Capability.NONE:
            raise ThinkingUnsupported(
                f"this is a base model, which can't think as asked ({thinking})",
                expected="thinking off",
                hint="--think off, or an instruction-tuned model",
            )
        plan = ThinkingPlan(
            budget=thinking.budget,
            starts_thinking=True,
            open_marker=self.open,
            close_marker=self.close,
            forced_close=self.forced_close,
            eos_closes=self.eos_closes,
        )
        note = "this model was never taught to think: it is asked for steps" if self.eos_closes else None
        return Prepared(messages, dict(self.on), self.on_suffix, plan, note)


def _tags(name: str, tag: str = "think", **settings: Any) -> ThinkingDialect:
    """Thinking between `<tag>` and `</tag>`; the request opens it, so that it is there whatever the model would do."""
    return ThinkingDialect(
        name,
        open=f"<{tag}>",
        close=f"</{tag}>",
        forced_close=f"\n</{tag}>\n\n",
        **{"on_suffix": f"<{tag}>\n", "capability": Capability.NATIVE, **settings},
    )


_EMPTY_BLOCK: Final = "<think>\n\n</think>\n\n"

DIALECTS: Final[Mapping[str, ThinkingDialect]] = MappingProxyType(
    {
        dialect.name: dialect
        for dialect in (
            ThinkingDialect("none", Capability.NONE),
            # Two-stage zero-shot chain of thought (arXiv:2205.11916): the turn is opened with a call for steps, and the
            # answer is drawn out after them by a second phrase. The model does not know that it thinks, so an end of
            # turn ends its steps and not its answer.
            ThinkingDialect(
                "prompted",
                Capability.PROMPTED,
                close="\n\nFinal answer:",
                on_suffix="Let's think step by step.\n\n",
                forced_close="\n\nFinal answer:",
                eos_closes=True,
            ),
            _tags("think-tags", on={"enable_thinking": True}, off={"enable_thinking": False}),
            # The template has written the opening tag when generation begins.
            _tags("think-tags-opened", on={"enable_thinking": True}, off={"enable_thinking": False}, on_suffix=""),
            _tags("think-tags-always", capability=Capability.ALWAYS, off_suffix=_EMPTY_BLOCK),
            _tags(
                "think-tags-always-opened",
                capability=Capability.ALWAYS,
                on_suffix="",
                off_suffix="\n</think>\n\n",
            ),
            _tags("deepseek-v3.1", on={"thinking": True}, off={"thinking": False}, on_suffix=""),
        )
    }
)

THINKING_MARKERS: Final = tuple(sorted({m for d in DIALECTS.values() for m in (d.open, d.close) if m and "<" in m}))
"""Markers that an assistant's earlier turns may hold, and that templates look for in them."""


def dialect_for(name: str) -> ThinkingDialect:
    """Dialect of a name. Raises InvalidParameter."""
    try:
        return DIALECTS[name]
    except KeyError:
        raise InvalidParameter("thinking dialect", name, ", ".join(DIALECTS)) from None


def detect_dialect(template_source: str | None, architecture: str = "") -> ThinkingDialect:
    """Dialect of a model that no catalog describes, read from its chat template.

    Without a template it is taken for a base model; with one that knows no thinking it is prompted.
    """
    if not template_source:
        return DIALECTS["none"]
    if "<think>" not in template_source and "</think>" not in template_source:
        return DIALECTS["prompted"]
    opened = _OPENED.search(template_source) is not None
    if "enable_thinking" in template_source:
        return DIALECTS["think-tags-opened" if opened else "think-tags"]
    if re.search(r"\bthinking\s+is\s+defined|\bif\s+thinking\b|\bnot\s+thinking\b", template_source):
        return DIALECTS["deepseek-v3.1"]
    return DIALECTS["think-tags-always-opened" if opened else "think-tags-always"]


_OPENED = re.compile(r"<think>(?:\\n|\s)*['\"]?\s*[-+]?(?:\}\}|%\}|\{%|\Z)")
"""The opening tag with nothing after it in its string: what a template writes to let the model go on."""
