"""A model behind an address, as anything else that can answer."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from itertools import takewhile
from typing import Any
from urllib.parse import quote

from limpide.backends.remote.body import Body, chat_body, completion_body
from limpide.backends.remote.endpoint import Endpoint
from limpide.backends.remote.many import answer_all
from limpide.backends.remote.patience import Patience
from limpide.backends.remote.reading import Chunks
from limpide.backends.remote.scoring import RemoteScores
from limpide.backends.remote.transport import Transport
from limpide.core.answers import collect
from limpide.core.errors import BadRequest, EndpointFailed, EndpointRefused, InvalidParameter, LimpideError
from limpide.core.events import Event
from limpide.core.evidence import Fingerprint
from limpide.core.messages import Message
from limpide.core.ports import Answer, ChatRequest, ModelInfo, Scored, ScoreRequest
from limpide.core.sampling import Sampling
from limpide.core.shape import Shape
from limpide.core.thinking import Capability

UNKNOWN_LIMIT = 4096
"""Tokens that raw text is continued by at most, where the endpoint does not say what its context holds."""


class RemoteBackend:
    """Answers by asking an endpoint of OpenAI's dialect. Safe to use from several threads.

    model: its name there; None takes the first that the endpoint lists. seconds: how long it may be silent, and
    seconds_to_look while it is asked for its models. at_once: requests of `answer_all` that are under way together.
    Raises EndpointFailed, EndpointRefused.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        model: str | None = None,
        *,
        patience: Patience | None = None,
        seconds: float = 600.0,
        seconds_to_look: float = 30.0,
        at_once: int = 8,
    ) -> None:
        self._endpoint = endpoint
        self._at_once = at_once
        self._transport = Transport(endpoint, patience=patience, seconds=seconds)
        try:
            facts = self._look_up(model, seconds_to_look)
        except BaseException:
            self._transport.close()
            raise
        self._info = _info(facts)
        own = facts.get("limpide")
        self.limpide = isinstance(own, dict)
        """Whether the endpoint is one of ours."""
        self.loaded = isinstance(own, dict) and own.get("state") == "loaded"
        """Whether the model was loaded when this was made."""

    @property
    def url(self) -> str:
        """Where it is."""
        return self._endpoint.url

    @property
    def info(self) -> ModelInfo:
        """What the endpoint says of its model."""
        return self._info

    def stream(self, request: ChatRequest) -> Generator[Event, None, None]:
        """Answer as events. Closing the iterator hangs up, which ends the answer there."""
        return self._events("/chat/completions", chat_body(request, self._info.name, limpide=self.limpide))

    def answer_all(self, requests: Iterable[ChatRequest]) -> Iterator[tuple[int, Answer | LimpideError]]:
        """Answer many requests, several at once; see `limpide.core.ports.Backend`."""
        return answer_all(self._answer, requests, self._at_once)

    def fingerprint(self) -> Fingerprint:
        """What answers, as far as an endpoint says: ours tells its hashes with the shortest of answers."""
        if not self.limpide:
            return Fingerprint("http", self.url, None, None, None, None)
        [answer] = collect(self.stream(ChatRequest((Message("user", "."),), Sampling(max_tokens=1))))
        receipt = answer.finished.receipt
        return Fingerprint(
            kind="http",
            engine=receipt.engine,
            numerics=receipt.numerics,
            weights_sha256=receipt.weights_sha256,
            tokenizer_sha256=receipt.tokenizer_sha256,
            template_sha256=receipt.template_sha256,
        )

    def complete(self, text: str, sampling: Sampling, *, shape: Shape | None = None) -> Iterator[Event]:
        """Continue raw text, without a chat template."""
        limit = self._info.context or UNKNOWN_LIMIT
        return self._events("/completions", completion_body(text, sampling, shape, self._info.name, limit=limit))

    def score(self, context: str, continuations: Sequence[str]) -> list[Scored]:
        """Log-likelihood of each continuation after the context. Only endpoints of ours can tell it."""
        if not self.limpide:
            raise BadRequest(
                f"{self._endpoint.url} has no log-likelihoods of given text",
                expected="`limpide serve`, or a task that generates",
            )
        body = {"model": self._info.name, "context": context, "continuations": list(continuations)}
        data = _objects(self._transport.post("/score", body), "data")
        if len(data) != len(continuations):
            raise EndpointFailed(f"{self._endpoint.url} scored {len(data)} of {len(continuations)} continuations")
        return [self._scored(entry) for entry in data]

    def score_all(self, requests: Sequence[ScoreRequest]) -> RemoteScores:
        """What `score` gives for each request."""
        return RemoteScores(self.score, requests)

    def score_rolling(
        self, texts: Sequence[str], *, window: int | None = None, stride: int | None = None
    ) -> RemoteScores:
        """Log-likelihood of each text as a whole, which the endpoint's context must hold: it knows no windows."""
        for name, value in (("window", window), ("stride", stride)):
            if value is not None:
                raise InvalidParameter(name, value, "nothing: an endpoint reads a text in one piece")
        return RemoteScores(self.score, [ScoreRequest("", text) for text in texts])

    def close(self) -> None:
        """Give the connections back."""
        self._transport.close()

    def _events(self, path: str, body: Body) -> Generator[Event, None, None]:
        chunks = Chunks(self._endpoint.url, body.fields, body.outcomes, self._info.name)
        with closing(self._transport.stream(path, body.fields)) as stream:
            yield from chunks.events(stream)

    def _answer(self, request: ChatRequest, stop: threading.Event) -> Answer:
        with closing(self.stream(request)) as events:
            return collect(takewhile(lambda _: not stop.is_set(), events))[0]

    def _scored(self, entry: Mapping[str, Any]) -> Scored:
        values, greedy = entry.get("token_logprobs"), entry.get("greedy")
        if not isinstance(values, list) or not isinstance(greedy, bool):
            raise EndpointFailed(f"{self._endpoint.url} sent a score that is none: {str(entry)[:200]}")
        return Scored(tuple(float(value) for value in values), greedy)

    def _look_up(self, model: str | None, seconds: float) -> dict[str, Any]:
        if model is None:
            listed = _objects(self._transport.get("/models", seconds), "data")
            if not listed:
                raise EndpointFailed(f"{self._endpoint.url} lists no model", hint="name one")
            facts = listed[0]
        else:
            try:
                facts = self._transport.get(f"/models/{quote(model, safe='')}", seconds)
            except EndpointRefused as error:
                # Some endpoints list nothing, or not one by one. Whether they have the model is seen when it is asked.
                if error.status not in (404, 405, 501):
                    raise
                facts = {"id": model}
        if not isinstance(facts, dict) or not isinstance(facts.get("id"), str):
            raise EndpointFailed(f"{self._endpoint.url} lists a model without a name: {str(facts)[:200]}")
        return facts


def _info(facts: Mapping[str, Any]) -> ModelInfo:
    own = facts.get("limpide")
    told: Mapping[str, Any] = own if isinstance(own, dict) else {}
    context = told.get("context") or facts.get("max_model_len") or facts.get("context_length")
    thinking = told.get("thinking")
    numerics = told.get("numerics")
    return ModelInfo(
        name=facts["id"],
        architecture=str(told.get("architecture") or "unknown"),
        context=context if isinstance(context, int) and context > 0 else None,
        # An endpoint that says nothing of thinking is asked, and refuses for itself.
        thinking=Capability(thinking) if thinking in list(Capability) else Capability.NATIVE,
        chat=told.get("chat") is not False,
        licence=str(told["licence"]) if told.get("licence") else None,
        numerics=numerics if numerics in ("exact", "fast") else None,
        tools=str(told["tools"]) if told.get("tools") else None if told else "unknown",
    )


def _objects(body: Any, name: str) -> list[dict[str, Any]]:
    listed = body.get(name) if isinstance(body, dict) else None
    if not isinstance(listed, list) or not all(isinstance(entry, dict) for entry in listed):
        raise EndpointFailed(f"the endpoint sent {str(body)[:200]!r}", expected=f"a list of objects as `{name}`")
    return listed
