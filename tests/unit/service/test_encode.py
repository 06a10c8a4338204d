import math

import numpy as np
import pytest
from npuserve._proto.inference_pb2 import ModelInferRequest
from npuserve.core.dtype import Dtype
from npuserve.core.elements import join_elements
from npuserve.core.request import InferenceResponse
from npuserve.core.tensor import Tensor
from npuserve.service.encode import infer_message
from npuserve.service.parameters import wants_typed_contents

CASES = [
    (Dtype.BOOL, "bool_contents", [True, False]),
    (Dtype.INT8, "int_contents", [-128, 127]),
    (Dtype.INT16, "int_contents", [-(2**15), 2**15 - 1]),
    (Dtype.INT32, "int_contents", [-(2**31), 2**31 - 1]),
    (Dtype.INT64, "int64_contents", [-(2**63), 2**63 - 1]),
    (Dtype.UINT8, "uint_contents", [0, 255]),
    (Dtype.UINT16, "uint_contents", [0, 65535]),
    (Dtype.UINT32, "uint_contents", [0, 2**32 - 1]),
    (Dtype.UINT64, "uint64_contents", [0, 2**64 - 1]),
    (Dtype.FP16, "fp32_contents", [0.5, -65504.0]),
    (Dtype.FP32, "fp32_contents", [0.5, -1.25]),
    (Dtype.FP64, "fp64_contents", [0.1, -1e300]),
]


def response(*tensors: Tensor) -> InferenceResponse:
    return InferenceResponse(model="m", version="3", id="7", parameters={"a": 0.5, "b": True}, outputs=tensors)


@pytest.mark.parametrize(("dtype", "field", "values"), CASES, ids=[case[0].value for case in CASES])
def test_a_typed_response_has_no_raw_contents(dtype: Dtype, field: str, values: list[float]) -> None:
    tensor = Tensor("y", dtype, (2,), memoryview(np.array(values, dtype.numpy).tobytes()))
    message = infer_message(response(tensor), typed=True)
    (output,) = message.outputs
    assert (output.name, output.datatype, list(output.shape)) == ("y", dtype.value, [2])
    assert list(getattr(output.contents, field)) == values
    assert [descriptor.name for descriptor, _ in output.contents.ListFields()] == [field]
    assert not message.raw_output_contents


def test_bfloat16_is_the_upper_half_of_its_float() -> None:
    bits = np.array([0x3F80, 0xC020, 0x7F80, 0x7FC0], "<u2").tobytes()
    (output,) = infer_message(response(Tensor("y", Dtype.BF16, (4,), bits)), typed=True).outputs
    *numbers, nan = output.contents.fp32_contents
    assert numbers == [1.0, -2.5, math.inf]
    assert math.isnan(nan)


def test_typed_strings_are_elements() -> None:
    tensor = Tensor("y", Dtype.BYTES, (3,), join_elements([b"a", b"", bytes(300)]))
    (output,) = infer_message(response(tensor), typed=True).outputs
    assert list(output.contents.bytes_contents) == [b"a", b"", bytes(300)]


def test_raw_is_what_is_answered_unless_asked_otherwise() -> None:
    tensors = [Tensor("y", Dtype.FP16, (1,), b"ab"), Tensor("z", Dtype.FP32, (1,), b"")]
    message = infer_message(response(*tensors))
    assert list(message.raw_output_contents) == [b"ab", b""]
    assert not any(output.HasField("contents") for output in message.outputs)
    assert (message.model_name, message.model_version, message.id) == ("m", "3", "7")
    assert message.parameters["a"].double_param == 0.5
    assert message.parameters["b"].bool_param


@pytest.mark.parametrize(
    ("flags", "typed"), [([], False), ([None], False), ([True], False), ([False], True), ([None, False], True)]
)
def test_one_output_that_is_not_wanted_binary_decides_for_all(flags: list[bool | None], typed: bool) -> None:
    request = ModelInferRequest()
    for index, flag in enumerate(flags):
        output = request.outputs.add(name=str(index))
        if flag is not None:
            output.parameters["binary_data"].bool_param = flag
    assert wants_typed_contents(request) is typed


def test_a_flag_of_another_kind_means_nothing() -> None:
    request = ModelInferRequest()
    request.outputs.add(name="y").parameters["binary_data"].int64_param = 0
    assert not wants_typed_contents(request)
