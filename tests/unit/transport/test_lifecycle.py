"""The order of starting and stopping, on models and a front end that note what is asked of them."""

import asyncio
import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from npuserve.transport.front_end import FrontEndError
from npuserve.transport.lifecycle import Ending, Lifecycle


class World:
    """Models, front end and backends in one: each step is noted, and may block or fail."""

    title = "Noting"

    def __init__(self, *, failing: str = "", blocking: str = "", error: Exception | None = None) -> None:
        self.steps: list[str] = []
        self.reached: dict[str, asyncio.Event] = {}
        self._failing, self._blocking, self._error = failing, blocking, error

    async def step(self, name: str) -> None:
        self.steps.append(name)
        self.reached.setdefault(name, asyncio.Event()).set()
        if name == self._blocking:
            await asyncio.Event().wait()
        if name == self._failing:
            assert self._error is not None
            raise self._error

    async def load_all(self, repositories: Sequence[Path]) -> None:
        await self.step("load")

    def failures(self) -> dict[str, str]:
        return {"m": "broken"} if self._failing == "a model" else {}

    def begin_close(self) -> None:
        self.steps.append("end watches")

    async def close(self) -> None:
        await self.step("unload")

    async def start(self) -> str:
        await self.step("start")
        return "127.0.0.1:1"

    def stop_accepting(self) -> None:
        self.steps.append("refuse")

    async def drain(self) -> None:
        await self.step("drain")

    async def stop(self) -> None:
        await self.step("stop")

    async def release(self) -> None:
        await self.step("release")

    async def close_backends(self) -> None:
        await self.step("close backends")

    async def run(self, *signals_at: str, exit_on_error: bool = True, budget: float = 5.0) -> Ending:
        """Run to the end, sending a signal when each of the named steps has begun."""
        lifecycle = Lifecycle(
            models=self,
            front_ends=(self,),
            close_backends=self.close_backends,
            repositories=(),
            exit_on_error=exit_on_error,
            exit_timeout_secs=budget,
        )
        running = asyncio.create_task(lifecycle.run())
        for name in signals_at:
            await self.reached.setdefault(name, asyncio.Event()).wait()
            os.kill(os.getpid(), signal.SIGTERM)
        return await asyncio.wait_for(running, 10)


STOPPING = ["end watches", "refuse", "drain", "stop", "unload", "release", "close backends"]


async def test_the_port_opens_after_the_load_and_closes_before_the_unload() -> None:
    world = World()
    assert await world.run("start") is Ending.CLEAN
    assert world.steps == ["load", "start", *STOPPING]


class Named:
    """A front end that notes its own name with each step, in a list that several share."""

    def __init__(self, title: str, steps: list[str]) -> None:
        self.title = title
        self._steps = steps

    async def start(self) -> str:
        self._steps.append(f"start {self.title}")
        return "127.0.0.1:1"

    def stop_accepting(self) -> None:
        self._steps.append(f"refuse {self.title}")

    async def drain(self) -> None:
        self._steps.append(f"drain {self.title}")

    async def stop(self) -> None:
        self._steps.append(f"stop {self.title}")

    async def release(self) -> None:
        self._steps.append(f"release {self.title}")


async def test_metrics_are_served_until_the_models_are_gone() -> None:
    world = World()
    lifecycle = Lifecycle(
        models=world,
        front_ends=(Named("grpc", world.steps), Named("http", world.steps)),
        watching=(Named("metrics", world.steps),),
        when_loaded=lambda: os.kill(os.getpid(), signal.SIGTERM),
        close_backends=world.close_backends,
        repositories=(),
        exit_on_error=True,
        exit_timeout_secs=5,
    )
    assert await lifecycle.run() is Ending.CLEAN
    assert world.steps == [
        *("load", "start grpc", "start http", "start metrics"),
        *("end watches", "refuse grpc", "refuse http", "drain grpc", "drain http", "stop grpc", "stop http", "unload"),
        *("release grpc", "release http", "refuse metrics", "stop metrics", "release metrics", "close backends"),
    ]


async def test_a_signal_while_loading_ends_the_load_and_opens_no_port() -> None:
    world = World(blocking="load")
    assert await world.run("load") is Ending.CLEAN
    assert world.steps == ["load", *STOPPING]


@pytest.mark.parametrize(
    ("failing", "error"),
    [("load", OSError("no such folder")), ("start", FrontEndError("port in use")), ("a model", None)],
)
async def test_what_fails_at_the_start_is_unloaded_and_reported(failing: str, error: Exception | None) -> None:
    world = World(failing=failing, error=error)
    assert await world.run() is Ending.FAILED_TO_START
    assert world.steps[-len(STOPPING) :] == STOPPING


async def test_a_model_that_failed_may_be_overlooked() -> None:
    world = World(failing="a model")
    assert await world.run("start", exit_on_error=False) is Ending.CLEAN


@pytest.mark.parametrize("step", ["drain", "stop", "unload", "release", "close backends"])
async def test_the_budget_bounds_every_step_of_the_stop(step: str) -> None:
    world = World(blocking=step)
    assert await world.run("start", budget=0.05) is Ending.OUT_OF_TIME
    assert world.steps[-1] == step


async def test_a_second_signal_ends_the_draining() -> None:
    world = World(blocking="drain")
    assert await world.run("start", "drain") is Ending.OUT_OF_TIME
    assert world.steps[-1] == "drain"


async def test_backends_are_closed_though_a_model_fails_to_close() -> None:
    world = World(failing="unload", error=ExceptionGroup("close", [RuntimeError("x")]))
    with pytest.raises(ExceptionGroup):
        await world.run("start")
    assert world.steps[-1] == "close backends"


async def test_signal_handlers_are_given_back() -> None:
    before: Callable[..., object] | int | None = signal.getsignal(signal.SIGTERM)
    await World().run("start")
    assert signal.getsignal(signal.SIGTERM) == before
