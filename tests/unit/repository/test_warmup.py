"""model_warmup: what the samples become, and how a failing one fails the load. Texts are those seen of Triton 2.51."""

from pathlib import Path

import numpy as np
import pytest
from npuserve.core.errors import ServeError
from npuserve.core.execution import ExecuteRequest
from npuserve.repository.loading import LoadedModel, ModelLoader
from npuserve.repository.scan import scan_repositories
from support.repositories import CopyBackend, RecordingExecutor, add_copy_model

INPUT = "data_type: TYPE_FP32 dims: [ 4 ]"


def sample(value: str = f"{INPUT} zero_data: true", rest: str = "batch_size: 2", name: str = "x") -> str:
    return f'model_warmup {{ name: "s" {rest} inputs {{ key: "{name}" value {{ {value} }} }} }}'


async def load(repository: Path, rest: str) -> LoadedModel:
    add_copy_model(repository, "m", rest)
    (directory,) = scan_repositories([repository]).models.values()
    loader = ModelLoader({"copy": CopyBackend()})
    return await loader.load(directory, 1, loader.read_config(directory))


async def seen(repository: Path, rest: str) -> list[ExecuteRequest]:
    executor = (await load(repository, rest)).executor
    assert isinstance(executor, RecordingExecutor)
    return executor.seen


async def test_a_version_has_run_its_samples_before_it_is_loaded(tmp_path: Path) -> None:
    (request,) = await seen(tmp_path, sample())
    (tensor,) = request.inputs
    assert (request.rows, tensor.name, tensor.shape, bytes(tensor.data)) == (2, "x", (2, 4), bytes(32))


@pytest.mark.parametrize(
    ("rest", "expected"),
    [("", 1), ("count: 3", 3), ("count: 0", 1)],
)
async def test_a_sample_runs_as_often_as_it_says(tmp_path: Path, rest: str, expected: int) -> None:
    assert len(await seen(tmp_path, sample(rest=rest))) == expected


async def test_a_sample_runs_once_for_each_instance(tmp_path: Path) -> None:
    assert len(await seen(tmp_path, "instance_group { count: 3 } " + sample())) == 3


async def test_random_numbers_are_such_as_a_model_can_take(tmp_path: Path) -> None:
    (request,) = await seen(tmp_path, sample(f"{INPUT} random_data: true"))
    numbers = np.frombuffer(request.inputs[0].data, np.float32)
    assert numbers.shape == (8,) and len(set(numbers)) == 8 and np.all((numbers >= 0) & (numbers < 1))


async def test_a_files_bytes_are_taken_from_the_front(tmp_path: Path) -> None:
    (tmp_path / "m" / "warmup").mkdir(parents=True)
    (tmp_path / "m" / "warmup" / "row").write_bytes(bytes(range(40)))
    (request,) = await seen(tmp_path, sample(f'{INPUT} input_data_file: "row"'))
    assert bytes(request.inputs[0].data) == bytes(range(32))


@pytest.mark.parametrize(
    ("warmup", "expected"),
    [
        (
            sample(rest="batch_size: 9"),
            "INVALID_ARGUMENT: failed to run warmup sample 's': batch size 9 for 'm_0', max allowed is 4; ",
        ),
        (
            sample(rest="batch_size: 3"),
            "INVALID_ARGUMENT: failed to run warmup sample 's': three rows are too many; ",
        ),
        (
            sample("data_type: TYPE_FP32 dims: [ -1 ] zero_data: true"),
            "INVALID_ARGUMENT: warmup setting expects all variable-size dimensions are specified for input 'x'",
        ),
        (
            sample(name="nope"),
            "INVALID_ARGUMENT: [request id: <id_unknown>] expected 1 inputs but got 0 inputs for model 'm'. Got "
            "input(s) [], but missing required input(s) ['x']. Please provide all required input(s).",
        ),
        (
            sample(INPUT),
            "INVALID_ARGUMENT: [request id: <id_unknown>] warmup setting expects input 'x' to have input_data_type set",
        ),
        (
            sample("data_type: TYPE_INT32 dims: [ 4 ] zero_data: true"),
            "INVALID_ARGUMENT: [request id: <id_unknown>] inference input 'x' data-type is 'INT32', but model 'm' "
            "expects 'FP32'",
        ),
        (
            sample("data_type: TYPE_FP32 dims: [ 5 ] zero_data: true"),
            "INVALID_ARGUMENT: [request id: <id_unknown>] unexpected shape for input 'x' for model 'm'. Expected [4], "
            "got [5]. ",
        ),
        (
            sample(f'{INPUT} input_data_file: "short"'),
            "INVALID_ARGUMENT: [request id: <id_unknown>] warmup setting expects 32 bytes, but the data provided from "
            "shortonly has 3 bytes",
        ),
    ],
)
async def test_a_sample_that_cannot_run_fails_the_load(tmp_path: Path, warmup: str, expected: str) -> None:
    (tmp_path / "m" / "warmup").mkdir(parents=True)
    (tmp_path / "m" / "warmup" / "short").write_text("abc")
    with pytest.raises(ServeError) as caught:
        await load(tmp_path, warmup)
    assert f"{caught.value.status.name}: {caught.value.message}" == expected


async def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ServeError) as caught:
        await load(tmp_path, sample(f'{INPUT} input_data_file: "nofile"'))
    path = tmp_path / "m" / "warmup" / "nofile"
    assert caught.value.message == f"failed to open text file for read {path}: No such file or directory"


async def test_what_fails_to_warm_up_is_closed(tmp_path: Path) -> None:
    add_copy_model(tmp_path, "m", sample(rest="batch_size: 3"))
    (directory,) = scan_repositories([tmp_path]).models.values()
    backend = CopyBackend()
    loader = ModelLoader({"copy": backend})
    with pytest.raises(ServeError):
        await loader.load(directory, 1, loader.read_config(directory))
    assert [executor.close_calls for executor in backend.executors] == [1]
