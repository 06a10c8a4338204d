"""Takes a ModelInfer message apart, with Triton's refusals: parameters, each input's bytes, requested outputs."""

import re
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from npuserve._proto.inference_pb2 import InferParameter, InferTensorContents, ModelInferRequest
from npuserve.core.dtype import Dtype
from npuserve.core.elements import join_elements
from npuserve.core.errors import invalid
from npuserve.core.request import GivenTensor, InferenceRequest, ParameterValue, RequestedOutput
from npuserve.service.call import Call
from npuserve.service.forwarding import forwarded_headers
from npuserve.service.parameters import check_request_parameters, class_count, shared_memory_reference
from npuserve.service.regions import SharedMemoryReference, SharedMemoryRegions
from npuserve.service.validate import id_prefix

_DTYPES = {dtype.value: dtype for dtype in Dtype}

# Typed fields in the order in which Triton looks at them, the dtypes that each may carry, and the dtype that it
# stands for in a refusal. FP16 and BF16 have no field of their own: FP32 values are rounded to them.
_FIELDS: tuple[tuple[str, str, frozenset[Dtype]], ...] = (
    ("bool_contents", "BOOL", frozenset({Dtype.BOOL})),
    ("int_contents", "INT32", frozenset({Dtype.INT8, Dtype.INT16, Dtype.INT32})),
    ("int64_contents", "INT64", frozenset({Dtype.INT64})),
    ("uint_contents", "UINT32", frozenset({Dtype.UINT8, Dtype.UINT16, Dtype.UINT32})),
    ("uint64_contents", "UINT64", frozenset({Dtype.UINT64})),
    ("fp32_contents", "FP32", frozenset({Dtype.FP32, Dtype.FP16, Dtype.BF16})),
    ("fp64_contents", "FP64", frozenset({Dtype.FP64})),
    ("bytes_contents", "BYTES", frozenset({Dtype.BYTES})),
)
_WIDE = {"int_contents": np.dtype("<i4"), "uint_contents": np.dtype("<u4"), "fp32_contents": np.dtype("<f4")}

Memory = Callable[[SharedMemoryReference], memoryview]


class RequestDecoder:
    """Takes messages apart, with what a server lets them refer to.

    regions: the shared memory that its clients registered. forwarded: which headers of a call become parameters.
    """

    def __init__(self, regions: SharedMemoryRegions, *, forwarded: re.Pattern[str] | None = None) -> None:
        self._regions = regions
        self._forwarded = forwarded

    def decode(self, message: ModelInferRequest, call: Call) -> InferenceRequest:
        """Return what the message asks for.

        Raises ServeError: INVALID_ARGUMENT; for shared memory also NOT_FOUND, UNIMPLEMENTED.
        """

        def memory(reference: SharedMemoryReference) -> memoryview:
            self._regions.check_peer(call.peer)
            return self._regions.memory(reference)

        check_request_parameters(message)
        check_unique_names(message)
        data = input_data(message, memory)
        outputs = requested_outputs(message, memory) if message.outputs else ()
        # Most have none, and asking a message's map for its items is not cheap.
        parameters = {key: _parameter(value) for key, value in message.parameters.items()} if message.parameters else {}
        if self._forwarded is not None:
            parameters |= forwarded_headers(self._forwarded, call.metadata)
        return InferenceRequest(
            model=message.model_name,
            version=message.model_version,
            id=message.id,
            parameters=parameters,
            inputs=[
                GivenTensor(tensor.name, parse_dtype(tensor.datatype), tuple(tensor.shape), content)
                for tensor, content in zip(message.inputs, data, strict=True)
            ],
            outputs=outputs,
            deadline=call.deadline,
            front_end="grpc",
            trace_parent=_header(call, "traceparent"),
        )


def _header(call: Call, name: str) -> str:
    for key, value in call.metadata:
        if key == name:
            return value if isinstance(value, str) else ""
    return ""


def _parameter(value: InferParameter) -> ParameterValue:
    kind = value.WhichOneof("parameter_choice")
    parameter: ParameterValue = "" if kind is None else getattr(value, kind)
    return parameter


def check_unique_names(message: ModelInferRequest) -> None:
    """Refuse an input or a requested output that is named twice. Raises ServeError (INVALID_ARGUMENT)."""
    for kind, tensors in (("input", message.inputs), ("output", message.outputs)):
        if len(tensors) < 2:
            continue
        names = [tensor.name for tensor in tensors]
        if len(set(names)) < len(names):
            repeated = _first_repeated(names)
            raise invalid(f"{id_prefix(message.id)}{kind} '{repeated}' already exists in request")


def _first_repeated(names: Sequence[str]) -> str:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    raise ValueError("no name is repeated")


def parse_dtype(datatype: str) -> Dtype | None:
    """Return the dtype of a wire name, None if there is none of that name."""
    return _DTYPES.get(datatype)


def input_data(request: ModelInferRequest, memory: Memory) -> list[bytes | memoryview]:
    """Return each input's raw bytes, in the request's order; raw contents are passed on as they are.

    Raw entries belong in order to the inputs that are not in shared memory; entries beyond the last are ignored.
    memory: gives what a reference names. Raises ServeError (INVALID_ARGUMENT, or what `memory` raises).
    """
    taken = 0
    data: list[bytes | memoryview] = []
    raw = request.raw_input_contents
    for tensor in request.inputs:
        reference = shared_memory_reference(tensor.name, tensor.parameters) if tensor.parameters else None
        typed = tensor.HasField("contents")
        if reference is None and not typed and taken < len(raw):
            data.append(raw[taken])
            taken += 1
            continue
        of = f"'{tensor.name}' for model '{request.model_name}'"
        if reference is not None:
            if typed:
                raise invalid(f"unexpected 'content' provided when using shared memory for input tensor {of}")
            data.append(_shared(memory(reference), tensor.datatype))
        elif not typed:
            raise invalid(f"unable to find data for input tensor {of} in request.")
        elif raw:
            raise invalid(f"contents field must not be specified when using raw_input_contents for {of}")
        else:
            data.append(typed_bytes(tensor.contents, parse_dtype(tensor.datatype), of))
    return data


def _shared(memory: memoryview, datatype: str) -> bytes | memoryview:
    # The client may change its memory at any time: lengths that were checked must not change any more.
    return bytes(memory) if datatype == Dtype.BYTES.value else memory


def requested_outputs(request: ModelInferRequest, memory: Memory) -> list[RequestedOutput]:
    """Return what is asked for of each output by its parameters. Raises ServeError as `input_data`."""
    outputs = []
    for output in request.outputs:
        if not output.parameters:
            outputs.append(RequestedOutput(name=output.name))
            continue
        reference = shared_memory_reference(output.name, output.parameters)
        classes = class_count(output.parameters)
        if classes and reference is not None:
            raise invalid("output can't set both 'shared_memory_region' and 'classification'")
        destination = None if reference is None else memory(reference)
        outputs.append(RequestedOutput(name=output.name, class_count=classes, destination=destination))
    return outputs


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
        result = _raw_bytes(values, field, dtype)
    return b"" if result is None else result


def _raw_bytes(values: Sequence[bytes] | Sequence[float], field: str, dtype: Dtype) -> bytes:
    if dtype is Dtype.BYTES:
        return join_elements(values)  # type: ignore[arg-type]  # what bytes_contents holds
    array = np.array(values, dtype=_WIDE.get(field, dtype.numpy))
    if dtype is Dtype.BF16:
        return bfloat16_bits(array).tobytes()
    # Narrow integers keep their low bytes, as a C cast does; floats beyond FP16 become infinite.
    with np.errstate(over="ignore"):
        return array.astype(dtype.numpy).tobytes()


def bfloat16_bits(values: npt.NDArray[np.float32]) -> npt.NDArray[np.uint16]:
    """Return FP32 values as BF16, rounded to the nearest, ties to even; a NaN stays one."""
    bits = values.view("<u4")
    rounded = (bits + np.uint32(0x7FFF) + ((bits >> 16) & np.uint32(1))) >> 16
    return np.where(np.isnan(values), (bits >> 16) | np.uint32(0x40), rounded).astype("<u2")
