"""Puts a response into a ModelInfer message."""

from npuserve._proto.inference_pb2 import InferParameter, ModelInferResponse
from npuserve.core.errors import invalid
from npuserve.core.request import InferenceResponse, ParameterValue

MAX_MESSAGE_BYTES = 2**31 - 1


def infer_message(response: InferenceResponse) -> ModelInferResponse:
    """Return the message, outputs as raw contents. Raises ServeError (INVALID_ARGUMENT) if they exceed a message."""
    size = sum(len(tensor.data) for tensor in response.outputs)
    if size > MAX_MESSAGE_BYTES:
        raise invalid(f"Response has byte size {size} which exceeds gRPC's byte size limit {MAX_MESSAGE_BYTES}.")
    message = ModelInferResponse(model_name=response.model, model_version=response.version, id=response.id)
    for key, value in response.parameters.items():
        set_parameter(message.parameters[key], value)
    for tensor in response.outputs:
        message.outputs.add(name=tensor.name, datatype=tensor.dtype.value, shape=tensor.shape)
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
