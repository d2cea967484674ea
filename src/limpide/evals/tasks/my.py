"""`my`: questions of the user's own, a JSON object on each line. The fields are described in docs/evaluate.md."""

from __future__ import annotations

import hashlib
import math
import re
import runpy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from limpide.core.errors import BadRequest, InvalidDataset, InvalidParameter
from limpide.core.messages import Message
from limpide.core.ports import Answer
from limpide.evals.matching import MATCHES
from limpide.evals.task import Grade, Item, TaskOptions
from limpide.evals.userfile import Line, read_lines

ASKED_BY = ("prompt", "messages")
GRADED_BY = ("reference", "regex", "choices")
FIELDS = ("id", "cluster", "slice", *ASKED_BY, "system", *GRADED_BY, "match", "answer", "note")
MAX_CHOICES = 26
_SENTENCE_END = (".", "!", "?", "…", ";")

Check = Callable[[str, Mapping[str, Any]], Any]


@dataclass(slots=True)
class My:
    """The user's questions, graded by a reference, an expression, the likelihood of choices, or their own Python."""

    name: str = "my"
    version: str = "1"
    about: str = "your own questions, from a JSONL file: --file QUESTIONS.jsonl [--check CHECK.py]"
    kind: Literal["mixed"] = "mixed"
    shots: int | None = None
    needs_file: bool = True
    max_tokens: int = 512
    _check: Check | None = field(default=None, repr=False)

    def items(self, options: TaskOptions) -> Sequence[Item]:
        """One item for each line. Raises InvalidDataset."""
        if options.file is None:
            raise InvalidParameter("file", None, "a JSONL file with questions", hint="--file QUESTIONS.jsonl")
        checked_by = None
        if options.check is not None:
            self._check, checked_by = load_check(options.check)
        items: dict[str, Item] = {}
        for line in read_lines(options.file):
            item = _item(line, checked_by)
            if item.id in items:
                raise line.wrong("id", f"another line has the id {item.id!r}", "an id of its own")
            items[item.id] = item
        if not items:
            raise InvalidDataset(f"there are no questions in {options.file}", expected="at least one line")
        return list(items.values())[: options.limit]

    def grade(self, item: Item, answer: Answer) -> Grade:
        """Grade by the item's reference or expression, or by the user's check."""
        graded: Mapping[str, Any] = item.reference
        if "reference" in graded:
            match = MATCHES[graded["match"]]
            return Grade(float(any(match(answer.text, each) for each in graded["reference"])))
        if "regex" in graded:
            return Grade(float(re.search(graded["regex"], answer.text) is not None))
        if self._check is None:
            raise AssertionError("an item without anything to grade it by was let through")
        return Grade(_checked(self._check, answer.text, graded["line"]))


def load_check(path: Path) -> tuple[Check, str]:
    """The `check` function of a user's Python file, which is run, and the file's SHA-256. Raises InvalidParameter."""
    try:
        source = path.read_bytes()
        space = runpy.run_path(str(path))
    except OSError as error:
        raise InvalidParameter("check", str(path), f"a Python file ({error.strerror})") from error
    except Exception as error:
        told = f"a Python file that can be run ({type(error).__name__}: {error})"
        raise InvalidParameter("check", str(path), told) from error
    check = space.get("check")
    if not callable(check):
        raise InvalidParameter("check", str(path), "a Python file with `def check(answer, item)`")
    return check, hashlib.sha256(source).hexdigest()


def _checked(check: Check, answer: str, line: Mapping[str, Any]) -> float:
    try:
        score = check(answer, line)
    except Exception as error:
        raise BadRequest(f"your check failed: {type(error).__name__}: {error}") from error
    if isinstance(score, bool | int | float) and math.isfinite(score) and 0 <= score <= 1:
        return float(score)
    raise BadRequest(f"your check returned {score!r}", expected="True, False, or a number from 0 to 1")


def _item(line: Line, checked_by: str | None) -> Item:
    for name in line.data:
        if name not in FIELDS:
            raise line.wrong(name, f"there is no field {name!r}", f"fields among {', '.join(FIELDS)}")
    _one_of(line, ASKED_BY, "what to ask")
    graded = [name for name in GRADED_BY if name in line.data]
    if len(graded) != 1 and not (not graded and checked_by):
        _one_of(line, GRADED_BY, "what to grade by (or --check)")
    identity = line.string("id", default=f"line-{line.number}") or f"line-{line.number}"
    common: dict[str, Any] = {
        "id": identity,
        "cluster": line.string("cluster") or identity,
        "slice": line.string("slice") or "all",
    }
    if "match" in line.data and graded != ["reference"]:
        raise line.wrong("match", "match is there without a reference", "reference beside it")
    if "answer" in line.data and graded != ["choices"]:
        raise line.wrong("answer", "answer is there without choices", "choices beside it, or reference in its place")
    if graded == ["choices"]:
        return Item(**common, **_choices(line))
    return Item(**common, messages=_messages(line), reference=_graded_by(line, graded, checked_by))


def _one_of(line: Line, names: Sequence[str], purpose: str) -> None:
    found = [name for name in names if name in line.data]
    if len(found) != 1:
        what = f"{' and '.join(found)} are both there" if found else f"nothing says {purpose}"
        raise line.wrong(found[1] if found else None, what, f"one of {', '.join(names)}: {purpose}")


def _messages(line: Line) -> tuple[Message, ...]:
    system = (Message("system", line.string("system")),) if line.string("system") else ()
    if "prompt" in line.data:
        prompt = line.string("prompt")
        if not prompt.strip():
            raise line.wrong("prompt", "the prompt is empty", "some text to answer")
        return (*system, Message("user", prompt))
    expected = 'a list of {"role": "user", "content": "…"}, the last of them the user\'s'
    given = line.data["messages"]
    if not isinstance(given, list) or not given:
        raise line.wrong("messages", "messages is no list of messages", expected)
    messages = []
    for each in given:
        if not isinstance(each, dict) or each.keys() != {"role", "content"} or not isinstance(each["content"], str):
            raise line.wrong("messages", "messages has something that is no message", expected)
        if each["role"] not in ("system", "user", "assistant"):
            raise line.wrong("messages", f"messages has the role {each['role']!r}", "system, user or assistant")
        messages.append(Message(each["role"], each["content"]))
    if messages[-1].role != "user" or not messages[-1].content.strip():
        raise line.wrong("messages", "the last message is not a question of the user's", expected)
    return (*system, *messages)


def _graded_by(line: Line, graded: Sequence[str], checked_by: str | None) -> dict[str, Any]:
    if graded == ["reference"]:
        return {"reference": _references(line), "match": _match(line)}
    if graded == ["regex"]:
        try:
            re.compile(line.string("regex"))
        except re.error as error:
            raise line.wrong("regex", f"the expression is wrong: {error}", "a regular expression of Python") from None
        return {"regex": line.string("regex")}
    return {"check_sha256": checked_by, "line": dict(line.data)}


def _references(line: Line) -> list[str]:
    given = line.data["reference"]
    references = given if isinstance(given, list) else [given]
    if not references or not all(isinstance(each, str) and each.strip() for each in references):
        raise line.wrong("reference", "the reference is empty or no text", "a string, or a list of strings")
    if _match(line) == "number":
        for each in references:
            try:
                float(each.replace(",", ""))
            except ValueError:
                raise line.wrong("reference", f"{each!r} is no number", 'a number, since match is "number"') from None
    return references


def _match(line: Line) -> str:
    match = line.string("match", default="exact")
    if match not in MATCHES:
        raise line.wrong("match", f"match can't be {match!r}", ", ".join(MATCHES))
    return match


def _choices(line: Line) -> dict[str, Any]:
    if "prompt" not in line.data or line.string("system"):
        raise line.wrong("choices", "choices go with a prompt alone", "prompt, and neither messages nor system")
    context = line.string("prompt")
    if context != context.rstrip():
        raise line.wrong(
            "prompt", "the prompt ends with white space", "the white space at the front of each choice, or none at all"
        )
    choices = line.data["choices"]
    count = len(choices) if isinstance(choices, list) else 0
    if not 2 <= count <= MAX_CHOICES or not all(isinstance(each, str) and each.strip() for each in choices):
        raise line.wrong("choices", "choices are no list of texts", f"from 2 to {MAX_CHOICES} strings, none empty")
    if len(set(choices)) < count:
        raise line.wrong("choices", "two choices are the same", "different ones")
    for form, told in ((lambda c: c[0].isspace(), "begin with white space"), (_ends, "end with a stop")):
        if len({form(each) for each in choices}) > 1:
            raise line.wrong(
                "choices", f"some choices {told}, some don't", "one form: likelihood would judge the form as well"
            )
    if not choices[0][0].isspace() and context:
        choices = [f" {each}" for each in choices]
    return {"context": context, "choices": tuple(choices), "reference": _right(line)}


def _ends(choice: str) -> bool:
    return choice.rstrip().endswith(_SENTENCE_END)


def _right(line: Line) -> int:
    choices: list[str] = line.data["choices"]
    answer = line.data.get("answer")
    if isinstance(answer, int) and not isinstance(answer, bool) and 0 <= answer < len(choices):
        return answer
    if isinstance(answer, str) and answer in choices:
        return choices.index(answer)
    what = "nothing says which choice is right" if answer is None else f"the answer {answer!r} is not among the choices"
    raise line.wrong("answer", what, f"one of the choices, or its index from 0 to {len(choices) - 1}")
