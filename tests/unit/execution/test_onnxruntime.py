"""ONNX models on the CPU that Python runs, from files to answers: those without gears."""

import asyncio
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from npuserve._proto.model_config_pb2 import ModelConfig
from npuserve.config.complete import complete_model_config
from npuserve.config.contradiction import check_against_signature
from npuserve.core.dtype import Dtype
from npuserve.core.elements import join_elements, split_elements
from npuserve.core.errors import ServeError
from npuserve.core.execution import ExecuteRequest, ExecuteResult
from npuserve.core.signature import TensorSpec
from npuserve.core.status import StatusCode
from npuserve.core.tensor import Tensor
from npuserve.execution.onnxruntime import OnnxRuntimeBackend
from npuserve.execution.scheduling import ScheduledExecutor
from onnx import TensorProto, helper
from support.ensembles import parse
from support.models import Array, add_mul, expected_tokens, graph_input, onnx_model, tokens

HEAD = 'name: "m" backend: "onnxruntime" '
# Each request waits so long for others that a batch forms, however slow the machine; a full batch goes at once.
PATIENT = "dynamic_batching { max_queue_delay_microseconds: 20000000 preferred_batch_size: 4 }"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "1").mkdir()
    return tmp_path / "1"


@pytest.fixture
async def opened() -> AsyncIterator[list[ScheduledExecutor]]:
    """Executors that are closed at the end."""
    executors: list[ScheduledExecutor] = []
    yield executors
    for executor in executors:
        await executor.close()


async def load(
    opened: list[ScheduledExecutor], path: Path, model: onnx.ModelProto | None, text: str = ""
) -> tuple[ScheduledExecutor, ModelConfig]:
    """Load as the repository does."""
    if model is not None:
        onnx.save(model, str(path))
    backend, config = OnnxRuntimeBackend(), parse(HEAD + text)
    signature = await backend.describe(path, config)
    complete = complete_model_config(config, signature, device_count=await backend.device_count())
    check_against_signature(complete, signature)
    executor = await backend.load(path, complete, signature)
    assert isinstance(executor, ScheduledExecutor)
    opened.append(executor)
    return executor, complete


def tensor(name: str, array: Array) -> Tensor:
    return Tensor(name, next(dtype for dtype in Dtype if dtype.numpy == array.dtype), array.shape, array.tobytes())


def array(result: ExecuteResult, index: int = 0) -> Array:
    output = result.outputs[index]
    return np.frombuffer(output.data, output.dtype.numpy).reshape(output.shape)


def pair(rows: int, start: int = 0) -> list[Tensor]:
    a = np.arange(start, start + rows * 4, dtype=np.float32).reshape(rows, 4)
    return [tensor("a", a), tensor("b", a + 1)]


def echo(dtype: int) -> onnx.ModelProto:
    return onnx_model(
        [helper.make_node("Identity", ["x"], ["y"])],
        [graph_input("x", dtype, ["n", 2])],
        [graph_input("y", dtype, ["n", 2])],
    )


async def test_the_signature_is_the_files_with_symbolic_dimensions_as_variable(folder: Path) -> None:
    onnx.save(tokens(), str(folder / "model.onnx"))
    signature = await OnnxRuntimeBackend().describe(folder / "model.onnx", parse(HEAD))
    assert signature.inputs == (
        TensorSpec("input_ids", Dtype.INT64, (-1, -1)),
        TensorSpec("attention_mask", Dtype.INT64, (-1, -1)),
    )
    assert signature.outputs == (TensorSpec("logits", Dtype.FP32, (-1, -1, 3)),)
    assert signature.gears == ()


async def test_an_empty_config_is_completed_and_serves(opened: list[ScheduledExecutor], folder: Path) -> None:
    executor, config = await load(opened, folder / "model.onnx", tokens())
    assert config.max_batch_size == 4 and config.HasField("dynamic_batching")
    assert [group.count for group in config.instance_group] == [2]
    ids = np.array([[1, 2, 3], [4, 5, 0]], np.int64)
    mask = np.array([[1, 1, 1], [1, 1, 0]], np.int64)
    result = await executor.execute(
        ExecuteRequest(inputs=[tensor("input_ids", ids), tensor("attention_mask", mask)], rows=2)
    )
    assert np.array_equal(array(result), expected_tokens(ids, mask))
    assert result.outputs[0].shape == (2, 3, 3)


async def test_requests_share_an_execution_and_get_their_own_rows(
    opened: list[ScheduledExecutor], folder: Path
) -> None:
    executor, _ = await load(opened, folder / "model.onnx", add_mul(), "max_batch_size: 4 " + PATIENT)
    results = await asyncio.gather(
        executor.execute(ExecuteRequest(inputs=pair(1), rows=1)),
        executor.execute(ExecuteRequest(inputs=pair(2, 10), rows=2)),
        executor.execute(ExecuteRequest(inputs=pair(1, 20), rows=1)),
    )
    for result, start, rows in zip(results, (0, 10, 20), (1, 2, 1), strict=True):
        a = np.arange(start, start + rows * 4, dtype=np.float32).reshape(rows, 4)
        assert np.array_equal(array(result), a + (a + 1))
        assert np.array_equal(array(result, 1), a * (a + 1))
    counted = executor.statistics()
    assert (counted.execution_count, counted.inference_count, counted.success.count) == (1, 4, 3)
    assert counted.compute_input.ns > 0 and counted.compute_infer.ns > 0


async def test_only_outputs_that_are_asked_for_are_computed(opened: list[ScheduledExecutor], folder: Path) -> None:
    executor, _ = await load(opened, folder / "model.onnx", add_mul())
    result = await executor.execute(ExecuteRequest(inputs=pair(1), outputs=("product",)))
    assert [output.name for output in result.outputs] == ["product"]


@pytest.mark.parametrize("dtype", [dtype for dtype in Dtype if dtype not in (Dtype.BYTES, Dtype.BF16)])
async def test_every_dtype_goes_in_and_comes_out(opened: list[ScheduledExecutor], folder: Path, dtype: Dtype) -> None:
    onnx_type = helper.np_dtype_to_tensor_dtype(dtype.numpy)
    executor, _ = await load(opened, folder / "model.onnx", echo(onnx_type))
    given = tensor("x", np.array([[0, 1], [1, 0], [1, 1]]).astype(dtype.numpy))
    result = await executor.execute(ExecuteRequest(inputs=[given], rows=3))
    (output,) = result.outputs
    assert (output.dtype, output.shape, bytes(output.data)) == (dtype, (3, 2), given.data)


async def test_text_goes_in_and_comes_out(opened: list[ScheduledExecutor], folder: Path) -> None:
    executor, _ = await load(opened, folder / "model.onnx", echo(TensorProto.STRING))
    words = ["", "naïve", "日本", "a b"]
    given = Tensor("x", Dtype.BYTES, (2, 2), join_elements(word.encode() for word in words))
    result = await executor.execute(ExecuteRequest(inputs=[given], rows=2))
    assert [element.decode() for element in split_elements(result.outputs[0].data)] == words


async def test_text_that_is_not_utf8_fails_its_own_request_alone(opened: list[ScheduledExecutor], folder: Path) -> None:
    text = "max_batch_size: 2 dynamic_batching { max_queue_delay_microseconds: 20000000 }"
    executor, _ = await load(opened, folder / "model.onnx", echo(TensorProto.STRING), text)
    good = Tensor("x", Dtype.BYTES, (1, 2), join_elements([b"a", b"b"]))
    bad = Tensor("x", Dtype.BYTES, (1, 2), join_elements([b"\xff", b"b"]))
    outcomes: tuple[ExecuteResult | BaseException, ...] = await asyncio.gather(
        executor.execute(ExecuteRequest(inputs=[bad])),
        executor.execute(ExecuteRequest(inputs=[good])),
        return_exceptions=True,
    )
    refused, answered = outcomes
    assert isinstance(refused, ServeError) and refused.status is StatusCode.INVALID_ARGUMENT
    assert "UTF-8" in refused.message
    assert isinstance(answered, ExecuteResult) and bytes(answered.outputs[0].data) == good.data


async def test_a_model_without_a_batch_dimension_runs_whole_requests(
    opened: list[ScheduledExecutor], folder: Path
) -> None:
    model = onnx_model(
        [helper.make_node("ReduceSum", ["x"], ["y"], keepdims=0)],
        [graph_input("x", TensorProto.FLOAT, [3, "n"])],
        [graph_input("y", TensorProto.FLOAT, [])],
    )
    executor, config = await load(opened, folder / "model.onnx", model)
    assert config.max_batch_size == 0 and list(config.output[0].dims) == [1]
    result = await executor.execute(ExecuteRequest(inputs=[tensor("x", np.ones((3, 5), np.float32))]))
    assert (result.outputs[0].shape, array(result).item()) == ((), 15.0)


async def test_a_runtime_error_fails_the_batch_with_the_runtimes_words_and_nothing_else(
    opened: list[ScheduledExecutor], folder: Path
) -> None:
    model = onnx_model(
        [helper.make_node("Gather", ["table", "x"], ["y"])],
        [graph_input("x", TensorProto.INT64, ["n", 1])],
        [graph_input("y", TensorProto.FLOAT, ["n", 1])],
        {"table": np.array([1, 2, 3], np.float32)},
    )
    executor, _ = await load(opened, folder / "model.onnx", model)
    with pytest.raises(ServeError) as caught:
        await executor.execute(ExecuteRequest(inputs=[tensor("x", np.array([[9]], np.int64))]))
    assert caught.value.status is StatusCode.INTERNAL
    assert caught.value.message.startswith("onnx runtime error ") and "out of data bounds" in caught.value.message
    result = await executor.execute(ExecuteRequest(inputs=[tensor("x", np.array([[2]], np.int64))]))
    assert array(result).tolist() == [[3.0]]
    assert executor.statistics().failures.backend == 1


async def test_an_output_of_other_rows_than_the_batch_fails_clearly(
    opened: list[ScheduledExecutor], folder: Path
) -> None:
    model = onnx_model(
        [helper.make_node("Concat", ["x", "x"], ["y"], axis=0)],
        [graph_input("x", TensorProto.FLOAT, ["n", 2])],
        [graph_input("y", TensorProto.FLOAT, ["m", 2])],
    )
    executor, _ = await load(opened, folder / "model.onnx", model)
    with pytest.raises(ServeError, match=r"model 'm' answered a batch of 1 with output 'y' of shape \[2, 2\]"):
        await executor.execute(ExecuteRequest(inputs=[tensor("x", np.ones((1, 2), np.float32))]))


async def test_an_optional_input_may_be_left_out(opened: list[ScheduledExecutor], folder: Path) -> None:
    model = onnx_model(
        [helper.make_node("Add", ["x", "shift"], ["y"])],
        [graph_input("x", TensorProto.FLOAT, ["n", 2]), graph_input("shift", TensorProto.FLOAT, ["k", 2])],
        [graph_input("y", TensorProto.FLOAT, ["n", 2])],
        {"shift": np.array([[10, 20]], np.float32)},
    )
    text = (
        'max_batch_size: 4 input [ { name: "x" data_type: TYPE_FP32 dims: 2 }, '
        '{ name: "shift" data_type: TYPE_FP32 dims: 2 optional: true } ] '
        'output { name: "y" data_type: TYPE_FP32 dims: 2 } dynamic_batching { }'
    )
    model.graph.input[1].type.tensor_type.shape.dim[0].dim_param = "k"
    executor, _ = await load(opened, folder / "model.onnx", model, text)
    x = tensor("x", np.zeros((1, 2), np.float32))
    shift = tensor("shift", np.ones((1, 2), np.float32))
    without, given = await asyncio.gather(
        executor.execute(ExecuteRequest(inputs=[x])), executor.execute(ExecuteRequest(inputs=[x, shift]))
    )
    assert (array(without).tolist(), array(given).tolist()) == ([[10, 20]], [[1, 1]])


async def test_the_file_may_lie_in_a_folder_of_its_name(opened: list[ScheduledExecutor], folder: Path) -> None:
    (folder / "model.onnx").mkdir()
    onnx.save(add_mul(), str(folder / "model.onnx" / "model.onnx"))
    executor, _ = await load(opened, folder / "model.onnx", None)
    assert len((await executor.execute(ExecuteRequest(inputs=pair(1)))).outputs) == 2


@pytest.mark.parametrize(
    "parameters",
    [
        'parameters { key: "intra_op_thread_count" value { string_value: "1" } } '
        'parameters { key: "inter_op_thread_count" value { string_value: "1" } } '
        'parameters { key: "execution_mode" value { string_value: "1" } } '
        'parameters { key: "enable_mem_arena" value { string_value: "false" } } '
        'parameters { key: "enable_mem_pattern" value { string_value: "0" } }',
        'parameters { key: "session.intra_op.allow_spinning" value { string_value: "0" } }',
        'parameters { key: "share_session_between_instances" value { string_value: "true" } }',
        "optimization { graph { level: -1 } }",
        "optimization { graph { level: 1 } }",
        "optimization { graph { level: 2 } }",
    ],
)
async def test_tritons_settings_are_taken(opened: list[ScheduledExecutor], folder: Path, parameters: str) -> None:
    executor, _ = await load(opened, folder / "model.onnx", add_mul(), parameters)
    assert len((await executor.execute(ExecuteRequest(inputs=pair(1)))).outputs) == 2


@pytest.mark.parametrize(
    ("parameter", "message"),
    [
        (
            'key: "execution_mode" value { string_value: "2" }',
            "Invalid configuration value provided. Expected values for  execution_mode are 0 or 1 but got 2 .",
        ),
        (
            'key: "intra_op_thread_count" value { string_value: "many" }',
            "model 'm': parameter 'intra_op_thread_count' must be an integer, got 'many'",
        ),
        (
            'key: "enable_mem_arena" value { string_value: "maybe" }',
            "model 'm': parameter 'enable_mem_arena' must be true or false, got 'maybe'",
        ),
    ],
)
async def test_a_wrong_parameter_is_named(
    opened: list[ScheduledExecutor], folder: Path, parameter: str, message: str
) -> None:
    with pytest.raises(ServeError) as caught:
        await load(opened, folder / "model.onnx", add_mul(), f"parameters {{ {parameter} }}")
    assert (caught.value.status, caught.value.message) == (StatusCode.INVALID_ARGUMENT, message)


async def test_a_file_that_is_no_model_fails_with_the_runtimes_words(folder: Path) -> None:
    (folder / "model.onnx").write_bytes(b"no model")
    with pytest.raises(ServeError, match=r"^onnx runtime error 7: ") as caught:
        await OnnxRuntimeBackend().describe(folder / "model.onnx", parse(HEAD))
    assert caught.value.status is StatusCode.INTERNAL


async def test_a_dtype_that_no_request_can_carry_is_refused(folder: Path) -> None:
    model = onnx_model(
        [helper.make_node("SequenceConstruct", ["x"], ["y"])],
        [graph_input("x", TensorProto.FLOAT, [2])],
        [helper.make_tensor_sequence_value_info("y", TensorProto.FLOAT, [2])],
    )
    onnx.save(model, str(folder / "model.onnx"))
    with pytest.raises(ServeError, match=r"tensor 'y': data type seq\(tensor\(float\)\) is not supported"):
        await OnnxRuntimeBackend().describe(folder / "model.onnx", parse(HEAD))


async def test_without_the_package_the_error_names_the_extra(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ServeError, match=r"pip install npuserve\[onnxruntime\]") as caught:
        await OnnxRuntimeBackend().describe(folder / "model.onnx", parse(HEAD))
    assert caught.value.status is StatusCode.UNAVAILABLE


async def test_without_an_instance_that_takes_requests_the_load_fails(
    opened: list[ScheduledExecutor], folder: Path
) -> None:
    with pytest.raises(ServeError, match="model 'm' has no instance that takes requests"):
        await load(opened, folder / "model.onnx", add_mul(), "instance_group { passive: true }")


async def test_text_is_taken_apart_and_put_together_beside_the_loop(
    opened: list[ScheduledExecutor], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[threading.Thread] = []

    def noting(content: bytes | memoryview) -> Iterator[bytes]:
        threads.append(threading.current_thread())
        return iter(split_elements(content))

    monkeypatch.setattr("npuserve.execution.onnx_session.split_elements", noting)
    executor, _ = await load(opened, folder / "model.onnx", echo(TensorProto.STRING))
    content = join_elements([b"a", b"bc"])
    result = await executor.execute(ExecuteRequest(inputs=[Tensor("x", Dtype.BYTES, (1, 2), content)]))
    assert bytes(result.outputs[0].data) == content
    assert threading.main_thread() not in threads
    assert len(threads) == 1


@pytest.mark.parametrize(
    ("text", "feature"),
    [
        ('batch_input { target_name: "n" source_input: "x" }', "batch_input or batch_output"),
        ('batch_output { target_name: "y" source_input: "x" }', "batch_input or batch_output"),
        ('input { name: "x" allow_ragged_batch: true }', "allow_ragged_batch of input 'x'"),
    ],
)
async def test_what_would_change_answers_if_it_were_left_out_is_refused(folder: Path, text: str, feature: str) -> None:
    path = folder / "model.onnx"
    onnx.save(echo(TensorProto.FLOAT), path)
    backend = OnnxRuntimeBackend()
    config = parse(f'name: "m" backend: "onnxruntime" max_batch_size: 2 {text}')
    signature = await backend.describe(path, config)
    with pytest.raises(ServeError) as caught:
        await backend.load(path, config, signature)
    assert caught.value.status is StatusCode.INVALID_ARGUMENT
    assert caught.value.message == f"model 'm': {feature} is not supported by backend 'onnxruntime'"
