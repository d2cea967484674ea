"""What a task is made of: items to ask, and how an answer is graded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Literal, Protocol

from limpide.core.errors import InvalidParameter
from limpide.core.evidence import sha256_of
from limpide.core.messages import Message, Tool
from limpide.core.ports import Answer

Kind = Literal["generate", "choices", "perplexity"]
"""What is asked of the model: an answer; which of some continuations is likeliest; how likely a text is."""


@dataclass(frozen=True, slots=True)
class Item:
    """One thing to ask. It has either `messages`, or `choices`, or `text`; `context` comes before the latter two."""

    id: str
    cluster: str
    """Items that share a source (a template's fact, a document) have the same; otherwise it is the id."""
    slice: str
    messages: tuple[Message, ...] = ()
    tools: tuple[Tool, ...] = ()
    context: str = ""
    choices: tuple[str, ...] = ()
    """Continuations of the context, as they are: with the space or line break that comes between."""
    text: str = ""
    reference: Any = None
    """What the answer is graded by, as plain data; for choices the index of the right one."""

    def __post_init__(self) -> None:
        if sum(map(bool, (self.messages, self.choices, self.text))) != 1:
            raise InvalidParameter("item", self.id, "messages, or choices, or text")
        if self.choices and not (isinstance(self.reference, int) and 0 <= self.reference < len(self.choices)):
            raise InvalidParameter("reference", self.reference, f"an index from 0 to {len(self.choices) - 1}")

    @property
    def kind(self) -> Kind:
        """What is asked of the model."""
        return "generate" if self.messages else "choices" if self.choices else "perplexity"

    @property
    def prompt_sha256(self) -> str:
        """Of all that the model is shown."""
        return sha256_of([self.messages, self.tools, self.context, self.choices, self.text])


@dataclass(frozen=True, slots=True)
class Grade:
    """What an answer is worth, from 0 to 1 (perplexity: nats), and what that is made of, as plain data."""

    score: float
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TaskOptions:
    """What a user may say of a task's items."""

    seed: int = 0
    limit: int | None = None
    """So many items: the first of a file. Tasks that generate theirs make so many, also more than they would."""
    shots: int | None = None
    """Solved examples before the question; None is the task's own number."""
    file: Path | None = None
    """The user's own data."""
    check: Path | None = None
    """A Python file of the user's with `def check(answer, item)`."""

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit < 1:
            raise InvalidParameter("limit", self.limit, "a whole number from 1")
        if self.shots is not None and not 0 <= self.shots <= MAX_SHOTS:
            raise InvalidParameter("shots", self.shots, f"a whole number from 0 to {MAX_SHOTS}")


MAX_SHOTS = 64


class Task(Protocol):
    """A versioned set of items. Whoever changes what is asked or how it is graded raises `version`."""

    @property
    def name(self) -> str:
        """As it is asked for."""

    @property
    def version(self) -> str:
        """Results of different versions can't be compared."""

    @property
    def about(self) -> str:
        """One line for `limpide eval --list`."""

    @property
    def kind(self) -> Kind | Literal["mixed"]:
        """What is asked of the model; "mixed" if the items say it."""

    @property
    def shots(self) -> int | None:
        """Solved examples if the user says nothing; None if it has none to show."""

    @property
    def needs_file(self) -> bool:
        """Whether its items come from a file of the user's."""

    @property
    def max_tokens(self) -> int:
        """Tokens that an answer may have, thinking not included."""

    def items(self, options: TaskOptions) -> Sequence[Item]:
        """The items, always the same for the same options, with ids of their own.

        With a smaller limit they are the first of those with a larger one.
        """

    def grade(self, item: Item, answer: Answer) -> Grade:
        """Grade what was generated. Choices and passages are graded by their likelihood alone: see evals/grading.py."""


def draw(name: str, seed: int, index: int | str) -> Random:
    """Random numbers of one item, so that it does not depend on how many come before it."""
    return Random(f"{name}/{seed}/{index}")  # noqa: S311 - questions, not secrets
