"""Gelu out of Erf or Tanh."""

from npuserve.migrate.export.rewrites.gelu_shape import spelled
from npuserve.migrate.export.rewrites.graph import Graph, label
from npuserve.migrate.export.rewrites.rewrite import Changes, Target

SINCE = 20
REASON = (
    "opset 20 has Gelu as one operator: one pass over the memory in place of five to eight, and in half precision one "
    "rounding in place of as many"
)


def apply(graph: Graph, target: Target) -> Changes:
    """Put each Gelu that is spelled out into one operator, if the graph's opset has it."""
    changes = Changes()
    if target.lacks("Gelu", SINCE) or graph.opset < SINCE:
        return changes
    for each in list(spelled(graph)):
        output = each.last.output[0]
        graph.give_up(each.last, output)
        graph.add("Gelu", [each.x], "gelu", output, approximate=each.approximate)
        changes.places.append(label(each.last))
    return changes
