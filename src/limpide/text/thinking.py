"""How a model is asked to think, and how its thinking is told from its answer.

A dialect is data: a row of `thinking_dialects.DIALECTS`. What it makes of one request is a `Prepared`; when the prompt
is rendered, that says how the assistant's turn is opened and gives the plan by which the engine enforces the budget.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Final, Literal

from limpide.core.errors import ThinkingUnsupported
from limpide.core.messages import Message
from limpide.core.thinking import BUDGETS, Capability, Effort, Thinking
from limpide.text.channels import ChannelFormat


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
    insisting_close: str = ""
    """What it appends from the second time on, if a first close leaves the model free to think again."""
    eos_closes: bool = False
    """An end of turn inside thinking closes it instead of ending the answer."""
    answer_open: str | None = None
    """Text with which the model opens its answer after thinking; it is not part of it."""
    answer_close: str | None = None
    """Text with which it then ends its answer."""
    channels: ChannelFormat | None = None
    """The turn is made of messages on channels, in place of all markers above."""
    begun: str = ""
    """With channels: what the request has already written of the turn."""

    @property
    def markers(self) -> tuple[str, ...]:
        """All text of structure."""
        tags = (self.open_marker, self.close_marker, self.answer_open, self.answer_close)
        return (*filter(None, tags), *(self.channels.markers if self.channels else ()))


NO_THINKING: Final = ThinkingPlan()


@dataclass(frozen=True, slots=True)
class Turn:
    """How the assistant's turn begins."""

    suffix: str = ""
    """Follows the rendered prompt; trusted text, in which special tokens count."""
    plan: ThinkingPlan = NO_THINKING

    def before_answer(self) -> Turn:
        """The same on channels, but for the header of the answer: a grammar that holds for that, too, writes it."""
        channels = self.plan.channels
        if channels is None:
            return self
        end = channels.ends[0]
        head, ended, _ = self.suffix.rpartition(end)
        suffix = head + end if ended else self.suffix
        return Turn(suffix, replace(self.plan, begun=suffix, forced_close=end, insisting_close=end))


@dataclass(frozen=True, slots=True)
class Prepared:
    """One request as a dialect puts it."""

    dialect: ThinkingDialect
    thinking: Thinking
    messages: tuple[Message, ...]
    template_kwargs: dict[str, Any] = field(default_factory=dict)
    note: str | None = None
    """What a receipt should say beyond what was asked, for example that off is only emulated."""

    def turn(self, prompt: str, *, tools: bool = False) -> Turn:
        """The beginning of the turn after this rendered prompt. tools: the model may call some."""
        return (self.dialect.turn_on if self.thinking.enabled else self.dialect.turn_off)(prompt, self.thinking, tools)


@dataclass(frozen=True, slots=True)
class ThinkingDialect:
    """One way to think. `on` and `off` are the template's switches; `open` and `close` fence the thinking."""

    name: str
    capability: Capability
    open: str | None = None
    close: str | None = None
    on: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    off: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    effort_key: str | None = None
    """A switch of the template that takes low, medium or high."""
    on_suffix: str = ""
    """Opens the thinking, unless the template has."""
    off_suffix: str = ""
    """An empty block in its place, for models that always think."""
    forced_close: str = ""
    eos_closes: bool = False
    answer_open: str | None = None
    answer_close: str | None = None
    channels: ChannelFormat | None = None
    answer_channel: str = ""
    """With channels: the header that opens the answer, left out where the model may also call tools."""
    turn_ends: tuple[str, ...] = ()
    """Strings that end the turn of a model that has no token for it."""
    earlier: Literal["template", "dropped", "written"] = "template"
    """What becomes of the thinking of earlier turns: the template decides what the model sees of it, or it is taken out
    here, or written into the turn between its tags, for templates that look for it in the content."""

    def prepare(self, messages: Sequence[Message], thinking: Thinking) -> Prepared:
        """The request in this dialect. Raises ThinkingUnsupported if a base model is asked to think."""
        change = {"dropped": self._without_thinking, "written": self._with_thinking_written}.get(self.earlier)
        messages = tuple(map(change, messages) if change else messages)
        effort = {self.effort_key: _effort(thinking)} if self.effort_key else {}
        if not thinking.enabled:
            emulated = self.capability is Capability.ALWAYS
            note = "this model always thinks: off is emulated by an empty thinking block" if emulated else None
            return Prepared(self, thinking, messages, {**effort, **self.off}, note)
        if self.capability is Capability.NONE:
            raise ThinkingUnsupported(
                f"this is a base model, which can't think as asked ({thinking})",
                expected="thinking off",
                hint="--think off, or an instruction-tuned model",
            )
        note = "this model was never taught to think: it is asked for steps" if self.eos_closes else None
        return Prepared(self, thinking, messages, {**effort, **self.on}, note)

    def turn_on(self, prompt: str, thinking: Thinking, tools: bool) -> Turn:
        """A turn that begins with thinking."""
        plan = replace(self._plan(tools), budget=thinking.budget)
        opened = self._is_open(prompt)
        suffix = "" if opened else self.on_suffix
        return Turn(suffix, replace(plan, starts_thinking=opened or bool(suffix), begun=suffix))

    def turn_off(self, prompt: str, _thinking: Thinking, tools: bool) -> Turn:
        """A turn without thinking. Should the model open some all the same, the engine closes it at once."""
        if self.open is None and self.channels is None:
            return Turn()
        plan = replace(self._plan(tools), answer_open=None, answer_close=None)
        suffix = self.off_suffix
        if self._is_open(prompt):
            suffix = self.forced_close
        elif self.channels and not tools:
            suffix += self.answer_channel
        return Turn(suffix, replace(plan, begun=suffix))

    def _plan(self, tools: bool) -> ThinkingPlan:
        close = self.forced_close + ("" if tools else self.answer_channel)
        return ThinkingPlan(
            open_marker=self.open,
            close_marker=self.close,
            forced_close=close,
            insisting_close=self.forced_close + self.answer_channel,
            eos_closes=self.eos_closes,
            answer_open=self.answer_open,
            answer_close=self.answer_close,
            channels=self.channels,
        )

    def _is_open(self, prompt: str) -> bool:
        """Whether the template has opened the thinking."""
        return self.open is not None and prompt.rstrip().endswith(self.open.rstrip())

    def _without_thinking(self, message: Message) -> Message:
        content = message.content
        if message.role == "assistant" and self.close and self.close in content:
            content = content.split(self.close)[-1].lstrip()
        return replace(message, content=content, thinking=None)

    def _with_thinking_written(self, message: Message) -> Message:
        if message.role != "assistant" or not message.thinking:
            return message
        return replace(message, content=f"{self.open}{message.thinking}{self.close}{message.content}", thinking=None)


def _effort(thinking: Thinking) -> str:
    """The dial in three steps: the lowest one whose budget covers what is asked."""
    budget = thinking.budget
    for effort in (Effort.LOW, Effort.MEDIUM):
        if budget is not None and budget <= (BUDGETS[effort] or 0):
            return effort.value
    return Effort.HIGH.value
