import math
import re
import struct

import numpy as np
import pytest
from npuserve._proto.inference_pb2 import InferTensorContents, ModelInferRequest
from npuserve.core.dtype import Dtype
from npuserve.core.elements import join_elements
from npuserve.core.errors import ServeError
from npuserve.service.call import Call
from npuserve.service.decode import RequestDecoder, input_data, typed_bytes
from npuserve.service.forwarding import forward_pattern, forwarded_headers
from npuserve.service.regions import SharedMemoryReference, SharedMemoryRegions

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


def halves(dtype: Dtype, *values: float) -> list[int]:
    raw = typed_bytes(InferTensorContents(fp32_contents=values), dtype, "'x' for model 'm'")
    return [int(bits) for bits in np.frombuffer(raw, "<u2")]


def test_typed_floats_are_rounded_to_half_precision() -> None:
    # 1 + 2^-11 lies between two halves, and so does 1 + 3 * 2^-11: each goes to the even one.
    assert halves(Dtype.FP16, 1.0, 1 + 2**-11, 1 + 3 * 2**-11, -2.5) == [0x3C00, 0x3C00, 0x3C02, 0xC100]


def test_typed_floats_are_rounded_to_bfloat16() -> None:
    assert halves(Dtype.BF16, 1.0, 1 + 2**-8, 1 + 3 * 2**-8, -2.5) == [0x3F80, 0x3F80, 0x3F82, 0xC020]


@pytest.mark.parametrize(("dtype", "infinity"), [(Dtype.FP16, 0x7C00), (Dtype.BF16, 0x7F80)])
def test_what_half_precision_cannot_hold_becomes_infinite_or_stays_no_number(dtype: Dtype, infinity: int) -> None:
    too_large = 3.4028235e38
    *infinite, nan = halves(dtype, too_large, -too_large, math.inf, math.nan)
    assert infinite == [infinity, infinity | 0x8000, infinity]
    assert nan & 0x7FFF > infinity


@pytest.mark.parametrize("dtype", [Dtype.FP16, Dtype.BF16])
def test_half_precision_has_no_other_field_than_that_of_floats(dtype: Dtype) -> None:
    with pytest.raises(ServeError, match=f"of type 'INT32', expected datatype '{dtype.value}'"):
        typed_bytes(InferTensorContents(int_contents=[1]), dtype, "'x' for model 'm'")


def test_joined_elements_are_those_of_the_protocol() -> None:
    elements = [b"", b"a", bytes(300)]
    assert join_elements(elements) == b"".join(struct.pack("<I", len(part)) + part for part in elements)


def no_memory(reference: SharedMemoryReference) -> memoryview:
    raise AssertionError(reference)


def test_raw_entries_go_to_the_inputs_in_order_and_the_rest_is_ignored() -> None:
    request = ModelInferRequest(model_name="m", raw_input_contents=[b"1", b"2", b"3"])
    request.inputs.add(name="a")
    request.inputs.add(name="b")
    assert input_data(request, no_memory) == [b"1", b"2"]


def in_region(request: ModelInferRequest, name: str, datatype: str = "FP32") -> None:
    tensor = request.inputs.add(name=name, datatype=datatype)
    tensor.parameters["shared_memory_region"].string_param = "r"
    tensor.parameters["shared_memory_byte_size"].int64_param = 4


def test_raw_entries_skip_the_inputs_that_lie_in_shared_memory() -> None:
    memory = memoryview(bytearray(b"here"))
    request = ModelInferRequest(model_name="m", raw_input_contents=[b"2"])
    in_region(request, "a")
    request.inputs.add(name="b")
    shared, raw = input_data(request, lambda reference: memory)
    assert shared is memory
    assert raw == b"2"


def test_strings_in_shared_memory_are_copied_before_their_lengths_are_checked() -> None:
    memory = bytearray(b"\0\0\0\0")
    request = ModelInferRequest(model_name="m")
    in_region(request, "a", "BYTES")
    (data,) = input_data(request, lambda reference: memoryview(memory))
    memory[0] = 255
    assert data == b"\0\0\0\0"


def test_headers_that_match_become_parameters_and_the_last_of_a_name_counts() -> None:
    decoder = RequestDecoder(SharedMemoryRegions(), forwarded=forward_pattern("FWD"))
    message = ModelInferRequest()
    message.parameters["fwd"].string_param = "client"
    message.parameters["n"].int64_param = 1
    call = Call(metadata=(("fwd", "1"), ("x-fwd", "2"), ("other", "3"), ("fwd", "4"), ("traceparent", "00-1-2-01")))
    request = decoder.decode(message, call)
    assert request.parameters == {"fwd": "4", "x-fwd": "2", "n": 1}
    assert (request.front_end, request.trace_parent) == ("grpc", "00-1-2-01")


@pytest.mark.parametrize("name", ["timeout", "priority", "sequence_id", "triton_x"])
def test_a_header_under_a_reserved_name_is_refused(name: str) -> None:
    decoder = RequestDecoder(SharedMemoryRegions(), forwarded=forward_pattern(".*"))
    with pytest.raises(ServeError) as caught:
        decoder.decode(ModelInferRequest(), Call(metadata=((name, "1"),)))
    assert caught.value.message == f"Header '{name}' is reserved for Triton usage and cannot be forwarded."


def test_case_counts_only_if_the_pattern_says_so() -> None:
    assert forward_pattern("") is None
    assert forwarded_headers(compiled("A"), [("a", "1")]) == {"a": "1"}
    assert forwarded_headers(compiled("(?-i)A"), [("a", "1")]) == {}


def test_a_pattern_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="invalid header forward pattern"):
        forward_pattern("(")


def compiled(text: str) -> re.Pattern[str]:
    pattern = forward_pattern(text)
    assert pattern is not None
    return pattern
