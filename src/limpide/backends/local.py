"""A model in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from limpide import __version__
from limpide.backends.guessing import open_draft_model, speculation_of
from limpide.backends.many import answer_all
from limpide.backends.memory import plan_batch, plan_cache
from limpide.backends.parts import BackgroundHash, read_template, read_tokenizer, template_source
from limpide.backends.splitting import split_all, split_continuation
from limpide.backends.whole_run import DTYPES, Spec, WholeRun
from limpide.cache import PagedCache, PlainKV
from limpide.core.errors import (
    ChatUnsupported,
    ContextExceeded,
    EmptyPrompt,
    EngineStopped,
    InvalidParameter,
    LimpideError,
    TokenizerUnavailable,
)
from limpide.core.evidence import Fingerprint
from limpide.core.hosting import ANYBODY, Caller, Embedding, Rendered
from limpide.core.ports import Answer, ChatRequest, ModelInfo, Scored, ScoreRequest, Scores
from limpide.core.receipt import Numerics, Outcome
from limpide.core.sampling import Sampling
from limpide.core.scoring import Parity
from limpide.core.shape import Shape
from limpide.core.thinking import Capability
from limpide.engine.calls import ToolPlan
from limpide.engine.engine import Engine
from limpide.engine.pending import Pending
from limpide.engine.receipts import Identity
from limpide.engine.request import EngineRequest, Model
from limpide.engine.runner import LOGITS_TILE
from limpide.engine.speculation import Speculation
from limpide.engine.stream import Stream
from limpide.engine.texts import Text as Tokens
from limpide.formats import Checkpoint, open_checkpoint
from limpide.models import load_model
from limpide.text import (
    PROMPTED,
    ChatTemplate,
    ThinkingDialect,
    Tokenizer,
    ToolDialect,
    ToolPrompting,
    detect_dialect,
    detect_tool_dialect,
    dialect_for,
    encode_chat,
    tool_dialect_for,
)
from limpide.text.grammar.answer import Offered, answer_grammar, check_choice
from limpide.text.thinking import NO_THINKING, Turn


@dataclass(frozen=True, slots=True)
class Text:
    """What turns messages into tokens and back."""

    tokenizer: Tokenizer
    template: ChatTemplate | None
    dialect: ThinkingDialect
    tools: ToolDialect = PROMPTED
    """How it calls tools, if it has a template."""


class LocalBackend:
    """A model, its tokenizer and an engine over both. Thread-safe.

    `open` makes one from a file; the constructor takes the parts, and `text=None` is a model that speaks tokens only.
    """

    def __init__(
        self,
        model: Model,
        spec: Spec,
        text: Text | None,
        *,
        name: str,
        numerics: Numerics = "exact",
        context: int | None = None,
        max_batch: int = 32,
        token_budget: int = 512,
        cache_bytes: int | None = None,
        licence: str | None = None,
        weights_sha256: Callable[[], str | None] = lambda: None,
        on_close: Callable[[], None] = lambda: None,
        speculation: Speculation | None = None,
    ) -> None:
        self._model: Model | None = model
        self._spec = spec
        self._text = text
        self._on_close = on_close
        self._tools = ToolPrompting(text.template, text.tools) if text and text.template else None
        self._why_no_text: Exception | None = None
        dtype = DTYPES[numerics]
        max_batch = plan_batch(spec.state_shapes, max_batch)
        limit, num_blocks = plan_cache(
            spec.kv_shapes, dtype, model_context=spec.context, context=context, cache_bytes=cache_bytes
        )
        self.context = limit
        """Tokens of prompt and answer together."""
        self.numerics = numerics
        self._info = ModelInfo(
            name=name,
            architecture=spec.family,
            context=limit,
            thinking=text.dialect.capability if text else Capability.NONE,
            chat=text is not None and text.template is not None,
            licence=licence,
            numerics=numerics,
            tools=text.tools.name if self._tools and text else None,
        )
        self._engine: Engine | None = None
        if text is not None:
            self._engine = Engine(
                model,
                text.tokenizer,
                PagedCache(spec.kv_shapes, num_blocks, dtype=dtype, max_sequences=max_batch, states=spec.state_shapes),
                context=limit,
                max_batch=max_batch,
                token_budget=token_budget,
                vocab_size=spec.vocab_size,
                identity=Identity(
                    model=name,
                    numerics=numerics,
                    tokenizer_sha256=lambda: text.tokenizer.sha256,
                    template_sha256=text.template.sha256 if text.template else None,
                    weights_sha256=weights_sha256,
                ),
                speculation=speculation,
            )

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        name: str | None = None,
        numerics: Numerics = "fast",
        context: int | None = None,
        max_batch: int = 32,
        cache_bytes: int | None = None,
        licence: str | None = None,
        sha256: str | None = None,
        dialect: str | None = None,
        tool_dialect: str | None = None,
        speculate: str | Path = "auto",
    ) -> LocalBackend:
        """Load a .gguf file or a Hugging Face folder.

        context: tokens of prompt and answer together; None is what the model was made for, or what fits in memory
        (`info.context` says which). cache_bytes: for keys and values; None takes what is sensible here. sha256: of the
        weights, if it is known already; otherwise they are hashed in the background. dialect, tool_dialect: names of
        the dialects of thinking and of tool calls; None finds them from the template. speculate: auto, off, lookup, or
        the path of a smaller model with the same tokens, see docs/speculation.md.

        Raises CorruptModelFile, ModelFileMissing, UnsupportedArchitecture, UnsupportedConfig, UnsupportedFormat,
        OutOfMemory, InvalidParameter. A missing tokenizer is no error until text is asked for.
        """
        checkpoint = open_checkpoint(Path(path))
        files = ExitStack()
        try:
            text, trouble = _read_text(checkpoint, dialect, tool_dialect)
            model = load_model(checkpoint, numerics=numerics)
            draft = None
            if isinstance(speculate, Path) and text is not None:
                longest = context or model.spec.context
                draft, close = open_draft_model(
                    speculate, text.tokenizer, numerics=numerics, dtype=DTYPES[numerics], context=longest
                )
                files.callback(close)
            hashed = BackgroundHash(checkpoint, sha256)
            files.callback(hashed.close)
            backend = cls(
                model,
                model.spec,
                text,
                name=name or Path(path).stem,
                numerics=numerics,
                context=context,
                max_batch=max_batch,
                cache_bytes=cache_bytes,
                licence=licence,
                weights_sha256=hashed,
                on_close=files.close,
                speculation=speculation_of(speculate, model.spec, draft),
            )
        except BaseException:
            files.close()
            checkpoint.close()
            raise
        model.settle(backend.context)
        backend._why_no_text = trouble
        hashed.start()
        return backend

    @property
    def info(self) -> ModelInfo:
        """The model behind it; `context` is what can really be used here."""
        return self._info

    @property
    def model(self) -> Model:
        """What computes. Raises EngineStopped when closed."""
        if self._model is None:
            raise EngineStopped("the model is closed", hint="load it again")
        return self._model

    @property
    def engine(self) -> Engine:
        """The engine, for servers that drive it themselves. Raises TokenizerUnavailable without a tokenizer."""
        if self._engine is None:
            if self._model is None:
                raise EngineStopped("the model is closed", hint="load it again")
            raise self._why_no_text or TokenizerUnavailable(f"{self._info.name} has no tokenizer")
        return self._engine

    @property
    def tokenizer(self) -> Tokenizer:
        """The model's tokenizer. Raises TokenizerUnavailable if it has none."""
        return self._texts().tokenizer

    def stream(self, request: ChatRequest, caller: Caller = ANYBODY) -> Stream:
        """Answer a conversation. Closing or dropping the stream aborts it; it can be read from any thread.

        Raises ChatUnsupported, ThinkingUnsupported, TemplateError, ContextExceeded, InvalidParameter, … at once.
        """
        return self.engine.submit(replace(self.prepare(request), caller=caller))

    def answer_all(self, requests: Iterable[ChatRequest]) -> Iterator[tuple[int, Answer | LimpideError]]:
        """Answer many requests in one batch that is kept full; see `limpide.core.ports.Backend`."""
        return answer_all(self.engine, map(self._attempt, requests))

    def _attempt(self, request: ChatRequest) -> Stream | LimpideError:
        try:
            return self.stream(request)
        except LimpideError as error:
            return error

    def fingerprint(self) -> Fingerprint:
        """What answers, for evidence. Waits for the hash of the weights."""
        identity = self.engine.identity
        return Fingerprint(
            kind="local",
            engine=f"limpide {__version__}",
            numerics=self._info.numerics,
            weights_sha256=identity.weights_sha256(),
            tokenizer_sha256=identity.tokenizer_sha256(),
            template_sha256=identity.template_sha256,
        )

    def prepare(self, request: ChatRequest) -> EngineRequest:
        """A conversation as the engine takes it: encoded, and with its plan for the thinking. Raises as `stream`."""
        text = self._texts()
        prepared = text.dialect.prepare(request.messages, request.thinking)
        if text.template is None or self._tools is None:
            raise ChatUnsupported(
                f"{self._info.name} has no chat template: it is a base model, which only continues text",
                expected="raw text",
                hint="`limpide ask --raw`, or `complete` in Python; or use a model that was tuned for instructions",
            )
        shown = self._tools.prepare(prepared.messages, request.tools)
        check_choice(request.tools, request.tool_choice)
        offered = Offered(request.tools, request.tool_choice, text.tools) if request.tools else None
        split = text.tokenizer.split_special
        grammar = answer_grammar(split, request.shape, offered, text.dialect.channels)
        turn = Turn()

        def open_turn(rendered: str) -> str:
            nonlocal turn
            turn = prepared.turn(rendered, tools=bool(request.tools))
            if grammar and turn.plan.channels:
                turn = turn.before_answer()
            return turn.suffix

        prompt = encode_chat(
            text.tokenizer,
            text.template,
            shown.messages,
            tools=shown.tools,
            tools_key=shown.tools_key,
            form=shown.form,
            rewrite=shown.rewrite,
            suffix=open_turn,
            **prepared.template_kwargs,
        )
        outcomes = {"think": Outcome("applied", str(request.thinking), request.thinking.budget, prepared.note)}
        if shown.left_out:
            outcomes["messages"] = Outcome("clamped", "whole", "in part", shown.left_out)
        if grammar:
            outcomes |= grammar.outcomes
        elif request.tools:
            outcomes["tool_choice"] = Outcome("applied", "auto", "auto")
        reads_calls = offered is not None and request.tool_choice.mode != "none"
        return EngineRequest(
            prompt,
            request.sampling,
            thinking=turn.plan if turn.plan != NO_THINKING else None,
            tools=ToolPlan(offered.dialect, request.tools, shown.note) if offered and reads_calls else None,
            turn_ends=text.dialect.turn_ends,
            grammar=grammar,
            outcomes=outcomes,
        )

    def render(self, request: ChatRequest) -> Rendered:
        """A conversation as the model sees it. Raises as `stream`."""
        prompt = self.prepare(request).prompt
        return Rendered(self._texts().tokenizer.decode(prompt, special=True), tuple(prompt))

    def complete(
        self,
        prompt: str | Sequence[int],
        sampling: Sampling | None = None,
        *,
        shape: Shape | None = None,
        caller: Caller = ANYBODY,
    ) -> Stream:
        """Continue raw text, or tokens, without a template.

        shape: what form that must have. Raises EmptyPrompt, ContextExceeded, InvalidParameter, InvalidShape,
        TokenizerUnavailable, …
        """
        tokens = self._encode(prompt)
        grammar = answer_grammar(self._texts().tokenizer.split_special, shape, None, None)
        return self.engine.submit(
            EngineRequest(
                tokens,
                sampling or Sampling(),
                continuation=True,
                grammar=grammar,
                outcomes=grammar.outcomes if grammar else {},
                caller=caller,
            )
        )

    def score(self, context: str, continuations: Sequence[str]) -> list[Scored]:
        """Log-likelihood of each continuation after the context, in nats, one number per token.

        Context and continuation are encoded together, as the model would have read them. Tokens of a word that the
        border cuts count as continuation. Raises ContextExceeded, TokenizerUnavailable, EngineStopped.
        """
        return self.start_scoring(context, continuations).wait()

    def start_scoring(
        self, context: str, continuations: Sequence[str], caller: Caller = ANYBODY
    ) -> Pending[list[Scored]]:
        """Queue what `score` computes."""
        tokenizer = self._texts().tokenizer
        items = [split_continuation(tokenizer, context, each) for each in continuations]
        return self.engine.start_scoring(items, caller)

    def score_all(self, requests: Sequence[ScoreRequest]) -> Scores:
        """Scores of a whole run's requests, in one walk through the trie of their tokens; each is what `score` gives.

        Iterate for (index, score), in any order. Keys and values are the run's own, so it disturbs no other request.
        Raises ContextExceeded, EmptyPrompt, TokenizerUnavailable, EngineStopped.
        """
        return self.score_all_tokens(split_all(self._texts().tokenizer, requests))

    def score_all_tokens(self, texts: Sequence[Tokens]) -> Scores:
        """As `score_all`, for tokens: tokens[start:] after tokens[:start], for each (tokens, start)."""
        return self._whole_run().scores(texts)

    def score_rolling(self, texts: Sequence[str], *, window: int | None = None, stride: int | None = None) -> Scores:
        """Log-likelihood of each text as a whole, of which a window is read at a time; see `engine.texts.windows`.

        window: tokens, at most and by default the context; stride: tokens that each window scores, at most and by
        default all but the first. The token that begins or ends texts stands before a text's first one.
        Raises InvalidParameter, TokenizerUnavailable, EngineStopped.
        """
        wholes = split_all(self._texts().tokenizer, [ScoreRequest("", text) for text in texts])
        return self._whole_run().rolling([tokens for tokens, _ in wholes], window=window, stride=stride)

    def prove_parity(self, requests: Sequence[ScoreRequest], *, sample: int = 32, seed: int = 0) -> Parity:
        """Score all of them as `score_all` does, and a sample of them again, each alone and without any sharing.

        Raises as `score_all`, and InvalidParameter for a model with recurrent layers, which shares nothing anyway.
        """
        return self._whole_run().prove(split_all(self._texts().tokenizer, requests), sample=sample, seed=seed)

    def _whole_run(self) -> WholeRun:
        return WholeRun(self.model, self._spec, self.engine, context=self.context, dtype=DTYPES[self.numerics])

    def embed(self, texts: Sequence[str | Sequence[int]]) -> list[Embedding]:
        """Mean of the last layer's normalised hidden states over each text's tokens, scaled to length 1.

        Texts are encoded as for `complete`; tokens are taken as they are. Raises EmptyPrompt, ContextExceeded,
        InvalidParameter, TokenizerUnavailable, EngineStopped.
        """
        return self.start_embedding(texts).wait()

    def start_embedding(
        self, texts: Sequence[str | Sequence[int]], caller: Caller = ANYBODY
    ) -> Pending[list[Embedding]]:
        """Queue what `embed` computes."""
        items = [self._encode(text) for text in texts]
        return self.engine.start_embedding(items, caller).map(
            lambda vectors: [Embedding(tuple(v.tolist()), len(i)) for v, i in zip(vectors, items, strict=True)]
        )

    def score_tokens(self, items: Sequence[tuple[Sequence[int], int]]) -> list[Scored]:
        """Log-likelihood of tokens[start:] after tokens[:start], for each (tokens, start)."""
        return self.engine.score(items)

    def logits(self, token_ids: Sequence[int]) -> npt.NDArray[np.float32]:
        """float32 [positions, vocab]: row i is what the model expects after token i. One plain pass, no cache.

        Works without a tokenizer. Raises EmptyPrompt, InvalidParameter for an id outside the vocabulary,
        ContextExceeded for more positions than the model was made for, EngineStopped.
        """
        model = self.model
        count = len(token_ids)
        if count == 0:
            raise EmptyPrompt("there are no tokens", expected="at least one token id")
        if count > self._spec.context:
            raise ContextExceeded(count, self._spec.context)
        tokens = np.array(token_ids, dtype=np.int64)
        for token in (int(tokens.min()), int(tokens.max())):
            if not 0 <= token < self._spec.vocab_size:
                raise InvalidParameter("token id", token, f"from 0 to {self._spec.vocab_size - 1}")
        out = np.empty((count, self._spec.vocab_size), dtype=np.float32)
        with torch.inference_mode():
            hidden = model.forward(torch.from_numpy(tokens), torch.arange(count), PlainKV([count]), None)
            for start in range(0, count, LOGITS_TILE):
                rows = hidden[start : start + LOGITS_TILE]
                out[start : start + LOGITS_TILE] = model.logits(rows).numpy()
        return out

    def close(self) -> None:
        """End what runs and give memory and files back. Safe to call twice."""
        if self._engine is not None:
            self._engine.close()
        self._engine = None
        if self._model is not None:
            self._model = None
            self._on_close()

    def _encode(self, text: str | Sequence[int]) -> Sequence[int]:
        """Raw text as tokens; tokens as they are."""
        if not text:
            raise EmptyPrompt("the text is empty", expected="some text, or tokens, to begin with")
        return self._texts().tokenizer.encode(text, bos=True) if isinstance(text, str) else text

    def _texts(self) -> Text:
        self.engine  # noqa: B018 - says why there is none
        if self._text is None:
            raise AssertionError("an engine without text")
        return self._text


def _read_text(
    checkpoint: Checkpoint, dialect: str | None, tool_dialect: str | None
) -> tuple[Text | None, Exception | None]:
    try:
        tokenizer = read_tokenizer(checkpoint)
    except TokenizerUnavailable as error:
        return None, error
    source = template_source(checkpoint)
    architecture = str(checkpoint.config.get("general.architecture") or checkpoint.config.get("model_type") or "")
    found = dialect_for(dialect) if dialect else detect_dialect(source, architecture)
    tools = tool_dialect_for(tool_dialect) if tool_dialect else detect_tool_dialect(source)
    return Text(tokenizer, read_template(checkpoint, tokenizer), found, tools), None
