"""Constraints on an answer's form that a program can check, after the idea of IFEval (arXiv:2311.07911); our own set.

Each is one function that says whether an answer keeps it, a sentence that asks for it, and a way to draw its
parameters. Which go together follows from the aspects that they touch: no two of one prompt share one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

Parameters = Mapping[str, Any]

WORDS = (
    "always",
    "simple",
    "people",
    "change",
    "reason",
    "water",
    "small",
    "future",
    "better",
    "quiet",
    "light",
    "road",
)
AVOIDED = ("very", "important", "many", "often", "great", "also", "because", "however")
OPENINGS = ("To begin with,", "In short,", "Here is my view:", "Let me explain.")
ENDINGS = ("That is all.", "Thank you for reading.", "I hope this helps.", "The rest is up to you.")
KEYS = ("title", "summary", "reason", "example", "steps", "topic")


@dataclass(frozen=True, slots=True)
class Constraint:
    """One kind. `ask` and `kept` take the parameters that `draw` made, which are plain data."""

    aspects: frozenset[str]
    draw: Callable[[Random], dict[str, Any]]
    ask: Callable[[Parameters], str]
    kept: Callable[[str, Parameters], bool]


def words(text: str) -> list[str]:
    """Runs of letters, digits, apostrophes and hyphens."""
    return re.findall(r"[^\W_]+(?:['’-][^\W_]+)*", text)


def sentences(text: str) -> list[str]:
    """Pieces that end with a stop, or with the text; each has a word in it."""
    return [piece for piece in re.split(r"(?<=[.!?])[\"'”’)*]*(?:\s+|$)", text) if words(piece)]


def paragraphs(text: str) -> list[str]:
    """Pieces between blank lines."""
    return [piece for piece in re.split(r"\n[ \t]*\n", text.strip()) if piece.strip()]


def bullets(text: str) -> list[str]:
    """Lines that begin with `- ` or `* `."""
    return re.findall(r"^[ \t]*[-*] +\S.*$", text, re.MULTILINE)


def numbered(text: str) -> list[int]:
    """Numbers of the lines that begin with `1.`, `2.`, …"""
    return [int(number) for number in re.findall(r"^[ \t]*(\d{1,3})[.)] +\S", text, re.MULTILINE)]


def occurrences(text: str, word: str) -> int:
    """How often a word stands in the text, case aside."""
    return [each.casefold() for each in words(text)].count(word.casefold())


def is_object_with(text: str, keys: list[str]) -> bool:
    """Whether the text is a JSON object with exactly these keys; a fence around it is allowed."""
    inside = re.fullmatch(r"```(?:json)?\s*\n(.*)\n```", text.strip(), re.DOTALL)
    try:
        data = json.loads(inside[1] if inside else text)
    except (ValueError, RecursionError):
        return False
    return isinstance(data, dict) and sorted(data) == sorted(keys)


def _only(*aspects: str) -> frozenset[str]:
    return frozenset(aspects)


def _quoted(given: list[str]) -> str:
    return " and ".join(f'"{word}"' for word in given)


CONSTRAINTS: dict[str, Constraint] = {
    "at_most_words": Constraint(
        _only("length"),
        lambda draw: {"count": draw.choice([20, 30, 50, 80])},
        lambda p: f"Use at most {p['count']} words.",
        lambda text, p: 0 < len(words(text)) <= p["count"],
    ),
    "at_least_words": Constraint(
        _only("length"),
        lambda draw: {"count": draw.choice([40, 60, 80, 120])},
        lambda p: f"Use at least {p['count']} words.",
        lambda text, p: len(words(text)) >= p["count"],
    ),
    "sentences": Constraint(
        _only("length", "layout"),
        lambda draw: {"count": draw.randint(1, 5)},
        lambda p: (
            "Answer in exactly one sentence." if p["count"] == 1 else f"Answer in exactly {p['count']} sentences."
        ),
        lambda text, p: len(sentences(text)) == p["count"],
    ),
    "paragraphs": Constraint(
        _only("layout"),
        lambda draw: {"count": draw.randint(2, 4)},
        lambda p: f"Write exactly {p['count']} paragraphs, with a blank line between them.",
        lambda text, p: len(paragraphs(text)) == p["count"],
    ),
    "bullets": Constraint(
        _only("layout"),
        lambda draw: {"count": draw.randint(2, 6)},
        lambda p: f'Give exactly {p["count"]} bullet points, each on a line of its own that begins with "- ".',
        lambda text, p: len(bullets(text)) == p["count"],
    ),
    "numbered": Constraint(
        _only("layout"),
        lambda draw: {"count": draw.randint(2, 6)},
        lambda p: f"Give a numbered list of exactly {p['count']} lines, beginning with 1.",
        lambda text, p: numbered(text) == list(range(1, p["count"] + 1)),
    ),
    "json_keys": Constraint(
        _only("layout", "length", "start", "end", "case", "letters", "commas", "title", "words"),
        lambda draw: {"keys": draw.sample(KEYS, draw.randint(2, 3))},
        lambda p: f"Answer with one JSON object and nothing else. Its keys are {_quoted(p['keys'])}.",
        lambda text, p: is_object_with(text, p["keys"]),
    ),
    "include_words": Constraint(
        _only("words", "letters"),
        lambda draw: {"words": draw.sample(WORDS, draw.randint(1, 2))},
        lambda p: f"Use the word{'s' if len(p['words']) > 1 else ''} {_quoted(p['words'])}.",
        lambda text, p: all(occurrences(text, word) for word in p["words"]),
    ),
    "word_times": Constraint(
        _only("words", "letters"),
        lambda draw: {"word": draw.choice(WORDS), "count": draw.randint(2, 4)},
        lambda p: f'Use the word "{p["word"]}" exactly {p["count"]} times.',
        lambda text, p: occurrences(text, p["word"]) == p["count"],
    ),
    "avoid_words": Constraint(
        _only("avoided"),
        lambda draw: {"words": draw.sample(AVOIDED, draw.randint(1, 3))},
        lambda p: f"Do not use the word{'s' if len(p['words']) > 1 else ''} {_quoted(p['words'])}.",
        lambda text, p: bool(words(text)) and not any(occurrences(text, word) for word in p["words"]),
    ),
    "without_letter": Constraint(
        _only("letters", "start", "end", "title"),
        lambda draw: {"letter": draw.choice("jqxzvkw")},
        lambda p: f'Do not use the letter "{p["letter"]}" anywhere.',
        lambda text, p: bool(words(text)) and p["letter"] not in text.casefold(),
    ),
    "lower_case": Constraint(
        _only("case", "start", "end"),
        lambda draw: {},
        lambda p: "Write in lower case only, without a single capital letter.",
        lambda text, p: bool(words(text)) and text == text.lower(),
    ),
    "upper_case": Constraint(
        _only("case", "start", "end"),
        lambda draw: {},
        lambda p: "Write in CAPITAL LETTERS only.",
        lambda text, p: bool(words(text)) and text == text.upper(),
    ),
    "no_commas": Constraint(
        _only("commas", "start"),
        lambda draw: {},
        lambda p: "Do not use any commas.",
        lambda text, p: bool(words(text)) and "," not in text,
    ),
    "start_with": Constraint(
        _only("start", "sentence"),
        lambda draw: {"text": draw.choice(OPENINGS)},
        lambda p: f'Begin your answer with exactly "{p["text"]}"',
        lambda text, p: text.strip().startswith(p["text"]),
    ),
    "end_with": Constraint(
        _only("end"),
        lambda draw: {"text": draw.choice(ENDINGS)},
        lambda p: f'End your answer with exactly "{p["text"]}" and write nothing after it.',
        lambda text, p: text.strip().endswith(p["text"]),
    ),
    "in_quotes": Constraint(
        _only("start", "end", "title"),
        lambda draw: {},
        lambda p: "Put your whole answer in double quotation marks.",
        lambda text, p: len(text.strip()) > 2 and text.strip()[0] in '"“' and text.strip()[-1] in '"”',
    ),
    "title": Constraint(
        _only("title", "start"),
        lambda draw: {},
        lambda p: "Begin with a title in double angle brackets, like <<my title>>.",
        lambda text, p: re.match(r"<<[^<>\n]*\w[^<>\n]*>>", text.strip()) is not None,
    ),
    "placeholders": Constraint(
        _only("placeholders", "layout"),
        lambda draw: {"count": draw.randint(1, 3)},
        lambda p: (
            f"Leave at least {p['count']} place{'s' if p['count'] > 1 else ''} to fill in, in square brackets, "
            "like [name]."
        ),
        lambda text, p: len(re.findall(r"\[[^\[\]\n]+\]", text)) >= p["count"],
    ),
}
