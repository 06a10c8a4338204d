"""ONNX models of a real server by Triton's client: those that the native engine runs, and beside them those of Python.

The witness of the numbers is ONNX Runtime's own package.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import tritonclient.grpc.aio
from onnx import TensorProto, helper
from support.models import Array, graph_input, onnx_model, tokens
from support.server import Server, serving
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

MASKED = """
backend: "onnxruntime" max_batch_size: 8
input { name: "input_ids" data_type: TYPE_INT64 dims: -1 }
input { name: "attention_mask" data_type: TYPE_INT64 dims: -1 }
output { name: "logits" data_type: TYPE_FP32 dims: [ -1, 3 ] }
instance_group { count: 1 kind: KIND_CPU }
dynamic_batching { }
"""
NO_BUCKETS = 'parameters { key: "buckets" value { string_value: "off" } }'
GEARS = 'parameters { key: "gears" value { string_value: "%s" } }'
TABLE = onnx_model(
    [helper.make_node("Gather", ["table", "x"], ["y"])],
    [graph_input("x", TensorProto.INT64, ["n", 1])],
    [graph_input("y", TensorProto.FLOAT, ["n", 1])],
    {"table": np.array([1, 2, 3], np.float32)},
)
CONFIGS = {
    "native": (tokens(), MASKED),
    "python": (tokens(), MASKED + NO_BUCKETS),
    "listed": (tokens(), MASKED + GEARS % "1-8 x 8,16"),
    "wrong": (tokens(), MASKED + GEARS % "1-4 x 8,16"),
    "table": (TABLE, ""),
}


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("onnx")
    for name, (model, config) in CONFIGS.items():
        (folder / name / "1").mkdir(parents=True)
        onnx.save(model, str(folder / name / "1" / "model.onnx"))
        if config:
            (folder / name / "config.pbtxt").write_text(config)
    return folder


@pytest.fixture(scope="module")
def server(repository: Path) -> Iterator[Server]:
    flags = [f"--load-model={name}" for name in CONFIGS if name != "wrong"]
    with serving(repository, "--model-control-mode=explicit", *flags, "--allow-metrics=false") as server:
        yield server


@pytest.fixture
async def client(server: Server) -> AsyncIterator[Any]:
    async with tritonclient.grpc.aio.InferenceServerClient(server.url) as client:
        yield client


def given(**arrays: Array) -> list[Any]:
    inputs = []
    for name, array in arrays.items():
        inputs.append(tritonclient.grpc.InferInput(name, array.shape, np_to_triton_dtype(array.dtype)))
        inputs[-1].set_data_from_numpy(array)
    return inputs


def texts(length: int, rows: int) -> dict[str, Array]:
    ids = np.arange(1, rows * length + 1, dtype=np.int64).reshape(rows, length)
    return {"input_ids": ids, "attention_mask": (ids % 3 > 0).astype(np.int64)}


@pytest.mark.parametrize("model", ["native", "python", "listed"])
async def test_texts_of_many_lengths_are_answered_as_onnx_runtime_alone_does(
    client: Any, repository: Path, model: str
) -> None:
    session = onnxruntime.InferenceSession(
        str(repository / model / "1" / "model.onnx"), providers=["CPUExecutionProvider"]
    )
    requests = [texts(length, rows) for length in (1, 5, 8, 11, 16) for rows in (1, 3, 8)]
    results = await asyncio.gather(*(client.infer(model, given(**request)) for request in requests))
    for request, result in zip(requests, results, strict=True):
        (expected,) = session.run(None, request)
        assert np.array_equal(result.as_numpy("logits"), expected)


async def test_texts_of_different_lengths_share_executions(client: Any) -> None:
    async def counted() -> tuple[int, int]:
        statistics = (await client.get_inference_statistics("native")).model_stats[0]
        return statistics.execution_count, statistics.inference_count

    executions, rows = await counted()
    await asyncio.gather(*(client.infer("native", given(**texts(1 + i % 16, 1))) for i in range(200)))
    executions_now, rows_now = await counted()
    assert rows_now - rows == 200
    assert executions_now - executions < 200


async def test_a_length_beyond_the_listed_gears_is_refused(client: Any) -> None:
    with pytest.raises(InferenceServerException) as caught:
        await client.infer("listed", given(**texts(17, 1)))
    assert caught.value.status() == "StatusCode.INVALID_ARGUMENT"


async def test_gears_that_cannot_be_fail_the_load_and_say_what_would_be_right(client: Any) -> None:
    with pytest.raises(InferenceServerException) as caught:
        await client.load_model("wrong")
    assert "has at most 4 rows, but max_batch_size is 8: add 8 rows, or lower max_batch_size" in caught.value.message()


async def test_a_run_that_fails_has_onnx_runtimes_words_and_leaves_the_model_well(client: Any) -> None:
    with pytest.raises(InferenceServerException) as caught:
        await client.infer("table", given(x=np.array([[9]], np.int64)))
    assert caught.value.status() == "StatusCode.INTERNAL"
    assert "onnx runtime error 2: " in caught.value.message() and "out of data bounds" in caught.value.message()
    result = await client.infer("table", given(x=np.array([[2]], np.int64)))
    assert result.as_numpy("y").tolist() == [[3.0]]
