"""Formats in which one turn is several messages, each on a channel of its own."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ChannelFormat:
    """A message is `start`, a header with channel and recipient, `message`, its text, and one of `ends`.

    Generation begins right behind `start`.
    """

    start: str
    channel: str
    message: str
    ends: tuple[str, ...]
    thinking: frozenset[str]
    """Channels that are thinking; all others are for the reader."""
    recipient: str
    """What stands before a recipient in the header."""

    @property
    def markers(self) -> tuple[str, ...]:
        """All text of structure."""
        return (self.start, self.channel, self.message, *self.ends)


HARMONY = ChannelFormat(
    start="<|start|>assistant",
    channel="<|channel|>",
    message="<|message|>",
    ends=("<|end|>", "<|call|>", "<|return|>"),
    thinking=frozenset({"analysis"}),
    recipient="to=",
)
"""The response format of gpt-oss (https://cookbook.openai.com/articles/openai-harmony)."""
