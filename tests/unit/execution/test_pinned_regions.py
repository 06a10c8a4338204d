"""Shared memory that the emulated device reads by itself."""

import asyncio
import gc
import logging
import mmap
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import numpy as np
import pytest
from npuserve._proto.model_config_pb2 import ModelConfig, ModelInstanceGroup
from npuserve.core.dtype import Dtype
from npuserve.core.tensor import Tensor
from npuserve.execution.ascend import AscendBackend
from npuserve.execution.native import NativeExecutor
from npuserve.service.regions import SharedMemoryReference, SharedMemoryRegions
from support.emulator import LIBRARY
from support.executions import execute
from support.models import build_models

KEY = f"npuserve_test_pinned_{os.getpid()}"
PAGE = mmap.PAGESIZE
ROWS, WIDTH = 8, 4
ROW_BYTES = WIDTH * 4


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    build_models(folder)
    return folder


@pytest.fixture
def shared() -> Iterator[Path]:
    """A shared memory object of two pages of numbers, counting."""
    path = Path("/dev/shm") / KEY
    path.write_bytes(np.arange(2 * PAGE // 4, dtype=np.float32).tobytes())
    try:
        yield path
    finally:
        path.unlink()


@pytest.fixture
async def backend() -> AsyncIterator[AscendBackend]:
    backend = AscendBackend([[str(LIBRARY)]])
    yield backend
    await backend.close()


@pytest.fixture
def regions(backend: AscendBackend) -> SharedMemoryRegions:
    regions = SharedMemoryRegions()
    regions.follow(backend.regions)
    return regions


async def loaded(backend: AscendBackend, models: Path) -> NativeExecutor:
    config = ModelConfig(name="copy", backend="ascend", max_batch_size=ROWS)
    config.dynamic_batching.max_queue_delay_microseconds = 0
    config.instance_group.add(kind=ModelInstanceGroup.KIND_GPU, count=1, gpus=[0])
    path = models / "identity_b8.om"
    return await backend.load(path, config, await backend.describe(path, config))


async def ask(executor: NativeExecutor, regions: SharedMemoryRegions, rows: int = 1, offset: int = 0) -> None:
    """Have rows of region `r` copied by the model, and see that they are."""
    memory = regions.memory(SharedMemoryReference("r", offset, rows * ROW_BYTES))
    expected = bytes(memory)
    (answer,) = await execute(executor, [Tensor("x", Dtype.FP32, (rows, WIDTH), memory)], rows)
    assert bytes(answer.data) == expected


async def ask_until_borrowed(backend: AscendBackend, executor: NativeExecutor, regions: SharedMemoryRegions) -> None:
    """Ask until the device reads the region by itself, which it does once that is registered with it."""
    before = backend.borrowed_inputs
    while backend.borrowed_inputs == before:
        await ask(executor, regions)


def mappings() -> int:
    gc.collect()
    return sum(KEY in line for line in Path("/proc/self/maps").read_text().splitlines())


async def test_a_device_reads_a_region_that_was_registered_before_or_after_its_model_was_loaded(
    backend: AscendBackend, regions: SharedMemoryRegions, models: Path, shared: Path
) -> None:
    regions.register("r", KEY, 0, 2 * PAGE)
    executor = await loaded(backend, models)
    await ask_until_borrowed(backend, executor, regions)
    regions.unregister("r")
    regions.register("r", KEY, PAGE, PAGE)
    await ask_until_borrowed(backend, executor, regions)
    await executor.close()


async def test_only_what_is_a_gear_and_lies_as_the_device_wants_is_read_from_the_region(
    backend: AscendBackend, regions: SharedMemoryRegions, models: Path, shared: Path
) -> None:
    executor = await loaded(backend, models)
    regions.register("r", KEY, 0, 2 * PAGE)
    await ask_until_borrowed(backend, executor, regions)
    for rows, offset, borrowed in ((2, 64, 1), (8, 2 * PAGE - 128, 1), (3, 0, 0), (1, 16, 0), (4, PAGE + 32, 0)):
        before = backend.borrowed_inputs
        await ask(executor, regions, rows, offset)
        assert backend.borrowed_inputs - before == borrowed, (rows, offset)
    await executor.close()


async def test_no_request_loses_its_memory_while_regions_come_and_go(
    backend: AscendBackend, regions: SharedMemoryRegions, models: Path, shared: Path
) -> None:
    executor = await loaded(backend, models)
    async with asyncio.TaskGroup() as tasks:
        for round_ in range(100):
            regions.register("r", KEY, 0, 2 * PAGE)
            for index in range(4):
                tasks.create_task(ask(executor, regions, 1, 64 * (4 * round_ % 64 + index)))
            await asyncio.sleep(0)  # the requests are on their way
            regions.unregister("r")
    regions.register("r", KEY, 0, 2 * PAGE)
    await ask_until_borrowed(backend, executor, regions)
    regions.unregister("r")
    await executor.close()
    await backend.close()
    assert mappings() == 0


async def test_requests_are_answered_though_the_driver_refuses_to_register(
    backend: AscendBackend,
    regions: SharedMemoryRegions,
    models: Path,
    shared: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("NPUSERVE_EMULATOR_FAULTS", "aclrtHostRegisterV2:1:207001")
    caplog.set_level(logging.INFO)
    executor = await loaded(backend, models)
    regions.register("refused", KEY, 0, PAGE)
    regions.register("r", KEY, 0, PAGE)
    await ask_until_borrowed(backend, executor, regions)  # registered after the other was refused
    assert "device 0 does not read shared memory region 'refused' by itself: aclrtHostRegisterV2 failed" in caplog.text
    memory = regions.memory(SharedMemoryReference("refused", 0, ROW_BYTES))
    before = backend.borrowed_inputs
    (answer,) = await execute(executor, [Tensor("x", Dtype.FP32, (1, WIDTH), memory)], 1)
    assert bytes(answer.data) == bytes(memory)
    assert backend.borrowed_inputs == before
    await executor.close()


async def test_regions_are_read_again_after_ascendcl_ended_and_started_anew(
    backend: AscendBackend, regions: SharedMemoryRegions, models: Path, shared: Path
) -> None:
    regions.register("r", KEY, 0, PAGE)
    for _ in range(2):
        executor = await loaded(backend, models)
        await ask_until_borrowed(backend, executor, regions)
        await executor.close()
        await backend.close()
        assert backend.borrowed_inputs == 0
    assert mappings() == 1  # the region itself
