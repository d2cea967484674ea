"""One of the answers to a request, while it is being written."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from collections.abc import Sequence as Tokens
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from limpide.core.events import FinishReason, Usage
from limpide.core.receipt import Outcome
from limpide.core.sampling import Sampling
from limpide.engine.drafts import Track
from limpide.engine.guard import Guard
from limpide.engine.output import Output
from limpide.engine.receipts import Settled
from limpide.engine.sampler import Chosen, Sampler
from limpide.engine.sequence import Sequence
from limpide.engine.thinking import encode_inside
from limpide.text.tokenizer import Tokenizer


@dataclass(frozen=True, slots=True)
class Ending:
    """The end of a choice. The receipt is made by whoever reads it: that may have to wait for a hash."""

    reason: FinishReason
    usage: Usage
    index: int
    stop: str | None
    outcomes: Mapping[str, Outcome] = field(default_factory=dict)
    """For the receipt: what only the end of this choice knows."""


class Choice:
    """Owns a sequence: takes its logits, appends tokens, and knows when to stop."""

    def __init__(
        self,
        *,
        number: int,
        index: int,
        prompt: list[int],
        sampling: Sampling,
        sampler: Sampler,
        settled: Settled,
        output: Output,
        tokenizer: Tokenizer,
        vocab_size: int,
        on_end: Callable[[Ending], None],
        eos_closes: bool,
        guard: Guard | None = None,
        track: Track | None = None,
    ) -> None:
        self.index = index
        self.sequence = Sequence(number, prompt, self, logits_from=len(prompt) - 1)
        self.num_prompt = len(prompt)
        self.torn = False
        self._sampling = sampling
        self._sampler = sampler
        self._settled = settled
        self._output = output
        self._tokenizer = tokenizer
        self._vocab_size = vocab_size
        self._eos_ids = frozenset() if sampling.ignore_eos else tokenizer.eos_ids
        self._on_end = on_end
        self._eos_closes = eos_closes
        self._guard = guard
        self.track = track
        """How drafts fared; None: nothing is drafted."""
        self.drafting: object = None
        """What the drafter remembers of the text."""
        self._chosen: Chosen | None = None
        self._drafted: list[npt.NDArray[np.float32]] = []
        """Logits after each drafted token."""
        self._truncated = False
        self._submitted = time.perf_counter()
        self._first_token: float | None = None
        if output.gate.exhausted:
            self._close_exhausted()

    @property
    def num_generated(self) -> int:
        """Tokens after the prompt, forced ones included."""
        return len(self.sequence.tokens) - self.num_prompt

    @property
    def num_left(self) -> int:
        """Tokens that may still be generated."""
        return self._settled.max_tokens - self.num_generated

    @property
    def usage(self) -> Usage:
        """What it took so far."""
        now = time.perf_counter()
        admitted = self.sequence.admitted_at or now
        first = self._first_token or now
        thinking = self._output.gate.num_thinking_tokens
        return Usage(
            prompt_tokens=self.num_prompt,
            cached_tokens=self.sequence.cached_tokens or 0,
            thinking_tokens=thinking,
            answer_tokens=self.num_generated - thinking,
            thinking_truncated=self._truncated,
            queue_seconds=admitted - self._submitted,
            prefill_seconds=first - admitted,
            decode_seconds=now - first,
            accepted_draft_tokens=self.track.accepted if self.track else 0,
            rejected_draft_tokens=self.track.rejected if self.track else 0,
        )

    def on_logits(self, position: int, logits: npt.NDArray[np.float32]) -> None:
        """Choose the next token, and keep what is needed for those after it. Nothing is changed yet: see Owner."""
        rows = list(logits)
        if position == self.sequence.logits_from:
            self._chosen = self._choose(rows.pop(0))
            self._drafted = []
        self._drafted += rows

    def on_commit(self) -> bool:
        """Take the chosen token over, if the step came as far as the last one, and go on while drafts are right."""
        chosen, self._chosen = self._chosen, None
        rows, self._drafted = self._drafted, []
        sequence = self.sequence
        if chosen is None or sequence.num_missing:
            return False
        if self._first_token is None:
            self._first_token = time.perf_counter()
        draft, start = list(sequence.draft), len(sequence.tokens)
        if self.track:
            self.track.begin(len(draft), chosen.token)
        self._take_over(chosen, draft[:1])
        for done, row in enumerate(rows, start=1):
            # A row is of use if the text is what it was computed for, whoever wrote it: also if it was forced.
            if sequence.finished or sequence.tokens[start:] != draft[:done]:
                break
            self._take_over(self._choose(row), draft[done : done + 1])
        return sequence.finished

    def stop_thinking(self) -> None:
        """Close the thinking at the next token, as if the budget were reached."""
        self._output.gate.exhaust()

    def finish(self, reason: FinishReason) -> None:
        """The end: the rest of the text, then the usage. The sequence's blocks are the engine's to take."""
        self.sequence.finished = True
        self._output.finish()
        if reason == "stop" and self._output.stop is None and self._output.num_calls:
            reason = "tool_calls"
        outcomes = {**self._output.outcomes(), **(self._guard.outcomes() if self._guard else {})}
        if self.track:
            outcomes["speculate"] = self.track.outcome
        self._on_end(Ending(reason, self.usage, self.index, self._output.stop, outcomes))

    def permitted(self, draft: Tokens[int]) -> Tokens[int]:
        """As much of a draft as the grammar allows."""
        return draft[: self._guard.num_permitted(draft)] if self._guard else draft

    def guess(self, row: npt.NDArray[np.float32], ahead: int) -> int:
        """What would be chosen from another model's logits, `ahead` tokens after the next one."""
        return self._sampler.choose(row[: self._vocab_size], self.num_generated + ahead).token

    def _choose(self, row: npt.NDArray[np.float32]) -> Chosen:
        allowed = self._guard.allowed() if self._guard else None
        return self._sampler.choose(row[: self._vocab_size], self.num_generated, allowed)

    def _take_over(self, chosen: Chosen, drafted: Tokens[int]) -> None:
        if self.track and drafted:
            self.track.try_out(drafted[0] == chosen.token)
        self.torn = True
        self._accept(chosen)
        self.torn = False

    def _accept(self, chosen: Chosen) -> None:
        gate = self._output.gate
        if chosen.token in self._eos_ids:
            if gate.thinking and self._eos_closes:
                self._close_thinking()
            else:
                self._append(chosen.token)
                if self._guard:
                    self._guard.accept(chosen.token)
                self.finish("stop")
            return
        if self._guard and gate.thinking and gate.overshoots(self._output.text_of(chosen.token)):
            self._close_thinking()  # the grammar begins where the answer does, not in the middle of a token
        else:
            self._take(chosen)
        if self._output.ended or (self._guard and self._guard.complete):
            self.finish("stop")
        elif gate.exhausted:
            self._close_exhausted()
        if not self.sequence.finished and self.num_generated >= self._settled.max_tokens:
            self.finish("length")

    def _take(self, chosen: Chosen) -> None:
        if self._guard:
            self._guard.accept(chosen.token)
        self._append(chosen.token)
        self._output.push(chosen)

    def _close_exhausted(self) -> None:
        self._truncated = True
        self._close_thinking()

    def _close_thinking(self) -> None:
        """Append what closes the thinking; the next step computes it like any other tokens, and the answer follows."""
        tokens = encode_inside(self._tokenizer, self._output.gate.closing_text())
        if self.num_generated + len(tokens) > self._settled.max_tokens:
            self.finish("length")  # only where the model thinks unasked: for what was asked, room was kept
            return
        for token in tokens:
            self._append(token)
        self._output.close_thinking(len(tokens))

    def _append(self, token: int) -> None:
        self.sequence.tokens.append(token)
        self.sequence.logits_from = len(self.sequence.tokens) - 1
        self._sampler.accept(token)
