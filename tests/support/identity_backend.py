"""A backend whose models are small JSON files and whose executors copy inputs to outputs, in memory."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from npuserve._proto.model_config_pb2 import ModelConfig
from npuserve.core.dtype import Dtype
from npuserve.core.errors import ServeError, invalid
from npuserve.core.execution import ExecuteRequest, ExecuteResult
from npuserve.core.signature import Gear, ModelSignature, TensorSpec
from npuserve.core.status import StatusCode
from npuserve.core.tensor import Tensor
from npuserve.execution.executor import Executor, single_result
from npuserve.observability.statistics import Duration, ModelStatistics


def write_model(path: Path, *, row: Sequence[int] = (4,), batch_gears: Sequence[int] = (1, 8)) -> None:
    """Write a model of FP32 input `x` and output `y`, both rows of shape `row`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"row": list(row), "batch_gears": list(batch_gears)}))


class IdentityExecutor:
    """Gives every input back as the output of the same place; counts what it does."""

    def __init__(self, signature: ModelSignature, config: ModelConfig) -> None:
        self._signature = signature
        self.config = config
        self.requests = 0
        self.close_calls = 0

    @property
    def signature(self) -> ModelSignature:
        return self._signature

    @property
    def sink(self) -> None:
        return None

    async def execute(self, request: ExecuteRequest) -> ExecuteResult:
        if self.close_calls:
            raise ServeError(StatusCode.UNAVAILABLE, "closed")
        await asyncio.sleep(0)
        self.requests += 1
        return ExecuteResult(
            outputs=[
                Tensor(spec.name, tensor.dtype, tensor.shape, bytes(tensor.data))
                for spec, tensor in zip(self._signature.outputs, request.inputs, strict=True)
            ]
        )

    def stream(self, request: ExecuteRequest) -> AsyncIterator[ExecuteResult]:
        return single_result(self, request)

    def statistics(self) -> ModelStatistics:
        return ModelStatistics(inference_count=self.requests, success=Duration(self.requests, 0))

    async def close(self) -> None:
        self.close_calls += 1
        await asyncio.sleep(0)


class IdentityBackend:
    """Loads what `write_model` wrote. `loading` and `most_loading` count versions now and at most in `load`,
    which waits for `may_load`."""

    def __init__(self, device_count: int = 1) -> None:
        self._device_count = device_count
        self.executors: list[IdentityExecutor] = []
        self.loading = 0
        self.most_loading = 0
        self._changed = asyncio.Condition()
        self.may_load = asyncio.Event()
        self.may_load.set()

    async def until_loading(self, versions: int) -> None:
        """Wait until so many versions are in `load` at once."""
        async with asyncio.timeout(10), self._changed:
            await self._changed.wait_for(lambda: self.loading >= versions)

    @property
    def needs_model_file(self) -> bool:
        return True

    async def device_count(self) -> int:
        return self._device_count

    async def describe(self, path: Path, config: ModelConfig) -> ModelSignature:
        try:
            model = json.loads(await asyncio.to_thread(path.read_text))
        except ValueError as error:
            raise invalid(f"failed to load '{path}': not an identity model") from error
        row = tuple(model["row"])
        gears = tuple(((size, *row),) for size in model["batch_gears"])
        shape = (-1, *row)
        return ModelSignature(
            inputs=(TensorSpec("x", Dtype.FP32, shape),),
            outputs=(TensorSpec("y", Dtype.FP32, shape),),
            gears=tuple(Gear(shapes, shapes) for shapes in gears),
        )

    async def load(self, path: Path, config: ModelConfig, signature: ModelSignature) -> Executor:
        async with self._changed:
            self.loading += 1
            self.most_loading = max(self.most_loading, self.loading)
            self._changed.notify_all()
        try:
            await self.may_load.wait()
            executor = IdentityExecutor(signature, config)
            self.executors.append(executor)
            return executor
        finally:
            self.loading -= 1

    async def close(self) -> None:
        assert all(executor.close_calls for executor in self.executors)
