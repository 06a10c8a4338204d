"""Every layer of the OM against ONNX Runtime, on one batch: which is the first whose error jumps.

The rule: a layer's error jumps if its relative error (root mean square) is above the noise of one operator of the
target type, and more than eight times the largest relative error of what it reads. What it reads from the graph's
inputs has no error.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy.typing as npt

from npuserve.migrate.chain.tensors import Tensors
from npuserve.migrate.compare.difference import BROKEN, Difference, difference
from npuserve.migrate.compare.dump import dumped_tensors
from npuserve.migrate.compare.graph import Layer, LayerGraph, save
from npuserve.migrate.compare.precision import Target
from npuserve.migrate.compare.programs import Programs
from npuserve.migrate.compare.reference import FLOATS, Reference
from npuserve.migrate.compare.stopwatch import Stopwatch
from npuserve.migrate.errors import MigrationError

Array = npt.NDArray[Any]

JUMP_FACTOR = 8.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerError:
    """One layer's outputs: the worst of them. read: the largest relative error of what it reads."""

    layer: Layer
    tensor: str
    difference: Difference
    read: float

    @property
    def growth(self) -> float:
        """How much of the relative error came in with this layer."""
        return self.difference.relative - self.read

    def jumps(self, target: Target) -> bool:
        """Whether the error jumps here, by the rule above."""
        relative = self.difference.relative
        return relative > target.noise and (relative > JUMP_FACTOR * self.read or relative >= BROKEN > self.read)

    def as_json(self, target: Target) -> dict[str, Any]:
        """Return it as plain JSON."""
        return {
            "name": self.layer.name,
            "kind": self.layer.kind,
            "depth": self.layer.depth,
            "tensor": self.tensor,
            **self.difference.as_json(),
            "read_relative": self.read,
            "jumps": self.jumps(target),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Layers:
    """The layers in the order of execution, and the reference's values of all tensors that were kept.

    left_out: tensors of a dump that could not be compared, and why.
    """

    errors: tuple[LayerError, ...]
    values: Mapping[str, Array]
    left_out: Sequence[str] = ()

    def worst(self, count: int) -> tuple[LayerError, ...]:
        """Return those with the largest relative error."""
        return tuple(sorted(self.errors, key=lambda each: -each.difference.relative)[:count])

    def grown(self) -> tuple[LayerError, ...]:
        """Return all, those first that added most to the error."""
        return tuple(sorted(self.errors, key=lambda each: -each.growth))


def compare_layers(graph: LayerGraph, batch: Tensors, target: Target, programs: Programs, folder: Path) -> Layers:
    """Compile the graph with every layer as an output, run it and ONNX Runtime on the batch. Raises MigrationError."""
    values, kinds = _reference_values(graph, batch, programs.foreign)
    tensors = [tensor for layer in graph.layers for tensor in layer.outputs if tensor in kinds]
    if not tensors:
        raise MigrationError("the graph computes no floating-point tensor from its inputs: there is nothing to compare")
    source = folder / "layers.onnx"
    save(graph.with_outputs(tensors, kinds), source)
    outputs = programs.run(programs.compile(source, batch), [batch]).outputs[0]
    return Layers(errors=layer_errors(graph, values, _aligned(tensors, outputs), target), values=values)


def compare_dump(graph: LayerGraph, batch: Tensors, target: Target, dump: Path, foreign: Stopwatch) -> Layers:
    """Compare what an NPU dumped of the same batch. Raises MigrationError."""
    values, kinds = _reference_values(graph, batch, foreign)
    dumped, left_out = dumped_tensors(graph, dump)
    actual = {}
    for tensor, value in dumped.items():
        if tensor not in kinds:
            continue
        if value.shape == values[tensor].shape:
            actual[tensor] = value
        else:
            left_out.append(f"{tensor} is {list(value.shape)}, for these inputs {list(values[tensor].shape)}")
    if not actual:
        raise MigrationError(
            f"no tensor of the dump {dump} can be compared: {left_out[0] if left_out else 'it has none of the graph'}",
            "run the OM on layer_inputs.npz with dump_mode output, and name the folder that has its files",
        )
    return Layers(errors=layer_errors(graph, values, actual, target), values=values, left_out=left_out)


def layer_errors(
    graph: LayerGraph, values: Mapping[str, Array], actual: Mapping[str, Array], target: Target
) -> tuple[LayerError, ...]:
    """Compare the tensors that both sides have; layers without one pass on the errors of what they read."""
    relative: dict[str, float] = {}
    found = []
    for layer in graph.layers:
        read = max((relative.get(source, 0.0) for source in layer.sources), default=0.0)
        compared = [
            (difference(actual[tensor], values[tensor], target.type), tensor)
            for tensor in layer.outputs
            if tensor in actual
        ]
        relative.update(dict.fromkeys(layer.outputs, read))
        if not compared:
            continue
        relative.update({tensor: each.relative for each, tensor in compared})
        worst, tensor = max(compared, key=lambda pair: pair[0].relative)
        found.append(LayerError(layer=layer, tensor=tensor, difference=worst, read=read))
    return tuple(found)


def _reference_values(graph: LayerGraph, batch: Tensors, foreign: Stopwatch) -> tuple[dict[str, Array], dict[str, int]]:
    """Return the values of all tensors, and the element types of those that are compared."""
    computed = [tensor for layer in graph.layers for tensor in layer.outputs]
    constants = [tensor for layer in graph.layers for tensor in graph.constants_of(layer)]
    tensors = list(dict.fromkeys((*computed, *constants)))
    reference = Reference(graph.with_outputs(tensors), foreign, exact=True)
    by_number = reference.run(batch)
    names = {tensor: f"layer_{number}" for number, tensor in enumerate(tensors)}
    values = {**batch, **{tensor: by_number[name] for tensor, name in names.items()}}
    kinds = {
        tensor: FLOATS[reference.types[names[tensor]]]
        for tensor in computed
        if reference.types[names[tensor]] in FLOATS and values[tensor].size
    }
    return values, kinds


def _aligned(tensors: Sequence[str], outputs: Mapping[str, Array]) -> dict[str, Array]:
    """Return the OM's outputs by the tensors' own names. The vendor's compiler may add to an output's name."""
    aligned = {}
    for number, tensor in enumerate(tensors):
        name = f"layer_{number}"
        match = name if name in outputs else next((each for each in outputs if name in each.split(":")), None)
        if match is None:
            raise MigrationError(f"the OM has no output for '{tensor}' ({name}); it has {', '.join(outputs)}")
        aligned[tensor] = outputs[match]
    return aligned
