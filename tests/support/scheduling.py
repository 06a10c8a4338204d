"""The Python-side scheduler over instances that end when told, on a clock that stands still until it is moved."""

import asyncio
import heapq
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest
from npuserve.config.scheduling import SchedulingOptions
from npuserve.core.dtype import Dtype
from npuserve.core.errors import ServeError
from npuserve.core.execution import ExecuteRequest, ExecuteResult
from npuserve.core.request import ParameterValue
from npuserve.core.signature import ModelSignature
from npuserve.core.tensor import Tensor
from npuserve.execution.scheduling import Execution, ScheduledExecutor, StreamingExecutor

MS = 1_000_000
SIGNATURE = ModelSignature((), (), ())


class FakeClock:
    """The executor's clock and timers: time passes only in `advance`."""

    def __init__(self) -> None:
        self.now = 1_000 * MS
        self._numbers = itertools.count()
        self._timers: list[tuple[int, int, asyncio.TimerHandle]] = []

    def now_ns(self) -> int:
        return self.now

    def call_at(self, instant_ns: int, callback: Callable[[], None]) -> asyncio.TimerHandle:
        loop = asyncio.get_running_loop()
        handle = asyncio.TimerHandle(0, callback, (), loop)
        heapq.heappush(self._timers, (instant_ns, next(self._numbers), handle))
        return handle

    async def advance(self, ns: int) -> None:
        self.now += ns
        while self._timers and self._timers[0][0] <= self.now:
            handle = heapq.heappop(self._timers)[2]
            if not handle.cancelled():
                handle._run()
        await settle()


async def settle() -> None:
    """Let everything run that is ready, and what becomes ready by that."""
    for _ in range(10):
        await asyncio.sleep(0)


@dataclass
class Running:
    """A batch on an instance, until the test ends it."""

    requests: list[ExecuteRequest]
    execution: Execution
    ended: asyncio.Future[list[ExecuteResult | ServeError]]

    @property
    def rows(self) -> int:
        return sum(request.rows for request in self.requests)

    async def end(self, *answers: ExecuteResult | ServeError) -> None:
        self.ended.set_result(list(answers) or [ExecuteResult(outputs=()) for _ in self.requests])
        await settle()

    async def fail(self, error: Exception) -> None:
        self.ended.set_exception(error)
        await settle()


@dataclass
class Instance:
    """A BatchRunner that does what the test says."""

    running: list[Running] = field(default_factory=list)
    is_closed: bool = False

    async def run(self, batch: Sequence[ExecuteRequest], execution: Execution) -> Sequence[ExecuteResult | ServeError]:
        running = Running(list(batch), execution, asyncio.get_running_loop().create_future())
        self.running.append(running)
        return await running.ended

    async def close(self) -> None:
        self.is_closed = True


async def execute(executor: StreamingExecutor, asked: ExecuteRequest) -> ExecuteResult:
    """Execute within a task: what is refused at once is the task's error."""
    return await executor.execute(asked)


class Scene:
    """An executor over instances, and what was asked of it."""

    def __init__(self, options: SchedulingOptions, instances: int = 1) -> None:
        self.clock = FakeClock()
        self.instances = [Instance() for _ in range(instances)]
        self.executor = ScheduledExecutor(
            "M", SIGNATURE, options, self.instances, now_ns=self.clock.now_ns, timers=self.clock
        )
        self.asked: list[asyncio.Task[ExecuteResult]] = []

    async def ask(self, count: int = 1, *, rows: int = 1, name: str = "", **more: object) -> None:
        """Send requests that arrive together."""
        for _ in range(count):
            self.asked.append(asyncio.create_task(execute(self.executor, request(rows, name, **more))))
        await settle()

    @property
    def batches(self) -> list[Running]:
        return [running for instance in self.instances for running in instance.running]

    @property
    def sizes(self) -> list[int]:
        return [running.rows for running in self.batches]

    async def end_all(self) -> None:
        """End every batch that runs, until nothing runs any more."""
        while running := [each for each in self.batches if not each.ended.done()]:
            for each in running:
                await each.end()

    async def error(self, index: int = 0) -> ServeError:
        with pytest.raises(ServeError) as caught:
            await self.asked[index]
        return caught.value


def request(rows: int = 1, name: str = "", **parameters: object) -> ExecuteRequest:
    shape = parameters.pop("shape", (2,))
    assert isinstance(shape, tuple)
    inputs = parameters.pop("inputs", ("I",))
    assert isinstance(inputs, tuple)
    given: dict[str, ParameterValue] = {
        key: value for key, value in parameters.items() if isinstance(value, bool | int | float | str)
    }
    tensors = [Tensor(each, Dtype.FP32, (rows, *shape), b"") for each in inputs]
    return ExecuteRequest(inputs=tensors, rows=rows, id=name, parameters=given)


def dynamic(**changes: object) -> SchedulingOptions:
    options: dict[str, object] = {"max_batch_size": 8, "dynamic_batching": True, "preferred_batch_sizes": (8,)}
    return SchedulingOptions(**{**options, **changes})  # type: ignore[arg-type]  # each test names its own fields
