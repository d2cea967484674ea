"""One OpenTelemetry span per request, by its conventions for generative models; nothing of what was said in it.

Everything of OpenTelemetry is imported late: it is an extra (`pip install 'limpide[otel]'`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from limpide import __version__
from limpide.core.errors import InvalidParameter
from limpide.server.asgi import ASGIApp, HttpMiddleware, Receive, Scope, Send
from limpide.server.record import RequestRecord, current_record, path_template

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Tracer


@dataclass(frozen=True, slots=True)
class Tracing:
    """A tracer, and how to send what it still holds when the server ends."""

    tracer: Tracer
    close: Callable[[], None]


def open_tracing(exporter: SpanExporter | None = None) -> Tracing:
    """Trace to where the standard variables (OTEL_EXPORTER_OTLP_ENDPOINT and others) say, or to this exporter.

    Raises InvalidParameter if the extra is not installed.
    """
    try:
        from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        if exporter is None:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

            exporter = OTLPSpanExporter()
    except ImportError:
        raise InvalidParameter(
            "traces", "on", "OpenTelemetry, which is not installed", hint="pip install 'limpide[otel]'"
        ) from None
    # The environment's OTEL_RESOURCE_ATTRIBUTES and OTEL_SERVICE_NAME have precedence.
    ours = Resource({SERVICE_NAME: "limpide", SERVICE_VERSION: __version__})
    provider = TracerProvider(resource=ours.merge(_of_environment()))
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return Tracing(provider.get_tracer("limpide.server", __version__), provider.shutdown)


def _of_environment() -> Any:
    from opentelemetry.sdk.resources import SERVICE_NAME, OTELResourceDetector, Resource

    found = dict(OTELResourceDetector().detect().attributes)
    if str(found.get(SERVICE_NAME, "")).startswith("unknown_service"):
        del found[SERVICE_NAME]
    return Resource(found)


class RequestTraces(HttpMiddleware):
    """A span around each request, a child of the client's if it sent a `traceparent`."""

    def __init__(self, app: ASGIApp, tracer: Tracer) -> None:
        super().__init__(app)
        self._tracer = tracer

    async def _handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        record = current_record()
        if record is None:
            await self._app(scope, receive, send)
            return
        from opentelemetry.trace import SpanKind, Status, StatusCode
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        carrier = {
            name.decode("latin-1"): value.decode("latin-1")
            for name, value in scope.get("headers", ())
            if name in (b"traceparent", b"tracestate")
        }
        parent = TraceContextTextMapPropagator().extract(carrier)
        with self._tracer.start_as_current_span(
            record.method,
            context=parent,
            kind=SpanKind.SERVER,
            record_exception=False,  # its words may quote a prompt
            set_status_on_exception=False,
        ) as span:
            try:
                await self._app(scope, receive, send)
            finally:
                path = path_template(scope)
                span.update_name(f"{record.method} {path}")
                span.set_attributes(attributes(record, path))
                if (record.status or 500) >= 500:
                    span.set_status(Status(StatusCode.ERROR))


def attributes(record: RequestRecord, path: str) -> dict[str, Any]:
    """What a span says of its request (OpenTelemetry's semantic conventions for HTTP servers and for GenAI)."""
    found: dict[str, Any] = {
        "http.request.method": record.method,
        "http.route": path,
        "http.response.status_code": record.status,
        "error.type": record.error,
        "limpide.request_id": record.id,
        "limpide.key": record.key,
    }
    if record.operation:
        found |= {
            "gen_ai.operation.name": record.operation,
            "gen_ai.provider.name": "limpide",
            "gen_ai.request.model": record.model,
            "gen_ai.response.model": record.model,
            "gen_ai.response.finish_reasons": tuple(record.finish_reasons) or None,
            "gen_ai.usage.input_tokens": record.prompt_tokens,
            "gen_ai.usage.cache_read.input_tokens": record.cached_tokens,
            "gen_ai.usage.output_tokens": record.thinking_tokens + record.answer_tokens,
            "limpide.usage.thinking_tokens": record.thinking_tokens,
            "limpide.queue_seconds": record.queue_seconds,
            "limpide.first_token_seconds": record.first_token_seconds,
        }
    return {name: value for name, value in found.items() if value is not None}
