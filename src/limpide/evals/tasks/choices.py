"""`choices`: four continuations of a question, of which the likeliest should be the right one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal

from limpide.core.ports import Answer
from limpide.evals.task import Grade, Item, TaskOptions, draw

SIZE = 240
SHOTS = 5
COUNT = 4

CAPITALS = {
    "France": "Paris", "Germany": "Berlin", "Spain": "Madrid", "Italy": "Rome", "Portugal": "Lisbon",
    "Greece": "Athens", "Austria": "Vienna", "Poland": "Warsaw", "Norway": "Oslo", "Sweden": "Stockholm",
    "Finland": "Helsinki", "Denmark": "Copenhagen", "Ireland": "Dublin", "Hungary": "Budapest", "Belgium": "Brussels",
    "Russia": "Moscow", "Japan": "Tokyo", "China": "Beijing", "India": "New Delhi", "Thailand": "Bangkok",
    "Egypt": "Cairo", "Kenya": "Nairobi", "Canada": "Ottawa", "Cuba": "Havana", "Peru": "Lima",
    "Argentina": "Buenos Aires", "Chile": "Santiago", "Turkey": "Ankara", "Iran": "Tehran", "South Korea": "Seoul",
}  # fmt: skip
MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
KINDS = {
    "a fruit": ("apple", "banana", "pear", "cherry", "peach", "plum", "grape", "lemon"),
    "an animal": ("horse", "rabbit", "tiger", "sheep", "monkey", "wolf", "goat", "bear"),
    "a colour": ("red", "green", "yellow", "purple", "blue", "orange", "brown", "pink"),
    "a tool": ("hammer", "saw", "drill", "wrench", "chisel", "axe", "shovel", "screwdriver"),
    "a vehicle": ("car", "bus", "truck", "bicycle", "train", "tram", "motorcycle", "van"),
    "an instrument": ("piano", "violin", "guitar", "flute", "trumpet", "drum", "cello", "harp"),
    "a piece of clothing": ("shirt", "coat", "hat", "sock", "jacket", "glove", "scarf", "skirt"),
    "a part of the body": ("hand", "knee", "shoulder", "elbow", "ear", "foot", "nose", "finger"),
}
UNITS = {
    "seconds are there in a minute": "60", "minutes are there in an hour": "60", "hours are there in a day": "24",
    "days are there in a week": "7", "months are there in a year": "12", "weeks are there in a year": "52",
    "centimetres are there in a metre": "100", "metres are there in a kilometre": "1000",
    "millimetres are there in a centimetre": "10", "grams are there in a kilogram": "1000",
    "years are there in a century": "100", "years are there in a decade": "10", "sides does a triangle have": "3",
    "sides does a square have": "4", "legs does a spider have": "8", "eggs are there in a dozen": "12",
}  # fmt: skip
OPPOSITES = {
    "hot": "cold", "big": "small", "fast": "slow", "early": "late", "light": "dark", "hard": "soft", "high": "low",
    "old": "young", "rich": "poor", "wet": "dry", "loud": "quiet", "full": "empty", "strong": "weak", "open": "closed",
    "thick": "thin", "clean": "dirty",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Fact:
    """A question, its right answer and three wrong ones; `source` is what it is drawn from."""

    source: str
    question: str
    right: str
    wrong: tuple[str, ...]


def _capital(random: Random) -> Fact:
    country = random.choice(sorted(CAPITALS))
    return _from(random, country, f"What is the capital of {country}?", CAPITALS[country], CAPITALS.values())


def _next_in_order(random: Random) -> Fact:
    order, noun = random.choice(((MONTHS, "month"), (DAYS, "day")))
    at, way = random.randrange(len(order)), random.choice((-1, 1))
    word = "after" if way == 1 else "before"
    right = order[(at + way) % len(order)]
    others = [each for each in order if each != order[at]]
    return _from(random, f"{word} {order[at]}", f"Which {noun} comes {word} {order[at]}?", right, others)


def _kind(random: Random) -> Fact:
    kind = random.choice(sorted(KINDS))
    right = random.choice(KINDS[kind])
    others = [word for other, words in KINDS.items() if other != kind for word in words if word != "orange"]
    return _from(random, kind, f"Which of these is {kind}?", right, others)


def _unit(random: Random) -> Fact:
    what = random.choice(sorted(UNITS))
    return _from(random, what, f"How many {what}?", UNITS[what], set(UNITS.values()))


def _opposite(random: Random) -> Fact:
    word = random.choice(sorted(OPPOSITES))
    others = [each for each in OPPOSITES.values() if each != word]
    return _from(random, word, f"What is the opposite of {word}?", OPPOSITES[word], others)


def _sum(random: Random) -> Fact:
    first, second = random.randint(1, 20), random.randint(1, 20)
    total = first + second
    near = {str(total + off) for off in (-10, -3, -2, -1, 1, 2, 3, 10) if total + off > 0}
    return _from(random, f"{first}+{second}", f"What is {first} plus {second}?", str(total), near)


def _largest(random: Random) -> Fact:
    numbers = random.sample(range(1, 1000), COUNT)
    largest, word = random.choice(((True, "largest"), (False, "smallest")))
    right = max(numbers) if largest else min(numbers)
    listed = ", ".join(map(str, numbers))
    question = f"Which number is the {word}: {listed}?"
    return _from(random, listed, question, str(right), [str(each) for each in numbers])


def _from(random: Random, source: str, question: str, right: str, others: object) -> Fact:
    wrong = sorted(set(others) - {right})  # type: ignore[call-overload]
    return Fact(source, question, right, tuple(random.sample(wrong, COUNT - 1)))


SOURCES: dict[str, Callable[[Random], Fact]] = {
    "capitals": _capital,
    "order": _next_in_order,
    "kinds": _kind,
    "units": _unit,
    "opposites": _opposite,
    "sums": _sum,
    "comparisons": _largest,
}


@dataclass(frozen=True, slots=True)
class Choices:
    """What a small model can know: facts of seven sources, one slice each. Chance is one in four."""

    name: str = "choices"
    version: str = "1"
    about: str = "four-choice questions by likelihood: capitals, order, kinds, units, opposites, sums, comparisons"
    kind: Literal["choices"] = "choices"
    shots: int | None = SHOTS
    needs_file: bool = False
    max_tokens: int = 1

    def items(self, options: TaskOptions) -> Sequence[Item]:
        """Seeded; the sources by turns. All have the same solved examples before them, none of which is asked."""
        shots = SHOTS if options.shots is None else options.shots
        examples = [_fact("shot", options.seed, index, ()) for index in range(shots)]
        preamble = "".join(f"{_asked(fact)} {fact.right}\n\n" for _, fact in examples)
        shown = frozenset(fact.source for _, fact in examples)
        return [_item(options.seed, index, preamble, shown) for index in range(options.limit or SIZE)]

    def grade(self, item: Item, answer: Answer) -> Grade:
        """Nothing is generated."""
        raise AssertionError("choices are graded by likelihood")


def _fact(purpose: str, seed: int, index: int, shown: Sequence[str] | frozenset[str]) -> tuple[str, Fact]:
    source = list(SOURCES)[index % len(SOURCES)]
    random = draw(f"choices/{purpose}", seed, index)
    while (fact := SOURCES[source](random)).source in shown and source != "kinds":
        pass
    return source, fact


def _item(seed: int, index: int, preamble: str, shown: frozenset[str]) -> Item:
    source, fact = _fact("item", seed, index, shown)
    random = draw("choices/order", seed, index)
    choices = random.sample((fact.right, *fact.wrong), COUNT)
    return Item(
        id=f"{seed}-{index}",
        cluster=f"{source}: {fact.source}",
        slice=source,
        context=preamble + _asked(fact),
        choices=tuple(f" {choice}" for choice in choices),
        reference=choices.index(fact.right),
    )


def _asked(fact: Fact) -> str:
    return f"Question: {fact.question}\nAnswer:"
