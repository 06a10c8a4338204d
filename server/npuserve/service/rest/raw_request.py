"""Raw requests: a body that is nothing but the one input's data, whose shape is deduced from the model's config."""

import math

from npuserve.core.dtype import Dtype
from npuserve.core.elements import join_elements
from npuserve.core.errors import invalid
from npuserve.core.request import GivenTensor
from npuserve.service.interface import DeclaredTensor, ModelInterface
from npuserve.service.validate import id_prefix


def raw_input(model: ModelInterface, content: memoryview) -> GivenTensor:
    """Return the model's one input with the content, of batch size 1. Raises ServeError (INVALID_ARGUMENT)."""
    prefix = id_prefix("")
    if len(model.inputs) != 1:
        raise invalid(
            f"{prefix}Raw request must only have 1 input (found 1) to be deduced but got {len(model.inputs)} inputs in "
            f"'{model.name}' model configuration"
        )
    (declared,) = model.inputs.values()
    batch = (1,) if model.max_batch_size > 0 else ()
    if declared.dtype is Dtype.BYTES:
        if declared.dims != (1,):
            raise invalid(f"{prefix}For BYTE datatype raw input '{declared.name}', the model must have input shape [1]")
        return GivenTensor(declared.name, Dtype.BYTES, (*batch, 1), join_elements([bytes(content)]))
    dims = _deduced(declared, len(content))
    expected = math.prod(dims) * declared.dtype.size_bytes
    if expected != len(content):
        raise invalid(
            f"{prefix}input byte size mismatch for input 'raw_input' for model '{model.name}'. Expected {expected}, "
            f"got {len(content)}"
        )
    return GivenTensor(declared.name, declared.dtype, batch + dims, content)


def _deduced(declared: DeclaredTensor, byte_size: int) -> tuple[int, ...]:
    """Return the dims, the one that is variable as great as the content makes it."""
    if declared.dims.count(-1) > 1:
        raise invalid(
            f"{id_prefix('')}The shape of the raw input '{declared.name}' can not be deduced because there are more "
            "than one variable-sized dimension"
        )
    fixed = math.prod(dim for dim in declared.dims if dim != -1) * declared.dtype.size_bytes
    return tuple(byte_size // fixed if dim == -1 else dim for dim in declared.dims)
