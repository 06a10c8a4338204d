"""perf_analyzer as a client: Triton's own load generator, which is itself a gRPC C++ client and shares the machine."""

import csv
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks.fetch import perf_analyzer
from benchmarks.frontend.model import MODEL

WINDOWS = 3  # perf_analyzer's least: it looks at three windows in a row


@dataclass(frozen=True)
class Analysis:
    """What it measured, as its client sees it."""

    per_second: float
    p50_ms: float
    p99_ms: float


def concurrency(address: str, in_flight: int, seconds: float, model: str = MODEL) -> Analysis:
    """A closed loop of `in_flight` requests."""
    return _analyze(address, ["--concurrency-range", str(in_flight)], seconds, model)


def rate(address: str, per_second: float, seconds: float, model: str = MODEL) -> Analysis:
    """An open loop: evenly spaced requests, sent on time whether answers come or not."""
    return _analyze(address, ["--request-rate-range", f"{per_second:.6g}"], seconds, model)


def _analyze(address: str, load: list[str], seconds: float, model: str) -> Analysis:
    program, environment = perf_analyzer()
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.csv"
        command = [str(program), "-m", model, "-u", address, "-i", "grpc", "--async", *load, "-f", str(report)]
        # Every window counts: how much the rounds differ is told by their spread.
        command += ["-p", str(round(seconds * 1000 / WINDOWS)), "-r", str(WINDOWS), "--stability-percentage", "999"]
        result = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120, check=False)
        if result.returncode != 0:
            raise RuntimeError(f"{' '.join(command)}\n{result.stdout}{result.stderr}")
        (row,) = csv.DictReader(report.read_text().splitlines())
    return Analysis(float(row["Inferences/Second"]), float(row["p50 latency"]) / 1e3, float(row["p99 latency"]) / 1e3)
