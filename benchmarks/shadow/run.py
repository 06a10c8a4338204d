"""What does a shadow cost the live server's p99?

Three servers with an identity model of 128 FP32 numbers: one without a shadow; one that mirrors 10 % to a reference;
one whose reference cannot be reached, so that its requests are copied and no more. The same open loop goes to each in
turn, round by round, so that the machine's noise is everybody's. The reference is a sink that only answers, when nobody
else wants the core: in service it has cores of its own.
"""

import argparse
import json
import shutil
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from npuserve.migrate.load import LoadOptions, Window, measure

from benchmarks.frontend.model import MODEL, NUMBERS, write_model
from benchmarks.loadgen.sink import sink
from benchmarks.report import Report
from benchmarks.server import ServerProcess, serving

WORK = Path(__file__).resolve().parents[2] / "build" / "bench" / "shadow"
NOBODY = "127.0.0.1:9"
SAMPLES = [{"INPUT0": np.zeros((1, NUMBERS), np.float32)}]
WINDOWS = 3


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9, help="how often each server is measured")
    parser.add_argument("--seconds", type=float, default=5.0, help="length of each measurement")
    parser.add_argument("--rate", type=float, default=2000.0, help="requests a second")
    parser.add_argument("--share", type=float, default=0.1, help="of them that are mirrored")
    arguments = parser.parse_args()
    shutil.rmtree(WORK, ignore_errors=True)
    write_model(WORK / "models", MODEL)
    with sink(WORK, idle=True) as reference, ExitStack() as stack:
        servers = {"plain": stack.enter_context(serving(WORK / "models", WORK / "plain.log"))}
        for name, where in (("shadow", reference), ("tap", NOBODY)):
            verb = ("shadow", f"--reference={where}", f"--share={arguments.share}", f"--report={WORK / name}")
            servers[name] = stack.enter_context(serving(WORK / "models", WORK / f"{name}.log", verb=verb))
        windows: dict[str, list[Window]] = {name: [] for name in servers}
        names = list(servers)
        for turn in range(arguments.rounds):
            for name in names[turn % len(names) :] + names[: turn % len(names)]:
                windows[name].append(loaded(servers[name], arguments.rate, arguments.seconds))
        for server in servers.values():
            assert server.stop() == 0, server.log.read_text()
    publish(windows)


def loaded(server: ServerProcess, rate: float, seconds: float) -> Window:
    """Load a server; return what its clients waited."""
    report = measure(
        LoadOptions(
            url=server.address,
            model=MODEL,
            samples=SAMPLES,
            request_rate=rate,
            window_seconds=seconds / WINDOWS,
            max_windows=WINDOWS,
        )
    )
    assert not report.measured.failures, report.measured.failures
    return report.measured


def publish(windows: dict[str, list[Window]]) -> None:
    """Print the ratios to the server without a shadow, round by round, and what the shadow itself says."""
    report = Report("shadow")
    waits = {
        (name, percent): [window.latency.quantile_ns(percent / 100) / 1e6 for window in windows[name]]
        for name in windows
        for percent in (99, 50)
    }
    for figure, name in (("shadow", "shadow"), ("shadow_tap", "tap")):
        for percent in (99, 50):
            pairs = zip(waits[name, percent], waits["plain", percent], strict=True)
            report.add(f"{figure}_p{percent}_ratio", "x", [with_it / without for with_it, without in pairs])
    report.add("shadow_plain_p99", "ms", waits["plain", 99])
    report.add("shadow_mirrored_p99", "ms", waits["shadow", 99])
    found = json.loads((WORK / "shadow" / "report.json").read_text())
    tap, model = found["tap"], found["models"][MODEL]
    assert model["compared"] and not model["disagreed"] and not model["failed"], model
    report.add("shadow_copy", "us/request", [tap["write_ns"] / 1e3 / tap["written"]])
    report.add("shadow_compared_share", "of queued", [model["compared"] / tap["written"]])
    report.publish()


if __name__ == "__main__":
    main()
