"""Takes a ModelInfer message apart, with Triton's refusals: parameters, each input's bytes, requested outputs."""

import struct
from collections.abc import Iterable

import numpy as np

from npuserve._proto.inference_pb2 import InferParameter, InferTensorContents, ModelInferRequest
from npuserve.core.dtype import Dtype
from npuserve.core.errors import invalid
from npuserve.core.request import GivenTensor, InferenceRequest, ParameterValue, RequestedOutput
from npuserve.service.parameters import (
    check_output_parameters,
    check_request_parameters,
    shared_memory_reference,
    unknown_region,
)
from npuserve.service.validate import id_prefix

_DTYPES = {dtype.value: dtype for dtype in Dtype}

# Typed fields in the order in which Triton looks at them, the dtypes that each may carry, and the dtype that it
# stands for in a refusal. FP16 and BF16 have no field: they travel as raw bytes alone.
_FIELDS: tuple[tuple[str, str, frozenset[Dtype]], ...] = (
    ("bool_contents", "BOOL", frozenset({Dtype.BOOL})),
    ("int_contents", "INT32", frozenset({Dtype.INT8, Dtype.INT16, Dtype.INT32})),
    ("int64_contents", "INT64", frozenset({Dtype.INT64})),
    ("uint_contents", "UINT32", frozenset({Dtype.UINT8, Dtype.UINT16, Dtype.UINT32})),
    ("uint64_contents", "UINT64", frozenset({Dtype.UINT64})),
    ("fp32_contents", "FP32", frozenset({Dtype.FP32})),
    ("fp64_contents", "FP64", frozenset({Dtype.FP64})),
    ("bytes_contents", "BYTES", frozenset({Dtype.BYTES})),
)
_WIDE = {"int_contents": np.dtype("<i4"), "uint_contents": np.dtype("<u4")}


def inference_request(message: ModelInferRequest, deadline: float | None) -> InferenceRequest:
    """Return what the message asks for. Raises ServeError (INVALID_ARGUMENT; NOT_FOUND for an unknown region)."""
    check_request_parameters(message)
    check_unique_names(message)
    data = input_data(message)
    check_output_parameters(message)
    return InferenceRequest(
        model=message.model_name,
        version=message.model_version,
        id=message.id,
        parameters={key: _parameter(value) for key, value in message.parameters.items()},
        inputs=[
            GivenTensor(tensor.name, parse_dtype(tensor.datatype), tuple(tensor.shape), content)
            for tensor, content in zip(message.inputs, data, strict=True)
        ],
        outputs=[RequestedOutput(name=output.name) for output in message.outputs],
        deadline=deadline,
    )


def _parameter(value: InferParameter) -> ParameterValue:
    kind = value.WhichOneof("parameter_choice")
    parameter: ParameterValue = "" if kind is None else getattr(value, kind)
    return parameter


def check_unique_names(message: ModelInferRequest) -> None:
    """Refuse an input or a requested output that is named twice. Raises ServeError (INVALID_ARGUMENT)."""
    for kind, tensors in (("input", message.inputs), ("output", message.outputs)):
        seen: set[str] = set()
        for tensor in tensors:
            if tensor.name in seen:
                raise invalid(f"{id_prefix(message.id)}{kind} '{tensor.name}' already exists in request")
            seen.add(tensor.name)


def parse_dtype(datatype: str) -> Dtype | None:
    """Return the dtype of a wire name, None if there is none of that name."""
    return _DTYPES.get(datatype)


def input_data(request: ModelInferRequest) -> list[bytes]:
    """Return each input's raw bytes, in the request's order; raw contents are passed on as they are.

    Raw entries belong to the inputs in order; entries beyond the last input are ignored. Raises ServeError
    (INVALID_ARGUMENT; NOT_FOUND for a shared memory region, none of which is ever registered).
    """
    taken = 0
    data: list[bytes] = []
    raw = request.raw_input_contents
    for tensor in request.inputs:
        of = f"'{tensor.name}' for model '{request.model_name}'"
        reference = shared_memory_reference(tensor.name, tensor.parameters)
        typed = tensor.HasField("contents")
        if reference is not None:
            if typed:
                raise invalid(f"unexpected 'content' provided when using shared memory for input tensor {of}")
            raise unknown_region(reference)
        if typed and raw:
            raise invalid(f"contents field must not be specified when using raw_input_contents for {of}")
        if typed:
            data.append(typed_bytes(tensor.contents, parse_dtype(tensor.datatype), of))
        elif taken < len(raw):
            data.append(raw[taken])
            taken += 1
        else:
            raise invalid(f"unable to find data for input tensor {of} in request.")
    return data


def typed_bytes(contents: InferTensorContents, dtype: Dtype | None, of: str) -> bytes:
    """Return typed contents in raw form; empty contents give no bytes.

    of: the tensor and its model, as refusals name them. Raises ServeError (INVALID_ARGUMENT).
    """
    result: bytes | None = None
    for field, stands_for, carried in _FIELDS:
        values = getattr(contents, field)
        if not values:
            continue
        if result is not None:
            raise invalid(f"unexpected explicit tensor data for input tensor {of}, binary data was already supplied.")
        if dtype is None or dtype not in carried:
            expected = "<invalid>" if dtype is None else dtype.value
            raise invalid(
                f"unexpected explicit tensor data for input tensor {of} of type '{stands_for}', "
                f"expected datatype '{expected}'"
            )
        if dtype is Dtype.BYTES:
            result = join_elements(values)
        else:
            # Narrow integers keep their low bytes, as a C cast does.
            result = np.array(values, dtype=_WIDE.get(field, dtype.numpy)).astype(dtype.numpy).tobytes()
    return b"" if result is None else result


def join_elements(elements: Iterable[bytes]) -> bytes:
    """Return BYTES elements in raw form: a 4-byte little-endian length before each."""
    return b"".join(part for element in elements for part in (struct.pack("<I", len(element)), element))
