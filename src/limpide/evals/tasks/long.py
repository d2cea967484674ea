"""`long`: one sentence to be found again in a long text, at several lengths and depths, after the idea of RULER."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal

from limpide.core.messages import Message
from limpide.core.ports import Answer
from limpide.evals.matching import contains
from limpide.evals.task import Grade, Item, TaskOptions, draw

SIZE = 60
LENGTHS = (250, 750, 2000)
"""Words of the text: some 350, 1,000 and 2,700 tokens."""
DEPTHS = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Where the sentence stands: at the beginning, …, at the end."""

PLACES = ("harbour", "library", "mill", "station", "museum", "bakery", "theatre", "garden", "school", "workshop")
PEOPLE = ("Anna", "Bruno", "Clara", "David", "Elena", "Felix", "Greta", "Hugo", "Irene", "Jonas")
_WHO = (
    "The baker",
    "A neighbour",
    "The old teacher",
    "A child",
    "The postman",
    "Somebody",
    "The gardener",
    "A traveller",
)
_DID = (
    "walked slowly down to", "talked for a while about", "painted a small picture of", "wrote a letter about",
    "looked again for", "remembered the summer near", "waited patiently at", "told a long story about",
)  # fmt: skip
_WHAT = ("the river", "the market", "the bridge", "the hills", "the church", "the orchard", "the square", "the lake")
_WHEN = ("in the morning", "before the rain", "after lunch", "at dusk", "on a windy day", "as always", "without a word")


@dataclass(frozen=True, slots=True)
class Long:
    """Whether a model finds what it was told, in a text that says nothing else of it. Slices: length and depth."""

    name: str = "long"
    version: str = "1"
    about: str = "find one sentence in a long text, by length and depth"
    kind: Literal["generate"] = "generate"
    shots: int | None = None
    needs_file: bool = False
    max_tokens: int = 40

    def items(self, options: TaskOptions) -> Sequence[Item]:
        """Seeded; every length at every depth by turns."""
        return [_item(options.seed, index) for index in range(options.limit or SIZE)]

    def grade(self, item: Item, answer: Answer) -> Grade:
        """1 if the number stands in the answer and none of the distracting ones does."""
        found = contains(answer.text, item.reference["number"])
        misled = [each for each in item.reference["others"] if contains(answer.text, each)]
        return Grade(float(found and not misled), {"found": found, "misled": misled})


def _item(seed: int, index: int) -> Item:
    random = draw("long", seed, index)
    length, depth = LENGTHS[index % len(LENGTHS)], DEPTHS[index // len(LENGTHS) % len(DEPTHS)]
    person, *others = random.sample(PEOPLE, 3)
    place = random.choice(PLACES)
    numbers = [str(each) for each in random.sample(range(1000, 10000), 3)]
    sentences = _filler(random, length)
    # Two like it stand anywhere else, so that the first number that is met will not do.
    for other, number in zip(others, numbers[1:], strict=True):
        sentences.insert(random.randint(0, len(sentences)), _needle(other, place, number))
    sentences.insert(round(depth * len(sentences)), _needle(person, place, numbers[0]))
    question = f"What is {person}'s number for the {place}? Answer with the number only."
    return Item(
        id=f"{seed}-{index}",
        cluster=f"{seed}-{index}",
        slice=f"{length} words, depth {depth:.0%}",
        messages=(Message("user", f"Read this text.\n\n{' '.join(sentences)}\n\n{question}"),),
        reference={"number": numbers[0], "others": numbers[1:]},
    )


def _needle(person: str, place: str, number: str) -> str:
    return f"{person}'s number for the {place} is {number}."


def _filler(random: Random, words: int) -> list[str]:
    sentences: list[str] = []
    count = 0
    while count < words:
        sentence = " ".join(map(random.choice, (_WHO, _DID, _WHAT, _WHEN))) + "."
        sentences.append(sentence)
        count += len(sentence.split())
    return sentences
