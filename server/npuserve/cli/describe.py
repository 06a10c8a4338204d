"""`npuserve describe`: what an OM says of itself when AscendCL loads it."""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from npuserve import _engine
from npuserve.cli.acl_library import DEVICES, LibraryNotFoundError, acl_candidates
from npuserve.cli.tables import table


def add_describe_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's flags."""
    add = parser.add_argument
    add("om", type=Path, metavar="OM", help="the compiled model")
    add("--json", action="store_true", help="print JSON instead of tables")
    add("--device", choices=DEVICES, default="auto", help="which AscendCL loads it (auto)")
    add("--device-id", type=int, default=0, metavar="N", help="the device that it is loaded on (0)")
    add("--acl-library", metavar="FILE", help="AscendCL library, or the folder that it is in")


def run(parsed: argparse.Namespace, environment: Mapping[str, str]) -> int:
    """Print the description; return 1 if the OM or the library cannot be loaded."""
    try:
        candidates = acl_candidates(parsed.acl_library, parsed.device, environment)
        found = _describe(candidates, parsed.om, parsed.device_id)
    except (LibraryNotFoundError, RuntimeError, ValueError, OSError) as error:
        print(f"npuserve describe: error: {parsed.om}: {error}", file=sys.stderr)
        return 1
    print(json.dumps(found, indent=1) if parsed.json else _tables(found))
    return 0


def _describe(candidates: Sequence[Sequence[str]], path: Path, device: int) -> dict[str, Any]:
    with path.open("rb"):
        pass  # for the system's words on why it cannot be read
    runtime = _engine.Runtime([list(files) for files in candidates])
    try:
        return {"soc": runtime.soc_name, **described(runtime.describe(str(path), device))}
    finally:
        runtime.close()


def described(signature: _engine.Signature) -> dict[str, Any]:
    """Return inputs, outputs and gears as plain JSON; a gear has the shapes of both in their order."""
    return {
        "inputs": [_tensor(spec) for spec in signature.inputs],
        "outputs": [_tensor(spec) for spec in signature.outputs],
        "gears": [
            {
                "inputs": [list(shape) for shape in gear.input_shapes],
                "outputs": [list(shape) for shape in gear.output_shapes],
            }
            for gear in signature.gears
        ],
    }


def _tensor(spec: _engine.TensorSpec) -> dict[str, Any]:
    return {"name": spec.name, "dtype": spec.dtype, "shape": list(spec.shape)}


def _tables(found: Mapping[str, Any]) -> str:
    tensors = [
        (kind[:-1], each["name"], each["dtype"], _shape(each["shape"]))
        for kind in ("inputs", "outputs")
        for each in found[kind]
    ]
    names = [each["name"] for kind in ("inputs", "outputs") for each in found[kind]]
    gears = [[_shape(shape) for shape in (*gear["inputs"], *gear["outputs"])] for gear in found["gears"]]
    return "\n".join(
        [f"chip: {found['soc']}", table(("", "name", "dtype", "shape"), tensors), "gears:", table(names, gears)]
    )


def _shape(dims: Sequence[int]) -> str:
    return ",".join(map(str, dims)) or "scalar"
