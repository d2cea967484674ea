"""Whether an answer says what it should."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?")
_AROUND = " \t\n\"'“”‘’«»*_`.!?…"


def normal(text: str) -> str:
    """Text without what does not matter: case, runs of white space, quotes, emphasis and stops around it."""
    return " ".join(text.casefold().split()).strip(_AROUND)


def same(answer: str, reference: str) -> bool:
    """Whether they are equal but for what does not matter."""
    return normal(answer) == normal(reference)


def contains(answer: str, reference: str) -> bool:
    """Whether the reference stands in the answer, as whole words."""
    wanted = normal(reference)
    return bool(wanted) and re.search(rf"(?<!\w){re.escape(wanted)}(?!\w)", normal(answer)) is not None


def same_number(answer: str, reference: str) -> bool:
    """Whether the last number of the answer is the reference's; thousands may be parted by commas."""
    found = NUMBER.findall(answer)
    return bool(found) and float(found[-1].replace(",", "")) == float(reference.replace(",", ""))


MATCHES: Mapping[str, Callable[[str, str], bool]] = {"exact": same, "contains": contains, "number": same_number}
