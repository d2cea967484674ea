"""Tokens of one choice become events."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from limpide.core.events import Event, TextDelta, ThinkingDelta, TokenProbability, ToolCallDelta
from limpide.core.receipt import Outcome
from limpide.engine.calls import Calls
from limpide.engine.sampler import Chosen
from limpide.engine.stops import StopFilter
from limpide.engine.thinking import Gate, Phase, Segment
from limpide.text.detokenizer import Detokenizer
from limpide.text.tokenizer import Tokenizer

Emit = Callable[[Event], None]


class _Channel:
    """Log-probabilities that wait for the text of their tokens."""

    def __init__(self) -> None:
        self.pending: list[tuple[int, TokenProbability]] = []

    def take(self, shown: int | None) -> tuple[TokenProbability, ...]:
        """Those of tokens that begin before character `shown`; None takes all."""
        if not self.pending:
            return ()
        taken = tuple(p for at, p in self.pending if shown is None or at < shown)
        self.pending = self.pending[len(taken) :]
        return taken


class Output:
    """Turns one choice's tokens into deltas: detokenized, thinking apart from answer, calls told from text.

    Stop strings are looked for in the text of the answer; `turn_ends`, strings that end the turn of a model that has no
    token for it, wherever they come.
    """

    def __init__(
        self,
        *,
        tokenizer: Tokenizer,
        detokenizer: Detokenizer,
        gate: Gate,
        stops: StopFilter,
        emit: Emit,
        index: int,
        markers: Sequence[str] = (),
        turn_ends: Sequence[str] = (),
        calls: Calls | None = None,
    ) -> None:
        self.gate = gate
        self._tokenizer = tokenizer
        self._detokenizer = detokenizer
        self._stops = stops
        self._emit = emit
        self._index = index
        self._turn = StopFilter(turn_ends)
        self._calls = calls
        # A detokenizer leaves special tokens out, but the markers of some models are made of them.
        self._marker_tokens = _tokens_of(markers, tokenizer)
        self._call_tokens = _tokens_of(calls.markers, tokenizer) if calls else {}
        self._opening = _Channel()
        """Of tokens that may yet turn out to be thinking."""
        self._thinking = _Channel()
        self._answer = _Channel()

    @property
    def stop(self) -> str | None:
        """The stop string that ended the answer, if one did."""
        return self._stops.matched

    @property
    def ended(self) -> bool:
        """Whether the text says that the turn is over."""
        return self._stops.matched is not None or self._turn.matched is not None

    @property
    def num_calls(self) -> int:
        """Tool calls so far."""
        return self._calls.num_calls if self._calls else 0

    def outcomes(self) -> Mapping[str, Outcome]:
        """What the receipt should say that only the end knows."""
        return {"tools": self._calls.outcome()} if self._calls else {}

    def push(self, chosen: Chosen) -> None:
        """One more token."""
        text = self._detokenizer.push(chosen.token)
        # The blanks between thinking and answer are shown on neither side, and so is their probability.
        if chosen.logprob is not None and not (self.gate.between and text.isspace()):
            probability = self._probability(chosen.token, chosen.logprob, chosen.top)
            channels = {Phase.OPENING: self._opening, Phase.THINKING: self._thinking, Phase.ANSWER: self._answer}
            channels[self.gate.phase].pending.append((self._stops.num_seen, probability))
        if not text and self.gate.watching:
            text = self._marker_tokens.get(chosen.token, "")
        if not text:
            text = self._call_tokens.get(chosen.token, "")
        self._show_from(lambda: self.gate.push(self._turn.push(text)))

    def text_of(self, token: int) -> str:
        """Text of one token, as far as it is some by itself."""
        return self._tokenizer.token_bytes(token).decode("utf-8", "replace")

    def close_thinking(self, num_tokens: int) -> None:
        """The thinking was closed by force with `num_tokens` tokens, which are not shown."""
        self._show(self.gate.close(num_tokens, self._rest()))
        self._settle_thinking()

    def finish(self) -> None:
        """No more tokens will come: show what was held back."""
        if self._stops.matched is not None:
            return
        self._show_from(lambda: self.gate.finish(self._rest()))
        if self._calls:
            self._answer_pieces(self._calls.finish())
        self._settle_thinking()
        self._answer.pending += self._opening.pending
        rest = self._stops.flush()
        if rest or self._answer.pending:
            self._emit(TextDelta(rest, self._index, self._answer.take(None)))

    def _show_from(self, advance: Callable[[], list[Segment]]) -> None:
        """Show what the gate gives out, once it is clear which side the tokens that opened this belong to."""
        before, counted = self.gate.phase, self.gate.num_thinking_tokens
        segments = advance()
        if before is Phase.OPENING and self.gate.phase is not Phase.OPENING:
            side = self._thinking if self.gate.num_thinking_tokens > counted else self._answer
            side.pending += self._opening.pending
            self._opening.pending = []
        self._show(segments)
        if before is Phase.THINKING and not self.gate.thinking:
            self._settle_thinking()

    def _show(self, segments: list[Segment]) -> None:
        for thinking, text in segments:
            if thinking:
                self._emit(ThinkingDelta(text, self._index, self._thinking.take(None)))
                continue
            self._settle_thinking()
            self._answer_pieces(self._calls.push(text) if self._calls else [text])

    def _answer_pieces(self, pieces: Sequence[str | ToolCallDelta]) -> None:
        for piece in pieces:
            if self._stops.matched is not None:
                return  # what stands behind a stop string was not asked for
            if isinstance(piece, str):
                self._text(self._stops.push(piece))
            else:
                self._text(self._stops.flush())
                self._emit(piece)

    def _text(self, text: str) -> None:
        if text:
            self._emit(TextDelta(text, self._index, self._answer.take(self._stops.num_passed)))

    def _rest(self) -> str:
        """Text that was held back before the gate."""
        return self._turn.push(self._detokenizer.flush()) + self._turn.flush()

    def _settle_thinking(self) -> None:
        """The thinking is over: its last tokens have no text of their own to come with."""
        if self._thinking.pending:
            self._emit(ThinkingDelta("", self._index, self._thinking.take(None)))

    def _probability(self, token: int, logprob: float, top: tuple[tuple[int, float], ...]) -> TokenProbability:
        raw = self._tokenizer.token_bytes(token)
        alternatives = tuple(self._probability(other, value, ()) for other, value in top)
        return TokenProbability(token, raw.decode("utf-8", errors="replace"), raw, logprob, alternatives)


def _tokens_of(markers: Sequence[str], tokenizer: Tokenizer) -> dict[int, str]:
    """Special tokens of which markers are made."""
    return {token: text for text, token in tokenizer.special_tokens.items() if any(text in m for m in markers)}
