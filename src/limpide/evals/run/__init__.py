"""Runs: a task asked of a model, with a record of every answer, that can be stopped anywhere and gone on with."""

from limpide.evals.run.asking import RunOptions
from limpide.evals.run.folder import Run, find_runs
from limpide.evals.run.runner import evaluate

__all__ = ["Run", "RunOptions", "evaluate", "find_runs"]
