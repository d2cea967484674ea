"""Put a question together from the argument, files and a pipe."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from limpide.cli.options import read_path
from limpide.cli.terminal import is_terminal
from limpide.core.errors import EmptyPrompt, InvalidParameter, InvalidText

MAX_INPUT = 64 * 2**20
"""Bytes. No context holds more, and /dev/zero has no end."""


def gather(question: str | None, files: Sequence[Path]) -> str:
    """The whole prompt: the files' contents, then the question, with a blank line between.

    `-` as question or as a file is the standard input; without a question and files a pipe is read.
    Raises EmptyPrompt, InvalidText, InvalidParameter.
    """
    dash = [question == "-", *(str(path) == "-" for path in files)].count(True)
    if dash > 1:
        raise InvalidParameter("-", dash, "the standard input once: it can be read only once")
    parts = [
        _standard_input() if str(path) == "-" else _decode(read_path(path, MAX_INPUT), str(path)) for path in files
    ]
    if question == "-" or (question is None and not files and not is_terminal(sys.stdin)):
        parts.append(_standard_input())
    elif question is not None:
        parts.append(_checked(question))
    prompt = "\n\n".join(part.strip("\n") for part in parts if part.strip())
    if not prompt.strip():
        raise EmptyPrompt(
            "the prompt is empty",
            expected="a question as argument, in a file or through a pipe",
            hint='limpide ask "What is the capital of France?"',
        )
    return prompt


def _standard_input() -> str:
    content = sys.stdin.buffer.read(MAX_INPUT + 1)
    if len(content) > MAX_INPUT:
        raise InvalidParameter("standard input", f"more than {MAX_INPUT} bytes", f"at most {MAX_INPUT // 2**20} MiB")
    return _decode(content, "the standard input")


def _decode(content: bytes, where: str) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidText(
            f"{where} is not valid UTF-8: byte {error.start} is {content[error.start]:#04x}",
            expected="text in UTF-8",
            hint="convert it first, for example: iconv -f latin1 -t utf-8",
        ) from None


def _checked(argument: str) -> str:
    """An argument whose bytes were not UTF-8 arrives with surrogates in it."""
    try:
        argument.encode("utf-8")
    except UnicodeEncodeError:
        raise InvalidText("the question is not valid UTF-8", expected="text in UTF-8") from None
    return argument
