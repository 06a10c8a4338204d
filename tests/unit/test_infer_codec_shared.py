"""The native ModelInfer codec beside the Python handlers, where requests refer to shared memory."""

import mmap
import os
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from npuserve._proto.inference_pb2 import ModelInferRequest
from npuserve.core.status import StatusCode
from support.infer_agreement import CONFIGS, PATTERN, Both, agree
from support.infer_answers import REGION_BYTES, Answer, both_answers

PAGE = mmap.PAGESIZE
TensorMessage = ModelInferRequest.InferInputTensor | ModelInferRequest.InferRequestedOutputTensor


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    with both_answers(tmp_path_factory.mktemp("models"), CONFIGS) as answers:
        yield answers


def refer(tensor: TensorMessage, size: int, offset: int | None = None, region: str = "r") -> None:
    tensor.parameters["shared_memory_region"].string_param = region
    tensor.parameters["shared_memory_byte_size"].int64_param = size
    if offset is not None:
        tensor.parameters["shared_memory_offset"].int64_param = offset


def shared_request(model: str = "FP32", count: int = 4, size: int = 16) -> ModelInferRequest:
    """Input at byte 3 of a region, output at its second page."""
    request = ModelInferRequest(model_name=model, id="7")
    refer(request.inputs.add(name="x", datatype=model, shape=[count]), size, 3)
    refer(request.outputs.add(name="y"), size, PAGE)
    return request


def answered_natively(both: Both, request: ModelInferRequest) -> Answer:
    """What both agree on, which the native codec does not leave to the handlers."""
    message = request.SerializeToString()
    answer = agree(both, message)
    assert both[1].answer(message) == answer
    return answer


def content(both: Both, offset: int, size: int) -> bytes:
    return both[0].memory.read_bytes()[offset : offset + size]


def test_a_tensor_is_read_from_a_region_and_written_into_one(both: Both) -> None:
    answer = answered_natively(both, shared_request())
    assert answer.response is not None
    assert list(answer.response.raw_output_contents) == [b""]
    assert content(both, PAGE, 16) == PATTERN[3:19]
    assert content(both, PAGE + 16, PAGE - 16) == PATTERN[PAGE + 16 :]


def test_an_offset_is_0_if_none_is_given_and_counts_from_the_regions_start(both: Both) -> None:
    request = shared_request()
    del request.outputs[:]
    request.inputs[0].parameters.clear()
    refer(request.inputs[0], 16, region="half")
    answer = answered_natively(both, request)
    assert answer.response is not None
    assert list(answer.response.raw_output_contents) == [PATTERN[PAGE : PAGE + 16]]


@pytest.mark.parametrize("typed", [False, True])
@pytest.mark.parametrize("shared", ["x", "z"])
def test_raw_and_typed_contents_belong_to_the_inputs_that_are_not_shared(both: Both, shared: str, typed: bool) -> None:
    request = ModelInferRequest(model_name="pair")
    for name, datatype, values in (("z", "INT32", [1, 2]), ("x", "INT64", [3, 4, 5])):
        tensor = request.inputs.add(name=name, datatype=datatype, shape=[1, len(values)])
        dtype = np.dtype(datatype.lower())
        if name == shared:
            refer(tensor, len(values) * dtype.itemsize, 8)
        elif typed:
            (tensor.contents.int_contents if name == "z" else tensor.contents.int64_contents).extend(values)
        else:
            request.raw_input_contents.append(np.array(values, dtype).tobytes())
    answer = answered_natively(both, request)
    assert answer.response is not None
    contents = {
        output.name: raw
        for output, raw in zip(answer.response.outputs, answer.response.raw_output_contents, strict=True)
    }
    assert contents["v"] == (PATTERN[8:32] if shared == "x" else np.array([3, 4, 5]).tobytes())
    assert contents["w"] == (PATTERN[8:16] if shared == "z" else np.array([1, 2], np.int32).tobytes())


def test_one_output_may_go_to_a_region_and_another_into_the_response(both: Both) -> None:
    request = ModelInferRequest(model_name="pair")
    request.inputs.add(name="z", datatype="INT32", shape=[1, 2])
    request.inputs.add(name="x", datatype="INT64", shape=[1, 1])
    request.raw_input_contents.extend([b"abcdefgh", b"ABCDEFGH"])
    request.outputs.add(name="w")
    refer(request.outputs.add(name="v"), REGION_BYTES - 5, 5)
    answer = answered_natively(both, request)
    assert answer.response is not None
    assert list(answer.response.raw_output_contents) == [b"", b"abcdefgh"]
    assert content(both, 5, 8) == b"ABCDEFGH"


def test_an_output_is_converted_on_its_way_into_a_region(both: Both) -> None:
    request = ModelInferRequest(model_name="narrowing")
    request.inputs.add(name="x", datatype="INT64", shape=[1, 2])
    request.raw_input_contents.append(np.array([-7, 2**31 - 1]).tobytes())
    refer(request.outputs.add(name="y"), 16, PAGE)
    assert answered_natively(both, request).code == StatusCode.OK
    assert np.frombuffer(content(both, PAGE, 16), np.int64).tolist() == [-7, 2**31 - 1]


def test_an_output_that_does_not_fit_its_place_is_not_written_at_all(both: Both) -> None:
    request = shared_request()
    request.outputs[0].parameters["shared_memory_byte_size"].int64_param = 15
    assert answered_natively(both, request) == Answer(
        StatusCode.INTERNAL,
        "shared memory size specified with the request for output 'y' (15 bytes) should be at least 16 bytes to hold "
        "the results",
    )
    assert content(both, 0, REGION_BYTES) == PATTERN


def test_an_input_of_another_size_than_its_place_is_refused(both: Both) -> None:
    assert answered_natively(both, shared_request(count=5)) == Answer(
        StatusCode.INVALID_ARGUMENT,
        "[request id: 7] input byte size mismatch for input 'x' for model 'FP32'. Expected 20, got 16",
    )


def region(tensor: TensorMessage, name: str) -> None:
    tensor.parameters["shared_memory_region"].string_param = name


def offset(tensor: TensorMessage, value: int) -> None:
    tensor.parameters["shared_memory_offset"].int64_param = value


def size(tensor: TensorMessage, value: int) -> None:
    tensor.parameters["shared_memory_byte_size"].int64_param = value


HANDED_ON: dict[str, Callable[[TensorMessage], object]] = {
    "an unknown region": lambda tensor: region(tensor, "nope"),
    "no name": lambda tensor: region(tensor, ""),
    "the region's end": lambda tensor: offset(tensor, REGION_BYTES),
    "across the region's end": lambda tensor: offset(tensor, REGION_BYTES - 15),
    "the greatest offset": lambda tensor: offset(tensor, 2**63 - 1),
    "a negative offset": lambda tensor: offset(tensor, -1),
    "the least offset": lambda tensor: offset(tensor, -(2**63)),
    "no bytes": lambda tensor: size(tensor, 0),
    "too many bytes": lambda tensor: size(tensor, REGION_BYTES + 1),
    "the most bytes": lambda tensor: size(tensor, 2**63 - 1),
    "negative bytes, which with the offset overflow": lambda tensor: size(tensor, -1),
    "the least bytes": lambda tensor: size(tensor, -(2**63)),
    "a region without a size": lambda tensor: tensor.parameters.pop("shared_memory_byte_size"),
    "a size without a region": lambda tensor: tensor.parameters.pop("shared_memory_region"),
    "a region of another kind": lambda tensor: tensor.parameters["shared_memory_region"].MergeFromString(b"\x08\1"),
    "an offset of another kind": lambda tensor: tensor.parameters["shared_memory_offset"].MergeFromString(b"\x28\1"),
    "a size of another kind": lambda tensor: tensor.parameters["shared_memory_byte_size"].MergeFromString(b"\x08\1"),
}


@pytest.mark.parametrize("place", ["input", "output"])
@pytest.mark.parametrize("case", HANDED_ON)
def test_every_other_reference_is_the_handlers_to_refuse(both: Both, case: str, place: str) -> None:
    request = shared_request()
    HANDED_ON[case](request.inputs[0] if place == "input" else request.outputs[0])
    message = request.SerializeToString()
    assert both[1].answer(message) is None
    assert agree(both, message).code in (StatusCode.INVALID_ARGUMENT, StatusCode.NOT_FOUND)


def test_what_takes_more_than_reading_is_the_handlers(both: Both) -> None:
    given_twice = shared_request()
    given_twice.inputs[0].contents.fp32_contents.append(1)
    classified = shared_request()
    classified.outputs[0].parameters["classification"].int64_param = 1
    narrowed = shared_request("INT64", 2)
    narrowed.model_name = "INT32"
    narrowed.outputs[0].parameters["shared_memory_byte_size"].int64_param = 8
    strings = ModelInferRequest(model_name="strings")
    refer(strings.inputs.add(name="x", datatype="BYTES", shape=[1]), 16)
    for request in (given_twice, classified, narrowed, strings):
        assert both[1].answer(request.SerializeToString()) is None
        agree(both, request.SerializeToString())


def test_an_object_that_was_made_smaller_is_not_touched(both: Both) -> None:
    message = shared_request().SerializeToString()
    os.truncate(both[0].memory, REGION_BYTES - 1)
    try:
        assert both[1].answer(message) is None
    finally:
        os.truncate(both[0].memory, REGION_BYTES)
    assert answered_natively(both, shared_request()).code == StatusCode.OK
