"""Spans of requests for OpenTelemetry (the optional extra `npuserve[otel]`)."""

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from npuserve.core.status import StatusCode
from npuserve.observability.request_log import stages
from npuserve.observability.requests import FinishedRequest
from npuserve.observability.tracing import TraceSettings

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider


class MissingExtraError(Exception):
    """A part of the package is asked for whose libraries are not installed."""


class SpanRecorder:
    """Makes of each sampled request a span with a child for each of its stages.

    provider: where spans go; it exports them in a thread of its own.
    """

    def __init__(self, settings: TraceSettings, provider: "TracerProvider") -> None:
        self._settings = settings
        self._provider = provider
        self._tracer = provider.get_tracer("npuserve")

    @property
    def wants_all(self) -> bool:
        """Whether any request may be traced now."""
        return self._settings.is_on

    @property
    def slow_ns(self) -> int:
        """0: traces are not chosen by slowness."""
        return 0

    def observe(self, request: FinishedRequest) -> None:
        """Record the spans of the request if it is one of those that are sampled."""
        if not self._settings.take(request.model):
            return
        from opentelemetry import trace
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        # Spans want the wall clock, requests have the monotonic one.
        offset_ns = time.time_ns() - time.monotonic_ns()
        parent = TraceContextTextMapPropagator().extract({"traceparent": request.trace_parent})
        span = self._tracer.start_span(
            "InferRequest",
            context=parent,
            kind=trace.SpanKind.SERVER,
            start_time=request.started_ns + offset_ns,
            attributes=_attributes(request),
        )
        if request.status is not StatusCode.OK:
            span.set_status(trace.Status(trace.StatusCode.ERROR, request.message))
        within = trace.set_span_in_context(span)
        for name, start_ns, end_ns in stages(request.timing) if request.timing is not None else ():
            self._tracer.start_span(name, context=within, start_time=start_ns + offset_ns).end(end_ns + offset_ns)
        span.end(request.ended_ns + offset_ns)

    def close(self) -> None:
        """Export what waits and end. Blocks on the network."""
        self._provider.shutdown()


def _attributes(request: FinishedRequest) -> dict[str, str | int]:
    attributes: dict[str, str | int] = {
        "triton.model_name": request.model,
        "triton.model_version": request.version,
        "npuserve.protocol": request.front_end,
    }
    if request.id:
        attributes["triton.request_id"] = request.id
    if request.timing is not None:
        timing = request.timing
        attributes |= {
            "npuserve.batch_id": timing.batch_id,
            "npuserve.batch_rows": timing.batch_rows,
            "npuserve.gear": timing.gear,
        }
    return attributes


def span_recorder(settings: TraceSettings, *, url: str, resource: Mapping[str, str]) -> SpanRecorder:
    """Return a recorder that exports to an OTLP endpoint over HTTP.

    url: as `http://localhost:4318/v1/traces`. resource: attributes of the server. Raises MissingExtraError.
    """
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise MissingExtraError(
            f"--trace-config mode=opentelemetry needs the packages of npuserve[otel]: {error}"
        ) from error
    provider = TracerProvider(resource=Resource.create(dict(resource)), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=url)))
    return SpanRecorder(settings, provider)
