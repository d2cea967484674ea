"""What Prometheus reads at `/metrics`: names and units by its rules, labels from finite sets alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from limpide.core.events import Usage
from limpide.core.hosting import Host, Load
from limpide.server.asgi import ASGIApp, HttpMiddleware, Receive, Scope, Send
from limpide.server.record import current_record, path_template

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
STATES = ("unloaded", "loading", "loaded")
# A processor answers in tens of milliseconds to minutes; a token takes 5 ms to a second.
_ANSWER = (0.01, 0.03, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60, 180, 600)
_TOKEN = (0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.2, 0.5, 1, 2, 5)


class Metrics:
    """All that is measured of one server, in a registry of its own."""

    def __init__(self, host: Host) -> None:
        self.registry = CollectorRegistry(auto_describe=True)
        self.registry.register(_Loads(host))

        def histogram(name: str, text: str, labels: tuple[str, ...], buckets: tuple[float, ...]) -> Histogram:
            return Histogram(name, text, labels, registry=self.registry, buckets=buckets)

        self._first = histogram(
            "limpide_time_to_first_token_seconds", "From asking a model to its first words.", ("model",), _ANSWER
        )
        self._next = histogram(
            "limpide_inter_token_latency_seconds", "Between two parts of an answer.", ("model",), _TOKEN
        )
        self._answer = histogram("limpide_answer_duration_seconds", "A whole answer.", ("model",), _ANSWER)
        self._queue = histogram("limpide_queue_duration_seconds", "Waiting for admission.", ("model",), _ANSWER)
        self._request = histogram(
            "limpide_http_request_duration_seconds", "A whole HTTP request.", ("method", "path"), _ANSWER
        )
        self._requests = Counter(
            "limpide_http_requests_total",
            "HTTP requests by route and status.",
            ("method", "path", "status"),
            registry=self.registry,
        )
        self._open = Gauge("limpide_http_requests_open", "HTTP requests being answered.", registry=self.registry)
        self._tokens = Counter(
            "limpide_tokens_total",
            "Tokens of requests that ended: prompt (cached ones included), cached, thinking, answer.",
            ("model", "kind"),
            registry=self.registry,
        )
        self._drafts = Counter(
            "limpide_draft_tokens_total",
            "Tokens that were guessed ahead and computed: accepted or rejected.",
            ("model", "outcome"),
            registry=self.registry,
        )

    def first_token(self, model: str, seconds: float) -> None:
        """The first part of an answer came."""
        self._first.labels(model).observe(seconds)

    def next_token(self, model: str, seconds: float) -> None:
        """A further part came, so long after the one before."""
        self._next.labels(model).observe(seconds)

    def answered(self, model: str, seconds: float, usage: Usage) -> None:
        """An answer has ended."""
        self._answer.labels(model).observe(seconds)
        self._queue.labels(model).observe(usage.queue_seconds)

    def count_tokens(self, model: str, usage: Usage) -> None:
        """Count what one use of a model took."""
        kinds = {
            "prompt": usage.prompt_tokens,
            "cached": usage.cached_tokens,
            "thinking": usage.thinking_tokens,
            "answer": usage.answer_tokens,
        }
        for kind, count in kinds.items():
            self._tokens.labels(model, kind).inc(count)
        self._drafts.labels(model, "accepted").inc(usage.accepted_draft_tokens)
        self._drafts.labels(model, "rejected").inc(usage.rejected_draft_tokens)

    def request_begins(self) -> None:
        """A request is being answered."""
        self._open.inc()

    def request_ends(self, method: str, path: str, status: int, seconds: float) -> None:
        """It was."""
        self._open.dec()
        self._requests.labels(method, path, str(status)).inc()
        self._request.labels(method, path).observe(seconds)

    def text(self) -> bytes:
        """Everything, in Prometheus' text format."""
        return generate_latest(self.registry)


class RequestMetrics(HttpMiddleware):
    """Counts each HTTP request by its route's template, never by what a stranger typed."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        super().__init__(app)
        self._metrics = metrics

    async def _handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        record = current_record()
        if record is None:
            await self._app(scope, receive, send)
            return
        self._metrics.request_begins()
        try:
            await self._app(scope, receive, send)
        finally:
            status = record.status or 500
            self._metrics.request_ends(record.method, path_template(scope), status, record.seconds)


_GAUGES: tuple[tuple[str, str, Callable[[Load], float]], ...] = (
    ("limpide_requests_running", "Requests that are being computed.", lambda load: load.running),
    ("limpide_requests_waiting", "Requests that wait for admission.", lambda load: load.waiting),
    ("limpide_batch_size_limit", "Requests that can be computed at once.", lambda load: load.max_batch),
    ("limpide_cache_blocks_in_use", "Blocks of the key-value cache in use.", lambda load: load.blocks_used),
    ("limpide_cache_blocks", "Blocks of the key-value cache.", lambda load: load.blocks_total),
)
_COUNTERS: tuple[tuple[str, str, Callable[[Load], float]], ...] = (
    ("limpide_preemptions_total", "Requests that gave their blocks up and began anew.", lambda load: load.preemptions),
    ("limpide_steps_total", "Forward passes.", lambda load: load.steps),
)


class _Loads(Collector):
    """How busy the models are, asked when somebody looks. Counters begin anew when a model is loaded anew."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def describe(self) -> Iterable[Metric]:
        """Nothing: asking the host while it is being built would be too early."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """One sample per loaded model and quantity, and the state of each that could be loaded."""
        state: Any = GaugeMetricFamily("limpide_model_state", "1 for the state it is in.", labels=("model", "state"))
        for offer in self._host.offers():
            for name in STATES:
                state.add_metric((offer.name, name), float(offer.state == name))
        yield state
        loads = self._host.loads()
        for family, rows in ((GaugeMetricFamily, _GAUGES), (CounterMetricFamily, _COUNTERS)):
            for name, text, value in rows:
                metric: Any = family(name, text, labels=("model",))
                for model, load in loads.items():
                    metric.add_metric((model,), value(load))
                yield metric
        tokens: Any = CounterMetricFamily(
            "limpide_computed_tokens_total", "Tokens that the engine went through.", labels=("model", "kind")
        )
        for model, load in loads.items():
            for kind, count in load.tokens_computed.items():
                tokens.add_metric((model, kind), count)
        yield tokens
