"""The Ascend backend on the emulator: what the repository and a program in the same process see of it."""

import asyncio
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from npuserve._proto.model_config_pb2 import ModelConfig, ModelInstanceGroup
from npuserve.config.sharing import HostPolicy, SharingOptions
from npuserve.core.dtype import Dtype
from npuserve.core.errors import ServeError
from npuserve.core.status import StatusCode
from npuserve.core.tensor import Tensor
from npuserve.execution.ascend import AscendBackend
from npuserve.execution.native import NativeExecutor
from npuserve.execution.sharing import DeviceSharing
from npuserve.observability.machine import DeviceSample
from support.emulator import LIBRARY
from support.executions import execute
from support.models import build_models, expected_tokens


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    build_models(folder)
    return folder


@pytest.fixture
async def backend() -> AsyncIterator[AscendBackend]:
    backend = AscendBackend([[str(LIBRARY)]])
    yield backend
    await backend.close()


def config(name: str, max_batch_size: int, delay_us: int = 0, copies: int = 1) -> ModelConfig:
    model = ModelConfig(name=name, backend="ascend", max_batch_size=max_batch_size)
    model.dynamic_batching.max_queue_delay_microseconds = delay_us
    if delay_us:
        model.parameters["buckets"].string_value = "off"  # with them an idle instance never waits
    model.instance_group.add(name=f"{name}_0", kind=ModelInstanceGroup.KIND_GPU, count=copies, gpus=[0])
    return model


async def loaded(backend: AscendBackend, path: Path, model: ModelConfig) -> NativeExecutor:
    return await backend.load(path, model, await backend.describe(path, model))


def tokens(rows: int, length: int, seed: int) -> tuple[Tensor, Tensor]:
    ids = np.random.default_rng(seed).integers(1, 1000, (rows, length), dtype=np.int64)
    mask = np.ones_like(ids)
    return (
        Tensor("input_ids", Dtype.INT64, ids.shape, ids.data.cast("B")),
        Tensor("attention_mask", Dtype.INT64, mask.shape, mask.data.cast("B")),
    )


def array(tensor: Tensor) -> np.ndarray[tuple[int, ...], np.dtype[np.generic]]:
    return np.frombuffer(tensor.data, tensor.dtype.numpy).reshape(tensor.shape)


async def test_a_model_describes_itself(backend: AscendBackend, models: Path) -> None:
    signature = await backend.describe(models / "tokens.om", ModelConfig())
    assert [(spec.name, spec.dtype, spec.shape) for spec in signature.inputs] == [
        ("input_ids", Dtype.INT64, (-1, -1)),
        ("attention_mask", Dtype.INT64, (-1, -1)),
    ]
    assert [(spec.name, spec.shape) for spec in signature.outputs] == [("logits", (-1, -1, 3))]
    assert len(signature.gears) == 8


async def test_arrays_go_in_and_answers_of_their_own_length_come_out(backend: AscendBackend, models: Path) -> None:
    executor = await loaded(backend, models / "tokens.om", config("tokens", 8))

    async def ask(rows: int, length: int, seed: int) -> None:
        inputs = tokens(rows, length, seed)
        (answer,) = await execute(executor, inputs, rows)
        assert answer.name == "logits"
        np.testing.assert_array_equal(array(answer), expected_tokens(array(inputs[0]), array(inputs[1])))

    async with asyncio.TaskGroup() as tasks:
        for seed in range(200):
            tasks.create_task(ask(1 + seed % 3, 5 + seed % 11, seed))
    statistics = executor.statistics()
    assert statistics.success.count == 200
    assert statistics.execution_count <= 200
    await executor.close()


async def test_instances_share_one_queue(backend: AscendBackend, models: Path) -> None:
    executor = await loaded(backend, models / "tokens.om", config("tokens", 8, copies=2))
    answers = await asyncio.gather(*(execute(executor, tokens(1, 8, seed), 1) for seed in range(50)))
    assert len(answers) == executor.statistics().success.count == 50
    await executor.close()


async def test_a_cancelled_caller_takes_its_queued_request_along(backend: AscendBackend, models: Path) -> None:
    executor = await loaded(backend, models / "tokens.om", config("tokens", 8, delay_us=200_000))
    abandoned = asyncio.create_task(execute(executor, tokens(1, 8, 1), 1))
    await asyncio.sleep(0)
    abandoned.cancel()
    with pytest.raises(asyncio.CancelledError):
        await abandoned
    await execute(executor, tokens(1, 8, 2), 1)
    statistics = executor.statistics()
    assert (statistics.success.count, statistics.fail.count, statistics.inference_count) == (1, 1, 1)
    await executor.close()


async def test_a_closed_executor_refuses(backend: AscendBackend, models: Path) -> None:
    executor = await loaded(backend, models / "tokens.om", config("tokens", 8))
    await executor.close()
    await executor.close()
    with pytest.raises(ServeError, match="Server is stopping") as caught:
        await execute(executor, tokens(1, 8, 1), 1)
    assert caught.value.status is StatusCode.UNAVAILABLE


async def test_closing_completes_what_was_accepted(backend: AscendBackend, models: Path) -> None:
    executor = await loaded(backend, models / "tokens.om", config("tokens", 8, delay_us=10_000_000))
    accepted = asyncio.create_task(execute(executor, tokens(1, 8, 1), 1))
    await asyncio.sleep(0)
    await executor.close()
    assert len(await accepted) == 1


async def test_a_file_that_is_no_model_is_an_invalid_argument(backend: AscendBackend, tmp_path: Path) -> None:
    path = tmp_path / "model.om"
    path.write_bytes(b"text")
    with pytest.raises(ServeError, match=r"failed to load '.*model.om': .*aclmdlLoadFromFile") as caught:
        await backend.describe(path, ModelConfig())
    assert caught.value.status is StatusCode.INVALID_ARGUMENT


async def test_a_library_that_is_not_there_is_unavailable_and_named(tmp_path: Path) -> None:
    backend = AscendBackend([[str(tmp_path / "libascendcl.so")]])
    with pytest.raises(ServeError, match=r"libascendcl\.so") as caught:
        await backend.device_count()
    assert caught.value.status is StatusCode.UNAVAILABLE
    await backend.close()


async def test_devices_are_told_of_once_a_model_uses_them(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NPUSERVE_EMULATOR_DEVICES", "2")
    monkeypatch.setenv("NPUSERVE_EMULATOR_MEMORY_BYTES", str(256 << 20))
    backend = AscendBackend([[str(LIBRARY)]])
    assert backend.device_samples() == []
    executor = await loaded(backend, models / "tokens.om", config("tokens", 8))
    used, idle = await asyncio.to_thread(backend.device_samples)
    assert used == DeviceSample(device=0, memory_total_bytes=256 << 20, memory_used_bytes=used.memory_used_bytes)
    assert used.memory_used_bytes is not None
    assert 0 < used.memory_used_bytes < 256 << 20
    assert idle == DeviceSample(device=1)
    await executor.close()
    assert await asyncio.to_thread(backend.device_samples) == [DeviceSample(device=0), DeviceSample(device=1)]
    await backend.close()
    assert backend.device_samples() == []


async def test_what_a_model_takes_of_a_device_is_logged_and_told_until_it_is_closed(
    backend: AscendBackend, models: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO"):
        executor = await loaded(backend, models / "tokens.om", config("tokens", 8, copies=2))
    expected = (
        r"model 'tokens' version \S+ takes on device 0, for 2 instances, in MiB: weights 1, work 1, buffers 1, pin"
    )
    assert re.search(expected, caplog.text)
    (family,) = backend.memory.families()
    told = {sample.labels["kind"]: sample.value for sample in family.samples}
    assert set(told) == {"weights", "work", "buffers", "pinned"}
    assert all(size > 0 for size in told.values())
    state = (await asyncio.to_thread(backend.device_samples))[0]
    assert state.memory_used_bytes == told["weights"] + told["work"] + told["buffers"]
    await executor.close()
    assert backend.memory.families()[0].samples == []


async def test_a_model_that_does_not_fit_is_refused_and_leaves_nothing(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NPUSERVE_EMULATOR_MEMORY_BYTES", str(1 << 20))
    backend = AscendBackend([[str(LIBRARY)]])
    signature = await backend.describe(models / "tokens.om", config("tokens", 8))
    small = await backend.load(models / "tokens.om", config("tokens", 8), signature)
    used = (await asyncio.to_thread(backend.device_samples))[0].memory_used_bytes
    with pytest.raises(ServeError) as caught:
        await backend.load(models / "tokens.om", config("tokens", 8, copies=400), signature)
    assert caught.value.status is StatusCode.UNAVAILABLE
    expected = (
        r"model 'tokens' needs \d+ MiB on device 0 \(weights \d+, work \d+, buffers \d+\), but 0 MiB of 1 MiB are free"
    )
    assert re.fullmatch(expected, caught.value.message)
    assert (await asyncio.to_thread(backend.device_samples))[0].memory_used_bytes == used
    await small.close()
    await backend.close()


async def test_every_instance_on_every_device_takes_a_part(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NPUSERVE_EMULATOR_DEVICES", "4")
    backend = AscendBackend([[str(LIBRARY)]])
    spread = config("tokens", 8)
    del spread.instance_group[:]
    spread.instance_group.add(count=2, kind=ModelInstanceGroup.KIND_GPU, gpus=[0, 1, 2, 3])
    executor = await loaded(backend, models / "tokens.om", spread)
    answers = await asyncio.gather(*(execute(executor, tokens(1, 8, seed), 1) for seed in range(200)))
    assert len(answers) == 200
    (family,) = backend.memory.families()
    assert {sample.labels["device"] for sample in family.samples} == {"0", "1", "2", "3"}
    await executor.close()
    await backend.close()


async def test_a_host_policy_that_the_machine_cannot_follow_is_refused(models: Path) -> None:
    policies = {"far": HostPolicy(numa_node=999), "gpu_0": HostPolicy(cores=(min(os.sched_getaffinity(0)),))}
    backend = AscendBackend([[str(LIBRARY)]], sharing=DeviceSharing(SharingOptions(host_policies=policies)))
    placed = config("tokens", 8)
    executor = await loaded(backend, models / "tokens.om", placed)
    assert len(await execute(executor, tokens(1, 8, 1), 1)) == 1
    placed.instance_group[0].host_policy = "far"
    with pytest.raises(ServeError, match="NUMA node 999 does not exist") as caught:
        await loaded(backend, models / "tokens.om", placed)
    assert caught.value.status is StatusCode.INVALID_ARGUMENT
    await executor.close()
    await backend.close()


@pytest.mark.parametrize(
    ("numbers", "powers"),
    [
        ((0, 1, 2), [10.0, 11.0]),
        ((4, 5), [14.0, 15.0]),
        ((4, 5, 6), [None, None]),
        ((1, 2, 3), [None, 11.0]),
        ((), [None, None]),
    ],
    ids=["equal numbers", "as many under other numbers", "other devices", "a part of the devices", "none"],
)
async def test_what_the_boards_tell_is_told_of_the_right_device(
    numbers: tuple[int, ...], powers: list[float | None], models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NPUSERVE_EMULATOR_DEVICES", "2")
    boards = [DeviceSample(device=number, power_watts=10.0 + number, utilization=0.5) for number in numbers]
    backend = AscendBackend([[str(LIBRARY)]], lambda: boards)
    await backend.describe(models / "tokens.om", ModelConfig())
    samples = await asyncio.to_thread(backend.device_samples)
    assert [(sample.device, sample.power_watts) for sample in samples] == list(enumerate(powers))
    await backend.close()


async def test_devices_are_told_of_while_they_serve_and_while_they_are_given_back(models: Path) -> None:
    backend = AscendBackend([[str(LIBRARY)]])
    executor = await loaded(backend, models / "tokens.om", config("tokens", 8))
    done = False

    def ask() -> int:
        asked = 0
        while not done:
            asked += len(backend.device_samples())
        return asked

    asking = [asyncio.create_task(asyncio.to_thread(ask)) for _ in range(2)]
    answers = await asyncio.gather(*(execute(executor, tokens(1, 8, seed), 1) for seed in range(200)))
    assert len(answers) == 200
    await executor.close()
    await backend.close()
    done = True
    assert all(await asyncio.gather(*asking))


async def test_a_lost_device_is_unhealthy_and_one_that_does_not_answer_is_logged_once(
    models: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("NPUSERVE_EMULATOR_DEVICES", "2")
    monkeypatch.setenv(
        "NPUSERVE_EMULATOR_FAULTS",
        ";".join(f"aclrtGetDeviceUtilizationRate:{nth}:507899" for nth in (1, 3, 7)),
    )
    backend = AscendBackend([[str(LIBRARY)]])
    await backend.describe(models / "tokens.om", ModelConfig())
    health = [[sample.is_healthy for sample in backend.device_samples()] for _ in range(4)]
    assert health == [[False, None], [False, None], [None, None], [False, None]]
    assert caplog.text.count("device 0 does not tell its state: aclrtGetDeviceUtilizationRate failed: 507899") == 2
    await backend.close()
