"""Compares a completed config with the compiled model that it describes."""

from collections.abc import Iterable, Sequence

from npuserve._proto.model_config_pb2 import DataType, ModelConfig, ModelInput, ModelOutput
from npuserve.config.gears import can_batch, largest_batch, longest_input
from npuserve.core.errors import invalid
from npuserve.core.signature import ModelSignature, TensorSpec
from npuserve.core.tensor import format_shape


def check_against_signature(config: ModelConfig, signature: ModelSignature) -> None:
    """Raise ServeError (INVALID_ARGUMENT) if the config says of a tensor or the batch what the model does not.

    An input may be variable in the config where the compiled model is fixed: shorter requests are padded. An output
    may then be variable on the axes of the same extent. Outputs that the config leaves out are not served.
    """
    expected, provided = len(config.input), len(signature.inputs)
    if expected != provided:
        raise invalid(
            f"unable to load model '{config.name}', configuration expects {expected} inputs, model provides {provided}"
        )
    inputs = {spec.name: index for index, spec in enumerate(signature.inputs)}
    outputs = {spec.name: spec for spec in signature.outputs}
    padded: set[int] = set()
    for tensor in config.input:
        if tensor.name not in inputs:
            raise invalid(_unexpected("input", tensor.name, inputs))
        index = inputs[tensor.name]
        spec = signature.inputs[index]
        _check_dtype(config, tensor, spec)
        padded |= _check_input_shape(config, tensor, spec)
        _check_lengths(config, tensor, signature, index)
    for output in config.output:
        if output.name not in outputs:
            raise invalid(_unexpected("output", output.name, outputs))
        _check_dtype(config, output, outputs[output.name])
        _check_shape(config, output, outputs[output.name], padded)
    _check_batch(config, signature)


def full_shape(config: ModelConfig, tensor: ModelInput | ModelOutput) -> tuple[int, ...]:
    """Return the shape that the config says the model sees, with the batch dimension as -1 if there is one."""
    dims = tensor.reshape.shape if tensor.HasField("reshape") else tensor.dims
    return (-1, *dims) if config.max_batch_size > 0 else tuple(dims)


def _unexpected(kind: str, name: str, allowed: Iterable[str]) -> str:
    return f"unexpected inference {kind} '{name}', allowed {kind}s are: {', '.join(sorted(allowed))}"


def _check_dtype(config: ModelConfig, tensor: ModelInput | ModelOutput, spec: TensorSpec) -> None:
    given = DataType.Name(tensor.data_type)
    if given != spec.dtype.config_name:
        raise invalid(
            f"model '{config.name}', tensor '{spec.name}': the model expects data-type {spec.dtype.config_name} but "
            f"the model configuration specifies data-type {given}"
        )


def _check_input_shape(config: ModelConfig, tensor: ModelInput, spec: TensorSpec) -> set[int]:
    """Check an input; return the fixed extents of the model that the config declares variable."""
    first = 1 if config.max_batch_size > 0 else 0
    declared = full_shape(config, tensor)
    padded: set[int] = set()
    if len(declared) == len(spec.shape):
        padded = {
            extent
            for extent, dim in zip(spec.shape[first:], declared[first:], strict=True)
            if dim == -1 and extent != -1
        }
    _check_shape(config, tensor, spec, padded)
    return padded


def _check_shape(config: ModelConfig, tensor: ModelInput | ModelOutput, spec: TensorSpec, padded: set[int]) -> None:
    """Compare shapes; `padded` are extents that the config may declare variable although the model's are fixed."""
    subject = f"model '{config.name}', tensor '{spec.name}'"
    batches = config.max_batch_size > 0
    if batches and spec.shape[:1] != (-1,):
        raise invalid(
            f"{subject}: for the model to support batching the shape should have at least 1 dimension and the first "
            f"dimension must be -1; but shape expected by the model is {format_shape(spec.shape)}"
        )
    declared = full_shape(config, tensor)
    if len(declared) != len(spec.shape):
        raise invalid(f"{subject}: {_rank_difference(spec.shape, declared, batches)}")
    for dim, extent in zip(declared, spec.shape, strict=True):
        if dim != extent and extent != -1 and not (dim == -1 and extent in padded):
            raise invalid(
                f"{subject}: the model expects shape {format_shape(spec.shape)} but the model configuration specifies "
                f"shape {format_shape(declared)}"
            )


def _rank_difference(expected: Sequence[int], declared: Sequence[int], batches: bool) -> str:
    explanation = (
        "an initial batch dimension because max_batch_size > 0 followed by the explicit tensor shape, making complete "
        "shape "
        if batches
        else "shape "
    )
    return (
        f"the model expects {len(expected)} dimensions (shape {format_shape(expected)}) but the model configuration "
        f"specifies {len(declared)} dimensions ({explanation}{format_shape(declared)})"
    )


def _check_lengths(config: ModelConfig, tensor: ModelInput, signature: ModelSignature, index: int) -> None:
    """Check that a fixed dimension fits a gear; else no request could ever run."""
    for axis, dim in enumerate(full_shape(config, tensor)):
        longest = longest_input(signature, index, axis)
        if dim > longest:
            raise invalid(
                f"model '{config.name}', tensor '{tensor.name}': the model expects at most {longest} in dimension "
                f"{axis} but the model configuration specifies {dim}"
            )


def _check_batch(config: ModelConfig, signature: ModelSignature) -> None:
    if config.max_batch_size > 0 and can_batch(signature):
        largest = largest_batch(signature)
        if config.max_batch_size > largest:
            raise invalid(
                f"model '{config.name}': the model expects batches of at most {largest} but the model configuration "
                f"specifies max_batch_size {config.max_batch_size}"
            )
