"""What the conformance tests cannot reach with a model that an NPU runs: strings, reshapes, odd dimensions."""

import struct

import pytest
from google.protobuf import text_format
from hypothesis import given
from hypothesis import strategies as st
from npuserve._proto.model_config_pb2 import ModelConfig
from npuserve.core.dtype import Dtype
from npuserve.core.elements import join_elements
from npuserve.core.errors import ServeError
from npuserve.core.request import GivenTensor, InferenceRequest
from npuserve.core.tensor import Tensor
from npuserve.service.interface import ModelInterface, carry_sizes, interface_of
from npuserve.service.outputs import as_declared
from npuserve.service.validate import validated_inputs


def model(text: str) -> ModelInterface:
    return interface_of(text_format.Parse(text, ModelConfig()))


STRINGS = model('name: "m" max_batch_size: 8 input { name: "x" data_type: TYPE_STRING dims: 1 }')
RESHAPED = model(
    'name: "m" max_batch_size: 8 '
    'input { name: "x" data_type: TYPE_UINT8 dims: [ -1, 4 ] reshape { shape: [ 2, -1, 2 ] } } '
    'output { name: "y" data_type: TYPE_UINT8 dims: [ -1, 4 ] reshape { shape: [ 2, -1, 2 ] } }'
)


def request_of(shape: tuple[int, ...], content: bytes, dtype: Dtype = Dtype.BYTES, id: str = "") -> InferenceRequest:
    return InferenceRequest(model="m", id=id, inputs=[GivenTensor("x", dtype, shape, content)])


def refusal(shape: tuple[int, ...], content: bytes, request_id: str = "") -> str:
    with pytest.raises(ServeError) as caught:
        validated_inputs(request_of(shape, content, id=request_id), STRINGS)
    return caught.value.message


@pytest.mark.parametrize(
    ("shape", "content", "text"),
    [
        (
            (2, 1),
            join_elements([b"ab"]),
            "[request id: w] expected 2 string elements for inference input 'x' for model 'm', got 1",
        ),
        (
            (1, 1),
            join_elements([b"ab", b"c"]),
            "[request id: w] unexpected number of string elements 2 for inference input 'x' for model 'm', expecting 1",
        ),
        (
            (1, 1),
            join_elements([b"ab"]) + b"\x01",
            "[request id: w] incomplete string length indicator for inference input 'x' for model 'm', expecting 4 "
            "bytes but only 1 bytes available. Please make sure the string length indicator is in one buffer.",
        ),
        (
            (1, 1),
            struct.pack("<I", 5) + b"ab",
            "incomplete string data for inference input 'x', expecting string of length 5 but only 2 bytes available",
        ),
        # The count is looked at before the last element's own length.
        (
            (2, 1),
            struct.pack("<I", 5) + b"ab",
            "[request id: w] expected 2 string elements for inference input 'x' for model 'm', got 1",
        ),
    ],
)
def test_broken_string_tensors_are_refused_as_triton_refuses_them(
    shape: tuple[int, ...], content: bytes, text: str
) -> None:
    assert refusal(shape, content, "w") == text


@given(st.lists(st.binary(max_size=20), min_size=1, max_size=8))
def test_any_strings_of_the_stated_number_pass_unchanged(elements: list[bytes]) -> None:
    content = join_elements(elements)
    tensors, rows = validated_inputs(request_of((len(elements), 1), content), STRINGS)
    assert tensors["x"] == Tensor("x", Dtype.BYTES, (len(elements), 1), content)
    assert tensors["x"].data is content
    assert rows == len(elements)


@given(st.binary(max_size=40), st.integers(1, 4))
def test_any_bytes_as_strings_pass_whole_or_are_refused(content: bytes, rows: int) -> None:
    try:
        tensors, _ = validated_inputs(request_of((rows, 1), content), STRINGS)
    except ServeError:
        return
    position = 0
    for _ in range(rows):
        position += 4 + struct.unpack_from("<I", tensors["x"].data, position)[0]
    assert position == len(content)


@pytest.mark.parametrize("shape", [(-1, 1), (-2, 1)])
def test_a_negative_batch_never_reaches_a_model(shape: tuple[int, ...]) -> None:
    assert "All input dimensions should be specified for input 'x' for model 'm', got [-" in refusal(shape, b"")


def test_a_model_sees_its_reshape_and_the_client_the_dims() -> None:
    content = bytes(range(24))
    tensors, rows = validated_inputs(request_of((2, 3, 4), content, Dtype.UINT8), RESHAPED)
    assert (tensors["x"].shape, rows) == ((2, 2, 3, 2), 2)
    answered = as_declared(RESHAPED, Tensor("y", Dtype.UINT8, (2, 2, 3, 2), content))
    assert answered == Tensor("y", Dtype.UINT8, (2, 3, 4), content)


def test_an_empty_dimension_passes_with_no_bytes() -> None:
    tensors, _ = validated_inputs(request_of((1, 0, 4), b"", Dtype.UINT8), RESHAPED)
    assert tensors["x"].shape == (1, 2, 0, 2)


def test_sizes_are_carried_over_in_order() -> None:
    assert carry_sizes((5, 2, 7), (-1, 2, -1), (-1, 1, -1, 2)) == (5, 1, 7, 2)


def test_a_model_without_batching_has_one_row() -> None:
    plain = model('name: "m" input { name: "x" data_type: TYPE_UINT8 dims: [ 6 ] }')
    tensors, rows = validated_inputs(request_of((6,), bytes(6), Dtype.UINT8), plain)
    assert (tensors["x"].shape, rows) == ((6,), 1)
