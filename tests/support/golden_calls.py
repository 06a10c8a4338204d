"""Calls as data, and what a client sees of them as JSON values: what the golden answers are made of."""

import http.client
import json
import socket
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import numpy as np
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2
from support.golden_normal import normal_tensor
from tritonclient.grpc import service_pb2 as pb

Answer = dict[str, Any]
SERVICE = "/inference.GRPCInferenceService/"
HEALTH = "/grpc.health.v1.Health/"
CALL_SECONDS = 20.0
UNTIL_SECONDS = 10.0
# Of a response's headers those that a client acts on. The others are the HTTP library's own.
HEADERS = ("content-type", "inference-header-content-length", "content-encoding", "accept-encoding")


@dataclass(frozen=True)
class Target:
    """A running server: where it listens and the repository that it serves."""

    grpc_url: str
    http_port: int
    metrics_port: int
    repository: Path


@dataclass(frozen=True)
class Asked:
    """What a call needs: the server and a channel to it."""

    target: Target
    channel: grpc.Channel


@dataclass(frozen=True, kw_only=True)
class Unary:
    """A unary gRPC call. It is repeated until `until` holds of its answer, for what a server does in the background."""

    method: str
    request: Message | bytes
    until: Callable[[Answer], bool] | None = None
    metadata: tuple[tuple[str, str], ...] = ()

    def answer(self, asked: Asked) -> Answer:
        """Make the call."""
        return _repeated(lambda: self._once(asked.channel), self.until)

    def _once(self, channel: grpc.Channel) -> Answer:
        path, response_type = _method(self.method)
        raw = self.request if isinstance(self.request, bytes) else self.request.SerializeToString()
        future = channel.unary_unary(path, None, None).future(raw, timeout=CALL_SECONDS, metadata=self.metadata)
        error = future.exception()
        if error is not None:
            return {"code": future.code().name, "details": future.details()}
        return {"code": "OK", "response": _seen(response_type.FromString(future.result()))}


@dataclass(frozen=True, kw_only=True)
class Stream:
    """A ModelStreamInfer that sends all its requests and then closes its side."""

    requests: tuple[pb.ModelInferRequest, ...]
    metadata: tuple[tuple[str, str], ...] = ()

    def answer(self, asked: Asked) -> Answer:
        """Make the call; the messages are in the order of their coming."""
        method = asked.channel.stream_stream(
            SERVICE + "ModelStreamInfer",
            request_serializer=pb.ModelInferRequest.SerializeToString,
            response_deserializer=pb.ModelStreamInferResponse.FromString,
        )
        call = method(iter(self.requests), timeout=CALL_SECONDS, metadata=self.metadata)
        messages: list[Answer] = []
        with suppress(grpc.RpcError):  # the call itself says how it ended
            messages.extend(_seen(message) for message in call)
        return {"code": call.code().name, "details": call.details(), "messages": messages}


@dataclass(frozen=True, kw_only=True)
class Http:
    """An HTTP call. `body` that is no bytes is sent as JSON; `metrics` asks the metrics port."""

    path: str
    method: str = "GET"
    body: Any = b""
    headers: Mapping[str, str] | None = None
    until: Callable[[Answer], bool] | None = None
    metrics: bool = False

    def answer(self, asked: Asked) -> Answer:
        """Make the call."""
        return _repeated(lambda: self.answer_at(asked.target), self.until)

    def answer_at(self, target: Target) -> Answer:
        """Make the call once."""
        return self._once(target.metrics_port if self.metrics else target.http_port)

    def _once(self, port: int) -> Answer:
        body = self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=CALL_SECONDS)
        try:
            connection.request(self.method, self.path, body, dict(self.headers or {}))
            return _http_answer(connection.getresponse())
        except (OSError, http.client.HTTPException) as error:
            return {"failed": type(error).__name__}
        finally:
            connection.close()


@dataclass(frozen=True)
class RawHttp:
    """An HTTP request as it goes over the wire, for what no HTTP library sends."""

    request: bytes

    def answer(self, asked: Asked) -> Answer:
        """Send it; that the server ends the connection without an answer is an answer too."""
        with socket.create_connection(("127.0.0.1", asked.target.http_port), CALL_SECONDS) as connection:
            try:
                connection.sendall(self.request)
                response = http.client.HTTPResponse(connection)
                response.begin()
                return _http_answer(response)
            except (ConnectionError, http.client.BadStatusLine):
                return {"failed": "the connection is closed"}


@dataclass(frozen=True)
class Local:
    """A step on this machine: what it returns is the answer."""

    step: Callable[[Asked], Answer]

    def answer(self, asked: Asked) -> Answer:
        """Make the step."""
        return self.step(asked)


Call = Unary | Stream | Http | RawHttp | Local
NamedCalls = Iterable[tuple[str, Call]]


def _repeated(once: Callable[[], Answer], until: Callable[[Answer], bool] | None) -> Answer:
    deadline = time.monotonic() + UNTIL_SECONDS
    while True:
        answer = once()
        if until is None or until(answer) or time.monotonic() > deadline:
            return answer
        time.sleep(0.02)


def _method(method: str) -> tuple[str, Any]:
    if method.startswith("/"):
        return method, health_pb2.HealthCheckResponse
    return SERVICE + method, getattr(pb, f"{method}Response")


def _seen(message: Message) -> Answer:
    """A message as JSON values; tensors as their elements."""
    seen: Answer = MessageToDict(message, preserving_proto_field_name=True)
    response = message.infer_response if isinstance(message, pb.ModelStreamInferResponse) else message
    if isinstance(response, pb.ModelInferResponse) and response.raw_output_contents:
        inner = seen["infer_response"] if response is not message else seen
        inner["raw_output_contents"] = [
            normal_tensor(output.datatype, raw)
            for output, raw in zip(response.outputs, response.raw_output_contents, strict=True)
        ]
    return seen


def _http_answer(response: http.client.HTTPResponse) -> Answer:
    content = response.read()
    headers = {name: response.headers[name] for name in HEADERS if name in response.headers}
    return {"status": response.status, "headers": headers, "body": _http_body(content, headers)}


def _http_body(content: bytes, headers: Mapping[str, str]) -> Any:
    """JSON as its value, binary tensors as their elements, other text as text."""
    length = headers.get("inference-header-content-length")
    if length is not None:
        head = json.loads(content[: int(length)])
        return {"header": head, "tensors": _binary_tensors(head, content[int(length) :])}
    if headers.get("content-encoding"):
        return {"compressed": headers["content-encoding"], "is smaller": len(content) < 4000}
    try:
        return json.loads(content)
    except ValueError:
        return {"text": content.decode("latin-1")}


def _binary_tensors(head: Answer, content: bytes) -> list[Any]:
    tensors, at = [], 0
    for output in head["outputs"]:
        size = output.get("parameters", {}).get("binary_data_size", 0)
        if size:
            tensors.append(normal_tensor(output["datatype"], content[at : at + size]))
        at += size
    return [*tensors, {"bytes left": len(content) - at}]


# --- what requests are built of


@dataclass(frozen=True, kw_only=True)
class Tensor:
    """One input of a request. `raw` goes into the raw contents; `contents` is a typed field and its values."""

    name: str = "INPUT0"
    datatype: str = "FP32"
    shape: Sequence[int] = ()
    raw: bytes | None = None
    contents: tuple[str, Sequence[Any]] | None = None
    parameters: Mapping[str, Any] | None = None


def parameter(value: Any) -> pb.InferParameter:
    """A parameter of the kind that the Python type says; (kind, value) says it outright."""
    if isinstance(value, tuple):
        return pb.InferParameter(**{value[0]: value[1]})
    kind = {bool: "bool_param", int: "int64_param", str: "string_param", float: "double_param"}[type(value)]
    return pb.InferParameter(**{kind: value})


def infer_request(
    model: str,
    *inputs: Tensor,
    version: str = "",
    id: str = "",
    parameters: Mapping[str, Any] | None = None,
    outputs: Sequence[str | tuple[str, Mapping[str, Any]]] = (),
) -> pb.ModelInferRequest:
    """A ModelInferRequest; each output is its name, or that with parameters."""
    request = pb.ModelInferRequest(model_name=model, model_version=version, id=id)
    for key, value in (parameters or {}).items():
        request.parameters[key].CopyFrom(parameter(value))
    for tensor in inputs:
        given = request.inputs.add(name=tensor.name, datatype=tensor.datatype, shape=tensor.shape)
        for key, value in (tensor.parameters or {}).items():
            given.parameters[key].CopyFrom(parameter(value))
        if tensor.contents is not None:
            given.contents.CopyFrom(pb.InferTensorContents(**{tensor.contents[0]: list(tensor.contents[1])}))
        if tensor.raw is not None:
            request.raw_input_contents.append(tensor.raw)
    for output in outputs:
        name, options = (output, {}) if isinstance(output, str) else output
        asked = request.outputs.add(name=name)
        for key, value in options.items():
            asked.parameters[key].CopyFrom(parameter(value))
    return request


def infer(*arguments: Any, **options: Any) -> Unary:
    """A ModelInfer of infer_request's arguments."""
    return Unary(method="ModelInfer", request=infer_request(*arguments, **options))


def values(dtype: str, *numbers: float) -> bytes:
    """The numbers as raw contents of a numpy type."""
    return np.array(numbers, dtype).tobytes()


def strings(*texts: str | bytes) -> bytes:
    """BYTES elements as raw contents."""
    encoded = [text.encode() if isinstance(text, str) else text for text in texts]
    return b"".join(len(text).to_bytes(4, "little") + text for text in encoded)


def floats(name: str, shape: Sequence[int], *numbers: float, **options: Any) -> Tensor:
    """An FP32 input."""
    return Tensor(name=name, datatype="FP32", shape=shape, raw=values("<f4", *numbers), **options)


def integers(name: str, shape: Sequence[int], *numbers: int, **options: Any) -> Tensor:
    """An INT32 input."""
    return Tensor(name=name, datatype="INT32", shape=shape, raw=values("<i4", *numbers), **options)


def text(*texts: str | bytes, shape: Sequence[int] = (1, 1)) -> Tensor:
    """A BYTES input INPUT0."""
    return Tensor(datatype="BYTES", shape=shape, raw=strings(*texts))
