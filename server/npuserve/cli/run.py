"""`npuserve run`: runs an OM on inputs from a file, without a server, and tells its latency."""

import argparse
import json
import math
import os
import sys
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from npuserve.cli.acl_library import LibraryNotFoundError, acl_candidates
from npuserve.cli.om_session import Array, OmRunError, OmSession
from npuserve.cli.tables import table
from npuserve.migrate.chain.tensors import load_samples, save_samples

QUANTILES = (50, 95, 99)

# Of each gear.
GEAR_RUNS = 20
GEAR_SECONDS = 0.5


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's flags."""
    add = parser.add_argument
    add("om", type=Path, metavar="OM", help="the compiled model")
    add(
        "--inputs",
        type=Path,
        required=True,
        metavar="FILE.npz",
        help="arrays by input name, or NUMBER/NAME for several samples",
    )
    add("--outputs", type=Path, metavar="FILE.npz", help="write the outputs under the same numbers")
    add("--latency", type=Path, metavar="FILE.json", help="write the latencies")
    add("--gears", type=Path, metavar="FILE.json", help="time every gear too, filled with the first sample's values")
    add("--repeat", type=int, default=1, metavar="N", help="run each sample so many times (1)")
    add("--max-seconds", type=float, default=math.inf, metavar="S", help="repeat a sample no longer than this")
    add("--device", type=int, default=0, metavar="N", help="device to run on (0)")
    add("--acl-library", metavar="FILE", help="AscendCL library, or the folder that it is in")


def run(parsed: argparse.Namespace, environment: Mapping[str, str]) -> int:
    """Run the OM; return 2 for inputs that are not usable, 1 if it cannot be loaded or fails."""
    if parsed.repeat < 1:
        return _fail(f"--repeat must be at least 1, got {parsed.repeat}", 2)
    try:
        samples = _samples(parsed.inputs)
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        return _fail(f"cannot read {parsed.inputs}: {error}", 2)
    try:
        with OmSession(acl_candidates(parsed.acl_library, "auto", environment), parsed.om, parsed.device) as session:
            return _run(session, samples, parsed)
    except (LibraryNotFoundError, OmRunError, RuntimeError, ValueError, OSError) as error:
        return _fail(f"{parsed.om}: {error}", 1)


def _run(session: OmSession, samples: Sequence[Mapping[str, Array]], parsed: argparse.Namespace) -> int:
    answers: list[dict[str, Array]] = []
    latencies: list[dict[str, Any]] = []
    for sample in samples:
        outputs, seconds = session.run(session.prepared(sample))
        answers.append(outputs)
        # The first run of several is not counted: it makes what the others find.
        again = parsed.repeat > 1
        latencies.append(
            _timed(session, sample, parsed.repeat, parsed.max_seconds)
            if again
            else _latency(_shapes(sample), [seconds])
        )
    if parsed.outputs is not None:
        save_samples(parsed.outputs, answers)
    if parsed.latency is not None:
        parsed.latency.write_text(json.dumps(latencies, indent=1) + "\n")
    if parsed.gears is not None:
        gears = [_timed(session, gear, GEAR_RUNS, GEAR_SECONDS) for gear in _gears(session, samples[0])]
        parsed.gears.write_text(json.dumps(gears, indent=1) + "\n")
        latencies += gears
    print(_table(latencies))
    return 0


def _gears(session: OmSession, sample: Mapping[str, Array]) -> list[dict[str, Array]]:
    names = [spec.name for spec in session.signature.inputs]
    return [
        {name: np.resize(sample[name], shape) for name, shape in zip(names, gear.input_shapes, strict=True)}
        for gear in session.signature.gears
    ]


def _timed(session: OmSession, sample: Mapping[str, Array], repeat: int, max_seconds: float) -> dict[str, Any]:
    inputs = session.prepared(sample)
    seconds: list[float] = []
    while len(seconds) < repeat and (not seconds or sum(seconds) < max_seconds):
        seconds.append(session.run(inputs)[1])
    return _latency(_shapes(sample), seconds)


def _shapes(sample: Mapping[str, Array]) -> dict[str, Sequence[int]]:
    return {name: np.shape(array) for name, array in sample.items()}


def _samples(path: Path) -> list[dict[str, Array]]:
    with np.load(path) as archive:
        if not archive.files:
            raise ValueError("it holds no arrays")
        if not all(key.partition("/")[0].isdigit() and "/" in key for key in archive.files):
            return [{key: archive[key] for key in archive.files}]
    return load_samples(path)


def _latency(shapes: Mapping[str, Sequence[int]], seconds: Sequence[float]) -> dict[str, Any]:
    milliseconds = np.array(seconds) * 1e3
    return {
        "shapes": {name: list(shape) for name, shape in shapes.items()},
        "runs": len(seconds),
        "mean_ms": float(milliseconds.mean()),
        **{f"p{each}_ms": float(np.quantile(milliseconds, each / 100)) for each in QUANTILES},
    }


def _table(latencies: Sequence[Mapping[str, Any]]) -> str:
    """Return a line for each set of shapes; the samples of one are averaged."""
    together: dict[str, list[Mapping[str, Any]]] = {}
    for each in latencies:
        shapes = " ".join(f"{name}:{','.join(map(str, shape))}" for name, shape in each["shapes"].items())
        together.setdefault(shapes, []).append(each)
    columns = [f"p{each}_ms" for each in QUANTILES]
    rows = [
        (shapes, str(len(group)), *(f"{sum(each[column] for each in group) / len(group):.3f}" for column in columns))
        for shapes, group in together.items()
    ]
    return table(("shapes", "samples", *(column.replace("_", " ") for column in columns)), rows)


def _fail(message: str, code: int) -> int:
    print(f"npuserve run: error: {message}", file=sys.stderr)
    return code


def main() -> int:
    """Run the command without the others, which take longer to import than an OM to run."""
    parser = argparse.ArgumentParser(prog="npuserve run")
    add_run_arguments(parser)
    return run(parser.parse_args(), os.environ)


if __name__ == "__main__":
    sys.exit(main())
