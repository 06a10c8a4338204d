"""From what a model produced to a response: the outputs that were asked for, in the form that was asked for."""

from dataclasses import replace

from npuserve.core.errors import ServeError
from npuserve.core.execution import ExecuteResult
from npuserve.core.request import InferenceRequest, InferenceResponse, RequestedOutput
from npuserve.core.status import StatusCode
from npuserve.core.tensor import Tensor
from npuserve.repository.loading import LoadedModel
from npuserve.service.classification import greatest_classes
from npuserve.service.conversion import converted_output
from npuserve.service.interface import ModelInterface, carry_sizes


def inference_response(
    loaded: LoadedModel,
    interface: ModelInterface,
    request: InferenceRequest,
    result: ExecuteResult,
    *,
    is_final: bool = True,
) -> InferenceResponse:
    """Return the requested outputs (all if none is named), each in the shape by the config's dims and in its dtype.

    Raises ServeError: INVALID_ARGUMENT (classes of what has no order), INTERNAL (too little room at a destination).
    """
    wanted = {output.name: output for output in request.outputs}
    outputs = []
    for produced in result.outputs:
        if produced.name not in (wanted or interface.outputs):
            continue
        tensor = as_declared(interface, produced)
        asked = wanted.get(produced.name)
        if asked is not None and asked.class_count:
            labels = loaded.labels.get(tensor.name, ())
            tensor = greatest_classes(tensor, asked.class_count, labels, has_batch=interface.max_batch_size > 0)
        if asked is not None and asked.destination is not None:
            tensor = _placed(tensor, asked)
        outputs.append(tensor)
    return InferenceResponse(
        model=interface.name,
        version=str(loaded.version),
        id=request.id,
        parameters=result.parameters,
        outputs=outputs,
        is_final=is_final,
        timing=result.timing,
    )


def as_declared(model: ModelInterface, tensor: Tensor) -> Tensor:
    """Return the tensor in the dtype and in the shape by the config's dims where the model produces another.

    Raises ServeError (INTERNAL) for an integer that does not fit the dtype.
    """
    declared = model.outputs[tensor.name]
    if model.converts_integers and tensor.dtype is not declared.dtype:
        tensor = converted_output(model.name, tensor, declared.dtype)
    if declared.model_dims == declared.dims:
        return tensor
    batch = 1 if model.max_batch_size > 0 else 0
    shape = tensor.shape[:batch] + carry_sizes(tensor.shape[batch:], declared.model_dims, declared.dims)
    return replace(tensor, shape=shape)


def _placed(tensor: Tensor, asked: RequestedOutput) -> Tensor:
    """Return the tensor without data, which is at the destination then. Raises ServeError (INTERNAL)."""
    assert asked.destination is not None
    size, room = len(tensor.data), len(asked.destination)
    if size > room:
        raise ServeError(
            StatusCode.INTERNAL,
            f"shared memory size specified with the request for output '{tensor.name}' ({room} bytes) should be at "
            f"least {size} bytes to hold the results",
        )
    # Empty: the executor has put it there, or there is nothing to put.
    asked.destination[:size] = tensor.data
    return replace(tensor, data=b"")
