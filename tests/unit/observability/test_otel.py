"""Spans go to a real collector's socket and are read with the protocol's own messages."""

import builtins
import gzip
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from npuserve.observability.otel import MissingExtraError, span_recorder
from npuserve.observability.tracing import TraceSetting, TraceSettings
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from support.finished import FAILED, FINISHED

TRACE_ID, PARENT_ID = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
ON = TraceSettings(TraceSetting(levels=("TIMESTAMPS",), rate=1))


class Collector(ThreadingHTTPServer):
    """An OTLP endpoint that keeps what it gets."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Receiver)
        self.exports: list[ExportTraceServiceRequest] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1/traces"

    @property
    def spans(self) -> list[Any]:
        return [
            span
            for export in self.exports
            for resource in export.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]


class Receiver(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        self.server.exports.append(ExportTraceServiceRequest.FromString(body))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_request_is_a_span_of_the_clients_trace_with_a_child_a_stage(collector: Collector) -> None:
    recorder = span_recorder(ON, url=collector.url, resource={"service.name": "test"})
    recorder.observe(replace(FINISHED, trace_parent=f"00-{TRACE_ID}-{PARENT_ID}-01"))
    recorder.close()
    spans = {span.name: span for span in collector.spans}
    assert list(spans) == ["queue", "gather", "h2d", "execute", "d2h", "scatter", "InferRequest"]
    request = spans.pop("InferRequest")
    assert (request.trace_id.hex(), request.parent_span_id.hex()) == (TRACE_ID, PARENT_ID)
    assert request.end_time_unix_nano - request.start_time_unix_nano == 400_000
    assert {span.parent_span_id for span in spans.values()} == {request.span_id}
    assert {span.trace_id for span in spans.values()} == {request.trace_id}
    lengths = {name: span.end_time_unix_nano - span.start_time_unix_nano for name, span in spans.items()}
    assert lengths == {
        "queue": 20_000, "gather": 30_000, "h2d": 40_000, "execute": 100_000, "d2h": 60_000, "scatter": 70_000
    }  # fmt: skip
    attributes = {item.key: item.value for item in request.attributes}
    assert attributes["triton.model_name"].string_value == "m"
    assert attributes["triton.request_id"].string_value == "r 1"
    assert attributes["npuserve.batch_id"].int_value == 7
    (resource,) = [
        item for item in collector.exports[0].resource_spans[0].resource.attributes if item.key == "service.name"
    ]
    assert resource.value.string_value == "test"


def test_a_failed_request_is_a_span_with_an_error_and_starts_a_trace_of_its_own(collector: Collector) -> None:
    recorder = span_recorder(ON, url=collector.url, resource={})
    recorder.observe(replace(FAILED, trace_parent="nonsense"))
    recorder.close()
    (span,) = collector.spans
    assert (span.status.code, span.status.message) == (2, "too late")
    assert span.parent_span_id == b""


def test_what_is_not_sampled_is_not_exported(collector: Collector) -> None:
    recorder = span_recorder(TraceSettings(TraceSetting()), url=collector.url, resource={})
    assert not recorder.wants_all
    recorder.observe(FINISHED)
    recorder.close()
    assert collector.exports == []


def test_without_the_extra_the_error_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *arguments: Any, **named: Any) -> Any:
        if name.startswith("opentelemetry"):
            raise ImportError(f"No module named '{name}'")
        return real(name, *arguments, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtraError, match=r"npuserve\[otel\]"):
        span_recorder(ON, url="http://127.0.0.1:1/v1/traces", resource={})
