"""Puts output tensors into a ModelInfer response."""

from collections.abc import Sequence

from npuserve._proto.inference_pb2 import ModelInferRequest, ModelInferResponse
from npuserve.core.errors import invalid
from npuserve.core.tensor import Tensor
from npuserve.service.interface import ModelInterface, carry_sizes

MAX_MESSAGE_BYTES = 2**31 - 1


def infer_response(
    request: ModelInferRequest, model: ModelInterface, version: int, outputs: Sequence[Tensor]
) -> ModelInferResponse:
    """Return the response: the requested outputs (all if none is named) in the model's order, as raw contents.

    outputs: in the shapes that the model produced. Raises ServeError (INVALID_ARGUMENT) if they exceed a message.
    """
    wanted = {output.name for output in request.outputs} or model.outputs.keys()
    chosen = [tensor for tensor in outputs if tensor.name in wanted]
    size = sum(len(tensor.data) for tensor in chosen)
    if size > MAX_MESSAGE_BYTES:
        raise invalid(f"Response has byte size {size} which exceeds gRPC's byte size limit {MAX_MESSAGE_BYTES}.")
    response = ModelInferResponse(model_name=model.name, model_version=str(version), id=request.id)
    for tensor in chosen:
        response.outputs.add(name=tensor.name, datatype=tensor.dtype.value, shape=_stated_shape(model, tensor))
        response.raw_output_contents.append(bytes(tensor.data))
    return response


def _stated_shape(model: ModelInterface, tensor: Tensor) -> tuple[int, ...]:
    """Return the shape by the config's dims where the config reshapes what the model produces."""
    declared = model.outputs[tensor.name]
    if declared.model_dims == declared.dims:
        return tensor.shape
    batch = 1 if model.max_batch_size > 0 else 0
    return tensor.shape[:batch] + carry_sizes(tensor.shape[batch:], declared.model_dims, declared.dims)
