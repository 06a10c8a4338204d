"""Puts a response into a ModelInfer message."""

import numpy as np

from npuserve._proto.inference_pb2 import InferParameter, InferTensorContents, ModelInferResponse
from npuserve.core.contents import CONTENTS_FIELDS
from npuserve.core.dtype import Dtype
from npuserve.core.elements import split_elements
from npuserve.core.errors import invalid
from npuserve.core.request import InferenceResponse, ParameterValue
from npuserve.core.tensor import Tensor

MAX_MESSAGE_BYTES = 2**31 - 1


def infer_message(response: InferenceResponse, *, typed: bool = False) -> ModelInferResponse:
    """Return the message, outputs as raw contents, or as typed ones if asked so.

    Raises ServeError (INVALID_ARGUMENT) if they exceed a message.
    """
    size = sum(len(tensor.data) for tensor in response.outputs)
    if size > MAX_MESSAGE_BYTES:
        raise invalid(f"Response has byte size {size} which exceeds gRPC's byte size limit {MAX_MESSAGE_BYTES}.")
    message = ModelInferResponse(model_name=response.model, model_version=response.version, id=response.id)
    for key, value in response.parameters.items():
        set_parameter(message.parameters[key], value)
    for tensor in response.outputs:
        output = message.outputs.add(name=tensor.name, datatype=tensor.dtype.value, shape=tensor.shape)
        if typed:
            _set_contents(output.contents, tensor)
        else:
            message.raw_output_contents.append(bytes(tensor.data))
    return message


def set_parameter(parameter: InferParameter, value: ParameterValue) -> None:
    """Store a value in the field of its kind."""
    match value:
        case bool():
            parameter.bool_param = value
        case int():
            parameter.int64_param = value
        case float():
            parameter.double_param = value
        case str():
            parameter.string_param = value


def _set_contents(contents: InferTensorContents, tensor: Tensor) -> None:
    if tensor.dtype is Dtype.BYTES:
        contents.bytes_contents.extend(split_elements(tensor.data))
        return
    values = np.frombuffer(tensor.data, tensor.dtype.numpy)
    if tensor.dtype is Dtype.BF16:
        values = (values.astype("<u4") << 16).view("<f4")
    getattr(contents, CONTENTS_FIELDS[tensor.dtype]).extend(values.tolist())
