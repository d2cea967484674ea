"""`reasoning`: small problems of twelve kinds, made and checked by reasoning-gym (Apache-2.0), with seeds."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from limpide.core.errors import InvalidParameter
from limpide.core.messages import Message
from limpide.core.ports import Answer
from limpide.evals.matching import NUMBER
from limpide.evals.task import Grade, Item, TaskOptions, draw

SIZE = 120
GENERATORS: Mapping[str, Mapping[str, Any]] = {
    "chain_sum": {"min_terms": 2, "max_terms": 3, "min_digits": 1, "max_digits": 2},
    "simple_equations": {"min_terms": 2, "max_terms": 2, "max_value": 20},
    "gcd": {"max_value": 60},
    "base_conversion": {"min_base": 2, "max_base": 10, "max_value": 60},
    "number_sequence": {"min_terms": 5, "max_terms": 6, "max_complexity": 1},
    "letter_counting": {"min_words": 3, "max_words": 6},
    "spell_backward": {"min_word_len": 3, "max_word_len": 6},
    "number_sorting": {"min_numbers": 3, "max_numbers": 5, "max_decimals": 0},
    "leg_counting": {"min_animals": 2, "max_animals": 3, "max_instances": 5},
    "syllogism": {},
    "family_relationships": {"min_family_size": 4, "max_family_size": 5},
    "knights_knaves": {"n_people": 2},
}
"""Names and settings: at the easy end, where small models differ."""

FORM = "End with the final answer, alone between tags, like this: <answer>42</answer>"


@dataclass(frozen=True, slots=True)
class Reasoning:
    """Problems that take a few steps; one slice for each generator.

    The score is 1 where reasoning-gym's own check gives full marks; what it gives for form or nearness is in the
    detail only, since it was made to train with and not to measure.
    """

    name: str = "reasoning"
    version: str = "1"
    about: str = "problems of twelve kinds from reasoning-gym (pip install 'limpide[eval]')"
    kind: Literal["generate"] = "generate"
    shots: int | None = None
    needs_file: bool = False
    max_tokens: int = 300

    def items(self, options: TaskOptions) -> Sequence[Item]:
        """Seeded; the generators by turns. Raises InvalidParameter without reasoning-gym."""
        return [_item(options.seed, index) for index in range(options.limit or SIZE)]

    def grade(self, item: Item, answer: Answer) -> Grade:
        """detail: `read`, what was taken for the answer, and `given`, the marks of reasoning-gym."""
        problem = _problem(item.reference["generator"], item.reference["seed"])
        read = final_answer(answer.text, item.reference["answer"])
        given = float(problem.score_answer(read, problem[0]))
        return Grade(float(given >= 1.0), {"read": read, "given": given})


def final_answer(text: str, reference: str) -> str:
    """What stands between the last tags, or behind the last one that was not closed.

    Small models forget them. Without tags it is the last number where a number is asked for, otherwise what follows
    the last “answer is”, otherwise the whole text. The reference says what kind of answer it is, and nothing else.
    """
    if found := re.findall(r"<answer>(.*?)(?:</answer>|\Z)", text, re.DOTALL):
        return str(found[-1]).strip()
    numbers = NUMBER.findall(text)
    if NUMBER.fullmatch(reference) and numbers:
        return str(numbers[-1]).replace(",", "")
    if found := re.findall(r"answer is:?\s+(.+?)\.?\s*\Z", text, re.IGNORECASE):
        return str(found[-1]).strip("*")
    return text.strip()


def _item(seed: int, index: int) -> Item:
    generator = list(GENERATORS)[index % len(GENERATORS)]
    own_seed = draw("reasoning", seed, index).randrange(2**31)
    problem = _problem(generator, own_seed)[0]
    return Item(
        id=f"{seed}-{index}",
        cluster=f"{seed}-{index}",
        slice=generator,
        messages=(Message("user", f"{problem['question']}\n\n{FORM}"),),
        reference={"generator": generator, "seed": own_seed, "answer": problem["answer"]},
    )


def _problem(generator: str, seed: int) -> Any:
    """A set of one problem, which is that of its seed alone."""
    try:
        import reasoning_gym
    except ImportError:
        raise InvalidParameter(
            "task", "reasoning", "reasoning-gym, which is not installed", hint="pip install 'limpide[eval]'"
        ) from None
    return reasoning_gym.create_dataset(generator, seed=seed, size=1, **GENERATORS[generator])
