"""What a Python model's process asks of the server: inferences of other models."""

import logging
import math
from collections.abc import Callable, Sequence
from typing import Any

from npuserve.core.dtype import Dtype
from npuserve.core.errors import ExecutionError, ServeError
from npuserve.core.request import GivenTensor, InferenceRequest, InferenceResponse, RequestedOutput
from npuserve.core.status import StatusCode
from npuserve.execution.caller import ModelCaller
from npuserve.execution.python_model.channel import Buffer, Message, offsets

_log = logging.getLogger(__name__)

STATUS_OF_CODE = (
    StatusCode.UNKNOWN,
    StatusCode.INTERNAL,
    StatusCode.NOT_FOUND,
    StatusCode.INVALID_ARGUMENT,
    StatusCode.UNAVAILABLE,
    StatusCode.UNIMPLEMENTED,
    StatusCode.ALREADY_EXISTS,
    StatusCode.CANCELLED,
)
"""By the numbers of TritonError's constants."""
_CODE_OF_STATUS = {status: code for code, status in enumerate(STATUS_OF_CODE)}

Answer = Callable[[object, Sequence[Buffer]], None]


async def answer_call(caller: ModelCaller, message: Message, send: Answer) -> None:
    """Run what the message asks for and send every response, or the error."""
    value: Any = message.value
    number, (model, version, request_id, parameters, outputs, described, is_decoupled) = value
    try:
        request = InferenceRequest(
            model=model,
            version=version,
            id=request_id,
            parameters=parameters,
            inputs=_inputs(described, message),
            outputs=[RequestedOutput(name=name) for name in outputs],
        )
        _check_ready(caller, model, version)
        if not is_decoupled:
            described_answer, contents = _response(await caller.infer(request))
            send((number, True, described_answer), contents)
            return
        async for response in caller.stream(request):
            is_empty = response.is_final and not response.outputs
            described_answer, contents = (None, []) if is_empty else _response(response)
            send((number, response.is_final, described_answer), contents)
    except ExecutionError as error:
        send((number, True, (error.message, _CODE_OF_STATUS.get(error.status, 1), (), {})), ())
    except ServeError as error:
        # Whatever the reason, Triton's backend makes one kind of error of it, and names the model.
        text = f"Model {model} - Error when running inference: {error.message}"
        send((number, True, (text, _CODE_OF_STATUS[StatusCode.INTERNAL], (), {})), ())
    except Exception:
        _log.exception("unexpected error while a Python model called '%s'", model)
        send((number, True, (f"the call of model '{model}' failed, see the server's log", 1, (), {})), ())


def _check_ready(caller: ModelCaller, model: str, version: str) -> None:
    try:
        caller.config(model, version)
    except ServeError as error:
        raise ServeError(
            error.status, f"Failed for execute the inference request. Model '{model}' is not ready."
        ) from error


def _inputs(described: Sequence[tuple[str, str, tuple[int, ...], int]], message: Message) -> list[GivenTensor]:
    starts, _ = offsets([size for _, _, _, size in described])
    return [
        GivenTensor(name, Dtype(dtype), shape, message.payload[start : start + size].data)
        for (name, dtype, shape, size), start in zip(described, starts, strict=True)
    ]


def _response(response: InferenceResponse) -> tuple[object, list[Buffer]]:
    contents: list[Buffer] = [as_bytes(tensor.data) for tensor in response.outputs]
    described = tuple(
        (tensor.name, tensor.dtype.value, tensor.shape, len(content))
        for tensor, content in zip(response.outputs, contents, strict=True)
    )
    return (None, 0, described, dict(response.parameters)), contents


def as_bytes(content: bytes | memoryview) -> Buffer:
    """Return a tensor's content in units of bytes."""
    if isinstance(content, bytes) or (content.format == "B" and content.ndim == 1):
        return content
    # A view with a dimension of no extent cannot be cast.
    return content.cast("B") if math.prod(content.shape or (1,)) else b""
