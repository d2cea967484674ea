"""The dial in every spelling, alone and together."""

from __future__ import annotations

from typing import Any

import pytest

from limpide.core.errors import InvalidParameter
from limpide.core.thinking import BUDGETS, Effort, Thinking
from limpide.server.wire.thinking import ThinkingFields


def dial(**fields: Any) -> Thinking | None:
    return ThinkingFields.model_validate(fields).dial()


OFF = Thinking(0, Effort.OFF)
LOW = Thinking(BUDGETS[Effort.LOW], Effort.LOW)
ON = Thinking(BUDGETS[Effort.MEDIUM], Effort.MEDIUM)


@pytest.mark.parametrize(
    ("fields", "position"),
    [
        ({}, None),
        ({"reasoning_effort": None, "think": None, "reasoning": {}, "chat_template_kwargs": {}}, None),
        ({"reasoning_effort": "none"}, OFF),
        ({"reasoning_effort": "minimal"}, Thinking(64, Effort.MINIMAL)),
        ({"reasoning_effort": "low"}, LOW),
        ({"reasoning_effort": "xhigh"}, Thinking(None, Effort.MAX)),
        ({"reasoning": {"effort": "low"}}, LOW),
        ({"reasoning": {"max_tokens": 100}}, Thinking(100)),
        ({"reasoning": {"enabled": True}}, ON),
        ({"reasoning": {"enabled": False}}, OFF),
        ({"think": True}, ON),
        ({"think": False}, OFF),
        ({"think": "high"}, Thinking(4096, Effort.HIGH)),
        ({"think": 0}, OFF),
        ({"think": 7}, Thinking(7)),
        ({"chat_template_kwargs": {"enable_thinking": False}}, OFF),
        ({"chat_template_kwargs": {"thinking": True}}, ON),
        ({"chat_template_kwargs": {"reasoning_effort": "low"}}, LOW),
        ({"thinking": {"type": "enabled", "budget_tokens": 2048}}, Thinking(2048)),
        ({"thinking": {"type": "adaptive"}}, ON),
        ({"thinking": {"type": "disabled"}}, OFF),
        ({"thinking_token_budget": 512}, Thinking(512)),
        ({"thinking_token_budget": 0}, OFF),
        # what completes one another
        ({"chat_template_kwargs": {"enable_thinking": True}, "thinking_token_budget": 5}, Thinking(5)),
        ({"reasoning_effort": "high", "thinking_token_budget": 5}, Thinking(5, Effort.HIGH)),
        ({"reasoning_effort": "low", "reasoning": {"effort": "low"}, "think": True}, LOW),
        ({"reasoning_effort": "xhigh", "think": "max"}, Thinking(None, Effort.MAX)),
        ({"reasoning_effort": "none", "thinking": {"type": "disabled"}, "think": 0}, OFF),
    ],
)
def test_position(fields: dict[str, Any], position: Thinking | None) -> None:
    assert dial(**fields) == position


@pytest.mark.parametrize(
    ("fields", "blamed"),
    [
        ({"reasoning_effort": "low", "reasoning": {"effort": "high"}}, "reasoning.effort"),
        ({"reasoning_effort": "none", "think": True}, "think"),
        ({"reasoning_effort": "low", "chat_template_kwargs": {"enable_thinking": False}}, "enable_thinking"),
        ({"thinking_token_budget": 5, "thinking": {"type": "enabled", "budget_tokens": 6}}, "thinking.budget_tokens"),
        ({"thinking": {"type": "disabled", "budget_tokens": 6}}, "thinking.budget_tokens"),
        ({"reasoning": {"enabled": True, "max_tokens": 0}}, "reasoning.enabled"),
    ],
)
def test_contradictions_are_refused_with_both_fields(fields: dict[str, Any], blamed: str) -> None:
    with pytest.raises(InvalidParameter) as refused:
        dial(**fields)
    assert blamed in refused.value.parameter
    assert " = " in (refused.value.expected or "")


@pytest.mark.parametrize("fields", [{"reasoning_effort": "lots"}, {"think": -1}, {"think": 1.5}, {"think": "7"}])
def test_what_nobody_says_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        dial(**fields)
