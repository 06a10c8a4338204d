"""A small client of Triton's protocol: grpcio and the messages of the protocol, numpy arrays in and out."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import grpc
import numpy as np

from npuserve._proto import inference_pb2 as messages
from npuserve.core.dtype import Dtype
from npuserve.core.elements import join_elements, split_elements
from npuserve.migrate.chain.tensors import Tensors
from npuserve.migrate.errors import MigrationError
from npuserve.migrate.serve.shapes import fitted

_SERVICE = "/inference.GRPCInferenceService/"
_SECONDS = 60.0
_MOST_BYTES = 1 << 30
_OF_NUMPY = {dtype.numpy: dtype for dtype in Dtype if dtype not in (Dtype.BF16, Dtype.BYTES)}


class ServiceError(MigrationError):
    """The server answered with an error, or not at all."""


@dataclass(frozen=True, slots=True)
class Port:
    """A tensor of a served model, as its metadata has it; -1 is variable."""

    name: str
    dtype: Dtype
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Interface:
    """What a served model takes and gives. platform: as the server names it."""

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    platform: str = ""


class Client:
    """One connection to `HOST:PORT`, for one thread."""

    def __init__(self, url: str) -> None:
        options = [("grpc.max_receive_message_length", _MOST_BYTES), ("grpc.max_send_message_length", _MOST_BYTES)]
        self._url = url
        self._channel = grpc.insecure_channel(url, options=options)
        self._infer = self._method("ModelInfer", messages.ModelInferRequest, messages.ModelInferResponse)
        self._metadata = self._method("ModelMetadata", messages.ModelMetadataRequest, messages.ModelMetadataResponse)
        self._server = self._method("ServerMetadata", messages.ServerMetadataRequest, messages.ServerMetadataResponse)
        self._statistics = self._method(
            "ModelStatistics", messages.ModelStatisticsRequest, messages.ModelStatisticsResponse
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._channel.close()

    def server(self) -> str:
        """Return the server's name and version. Raises ServiceError."""
        answer = self._call(self._server, messages.ServerMetadataRequest())
        return f"{answer.name} {answer.version}"

    def interface(self, model: str) -> Interface:
        """Return what a model takes and gives. Raises ServiceError."""
        answer = self._call(self._metadata, messages.ModelMetadataRequest(name=model))
        inputs, outputs = (
            tuple(Port(each.name, Dtype(each.datatype), tuple(each.shape)) for each in side)
            for side in (answer.inputs, answer.outputs)
        )
        return Interface(inputs, outputs, answer.platform)

    def counts(self, model: str) -> tuple[int, int]:
        """Return how many rows a model has run and in how many executions. Raises ServiceError."""
        answer = self._call(self._statistics, messages.ModelStatisticsRequest(name=model))
        stats = answer.model_stats
        return sum(each.inference_count for each in stats), sum(each.execution_count for each in stats)

    def infer(self, model: str, inputs: Tensors) -> Tensors:
        """Return the answer to one request. Raises ServiceError."""
        return _answer(self._call(self._infer, request_of(model, inputs)))

    def infer_all(self, model: str, samples: Sequence[Tensors], at_once: int) -> list[Tensors]:
        """Return the answers to requests of which so many are under way at a time. Raises ServiceError."""
        answers: list[Tensors] = []
        calls: list[Any] = []
        for sample in samples:
            if len(calls) - len(answers) >= at_once:
                answers.append(self._result(calls[len(answers)]))
            calls.append(self._infer.future(request_of(model, sample), timeout=_SECONDS))
        answers.extend(self._result(call) for call in calls[len(answers) :])
        return answers

    def _method(self, name: str, request: Any, response: Any) -> Any:
        return self._channel.unary_unary(
            _SERVICE + name, request_serializer=request.SerializeToString, response_deserializer=response.FromString
        )

    def _call(self, method: Any, request: Any) -> Any:
        try:
            return method(request, timeout=_SECONDS)
        except grpc.RpcError as error:
            raise self._failure(error) from error

    def _result(self, call: Any) -> Tensors:
        try:
            return _answer(call.result())
        except grpc.RpcError as error:
            raise self._failure(error) from error

    def _failure(self, error: grpc.RpcError) -> ServiceError:
        # What grpcio raises is a call too, which the types do not say.
        failed: Any = error
        return ServiceError(f"the server at {self._url} answered {failed.code().name}: {failed.details()}")


def request_of(model: str, inputs: Tensors) -> messages.ModelInferRequest:
    """Return the request of these tensors. Raises MigrationError for a type that the protocol does not have."""
    request = messages.ModelInferRequest(model_name=model)
    for name, array in inputs.items():
        dtype = _dtype(name, array)
        request.inputs.add(name=name, datatype=dtype.value, shape=array.shape)
        request.raw_input_contents.append(raw(array))
    return request


def raw(array: np.ndarray) -> bytes:
    """Return an array as the protocol has it: rows one after another, little-endian."""
    if array.dtype.kind in "OSU":
        return join_elements(_text(element) for element in array.ravel())
    return np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False).tobytes()


def cast_to(inputs: Tensors, ports: Iterable[Port]) -> Tensors:
    """Return the inputs that a service wants, in its types; it may take ids as INT32 where another takes INT64."""
    found = {}
    for port in ports:
        if port.name not in inputs:
            raise MigrationError(
                f"the service wants the input '{port.name}', the samples have {', '.join(inputs) or 'none'}",
                "give both services the same model: names of tensors must be equal",
            )
        array = fitted(inputs[port.name], port.shape)
        found[port.name] = array if port.dtype is Dtype.BYTES else array.astype(port.dtype.numpy, copy=False)
    return found


def _dtype(name: str, array: np.ndarray) -> Dtype:
    if array.dtype.kind in "OSU":
        return Dtype.BYTES
    found = _OF_NUMPY.get(array.dtype.newbyteorder("<"))
    if found is None:
        raise MigrationError(f"input '{name}' is {array.dtype}, which the protocol cannot carry")
    return found


def _text(element: Any) -> bytes:
    return element if isinstance(element, bytes) else str(element).encode()


def _answer(response: Any) -> Tensors:
    found = {}
    for output, content in zip(response.outputs, response.raw_output_contents, strict=True):
        dtype, shape = Dtype(output.datatype), tuple(output.shape)
        if dtype is Dtype.BYTES:
            array = np.array(list(split_elements(content)), dtype=object)
        elif dtype is Dtype.BF16:
            # The upper half of a float32.
            array = (np.frombuffer(content, "<u2").astype(np.uint32) << 16).view(np.float32)
        else:
            array = np.frombuffer(content, dtype.numpy)
        if array.size != math.prod(shape):
            raise ServiceError(
                f"output '{output.name}' has {array.size} elements, its shape {list(shape)} says otherwise"
            )
        found[output.name] = array.reshape(shape)
    return found
