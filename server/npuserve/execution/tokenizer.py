"""Texts to token ids within the server, by Hugging Face's `tokenizers`: the first step of an ensemble of text.

A version is a `tokenizer.json`. The input is one text a row; the outputs are those of `input_ids`, `attention_mask` and
`token_type_ids` that the config names (the first two if it names none). The package is an extra of this one and is
imported with the first model.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Sequence
from pathlib import Path

from npuserve._proto.model_config_pb2 import DataType, ModelConfig
from npuserve.config.contradiction import full_shape
from npuserve.config.validate import validate_tensors
from npuserve.core.dtype import Dtype
from npuserve.core.elements import split_elements
from npuserve.core.errors import ServeError, invalid
from npuserve.core.execution import ExecuteRequest, ExecuteResult
from npuserve.core.ready import Ready
from npuserve.core.signature import ModelSignature, TensorSpec
from npuserve.core.status import StatusCode
from npuserve.core.tensor import Tensor
from npuserve.execution.counters import ExecutionCounters, Stages
from npuserve.execution.executor import single_result
from npuserve.execution.token_rows import TOKEN_FIELDS, TokenRows, token_options
from npuserve.observability.statistics import ModelStatistics

_DEFAULT_OUTPUTS = ("input_ids", "attention_mask")
_INTEGERS = (Dtype.INT64, Dtype.INT32)
_DTYPES = {dtype.config_name: dtype for dtype in Dtype}
# Below this a request takes about the time that handing it to a thread does, or a few times as much.
_INLINE_BYTES = 2048


class TokenizerBackend:
    """Loads tokenizers."""

    @property
    def needs_model_file(self) -> bool:
        """True: a version is a `tokenizer.json`."""
        return True

    async def device_count(self) -> int:
        """Return 0: the models run on the CPU."""
        return 0

    async def describe(self, path: Path, config: ModelConfig) -> ModelSignature:
        """Return what the config says, or the usual tensors where it says nothing.

        Raises ServeError: INVALID_ARGUMENT for tensors that a tokenizer does not have.
        """
        validate_tensors(config)
        batch = (-1,) if config.max_batch_size > 0 or not (config.input or config.output) else ()
        inputs = tuple(
            TensorSpec(each.name, _dtype(each.data_type), full_shape(config, each)) for each in config.input
        ) or (TensorSpec("text", Dtype.BYTES, (*batch, 1)),)
        outputs = tuple(
            TensorSpec(each.name, _dtype(each.data_type), full_shape(config, each)) for each in config.output
        ) or tuple(TensorSpec(name, Dtype.INT64, (*batch, -1)) for name in _DEFAULT_OUTPUTS)
        _check(config, inputs, outputs)
        return ModelSignature(inputs=inputs, outputs=outputs, gears=())

    async def load(self, path: Path, config: ModelConfig, signature: ModelSignature) -> "TokenizerExecutor":
        """Read the file. Raises ServeError: UNAVAILABLE if the package is not installed, INVALID_ARGUMENT."""
        options = token_options(config, signature.outputs)
        rows = await asyncio.to_thread(TokenRows, config.name, path, options)
        return TokenizerExecutor(config.name, rows, signature)

    async def close(self) -> None:
        """Do nothing: all is the executors'."""


class TokenizerExecutor:
    """One tokenizer. Each request is an execution of its own: texts gain nothing from company."""

    def __init__(self, name: str, rows: TokenRows, signature: ModelSignature) -> None:
        self._name = name
        self._rows = rows
        self._signature = signature
        self._batches = len(signature.inputs[0].shape) > 1
        self._counters = ExecutionCounters()
        self._open = 0
        self._none_open = asyncio.Event()
        self._none_open.set()
        self._is_stopping = False

    def __repr__(self) -> str:
        return f"<TokenizerExecutor {self._name} open={self._open}>"

    @property
    def signature(self) -> ModelSignature:
        """What the config says."""
        return self._signature

    @property
    def sink(self) -> None:
        """None: requests come through `execute`."""
        return

    def execute(self, request: ExecuteRequest) -> Awaitable[ExecuteResult]:
        """Tokenize the request's texts, a short request at once; see Executor.execute.

        Raises ServeError, at once or when it is awaited: also INVALID_ARGUMENT for texts that are too long or no text.
        """
        if self._is_stopping:
            raise ServeError(
                StatusCode.UNAVAILABLE,
                "Server is stopping, scheduler for model has stopped accepting new inference requests",
            )
        if len(request.inputs[0].data) > _INLINE_BYTES:
            return self._beside(request)
        started_ns = time.monotonic_ns()
        try:
            outputs = self._outputs(request, together=False)
        except ServeError:
            self._counters.failed("other", time.monotonic_ns() - started_ns)
            raise
        return Ready(self._counted(request, outputs, started_ns))

    def stream(self, request: ExecuteRequest) -> AsyncIterator[ExecuteResult]:
        """Yield the one result; see Executor.stream."""
        return single_result(self, request)

    def statistics(self) -> ModelStatistics:
        """Return a consistent snapshot of the counters."""
        return self._counters.snapshot(0, predicted_wait_ns=0, queue_delay_ns=0)

    async def close(self) -> None:
        """Refuse new requests, complete the accepted ones. Idempotent."""
        self._is_stopping = True
        await self._none_open.wait()

    async def _beside(self, request: ExecuteRequest) -> ExecuteResult:
        """Tokenize beside the loop. The thread of a request that is cancelled ends its work for nobody."""
        started_ns = time.monotonic_ns()
        failure = "cancelled"
        self._open += 1
        self._none_open.clear()
        try:
            outputs = await asyncio.to_thread(self._outputs, request, together=True)
            failure = ""
        except ServeError:
            failure = "other"
            raise
        finally:
            self._open -= 1
            if self._open == 0:
                self._none_open.set()
            if failure:
                self._counters.failed(failure, time.monotonic_ns() - started_ns)
        return self._counted(request, outputs, started_ns)

    def _counted(self, request: ExecuteRequest, outputs: Sequence[Tensor], started_ns: int) -> ExecuteResult:
        took_ns = time.monotonic_ns() - started_ns
        stages = Stages(0, took_ns, 0)
        self._counters.executed(request.rows, stages)
        self._counters.succeeded(request.rows, total_ns=took_ns, queue_ns=0, stages=stages)
        return ExecuteResult(outputs=outputs)

    def _outputs(self, request: ExecuteRequest, *, together: bool) -> list[Tensor]:
        encodings = self._rows.encode(list(split_elements(request.inputs[0].data)), together=together)
        length = self._rows.length(encodings)
        shape = (len(encodings), length) if self._batches else (length,)
        return [
            Tensor(spec.name, spec.dtype, shape, self._rows.rows(spec.name, spec.dtype, encodings, length))
            for spec in self._signature.outputs
        ]


def _check(config: ModelConfig, inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec]) -> None:
    """Refuse tensors that a tokenizer does not have. Raises ServeError (INVALID_ARGUMENT)."""
    if len(inputs) != 1 or inputs[0].dtype is not Dtype.BYTES or inputs[0].shape[-1:] != (1,):
        raise invalid(
            f"model '{config.name}': backend 'tokenizer' has one input, TYPE_STRING with dims [ 1 ], a text a row"
        )
    for output in outputs:
        if output.name not in TOKEN_FIELDS or output.dtype not in _INTEGERS:
            raise invalid(
                f"model '{config.name}': the outputs of backend 'tokenizer' are {', '.join(TOKEN_FIELDS)}, TYPE_INT64 "
                f"or TYPE_INT32, got '{output.name}', {output.dtype.config_name}"
            )
        if len(output.shape) != len(inputs[0].shape):
            raise invalid(
                f"model '{config.name}': output '{output.name}' of backend 'tokenizer' has one dim, a text's tokens"
            )


def _dtype(data_type: DataType) -> Dtype:
    return _DTYPES[DataType.Name(data_type)]
