"""The ONNX graph of a comparison: its layers, the same graph with every layer as an output, one layer alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from npuserve.migrate.compare.packages import imported
from npuserve.migrate.errors import MigrationError

if TYPE_CHECKING:
    import onnx

Array = npt.NDArray[Any]

# What these give does not depend on values, only on shapes.
_SHAPE_READERS = ("Shape", "Size", "Constant")


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One node that computes from the model's inputs.

    name: the node's, as `atc` knows it. kind: its operator. outputs: tensors. sources: tensors of other layers, or the
    graph's inputs, that it reads. depth: its place in the order of execution, from 0.
    """

    name: str
    kind: str
    depth: int
    outputs: tuple[str, ...]
    sources: tuple[str, ...]


class LayerGraph:
    """A model whose nodes all have names: its own, and for those without, `Type_index`, as `atc` calls them."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.model = model
        for index, node in enumerate(model.graph.node):
            node.name = node.name or f"{node.op_type}_{index}"
        self._constants = {each.name for each in model.graph.initializer}
        self.inputs = tuple(each.name for each in model.graph.input if each.name not in self._constants)
        self.outputs = tuple(each.name for each in model.graph.output)
        self.layers = tuple(self._layers())

    @classmethod
    def load(cls, path: Path) -> LayerGraph:
        """Read a file. Raises MigrationError if it is no ONNX model."""
        onnx = imported("onnx")
        try:
            return cls(onnx.load(str(path)))
        except Exception as error:  # protobuf's errors have no common class of their own
            raise MigrationError(f"{path} cannot be read as an ONNX model: {error}") from error

    def _layers(self) -> list[Layer]:
        constants = set(self._constants)
        layers: list[Layer] = []
        for node in self.model.graph.node:
            sources = tuple(name for name in node.input if name and name not in constants)
            if not sources or node.op_type in _SHAPE_READERS:
                constants.update(node.output)
                continue
            outputs = tuple(name for name in node.output if name)
            layers.append(Layer(name=node.name, kind=node.op_type, depth=len(layers), outputs=outputs, sources=sources))
        return layers

    def with_outputs(self, tensors: Sequence[str], types: Mapping[str, int] | None = None) -> onnx.ModelProto:
        """Return a copy whose outputs are `layer_0`, `layer_1`, ...: these tensors.

        Short names, as AscendCL cuts names after 127 bytes. types: ONNX's element types, if known.
        """
        copy: onnx.ModelProto = imported("onnx").ModelProto()
        copy.CopyFrom(self.model)
        del copy.graph.output[:]
        for number, tensor in enumerate(tensors):
            _add_output(copy, tensor, f"layer_{number}", None if types is None else types[tensor])
        return copy

    def alone(self, layer: Layer, values: Mapping[str, Array]) -> tuple[onnx.ModelProto, dict[str, Array]]:
        """Return a model of this layer only, and its inputs `in_0`, ... from the values of the layer's sources.

        Integers of at most one axis (shapes, axes, indices) become constants: shapes must not depend on inputs.
        """
        onnx = imported("onnx")
        node = self._node(layer)
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        weights = {each.name: each for each in self.model.graph.initializer}
        inputs: dict[str, Array] = {}
        constants = []
        for index, tensor in enumerate(node.input):
            if not tensor:
                continue
            if tensor in weights:
                constants.append(weights[tensor])
                continue
            copy.input[index] = name = f"in_{index}"
            value = values[tensor]
            if tensor not in layer.sources or (value.dtype.kind in "iu" and value.ndim < 2):
                constants.append(onnx.numpy_helper.from_array(value, name))
            else:
                inputs[name] = value
        declared = [
            onnx.helper.make_tensor_value_info(name, onnx.helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)
            for name, value in inputs.items()
        ]
        unique = {each.name: each for each in constants}
        graph = onnx.helper.make_graph([copy], "alone", declared, [], list(unique.values()))
        model = onnx.helper.make_model(graph, opset_imports=self.model.opset_import, ir_version=self.model.ir_version)
        model.functions.extend(self.model.functions)
        for number, tensor in enumerate(layer.outputs):
            _add_output(model, tensor, f"layer_{number}", None)
        return model, inputs

    def constants_of(self, layer: Layer) -> tuple[str, ...]:
        """Return the tensors that a layer reads and that are computed, though not from the model's inputs."""
        return tuple(
            name
            for name in self._node(layer).input
            if name and name not in layer.sources and name not in self._constants
        )

    def _node(self, layer: Layer) -> onnx.NodeProto:
        return next(node for node in self.model.graph.node if layer.outputs[0] in node.output)


def _add_output(model: onnx.ModelProto, tensor: str, name: str, kind: int | None) -> None:
    onnx = imported("onnx")
    model.graph.node.append(onnx.helper.make_node("Identity", [tensor], [name], name=name))
    if kind is None:
        model.graph.output.append(onnx.ValueInfoProto(name=name))
    else:
        model.graph.output.append(onnx.helper.make_tensor_value_info(name, kind, None))


def save(model: onnx.ModelProto, path: Path) -> None:
    """Write a model; its weights go beside it if one file cannot hold them."""
    onnx = imported("onnx")
    large = model.ByteSize() >= np.iinfo(np.int32).max
    onnx.save(model, str(path), save_as_external_data=large)
