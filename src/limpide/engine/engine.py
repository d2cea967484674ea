"""The engine: requests in, events out. Synchronous; whoever waits for an event computes the next step."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import count
from typing import Literal

import numpy as np
import numpy.typing as npt

from limpide.cache import PagedCache
from limpide.core.errors import ContextExceeded, EmptyPrompt, EngineStopped, InvalidParameter, OutOfMemory
from limpide.core.hosting import ANYBODY, Caller, Load
from limpide.core.ports import Scored
from limpide.engine.calls import Calls
from limpide.engine.channels import gate_for
from limpide.engine.choice import Choice
from limpide.engine.constraint import Grammars
from limpide.engine.counters import Counters
from limpide.engine.guard import Guard
from limpide.engine.output import Output
from limpide.engine.pending import Pending
from limpide.engine.pooling import Pooling
from limpide.engine.receipts import Identity, settle
from limpide.engine.request import EngineRequest, Model
from limpide.engine.runner import Runner
from limpide.engine.sampler import Sampler
from limpide.engine.scheduler import Plan, Scheduler
from limpide.engine.scoring import Scoring
from limpide.engine.sequence import Sequence as Line
from limpide.engine.speculation import Speculation
from limpide.engine.stops import StopFilter
from limpide.engine.stream import Job, Stream
from limpide.engine.thinking import encode_inside
from limpide.engine.turns import Turns
from limpide.text import ThinkingPlan
from limpide.text.detokenizer import Detokenizer
from limpide.text.tokenizer import Tokenizer

_State = Literal["between", "scheduling", "running", "committing"]


class Engine(Turns):
    """Serves many requests at once from one model and one cache.

    What is public may be called from any thread. There is no thread of its own: reading a stream
    computes steps, for everybody, until an event for that stream is there. A server may call `step` in a loop instead.

    A step that is interrupted (Ctrl-C) or fails leaves the engine usable: a sequence is its tokens, so what the cache
    holds can always be computed again.
    """

    def __init__(
        self,
        model: Model,
        tokenizer: Tokenizer,
        cache: PagedCache,
        *,
        context: int,
        max_batch: int = 32,
        token_budget: int = 512,
        vocab_size: int | None = None,
        identity: Identity | None = None,
        speculation: Speculation | None = None,
    ) -> None:
        super().__init__()
        if len(cache.tables) < max_batch:
            raise InvalidParameter("max_batch", max_batch, f"at most {len(cache.tables)}, the cache's sequences")
        self.cache = cache
        self.scheduler = Scheduler(cache, max_batch=max_batch, token_budget=token_budget)
        self.context = context
        self.identity = identity or Identity()
        self._speculation = speculation
        self._runner = Runner(model, cache)
        self._tokenizer = tokenizer
        # Some models have more rows of logits than there are tokens; nobody was trained to write the surplus.
        self._vocab_size = min(vocab_size or tokenizer.vocab_size, tokenizer.vocab_size)
        self.counters = Counters()
        self._grammars = Grammars(tokenizer, self._vocab_size)
        self._numbers = count()
        self._jobs: dict[Line, Job] = {}
        self._arriving: set[Job] = set()
        """Jobs that are posted, and not yet queued."""
        self._state: _State = "between"

    @property
    def capacity(self) -> int:
        """Positions that the cache can hold for one sequence."""
        return self.cache.num_blocks * self.cache.block_size

    @property
    def has_work(self) -> bool:
        """Whether a step would do something."""
        return bool(self._inbox or self.scheduler.running or self.scheduler.waiting)

    def num_jobs(self, *, idle: bool) -> int:
        """Requests that are waiting or running; those of callers that are idle, or all others."""
        jobs = {*list(self._arriving), *list(self._jobs.values())}
        return sum(job.caller.idle == idle for job in jobs)

    @property
    def load(self) -> Load:
        """How busy it is at this moment."""
        cache = self.cache
        return Load(
            running=len(self.scheduler.running),
            waiting=len(self.scheduler.waiting),
            max_batch=self.scheduler.max_batch,
            blocks_used=cache.num_blocks - cache.num_available,
            blocks_total=cache.num_blocks,
            preemptions=self.scheduler.num_preemptions,
            steps=self.counters.steps,
            tokens_computed=dict(self.counters.tokens),
        )

    def submit(self, request: EngineRequest) -> Stream:
        """Queue a request. The stream gives its events; closing it, or dropping it, aborts the request.

        Raises EmptyPrompt, ContextExceeded, OutOfMemory, InvalidParameter, InvalidShape, EngineStopped before anything
        is queued.
        """
        plan = request.thinking
        closing = self._closing_tokens(plan) if plan else 0
        prompt = [int(token) for token in request.prompt]
        self._check_tokens(prompt)
        settled = settle(request, context=self.context, capacity=self.capacity, closing_tokens=closing)
        grammar = request.grammar
        begin = self._grammars.compile(grammar.text, grammar.parameter) if grammar else None
        job = Job(request.caller)
        for index in range(request.sampling.n):
            sampler = Sampler(
                request.sampling, seed=settled.seed, index=index, prompt=prompt, vocab_size=self._vocab_size
            )
            output = Output(
                tokenizer=self._tokenizer,
                # Where a grammar holds from the first token on, it says whether a space stands there.
                detokenizer=Detokenizer(self._tokenizer, continuation=request.continuation or bool(grammar)),
                gate=gate_for(plan, settled.budget),
                stops=StopFilter(request.sampling.stop),
                emit=job.events.append,
                index=index,
                markers=plan.markers if plan else (),
                turn_ends=request.turn_ends,
                calls=Calls(request.tools, index=index, prompt=prompt, seed=settled.seed) if request.tools else None,
            )
            choice = Choice(
                number=next(self._numbers),
                index=index,
                prompt=prompt.copy(),
                sampling=request.sampling,
                sampler=sampler,
                settled=settled,
                output=output,
                tokenizer=self._tokenizer,
                vocab_size=self._vocab_size,
                on_end=job.end,
                # A shape is promised, so a turn that ends in the middle of its thinking is not over.
                eos_closes=bool(plan and (plan.eos_closes or grammar)),
                guard=Guard(grammar, begin, output.gate, plan, self._tokenizer) if grammar and begin else None,
                track=self._speculation.track() if self._speculation else None,
            )
            job.sequences.append(choice.sequence)
        self._queue(job)
        return Stream(self, job, lambda: settled.receipt(self.identity), len(prompt))

    def score(self, items: Sequence[tuple[Sequence[int], int]]) -> list[Scored]:
        """Log-likelihood of tokens[start:] after tokens[:start], for each (tokens, start); see `start_scoring`."""
        return self.start_scoring(items).wait()

    def start_scoring(
        self, items: Sequence[tuple[Sequence[int], int]], caller: Caller = ANYBODY
    ) -> Pending[list[Scored]]:
        """Queue what `score` computes.

        Shared prefixes are computed once, whole blocks of them, and logits only where a token is looked up.
        Raises InvalidParameter unless 0 < start <= len(tokens), ContextExceeded, EngineStopped.
        """
        job = Job(caller)
        scorings: list[Scoring | None] = []
        for tokens, start in items:
            self.check_scoring(tokens, start)
            if start == len(tokens):
                scorings.append(None)
                continue
            scoring = Scoring(next(self._numbers), tokens, start, job.count_down)
            scorings.append(scoring)
            job.sequences.append(scoring.sequence)
        self._queue(job)
        return Pending(self, job, lambda: [each.result() if each else Scored((), True) for each in scorings])

    def check_scoring(self, tokens: Sequence[int], start: int) -> None:
        """Raises InvalidParameter unless 0 < start <= len(tokens) and all tokens are known, ContextExceeded."""
        if not 0 < start <= len(tokens):
            raise InvalidParameter("start", start, f"a position from 1 to {len(tokens)}")
        self._check_known(tokens)

    def start_embedding(
        self, items: Sequence[Sequence[int]], caller: Caller = ANYBODY
    ) -> Pending[list[npt.NDArray[np.float32]]]:
        """Queue embeddings: for each item's tokens the direction of the mean of their hidden states, float32 [hidden].

        Raises EmptyPrompt, InvalidParameter for a token outside the vocabulary, ContextExceeded, EngineStopped.
        """
        job = Job(caller)
        poolings = []
        for tokens in items:
            if not len(tokens):
                raise EmptyPrompt("a text to embed has no tokens", expected="some text")
            self._check_known(tokens)
            poolings.append(Pooling(next(self._numbers), tokens, job.count_down))
        job.sequences = [pooling.sequence for pooling in poolings]
        self._queue(job)
        return Pending(self, job, lambda: [pooling.result() for pooling in poolings])

    def abort(self, job: Job, *, tell: bool = False) -> None:
        """End a job where it is. tell: its stream ends with Finished(reason="aborted") for each unfinished choice."""
        self._tell(lambda: self._abort(job, tell))

    def stop_thinking(self, job: Job) -> None:
        """Have a job's choices close their thinking at their next token and answer."""

        def tell() -> None:
            for line in job.sequences:
                if isinstance(line.owner, Choice):
                    line.owner.stop_thinking()

        self._tell(tell)

    def close(self) -> None:
        """Stop: unfinished requests end with EngineStopped. Safe to call twice."""
        self._close(self._fail_all)

    def check_integrity(self) -> None:
        """AssertionError unless scheduler, cache and jobs agree. Not while another thread computes."""
        self.scheduler.check_integrity()
        known = {line.id for line in (*self.scheduler.waiting, *self.scheduler.running)}
        if {line.id for line in self._jobs} != known:
            raise AssertionError("the jobs' sequences are not those of the scheduler")

    def _step(self) -> bool:
        self._settle()
        self._state = "scheduling"
        decoding = self.scheduler.decoding if self._speculation else []
        if self._speculation and decoding:
            self._speculation.draft(decoding)
        plan = self.scheduler.schedule()
        if plan:
            self._state = "running"
            began = time.perf_counter()
            computed = self._run(plan)
            if self._speculation and len(plan) == len(decoding):
                self._speculation.costs.add(sum(plan.values()), time.perf_counter() - began)
            self._state = "committing"
            self.counters.steps += 1
            self.scheduler.commit(computed)
            for line in computed:
                self._commit(line)
        self._state = "between"
        return bool(plan)

    def _run(self, plan: Plan) -> Plan:
        """Run the plan; if it fails, run its sequences one by one, so that only the guilty one is lost."""
        try:
            self._runner.run(plan)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is handed to the one whose request it was
            if len(plan) == 1:
                self._state = "committing"
                self._fail(next(iter(plan)), _told(error))
                self._state = "running"
                return {}
            for line, tokens in plan.items():
                if not line.finished:
                    self._run({line: tokens})
            return {line: tokens for line, tokens in plan.items() if not line.finished}
        return plan

    def _commit(self, line: Line) -> None:
        if line.finished:
            return  # its job failed a moment ago
        try:
            ended = line.owner.on_commit()
        except Exception as error:  # noqa: BLE001 - as above
            self._fail(line, error)
            return
        self.scheduler.verify(line)
        if ended:
            self._forget(line)

    def _queue(self, job: Job) -> None:
        for line in job.sequences:
            line.client, line.idle = job.caller.client, job.caller.idle
        job.remaining = len(job.sequences)
        if job.remaining:
            self._arriving.add(job)
            try:
                self._post(lambda: self._add(job))
            except EngineStopped:
                self._arriving.discard(job)
                raise

    def _add(self, job: Job) -> None:
        for line in job.sequences:
            if not job.cancelled and line not in self._jobs:
                self._jobs[line] = job
                self.scheduler.add(line)
        self._arriving.discard(job)

    def _abort(self, job: Job, tell: bool) -> None:
        job.cancelled = True
        for line in job.sequences:
            if not line.finished:
                self._forget(line)
                if tell and isinstance(line.owner, Choice):
                    line.owner.finish("aborted")
        job.remaining = 0

    def _fail(self, line: Line, error: Exception) -> None:
        """One sequence can't go on: its whole job ends with the error, everybody else goes on."""
        job = self._jobs.get(line)
        if job is None:
            return
        for other in job.sequences:
            if not other.finished:
                self._forget(other)
        job.fail(error)

    def _fail_all(self) -> None:
        for line in list(self._jobs):
            self._fail(line, EngineStopped("the engine was closed while the request was running"))

    def _forget(self, line: Line) -> None:
        if line.admitted_at is not None and line in self._jobs:
            self.counters.count(line.owner.usage)
        self.scheduler.remove(line)
        self._jobs.pop(line, None)

    def _recover(self) -> None:
        """The last step was interrupted. What it may have left half done is thrown away and computed again."""
        state, self._state = self._state, "scheduling"  # if this is interrupted too, the next step does all of it
        if state != "running":  # while the model runs nothing is changed
            broken = {id(job): job for line, job in self._jobs.items() if line.owner.torn}
            for job in broken.values():
                job.fail(EngineStopped("the engine was interrupted in the middle of this answer"))
            for line in [line for line, job in self._jobs.items() if line.finished or id(job) in broken]:
                line.finished = True
                del self._jobs[line]
            self.scheduler.reset(self._jobs)
        self._state = "between"

    def _settle(self) -> None:
        if self._state != "between":
            self._recover()
        self._state = "scheduling"
        self._deliver()
        self._state = "between"

    def _closing_tokens(self, plan: ThinkingPlan) -> int:
        """Tokens that it takes to close the thinking for good."""
        texts = {plan.forced_close, plan.insisting_close} if plan.channels else {plan.forced_close}
        return sum(len(encode_inside(self._tokenizer, text)) for text in texts)

    def _check_known(self, tokens: Sequence[int]) -> None:
        """Check tokens that nothing will be added to."""
        self._check_tokens(tokens)
        limit = min(self.context, self.capacity)
        if len(tokens) > limit:
            raise ContextExceeded(len(tokens), limit)

    def _check_tokens(self, tokens: Sequence[int]) -> None:
        for token in (min(tokens, default=0), max(tokens, default=0)):
            if not 0 <= token < self._vocab_size:
                raise InvalidParameter("prompt token", token, f"a token id from 0 to {self._vocab_size - 1}")


def _told(error: Exception) -> Exception:
    """The error as its reader should see it: torch reports a lack of memory as a RuntimeError."""
    if not isinstance(error, MemoryError) and "allocate memory" not in str(error):
        return error
    told = OutOfMemory(
        "computing this request takes more memory than there is", hint="shorten the prompt, or close other programs"
    )
    told.__cause__ = error
    return told
