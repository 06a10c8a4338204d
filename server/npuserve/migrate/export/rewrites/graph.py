"""An ONNX graph that can be searched and changed: who makes a tensor, who reads it, what is constant.

Only the main graph is changed. What the bodies of If, Loop and Scan read from outside counts as read by them.
"""

import contextlib
import math
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

Array = npt.NDArray[Any]
MAIN_DOMAINS = ("", "ai.onnx")

_FLOATS = (onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16, onnx.TensorProto.DOUBLE)

# Elements of a constant that may be a shape.
_LARGEST_SHAPE = 1024


class Graph:
    """Lent a model, which it changes in place.

    Changes are `add_constant`, `add`, `give_up` and `feed`; `tidy` ends them: nodes in order, dead ones gone.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        self.model = model
        self._graph = model.graph
        self._constants_to_initializers()
        self._initializers = {each.name: each for each in self._graph.initializer}
        self._makers = {name: node for node in self._graph.node for name in node.output if name}
        self._readers: dict[str, list[onnx.NodeProto]] = {}
        for node in self._graph.node:
            for name in _reads(node):
                self._readers.setdefault(name, []).append(node)
        self._outputs = {each.name for each in self._graph.output}
        self._names = {*self._initializers, *self._makers, *(each.name for each in self._graph.input)}
        self._names |= {node.name for node in self._graph.node}
        self._types = _types_of(model)

    @property
    def opset(self) -> int:
        """The version of ONNX's own operators that the graph is written in."""
        return opset_of(self.model)

    @property
    def nodes(self) -> tuple[onnx.NodeProto, ...]:
        """The nodes as they stand now."""
        return tuple(self._graph.node)

    def of_type(self, *kinds: str) -> tuple[onnx.NodeProto, ...]:
        """Return the nodes of ONNX's own operators of these names."""
        return tuple(node for node in self._graph.node if node.op_type in kinds and node.domain in MAIN_DOMAINS)

    def maker(self, tensor: str, *kinds: str) -> onnx.NodeProto | None:
        """Return the node that makes a tensor; None if there is none, or not of one of the kinds that are named."""
        node = self._makers.get(tensor)
        if node is None or (kinds and (node.op_type not in kinds or node.domain not in MAIN_DOMAINS)):
            return None
        return node

    def readers(self, tensor: str) -> tuple[onnx.NodeProto, ...]:
        """Return the nodes that read a tensor, each once."""
        return tuple({id(node): node for node in self._readers.get(tensor, ())}.values())

    def only_reader(self, tensor: str, *kinds: str) -> onnx.NodeProto | None:
        """Return the one node that reads a tensor, if it is of one of the kinds and the tensor is no output."""
        readers = self.readers(tensor)
        if len(readers) != 1 or tensor in self._outputs:
            return None
        return readers[0] if readers[0].op_type in kinds else None

    def is_output(self, tensor: str) -> bool:
        """Whether a tensor is one of the graph's outputs."""
        return tensor in self._outputs

    def constant(self, tensor: str) -> Array | None:
        """Return the value of a tensor, if the graph holds it."""
        found = self._initializers.get(tensor)
        return None if found is None else numpy_helper.to_array(found)

    def scalar(self, tensor: str) -> float | None:
        """Return the value of a constant of one element."""
        value = self.constant(tensor)
        return float(value.reshape(-1)[0]) if value is not None and value.size == 1 else None

    def shape(self, tensor: str) -> tuple[int | None, ...] | None:
        """Return a tensor's shape as far as inference knows it; None without even a rank."""
        if (value := self._initializers.get(tensor)) is not None:
            return tuple(value.dims)
        known = self._types.get(tensor)
        if known is None or not known.HasField("shape"):
            return None
        return tuple(each.dim_value if each.HasField("dim_value") else None for each in known.shape.dim)

    def rank(self, tensor: str) -> int | None:
        """Return how many axes a tensor has, if that is known."""
        shape = self.shape(tensor)
        return None if shape is None else len(shape)

    def element(self, tensor: str) -> int | None:
        """Return a tensor's element type, as TensorProto numbers it, if that is known."""
        if (value := self._initializers.get(tensor)) is not None:
            return value.data_type
        known = self._types.get(tensor)
        return known.elem_type if known is not None and known.elem_type else None

    def float_dtype(self, tensor: str) -> npt.DTypeLike:
        """Return numpy's type of a floating-point tensor: float32 where inference does not know better."""
        kind = self.element(tensor)
        return helper.tensor_dtype_to_np_dtype(kind) if kind in _FLOATS else np.dtype(np.float32)

    def add_constant(self, value: npt.ArrayLike, stem: str) -> str:
        """Add a constant and return its name."""
        name = self._fresh(stem)
        added = numpy_helper.from_array(np.asarray(value), name)
        self._graph.initializer.append(added)
        self._initializers[name] = self._graph.initializer[-1]
        return name

    def add(self, kind: str, inputs: Sequence[str], stem: str, output: str | None = None, **attributes: Any) -> str:
        """Add a node and return the name of its one output; `tidy` puts it in its place."""
        name = output or self._fresh(stem)
        self._graph.node.append(helper.make_node(kind, list(inputs), [name], name=self._fresh(f"{stem}_node")))
        node = self._graph.node[-1]
        node.attribute.extend(helper.make_attribute(key, value) for key, value in attributes.items())
        self._makers[name] = node
        for each in inputs:
            self._readers.setdefault(each, []).append(node)
        return name

    def give_up(self, node: onnx.NodeProto, output: str) -> None:
        """Rename an output of a node that another is to take over under its old name."""
        index = list(node.output).index(output)
        node.output[index] = self._fresh(f"{output}_before")
        self._makers[node.output[index]] = node

    def feed(self, node: onnx.NodeProto, index: int, tensor: str) -> None:
        """Let a node read another tensor."""
        old = node.input[index]
        node.input[index] = tensor
        if old not in node.input:
            self._readers[old] = [each for each in self._readers.get(old, ()) if each is not node]
        self._readers.setdefault(tensor, []).append(node)

    def tidy(self) -> None:
        """Put the nodes in order and drop whatever no output needs."""
        needed = self._needed()
        ordered = _in_order([node for node in self._graph.node if id(node) in needed], self._makers)
        copies = [_copy(node) for node in ordered]
        del self._graph.node[:]
        self._graph.node.extend(copies)
        read = {name for node in copies for name in _reads(node)} | self._outputs
        # Before version 4 of the format, initializers are inputs, too.
        _drop(self._graph.input, {name for name in self._initializers if name not in read})
        _drop(self._graph.initializer, {name for name in self._initializers if name not in read})
        # What shape inference said of tensors that are gone or changed.
        del self._graph.value_info[:]

    def _needed(self) -> set[int]:
        needed: set[int] = set()
        waiting = [*self._outputs]
        while waiting:
            node = self._makers.get(waiting.pop())
            if node is not None and id(node) not in needed:
                needed.add(id(node))
                waiting.extend(_reads(node))
        return needed

    def _fresh(self, stem: str) -> str:
        name, number = stem, 1
        while name in self._names:
            name, number = f"{stem}_{number}", number + 1
        self._names.add(name)
        return name

    def _constants_to_initializers(self) -> None:
        """Constant nodes and initializers are one kind of constant to every rewrite."""
        kept = []
        for node in self._graph.node:
            value = _constant_value(node)
            if value is None:
                kept.append(_copy(node))
                continue
            value.name = node.output[0]
            self._graph.initializer.append(value)
        if len(kept) < len(self._graph.node):
            del self._graph.node[:]
            self._graph.node.extend(kept)


def opset_of(model: onnx.ModelProto) -> int:
    """Return the version of ONNX's own operators that a model is written in; 1 if it does not say."""
    return next((each.version for each in model.opset_import if each.domain in MAIN_DOMAINS), 1)


def attribute(node: onnx.NodeProto, name: str, default: Any = None) -> Any:
    """Return the value of a node's attribute."""
    for each in node.attribute:
        if each.name == name:
            return helper.get_attribute_value(each)
    return default


def label(node: onnx.NodeProto) -> str:
    """Return a name for a node that may have none."""
    return node.name or f"{node.op_type} of {node.output[0]}"


def _types_of(model: onnx.ModelProto) -> dict[str, Any]:
    outline = onnx.ModelProto(ir_version=model.ir_version, opset_import=model.opset_import, functions=model.functions)
    outline.graph.name = model.graph.name
    for field in ("node", "input", "output", "value_info"):
        getattr(outline.graph, field).extend(getattr(model.graph, field))
    # Weights are not copied: inference needs only the values of what may be a shape.
    outline.graph.initializer.extend(
        each
        if math.prod(each.dims) <= _LARGEST_SHAPE
        else onnx.TensorProto(dims=each.dims, data_type=each.data_type, name=each.name)
        for each in model.graph.initializer
    )
    # A graph that cannot be inferred is rewritten where no shape is needed.
    with contextlib.suppress(RuntimeError, ValueError):
        outline = onnx.shape_inference.infer_shapes(outline, data_prop=True)
    graph = outline.graph
    return {each.name: each.type.tensor_type for each in (*graph.value_info, *graph.input, *graph.output)}


def _constant_value(node: onnx.NodeProto) -> onnx.TensorProto | None:
    if node.op_type != "Constant" or node.domain not in MAIN_DOMAINS:
        return None
    value = onnx.TensorProto()
    if (tensor := attribute(node, "value")) is not None:
        value.CopyFrom(tensor)
        return value
    for name, dtype in (("value_float", np.float32), ("value_int", np.int64)):
        if (number := attribute(node, name)) is not None:
            return numpy_helper.from_array(np.array(number, dtype))
    for name, dtype in (("value_floats", np.float32), ("value_ints", np.int64)):
        if (numbers := attribute(node, name)) is not None:
            return numpy_helper.from_array(np.array(list(numbers), dtype))
    return None


def _reads(node: onnx.NodeProto) -> Iterator[str]:
    yield from (name for name in node.input if name)
    for each in node.attribute:
        for body in (*([each.g] if each.HasField("g") else ()), *each.graphs):
            for inner in body.node:
                yield from _reads(inner)
            yield from (out.name for out in body.output)


def _in_order(nodes: Sequence[onnx.NodeProto], makers: dict[str, onnx.NodeProto]) -> list[onnx.NodeProto]:
    """Return the nodes, each behind those whose outputs it reads, and else as they stood."""
    ordered: list[onnx.NodeProto] = []
    state: dict[int, bool] = {}
    for first in nodes:
        stack = [(first, False)]
        while stack:
            node, ready = stack.pop()
            if ready:
                ordered.append(node)
                continue
            if id(node) in state:
                continue
            state[id(node)] = True
            stack.append((node, True))
            before = (makers[name] for name in _reads(node) if name in makers)
            stack.extend((each, False) for each in before if id(each) not in state)
    return ordered


def _copy(node: onnx.NodeProto) -> onnx.NodeProto:
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    return copy


def _drop(field: Any, names: Collection[str]) -> None:
    for index in reversed(range(len(field))):
        if field[index].name in names:
            del field[index]
