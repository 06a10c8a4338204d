"""What an ONNX file takes and gives, read from its head: no session is made."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from npuserve.core.dtype import Dtype
from npuserve.core.signature import TensorSpec
from npuserve.migrate.errors import MigrationError, SetupError

# Of onnx.TensorProto.
_DTYPES = {
    1: Dtype.FP32,
    2: Dtype.UINT8,
    3: Dtype.INT8,
    4: Dtype.UINT16,
    5: Dtype.INT16,
    6: Dtype.INT32,
    7: Dtype.INT64,
    8: Dtype.BYTES,
    9: Dtype.BOOL,
    10: Dtype.FP16,
    11: Dtype.FP64,
    12: Dtype.UINT32,
    13: Dtype.UINT64,
    16: Dtype.BF16,
}


@dataclass(frozen=True, slots=True)
class GraphInterface:
    """Inputs without those that have a value in the file, and outputs; -1 is variable."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    @property
    def batches(self) -> bool:
        """Whether the first dimension of every tensor varies, so that requests can share an execution."""
        return all(spec.shape[:1] == (-1,) for spec in (*self.inputs, *self.outputs))


def graph_interface(path: Path) -> GraphInterface:
    """Read a file. Raises MigrationError if it is no ONNX model or has tensors that the protocol does not know."""
    try:
        import onnx
    except ImportError as error:
        raise SetupError("reading an ONNX file needs the package onnx: pip install 'npuserve[convert]'") from error
    try:
        graph = onnx.load(str(path), load_external_data=False).graph
    except OSError:
        raise
    except Exception as error:  # protobuf's own, of no common type
        raise MigrationError(f"{path} is no ONNX model: {error}") from error
    constants = {each.name for each in graph.initializer}
    return GraphInterface(
        inputs=tuple(_spec(path, value) for value in graph.input if value.name not in constants),
        outputs=tuple(_spec(path, value) for value in graph.output),
    )


def _spec(path: Path, value: Any) -> TensorSpec:
    tensor = value.type.tensor_type
    dtype = _DTYPES.get(tensor.elem_type)
    if dtype is None or not tensor.HasField("shape"):
        raise MigrationError(
            f"{path}: '{value.name}' is no tensor of a known type and rank, which a served model needs",
            "run onnx.shape_inference.infer_shapes on the model",
        )
    shape = tuple(dim.dim_value if dim.WhichOneof("value") == "dim_value" else -1 for dim in tensor.shape.dim)
    return TensorSpec(value.name, dtype, shape)
