"""How long the OM takes, gear by gear: the baseline that later measurements are held against."""

from collections.abc import Mapping, Sequence
from typing import Any


def gear_latencies(timed: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the gears' shapes, rows, quantiles and milliseconds a row, from what `npuserve run --gears` wrote."""
    found = []
    for latency in timed:
        first: list[int] = next(iter(latency["shapes"].values()), [])
        rows = first[0] if first else 1
        found.append({"gear": "x".join(map(str, first)), "rows": rows, **latency, "row_ms": latency["p50_ms"] / rows})
    return found
