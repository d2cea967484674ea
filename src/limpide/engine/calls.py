"""The tool calls of one choice, as events."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from limpide.core.events import ToolCallDelta
from limpide.core.messages import Tool
from limpide.core.receipt import Outcome
from limpide.text.tools import CallArguments, Piece, ReadCall, ToolDialect, ToolScanner

_ID_LENGTH = 9
"""Some templates insist on nine letters or digits."""


@dataclass(frozen=True, slots=True)
class ToolPlan:
    """Which tools the model may call, and how it writes calls."""

    dialect: ToolDialect
    tools: tuple[Tool, ...]
    note: str | None = None
    """What the receipt should say of how the tools were shown to the model."""


class Calls:
    """Tells one choice's calls from its text and numbers them.

    Ids depend on the request alone, so that the same request gives the same answer, ids included; requests with
    different prompts have different ones.
    """

    def __init__(self, plan: ToolPlan, *, index: int, prompt: Sequence[int], seed: int) -> None:
        self._plan = plan
        self._index = index
        self._scanner = ToolScanner(plan.dialect, plan.tools)
        self._salt = hashlib.sha256(f"{seed} {index} {list(prompt)}".encode())
        self.markers = plan.dialect.markers
        self.num_calls = 0

    def push(self, text: str) -> list[str | ToolCallDelta]:
        """More of the answer."""
        return [self._numbered(piece) for piece in self._scanner.push(text)]

    def finish(self) -> list[str | ToolCallDelta]:
        """No more text will come."""
        return [self._numbered(piece) for piece in self._scanner.finish()]

    def outcome(self) -> Outcome:
        """What became of the tools."""
        names = [tool.name for tool in self._plan.tools]
        made = f"{self.num_calls or 'no'} call{'' if self.num_calls == 1 else 's'}"
        wrong, broken = self._scanner.malformed, self._scanner.broken
        reasons = [self._plan.note] if self._plan.note else []
        if wrong:
            what = "what looked like a call was" if len(wrong) == 1 else f"{len(wrong)} that looked like calls were"
            reasons.append(f"{what} left in the text: {'; '.join(wrong[:3])}")
        if broken:
            reasons.append(f"the arguments of a call can't be read: {'; '.join(broken[:3])}")
        return Outcome("clamped" if wrong or broken else "applied", names, made, ". ".join(reasons) or None)

    def _numbered(self, piece: Piece) -> str | ToolCallDelta:
        if isinstance(piece, str):
            return piece
        if isinstance(piece, CallArguments):
            return ToolCallDelta(self.num_calls - 1, arguments=piece.text, index=self._index)
        number, self.num_calls = self.num_calls, self.num_calls + 1
        salt = self._salt.copy()
        salt.update(f" {number}".encode())
        arguments = piece.arguments if isinstance(piece, ReadCall) else ""
        return ToolCallDelta(number, salt.hexdigest()[:_ID_LENGTH], piece.name, arguments, self._index)
