"""Every task by its name. A new one is a file here and a line in `TASKS`."""

from __future__ import annotations

from difflib import get_close_matches
from importlib import import_module

from limpide.core.errors import UnknownTask
from limpide.evals.task import Task

TASKS: dict[str, str] = {
    "my": "My",
    "instructions": "Instructions",
    "choices": "Choices",
    "reasoning": "Reasoning",
    "tools": "Tools",
    "perplexity": "Perplexity",
    "english": "English",
    "french": "French",
    "long": "Long",
    "safety-lite": "SafetyLite",
}
"""Name and class; the module is limpide.evals.tasks.<name>, with underscores for hyphens."""


def find_task(name: str) -> Task:
    """The task of this name. Raises UnknownTask."""
    if name not in TASKS:
        near = get_close_matches(name, TASKS, n=3)
        raise UnknownTask(
            f"there is no task {name!r}",
            expected=f"one of {', '.join(TASKS)}",
            hint=f"did you mean {' or '.join(near)}?" if near else "limpide eval --list",
        )
    module = import_module(f"limpide.evals.tasks.{name.replace('-', '_')}")
    task: Task = getattr(module, TASKS[name])()
    return task
