"""Sequences with states that the server keeps, of an ONNX model on a real server, and clients that leave midway."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import grpc.aio
import numpy as np
import onnx
import pytest
import tritonclient.grpc.aio
from google.protobuf.json_format import MessageToJson
from onnx import TensorProto, helper
from support.models import graph_input, onnx_model
from support.server import Server, serving
from tritonclient.utils import InferenceServerException

# SUM = X + SUM_IN, and ALL = everything so far, which grows.
MODEL = onnx_model(
    [
        helper.make_node("Add", ["X", "SUM_IN"], ["SUM"]),
        helper.make_node("Identity", ["SUM"], ["SUM_OUT"]),
        helper.make_node("Concat", ["ALL_IN", "X"], ["ALL"], axis=1),
    ],
    [graph_input(name, TensorProto.FLOAT, ["n", size]) for name, size in (("X", 1), ("SUM_IN", 1), ("ALL_IN", "k"))],
    [graph_input(name, TensorProto.FLOAT, ["n", size]) for name, size in (("SUM", 1), ("SUM_OUT", 1), ("ALL", "l"))],
)
CONFIG = """
backend: "onnxruntime" max_batch_size: 4
input { name: "X" data_type: TYPE_FP32 dims: [ 1 ] }
output [ { name: "SUM" data_type: TYPE_FP32 dims: [ 1 ] }, { name: "ALL" data_type: TYPE_FP32 dims: [ -1 ] } ]
instance_group { count: 2 kind: KIND_CPU }
sequence_batching {
  max_sequence_idle_microseconds: IDLE
  STRATEGY
  state { input_name: "SUM_IN" output_name: "SUM_OUT" data_type: TYPE_FP32 dims: [ 1 ] }
  state { input_name: "ALL_IN" output_name: "ALL" data_type: TYPE_FP32 dims: [ -1 ] }
}
"""
STRATEGIES = {
    "direct": "direct { }",
    "oldest": "oldest { max_candidate_sequences: 4 max_queue_delay_microseconds: 2000 }",
}
HOUR_US = 3_600_000_000
PLAIN = """
backend: "BACKEND" max_batch_size: 4
input { name: "X" data_type: TYPE_FP32 dims: [ 1 ] }
output { name: "Y" data_type: TYPE_FP32 dims: [ 1 ] }
"""
ENSEMBLE = """
platform: "ensemble" max_batch_size: 4
input { name: "X" data_type: TYPE_FP32 dims: [ 1 ] }
output { name: "OUT" data_type: TYPE_FP32 dims: [ 1 ] }
ensemble_scheduling { step {
  model_name: "STEP" model_version: -1
  input_map { key: "X" value: "X" } output_map { key: "RESULT" value: "OUT" } } }
"""
SEES_SEQUENCE = """
import triton_python_backend_utils as pb

class TritonPythonModel:
    def execute(self, requests):
        return [self.answer(request) for request in requests]

    def answer(self, request):
        zero = pb.get_input_tensor_by_name(request, "X").as_numpy() * 0
        return pb.InferenceResponse([pb.Tensor("Y", zero + request.correlation_id())])
"""


def add_model(repository: Path, name: str, strategy: str, idle_us: int = HOUR_US) -> None:
    folder = repository / name
    (folder / "1").mkdir(parents=True)
    onnx.save(MODEL, str(folder / "1" / "model.onnx"))
    (folder / "config.pbtxt").write_text(CONFIG.replace("STRATEGY", strategy).replace("IDLE", str(idle_us)))


def add_plain_models(repository: Path) -> None:
    """Models without `sequence_batching`: an ONNX one, a Python one, and ensembles of one of them and of `direct`."""
    for backend in ("onnxruntime", "python"):
        version = repository / backend / "1"
        version.mkdir(parents=True)
        (repository / backend / "config.pbtxt").write_text(PLAIN.replace("BACKEND", backend))
    copy = helper.make_node("Identity", ["X"], ["Y"])
    x, y = (graph_input(name, TensorProto.FLOAT, ["n", 1]) for name in ("X", "Y"))
    onnx.save(onnx_model([copy], [x], [y]), str(repository / "onnxruntime" / "1" / "model.onnx"))
    (repository / "python" / "1" / "model.py").write_text(SEES_SEQUENCE)
    for name, step, output in (("of_plain", "onnxruntime", "Y"), ("of_direct", "direct", "SUM")):
        (repository / name / "1").mkdir(parents=True)
        config = ENSEMBLE.replace("STEP", step).replace("RESULT", output)
        (repository / name / "config.pbtxt").write_text(config)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    repository = tmp_path_factory.mktemp("sequences")
    for name, strategy in STRATEGIES.items():
        add_model(repository, name, strategy)
    add_model(repository, "brief", "direct { }", idle_us=1000)
    add_plain_models(repository)
    flags = ("--model-control-mode=explicit", "--load-model=*", "--allow-metrics=false", "--allow-http=false")
    with serving(repository, *flags) as server:
        yield server


@pytest.fixture
async def client(server: Server) -> AsyncIterator[Any]:
    async with tritonclient.grpc.aio.InferenceServerClient(server.url) as client:
        yield client


async def step(client: Any, model: str, sequence: int | str, value: int, count: int = 0) -> tuple[float, list[float]]:
    """Ask for the step `value` of `count`, from 1; both ends are told."""
    given = tritonclient.grpc.InferInput("X", [1, 1], "FP32")
    given.set_data_from_numpy(np.array([[value]], np.float32))
    ends = {"sequence_start": value == 1, "sequence_end": value == count}
    answer = await client.infer(model, [given], sequence_id=sequence, **ends)
    return float(answer.as_numpy("SUM")[0, 0]), answer.as_numpy("ALL")[0].tolist()


async def whole(client: Any, model: str, sequence: int | str, count: int) -> None:
    """Go through a sequence of 1, 2, ..., count, and check every answer."""
    for value in range(1, count + 1):
        total, everything = await step(client, model, sequence, value, count)
        assert (total, everything) == (value * (value + 1) / 2, [0.0, *map(float, range(1, value + 1))])


@pytest.mark.parametrize("model", STRATEGIES)
async def test_many_sequences_of_different_lengths_keep_their_own_states(client: Any, model: str) -> None:
    await asyncio.gather(*(whole(client, model, sequence, 1 + sequence % 7) for sequence in range(1, 41)))


@pytest.mark.parametrize("model", STRATEGIES)
async def test_clients_that_leave_midway_take_no_slot_and_no_sequence_with_them(client: Any, model: str) -> None:
    async def leave(sequence: int) -> None:
        with pytest.raises((asyncio.CancelledError, grpc.aio.AioRpcError, InferenceServerException)):
            request = asyncio.create_task(step(client, model, sequence, 1))
            await asyncio.sleep(0)
            request.cancel()
            await request
        with pytest.raises(InferenceServerException, match=r"must specify the START flag|CANCELLED|^\[StatusCode"):
            await step(client, model, sequence, 2, 2)

    await asyncio.gather(
        *(leave(sequence) for sequence in range(1000, 1040)),
        *(whole(client, model, f"text {sequence}", 5) for sequence in range(20)),
    )


async def test_sequences_that_are_left_open_end_when_idle_and_make_room(client: Any) -> None:
    for sequence in range(1, 31):
        assert await step(client, "brief", sequence, 1) == (1.0, [0.0, 1.0])


async def alone(client: Any, model: str, output: str, **ends: Any) -> float:
    """Ask a model for one value, and return its answer."""
    given = tritonclient.grpc.InferInput("X", [1, 1], "FP32")
    given.set_data_from_numpy(np.array([[5]], np.float32))
    answer = await client.infer(model, [given], **ends)
    return float(answer.as_numpy(output)[0, 0])


@pytest.mark.parametrize(("model", "output"), [("onnxruntime", "Y"), ("of_plain", "OUT")])
@pytest.mark.parametrize("sequence", [7, "seven"])
async def test_a_sequence_is_refused_where_nothing_would_be_kept_for_it(
    client: Any, model: str, output: str, sequence: int | str
) -> None:
    with pytest.raises(InferenceServerException) as refused:
        await alone(client, model, output, sequence_id=sequence, sequence_start=True)
    assert refused.value.status() == "StatusCode.INVALID_ARGUMENT"
    assert refused.value.message() == (
        f"[request id: <id_unknown>] sequence_id {sequence!r} was given, but model '{model}' has no "
        "sequence_batching; leave it out, or configure sequence_batching"
    )
    assert await alone(client, model, output, sequence_id=0) == 5


async def test_a_python_model_may_read_the_sequence(client: Any) -> None:
    assert await alone(client, "python", "Y", sequence_id=7, sequence_start=True) == 7


async def test_an_ensemble_hands_the_sequence_to_its_step(client: Any) -> None:
    assert await alone(client, "of_direct", "OUT", sequence_id=3000, sequence_start=True) == 5
    assert await alone(client, "of_direct", "OUT", sequence_id=3000, sequence_end=True) == 10


async def test_a_reload_does_not_wait_for_open_sequences_and_ends_them(server: Server, client: Any) -> None:
    for sequence in range(1, 9):
        await step(client, "direct", sequence, 1)
    answer = await client.get_model_config("direct")
    await client.load_model("direct", config=MessageToJson(answer.config))
    server.wait_for_line("successfully unloaded 'direct' version 1")
    with pytest.raises(InferenceServerException, match="must specify the START flag"):
        await step(client, "direct", 1, 2)
    await whole(client, "direct", 1, 3)


def test_no_error_is_left_in_the_log(server: Server) -> None:
    assert [line for line in server.lines if line.startswith("E") or "Traceback" in line] == []
