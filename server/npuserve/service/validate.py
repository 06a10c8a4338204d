"""Checks a request against the model's config, in Triton's order and with Triton's sentences."""

import math
import struct
from collections.abc import Sequence

from npuserve.config.conversion import is_convertible
from npuserve.core.dtype import Dtype
from npuserve.core.errors import ServeError, invalid
from npuserve.core.request import GivenTensor, InferenceRequest
from npuserve.core.tensor import Tensor, format_shape
from npuserve.service.interface import DeclaredTensor, ModelInterface, carry_sizes

_BATCH_NOTE = (
    "NOTE: Setting a non-zero max_batch_size in the model config requires a batch dimension to be prepended to each "
    "input shape. If you want to specify the full shape including the batch dim in your input dims config, try setting "
    "max_batch_size to zero. See the model configuration docs for more info on max_batch_size."
)
_LENGTH = struct.Struct("<I")


def id_prefix(request_id: str) -> str:
    """Return the prefix of those messages that name the request."""
    return f"[request id: {request_id or '<id_unknown>'}] "


def refuse(request: InferenceRequest, message: str) -> ServeError:
    """Return an INVALID_ARGUMENT error that names the request."""
    return invalid(id_prefix(request.id) + message)


def check_requested_outputs(request: InferenceRequest, model: ModelInterface) -> None:
    """Refuse a requested output that the model does not have. Raises ServeError (INVALID_ARGUMENT)."""
    for output in request.outputs:
        if output.name not in model.outputs:
            raise invalid(f"unexpected inference output '{output.name}' for model '{model.name}'")


def check_sequence(request: InferenceRequest, model: ModelInterface) -> None:
    """Refuse a request of a sequence to a model that keeps none. Raises ServeError (INVALID_ARGUMENT)."""
    sequence = request.parameters.get("sequence_id")
    if sequence and not model.takes_sequences:
        raise refuse(
            request,
            f"sequence_id {sequence!r} was given, but model '{model.name}' has no sequence_batching; leave it out, or "
            "configure sequence_batching",
        )


def validated_inputs(request: InferenceRequest, model: ModelInterface) -> tuple[dict[str, Tensor], int]:
    """Return the inputs by name, in the shapes that the model sees, and the request's rows (1 if it does not batch).

    Integers of a model that converts them are still in the dtype that the client gave.
    Raises ServeError (INVALID_ARGUMENT).
    """
    _check_input_count(request, model)
    for tensor in request.inputs:
        if tensor.name not in model.inputs:
            raise invalid(f"unexpected inference input '{tensor.name}' for model '{model.name}'")
    rows = _rows(request, model)
    tensors = {tensor.name: _validated_input(request, model, tensor) for tensor in request.inputs}
    if rows == 0:
        # Triton sizes such a request as if it had no batch dimension; with no bytes it is refused above.
        raise refuse(request, f"inference request batch-size must be >= 1 for '{model.name}'")
    return tensors, rows


def check_elements(
    request: InferenceRequest, model: str, name: str, content: bytes | memoryview, expected: int
) -> None:
    """Walk a BYTES tensor's raw content and count its elements. Raises ServeError (INVALID_ARGUMENT)."""
    where = f"inference input '{name}'"
    position, count, overrun = 0, 0, ""
    while position < len(content):
        left = len(content) - position - _LENGTH.size
        if left < 0:
            raise refuse(
                request,
                f"incomplete string length indicator for {where} for model '{model}', expecting {_LENGTH.size} bytes "
                f"but only {left + _LENGTH.size} bytes available. Please make sure the string length "
                "indicator is in one buffer.",
            )
        count += 1
        if count > expected:
            raise refuse(
                request,
                f"unexpected number of string elements {count} for {where} for model '{model}', expecting {expected}",
            )
        (length,) = _LENGTH.unpack_from(content, position)
        if length > left:
            overrun = f"expecting string of length {length} but only {left} bytes available"
        position += _LENGTH.size + length
    if count != expected:
        raise refuse(request, f"expected {expected} string elements for {where} for model '{model}', got {count}")
    if overrun:
        raise invalid(f"incomplete string data for {where}, {overrun}")


def _check_input_count(request: InferenceRequest, model: ModelInterface) -> None:
    if len(request.inputs) == len(model.inputs):
        return
    given = [tensor.name for tensor in request.inputs]
    missing = [name for name in model.required_inputs if name not in given]
    required, most = len(model.required_inputs), len(model.inputs)
    if not missing and required <= len(given) < most:
        return
    # An empty list of missing inputs prints as a lone bracket, as Triton prints it.
    missing_list = "[" + _quoted(missing) + "]" if missing else "]"
    expected = f"{most} inputs" if required == most else f"number of inputs between {required} and {most}"
    raise refuse(
        request,
        f"expected {expected} but got {len(given)} inputs for model '{model.name}'. Got input(s) "
        f"[{_quoted(given)}], but missing required input(s) {missing_list}. Please provide all required input(s).",
    )


def _quoted(names: Sequence[str]) -> str:
    return ",".join(f"'{name}'" for name in names)


def _rows(request: InferenceRequest, model: ModelInterface) -> int:
    if model.max_batch_size == 0:
        return 1
    rows: int | None = None
    for tensor in request.inputs:
        if not tensor.shape:
            raise refuse(
                request, f"input '{tensor.name}' has no shape but model requires batch dimension for '{model.name}'"
            )
        if rows is None:
            rows = tensor.shape[0]
        elif tensor.shape[0] != rows:
            raise refuse(request, f"input '{tensor.name}' batch size does not match other inputs for '{model.name}'")
    rows = 1 if rows is None else rows
    if rows > model.max_batch_size:
        raise refuse(request, f"inference request batch-size must be <= {model.max_batch_size} for '{model.name}'")
    return rows


def _validated_input(request: InferenceRequest, model: ModelInterface, tensor: GivenTensor) -> Tensor:
    declared = model.inputs[tensor.name]
    dtype, content = tensor.dtype, tensor.data
    if dtype is None or not (
        dtype is declared.dtype or (model.converts_integers and is_convertible(dtype, declared.dtype))
    ):
        given = "<invalid>" if dtype is None else dtype.value
        raise refuse(
            request,
            f"inference input '{tensor.name}' data-type is '{given}', but model '{model.name}' expects "
            f"'{declared.dtype.value}'",
        )
    shape = tensor.shape
    _check_shape(request, model, declared, shape)
    batch = shape[:1] if model.max_batch_size > 0 else ()
    dims = shape[len(batch) :]
    # A batch dimension of 0 counts as none, as in Triton.
    elements = math.prod(dims) * (batch[0] or 1 if batch else 1)
    if dtype is Dtype.BYTES:
        check_elements(request, model.name, tensor.name, content, elements)
    elif len(content) != elements * dtype.size_bytes:
        raise refuse(
            request,
            f"input byte size mismatch for input '{tensor.name}' for model '{model.name}'. Expected "
            f"{elements * dtype.size_bytes}, got {len(content)}",
        )
    model_dims = dims if declared.model_dims is declared.dims else carry_sizes(dims, declared.dims, declared.model_dims)
    return Tensor(tensor.name, dtype, batch + model_dims, content)


def _check_shape(
    request: InferenceRequest, model: ModelInterface, declared: DeclaredTensor, shape: tuple[int, ...]
) -> None:
    full = model.full_dims(declared)
    fits = len(full) == len(shape)
    if fits:
        for dim, size in zip(full, shape, strict=True):
            if size < 0 or dim not in (-1, size):
                break
        else:
            return
    if fits and any(size < 0 for size in shape):
        raise refuse(
            request,
            f"All input dimensions should be specified for input '{declared.name}' for model '{model.name}', "
            f"got {format_shape(shape)}",
        )
    if not fits or any(dim not in (-1, size) for dim, size in zip(full, shape, strict=True)):
        note = _BATCH_NOTE if model.max_batch_size > 0 else ""
        raise refuse(
            request,
            f"unexpected shape for input '{declared.name}' for model '{model.name}'. Expected {format_shape(full)}, "
            f"got {format_shape(shape)}. {note}",
        )
