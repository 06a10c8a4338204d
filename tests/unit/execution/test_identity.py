"""The identity backend, from a config to answers."""

import asyncio
import ctypes
import gc
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from npuserve.core.dtype import Dtype
from npuserve.core.errors import ServeError
from npuserve.core.execution import ExecuteRequest
from npuserve.core.status import StatusCode
from npuserve.core.tensor import Tensor
from npuserve.execution.identity import IdentityBackend
from npuserve.observability.statistics import Failures
from npuserve.repository.loading import LoadedModel, ModelLoader
from npuserve.repository.scan import scan_repositories
from support.executions import execute

PAIR = """
    input { name: "a" data_type: TYPE_FP32 dims: [ 2, 2 ] } output { name: "x" data_type: TYPE_FP32 dims: [ 2, 2 ] }
    input { name: "b" data_type: TYPE_INT8 dims: 1 } output { name: "y" data_type: TYPE_INT8 dims: 1 }
"""
ONE = 'input { name: "a" data_type: TYPE_INT64 dims: 4 } output { name: "x" data_type: TYPE_INT64 dims: 4 } '


@pytest.fixture
async def backend() -> AsyncIterator[IdentityBackend]:
    backend = IdentityBackend()
    yield backend
    await backend.close()


async def load(backend: IdentityBackend, repository: Path, text: str) -> LoadedModel:
    """Load version 1 of a model that is a config and an empty folder."""
    (repository / "m" / "1").mkdir(parents=True, exist_ok=True)
    (repository / "m" / "config.pbtxt").write_text('backend: "identity" ' + text)
    (directory,) = scan_repositories([repository]).models.values()
    loader = ModelLoader({"identity": backend})
    return await loader.load(directory, 1, loader.read_config(directory))


def row(value: int) -> Tensor:
    return Tensor("a", Dtype.INT64, (1, 4), bytes([value]) * 32)


async def test_every_output_is_its_inputs_copy(backend: IdentityBackend, tmp_path: Path) -> None:
    loaded = await load(backend, tmp_path, PAIR + "max_batch_size: 4 dynamic_batching { }")
    inputs = [Tensor("a", Dtype.FP32, (3, 2, 2), bytes(range(48))), Tensor("b", Dtype.INT8, (3, 1), b"\x01\x02\x03")]
    answers = await execute(loaded.executor, inputs, 3)
    assert [(answer.name, answer.dtype, answer.shape, bytes(answer.data)) for answer in answers] == [
        ("x", Dtype.FP32, (3, 2, 2), bytes(range(48))),
        ("y", Dtype.INT8, (3, 1), b"\x01\x02\x03"),
    ]
    await loaded.executor.close()


async def test_without_a_batch_dimension_shapes_are_the_configs(backend: IdentityBackend, tmp_path: Path) -> None:
    loaded = await load(backend, tmp_path, ONE)
    assert loaded.signature.inputs[0].shape == (4,)
    (answer,) = await execute(loaded.executor, [Tensor("a", Dtype.INT64, (4,), bytes(range(32)))], 1)
    assert bytes(answer.data) == bytes(range(32))
    await loaded.executor.close()


async def test_a_reshape_is_what_the_model_sees(backend: IdentityBackend, tmp_path: Path) -> None:
    text = """
        max_batch_size: 2
        input { name: "a" data_type: TYPE_INT64 dims: 1 reshape { shape: [ ] } }
        output { name: "x" data_type: TYPE_INT64 dims: 1 reshape { shape: [ ] } }
    """
    loaded = await load(backend, tmp_path, text)
    assert loaded.signature.inputs[0].shape == (-1,)
    await loaded.executor.close()


async def test_a_timeout_or_priority_beyond_what_the_engine_counts_in_is_no_failure(
    backend: IdentityBackend, tmp_path: Path
) -> None:
    policy = "default_queue_policy { default_timeout_microseconds: 60000000 allow_timeout_override: true }"
    loaded = await load(backend, tmp_path, ONE + f"max_batch_size: 1 dynamic_batching {{ {policy} }}")
    for timeout in (2**63, 2**64 - 1):
        await loaded.executor.execute(ExecuteRequest(inputs=[row(1)], parameters={"timeout": timeout}))
    await loaded.executor.execute(ExecuteRequest(inputs=[row(1)], parameters={"priority": 2**64 - 1}))
    with pytest.raises(ServeError, match="invalid value for 'priority', expected value >= 0") as caught:
        await loaded.executor.execute(ExecuteRequest(inputs=[row(1)], parameters={"priority": -1}))
    assert caught.value.status is StatusCode.INVALID_ARGUMENT
    await loaded.executor.close()


async def test_requests_share_executions(backend: IdentityBackend, tmp_path: Path) -> None:
    text = ONE + "max_batch_size: 8 dynamic_batching { max_queue_delay_microseconds: 60000000 }"
    loaded = await load(backend, tmp_path, text)
    answers = await asyncio.gather(*(execute(loaded.executor, [row(value)], 1) for value in range(16)))
    assert [bytes(answer.data)[0] for (answer,) in answers] == list(range(16))
    statistics = loaded.executor.statistics()
    assert (statistics.success.count, statistics.inference_count) == (16, 16)
    assert [(batch.batch_size, batch.compute_infer.count) for batch in statistics.batches] == [(8, 2)]
    await loaded.executor.close()


async def test_outputs_go_to_their_destinations_and_nowhere_else(backend: IdentityBackend, tmp_path: Path) -> None:
    loaded = await load(backend, tmp_path, PAIR + "max_batch_size: 4")
    inputs = [Tensor("a", Dtype.FP32, (1, 2, 2), bytes(range(16))), Tensor("b", Dtype.INT8, (1, 1), b"\x07")]
    region = bytearray(20)
    request = ExecuteRequest(inputs=inputs, destinations={"x": memoryview(region)[:18]})
    result = await loaded.executor.execute(request)
    assert [(output.shape, bytes(output.data)) for output in result.outputs] == [((1, 2, 2), b""), ((1, 1), b"\x07")]
    assert bytes(region) == bytes(range(16)) + bytes(4)
    await loaded.executor.close()


@pytest.mark.parametrize("delay_ms", ["0", "1"])
async def test_an_output_may_lie_over_its_input(backend: IdentityBackend, tmp_path: Path, delay_ms: str) -> None:
    delay = f'parameters {{ key: "execute_delay_ms" value {{ string_value: "{delay_ms}" }} }}'
    loaded = await load(backend, tmp_path, ONE + "max_batch_size: 1 " + delay)
    region = bytearray(range(40))
    tensor = Tensor("a", Dtype.INT64, (1, 4), memoryview(region)[:32])
    await loaded.executor.execute(ExecuteRequest(inputs=[tensor], destinations={"x": memoryview(region)[8:]}))
    assert bytes(region) == bytes(range(8)) + bytes(range(32))
    await loaded.executor.close()


async def test_a_destination_that_is_too_small_is_refused_untouched(backend: IdentityBackend, tmp_path: Path) -> None:
    loaded = await load(backend, tmp_path, PAIR + "max_batch_size: 4")
    inputs = [Tensor("a", Dtype.FP32, (2, 2, 2), bytes(range(32))), Tensor("b", Dtype.INT8, (2, 1), b"\x07\x08")]
    first, second = bytearray(32), bytearray(1)
    destinations = {"x": memoryview(first), "y": memoryview(second)}
    with pytest.raises(ServeError) as caught:
        await loaded.executor.execute(ExecuteRequest(inputs=inputs, rows=2, destinations=destinations))
    assert caught.value.status is StatusCode.INTERNAL
    assert caught.value.message == (
        "shared memory size specified with the request for output 'y' (1 bytes) should be at least 2 bytes "
        "to hold the results"
    )
    assert first == bytes(32)
    assert loaded.executor.statistics().failures == Failures(other=1)
    await loaded.executor.close()


async def test_memory_that_cannot_be_written_is_no_destination(backend: IdentityBackend, tmp_path: Path) -> None:
    loaded = await load(backend, tmp_path, ONE + "max_batch_size: 1")
    request = ExecuteRequest(inputs=[row(1)], destinations={"x": memoryview(bytes(32))})
    with pytest.raises(BufferError):
        await loaded.executor.execute(request)
    await loaded.executor.close()


@pytest.mark.parametrize("delay_ms", ["0", "1"])
async def test_a_result_says_when_its_stages_were(backend: IdentityBackend, tmp_path: Path, delay_ms: str) -> None:
    delay = f'parameters {{ key: "execute_delay_ms" value {{ string_value: "{delay_ms}" }} }}'
    loaded = await load(backend, tmp_path, ONE + "max_batch_size: 4 " + delay)
    before_ns = time.monotonic_ns()
    for number in (1, 2):
        request = ExecuteRequest(inputs=[Tensor("a", Dtype.INT64, (3, 4), bytes(96))], rows=3)
        timing = (await loaded.executor.execute(request)).timing
        assert timing is not None
        assert (timing.batch_id, timing.gear, timing.batch_rows) == (number, 2, 3)
        assert (timing.h2d_end_ns, timing.execute_end_ns) == (0, 0)
        instants = [before_ns, timing.arrival_ns, timing.start_ns, timing.gathered_ns, timing.d2h_end_ns]
        instants += [timing.scattered_ns, time.monotonic_ns()]
        assert instants == sorted(instants)
    statistics = loaded.executor.statistics()
    assert (statistics.inference_count, statistics.padded_rows, statistics.pending) == (6, 2, 0)
    await loaded.executor.close()


async def test_refusals_and_cancellations_are_counted_by_their_reasons(
    backend: IdentityBackend, tmp_path: Path
) -> None:
    text = ONE + "max_batch_size: 8 dynamic_batching { max_queue_delay_microseconds: 60000000 "
    loaded = await load(backend, tmp_path, text + "default_queue_policy { max_queue_size: 1 } }")
    queued = asyncio.create_task(execute(loaded.executor, [row(1)], 1))
    await asyncio.sleep(0)
    with pytest.raises(ServeError, match="Exceeds maximum queue size"):
        await execute(loaded.executor, [row(2)], 1)
    assert loaded.executor.statistics().pending == 1
    queued.cancel()
    await asyncio.wait([queued])
    statistics = loaded.executor.statistics()
    assert statistics.failures == Failures(rejected=1, cancelled=1)
    assert (statistics.fail.count, statistics.pending) == (1, 0)
    await loaded.executor.close()


async def test_a_request_that_waits_for_the_device_is_cancelled_at_once(
    backend: IdentityBackend, tmp_path: Path
) -> None:
    text = ONE + 'max_batch_size: 1 parameters { key: "execute_delay_ms" value { string_value: "1000" } }'
    loaded = await load(backend, tmp_path, text)
    # Two slots take two of them; the third waits in the queue.
    tasks = [asyncio.create_task(execute(loaded.executor, [row(value)], 1)) for value in range(3)]
    await asyncio.sleep(0)
    tasks[2].cancel()
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    assert tasks[2] in done
    await asyncio.wait(tasks)
    statistics = loaded.executor.statistics()
    assert (statistics.success.count, statistics.fail.count, statistics.execution_count) == (2, 1, 2)
    await loaded.executor.close()


async def test_there_are_as_many_instances_as_the_group_says(backend: IdentityBackend, tmp_path: Path) -> None:
    text = ONE + 'max_batch_size: 1 instance_group { count: 2 } parameters { key: "execute_delay_ms" value { '
    loaded = await load(backend, tmp_path, text + 'string_value: "1000" } }')
    await asyncio.gather(*(execute(loaded.executor, [row(value)], 1) for value in range(2)))
    statistics = loaded.executor.statistics()
    # With one instance the second request would wait for the whole execution of the first.
    assert statistics.execution_count == 2
    assert statistics.queue.ns < 1_000_000_000
    await loaded.executor.close()


async def test_statistics_can_be_switched_off(backend: IdentityBackend, tmp_path: Path) -> None:
    text = ONE + 'max_batch_size: 1 parameters { key: "statistics" value { string_value: "%s" } }'
    loaded = await load(backend, tmp_path, text % "off")
    await execute(loaded.executor, [row(1)], 1)
    statistics = loaded.executor.statistics()
    assert (statistics.success.count, statistics.execution_count, statistics.last_inference_ms) == (0, 0, 0)
    await loaded.executor.close()
    loaded = await load(backend, tmp_path, text % "on")
    await execute(loaded.executor, [row(1)], 1)
    assert loaded.executor.statistics().success.count == 1
    await loaded.executor.close()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "needs an output for each input in the config, got 0 inputs and 0 outputs"),
        (ONE + 'output { name: "y" data_type: TYPE_FP32 dims: 4 }', "got 1 inputs and 2 outputs"),
        (
            'input { name: "a" data_type: TYPE_FP32 dims: 4 } output { name: "x" data_type: TYPE_FP32 dims: 5 }',
            "output 'x' must have the data type and the shape of input 'a', TYPE_FP32 [4]",
        ),
        (
            'input { name: "a" data_type: TYPE_FP32 dims: 4 } output { name: "x" data_type: TYPE_INT32 dims: 4 }',
            "output 'x' must have the data type and the shape of input 'a', TYPE_FP32 [4]",
        ),
        (
            'input { name: "a" data_type: TYPE_FP32 dims: -1 } output { name: "x" data_type: TYPE_FP32 dims: -1 }',
            "model 'm': input 'a': dimensions must be fixed, got [-1]",
        ),
        (
            'input { name: "a" data_type: TYPE_STRING dims: 1 } output { name: "x" data_type: TYPE_STRING dims: 1 }',
            "model 'm': input 'a': elements of BYTES have no fixed size",
        ),
        (
            ONE + "instance_group { kind: KIND_GPU }",
            "instance group m_0 of model m has kind KIND_GPU but no GPUs are available",
        ),
        (ONE + "instance_group { passive: true }", "model 'm' has no instance that takes requests"),
        (
            ONE + 'parameters { key: "execute_delay_ms" value { string_value: "soon" } }',
            "model 'm': parameter 'execute_delay_ms' must be a number in 0 to 3600000, got 'soon'",
        ),
        (ONE + 'parameters { key: "execute_delay_ms" value { string_value: "-1" } }', "got '-1'"),
        (
            ONE + 'parameters { key: "statistics" value { string_value: "no" } }',
            "model 'm': parameter 'statistics' must be 'on' or 'off', got 'no'",
        ),
        (
            'max_batch_size: 2147483647 input { name: "a" data_type: TYPE_FP64 dims: [ 2147483647, 8 ] } '
            'output { name: "x" data_type: TYPE_FP64 dims: [ 2147483647, 8 ] }',
            "failed to load 'm': ",
        ),
    ],
)
async def test_what_is_no_identity_model_is_refused(
    backend: IdentityBackend, tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(ServeError) as caught:
        await load(backend, tmp_path, text)
    assert caught.value.status is StatusCode.INVALID_ARGUMENT
    assert message in caught.value.message


async def test_slots_that_do_not_fit_in_memory_are_said_to(backend: IdentityBackend, tmp_path: Path) -> None:
    text = (
        'input { name: "a" data_type: TYPE_INT8 dims: [ 1073741824, 65536, 1024 ] } '
        'output { name: "x" data_type: TYPE_INT8 dims: [ 1073741824, 65536, 1024 ] } '
        'parameters { key: "execute_delay_ms" value { string_value: "1" } }'
    )
    with pytest.raises(ServeError, match="not enough memory for its slots") as caught:
        await load(backend, tmp_path, text)
    assert caught.value.status is StatusCode.UNAVAILABLE


async def test_a_version_needs_its_folder(backend: IdentityBackend, tmp_path: Path) -> None:
    loaded = await load(backend, tmp_path, ONE)
    await loaded.executor.close()
    (directory,) = scan_repositories([tmp_path]).models.values()
    loader = ModelLoader({"identity": backend})
    with pytest.raises(ServeError, match=r"unable to find '.*m/2' for model 'm'"):
        await loader.load(directory, 2, loader.read_config(directory))


def is_sink(capsule: object) -> bool:
    is_valid = ctypes.pythonapi.PyCapsule_IsValid
    is_valid.argtypes = [ctypes.py_object, ctypes.c_char_p]
    return bool(is_valid(capsule, b"npuserve.core.Sink"))


async def test_a_sink_outlives_its_executor(backend: IdentityBackend, tmp_path: Path) -> None:
    loaded = await load(backend, tmp_path, ONE + "max_batch_size: 1")
    executor = loaded.executor
    sink = executor.sink
    assert is_sink(sink)
    assert executor.sink is not sink
    await executor.close()
    with pytest.raises(ServeError, match="Server is stopping") as caught:
        await execute(executor, [row(1)], 1)
    assert caught.value.status is StatusCode.UNAVAILABLE
    del executor, loaded
    gc.collect()
    assert is_sink(sink)
