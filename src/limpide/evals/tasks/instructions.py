"""`instructions`: a small thing to write, and one to three constraints on its form that a program can check."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from limpide.core.messages import Message
from limpide.core.ports import Answer
from limpide.evals.constraints import CONSTRAINTS
from limpide.evals.task import Grade, Item, TaskOptions, draw

SIZE = 150
MOST = 3
SUBJECTS = (
    "how to boil an egg",
    "why leaves change colour in autumn",
    "what makes a good neighbour",
    "how a bicycle stays up",
    "why bread rises",
    "a walk along a river",
    "how to learn a new language",
    "why the sky is blue",
    "your ideal garden",
    "how to fold a paper boat",
    "what a librarian does all day",
    "the best season of the year",
    "how honey is made",
    "why we need sleep",
    "a day at the market",
    "how to plant a tree",
    "what makes music sad",
    "why cats purr",
    "how to pack for a short journey",
    "the use of old letters",
    "a small village in the mountains",
    "how rain forms",
    "why maps are never quite right",
    "how to choose a book for a friend",
    "what a clockmaker knows",
    "the smell of rain",
    "how to make tea",
    "why people collect stamps",
    "how bridges carry weight",
    "what to do on a slow Sunday",
    "a lighthouse keeper's evening",
    "why birds fly south",
    "how to keep a diary",
    "the history of an old chair",
    "how to repair a torn page",
    "what makes a joke funny",
    "why ice floats",
    "how to bake an apple",
    "life on a canal boat",
    "why chess is still played",
)
FORMS = (
    "Write a short text about {}.",
    "Tell a friend about {}.",
    "Explain to a child: {}.",
    "Write a note for a newspaper on this subject: {}.",
    "What can you say about this: {}?",
)


@dataclass(frozen=True, slots=True)
class Instructions:
    """Whether a model does what it is told. The score is 1 if every constraint is kept; slices: how many there are."""

    name: str = "instructions"
    version: str = "1"
    about: str = "write something under constraints that a program checks: length, words, layout, JSON, case"
    kind: Literal["generate"] = "generate"
    shots: int | None = None
    needs_file: bool = False
    max_tokens: int = 400

    def items(self, options: TaskOptions) -> Sequence[Item]:
        """Seeded; one, two, three constraints by turns."""
        return [_item(options.seed, index) for index in range(options.limit or SIZE)]

    def grade(self, item: Item, answer: Answer) -> Grade:
        """detail: `kept`, for each constraint whether it was. An answer that its limit cut off counts as it is."""
        kept = {kind: CONSTRAINTS[kind].kept(answer.text, given) for kind, given in item.reference.items()}
        return Grade(float(all(kept.values())), {"kept": kept})


def _item(seed: int, index: int) -> Item:
    random = draw("instructions", seed, index)
    count = index % MOST + 1
    chosen: dict[str, dict[str, Any]] = {}
    touched: frozenset[str] = frozenset()
    kinds = list(CONSTRAINTS)
    # Each kind leads in its turn, so that the same number of items has it first, whatever it goes together with.
    first = kinds.pop((index // MOST) % len(kinds)) if count == 1 else kinds.pop(random.randrange(len(kinds)))
    random.shuffle(kinds)
    for kind in (first, *kinds):
        if len(chosen) < count and not CONSTRAINTS[kind].aspects & touched:
            chosen[kind] = CONSTRAINTS[kind].draw(random)
            touched |= CONSTRAINTS[kind].aspects
    asked = [random.choice(FORMS).format(random.choice(SUBJECTS))]
    asked += [CONSTRAINTS[kind].ask(given) for kind, given in chosen.items()]
    return Item(
        id=f"{seed}-{index}",
        cluster=f"{seed}-{index}",
        slice=f"{len(chosen)} constraint{'s' if len(chosen) > 1 else ''}",
        messages=(Message("user", " ".join(asked)),),
        reference=chosen,
    )
