"""All rewrites in their order, and what those did to a model."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import onnx

from npuserve.migrate.errors import MigrationError
from npuserve.migrate.export.rewrites import (
    gelu_fuse,
    gelu_unfuse,
    index_add,
    int64_indices,
    layer_norm_fuse,
    layer_norm_unfuse,
    opset,
    softmax_mask,
)
from npuserve.migrate.export.rewrites.applied import Applied
from npuserve.migrate.export.rewrites.graph import Graph
from npuserve.migrate.export.rewrites.rewrite import Changes, Target


@dataclass(frozen=True, slots=True)
class Rewrite:
    """name: as settings name it. apply: changes a graph and says where."""

    name: str
    reason: str
    apply: Callable[[Graph, Target], Changes]


# First what the wanted version of the operators lacks is taken apart, then the version changes, then what it has is
# put together.
REWRITES: Sequence[Rewrite] = tuple(
    Rewrite(module.__name__.rpartition(".")[2], module.REASON, module.apply)
    for module in (
        gelu_unfuse,
        layer_norm_unfuse,
        index_add,
        opset,
        layer_norm_fuse,
        gelu_fuse,
        softmax_mask,
        int64_indices,
    )
)
NAMES = frozenset(each.name for each in REWRITES)
DECOMPOSED = frozenset(("Gelu", "LayerNormalization"))


def rewrite(model: onnx.ModelProto, target: Target, skipped: Collection[str] = ()) -> list[Applied]:
    """Change a model in place by all rewrites but the skipped; return those that found something.

    Raises MigrationError if a skipped name is none, or the wanted opset cannot be reached.
    """
    if unknown := sorted(set(skipped) - NAMES):
        raise MigrationError(f"there is no rewrite '{unknown[0]}': they are {_joined(NAMES)}")
    if unknown := sorted(target.decompose - DECOMPOSED):
        raise MigrationError(f"export.decompose: '{unknown[0]}' cannot be spelled out, only {_joined(DECOMPOSED)}")
    found = []
    for each in REWRITES:
        if each.name in skipped:
            continue
        graph = Graph(model)
        changes = each.apply(graph, target)
        if changes.places and each.name != "opset":
            graph.tidy()
        if changes.places or changes.left:
            found.append(
                Applied(rewrite=each.name, reason=each.reason, places=tuple(changes.places), left=tuple(changes.left))
            )
    return found


def _joined(names: Collection[str]) -> str:
    return ", ".join(sorted(names))
