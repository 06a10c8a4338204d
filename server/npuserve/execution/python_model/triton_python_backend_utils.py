"""`import triton_python_backend_utils as pb_utils`: what a model written for Triton's Python backend works with.

The names, arguments and results are Triton's. The module exists in worker processes only.
"""

import asyncio
import json
import queue
import threading
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from npuserve.execution.python_model.auto_complete import ModelConfig as ModelConfig
from npuserve.execution.python_model.channel import Message, offsets
from npuserve.execution.python_model.server_side import Logger, Metric, MetricFamily, TritonModelException, link
from npuserve.execution.python_model.tensors import (
    NUMBERS,
    NUMPY_OF,
    Array,
    deserialize_bytes_tensor,
    from_bytes,
    name_of,
    serialize_byte_tensor,
    to_bytes,
)

__all__ = [
    "TRITONSERVER_REQUEST_FLAG_SEQUENCE_END",
    "TRITONSERVER_REQUEST_FLAG_SEQUENCE_START",
    "TRITONSERVER_REQUEST_RELEASE_ALL",
    "TRITONSERVER_REQUEST_RELEASE_RESCHEDULE",
    "TRITONSERVER_RESPONSE_COMPLETE_FINAL",
    "TRITON_STRING_TO_NUMPY",
    "InferenceRequest",
    "InferenceResponse",
    "InferenceResponseSender",
    "Logger",
    "Metric",
    "MetricFamily",
    "ModelConfig",
    "PreferredMemory",
    "Tensor",
    "TritonError",
    "TritonModelException",
    "deserialize_bytes_tensor",
    "serialize_byte_tensor",
]

TRITONSERVER_REQUEST_FLAG_SEQUENCE_START = 1
TRITONSERVER_REQUEST_FLAG_SEQUENCE_END = 2
TRITONSERVER_RESPONSE_COMPLETE_FINAL = 1
TRITONSERVER_REQUEST_RELEASE_ALL = 1
TRITONSERVER_REQUEST_RELEASE_RESCHEDULE = 2
TRITONSERVER_MEMORY_GPU = 2
TRITONSERVER_MEMORY_CPU = 0

TRITON_STRING_TO_NUMPY: dict[str, Any] = {
    "TYPE_STRING" if name == "BYTES" else f"TYPE_{name}": bool if name == "BOOL" else kind
    for name, kind in NUMPY_OF.items()
}


class TritonError:
    """An error that a response carries: a sentence and a code."""

    UNKNOWN: ClassVar[int] = 0
    INTERNAL: ClassVar[int] = 1
    NOT_FOUND: ClassVar[int] = 2
    INVALID_ARG: ClassVar[int] = 3
    UNAVAILABLE: ClassVar[int] = 4
    UNSUPPORTED: ClassVar[int] = 5
    ALREADY_EXISTS: ClassVar[int] = 6
    CANCELLED: ClassVar[int] = 7

    def __init__(self, message: str, code: int = 1) -> None:
        self._message = str(message)
        self._code = int(code)

    def message(self) -> str:
        """Return the sentence."""
        return self._message

    def code(self) -> int:
        """Return the code, one of this class's constants."""
        return self._code


class PreferredMemory:
    """Where a called model's outputs should lie. Accepted; there is host memory only."""

    def __init__(self, preferred_memory_type: int = TRITONSERVER_MEMORY_CPU, preferred_device_id: int = 0) -> None:
        self.preferred_memory_type = preferred_memory_type
        self.preferred_device_id = preferred_device_id


class Tensor:
    """A named array."""

    def __init__(self, name: str, np_array: Array) -> None:
        if not isinstance(np_array, np.ndarray):
            raise TritonModelException(f"tensor '{name}' must be made of a numpy array, got {type(np_array).__name__}")
        try:
            self._dtype = name_of(np_array.dtype)
        except TypeError as error:
            raise TritonModelException(f"tensor '{name}': {error}") from error
        self._name = str(name)
        self._array: Array | None = np_array
        self._content: NDArray[np.uint8] | None = None
        self._shape: tuple[int, ...] = np_array.shape

    @classmethod
    def _received(cls, name: str, dtype: str, shape: tuple[int, ...], content: NDArray[np.uint8]) -> "Tensor":
        tensor = cls.__new__(cls)
        tensor._name, tensor._dtype, tensor._shape = name, dtype, shape
        tensor._array, tensor._content = None, content
        return tensor

    @classmethod
    def from_dlpack(cls, name: str, tensor: Any) -> "Tensor":
        """Return a tensor over another library's array in host memory."""
        return cls(name, np.from_dlpack(tensor))

    def to_dlpack(self) -> Any:
        """Return a DLPack capsule of the array."""
        return self.as_numpy().__dlpack__()

    def __dlpack__(self, **more: Any) -> Any:
        return self.as_numpy().__dlpack__(**more)

    def __dlpack_device__(self) -> Any:
        return self.as_numpy().__dlpack_device__()

    def as_numpy(self) -> Array:
        """Return the array; strings are bytes objects."""
        if self._array is None:
            assert self._content is not None, "a tensor has an array or its content"
            try:
                self._array = from_bytes(self._content, self._dtype, self._shape)
            except TypeError as error:
                raise TritonModelException(str(error)) from error
        return self._array

    def name(self) -> str:
        """Return the name."""
        return self._name

    def shape(self) -> list[int]:
        """Return the shape."""
        return list(self._shape)

    def dtype(self) -> np.dtype[Any]:
        """Return the numpy dtype."""
        return np.dtype(NUMPY_OF[self._dtype])

    def triton_dtype(self) -> int:
        """Return the number of the data type in model_config.proto."""
        return NUMBERS.index(self._dtype) + 1

    def is_cpu(self) -> bool:
        """Return True: tensors lie in host memory."""
        return True

    def _wire(self) -> tuple[str, str, tuple[int, ...], memoryview]:
        content = self._content.data if self._content is not None else to_bytes(self.as_numpy())
        return self._name, self._dtype, tuple(map(int, self._shape)), content


def pack(tensors: Sequence[Tensor]) -> tuple[list[tuple[str, str, tuple[int, ...], int]], list[memoryview]]:
    """Return what a message says of tensors (name, dtype, shape, bytes), and their contents."""
    wired = [tensor._wire() for tensor in tensors]
    return [(name, dtype, shape, len(content)) for name, dtype, shape, content in wired], [each[3] for each in wired]


def unpack(described: Sequence[tuple[str, str, tuple[int, ...], int]], payload: NDArray[np.uint8]) -> list[Tensor]:
    """Return the tensors of a message."""
    starts, _ = offsets([size for _, _, _, size in described])
    return [
        Tensor._received(name, dtype, shape, payload[start : start + size])
        for (name, dtype, shape, size), start in zip(described, starts, strict=True)
    ]


class InferenceResponse:
    """A model's response: outputs, or an error."""

    def __init__(
        self,
        output_tensors: Sequence[Tensor] = (),
        error: TritonError | str | None = None,
        parameters: Mapping[str, Any] | None = None,
    ) -> None:
        self._outputs = list(output_tensors)
        if any(not isinstance(tensor, Tensor) for tensor in self._outputs):
            raise TritonModelException("output_tensors of an InferenceResponse must be pb_utils.Tensor objects")
        self._error = TritonError(error) if isinstance(error, str) else error
        self._parameters = dict(parameters or {})
        if any(not isinstance(value, bool | int | float | str) for value in self._parameters.values()):
            raise TritonModelException("Expect parameters values to have type bool/int/float/str")

    def output_tensors(self) -> list[Tensor]:
        """Return the outputs."""
        return self._outputs

    def has_error(self) -> bool:
        """Say whether it is an error."""
        return self._error is not None

    def error(self) -> TritonError | None:
        """Return the error, if it is one."""
        return self._error

    def parameters(self) -> str:
        """Return the parameters as JSON."""
        return json.dumps(self._parameters)

    def _wire(self, requested: Sequence[str]) -> tuple[tuple[Any, ...], list[memoryview]]:
        if self._error is not None:
            return (self._error.message(), self._error.code(), (), {}), []
        wanted = [each for each in self._outputs if not requested or each.name() in requested]
        described, contents = pack(wanted)
        return (None, 0, described, self._parameters), contents


class InferenceResponseSender:
    """Sends the responses of one request, from any thread."""

    def __init__(self, key: int, requested: Sequence[str], is_decoupled: bool) -> None:
        self._key = key
        self.requested = requested
        self._is_decoupled = is_decoupled
        self._lock = threading.Lock()
        self._sent = 0
        self._is_closed = False
        self._is_cancelled = False

    def send(self, response: InferenceResponse | None = None, flags: int = 0) -> None:
        """Send a response, the flag that it was the last, or both. Raises TritonModelException after the last."""
        if flags not in (0, TRITONSERVER_RESPONSE_COMPLETE_FINAL):
            raise TritonModelException(
                "Unable to send response. Unsupported flag provided: "
                f"{flags}, expected 0 or TRITONSERVER_RESPONSE_COMPLETE_FINAL"
            )
        if response is None and not flags:
            raise TritonModelException(
                "Inference Response object must be provided when the response flags is set to zero."
            )
        with self._lock:
            if self._is_closed:
                raise TritonModelException("Unable to send response. Response sender has been closed.")
            if response is not None and self._sent and not self._is_decoupled:
                raise TritonModelException("Unable to send response. Non-decoupled model cannot send more than one.")
            wired, contents = (None, []) if response is None else response._wire(self.requested)
            link().send("response", (self._key, wired, bool(flags)), contents)
            self._sent += response is not None
            self._is_closed = bool(flags)

    def is_cancelled(self) -> bool:
        """Say whether nobody waits for the responses any more."""
        if not self._is_cancelled:
            link().look()
        return self._is_cancelled

    def close(self) -> None:
        """Refuse what is sent from now on."""
        self._is_closed = True


class InferenceRequest:
    """A request: one that the model has to answer, or one that it makes of another model."""

    def __init__(
        self,
        request_id: str = "",
        correlation_id: int | str = 0,
        requested_output_names: Sequence[str] = (),
        inputs: Sequence[Tensor] = (),
        model_name: str = "",
        model_version: int = -1,
        flags: int = 0,
        timeout: int = 0,
        preferred_memory: PreferredMemory | None = None,
        trace: object = None,
        parameters: Mapping[str, Any] | None = None,
        priority: int = 0,
    ) -> None:
        self._id = request_id
        self._correlation_id = correlation_id
        self._requested = list(requested_output_names)
        self._inputs = list(inputs)
        self._model = model_name
        self._version = model_version
        self._flags = flags
        self._timeout = timeout
        self._trace = trace
        self._parameters = dict(parameters or {})
        self._priority = priority
        self._sender: InferenceResponseSender | None = None
        self.has_sender_out = False

    @classmethod
    def _received(
        cls, request_id: str, requested: Sequence[str], inputs: list[Tensor], sender: InferenceResponseSender
    ) -> "InferenceRequest":
        request = cls(request_id, 0, requested)
        request._inputs = inputs
        request._sender = sender
        return request

    def _set_fields(
        self, correlation_id: int | str, flags: int, timeout: int, priority: int, parameters: dict[str, Any]
    ) -> None:
        self._correlation_id, self._flags, self._timeout = correlation_id, flags, timeout
        self._priority, self._parameters = priority, parameters

    def inputs(self) -> list[Tensor]:
        """Return the inputs."""
        return self._inputs

    def request_id(self) -> str:
        """Return the client's id of the request, "" if it gave none."""
        return self._id

    def correlation_id(self) -> int | str:
        """Return the id of the sequence, 0 or "" if it is not part of one."""
        return self._correlation_id

    def requested_output_names(self) -> list[str]:
        """Return the outputs that are asked for."""
        return self._requested

    def model_name(self) -> str:
        """Return the name of the model that is asked."""
        return self._model

    def flags(self) -> int:
        """Return TRITONSERVER_REQUEST_FLAG_SEQUENCE_* of the request."""
        return self._flags

    def set_flags(self, flags: int) -> None:
        """Set TRITONSERVER_REQUEST_FLAG_SEQUENCE_*."""
        self._flags = flags

    def timeout(self) -> int:
        """Return the request's timeout in microseconds; 0 if it gave none."""
        return self._timeout

    def priority(self) -> int:
        """Return the request's priority; 0 if it gave none."""
        return self._priority

    def parameters(self) -> str:
        """Return the client's own parameters as JSON."""
        return json.dumps(self._parameters)

    def trace(self) -> object:
        """Return what was given as trace."""
        return self._trace

    def set_release_flags(self, flags: int) -> None:
        """Accept the flags; a request is released when it was answered."""

    def is_cancelled(self) -> bool:
        """Say whether nobody waits for the answer any more."""
        return self._sender is not None and self._sender.is_cancelled()

    def get_response_sender(self) -> InferenceResponseSender:
        """Return what sends this request's responses."""
        if self._sender is None:
            raise TritonModelException("only a request that the model was given has a response sender")
        self.has_sender_out = True
        return self._sender

    def exec(self, decoupled: bool = False) -> Any:
        """Run the request; return its response, or with `decoupled` an iterator of its responses."""
        answers = self._ask(decoupled)
        if decoupled:
            return _responses(answers)
        return _response(answers.get())

    async def async_exec(self, decoupled: bool = False) -> Any:
        """Run the request without blocking; return its response, or with `decoupled` an iterator of its responses."""
        answers = self._ask(decoupled)
        if decoupled:
            return _AsyncResponses(answers)
        return _response(await asyncio.to_thread(answers.get))

    def _ask(self, decoupled: bool) -> "queue.SimpleQueue[Message]":
        if not self._model:
            raise TritonModelException("an InferenceRequest needs a model_name to be executed")
        described, contents = pack(self._inputs)
        parameters = dict(self._parameters)
        if self._correlation_id:
            parameters["sequence_id"] = self._correlation_id
            parameters["sequence_start"] = bool(self._flags & TRITONSERVER_REQUEST_FLAG_SEQUENCE_START)
            parameters["sequence_end"] = bool(self._flags & TRITONSERVER_REQUEST_FLAG_SEQUENCE_END)
        for name, value in (("timeout", self._timeout), ("priority", self._priority)):
            if value:
                parameters[name] = value
        version = str(self._version) if self._version > 0 else ""
        asked = (self._model, version, self._id, parameters, tuple(self._requested), described, decoupled)
        return link().ask("call", asked, contents)


class _AsyncResponses:
    """The responses of a decoupled call, for `for` and for `async for`."""

    def __init__(self, answers: "queue.SimpleQueue[Message]") -> None:
        self._answers = answers

    def __iter__(self) -> Iterator[InferenceResponse]:
        return _responses(self._answers)

    async def __aiter__(self) -> AsyncIterator[InferenceResponse]:
        while True:
            message = await asyncio.to_thread(self._answers.get)
            if _has_response(message):
                yield _response(message)
            if _is_last(message):
                return


def _responses(answers: "queue.SimpleQueue[Message]") -> Iterator[InferenceResponse]:
    while True:
        message = answers.get()
        if _has_response(message):
            yield _response(message)
        if _is_last(message):
            return


def _is_last(message: Message) -> bool:
    return bool(message.value[1])  # type: ignore[index]  # the server's form


def _has_response(message: Message) -> bool:
    return message.value[2] is not None  # type: ignore[index]  # the server's form


def _response(message: Message) -> InferenceResponse:
    error, code, described, parameters = message.value[2]  # type: ignore[index]  # the server's form
    if error is not None:
        return InferenceResponse(error=TritonError(error, code))
    return InferenceResponse(unpack(described, message.payload), parameters=parameters)


def get_input_tensor_by_name(inference_request: InferenceRequest, name: str) -> Tensor | None:
    """Return a request's input; None if it has none of that name."""
    return next((tensor for tensor in inference_request.inputs() if tensor.name() == name), None)


def get_output_tensor_by_name(inference_response: InferenceResponse, name: str) -> Tensor | None:
    """Return a response's output; None if it has none of that name."""
    return next((tensor for tensor in inference_response.output_tensors() if tensor.name() == name), None)


def get_input_config_by_name(model_config: Mapping[str, Any], name: str) -> Any:
    """Return what a config says of an input; None if it has none of that name."""
    return next((each for each in model_config.get("input", ()) if each["name"] == name), None)


def get_output_config_by_name(model_config: Mapping[str, Any], name: str) -> Any:
    """Return what a config says of an output; None if it has none of that name."""
    return next((each for each in model_config.get("output", ()) if each["name"] == name), None)


def using_decoupled_model_transaction_policy(model_config: Mapping[str, Any]) -> bool:
    """Say whether a config makes its model decoupled."""
    return bool(model_config.get("model_transaction_policy", {}).get("decoupled", False))


def triton_to_numpy_type(data_type: int) -> Any:
    """Return the numpy type of a data type's number; None if there is none."""
    return NUMPY_OF[NUMBERS[data_type - 1]] if 1 <= data_type <= len(NUMBERS) else None


def numpy_to_triton_type(data_type: Any) -> int | None:
    """Return the number of a numpy type's data type; None if there is none."""
    try:
        return NUMBERS.index(name_of(np.dtype(data_type))) + 1
    except TypeError:
        return None


def triton_string_to_numpy(triton_type_string: str) -> Any:
    """Return the numpy type of a data type's name in a config, as `TYPE_FP32`. Raises KeyError."""
    return TRITON_STRING_TO_NUMPY[triton_type_string]
