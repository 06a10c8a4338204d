"""The core of an inference, without a protocol."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from npuserve.core.dtype import Dtype
from npuserve.core.elements import join_elements
from npuserve.core.errors import ExecutionError, ServeError
from npuserve.core.request import GivenTensor, InferenceRequest, RequestedOutput
from npuserve.core.status import StatusCode
from npuserve.observability.requests import FinishedRequest
from npuserve.service.inference import InferenceService
from support.scripted import FAILS, QUEUE_IS_FULL, ScriptedExecutor
from support.scripted_service import scripted_service

ONE = 'input { name: "x" data_type: TYPE_FP32 dims: -1 } output { name: "y" data_type: TYPE_FP32 dims: -1 } '
LABELLED = ONE.replace('"y"', '"y" label_filename: "labels.txt"')
INTEGERS = (
    'input { name: "narrow" data_type: TYPE_INT64 dims: -1 } input { name: "same" data_type: TYPE_INT64 dims: -1 } '
    'output { name: "wide" data_type: TYPE_INT64 dims: -1 } output { name: "back" data_type: TYPE_INT64 dims: -1 } '
    'parameters { key: "convert_integers" value { string_value: "on" } }'
)
CONFIGS = {
    "plain": ONE,
    "many": ONE + "model_transaction_policy { decoupled: true }",
    "labelled": LABELLED,
    "batched": LABELLED + "max_batch_size: 4",
    "optional": 'input { name: "a" data_type: TYPE_INT8 dims: 1 } '
    'input { name: "b" data_type: TYPE_INT8 dims: 1 optional: true } '
    'output { name: "y" data_type: TYPE_INT8 dims: 1 } ',
    "integers": INTEGERS,
}


@dataclass
class Notes:
    wants_all: bool = True
    slow_ns: int = 0
    seen: list[FinishedRequest] = field(default_factory=list)

    def observe(self, request: FinishedRequest) -> None:
        self.seen.append(request)


@pytest.fixture
def notes() -> Notes:
    return Notes()


Scripted = tuple[InferenceService, dict[str, ScriptedExecutor]]


@pytest.fixture
async def scripted(tmp_path: Path, notes: Notes) -> AsyncIterator[Scripted]:
    # `narrow` is INT32 to the model, and so is `wide`, its copy.
    dtypes = {"narrow": Dtype.INT32, "wide": Dtype.INT32}
    async with scripted_service(tmp_path, CONFIGS, observer=notes, **dtypes) as both:
        yield both


def given(model: str, *values: float, **options: Any) -> InferenceRequest:
    data = np.array(values, np.float32).tobytes()
    shape = (1, len(values)) if model == "batched" else (len(values),)
    tensor = GivenTensor("x", Dtype.FP32, shape, data)
    return InferenceRequest(model=model, inputs=[tensor], **{"id": "7", **options})


async def test_classes_replace_the_tensor(scripted: Scripted) -> None:
    wanted = [RequestedOutput(name="y", class_count=2)]
    (flat,) = (await scripted[0].infer(given("labelled", 1, 3, 2, outputs=wanted))).outputs
    assert (flat.shape, flat.data) == ((2,), join_elements([b"3.000000:1:one", b"2.000000:2"]))
    (rows,) = (await scripted[0].infer(given("batched", 1, 3, 2, outputs=wanted))).outputs
    assert rows.shape == (1, 2)


async def test_outputs_are_put_where_they_are_wanted(scripted: Scripted) -> None:
    memory = bytearray(b"........")
    wanted = [RequestedOutput(name="y", destination=memoryview(memory))]
    response = await scripted[0].infer(given("plain", 0.5, outputs=wanted))
    assert memory == np.float32(0.5).tobytes() + b"...."
    assert [(tensor.shape, tensor.data) for tensor in response.outputs] == [((1,), b"")]
    assert scripted[1]["plain"].asked[0].destinations["y"] == memory


async def test_too_little_room_is_refused_before_anything_is_written(scripted: Scripted) -> None:
    memory = bytearray(b"....")
    with pytest.raises(ServeError) as caught:
        await scripted[0].infer(
            given("plain", 1, 2, outputs=[RequestedOutput(name="y", destination=memoryview(memory))])
        )
    assert (caught.value.status, caught.value.message) == (
        StatusCode.INTERNAL,
        "shared memory size specified with the request for output 'y' (4 bytes) should be at least 8 bytes to hold "
        "the results",
    )
    assert memory == b"...."


def bytes_input(name: str) -> GivenTensor:
    return GivenTensor(name, Dtype.INT8, (1,), b"\x01")


async def test_an_optional_input_may_be_left_out(scripted: Scripted) -> None:
    await scripted[0].infer(InferenceRequest(model="optional", inputs=[bytes_input("a")]))
    await scripted[0].infer(InferenceRequest(model="optional", inputs=[bytes_input("b"), bytes_input("a")]))
    assert [[tensor.name for tensor in request.inputs] for request in scripted[1]["optional"].asked] == [
        ["a"],
        ["a", "b"],
    ]


@pytest.mark.parametrize(
    ("names", "text"),
    [
        (
            "",
            "[request id: <id_unknown>] expected number of inputs between 1 and 2 but got 0 inputs for model "
            "'optional'. Got input(s) [], but missing required input(s) ['a']. Please provide all required input(s).",
        ),
        (
            "b",
            "[request id: <id_unknown>] expected number of inputs between 1 and 2 but got 1 inputs for model "
            "'optional'. Got input(s) ['b'], but missing required input(s) ['a']. Please provide all required "
            "input(s).",
        ),
        (
            "abc",
            "[request id: <id_unknown>] expected number of inputs between 1 and 2 but got 3 inputs for model "
            "'optional'. Got input(s) ['a','b','c'], but missing required input(s) ]. Please provide all required "
            "input(s).",
        ),
        ("ac", "unexpected inference input 'c' for model 'optional'"),
    ],
)
async def test_required_inputs_may_not_be_left_out(scripted: Scripted, names: str, text: str) -> None:
    with pytest.raises(ServeError) as caught:
        await scripted[0].infer(InferenceRequest(model="optional", inputs=[bytes_input(name) for name in names]))
    assert caught.value.message == text


def integers(name: str, dtype: Dtype, *values: int) -> GivenTensor:
    return GivenTensor(name, dtype, (len(values),), np.array(values, dtype.numpy).tobytes())


@pytest.mark.parametrize("narrow", [Dtype.INT32, Dtype.INT64])
@pytest.mark.parametrize("same", [Dtype.INT32, Dtype.INT64])
async def test_integers_are_taken_in_either_width_and_given_in_the_configs(
    scripted: Scripted, narrow: Dtype, same: Dtype
) -> None:
    limits = (-(2**31), 2**31 - 1)
    inputs = [integers("narrow", narrow, *limits), integers("same", same, *limits)]
    response = await scripted[0].infer(InferenceRequest(model="integers", inputs=inputs))
    assert [(tensor.name, tensor.dtype) for tensor in response.outputs] == [
        ("wide", Dtype.INT64),
        ("back", Dtype.INT64),
    ]
    for tensor in response.outputs:
        assert np.frombuffer(tensor.data, np.int64).tolist() == list(limits)
    (executed,) = scripted[1]["integers"].asked
    assert [tensor.dtype for tensor in executed.inputs] == [Dtype.INT32, Dtype.INT64]


@pytest.mark.parametrize("value", [2**31, -(2**31) - 1, 2**63 - 1])
async def test_an_integer_that_does_not_fit_is_refused(scripted: Scripted, value: int) -> None:
    inputs = [integers("narrow", Dtype.INT64, 5, value, value), integers("same", Dtype.INT64, 1)]
    with pytest.raises(ServeError) as caught:
        await scripted[0].infer(InferenceRequest(model="integers", inputs=inputs, id="7"))
    assert (caught.value.status, caught.value.message) == (
        StatusCode.INVALID_ARGUMENT,
        f"[request id: 7] input 'narrow' for model 'integers' has value {value} at index 1, which does not fit INT32",
    )


async def test_no_integers_are_converted_as_well(scripted: Scripted) -> None:
    inputs = [integers("narrow", Dtype.INT64), integers("same", Dtype.INT32)]
    response = await scripted[0].infer(InferenceRequest(model="integers", inputs=inputs))
    assert [bytes(tensor.data) for tensor in response.outputs] == [b"", b""]


async def test_an_output_that_is_converted_is_put_where_it_is_wanted(scripted: Scripted) -> None:
    memory = bytearray(8)
    inputs = [integers("narrow", Dtype.INT32, -3), integers("same", Dtype.INT32, 1)]
    wanted = [RequestedOutput(name="wide", destination=memoryview(memory))]
    await scripted[0].infer(InferenceRequest(model="integers", inputs=inputs, outputs=wanted))
    assert np.frombuffer(memory, np.int64).tolist() == [-3]
    assert not scripted[1]["integers"].asked[0].destinations


async def test_other_dtypes_and_models_are_not_converted(scripted: Scripted) -> None:
    inputs = [integers("narrow", Dtype.UINT32, 1), integers("same", Dtype.INT64, 1)]
    with pytest.raises(ServeError, match="data-type is 'UINT32', but model 'integers' expects 'INT64'"):
        await scripted[0].infer(InferenceRequest(model="integers", inputs=inputs))
    with pytest.raises(ServeError, match="data-type is 'INT64', but model 'plain' expects 'FP32'"):
        await scripted[0].infer(InferenceRequest(model="plain", inputs=[integers("x", Dtype.INT64, 1)]))


async def test_a_failure_of_the_model_is_told_from_a_refusal(scripted: Scripted) -> None:
    with pytest.raises(ExecutionError, match="model says no"):
        await scripted[0].infer(given("plain", FAILS))
    for request in (given("plain", QUEUE_IS_FULL), given("plain", 1, outputs=[RequestedOutput(name="z")])):
        with pytest.raises(ServeError) as caught:
            await scripted[0].infer(request)
        assert not isinstance(caught.value, ExecutionError)


async def test_an_observer_is_told_of_a_front_ends_requests(scripted: Scripted, notes: Notes) -> None:
    await scripted[0].infer(given("plain", 1, front_end="grpc", trace_parent="00-1-2-01"))
    await scripted[0].infer(given("plain", 1))
    with pytest.raises(ServeError):
        await scripted[0].infer(given("plain", FAILS, front_end="http"))
    answered, failed = notes.seen
    assert (answered.model, answered.version, answered.id) == ("plain", "1", "7")
    assert (answered.front_end, answered.trace_parent, answered.status) == ("grpc", "00-1-2-01", StatusCode.OK)
    assert answered.started_ns <= answered.ended_ns <= failed.started_ns
    assert (failed.front_end, failed.status, failed.message) == ("http", StatusCode.INTERNAL, "model says no")


async def test_an_observer_is_told_once_of_a_stream_of_responses(scripted: Scripted, notes: Notes) -> None:
    responses = [response async for response in scripted[0].stream(given("many", 3, front_end="grpc"))]
    assert len(responses) == 4
    assert [seen.status for seen in notes.seen] == [StatusCode.OK]
    async with aclosing(scripted[0].stream(given("many", 3, front_end="grpc"))) as left:
        await anext(left)
    assert [seen.status for seen in notes.seen] == [StatusCode.OK, StatusCode.CANCELLED]
    assert scripted[1]["many"].cancelled == ["7"]


async def test_an_observer_is_told_of_a_cancelled_request(scripted: Scripted, notes: Notes) -> None:
    scripted[1]["plain"].gates["7"] = asyncio.Event()
    task = asyncio.ensure_future(scripted[0].infer(given("plain", 1, front_end="grpc")))
    async with asyncio.timeout(10):
        while not scripted[1]["plain"].running:  # noqa: ASYNC110 - what is waited for tells nobody
            await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [seen.status for seen in notes.seen] == [StatusCode.CANCELLED]


async def test_an_observer_of_slow_requests_is_told_of_no_others(scripted: Scripted, notes: Notes) -> None:
    notes.wants_all = False
    await scripted[0].infer(given("plain", 1, front_end="grpc"))
    notes.slow_ns = 1
    await scripted[0].infer(given("plain", 1, front_end="grpc"))
    notes.slow_ns = 10**15
    await scripted[0].infer(given("plain", 1, front_end="grpc"))
    assert len(notes.seen) == 1
