"""What an ONNX file says of itself, read without its weights."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from npuserve.migrate.errors import MigrationError, SetupError

if TYPE_CHECKING:
    import onnx

# ONNX's numbers of element types by the protocol's names.
DTYPES: Mapping[int, str] = {
    1: "FP32",
    2: "UINT8",
    3: "INT8",
    4: "UINT16",
    5: "INT16",
    6: "INT32",
    7: "INT64",
    8: "BYTES",
    9: "BOOL",
    10: "FP16",
    11: "FP64",
    12: "UINT32",
    13: "UINT64",
    16: "BF16",
}


@dataclass(frozen=True, slots=True)
class GraphTensor:
    """An input or output. dims: a number, the name of a dynamic axis, or "" for one without a name."""

    name: str
    dtype: str
    dims: tuple[int | str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """opsets: version by domain, "" is ONNX's own. operators: how many nodes by (domain, type), subgraphs counted in.

    functions: the (domain, type) that the file itself defines; what they are made of is among the operators.
    """

    opsets: Mapping[str, int]
    operators: Mapping[tuple[str, str], int]
    inputs: tuple[GraphTensor, ...]
    outputs: tuple[GraphTensor, ...]
    functions: frozenset[tuple[str, str]] = frozenset()


def read_outline(path: Path) -> Outline:
    """Read an ONNX file. Raises MigrationError if it is none, or if the package onnx is not installed."""
    try:
        import onnx
    except ImportError as error:
        raise SetupError(
            "the operator check needs the package onnx, which is not installed: pip install 'npuserve[convert]'"
        ) from error
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load(str(path), load_external_data=False)
    except OSError as error:
        raise MigrationError(f"cannot read {path}: {error.strerror or error}") from error
    except DecodeError as error:
        raise MigrationError(f"{path} is not an ONNX file: {error}") from error
    if not model.graph.node:
        raise MigrationError(f"{path} is not an ONNX file with a graph: it has no operators")
    return outline_of(model)


def outline_of(model: "onnx.ModelProto") -> Outline:
    """Return the outline of a model that is in memory."""
    weights = {tensor.name for tensor in model.graph.initializer}
    counts: Counter[tuple[str, str]] = Counter()
    functions = frozenset((_domain(each.domain), each.name) for each in model.functions)
    for nodes in (model.graph.node, *(each.node for each in model.functions)):
        for node in _all_nodes(nodes):
            key = (_domain(node.domain), node.op_type)
            if key not in functions:
                counts[key] += 1
    return Outline(
        opsets={_domain(each.domain): each.version for each in model.opset_import},
        operators=dict(counts),
        inputs=tuple(_tensor(each) for each in model.graph.input if each.name not in weights),
        outputs=tuple(_tensor(each) for each in model.graph.output),
        functions=functions,
    )


def _domain(name: str) -> str:
    return "" if name == "ai.onnx" else name


def _all_nodes(nodes: "Iterable[onnx.NodeProto]") -> "Iterator[onnx.NodeProto]":
    for node in nodes:
        yield node
        for attribute in node.attribute:
            for graph in (attribute.g, *attribute.graphs):
                yield from _all_nodes(graph.node)


def _tensor(value: "onnx.ValueInfoProto") -> GraphTensor:
    kind = value.type.tensor_type
    dims = tuple(dim.dim_value if dim.HasField("dim_value") else dim.dim_param for dim in kind.shape.dim)
    return GraphTensor(value.name, DTYPES.get(kind.elem_type, f"ONNX type {kind.elem_type}"), dims)
