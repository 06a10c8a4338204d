"""Models for ModelInfer messages of every kind, and what it means that two answers to them agree."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from npuserve._proto.inference_pb2 import ModelInferRequest
from npuserve.core.dtype import Dtype
from npuserve.core.status import StatusCode
from support.infer_answers import REGION_BYTES, Answer, HandlerAnswers, NativeAnswers

NUMERIC = [dtype for dtype in Dtype if dtype is not Dtype.BYTES]


def tensors(dtype: str, dims: str, name: str = "x", output: str = "y", more: str = "") -> str:
    return (
        f"input {{ name: '{name}' data_type: TYPE_{dtype} dims: [ {dims} ] {more} }} "
        f"output {{ name: '{output}' data_type: TYPE_{dtype} dims: [ {dims} ] {more} }} "
    )


def strings(dims: str, raw_dims: str) -> str:
    return (
        f"input {{ name: 'x' data_type: TYPE_STRING dims: [ {dims} ] }} "
        f"output {{ name: 'raw' data_type: TYPE_UINT8 dims: [ {raw_dims} ] }} "
    )


def parameter(key: str, value: str) -> str:
    return f"parameters {{ key: '{key}' value {{ string_value: '{value}' }} }} "


CONFIGS = {dtype.value: tensors(dtype.value, "-1") for dtype in NUMERIC} | {
    "batched": "max_batch_size: 4 " + tensors("FP32", "2"),
    "fixed": tensors("FP32", "2, 3"),
    "any": tensors("INT8", "-1, -1, -1"),
    # The signature has them the other way round.
    "pair": "max_batch_size: 8 " + tensors("INT32", "2", "z", "w") + tensors("INT64", "-1", "x", "v"),
    "partial": tensors("UINT8", "-1", "x", "y") + "input { name: 'z' data_type: TYPE_UINT8 dims: [ -1 ] }",
    "reshaped": "max_batch_size: 8 " + tensors("UINT8", "-1, 4", more="reshape { shape: [ 2, -1, 2 ] }"),
    "scalar": "max_batch_size: 8 " + tensors("FP32", "1", more="reshape { }"),
    # The model has the other integer type than its config.
    "narrowing": "max_batch_size: 8 " + parameter("model_dtype", "INT32") + tensors("INT64", "-1"),
    "widening": parameter("model_dtype", "INT64") + tensors("INT32", "-1, 2") + tensors("INT32", "1", "z", "w"),
    "unconverted": parameter("convert_integers", "off") + tensors("INT64", "-1"),
    "strings": strings("-1", "-1, -1"),
    "string_rows": "max_batch_size: 4 " + strings("2", "-1"),
}
HANDLERS_KEYS = {
    "shared_memory_region",
    "shared_memory_offset",
    "shared_memory_byte_size",
    "classification",
    "binary_data",
}
MOST_PARTS = 256
# What the regions hold before each request.
PATTERN = np.random.default_rng(1).integers(0, 256, REGION_BYTES, dtype=np.uint8).tobytes()
Both = tuple[HandlerAnswers, NativeAnswers]


def quieted(answer: Answer) -> Answer:
    """Python's floats make signalling NaNs quiet, on the way from typed FP32 contents; the native codec does not."""
    if answer.response is None:
        return answer
    for index, (output, raw) in enumerate(
        zip(answer.response.outputs, answer.response.raw_output_contents, strict=True)
    ):
        if output.datatype == "FP32":
            bits = np.frombuffer(raw, "<u4").copy()
            bits[np.isnan(bits.view("<f4"))] |= 0x00400000
            answer.response.raw_output_contents[index] = bits.tobytes()
    return answer


def handlers_may_decide(message: bytes) -> bool:
    """Whether the native codec has a reason to hand the request on."""
    request = ModelInferRequest.FromString(message)
    keys = {key for tensor in request.inputs for key in tensor.parameters}
    keys |= {key for output in request.outputs for key in output.parameters}
    lists: list[Sequence[Any]] = [request.inputs, request.outputs, request.raw_input_contents]
    lists += [tensor.shape for tensor in request.inputs]
    return (
        request.model_name not in CONFIGS
        or bool(request.model_version)
        or bool(keys & HANDLERS_KEYS)
        or any(tensor.datatype in ("FP16", "BF16") and tensor.contents.fp32_contents for tensor in request.inputs)
        or len(request.parameters) > 1
        or any(len(parts) > MOST_PARTS for parts in lists)
        or any(abs(size) >= 2**40 for tensor in request.inputs for size in tensor.shape)
    )


def agree(both: Both, message: bytes) -> Answer:
    """Ask both; return what they agree on. What the native codec hands on is the handlers' answer."""
    handlers, native = both
    memory = handlers.memory
    memory.write_bytes(PATTERN)
    expected, written = handlers.answer(message), memory.read_bytes()
    memory.write_bytes(PATTERN)
    seen = native.answer(message)
    if seen is None:
        assert handlers_may_decide(message), "handed on without need"
        assert memory.read_bytes() == PATTERN, "handed on after it was written"
        return expected
    if (
        seen.code == expected.code == StatusCode.INTERNAL
        and "output '" in seen.message
        and "output '" in expected.message
    ):
        # Of several outputs that fail, each has its own order.
        return seen
    assert quieted(seen) == quieted(expected)
    assert memory.read_bytes() == written or has_typed_nans(message)
    return seen


def has_typed_nans(message: bytes) -> bool:
    """Whether typed contents have what Python makes quiet, see `quieted`; in a region it is as it is."""
    inputs = ModelInferRequest.FromString(message).inputs
    return any(np.isnan(tensor.contents.fp32_contents).any() for tensor in inputs)
