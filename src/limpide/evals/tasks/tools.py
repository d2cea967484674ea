"""`tools`: call the right function with the right arguments, or none."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from limpide.core.messages import Message, ToolCall
from limpide.core.ports import Answer
from limpide.evals.functions import FUNCTIONS
from limpide.evals.task import Grade, Item, TaskOptions, draw

SIZE = 120
SLICES = ("one tool", "four tools", "two calls", "no tool fits")
UNRELATED = (
    "Write a short poem about {}.",
    "Explain {} to a child of six.",
    "What is the plural of the word {}?",
    "Tell me a joke about {}.",
    "Give me three words that go well with {}.",
)
THINGS = ("moon", "mouse", "candle", "ocean", "fox", "violin", "snow", "bridge", "mirror", "bee", "desert", "clock")


@dataclass(frozen=True, slots=True)
class Tools:
    """Function calling against JSON schemas. The score is 1 if exactly the expected calls were made, in any order."""

    name: str = "tools"
    version: str = "1"
    about: str = "function calling: the right name and arguments, among several, two at once, or none at all"
    kind: Literal["generate"] = "generate"
    shots: int | None = None
    needs_file: bool = False
    max_tokens: int = 200

    def items(self, options: TaskOptions) -> Sequence[Item]:
        """Seeded; the slices by turns."""
        return [_item(options.seed, index) for index in range(options.limit or SIZE)]

    def grade(self, item: Item, answer: Answer) -> Grade:
        """detail: `problem`, the first thing that is wrong with the calls, or None."""
        problem = problem_with(answer.tool_calls, item.reference["calls"])
        return Grade(float(problem is None), {"problem": problem})


def problem_with(calls: Sequence[ToolCall], expected: Sequence[Mapping[str, Any]]) -> str | None:
    """What is wrong with the calls, if each of the expected ones, and no other, should have been made."""
    if len(calls) != len(expected):
        return f"{len(calls)} calls instead of {len(expected)}"
    left = list(expected)
    for call in calls:
        named = [each for each in left if each["name"] == call.name]
        if not named:
            return f"{call.name} was called"
        try:
            arguments = json.loads(call.arguments)
        except (ValueError, RecursionError):
            return f"the arguments of {call.name} are not JSON"
        found = next((each for each in named if _equal(arguments, each["arguments"])), None)
        if found is None:
            return f"the arguments of {call.name} are others"
        left.remove(found)
    return None


def _equal(given: Any, wanted: Any) -> bool:
    """Numbers by value, never as text; texts but for case, white space around them and a stop at their end."""
    if isinstance(wanted, dict):
        return (
            isinstance(given, dict)
            and given.keys() == wanted.keys()
            and all(_equal(given[k], wanted[k]) for k in wanted)
        )
    if isinstance(wanted, bool) or isinstance(given, bool):
        return given is wanted
    if isinstance(wanted, str):
        return isinstance(given, str) and _folded(given) == _folded(wanted)
    return isinstance(given, int | float) and given == wanted


def _folded(text: str) -> str:
    return text.strip().rstrip(".").casefold()


def _item(seed: int, index: int) -> Item:
    random = draw("tools", seed, index)
    slice_ = SLICES[index % len(SLICES)]
    chosen = random.sample(FUNCTIONS, 4)
    count = {"two calls": 2, "no tool fits": 0}.get(slice_, 1)
    asked = [function.ask(random) for function in chosen[:count]]
    offered = chosen[:1] if slice_ == "one tool" else random.sample(chosen, len(chosen))
    question = " Then: ".join(words for words, _ in asked) or random.choice(UNRELATED).format(random.choice(THINGS))
    calls = [{"name": f.tool.name, "arguments": given} for f, (_, given) in zip(chosen, asked, strict=False)]
    return Item(
        id=f"{seed}-{index}",
        cluster=f"{seed}-{index}",
        slice=slice_,
        messages=(Message("user", question),),
        tools=tuple(function.tool for function in offered),
        reference={"calls": calls},
    )
