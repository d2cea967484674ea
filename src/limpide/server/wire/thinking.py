"""The thinking dial's fields in requests of OpenAI's dialect."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from limpide.core.thinking import Thinking
from limpide.server import thinking_fields as dial
from limpide.server.wire.base import Ask, Whole

EffortName = Literal["none", "off", "minimal", "low", "medium", "high", "xhigh", "max"]
Budget = Annotated[Whole, Field(ge=0, le=dial.MAX_BUDGET)]


class ReasoningField(Ask):
    """The dial as an object."""

    UNUSED: ClassVar = {
        "summary": "the whole reasoning is returned, not a summary of it",
        "generate_summary": "the whole reasoning is returned, not a summary of it",
        "context": "the model's template says which thinking of earlier turns it is to see",
        "mode": "there is one mode",
    }

    effort: EffortName | None = None
    max_tokens: Budget | None = None
    enabled: bool | None = None
    exclude: bool | None = None
    """Think, but leave the thinking out of the response."""
    summary: str | None = None
    generate_summary: str | None = None
    context: str | None = None
    mode: str | None = None


class TemplateSwitches(Ask):
    """What templates call the dial. Other switches of templates can't be set."""

    enable_thinking: bool | None = None
    thinking: bool | None = None
    reasoning_effort: EffortName | None = None


class ThinkingField(Ask):
    """The dial as Anthropic's API has it."""

    type: Literal["enabled", "disabled", "adaptive"]
    budget_tokens: Budget | None = None


class ThinkingFields(Ask):
    """How long the model may think before it answers, in any one or several spellings that agree."""

    reasoning_effort: EffortName | None = None
    reasoning: ReasoningField | None = None
    think: bool | EffortName | Budget | None = None
    chat_template_kwargs: TemplateSwitches | None = None
    thinking: ThinkingField | None = None
    thinking_token_budget: Budget | None = None

    def dial(self) -> Thinking | None:
        """The position that was asked for; None if none was. Raises InvalidParameter for contradictions."""
        wishes = [
            *dial.effort("reasoning_effort", self.reasoning_effort),
            *dial.any_of("think", self.think),
            *dial.budget("thinking_token_budget", self.thinking_token_budget),
        ]
        if self.reasoning:
            wishes += dial.effort("reasoning.effort", self.reasoning.effort)
            wishes += dial.budget("reasoning.max_tokens", self.reasoning.max_tokens)
            wishes += dial.switch("reasoning.enabled", self.reasoning.enabled)
        if self.chat_template_kwargs:
            switches = self.chat_template_kwargs
            wishes += dial.switch("chat_template_kwargs.enable_thinking", switches.enable_thinking)
            wishes += dial.switch("chat_template_kwargs.thinking", switches.thinking)
            wishes += dial.effort("chat_template_kwargs.reasoning_effort", switches.reasoning_effort)
        if self.thinking:
            wishes += dial.switch("thinking.type", self.thinking.type != "disabled")
            wishes += dial.budget("thinking.budget_tokens", self.thinking.budget_tokens)
        return dial.combine(wishes)
