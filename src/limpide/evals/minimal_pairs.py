"""Pairs of sentences that differ in one place, of which one is grammatical, after the idea of BLiMP (arXiv:1912.00582).

A model that knows the language finds the grammatical one likelier. The sentences are made from our own templates.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal

from limpide.core.ports import Answer
from limpide.evals.task import Grade, Item, TaskOptions, draw

SIZE = 300

Pair = tuple[str, str]
"""The grammatical sentence, and the other."""
Phenomena = Mapping[str, Callable[[Random], Pair]]


@dataclass(frozen=True, slots=True)
class MinimalPairs:
    """The task of a language: one slice for each phenomenon. See `limpide.evals.task.Task`."""

    name: str
    about: str
    phenomena: Phenomena
    version: str = "1"
    kind: Literal["choices"] = "choices"
    shots: int | None = None
    needs_file: bool = False
    max_tokens: int = 1

    def items(self, options: TaskOptions) -> Sequence[Item]:
        """Seeded; the phenomena by turns."""
        return pair_items(self.name, self.phenomena, options)

    def grade(self, item: Item, answer: Answer) -> Grade:
        """Nothing is generated."""
        raise AssertionError("pairs are graded by likelihood")


def pair_items(language: str, phenomena: Phenomena, options: TaskOptions) -> Sequence[Item]:
    """Seeded, the phenomena by turns, one slice each; no pair twice while there are others."""
    seen: set[Pair] = set()
    names = list(phenomena)
    items = []
    for index in range(options.limit or SIZE):
        name, random = names[index % len(names)], draw(language, options.seed, index)
        for _ in range(100):  # a template with few words runs out of pairs in the end
            pair = phenomena[name](random)
            if pair not in seen:
                break
        seen.add(pair)
        items.append(_item(f"{options.seed}-{index}", name, pair, random))
    return items


def sentence(*words: str) -> str:
    """Words as a sentence: a capital, a stop, and the elisions' apostrophes closed up."""
    text = " ".join(word for word in words if word).replace("' ", "'")
    return f"{text[0].upper()}{text[1:]}."


def _item(identity: str, name: str, pair: Pair, random: Random) -> Item:
    right = random.randrange(2)
    choices = pair if right == 0 else pair[::-1]
    return Item(id=identity, cluster=identity, slice=name, choices=choices, reference=right)
