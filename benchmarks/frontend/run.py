"""How fast is the native front end beside Triton's, grpc.aio on the same handlers, and LitServe?

One identity model of 128 FP32 numbers behind the full batcher, statistics on, and for Triton a backend in C that does
the same. All peers run at once, but are stopped while another is measured; within a round each load is put to all of
them one after the other, so a ratio is of neighbours in time. The clients share the processors with the servers.
"""

import argparse
import statistics
from pathlib import Path

from benchmarks.frontend import h2load
from benchmarks.frontend.contest import (
    GRPCIO,
    LITSERVE,
    LOADS,
    NATIVE,
    PEERS,
    TRITON,
    WITHOUT_STATISTICS,
    Load,
    Peer,
    Samples,
    analyzed,
    closed_loop,
    contest,
    grpc_target,
    paced,
    rotated,
    two_processes,
)
from benchmarks.frontend.plot import draw
from benchmarks.report import Report

WORK = Path(__file__).resolve().parents[2] / "build" / "bench" / "frontend"
PACES = {"50": 0.5, "80": 0.8}  # of what Triton gives at 16 x 1
ANALYZER_PACE = 0.5  # of what Triton gives perf_analyzer at 16 in flight
ANALYZER_CONCURRENCY = (1, 16)
BUSIEST = Load(4, 25)
SHARED_LOADS = (Load(16, 1), Load(100, 1))
# A round: the difference to be seen is small, and the machine's own changes are slow. So short ones, and many.
STATISTICS_PAIRS = 8


def main() -> None:
    """Run every part and publish."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="how often everything is measured")
    parser.add_argument("--seconds", type=float, default=2.0, help="length of each measurement")
    arguments = parser.parse_args()
    rounds, seconds = arguments.rounds, arguments.seconds
    with contest(WORK) as peers:
        samples = Samples()
        measure_loads(peers, rounds, seconds, samples)
        measure_paces(peers, rounds, seconds, samples)
        measure_analyzer(peers, max(1, rounds - 2), seconds, samples)
        costs = measure_statistics(peers[NATIVE], rounds * STATISTICS_PAIRS, seconds / 5)
        growth = measure_second_process(peers[NATIVE], max(1, rounds - 2), seconds)
    report = Report("frontend")
    add_ratios(report, samples)
    report.add("frontend_statistics_cost", "percent", costs)
    for load, ratios in growth.items():
        report.add(f"frontend_second_process_{load}", "ratio", ratios)
    add_absolutes(report, samples)
    draw(report, report.publish().with_suffix(".png"))


def measure_loads(peers: dict[str, Peer], rounds: int, seconds: float, samples: Samples) -> None:
    """Every load, every peer, in turn. A first pass warms them up and is not kept."""
    unkept = Samples()
    for peer in peers.values():
        closed_loop(peer, BUSIEST, seconds / 2, unkept)
    for turn in range(rounds):
        for load in LOADS:
            for peer in rotated(list(peers.values()), turn):
                closed_loop(peer, load, seconds, samples)


def measure_paces(peers: dict[str, Peer], rounds: int, seconds: float, samples: Samples) -> None:
    """Latency at rates that Triton sustains: shares of its own throughput at 16 x 1."""
    most = statistics.median(samples.rate[TRITON, "16x1"])
    for turn in range(rounds):
        for name, share in PACES.items():
            for peer in rotated([peers[NATIVE], peers[TRITON]], turn):
                paced(peer, name, share * most, seconds, samples)


def measure_analyzer(peers: dict[str, Peer], rounds: int, seconds: float, samples: Samples) -> None:
    """The same with Triton's own client, which costs the machine more than either server."""
    pair = [peers[TRITON], peers[NATIVE]]
    for turn in range(rounds):
        for in_flight in ANALYZER_CONCURRENCY:
            for peer in rotated(pair, turn):
                analyzed(peer, f"analyzer_{in_flight}", seconds, samples, in_flight=in_flight)
        pace = ANALYZER_PACE * samples.rate[TRITON, "analyzer_16"][0]
        for peer in rotated(pair, turn):
            analyzed(peer, "analyzer_paced", seconds, samples, rate=pace)


def measure_statistics(native: Peer, pairs: int, seconds: float) -> list[float]:
    """Return by how many percent a model without statistics is faster, pair by pair; the first of a pair alternates."""
    with native.awake():
        targets = [native.target, grpc_target(native.server, WORK, WITHOUT_STATISTICS)]
        costs = []
        for pair in range(pairs):
            order = (0, 1) if pair % 2 == 0 else (1, 0)
            rate = {
                which: h2load.closed_loop(targets[which], BUSIEST.connections, BUSIEST.in_flight, seconds).per_second
                for which in order
            }
            costs.append((rate[1] / rate[0] - 1) * 100)
    return costs


def measure_second_process(native: Peer, rounds: int, seconds: float) -> dict[str, list[float]]:
    """Return the throughput of two processes on one port over that of one, by load."""
    growth: dict[str, list[float]] = {load.name: [] for load in SHARED_LOADS}
    with two_processes(WORK) as shared, native.awake():
        for _ in range(rounds):
            for load in SHARED_LOADS:
                one, two = (
                    h2load.closed_loop(target, load.connections, load.in_flight, seconds).per_second
                    for target in (native.target, shared)
                )
                growth[load.name].append(two / one)
    return growth


def add_ratios(report: Report, samples: Samples) -> None:
    """Throughput: ours over theirs. Processor time and latency: ours over theirs too, so less is better there."""

    def add(name: str, ours: list[float], theirs: list[float]) -> None:
        report.add(name, "ratio", [a / b for a, b in zip(ours, theirs, strict=True)])

    for prefix, other in (("frontend", TRITON), ("frontend_grpcio", GRPCIO), ("frontend_litserve", LITSERVE)):
        for load in LOADS:
            add(f"{prefix}_ratio_{load.name}", samples.rate[NATIVE, load.name], samples.rate[other, load.name])
        busiest = BUSIEST.name
        add(f"{prefix}_cpu_ratio_{busiest}", samples.cpu_us[NATIVE, busiest], samples.cpu_us[other, busiest])
    for name in PACES:
        add(f"frontend_p99_ratio_{name}", samples.p99_ms[NATIVE, name], samples.p99_ms[TRITON, name])
    for in_flight in ANALYZER_CONCURRENCY:
        name = f"analyzer_{in_flight}"
        add(f"frontend_{name}_ratio", samples.rate[NATIVE, name], samples.rate[TRITON, name])
        add(f"frontend_{name}_p99_ratio", samples.p99_ms[NATIVE, name], samples.p99_ms[TRITON, name])
    name = "analyzer_paced"
    add(f"frontend_{name}_p99_ratio", samples.p99_ms[NATIVE, name], samples.p99_ms[TRITON, name])


def add_absolutes(report: Report, samples: Samples) -> None:
    """What the ratios are made of."""
    for peer in PEERS:
        for load in LOADS:
            report.add(f"{peer}_rate_{load.name}", "requests/s", samples.rate[peer, load.name])
        report.add(f"{peer}_cpu_{BUSIEST.name}", "us/request", samples.cpu_us[peer, BUSIEST.name])
    names = [*PACES, *(f"analyzer_{in_flight}" for in_flight in ANALYZER_CONCURRENCY), "analyzer_paced"]
    for peer in (NATIVE, TRITON):
        for name in names:
            label = f"paced_{name}" if name in PACES else name
            report.add(f"{peer}_{label}_rate", "requests/s", samples.rate[peer, name])
            report.add(f"{peer}_{label}_p50", "ms", samples.p50_ms[peer, name])
            report.add(f"{peer}_{label}_p99", "ms", samples.p99_ms[peer, name])


if __name__ == "__main__":
    main()
