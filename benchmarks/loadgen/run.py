"""What can `npuserve bench` itself drive, and does it see what perf_analyzer sees?

Ceiling: one client process against a sink that only answers, and against our server with an identity model of 128 FP32
numbers; by the clock, and by the client's own processor time, since client and server share the machine. Comparison: a
model that takes 4 ms a batch, so that the server and not the client is what is measured, a closed loop and an open one;
both clients take turns.
"""

import argparse
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from npuserve.core.dtype import Dtype
from npuserve.migrate.load import LoadOptions, LoadReport, ModelInterface, Window, measure
from npuserve.migrate.load.client_processes import ClientProcesses
from npuserve.migrate.load.interface import Input
from npuserve.migrate.load.options import Protocol
from npuserve.migrate.load.requests import prepared
from npuserve.migrate.load.windows import joined, window_of

from benchmarks.frontend import analyzer
from benchmarks.frontend.analyzer import Analysis
from benchmarks.frontend.model import MODEL, NUMBERS, write_model
from benchmarks.loadgen.sink import sink
from benchmarks.report import Report
from benchmarks.server import ServerProcess, serving

WORK = Path(__file__).resolve().parents[2] / "build" / "bench" / "loadgen"
SLOW = "slow"
BUSY = 64  # in flight, where the ceiling is looked for
IN_FLIGHT = 8  # in the comparison
PER_SECOND = 100.0  # half of what the slow model takes one by one: near that, chance decides who queues
SLICES_A_SECOND = 4
PAIRS = 2  # a round: both clients see the same noise only on average
SAMPLES = [{"INPUT0": np.zeros((1, NUMBERS), np.float32)}]
INTERFACE = ModelInterface(MODEL, (Input("INPUT0", Dtype.FP32, (-1, NUMBERS)),), batches=True, is_decoupled=False)

_SLOW_CONFIG = f"""\
backend: "python"
max_batch_size: {IN_FLIGHT}
input [ {{ name: "INPUT0" data_type: TYPE_FP32 dims: [ {NUMBERS} ] }} ]
output [ {{ name: "OUTPUT0" data_type: TYPE_FP32 dims: [ {NUMBERS} ] }} ]
dynamic_batching {{ }}
"""
_SLOW_MODEL = """\
import time

import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        time.sleep(0.004)
        given = [pb_utils.get_input_tensor_by_name(request, "INPUT0").as_numpy() for request in requests]
        return [pb_utils.InferenceResponse(output_tensors=[pb_utils.Tensor("OUTPUT0", array)]) for array in given]
"""


def main() -> None:
    """Measure all and publish."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="how often everything is measured")
    parser.add_argument("--seconds", type=float, default=3.0, help="length of each measurement")
    arguments = parser.parse_args()
    rounds, seconds = arguments.rounds, arguments.seconds
    report = Report("loadgen")
    grpc = [ceiling("grpc", seconds) for _ in range(rounds)]
    http = [ceiling("http", seconds) for _ in range(rounds)]
    report.add("loadgen_ceiling", "requests/s", [window.throughput for window in grpc])
    report.add("loadgen_ceiling_http", "requests/s", [window.throughput for window in http])
    report.add("loadgen_cpu", "us/request", [cpu_us(window) for window in grpc])
    report.add("loadgen_cpu_http", "us/request", [cpu_us(window) for window in http])
    with server() as running:
        ours = [loaded(running, MODEL, BUSY, seconds) for _ in range(rounds)]
        report.add("loadgen_against_server", "requests/s", [each.throughput for each in ours])
        compare(report, running, rounds * PAIRS, seconds)
    report.publish()


def ceiling(protocol: Protocol, seconds: float) -> Window:
    """Load the sink from one process; return what it counted after a second of warm-up."""
    with sink(WORK) as address:
        options = LoadOptions(url=address, model=MODEL, samples=SAMPLES, protocol=protocol, concurrency=BUSY)
        with ClientProcesses(options, prepared(options, INTERFACE)) as processes:
            slices = [window_of(processes.slices()) for _ in range(round((seconds + 1) * SLICES_A_SECOND))]
            processes.stop()
    measured = joined(slices[SLICES_A_SECOND:])
    assert not measured.failures, measured.failures
    return measured


def cpu_us(window: Window) -> float:
    """Return the processor time that the client spent on a request."""
    return window.client_cores * 1e6 / window.throughput


def compare(report: Report, running: ServerProcess, pairs: int, seconds: float) -> None:
    """Put the same load to the slow model by both clients in turn; ratios are ours over perf_analyzer's."""
    ratios: dict[str, list[float]] = {"": [], "_p50": [], "_rate_p50": [], "_rate_p99": []}
    for pair in range(pairs):
        closed = in_turn(pair, running, IN_FLIGHT, seconds)
        opened = in_turn(pair, running, None, seconds)
        ratios[""].append(closed[0].throughput / closed[1].per_second)
        ratios["_p50"].append(closed[0].latency_ms(50) / closed[1].p50_ms)
        ratios["_rate_p50"].append(opened[0].latency_ms(50) / opened[1].p50_ms)
        ratios["_rate_p99"].append(opened[0].latency_ms(99) / opened[1].p99_ms)
    for name, samples in ratios.items():
        report.add(f"loadgen_vs_perf_analyzer{name}", "ratio", samples)


def in_turn(turn: int, running: ServerProcess, in_flight: int | None, seconds: float) -> tuple[LoadReport, Analysis]:
    """Measure with both; who comes first changes, since the machine's other work does not stand still."""
    if turn % 2:
        theirs = analyzed(running, in_flight, seconds)
        return loaded(running, SLOW, in_flight, seconds), theirs
    return loaded(running, SLOW, in_flight, seconds), analyzed(running, in_flight, seconds)


def analyzed(running: ServerProcess, in_flight: int | None, seconds: float) -> Analysis:
    """Load the slow model with perf_analyzer, as `loaded` does."""
    if in_flight:
        return analyzer.concurrency(running.address, in_flight, seconds, SLOW)
    return analyzer.rate(running.address, PER_SECOND, seconds, SLOW)


def loaded(running: ServerProcess, model: str, in_flight: int | None, seconds: float) -> LoadReport:
    """Load our server: a closed loop, or an evenly spaced open one."""
    report = measure(
        LoadOptions(
            url=running.address,
            model=model,
            samples=SAMPLES,
            concurrency=in_flight or 1,
            request_rate=None if in_flight else PER_SECOND,
            distribution="constant",
            window_seconds=seconds / 3,
            max_windows=3,
        )
    )
    assert not report.measured.failures, report.measured.failures
    return report


@contextmanager
def server() -> Iterator[ServerProcess]:
    """Serve the identity model and the slow one."""
    repository = WORK / "models"
    shutil.rmtree(repository, ignore_errors=True)
    write_model(repository, MODEL)
    (repository / SLOW / "1").mkdir(parents=True)
    (repository / SLOW / "config.pbtxt").write_text(_SLOW_CONFIG)
    (repository / SLOW / "1" / "model.py").write_text(_SLOW_MODEL)
    with serving(repository, WORK / "server.log") as running:
        yield running


if __name__ == "__main__":
    main()
