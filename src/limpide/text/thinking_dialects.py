"""All thinking dialects, and how to tell from a template which one its model speaks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from limpide.core.errors import InvalidParameter
from limpide.core.thinking import Capability
from limpide.text.channels import HARMONY
from limpide.text.thinking import ThinkingDialect

_SWITCH: Final[dict[str, Any]] = {"on": {"enable_thinking": True}, "off": {"enable_thinking": False}}


def _tags(name: str, open_tag: str = "<think>", close_tag: str = "</think>", **settings: Any) -> ThinkingDialect:
    """Thinking between two tags; the request opens it, so that it is there whatever the model would do."""
    return ThinkingDialect(
        name,
        open=open_tag,
        close=close_tag,
        **{
            "capability": Capability.NATIVE,
            "on_suffix": f"{open_tag}\n",
            "forced_close": f"\n{close_tag}\n\n",
            **settings,
        },
    )


def _always(name: str, open_tag: str = "<think>", close_tag: str = "</think>", **settings: Any) -> ThinkingDialect:
    """Thinking that the model can't leave out: off writes an empty block in its place."""
    return _tags(
        name,
        open_tag,
        close_tag,
        **{"capability": Capability.ALWAYS, "off_suffix": f"{open_tag}\n\n{close_tag}\n\n", **settings},
    )


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
            _tags("think-tags", **_SWITCH),  # Qwen 3, SmolLM3
            # The template opens the thinking where it wants it: Qwen 3.5. What it does is seen in each prompt.
            _tags("think-tags-opened", on_suffix="", **_SWITCH),
            _always("think-tags-always"),  # R1 as first published, Magistral 2506
            _always("think-tags-always-opened", on_suffix=""),  # R1-0528 and the distilled models, QwQ
            # These models think only in answer to a user, not between the calls of tools.
            _tags(
                "deepseek-v3.1", on={"thinking": True}, off={"thinking": False}, on_suffix="", forced_close="</think>"
            ),
            _tags(
                "granite-3.3",
                on={"thinking": True},
                off={"thinking": False},
                answer_open="<response>",
                answer_close="</response>",
            ),
            _tags(
                "granite-3.2",
                "Here is my thought process:",
                "Here is my response:",
                on={"thinking": True},
                off={"thinking": False},
            ),
            _tags(
                "gemma-4",
                "<|channel>thought\n",
                "<channel|>",
                on_suffix="<|channel>thought\n",
                forced_close="\n<channel|>",
                **_SWITCH,
            ),
            _always(
                "mistral-think",  # Magistral 2507 and later, Ministral 3 Reasoning
                "[THINK]",
                "[/THINK]",
                on_suffix="[THINK]",
                off_suffix="[THINK][/THINK]",
                forced_close="[/THINK]",
                earlier="written",
            ),
            _tags(
                "mistral-effort",  # Mistral Small 4
                "[THINK]",
                "[/THINK]",
                on_suffix="[THINK]",
                forced_close="[/THINK]",
                earlier="written",
                on={"reasoning_effort": "high"},
                off={"reasoning_effort": "none"},
            ),
            _always(
                "reka",  # Reka Flash 3; its vocabulary has no token that ends a turn
                "<reasoning>",
                "</reasoning>",
                on_suffix=" <reasoning>\n",
                off_suffix=" <reasoning>\n\n</reasoning>\n\n",
                turn_ends=("<sep>",),
                earlier="dropped",
            ),
            ThinkingDialect(
                "harmony",  # gpt-oss
                Capability.ALWAYS,
                effort_key="reasoning_effort",
                on_suffix="<|channel|>analysis<|message|>",
                off_suffix="<|channel|>analysis<|message|><|end|><|start|>assistant",
                forced_close="<|end|><|start|>assistant",
                channels=HARMONY,
                answer_channel="<|channel|>final<|message|>",
            ),
        )
    }
)

THINKING_MARKERS: Final = tuple(
    sorted({m for d in DIALECTS.values() for m in (d.open, d.close) if m and m[0] in "<["} | {"<|channel>"})
)
"""Markers that an assistant's earlier turns may hold, and that templates look for in them."""


def dialect_for(name: str) -> ThinkingDialect:
    """Dialect of a name. Raises InvalidParameter."""
    try:
        return DIALECTS[name]
    except KeyError:
        raise InvalidParameter("thinking dialect", name, ", ".join(DIALECTS)) from None


_OPENED = re.compile(r"<think>(?:\\n|\s)*['\"]?\s*[-+]?(?:\}\}|%\}|\{%|\Z)")
"""The opening tag with nothing after it in its string: what a template writes to let the model go on."""
_THINKING_SWITCH = re.compile(r"\bthinking\s+is\s+defined|\bif\s+thinking\b|\bnot\s+thinking\b")


def detect_dialect(template_source: str | None, architecture: str = "") -> ThinkingDialect:
    """Dialect of a model that no catalog describes, read from its chat template.

    Without a template it is taken for a base model; with one that knows no thinking it is prompted.
    """
    if not template_source:
        return DIALECTS["none"]
    return DIALECTS[_detected(template_source)]


def _detected(source: str) -> str:
    def has(*signs: str) -> bool:
        return all(sign in source for sign in signs)

    if has("<|channel|>", "<|message|>", "analysis"):
        return "harmony"
    if has("<|channel>thought", "<channel|>"):
        return "gemma-4"
    if has("[THINK]"):
        return "mistral-effort" if has("reasoning_effort") else "mistral-think"
    if has("<sep>", "human: ") and not has("<think>"):
        return "reka"
    if has("<|start_of_role|>", "Here is my thought process:"):
        return "granite-3.2"
    if has("<|start_of_role|>", "</think>", "<response>"):
        return "granite-3.3"
    if not has("<think>") and not has("</think>"):
        return "prompted"
    opened = _OPENED.search(source) is not None
    if _THINKING_SWITCH.search(source):
        return "deepseek-v3.1"
    if has("enable_thinking"):
        return "think-tags-opened" if opened else "think-tags"
    return "think-tags-always-opened" if opened else "think-tags-always"
