"""How long the OM takes, gear by gear: the baseline that later measurements are held against."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from npuserve.migrate.chain.tensors import Tensors
from npuserve.migrate.compare.batches import filled
from npuserve.migrate.compare.programs import Programs

REPEAT = 20


def gear_latencies(om: Path, described: Mapping[str, Any], sample: Tensors, programs: Programs) -> list[dict[str, Any]]:
    """Run every gear, filled with a sample's values; return shapes, rows, quantiles and milliseconds a row."""
    names = [each["name"] for each in described["inputs"]]
    gears = [dict(zip(names, gear["inputs"], strict=True)) for gear in described["gears"]]
    _, latencies = programs.run(om, [filled(sample, gear) for gear in gears], repeat=REPEAT)
    found = []
    for gear, latency in zip(gears, latencies, strict=True):
        first = gear[names[0]]
        rows = first[0] if first else 1
        found.append({"gear": "x".join(map(str, first)), "rows": rows, **latency, "row_ms": latency["p50_ms"] / rows})
    return found
