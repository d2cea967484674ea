"""Measure what a model can do: tasks, runs of them, and what follows from the records."""
