"""One instance of an ONNX model: a session, a thread that runs it, and batches put together and taken apart."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from npuserve.core.dtype import Dtype
from npuserve.core.elements import join_elements, split_elements
from npuserve.core.errors import ServeError, invalid
from npuserve.core.execution import ExecuteRequest, ExecuteResult
from npuserve.core.signature import TensorSpec
from npuserve.core.status import StatusCode
from npuserve.core.tensor import Tensor
from npuserve.execution.scheduling import Execution

if TYPE_CHECKING:
    import onnxruntime

Array = npt.NDArray[Any]

# How ONNX Runtime's Python package writes a status: `[ONNXRuntimeError] : 2 : INVALID_ARGUMENT : what is wrong`.
_STATUS = re.compile(r"^\[ONNXRuntimeError\] : (\d+) : \w+ : (.*)$", re.DOTALL)


class OnnxRunner:
    """A BatchRunner over one session, which runs in a thread of its own (it releases the GIL).

    model: named in errors. thread: the thread's name. outputs: those to give, in the signature's order.
    batches: whether the first dimension of every tensor is the batch.
    """

    def __init__(
        self,
        model: str,
        thread: str,
        session: onnxruntime.InferenceSession,
        outputs: Sequence[TensorSpec],
        *,
        batches: bool,
    ) -> None:
        self._model = model
        self._session = session
        self._outputs = tuple(outputs)
        self._batches = batches
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=thread)

    async def run(self, batch: Sequence[ExecuteRequest], execution: Execution) -> Sequence[ExecuteResult | ServeError]:
        """Run a batch; a request with text that the model cannot take fails alone. Raises ServeError: INTERNAL.

        Putting the batch together and taking it apart, which may be long work with text, is also the thread's.
        """
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._run, batch, execution)

    async def close(self) -> None:
        """Let the session go. Nothing runs any more."""
        await asyncio.to_thread(self._thread.shutdown)

    def _run(self, batch: Sequence[ExecuteRequest], execution: Execution) -> Sequence[ExecuteResult | ServeError]:
        given = [self._arrays(request) for request in batch]
        accepted = [index for index, arrays in enumerate(given) if not isinstance(arrays, ServeError)]
        if not accepted:
            return [each for each in given if isinstance(each, ServeError)]
        feeds = _joined([each for each in given if not isinstance(each, ServeError)])
        specs = self._wanted([batch[index] for index in accepted])
        execution.gathered_ns = time.monotonic_ns()
        arrays = self._execute([spec.name for spec in specs], feeds)
        execution.executed_ns = time.monotonic_ns()
        results = iter(self._split([batch[index].rows for index in accepted], specs, arrays))
        return [each if isinstance(each, ServeError) else next(results) for each in given]

    def _execute(self, names: list[str], feeds: dict[str, Array]) -> list[Array]:
        try:
            arrays: list[Array] = self._session.run(names, feeds)
        except Exception as error:
            # What the package raises has no root of its own.
            raise runtime_error(error) from error
        return arrays

    def _wanted(self, batch: Sequence[ExecuteRequest]) -> Sequence[TensorSpec]:
        """Return the outputs that any request of the batch asks for."""
        if not all(request.outputs for request in batch):
            return self._outputs
        names = {name for request in batch for name in request.outputs}
        return [spec for spec in self._outputs if spec.name in names]

    def _arrays(self, request: ExecuteRequest) -> dict[str, Array] | ServeError:
        try:
            return {tensor.name: self._array(tensor) for tensor in request.inputs}
        except UnicodeDecodeError:
            return invalid(
                f"model '{self._model}' takes text in UTF-8 only, and an element of the request's BYTES input is not"
            )

    def _array(self, tensor: Tensor) -> Array:
        """Return a view of a tensor's memory; of text, the strings."""
        if tensor.dtype is Dtype.BYTES:
            elements = [element.decode() for element in split_elements(tensor.data)]
            return np.array(elements, dtype=object).reshape(tensor.shape)
        if not len(tensor.data):
            return np.empty(tensor.shape, dtype=tensor.dtype.numpy)
        return np.frombuffer(tensor.data, dtype=tensor.dtype.numpy).reshape(tensor.shape)

    def _split(
        self, rows: Sequence[int], specs: Sequence[TensorSpec], arrays: Sequence[Array]
    ) -> Sequence[ExecuteResult]:
        """Cut the outputs into the requests' rows. Raises ServeError (INTERNAL) if the model answers other rows."""
        if not self._batches:
            return [_result(specs, arrays)]
        for spec, array in zip(specs, arrays, strict=True):
            if array.shape[:1] != (sum(rows),):
                raise ServeError(
                    StatusCode.INTERNAL,
                    f"model '{self._model}' answered a batch of {sum(rows)} with output '{spec.name}' of shape "
                    f"{list(array.shape)}",
                )
        ends = np.cumsum(rows)
        return [
            _result(specs, [array[end - count : end] for array in arrays])
            for count, end in zip(rows, ends, strict=True)
        ]


def runtime_error(error: Exception) -> ServeError:
    """Return ONNX Runtime's complaint as Triton words it."""
    if match := _STATUS.match(str(error)):
        return ServeError(StatusCode.INTERNAL, f"onnx runtime error {match[1]}: {match[2]}")
    return ServeError(StatusCode.INTERNAL, f"onnx runtime error: {error}")


def _joined(requests: Sequence[dict[str, Array]]) -> dict[str, Array]:
    """Return the inputs of a batch; those of one request as they are."""
    if len(requests) == 1:
        return requests[0]
    return {name: np.concatenate([request[name] for request in requests]) for name in requests[0]}


def _result(specs: Sequence[TensorSpec], arrays: Sequence[Array]) -> ExecuteResult:
    return ExecuteResult(outputs=[_tensor(spec, array) for spec, array in zip(specs, arrays, strict=True)])


def _tensor(spec: TensorSpec, array: Array) -> Tensor:
    if spec.dtype is Dtype.BYTES:
        content: bytes | memoryview = join_elements(_encoded(element) for element in array.flat)
    else:
        # Rows of a batch lie in one piece, so this copies nothing.
        content = np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
    return Tensor(spec.name, spec.dtype, tuple(array.shape), content)


def _encoded(element: str | bytes) -> bytes:
    return element if isinstance(element, bytes) else element.encode()
