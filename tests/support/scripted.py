"""A backend whose models do what each request says, so that a test decides what happens when."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
from npuserve._proto.model_config_pb2 import ModelConfig
from npuserve.core.dtype import Dtype
from npuserve.core.errors import ServeError
from npuserve.core.execution import ExecuteRequest, ExecuteResult
from npuserve.core.signature import ModelSignature, TensorSpec
from npuserve.core.status import StatusCode
from npuserve.core.tensor import Tensor
from npuserve.observability.statistics import ModelStatistics
from npuserve.service.interface import DeclaredTensor, interface_of

FAILS = -1.0
FAILS_UNEXPECTEDLY = -2.0
QUEUE_IS_FULL = -3.0
ENDS_WITH_OUTPUTS = 100.0


class ScriptedExecutor:
    """Its first input's first value says what to do: fail, or, when decoupled, how often to answer.

    gates: a request whose id is a key waits for that event. asked: the requests in the order of their arrival.
    cancelled: the ids of requests that were given up. most_running: requests that were there at the same time.
    """

    def __init__(self, signature: ModelSignature) -> None:
        self._signature = signature
        self.gates: dict[str, asyncio.Event] = {}
        self.asked: list[ExecuteRequest] = []
        self.cancelled: list[str] = []
        self.running = self.most_running = 0

    @property
    def signature(self) -> ModelSignature:
        return self._signature

    @property
    def sink(self) -> None:
        return None

    async def execute(self, request: ExecuteRequest) -> ExecuteResult:
        await self._arrive(request)
        return self._copies(request)

    async def stream(self, request: ExecuteRequest) -> AsyncIterator[ExecuteResult]:
        count = _instruction(request)
        try:
            for index in range(int(count % ENDS_WITH_OUTPUTS) if count > 0 else 0):
                result = ExecuteResult(outputs=[Tensor("y", Dtype.FP32, (1,), np.float32(index).tobytes())])
                last = count >= ENDS_WITH_OUTPUTS and index == count - ENDS_WITH_OUTPUTS - 1
                yield ExecuteResult(outputs=result.outputs, is_final=last)
            await self._arrive(request)
        except GeneratorExit:
            self.cancelled.append(request.id)
            raise

    async def _arrive(self, request: ExecuteRequest) -> None:
        self.asked.append(request)
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            if request.id in self.gates:
                await self.gates[request.id].wait()
            else:
                await asyncio.sleep(0)
        except asyncio.CancelledError:
            self.cancelled.append(request.id)
            raise
        finally:
            self.running -= 1
        match _instruction(request):
            case -1.0:
                raise ServeError(StatusCode.INTERNAL, "model says no")
            case -2.0:
                raise RuntimeError("not for clients")
            case -3.0:
                raise ServeError(StatusCode.UNAVAILABLE, "Exceeds maximum queue size")

    def _copies(self, request: ExecuteRequest) -> ExecuteResult:
        pairs = zip(self._signature.outputs, request.inputs, strict=False)
        return ExecuteResult(
            outputs=[Tensor(spec.name, spec.dtype, tensor.shape, bytes(tensor.data)) for spec, tensor in pairs]
        )

    def statistics(self) -> ModelStatistics:
        return ModelStatistics()

    async def close(self) -> None:
        await asyncio.sleep(0)


def _instruction(request: ExecuteRequest) -> float:
    if not request.inputs or request.inputs[0].dtype is not Dtype.FP32 or not request.inputs[0].data:
        return 0.0
    return float(np.frombuffer(request.inputs[0].data, np.float32)[0])


class ScriptedBackend:
    """Loads models from their configs alone. dtypes: what a model takes or gives a tensor in, if not as its config
    says, by the tensor's name. executors: of the loaded models, by name."""

    def __init__(self, **dtypes: Dtype) -> None:
        self._dtypes = dtypes
        self.executors: dict[str, ScriptedExecutor] = {}

    @property
    def needs_model_file(self) -> bool:
        return False

    async def device_count(self) -> int:
        return 0

    async def describe(self, path: Path, config: ModelConfig) -> ModelSignature:
        interface = interface_of(config)
        batch = (-1,) if config.max_batch_size else ()
        inputs, outputs = (
            tuple(self._spec(tensor, batch) for tensor in tensors.values())
            for tensors in (interface.inputs, interface.outputs)
        )
        return ModelSignature(inputs, outputs, ())

    def _spec(self, tensor: DeclaredTensor, batch: tuple[int, ...]) -> TensorSpec:
        return TensorSpec(tensor.name, self._dtypes.get(tensor.name, tensor.dtype), batch + tensor.model_dims)

    async def load(self, path: Path, config: ModelConfig, signature: ModelSignature) -> ScriptedExecutor:
        executor = self.executors[config.name] = ScriptedExecutor(signature)
        return executor

    async def close(self) -> None:
        pass
