"""What the OM says of itself when it is loaded, against what was planned and what the ONNX has."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from npuserve.migrate.compile.atc_options import AtcOptions
from npuserve.migrate.compile.gears import Shapes
from npuserve.migrate.compile.outline import GraphTensor, Outline

_SECONDS = 600
# atc's names of types that differ from the protocol's.
_WIRE_NAMES = {"FLOAT": "FP32", "FLOAT16": "FP16", "BFLOAT16": "BF16"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """An OM's own words: as JSON, or why there are none."""

    content: Mapping[str, Any] | None
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Differences:
    """Each a sentence. tensors: of inputs and outputs. gears: that are missing, or that were not planned."""

    tensors: tuple[str, ...]
    gears: tuple[str, ...]


def describe_command(om: Path) -> list[str]:
    """Return the command that loads an OM and prints what it says."""
    return [sys.executable, "-m", "npuserve.cli.main", "describe", str(om), "--json"]


def describe(om: Path, environment: Mapping[str, str]) -> Description:
    """Load an OM in a process of its own, as AscendCL is for a process's whole life. Blocks."""
    try:
        run = subprocess.run(
            describe_command(om),
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_SECONDS,
            check=False,
        )
        if run.returncode == 0:
            return Description(content=json.loads(run.stdout))
    except subprocess.TimeoutExpired:
        return Description(content=None, error=f"loading it did not end within {_SECONDS} s")
    except ValueError as error:
        return Description(content=None, error=f"what it says of itself is no JSON: {error}")
    said = run.stderr.strip().splitlines()
    told = said[-1] if said else f"loading it ended with code {run.returncode}"
    return Description(content=None, error=told.removeprefix(f"npuserve describe: error: {om}: "))


def differences(content: Mapping[str, Any], outline: Outline, shapes: Shapes, options: AtcOptions) -> Differences:
    """Compare an OM's own words with the graph, the plan and the options that change names and types on purpose."""
    halved = set(options.input_fp16_nodes)
    inputs = [
        GraphTensor(tensor.name, "FP16" if tensor.name in halved else tensor.dtype, tensor.dims)
        for tensor in outline.inputs
    ]
    found = [*_tensors("input", inputs, content["inputs"])]
    # Other outputs than the graph's were asked for by name; what they are is theirs to tell.
    if not options.out_nodes:
        dtype = _WIRE_NAMES.get(options.output_type, options.output_type)
        outputs = [GraphTensor(tensor.name, dtype or tensor.dtype, tensor.dims) for tensor in outline.outputs]
        found += _tensors("output", outputs, content["outputs"])
    return Differences(tensors=tuple(found), gears=tuple(_gears(content, shapes)))


def _tensors(kind: str, expected: Sequence[GraphTensor], found: Sequence[Mapping[str, Any]]) -> list[str]:
    names, there = [tensor.name for tensor in expected], [tensor["name"] for tensor in found]
    if names != there:
        return [f"the OM has the {kind}s {', '.join(there)}, the ONNX has {', '.join(names)}"]
    told = []
    for tensor, other in zip(expected, found, strict=True):
        if tensor.dtype != other["dtype"]:
            told.append(f"{kind} {tensor.name} is {other['dtype']} in the OM, {tensor.dtype} in the ONNX")
        if not _fits(tensor.dims, other["shape"]):
            shape = list(other["shape"])
            told.append(f"{kind} {tensor.name} has the shape {shape} in the OM, {list(tensor.dims)} in the ONNX")
    return told


def _fits(dims: Sequence[int | str], shape: Sequence[int]) -> bool:
    if not dims and shape:
        return True  # an output whose shape the ONNX does not tell
    return len(dims) == len(shape) and all(
        not isinstance(dim, int) or dim < 1 or dim == size for dim, size in zip(dims, shape, strict=True)
    )


def _gears(content: Mapping[str, Any], shapes: Shapes) -> list[str]:
    names = [tensor["name"] for tensor in content["inputs"]]
    there = {tuple(tuple(shape) for shape in gear["inputs"]) for gear in content["gears"]}
    planned = {tuple(gear.get(name, ()) for name in names) for gear in shapes.gears}
    missing = [f"the gear {_shown(names, gear)} was planned, and the OM has none" for gear in sorted(planned - there)]
    return missing + [
        f"the OM has the gear {_shown(names, gear)}, which was not planned" for gear in sorted(there - planned)
    ]


def _shown(names: Sequence[str], gear: Sequence[Sequence[int]]) -> str:
    return " ".join(f"{name}:{','.join(map(str, shape))}" for name, shape in zip(names, gear, strict=True))
