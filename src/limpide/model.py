"""The Python facade: one open-weight model, ready to answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from limpide.core.answers import collect
from limpide.core.errors import BadRequest, InvalidParameter, ThinkingUnsupported
from limpide.core.events import Event
from limpide.core.messages import Message, Tool, conversation
from limpide.core.ports import Answer, Backend, ChatRequest, ModelInfo, Scored
from limpide.core.receipt import Numerics
from limpide.core.sampling import Sampling
from limpide.core.shape import Shape, ToolChoice
from limpide.core.thinking import Effort, Thinking

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from limpide.evals.run import Run
    from limpide.hub import LocatedModel

Prompt = str | Message | Sequence[Message]
Think = Thinking | Effort | str | int | bool | None

AUTO = ToolChoice()

SPECULATE_MODES = ("auto", "off", "lookup")
"""Ways to guess tokens ahead without another model."""

SAMPLING_NAMES = tuple(field.name for field in fields(Sampling))


class Model:
    """An open-weight model on this machine.

    >>> from limpide import Model
    >>> with Model("smollm2-135m") as model:  # doctest: +SKIP
    ...     print(model.ask("What is the capital of France?", max_tokens=40).text)

    Args:
        reference: a name from `limpide models list`, the path of a `.gguf` file or of a Hugging Face folder, or
            `hf:org/name[:file]`. Downloaded if needed and allowed.
        numerics: `fast` multiplies straight from the stored blocks; `exact` is fp32 and plain torch, the reference.
        offline: send nothing; raises OfflineError if something is missing.
        accept_licence: names of licences whose terms you accept, for example `["gemma"]`.
        context: tokens that a prompt and its answer may have together; None is what the model was made for.
        threads: processor threads for computing, in the whole process; None leaves them as they are.
        speculate: guess tokens ahead, which changes no answer: `auto` looks them up in the text where that pays,
            `lookup` wherever it can, `off`, or the reference of a smaller model with the same tokens.
        progress: told of downloads; see `limpide.hub.resolve`.

    Raises a subclass of `LimpideError`: UnknownModel, OfflineError, LicenceNotAccepted, CorruptModelFile, …
    """

    def __init__(
        self,
        reference: str | Path = "smollm2-135m",
        *,
        numerics: Numerics = "fast",
        offline: bool = False,
        accept_licence: str | Iterable[str] = (),
        context: int | None = None,
        threads: int | None = None,
        progress: Any = None,
        speculate: str = "auto",
    ) -> None:
        if numerics not in ("exact", "fast"):
            raise InvalidParameter("numerics", numerics, "exact or fast")
        for name, value in (("context", context), ("threads", threads)):
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
                raise InvalidParameter(name, value, "a whole number from 1")
        licences = frozenset([accept_licence] if isinstance(accept_licence, str) else accept_licence)
        from limpide import hub

        def find(reference: str) -> LocatedModel:
            return hub.resolve(reference, offline=offline, accept_licences=licences, progress=progress)

        located = find(str(reference))
        guessing = speculate if speculate in SPECULATE_MODES else find(speculate).path
        self.located: LocatedModel | None = located
        """Where the weights are and what is known of them; None if the model was made from a backend."""
        self._backend: Backend
        self.load_seconds: float
        """From the file to ready: download, checksum and the import of libraries not included."""
        self._backend, self.load_seconds = _open(
            located, numerics=numerics, context=context, threads=threads, speculate=guessing
        )

    @classmethod
    def from_backend(cls, backend: Backend) -> Self:
        """A model over anything that can answer, for example the scripted backend that tests use."""
        model = cls.__new__(cls)
        model.located = None
        model.load_seconds = 0.0
        model._backend = backend
        return model

    @property
    def backend(self) -> Backend:
        """What answers."""
        return self._backend

    @property
    def info(self) -> ModelInfo:
        """Name, architecture, context, what it can do with thinking, licence, numerics."""
        return self._backend.info

    def ask(
        self,
        prompt: Prompt,
        *,
        think: Think = "off",
        system: str | None = None,
        tools: Sequence[Tool] = (),
        tool_choice: ToolChoice = AUTO,
        shape: Shape | None = None,
        **sampling: Any,
    ) -> Answer:
        """Answer a question, or the last turn of a conversation, and wait for the whole answer.

        Args:
            prompt: text, a message, or a conversation.
            think: how long to reason before answering: off, minimal, low, medium, high, max, or a number of tokens.
            system: what the model should keep to throughout.
            tools: functions that the model may call. It is for you to call them: `answer.tool_calls` says what it
                wants, and the results go back as messages of the role `tool` behind `answer.message`.
            tool_choice: whether it may, must or must not call them, and how strictly: see `limpide.core.shape`.
            shape: what form the answer must have: JsonSchema, JsonObject, Regex or Grammar. The thinking is free.
            **sampling: any field of `limpide.Sampling`: temperature, top_p, max_tokens, seed, stop, …

        `answer.finished` has the reason, true token counts and the receipt. Raises EmptyPrompt, ContextExceeded,
        ThinkingUnsupported, InvalidParameter (unknown names included).
        """
        if sampling.get("n", 1) != 1:
            raise InvalidParameter("n", sampling["n"], "1, since ask() gives one answer", hint="use choices()")
        return self.choices(
            prompt, think=think, system=system, tools=tools, tool_choice=tool_choice, shape=shape, **sampling
        )[0]

    def choices(
        self,
        prompt: Prompt,
        *,
        think: Think = "off",
        system: str | None = None,
        tools: Sequence[Tool] = (),
        tool_choice: ToolChoice = AUTO,
        shape: Shape | None = None,
        **sampling: Any,
    ) -> list[Answer]:
        """Like `ask`, for `n` answers to the same prompt."""
        return collect(
            self.stream(
                prompt, think=think, system=system, tools=tools, tool_choice=tool_choice, shape=shape, **sampling
            )
        )

    def stream(
        self,
        prompt: Prompt,
        *,
        think: Think = "off",
        system: str | None = None,
        tools: Sequence[Tool] = (),
        tool_choice: ToolChoice = AUTO,
        shape: Shape | None = None,
        **sampling: Any,
    ) -> Iterator[Event]:
        """Like `ask`, as events while they come: ThinkingDelta, TextDelta, ToolCallDelta, Finished for each choice.

        Bad parameters raise here, not at the first event. Closing the iterator aborts the answer.
        """
        messages = conversation(prompt, system=system)
        request = ChatRequest(
            messages, _sampling(sampling), Thinking.parse(think), tuple(tools), tool_choice=tool_choice, shape=shape
        )
        return self._backend.stream(request)

    def complete(self, text: str, *, shape: Shape | None = None, **sampling: Any) -> Iterator[Event]:
        """Continue raw text, without chat template: the only way to use a base model. Events as in `stream`.

        shape: what form the continuation must have.
        """
        return iter(self._local("complete")(text, _sampling(sampling), shape=shape))

    def score(self, context: str, continuations: str | Sequence[str]) -> list[Scored]:
        """Log-likelihood of each continuation after the context, in nats, token by token."""
        return self._backend.score(context, [continuations] if isinstance(continuations, str) else list(continuations))

    def evaluate(
        self,
        task: str,
        *,
        output: str | Path | None = None,
        resume: bool = False,
        limit: int | None = None,
        shots: int | None = None,
        repeats: int = 1,
        seed: int = 0,
        think: Think = "off",
        file: str | Path | None = None,
        check: str | Path | None = None,
        **sampling: Any,
    ) -> Run:
        """Ask a task of the model and grade its answers: what `limpide eval` does.

        Args:
            task: a name from `limpide eval --list`.
            output: folder that keeps the run; with it, what was stopped can be gone on with by `resume`.
            limit, shots, repeats, seed: how many items, solved examples, answers to each item; what draws them.
            think: how long to reason before each answer.
            file, check: the user's own questions or text, and Python file with `def check(answer, item)`.
            **sampling: any field of `limpide.Sampling` but `seed`, `n` and `logprobs`; `max_tokens` is the answer's.

        Raises UnknownTask, InvalidDataset, RunMismatch, RunInUse, CorruptRun, DiskFull, ChatUnsupported, …
        """
        from limpide.evals.run import RunOptions, evaluate
        from limpide.evals.task import TaskOptions
        from limpide.evals.tasks import find_task

        questions = TaskOptions(seed, limit, shots, Path(file) if file else None, Path(check) if check else None)
        options = RunOptions(questions, Thinking.parse(think), _sampling(sampling), repeats)
        return evaluate(self._backend, find_task(task), options, Path(output) if output else None, resume=resume)

    def logits(self, token_ids: Sequence[int]) -> NDArray[np.float32]:
        """What the model expects after each of these tokens.

        One plain forward pass; works without tokenizer files. Returns float32 [positions, vocabulary]; row i is the
        logits for the token at position i + 1. Raises InvalidParameter for an empty list or ids outside the vocabulary.
        """
        logits: NDArray[np.float32] = self._local("logits")(token_ids)
        return logits

    def close(self) -> None:
        """Give back memory and files. Safe to call twice."""
        self._backend.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _local(self, method: str) -> Callable[..., Any]:
        found = getattr(self._backend, method, None)
        if found is None:
            raise BadRequest(
                f"{self.info.name} is reached through {type(self._backend).__name__}, which has no {method}",
                expected="a model that runs in this process",
            )
        bound: Callable[..., Any] = found
        return bound


def refuse_thinking(info: ModelInfo, thinking: Thinking) -> None:
    """Raw text has no turn in which thinking could be fenced."""
    if thinking.enabled:
        raise ThinkingUnsupported(
            f"{info.name} continues raw text here, so it can't think first",
            expected="--think off",
            hint="use a model with a chat template, without --raw",
        )


def _sampling(parameters: dict[str, Any]) -> Sampling:
    from difflib import get_close_matches

    for name, value in parameters.items():
        if name not in SAMPLING_NAMES:
            near = get_close_matches(name, (*SAMPLING_NAMES, "think", "system", "tools", "tool_choice", "shape"), n=1)
            raise InvalidParameter(
                name,
                value,
                f"one of {', '.join(SAMPLING_NAMES)}; there is no such parameter",
                hint=f"did you mean {near[0]}?" if near else None,
            )
    stop = parameters.get("stop")
    if isinstance(stop, str):
        parameters = {**parameters, "stop": (stop,)}
    elif stop is not None:
        parameters = {**parameters, "stop": tuple(stop)}
    return Sampling(**parameters)


def _open(
    located: LocatedModel, *, numerics: Numerics, context: int | None, threads: int | None, speculate: str | Path
) -> tuple[Backend, float]:
    from limpide.backends.local import LocalBackend

    if threads is not None:
        import torch

        torch.set_num_threads(threads)
    started = time.perf_counter()
    backend = LocalBackend.open(
        located.path,
        name=located.name,
        numerics=numerics,
        context=context,
        licence=located.licence,
        sha256=located.sha256,
        dialect=located.entry.dialect if located.entry else None,
        speculate=speculate,
    )
    return backend, time.perf_counter() - started
