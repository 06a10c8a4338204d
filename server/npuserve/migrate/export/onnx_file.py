"""ONNX files: read and checked, described, written."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from npuserve.migrate.errors import MigrationError
from npuserve.migrate.export.packages import imported

# Of a protobuf message; larger graphs keep their weights in files beside.
_LARGEST_BYTES = 2**31 - 1
_TOKENS = ("input_ids", "attention_mask", "token_type_ids")


def read_onnx(path: Path) -> Any:
    """Read a model, weights included, and check it. Raises MigrationError."""
    onnx = imported("onnx")
    if not path.is_file():
        raise MigrationError(f"source.onnx: there is no file {path}")
    try:
        model = onnx.load(str(path), load_external_data=False)
        _check_size(model, path)
        onnx.load_external_data_for_model(model, str(path.parent))
    except MigrationError:
        raise
    except FileNotFoundError as error:
        raise MigrationError(
            f"source.onnx: {path} keeps its weights in files beside it, and one is missing: {error}",
            "copy the whole folder of the model",
        ) from error
    except Exception as error:  # protobuf's own kinds
        raise MigrationError(f"source.onnx: {path} is no ONNX file: {_first_line(error)}") from error
    if not model.graph.node:
        raise MigrationError(f"source.onnx: {path} is no ONNX file: there is no graph in it")
    _check_opset(model, path)
    check_onnx(model, f"source.onnx: {path}")
    return model


def _check_size(model: Any, path: Path) -> None:
    """Raise MigrationError for a graph that no message can hold once its weights are read. They are not read yet."""
    onnx = imported("onnx")
    weights = onnx.external_data_helper.uses_external_data
    held = (each for each in model.graph.initializer if weights(each))
    size = path.stat().st_size + sum(_bytes_of(each) for each in held)
    if size > _LARGEST_BYTES:
        raise MigrationError(
            f"source.onnx: {path} has {size / 1e9:.1f} GB with its weights, and more than 2 GB are not migrated: one "
            "ONNX file, which the rewrites and the compiler take, cannot hold them",
            "halve it: export the model in float16 (model.half())",
            "split it into models that an ensemble joins",
        )


def _check_opset(model: Any, path: Path) -> None:
    onnx = imported("onnx")
    newest = onnx.defs.onnx_opset_version()
    opset = max((each.version for each in model.opset_import if each.domain in ("", "ai.onnx")), default=0)
    if opset > newest:
        raise MigrationError(
            f"source.onnx: {path} is of opset {opset}, and onnx {onnx.__version__} knows those up to {newest}",
            "export it again with opset 18, which the compiler takes",
            "pip install --upgrade onnx onnxruntime: later opsets are converted down",
        )


def _bytes_of(tensor: Any) -> int:
    onnx = imported("onnx")
    size: int = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize * math.prod(tensor.dims)
    return size


def check_onnx(model: Any, name: str) -> None:
    """Raise MigrationError unless onnx's checker takes a model."""
    onnx = imported("onnx")
    try:
        onnx.checker.check_model(model, full_check=True)
    except Exception as error:  # the checker's own kinds, and what its C++ code happens to raise
        raise MigrationError(
            f"{name} is not valid ONNX: {_first_line(error)}",
            "export it again, or correct the node that is named",
        ) from error


def name_axes(model: Any) -> None:
    """Call the variable axes of inputs and outputs `batch` and `sequence`, if they are these two."""
    seen: dict[str, str] = {}
    for each in model.graph.input:
        for axis, name in enumerate(("batch", "sequence")):
            dims = each.type.tensor_type.shape.dim
            if axis < len(dims) and dims[axis].dim_param:
                seen.setdefault(dims[axis].dim_param, name)
    if len(set(seen.values())) < len(seen):
        return
    for each in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        for dim in each.type.tensor_type.shape.dim:
            if dim.dim_param in seen:
                dim.dim_param = seen[dim.dim_param]


def input_names(model: Any) -> tuple[str, ...]:
    """Return the inputs that a caller gives, in their order."""
    held = {each.name for each in model.graph.initializer}
    return tuple(each.name for each in model.graph.input if each.name not in held)


def fixed_axis(model: Any, name: str, axis: int) -> int | None:
    """Return the size that an input must have along an axis; None if any will do."""
    (found,) = (each for each in model.graph.input if each.name == name)
    dims = found.type.tensor_type.shape.dim
    fixed = axis < len(dims) and dims[axis].HasField("dim_value")
    return int(dims[axis].dim_value) if fixed else None


def shapes_of(values: Sequence[Any]) -> Mapping[str, str]:
    """Return types and shapes of a graph's inputs or outputs, as `INT64 [batch, sequence]`."""
    onnx = imported("onnx")
    told = {}
    for each in values:
        tensor = each.type.tensor_type
        dims = ", ".join(dim.dim_param or str(dim.dim_value) for dim in tensor.shape.dim)
        told[each.name] = f"{onnx.TensorProto.DataType.Name(tensor.elem_type)} [{dims}]"
    return told


def text_inputs(model: Any) -> tuple[tuple[str, ...], int] | None:
    """Return the inputs of a text model and how many tokens it knows, or None for another kind of model."""
    names = input_names(model)
    if "input_ids" not in names or not set(names) <= set(_TOKENS):
        return None
    sizes = {each.name: each.dims[0] for each in model.graph.initializer if each.dims}
    # A cast may stand between the input and its table.
    ids = {"input_ids", *(out for node in model.graph.node if "input_ids" in node.input for out in node.output)}
    for node in model.graph.node:
        if node.op_type == "Gather" and node.input[1] in ids and node.input[0] in sizes:
            return names, int(sizes[node.input[0]])
    return None


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
