import struct

import numpy as np
import pytest
from npuserve._proto.inference_pb2 import InferTensorContents, ModelInferRequest
from npuserve.core.dtype import Dtype
from npuserve.core.errors import ServeError
from npuserve.service.decode import input_data, join_elements, typed_bytes

CASES = [
    (Dtype.BOOL, "bool_contents", [True, False]),
    (Dtype.INT8, "int_contents", [-1, 127]),
    (Dtype.INT16, "int_contents", [-300, 300]),
    (Dtype.INT32, "int_contents", [-70000, 70000]),
    (Dtype.INT64, "int64_contents", [-(2**40), 2**40]),
    (Dtype.UINT8, "uint_contents", [0, 255]),
    (Dtype.UINT16, "uint_contents", [0, 65535]),
    (Dtype.UINT32, "uint_contents", [0, 2**32 - 1]),
    (Dtype.UINT64, "uint64_contents", [0, 2**64 - 1]),
    (Dtype.FP32, "fp32_contents", [0.5, -1.25]),
    (Dtype.FP64, "fp64_contents", [0.1, -1e300]),
]


@pytest.mark.parametrize(("dtype", "field", "values"), CASES, ids=[case[0].value for case in CASES])
def test_typed_contents_become_raw_little_endian_bytes(dtype: Dtype, field: str, values: list[float]) -> None:
    contents = InferTensorContents()
    getattr(contents, field).extend(values)
    assert typed_bytes(contents, dtype, "'x' for model 'm'") == np.array(values, dtype.numpy).tobytes()


def test_narrow_integers_keep_their_low_bytes() -> None:
    assert typed_bytes(InferTensorContents(int_contents=[0x1234]), Dtype.INT8, "'x' for model 'm'") == b"\x34"
    assert typed_bytes(InferTensorContents(uint_contents=[0x12345]), Dtype.UINT16, "'x' for model 'm'") == b"\x45\x23"


def test_typed_bytes_get_their_lengths() -> None:
    contents = InferTensorContents(bytes_contents=[b"ab", b""])
    assert typed_bytes(contents, Dtype.BYTES, "'x' for model 'm'") == b"\x02\0\0\0ab\0\0\0\0"


def test_empty_typed_contents_are_no_bytes() -> None:
    assert typed_bytes(InferTensorContents(), Dtype.INT32, "'x' for model 'm'") == b""


@pytest.mark.parametrize("dtype", [Dtype.FP16, Dtype.BF16])
def test_half_precision_has_no_typed_field(dtype: Dtype) -> None:
    with pytest.raises(ServeError, match=f"of type 'FP32', expected datatype '{dtype.value}'"):
        typed_bytes(InferTensorContents(fp32_contents=[1.0]), dtype, "'x' for model 'm'")


def test_joined_elements_are_those_of_the_protocol() -> None:
    elements = [b"", b"a", bytes(300)]
    assert join_elements(elements) == b"".join(struct.pack("<I", len(part)) + part for part in elements)


def test_raw_entries_go_to_the_inputs_in_order_and_the_rest_is_ignored() -> None:
    request = ModelInferRequest(model_name="m", raw_input_contents=[b"1", b"2", b"3"])
    request.inputs.add(name="a")
    request.inputs.add(name="b")
    assert input_data(request) == [b"1", b"2"]
