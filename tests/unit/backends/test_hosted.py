"""Many askers on one event loop, over the real engine with answers that are known."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Callable, Coroutine, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from limpide.backends.bytes import BOS
from limpide.backends.entrance import UNKNOWN_RETRY, Entrance, QueueBound
from limpide.backends.fake import FakeBackend
from limpide.backends.hosted import HostedModel
from limpide.backends.local import LocalBackend
from limpide.core.errors import ContextExceeded, EmptyPrompt, EngineStopped, InvalidParameter, Overloaded
from limpide.core.events import Event, Finished, TextDelta, ThinkingDelta
from limpide.core.hosting import Caller, Running
from limpide.core.messages import conversation
from limpide.core.ports import ChatRequest
from limpide.core.sampling import Sampling
from limpide.core.thinking import Thinking

Host = Callable[..., HostedModel]


@pytest.fixture
def host() -> Iterator[Host]:
    made: list[FakeBackend] = []
    models: list[HostedModel] = []

    def build(reply: Any = "Paris, of course.", *, max_waiting: int = 99, **options: Any) -> HostedModel:
        made.append(FakeBackend(reply, **options))
        models.append(HostedModel(made[-1], queue=QueueBound(max_waiting)))
        return models[-1]

    yield build
    for model in models:
        model.close()
    for backend in made:
        with pytest.raises(EngineStopped):
            _ = backend.engine
    assert our_threads() == []


_others: set[threading.Thread] = set()


@pytest.fixture(autouse=True)
def others_threads() -> None:
    """What tests of other files have left running is not ours."""
    _others.clear()
    _others.update(threading.enumerate())


def our_threads() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name.startswith("limpide-") and each not in _others]


def request(prompt: str = "Capital?", think: Any = "off", **sampling: Any) -> ChatRequest:
    return ChatRequest(conversation(prompt), Sampling(**sampling), Thinking.parse(think))


async def read(running: Running) -> list[Event]:
    return [event async for event in running]


def text(events: list[Event], kind: type[TextDelta] | type[ThinkingDelta] = TextDelta, index: int = 0) -> str:
    return "".join(event.text for event in events if isinstance(event, kind) and event.index == index)


def run(work: Coroutine[Any, Any, Any]) -> None:
    asyncio.run(asyncio.wait_for(work, 60))


class Gate:
    """A script that writes dots for ever, but only as many as it is permitted to; it tells which prompts it was at."""

    def __init__(self) -> None:
        self.permits = threading.Semaphore(0)
        self.waits = threading.Event()
        self.calls: list[str] = []

    def __call__(self, history: Sequence[int]) -> int:
        if len(history) > 1:  # it is also asked for every token of the prompt
            self.calls.append(bytes(token for token in history[:2] if token < BOS).decode())
        if history[-1] in (ord("?"), ord(".")):
            self.waits.set()
            assert self.permits.acquire(timeout=30)
            self.waits.clear()
        return ord(".")

    async def reached(self) -> None:
        """Wait until the model is being computed and waits for a permit."""
        assert await asyncio.to_thread(self.waits.wait, 30)


@pytest.mark.parametrize("think", ["off", 12])
def test_the_events_are_those_of_the_backend(host: Host, think: Any) -> None:
    asked = request(think=think, n=2, seed=3)
    expected = list(FakeBackend("Paris, of course.").stream(asked))

    async def work() -> None:
        events = await read(await host().chat(asked))
        for index in range(2):
            assert text(events, index=index) == text(expected, index=index) == "Paris, of course."
            assert text(events, ThinkingDelta, index) == text(expected, ThinkingDelta, index)
        ends = [event for event in events if isinstance(event, Finished)]
        assert [(e.reason, e.index, e.receipt) for e in ends] == [
            (e.reason, e.index, e.receipt) for e in expected if isinstance(e, Finished)
        ]

    run(work())


def test_many_are_computed_together_and_wake_the_loop_once_per_step(host: Host) -> None:
    everybody_asked = threading.Event()

    def reply(prompt: str) -> str:
        assert everybody_asked.wait(30)
        return prompt[-8:] * 3

    model = host(reply)
    wakes: list[int] = []

    async def work() -> None:
        loop = asyncio.get_running_loop()
        call = loop.call_soon_threadsafe

        def counted(callback: Any, *arguments: Any, **options: Any) -> Any:
            if callback.__name__ == "_wake_all":
                wakes.append(len(arguments[0]))
            return call(callback, *arguments, **options)

        loop.call_soon_threadsafe = counted  # type: ignore[method-assign]
        runnings = [await model.chat(request(f"ask {number:4}")) for number in range(16)]
        everybody_asked.set()
        answers = await asyncio.gather(*map(read, runnings))
        assert [text(events) for events in answers] == [f"ask {number:4}" * 3 for number in range(16)]

    run(work())
    load = model.load
    assert load.tokens_computed["answer"] == 16 * 25
    assert len(wakes) <= load.steps + 2 * 16, "once per step, and perhaps when an answer is asked for or ends"
    assert load.steps < 60


def test_the_loop_stays_free_while_a_step_is_computed(host: Host) -> None:
    gate = Gate()
    model = host(script=gate, chat=False)

    async def work() -> None:
        running = await model.complete("a?", Sampling())
        await gate.reached()
        assert await model.tokenize("hé") == list("hé".encode())
        assert await model.detokenize([104, 105]) == "hi"
        with pytest.raises(InvalidParameter):
            await model.detokenize([104, 100_000])
        await running.aclose()
        gate.permits.release(100)

    run(work())


def test_computing_stops_within_a_step_when_the_client_is_gone(host: Host) -> None:
    gate = Gate()
    model = host(script=gate, chat=False)

    async def work() -> None:
        gone = await model.complete("a?", Sampling())
        for _ in range(3):
            gate.permits.release()
            await anext(gone)
        await gate.reached()
        before = gate.calls.count("a?")
        await gone.aclose()
        await gone.aclose()
        assert await read(gone) == []
        gate.permits.release(100)
        await read(await model.complete("b?", Sampling(max_tokens=20)))
        assert gate.calls.count("a?") == before, "the step that ran was the last"
        assert model.load.running == 0

    run(work())


def test_a_reader_that_waits_ends_when_another_task_closes(host: Host) -> None:
    gate = Gate()
    model = host(script=gate, chat=False)

    async def work() -> None:
        running = await model.complete("a?", Sampling())
        reader = asyncio.create_task(read(running))
        await gate.reached()
        await running.aclose()
        assert await reader == []
        gate.permits.release(100)

    run(work())


def test_an_answer_that_is_dropped_is_given_up(host: Host) -> None:
    gate = Gate()
    model = host(script=gate, chat=False)

    async def work() -> None:
        running = await model.complete("a?", Sampling())
        await gate.reached()
        del running
        gc.collect()
        gate.permits.release(100)
        assert len(text(await read(await model.complete("b?", Sampling(max_tokens=9))))) == 9
        assert model.load.running == 0

    run(work())


def test_abort_and_stop_thinking_come_through_while_it_computes(host: Host) -> None:
    model = host("Paris.", thinking="x" * 4000)

    async def work() -> None:
        running = await model.chat(request(think="max"))
        events = [await anext(running)]
        running.stop_thinking()
        events += await read(running)
        assert text(events) == "Paris."
        assert events[-1].usage.thinking_truncated  # type: ignore[union-attr]
        running = await model.chat(request(think="max"))
        await anext(running)
        running.abort()
        rest = await read(running)
        assert isinstance(rest[-1], Finished)
        assert rest[-1].reason == "aborted"

    run(work())


def test_what_is_wrong_is_raised_by_the_call_and_what_fails_by_the_iteration(host: Host) -> None:
    def script(history: Sequence[int]) -> int:
        if ord("!") in history:
            raise ValueError("scripted")
        return ord(".")

    model = host(script=script, context=64, cache_bytes=1 << 14)

    async def work() -> None:
        with pytest.raises(ContextExceeded):
            await model.chat(request("long " * 20))
        with pytest.raises(EmptyPrompt):
            await model.complete([], Sampling())
        good, bad = await model.chat(request("good")), await model.chat(request("bad!"))
        answers = await asyncio.gather(read(good), read(bad), return_exceptions=True)
        assert isinstance(answers[1], ValueError)
        assert isinstance(answers[0], list)
        assert isinstance(answers[0][-1], Finished)

    run(work())


def test_scores_and_renderings_are_those_of_the_backend(host: Host) -> None:
    model, backend = host("Paris"), FakeBackend("Paris")
    asked = request("Hé?")

    async def work() -> None:
        scores, answer = await asyncio.gather(model.score("In Par", ["is", "k"]), model.chat(asked))
        assert scores == backend.score("In Par", ["is", "k"])
        assert await model.score("x", []) == []
        await read(answer)
        rendered = await model.render(asked)
        assert list(rendered.tokens) == list(backend.prepare(asked).prompt)
        assert rendered.text == "<|user|>Hé?<|end|><|assistant|>"

    run(work())


def test_embeddings_come_with_their_counts(host: Host) -> None:
    model = host("Paris")

    async def work() -> None:
        first, second = await model.embed(["ab", [1, 2, 3]])
        assert (first.tokens, second.tokens) == (len(FakeBackend().tokenizer.encode("ab", bos=True)), 3)
        assert first.values == (1.0,), "a scripted model's hidden state is one number"
        with pytest.raises(EmptyPrompt):
            await model.embed(["ab", ""])
        assert model.load.tokens_computed["prompt"] == first.tokens + second.tokens

    run(work())


def test_a_full_queue_refuses_others_and_lets_them_in_later(host: Host) -> None:
    gate = Gate()
    model = host(script=gate, chat=False, max_batch=2, max_waiting=3)
    sampling, batch = Sampling(max_tokens=4), Caller("batches", idle=True)

    async def work() -> None:
        accepted = [await model.complete(f"{number}?", sampling) for number in range(5)]
        with pytest.raises(Overloaded) as caught:
            await model.complete("f?", sampling)
        assert caught.value.retry_after == UNKNOWN_RETRY
        with pytest.raises(Overloaded):
            await model.score("a", ["b"])
        accepted.append(await model.complete("idle?", sampling, caller=batch))
        gate.permits.release(1000)
        for events in await asyncio.gather(*map(read, accepted)):
            assert text(events) == "....", "who was let in is served"
        assert text(await read(await model.complete("f?", sampling))) == "...."

    run(work())


def test_whoever_gives_up_makes_room(host: Host) -> None:
    gate = Gate()
    model = host(script=gate, chat=False, max_batch=1, max_waiting=0)

    async def work() -> None:
        running = await model.complete("a?", Sampling())
        await gate.reached()
        await running.aclose()
        gate.permits.release(1000)
        while model.load.running:
            await asyncio.sleep(0)
        await read(await model.complete("b?", Sampling(max_tokens=2)))

    run(work())


@pytest.mark.parametrize(("each", "expected"), [(0.01, 1), (2.0, 20), (100.0, 60)])
def test_when_to_ask_again_is_taken_from_the_pace(each: float, expected: int) -> None:
    now = [0.0]
    entrance = Entrance(4, QueueBound(6), lambda: 10, clock=lambda: now[0])
    for _ in range(50):
        entrance.left()
        now[0] += each
    now[0] -= each
    with pytest.raises(Overloaded) as caught, entrance:
        pass
    assert caught.value.retry_after == expected


def ends(entrance: Entrance, now: list[float], *times: float) -> None:
    for time in times:
        now[0] = time
        entrance.left()


def test_nobody_is_let_in_who_would_wait_too_long() -> None:
    now, inside = [0.0], [0]
    entrance = Entrance(2, QueueBound(100, seconds=10), lambda: inside[0], clock=lambda: now[0])
    inside[0] = 40
    with entrance:
        pass  # nothing is known of the pace
    ends(entrance, now, 0.0, 2.0, 4.0, 6.0)
    inside[0] = 6
    with entrance:
        pass  # the fifth in line, at two seconds each
    inside[0] = 7
    with pytest.raises(Overloaded) as caught, entrance:
        pass
    assert "about 12 s" in caught.value.what
    assert caught.value.retry_after == 14
    inside[0] = 1
    with entrance:
        pass  # there is a place


def test_ends_while_nobody_waits_are_no_pace() -> None:
    now, inside = [0.0], [1]
    entrance = Entrance(2, QueueBound(100, seconds=10), lambda: inside[0], clock=lambda: now[0])
    ends(entrance, now, 0.0, 1000.0, 2000.0)  # one request now and then
    inside[0] = 50
    with entrance:
        pass
    ends(entrance, now, 2001.0)
    with entrance:
        pass  # one end is no pace either


def test_a_pace_is_that_of_several_batches() -> None:
    """Answers of one length end at once: a pace taken from one batch would be infinite just then."""
    now, inside = [0.0], [50]
    entrance = Entrance(8, QueueBound(100, seconds=10), lambda: inside[0], clock=lambda: now[0])
    for batch in range(10):
        ends(entrance, now, *[8.0 * batch] * 8)
    with pytest.raises(Overloaded), entrance:
        pass


@pytest.mark.parametrize(("seats", "asked", "waiting"), [(8, None, 32), (8, 0, 0), (8, 300, 300)])
def test_by_default_a_few_batches_may_wait(seats: int, asked: int | None, waiting: int) -> None:
    assert QueueBound(asked).waiting(seats) == waiting
    inside = [seats + waiting - 1]
    entrance = Entrance(seats, QueueBound(asked), lambda: inside[0])
    with entrance, pytest.raises(Overloaded), entrance:
        pass


@pytest.mark.parametrize("bound", [(-1, 1.0), (1, -1.0), (1, float("nan"))])
def test_a_bound_is_checked(bound: tuple[int, float]) -> None:
    with pytest.raises(InvalidParameter):
        QueueBound(*bound)


def test_a_hash_that_takes_long_holds_nobody_else_up(host: Host) -> None:
    hashed = threading.Event()

    def weights() -> str:
        hashed.wait()
        return "ab" * 32

    model = host(weights_sha256=weights)

    async def work() -> None:
        first = asyncio.create_task(read(await model.chat(request())))
        second = asyncio.create_task(read(await model.chat(request())))
        assert await anext(await model.chat(request("other"))) == TextDelta("P")
        assert not first.done()
        hashed.set()
        for events in await asyncio.gather(first, second):
            assert events[-1].receipt.weights_sha256 == "ab" * 32

    run(work())


def test_closing_lets_what_runs_come_to_its_end(host: Host) -> None:
    gate = Gate()
    model = host(script=gate, chat=False)

    async def work() -> None:
        running = await model.complete("a?", Sampling(max_tokens=5))
        reader = asyncio.create_task(read(running))
        await gate.reached()
        closing = asyncio.create_task(model.aclose(60))
        while not model.stopped:
            await asyncio.sleep(0)
        with pytest.raises(EngineStopped):
            await model.complete("b?", Sampling())
        gate.permits.release(100)
        assert text(await reader) == "....."
        await closing
        await model.aclose()

    run(work())


def test_closing_waits_for_prompts_that_are_being_encoded(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    model = host()
    encoding, go_on = threading.Event(), threading.Event()
    submit = model._backend.stream

    def slowly(*arguments: Any) -> Any:
        encoding.set()
        assert go_on.wait(30)
        return submit(*arguments)

    monkeypatch.setattr(model._backend, "stream", slowly)

    async def work() -> None:
        asked = asyncio.create_task(model.chat(request()))
        await asyncio.to_thread(encoding.wait, 30)
        closing = asyncio.create_task(model.aclose(60))
        while not model.stopped:
            await asyncio.sleep(0)
        go_on.set()
        assert text(await read(await asked)) == "Paris, of course."
        await closing

    run(work())


def test_closing_at_once_tells_the_readers(host: Host) -> None:
    gate = Gate()
    model = host(script=gate, chat=False)

    async def work() -> None:
        running = await model.complete("a?", Sampling())
        reader = asyncio.create_task(read(running))
        await gate.reached()
        closing = asyncio.create_task(model.aclose())
        gate.permits.release(100)
        with pytest.raises(EngineStopped):
            await reader
        await closing
        with pytest.raises(EngineStopped):
            await model.tokenize("x")

    run(work())


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_loop_that_closes_first_leaves_the_model_usable(host: Host) -> None:
    gate = Gate()
    model = host(script=gate, chat=False)
    loop = asyncio.new_event_loop()

    async def begin() -> asyncio.Task[list[Event]]:
        task = asyncio.create_task(read(await model.complete("a?", Sampling())))
        await gate.reached()
        return task

    task = loop.run_until_complete(begin())
    task._log_destroy_pending = False  # type: ignore[attr-defined]
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()
    before = gate.calls.count("a?")
    gate.permits.release(200)

    async def work() -> None:
        assert len(text(await read(await model.complete("b?", Sampling(max_tokens=50))))) == 50

    run(work())
    assert gate.calls.count("a?") <= before + 1
    assert model.load.running == 0


def test_a_model_that_is_dropped_leaves_no_thread() -> None:
    model = HostedModel(FakeBackend("Paris."))
    run(drop_after_asking(model))
    assert our_threads()
    del model
    gc.collect()
    for thread in our_threads():
        thread.join(60)
    assert our_threads() == []


async def drop_after_asking(model: HostedModel) -> None:
    assert text(await read(await model.chat(request()))) == "Paris."


def test_an_engine_whose_books_are_wrong_tells_everyone_and_stops(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate()
    model = host(script=gate, chat=False)

    async def work() -> None:
        running = await model.complete("a?", Sampling())
        await gate.reached()

        def broken() -> None:
            raise AssertionError("a block is lost")

        monkeypatch.setattr(model._backend.engine.scheduler, "schedule", broken)
        gate.permits.release(100)
        with pytest.raises(EngineStopped):
            await read(running)
        assert model.stopped

    run(work())


def test_the_real_model_answers_many_as_it_answers_one(smollm2_path: Path) -> None:
    prompts = ["What is the capital of France?", "Name a colour.", "Count to three."]

    def ask(prompt: str) -> ChatRequest:
        return request(prompt, max_tokens=8)

    with_thread = LocalBackend.open(smollm2_path, name="smollm2", numerics="exact")
    alone = [text(list(with_thread.stream(ask(prompt)))) for prompt in prompts]
    model = HostedModel(with_thread)

    async def work() -> None:
        runnings = [await model.chat(ask(prompt)) for prompt in prompts]
        answers = await asyncio.gather(*(read(running) for running in runnings))
        assert [text(events) for events in answers] == alone
        assert alone[0] == "The capital of France is Paris."
        await model.aclose()

    run(work())
