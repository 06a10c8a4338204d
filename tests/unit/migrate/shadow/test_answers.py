"""Answers as arrays, whatever form they came in."""

import gzip
import zlib

import numpy as np
import pytest
from npuserve._proto import inference_pb2 as pb
from npuserve.core.elements import join_elements
from npuserve.migrate.shadow.answers import classified, inflated, inputs_of, outputs_of


def response(datatype: str, shape: list[int], raw: bytes | None = None, **typed: list[object]) -> bytes:
    message = pb.ModelInferResponse(model_name="m")
    tensor = message.outputs.add(name="y", datatype=datatype, shape=shape)
    for name, values in typed.items():
        getattr(tensor.contents, name).extend(values)
    if raw is not None:
        message.raw_output_contents.append(raw)
    return message.SerializeToString()


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floats_come_out_as_they_are(dtype: type[np.floating]) -> None:
    values = np.array([[0.5, -2.0]], dtype)
    tensor = outputs_of(response(f"FP{values.itemsize * 8}", [1, 2], values.tobytes()))["y"]
    assert tensor.is_float
    assert tensor.values.tolist() == [[0.5, -2.0]]


def test_bfloat16_is_the_upper_half_of_a_float() -> None:
    bits = (np.array([1.5, -3.0], np.float32).view(np.uint32) >> 16).astype(np.uint16)
    assert outputs_of(response("BF16", [2], bits.tobytes()))["y"].values.tolist() == [1.5, -3.0]


def test_integers_and_texts_keep_their_values() -> None:
    assert outputs_of(response("INT64", [1], np.array([-7]).tobytes()))["y"].values.tolist() == [-7]
    texts = outputs_of(response("BYTES", [2], join_elements([b"ab", b"cd"])))["y"]
    assert texts.values.tolist() == [b"ab", b"cd"]
    assert not texts.is_float


def test_typed_contents_are_the_same() -> None:
    assert outputs_of(response("FP32", [2], fp32_contents=[0.5, 2.0]))["y"].values.tolist() == [0.5, 2.0]
    assert outputs_of(response("BYTES", [1], bytes_contents=[b"x"]))["y"].values.tolist() == [b"x"]


@pytest.mark.parametrize(
    ("message", "complaint"),
    [
        (b"\xff\xff", "no ModelInferResponse"),
        (response("FP32", [3], b"\0" * 8), "'y' cannot be read"),
        (response("WHAT", [1], b"\0"), "'y' cannot be read"),
        (response("BYTES", [1], b"\x09\0\0\0x"), "'y' cannot be read"),
    ],
)
def test_what_is_not_whole_is_said_so(message: bytes, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        outputs_of(message)


def test_answers_that_left_compressed_are_inflated() -> None:
    message = response("INT64", [1], np.array([1]).tobytes())
    assert inflated(gzip.compress(message)) == message
    assert inflated(zlib.compress(message)) == message
    with pytest.raises(ValueError, match="decompressed"):
        inflated(message)


def test_a_request_tells_its_inputs_and_which_outputs_are_classes() -> None:
    request = pb.ModelInferRequest(model_name="m")
    request.inputs.add(name="x", datatype="FP32", shape=[1])
    request.raw_input_contents.append(np.array([2.5], np.float32).tobytes())
    request.outputs.add(name="a").parameters["classification"].int64_param = 2
    request.outputs.add(name="b")
    assert inputs_of(request)["x"].values.tolist() == [2.5]
    assert classified(request) == {"a"}
