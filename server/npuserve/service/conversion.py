"""Carries INT64 tensors over to INT32 and the other way round, without loss or not at all."""

import numpy as np

from npuserve.core.dtype import Dtype
from npuserve.core.errors import ServeError, invalid
from npuserve.core.request import InferenceRequest
from npuserve.core.status import StatusCode
from npuserve.core.tensor import Tensor
from npuserve.service.validate import id_prefix


def converted_input(request: InferenceRequest, tensor: Tensor, dtype: Dtype) -> Tensor:
    """Return an integer input in the dtype that the model takes.

    Raises ServeError (INVALID_ARGUMENT) for a value that does not fit it.
    """
    try:
        return _converted(tensor, dtype)
    except _DoesNotFitError as error:
        subject = f"input '{tensor.name}' for model '{request.model}'"
        raise invalid(f"{id_prefix(request.id)}{subject} has {error}") from error


def converted_output(model: str, tensor: Tensor, dtype: Dtype) -> Tensor:
    """Return an integer output in the dtype that the config declares.

    Raises ServeError (INTERNAL) for a value that does not fit it.
    """
    try:
        return _converted(tensor, dtype)
    except _DoesNotFitError as error:
        raise ServeError(StatusCode.INTERNAL, f"output '{tensor.name}' of model '{model}' has {error}") from error


class _DoesNotFitError(Exception):
    pass


def _converted(tensor: Tensor, dtype: Dtype) -> Tensor:
    values = np.frombuffer(tensor.data, tensor.dtype.numpy)
    converted = values.astype(dtype.numpy)
    if dtype.size_bytes < tensor.dtype.size_bytes:
        unequal = np.flatnonzero(converted != values)
        if unequal.size:
            index = int(unequal[0])
            raise _DoesNotFitError(f"value {values[index]} at index {index}, which does not fit {dtype.value}")
    return Tensor(tensor.name, dtype, tensor.shape, converted.view(np.uint8).data)
