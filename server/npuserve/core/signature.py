"""What a compiled model says of itself."""

from dataclasses import dataclass

from npuserve.core.dtype import Dtype


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """A model's input or output: `shape` is full, with the batch dimension if there is one; -1 is variable."""

    name: str
    dtype: Dtype
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Gear:
    """One compiled set of shapes: full shapes of all inputs and outputs, in the signature's order."""

    input_shapes: tuple[tuple[int, ...], ...]
    output_shapes: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class ModelSignature:
    """Inputs, outputs and gears of a compiled model. A static model has one gear and no -1 in its shapes."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    gears: tuple[Gear, ...]
