"""ONNX models in the native engine, from files to answers."""

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from npuserve import _engine
from npuserve._proto.model_config_pb2 import ModelConfig
from npuserve.config.complete import complete_model_config
from npuserve.config.contradiction import check_against_signature
from npuserve.core.dtype import Dtype
from npuserve.core.errors import ServeError
from npuserve.core.execution import ExecuteRequest, ExecuteResult
from npuserve.core.signature import ModelSignature, TensorSpec
from npuserve.core.status import StatusCode
from npuserve.core.tensor import Tensor
from npuserve.execution import onnx_native
from npuserve.execution.executor import Executor
from npuserve.execution.native import NativeExecutor
from npuserve.execution.onnxruntime import OnnxRuntimeBackend
from npuserve.execution.scheduling import ScheduledExecutor
from onnx import TensorProto, helper
from support.ensembles import parse
from support.models import Array, add_mul, expected_tokens, graph_input, onnx_model, tokens

HEAD = 'name: "m" backend: "onnxruntime" '
PATIENT = "dynamic_batching { max_queue_delay_microseconds: 20000000 preferred_batch_size: 4 }"


class Loaded:
    """A backend whose models are loaded as the repository does."""

    def __init__(self, folder: Path) -> None:
        self.backend = OnnxRuntimeBackend()
        self._folder = folder
        self._executors: list[Executor] = []

    async def signature(self, model: onnx.ModelProto, text: str = "") -> tuple[ModelSignature, ModelConfig]:
        """Return the signature with gears and the completed config."""
        path = self._folder / "model.onnx"
        onnx.save(model, str(path))
        config = await self.backend.complete(path, parse(HEAD + text))
        signature = await self.backend.describe(path, config)
        config = complete_model_config(config, signature, device_count=0)
        check_against_signature(config, signature)
        return await self.backend.with_gears(path, config, signature), config

    async def load(self, model: onnx.ModelProto, text: str = "") -> Executor:
        signature, config = await self.signature(model, text)
        self._executors.append(await self.backend.load(self._folder / "model.onnx", config, signature))
        return self._executors[-1]

    async def close(self) -> None:
        for executor in self._executors:
            await executor.close()
        await self.backend.close()


@pytest.fixture
async def loaded(tmp_path: Path) -> AsyncIterator[Loaded]:
    loaded = Loaded(tmp_path)
    yield loaded
    await loaded.close()


def parameter(value: str, key: str = "gears") -> str:
    return f'parameters {{ key: "{key}" value {{ string_value: "{value}" }} }} '


def tensor(name: str, array: Array) -> Tensor:
    return Tensor(name, next(dtype for dtype in Dtype if dtype.numpy == array.dtype), array.shape, array.tobytes())


def array(result: ExecuteResult, index: int = 0) -> Array:
    output = result.outputs[index]
    return np.frombuffer(output.data, output.dtype.numpy).reshape(output.shape)


def pair(rows: int, start: int = 0) -> list[Tensor]:
    a = np.arange(start, start + rows * 4, dtype=np.float32).reshape(rows, 4)
    return [tensor("a", a), tensor("b", a + 1)]


def text_of(length: int, rows: int = 1) -> tuple[Array, Array]:
    ids = np.arange(1, rows * length + 1, dtype=np.int64).reshape(rows, length)
    return ids, np.ones_like(ids)


def texts(length: int, rows: int = 1) -> list[Tensor]:
    ids, mask = text_of(length, rows)
    return [tensor("input_ids", ids), tensor("attention_mask", mask)]


def shapes(signature: ModelSignature) -> list[tuple[int, ...]]:
    return [gear.input_shapes[0] for gear in signature.gears]


def positions(longest: int) -> onnx.ModelProto:
    """Embeds ids and positions, of which there are only so many: as a text encoder, it refuses longer inputs."""
    nodes = [
        helper.make_node("Shape", ["input_ids"], ["length"], start=1, end=2),
        helper.make_node("Squeeze", ["length"], ["end"]),
        helper.make_node("Range", ["zero", "end", "one"], ["at"]),
        helper.make_node("Gather", ["table", "at"], ["position"]),
        helper.make_node("Cast", ["input_ids"], ["ids"], to=TensorProto.FLOAT),
        helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["ids", "mask"], ["masked"]),
        helper.make_node("Add", ["masked", "position"], ["states"]),
        helper.make_node("ReduceSum", ["masked", "last"], ["pooled"], keepdims=1),
    ]
    return onnx_model(
        nodes,
        [graph_input(name, TensorProto.INT64, ["n", "length"]) for name in ("input_ids", "attention_mask")],
        [
            graph_input("states", TensorProto.FLOAT, ["n", "length"]),
            graph_input("pooled", TensorProto.FLOAT, ["n", "k"]),
        ],
        {
            "zero": np.array(0, np.int64),
            "one": np.array(1, np.int64),
            "last": np.array([1], np.int64),
            "table": np.zeros(longest, np.float32),
        },
    )


async def test_a_model_of_fixed_rows_has_a_gear_for_every_batch(loaded: Loaded) -> None:
    signature, _ = await loaded.signature(add_mul(), "max_batch_size: 5 dynamic_batching { }")
    assert shapes(signature) == [(1, 4), (2, 4), (3, 4), (4, 4), (5, 4)]
    assert signature.outputs == (
        TensorSpec("total", Dtype.FP32, (-1, 4)),
        TensorSpec("product", Dtype.FP32, (-1, 4)),
    )
    assert signature.gears[2].output_shapes == ((3, 4), (3, 4))


async def test_requests_share_an_execution_of_their_rows_in_the_engine(loaded: Loaded) -> None:
    executor = await loaded.load(add_mul(), "max_batch_size: 4 " + PATIENT)
    assert isinstance(executor, NativeExecutor) and executor.sink is not None
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
    assert counted.padded_rows == 0
    assert counted.compute_input.ns > 0 and counted.compute_infer.ns > 0


@pytest.mark.parametrize("dtype", [dtype for dtype in Dtype if dtype not in (Dtype.BYTES, Dtype.BF16)])
async def test_every_dtype_goes_in_and_comes_out(loaded: Loaded, dtype: Dtype) -> None:
    onnx_type = helper.np_dtype_to_tensor_dtype(dtype.numpy)
    model = onnx_model(
        [helper.make_node("Identity", ["x"], ["y"])],
        [graph_input("x", onnx_type, ["n", 2])],
        [graph_input("y", onnx_type, ["n", 2])],
    )
    executor = await loaded.load(model)
    assert isinstance(executor, NativeExecutor)
    given = tensor("x", np.array([[0, 1], [1, 0], [1, 1]]).astype(dtype.numpy))
    (output,) = (await executor.execute(ExecuteRequest(inputs=[given], rows=3))).outputs
    assert (output.dtype, output.shape, bytes(output.data)) == (dtype, (3, 2), given.data)


async def test_a_model_without_a_batch_has_the_one_shape(loaded: Loaded) -> None:
    model = onnx_model(
        [helper.make_node("Transpose", ["x"], ["y"])],
        [graph_input("x", TensorProto.FLOAT, [2, 3])],
        [graph_input("y", TensorProto.FLOAT, [3, 2])],
    )
    executor = await loaded.load(model)
    assert isinstance(executor, NativeExecutor) and shapes(executor.signature) == [(2, 3)]
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert np.array_equal(array(await executor.execute(ExecuteRequest(inputs=[tensor("x", x)]))), x.T)


async def test_a_bert_gets_lengths_as_far_as_its_positions_go(loaded: Loaded) -> None:
    signature, _ = await loaded.signature(positions(100), "max_batch_size: 2 dynamic_batching { }")
    lengths = [8, 16, 24, 32, 40, 48, 56, 64, 72, 80, 88, 96]
    assert shapes(signature) == [(rows, length) for length in lengths for rows in (1, 2)]
    assert [spec.shape for spec in signature.outputs] == [(-1, -1), (-1, 1)]
    assert signature.gears[-1].output_shapes == ((2, 96), (2, 1))


async def test_texts_of_any_length_are_answered_in_their_own(loaded: Loaded) -> None:
    executor = await loaded.load(tokens(), "max_batch_size: 4 dynamic_batching { }")
    assert isinstance(executor, NativeExecutor)
    lengths = (1, 7, 8, 9, 100, 130, 512)
    results = await asyncio.gather(
        *(executor.execute(ExecuteRequest(inputs=texts(length, 2), rows=2)) for length in lengths)
    )
    for length, result in zip(lengths, results, strict=True):
        assert result.outputs[0].shape == (2, length, 3)
        assert np.array_equal(array(result), expected_tokens(*text_of(length, 2)))


async def test_an_output_of_one_size_stays_whole_though_its_shape_is_open(loaded: Loaded) -> None:
    executor = await loaded.load(positions(64), "max_batch_size: 2 dynamic_batching { } " + parameter("1,2 x 8,16"))
    result = await executor.execute(ExecuteRequest(inputs=texts(5)))
    assert [output.shape for output in result.outputs] == [(1, 5), (1, 1)]
    assert array(result, 1).tolist() == [[15.0]]


async def test_listed_gears_are_the_gears_and_say_the_batch_size(loaded: Loaded) -> None:
    signature, config = await loaded.signature(tokens(), parameter("1,2,8 x 16,24"))
    assert shapes(signature) == [(1, 16), (2, 16), (8, 16), (1, 24), (2, 24), (8, 24)]
    assert config.max_batch_size == 8 and config.HasField("dynamic_batching")


async def test_a_single_length_is_still_one_that_requests_are_padded_to(loaded: Loaded) -> None:
    executor = await loaded.load(tokens(), parameter("1 x 16"))
    result = await executor.execute(ExecuteRequest(inputs=texts(9)))
    assert np.array_equal(array(result), expected_tokens(*text_of(9)))


async def test_a_length_beyond_the_gears_is_refused(loaded: Loaded) -> None:
    executor = await loaded.load(tokens(), parameter("1 x 8,16"))
    with pytest.raises(ServeError) as caught:
        await executor.execute(ExecuteRequest(inputs=texts(17)))
    assert caught.value.status is StatusCode.INVALID_ARGUMENT


async def test_lengths_that_the_config_fixes_are_the_gears(loaded: Loaded) -> None:
    text = (
        'max_batch_size: 2 input [ { name: "input_ids" data_type: TYPE_INT64 dims: 16 }, '
        '{ name: "attention_mask" data_type: TYPE_INT64 dims: 16 } ] '
        'output { name: "logits" data_type: TYPE_FP32 dims: [ 16, 3 ] }'
    )
    executor = await loaded.load(tokens(), text)
    assert isinstance(executor, NativeExecutor) and shapes(executor.signature) == [(1, 16), (2, 16)]
    result = await executor.execute(ExecuteRequest(inputs=texts(16)))
    assert np.array_equal(array(result), expected_tokens(*text_of(16)))


async def test_only_outputs_that_the_config_lists_are_computed(loaded: Loaded) -> None:
    text = (
        'max_batch_size: 2 input [ { name: "a" data_type: TYPE_FP32 dims: 4 }, '
        '{ name: "b" data_type: TYPE_FP32 dims: 4 } ] output { name: "product" data_type: TYPE_FP32 dims: 4 }'
    )
    executor = await loaded.load(add_mul(), text)
    result = await executor.execute(ExecuteRequest(inputs=pair(1)))
    assert [output.name for output in result.outputs] == ["product"]
    assert array(result).tolist() == [[0.0, 2.0, 6.0, 12.0]]


async def test_a_failing_run_has_the_runtimes_words_and_the_next_one_is_right(loaded: Loaded) -> None:
    model = onnx_model(
        [helper.make_node("Gather", ["table", "x"], ["y"])],
        [graph_input("x", TensorProto.INT64, ["n", 1])],
        [graph_input("y", TensorProto.FLOAT, ["n", 1])],
        {"table": np.array([1, 2, 3], np.float32)},
    )
    executor = await loaded.load(model)
    assert isinstance(executor, NativeExecutor)
    with pytest.raises(ServeError) as caught:
        await executor.execute(ExecuteRequest(inputs=[tensor("x", np.array([[9]], np.int64))]))
    assert caught.value.status is StatusCode.INTERNAL
    assert caught.value.message.startswith("onnx runtime error 2: ") and "out of data bounds" in caught.value.message
    result = await executor.execute(ExecuteRequest(inputs=[tensor("x", np.array([[2]], np.int64))]))
    assert array(result).tolist() == [[3.0]]
    assert executor.statistics().failures.backend == 1


@pytest.mark.parametrize(
    ("model", "text"),
    [
        pytest.param(
            tokens(),
            'max_batch_size: 4 input [ { name: "input_ids" data_type: TYPE_INT64 dims: -1 }, '
            '{ name: "attention_mask" data_type: TYPE_INT64 dims: -1 } ] '
            'output { name: "logits" data_type: TYPE_FP32 dims: [ -1, 3 ] }',
            id="a length without dynamic batching",
        ),
        pytest.param(
            tokens(), "max_batch_size: 4 dynamic_batching { } " + parameter("off", "buckets"), id="buckets are off"
        ),
        pytest.param(
            onnx_model(
                [helper.make_node("Identity", ["x"], ["y"])],
                [graph_input("x", TensorProto.FLOAT, ["n", "k"])],
                [graph_input("y", TensorProto.FLOAT, ["n", "k"])],
            ),
            "max_batch_size: 4 dynamic_batching { }",
            id="a length that nothing masks",
        ),
        pytest.param(
            onnx_model(
                [helper.make_node("Identity", ["x"], ["y"])],
                [graph_input("x", TensorProto.STRING, ["n", 1])],
                [graph_input("y", TensorProto.STRING, ["n", 1])],
            ),
            "",
            id="text",
        ),
        pytest.param(
            onnx_model(
                [helper.make_node("ReduceSum", ["x"], ["y"], keepdims=0)],
                [graph_input("x", TensorProto.FLOAT, [3])],
                [graph_input("y", TensorProto.FLOAT, [])],
            ),
            "",
            id="rank 0",
        ),
        pytest.param(
            onnx_model(
                [helper.make_node("NonZero", ["x"], ["y"])],
                [graph_input("x", TensorProto.FLOAT, [3])],
                [graph_input("y", TensorProto.INT64, [1, "k"])],
            ),
            "",
            id="an output whose size is in the content",
        ),
        pytest.param(
            onnx_model(
                [helper.make_node("Concat", ["x", "x"], ["y"], axis=0)],
                [graph_input("x", TensorProto.FLOAT, ["n", 2])],
                [graph_input("y", TensorProto.FLOAT, ["m", 2])],
            ),
            "max_batch_size: 4",
            id="other rows than the batch",
        ),
    ],
)
async def test_a_model_that_does_not_fit_runs_in_python(loaded: Loaded, model: onnx.ModelProto, text: str) -> None:
    executor = await loaded.load(model, text)
    assert isinstance(executor, ScheduledExecutor)
    assert executor.signature.gears == ()


@pytest.mark.parametrize(
    ("model", "text", "reason"),
    [
        (
            tokens(),
            parameter("1,2"),
            "gives no lengths, but those of input 'input_ids' of shape [-1,-1] vary: add some, as ' x 16,32,64'",
        ),
        (add_mul(), parameter("1,2 x 8"), "gives lengths, but no input's length varies: list rows alone"),
        (
            positions(20),
            parameter("1,2 x 8,16,24,32"),
            "has length 24, which the model refuses; 16 is the longest listed that it takes: onnx runtime error 2: ",
        ),
        (positions(4), parameter("1,2 x 8"), "has length 8, which the model refuses: onnx runtime error 2: "),
        (
            tokens(),
            "max_batch_size: 4 " + parameter("1,2 x 8"),
            "has at most 2 rows, but max_batch_size is 4: add 4 rows, or lower max_batch_size",
        ),
        (
            onnx_model(
                [helper.make_node("Concat", ["x", "x"], ["y"], axis=0)],
                [graph_input("x", TensorProto.FLOAT, ["n", 2])],
                [graph_input("y", TensorProto.FLOAT, ["m", 2])],
            ),
            "max_batch_size: 2 " + parameter("1,2"),
            "cannot be: output 'y' has shapes [2,2] and [4,2], which follow neither the rows nor the length",
        ),
    ],
)
async def test_gears_that_cannot_be_fail_the_load(
    loaded: Loaded, model: onnx.ModelProto, text: str, reason: str
) -> None:
    with pytest.raises(ServeError) as caught:
        await loaded.signature(model, text)
    assert caught.value.status is StatusCode.INVALID_ARGUMENT
    assert caught.value.message.startswith(f"model 'm': parameter 'gears' {reason}")


async def test_without_the_library_models_run_in_python_and_the_log_says_so(
    loaded: Loaded, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(onnx_native, "library_file", lambda: None)
    with caplog.at_level(logging.WARNING):
        executor = await loaded.load(add_mul(), "max_batch_size: 2 " + parameter("1,2"))
    assert isinstance(executor, ScheduledExecutor)
    assert "ONNX models run in Python: the installed onnxruntime carries no libonnxruntime.so" in caplog.text
    assert "parameter 'gears' has no effect without the native engine" in caplog.text


async def test_a_library_that_is_none_is_named_and_passed_over(
    loaded: Loaded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "libonnxruntime.so.0").write_bytes(b"no library")
    monkeypatch.setattr(onnx_native, "library_file", lambda: tmp_path / "libonnxruntime.so.0")
    with caplog.at_level(logging.WARNING):
        executor = await loaded.load(add_mul())
    assert isinstance(executor, ScheduledExecutor)
    assert "ONNX models run in Python: " in caplog.text and "libonnxruntime.so.0" in caplog.text


@pytest.mark.parametrize(
    "text",
    [
        parameter("1", "intra_op_thread_count") + parameter("false", "enable_mem_arena"),
        parameter("0", "session.intra_op.allow_spinning"),
        parameter("true", "share_session_between_instances"),
        "optimization { graph { level: -1 } }",
        "optimization { graph { level: 2 } }",
        "instance_group { count: 3 kind: KIND_CPU }",
    ],
)
async def test_tritons_settings_are_taken(loaded: Loaded, text: str) -> None:
    executor = await loaded.load(add_mul(), text)
    assert isinstance(executor, NativeExecutor)
    assert len((await executor.execute(ExecuteRequest(inputs=pair(1)))).outputs) == 2


async def test_a_model_is_loaded_and_closed_again_and_again(loaded: Loaded, tmp_path: Path) -> None:
    for _ in range(3):
        executor = await loaded.load(add_mul())
        assert len((await executor.execute(ExecuteRequest(inputs=pair(1)))).outputs) == 2
        await executor.close()


def test_a_signature_of_the_engine_is_checked() -> None:
    spec = ("x", "FP32", (-1, 2))
    with pytest.raises(ValueError, match="unknown dtype 'FP31'"):
        _engine.make_signature(inputs=[("x", "FP31", (1,))], outputs=[], gears=[(((1,),), ())])
    with pytest.raises(ValueError, match="a signature needs a gear"):
        _engine.make_signature(inputs=[spec], outputs=[], gears=[])
    with pytest.raises(ValueError, match="a gear must have a shape for each tensor"):
        _engine.make_signature(inputs=[spec], outputs=[], gears=[((), ())])
    with pytest.raises(ValueError, match="the shapes of 'x' must be of one rank"):
        _engine.make_signature(inputs=[spec], outputs=[], gears=[(((1,),), ())])


def reciprocal() -> onnx.ModelProto:
    """inverse = 1 / a, of which that of zero is infinite."""
    node = helper.make_node("Reciprocal", ["a"], ["inverse"])
    return onnx_model(
        [node], [graph_input("a", TensorProto.FLOAT, ["n", 2])], [graph_input("inverse", TensorProto.FLOAT, ["n", 2])]
    )


async def test_answers_that_are_no_numbers_are_failures_where_that_is_asked_for(loaded: Loaded) -> None:
    executor = await loaded.load(reciprocal(), "max_batch_size: 4 " + parameter("on", "check_finite"))
    assert isinstance(executor, NativeExecutor)
    rows = np.array([[1, 2], [0, 4], [1, 0]], np.float32)
    with pytest.raises(ServeError) as caught:
        await executor.execute(ExecuteRequest(inputs=[tensor("a", rows)], rows=3))
    assert (caught.value.status, caught.value.message) == (
        StatusCode.INTERNAL,
        "model 'm' computed NaN or infinity: output 'inverse' in row 1 of the request",
    )
    result = await executor.execute(ExecuteRequest(inputs=[tensor("a", rows[:1])], rows=1))
    assert array(result).tolist() == [[1, 0.5]]
    assert executor.statistics().nonfinite_rows == 2


async def test_answers_are_what_the_model_computes_where_it_is_not(loaded: Loaded) -> None:
    executor = await loaded.load(reciprocal(), "max_batch_size: 4")
    result = await executor.execute(ExecuteRequest(inputs=[tensor("a", np.zeros((1, 2), np.float32))], rows=1))
    assert np.isinf(array(result)).all()
    assert executor.statistics().nonfinite_rows == 0


async def test_only_on_and_off_are_known(loaded: Loaded) -> None:
    with pytest.raises(ServeError, match="parameter 'check_finite' must be 'on' or 'off', got 'yes'"):
        await loaded.load(reciprocal(), parameter("yes", "check_finite"))
