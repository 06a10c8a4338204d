"""Compares a completed config with the compiled model that it describes. Texts are Triton's, where it has one."""

from collections.abc import Iterable, Sequence

from npuserve._proto.model_config_pb2 import DataType, ModelConfig, ModelInput, ModelOutput
from npuserve.config.conversion import converts_integers, is_convertible
from npuserve.config.gears import largest_batch, longest_input, output_follows_batch, output_follows_length
from npuserve.core.dtype import Dtype
from npuserve.core.errors import invalid
from npuserve.core.signature import ModelSignature, TensorSpec
from npuserve.core.tensor import format_shape


def check_against_signature(config: ModelConfig, signature: ModelSignature) -> None:
    """Raise ServeError (INVALID_ARGUMENT) if the config says of a tensor or the batch what the model does not.

    Outputs that the config leaves out are not an error: they are not served.
    """
    expected, provided = len(config.input), len(signature.inputs)
    if expected != provided:
        raise invalid(
            f"unable to load model '{config.name}', configuration expects {expected} inputs, model provides {provided}"
        )
    inputs = {spec.name: index for index, spec in enumerate(signature.inputs)}
    outputs = {spec.name: index for index, spec in enumerate(signature.outputs)}
    for tensor in config.input:
        if tensor.name not in inputs:
            raise invalid(_unexpected("input", tensor.name, inputs))
        _check_input(config, tensor, signature, inputs[tensor.name])
    for output in config.output:
        if output.name not in outputs:
            raise invalid(_unexpected("output", output.name, outputs))
        _check_output(config, output, signature, outputs[output.name])
    _check_batch(config, signature)


def full_shape(config: ModelConfig, tensor: ModelInput | ModelOutput) -> tuple[int, ...]:
    """Return the shape that the config says the model sees, with the batch dimension as -1 if there is one."""
    dims = tensor.reshape.shape if tensor.HasField("reshape") else tensor.dims
    return (-1, *dims) if config.max_batch_size > 0 else tuple(dims)


def _unexpected(kind: str, name: str, allowed: Iterable[str]) -> str:
    return f"unexpected inference {kind} '{name}', allowed {kind}s are: {', '.join(sorted(allowed))}"


def _check_input(config: ModelConfig, tensor: ModelInput, signature: ModelSignature, index: int) -> None:
    spec = signature.inputs[index]
    _check_dtype(config, tensor, spec)
    _check_shape(config, tensor, spec, spec.shape)
    for axis, dim in enumerate(full_shape(config, tensor)):
        longest = longest_input(signature, index, axis)
        if longest is not None and dim > longest:
            raise invalid(
                f"model '{config.name}', tensor '{tensor.name}': the model expects at most {longest} in dimension "
                f"{axis} but the model configuration specifies {dim}"
            )


def _check_output(config: ModelConfig, tensor: ModelOutput, signature: ModelSignature, index: int) -> None:
    spec = signature.outputs[index]
    _check_dtype(config, tensor, spec)
    accepted = list(spec.shape)
    if config.max_batch_size > 0:
        declared = full_shape(config, tensor)
        for axis in range(len(accepted)):
            if axis == 0:
                follows = output_follows_batch(signature, index)
            else:
                follows = declared[axis : axis + 1] == (-1,) and output_follows_length(signature, index, axis)
            accepted[axis] = -1 if follows else accepted[axis]
    _check_shape(config, tensor, spec, accepted)


def _check_dtype(config: ModelConfig, tensor: ModelInput | ModelOutput, spec: TensorSpec) -> None:
    given = DataType.Name(tensor.data_type)
    if given == spec.dtype.config_name:
        return
    declared = next(dtype for dtype in Dtype if dtype.config_name == given)
    if not (is_convertible(declared, spec.dtype) and converts_integers(config)):
        raise invalid(
            f"model '{config.name}', tensor '{spec.name}': the model expects data-type {spec.dtype.config_name} but "
            f"the model configuration specifies data-type {given}"
        )


def _check_shape(
    config: ModelConfig, tensor: ModelInput | ModelOutput, spec: TensorSpec, accepted: Sequence[int]
) -> None:
    """Compare the declared shape with the model's; `accepted` has -1 wherever any size is right."""
    subject = f"model '{config.name}', tensor '{spec.name}'"
    batches = config.max_batch_size > 0
    if batches and (not accepted or accepted[0] != -1):
        raise invalid(
            f"{subject}: for the model to support batching the shape should have at least 1 dimension and the first "
            f"dimension must be -1; but shape expected by the model is {format_shape(spec.shape)}"
        )
    declared = full_shape(config, tensor)
    if len(declared) != len(accepted):
        raise invalid(f"{subject}: {_rank_difference(spec.shape, declared, batches)}")
    if any(extent not in (-1, dim) for dim, extent in zip(declared, accepted, strict=True)):
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


def _check_batch(config: ModelConfig, signature: ModelSignature) -> None:
    if config.max_batch_size > 0 and signature.gears:
        largest = largest_batch(signature)
        if largest is not None and config.max_batch_size > largest:
            raise invalid(
                f"model '{config.name}': the model expects batches of at most {largest} but the model configuration "
                f"specifies max_batch_size {config.max_batch_size}"
            )
