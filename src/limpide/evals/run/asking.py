"""How items are asked: the options of a run, and the request of each answer."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from limpide.core.errors import InvalidParameter
from limpide.core.ports import ChatRequest
from limpide.core.sampling import Sampling
from limpide.core.thinking import Thinking
from limpide.evals.task import Item, Task, TaskOptions

MAX_REPEATS = 1000


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How a task is asked."""

    task: TaskOptions = field(default_factory=TaskOptions)
    thinking: Thinking = field(default_factory=lambda: Thinking.parse("off"))
    sampling: Sampling = field(default_factory=Sampling)
    """`max_tokens`: of the answer alone; None is the task's own number. `seed` and `n` are the run's business."""
    repeats: int = 1
    """Answers to each item, each with a seed of its own."""

    def __post_init__(self) -> None:
        if not 1 <= self.repeats <= MAX_REPEATS:
            raise InvalidParameter("repeats", self.repeats, f"a whole number from 1 to {MAX_REPEATS}")
        if self.repeats > 1 and self.sampling.temperature == 0:
            raise InvalidParameter(
                "repeats",
                self.repeats,
                "1 at temperature 0, where every repeat gives the same answer",
                hint="--temperature 0.7, or another above 0",
            )
        for name in ("seed", "logprobs"):
            if getattr(self.sampling, name) is not None:
                raise InvalidParameter(f"sampling.{name}", getattr(self.sampling, name), "None: the run sets it")
        if self.sampling.n != 1:
            raise InvalidParameter("sampling.n", self.sampling.n, "1", hint="repeats ask several times")

    @property
    def changed_sampling(self) -> list[str]:
        """Names of what is not as it would be by default."""
        return [f.name for f in fields(Sampling) if getattr(self.sampling, f.name) != getattr(Sampling(), f.name)]

    def recorded_sampling(self, task: Task) -> dict[str, Any]:
        """What shapes sampling, but for the seed, as plain data."""
        fields = asdict(replace(self.sampling, max_tokens=self.max_tokens(task)))
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in fields.items()
            if name not in ("seed", "n", "logprobs")
        }

    def max_tokens(self, task: Task) -> int | None:
        """Limit of thinking and answer together; None if thinking has none."""
        answer = self.sampling.max_tokens or task.max_tokens
        return None if self.thinking.budget is None else answer + self.thinking.budget


def request_of(item: Item, repeat: int, task: Task, options: RunOptions) -> ChatRequest:
    """What the model is asked: for the same item, repeat and options always the same."""
    sampling = replace(
        options.sampling,
        max_tokens=options.max_tokens(task),
        seed=item_seed(options.task.seed, item.id, repeat),
    )
    return ChatRequest(item.messages, sampling, options.thinking, item.tools)


def item_seed(seed: int, item: str, repeat: int) -> int:
    """The sampling seed of one answer, whatever else is asked in the run."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{item}/{repeat}".encode()).digest()[:8]) >> 1
