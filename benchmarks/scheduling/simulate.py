"""How far is the scheduler from what no scheduler can beat, and how far ahead of Triton's batcher, on the same gears?

Virtual time: simulation/ replays traces of arrivals over the scheduler's core, over Triton's algorithm, and over a
relaxation that knows the future, whose figures are bounds. A load of 100 % is what the devices could do if every
request had its share of a full gear of the best length for it: more than any scheduler reaches.
"""

import argparse
import json
import os
import statistics
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from benchmarks.report import RESULTS, Report
from benchmarks.scheduling.sentences import token_ids
from benchmarks.scheduling.simulation.plot import draw

ROOT = Path(__file__).resolve().parents[2]
WORK = ROOT / "build" / "bench" / "scheduling"
PROGRAM = ROOT / "build" / "editable" / "simulate_scheduling"

BUCKETS, ORACLE = "buckets", "oracle"
TRITON = ("triton_padded", "triton_true")
SCHEDULERS = (BUCKETS, "equal", "one_length", *TRITON, ORACLE)
ARRIVALS = ("poisson", "bursts", "diurnal")
RECORDED = "recorded"
LOADS = tuple(percent / 100 for percent in range(10, 111, 10))

ROWS = (1, 2, 4, 8, 16, 32)
LENGTHS = (16, 32, 48, 64, 128)
# A device that takes a microsecond a token, a tenth of a millisecond a batch, and never less than the floor.
FLOOR_NS, BATCH_NS, TOKEN_NS = 400_000, 100_000, 1_000

QUEUED = (1, 100, 10_000, 100_000)
MANY = 10_000_000

Gears = dict[tuple[int, int], int]  # (rows, length): nanoseconds an execution


@dataclass(frozen=True)
class Run:
    """One scheduler at one load: what the program found."""

    scheduler: str
    arrivals: str
    load: float
    throughput: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    padding_waste: float
    utilization: float
    mean_rows: float
    requests: int
    answered: int
    refused: int
    lost: int


@dataclass(frozen=True)
class Scene:
    """What all schedulers share."""

    gears: Gears
    lengths: Path
    devices: int = 1
    requests: int = 200_000

    def program(self, mode: str, **settings: object) -> dict[str, Any]:
        """Run the simulator and return what it says."""
        gears = ",".join(f"{rows}x{length}:{cost}" for (rows, length), cost in self.gears.items())
        given = {"gears": gears, "lengths": self.lengths, "devices": self.devices, "requests": self.requests}
        words = [f"{name}={value}" for name, value in (given | settings).items()]
        done = subprocess.run([PROGRAM, mode, *words], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(done.stderr.strip())
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def run(self, scheduler: str, arrivals: str, load: float) -> Run:
        """Replay one trace."""
        outcome = self.program("replay", scheduler=scheduler, arrivals=arrivals, load=load)["outcome"]
        return Run(scheduler, arrivals, load, **outcome)


def linear_gears(rows: Sequence[int] = ROWS, lengths: Sequence[int] = LENGTHS) -> Gears:
    """Return gears whose cost is linear in their tokens, above a floor."""
    return {
        (count, length): max(FLOOR_NS, BATCH_NS + TOKEN_NS * count * length) for count, length in product(rows, lengths)
    }


def read_gears(path: Path) -> Gears:
    """Read `{"8x128": nanoseconds, ...}`, as a model's statistics name its gears. Raises ValueError if it is not."""
    gears: Gears = {}
    for label, cost in json.loads(path.read_text()).items():
        rows, times, length = label.partition("x")
        if not (times and rows.isdigit() and length.isdigit() and int(cost) > 0):
            raise ValueError(f"{path}: {label!r}: {cost!r} is not ROWSxLENGTH: nanoseconds")
        gears[int(rows), int(length)] = int(cost)
    return gears


def sentence_lengths(path: Path) -> Path:
    """Write the lengths of the example's sentences, a line each, and return the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{len(ids)}\n" for ids in token_ids(ROOT / "build" / "demo")))
    return path


def sweep(scene: Scene, arrivals: Sequence[str] = ARRIVALS) -> list[Run]:
    """Replay every trace over every scheduler at every load."""
    cases = list(product(SCHEDULERS, arrivals, LOADS))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(lambda case: scene.run(*case), cases))


def measure(report: Report, scene: Scene | None = None, arrivals: Sequence[str] = ARRIVALS, samples: int = 5) -> None:
    """Add the simulation's figures to a report, and draw its runs."""
    scene = scene or Scene(linear_gears(), sentence_lengths(WORK / "lengths.txt"))
    runs = sweep(scene, arrivals)
    _add_core_speed(report, scene, samples)
    _add_comparison(report, runs, arrivals)
    many = scene.program("replay", scheduler=BUCKETS, load=0.8, requests=MANY)
    report.add("simulation_ten_million_seconds", "s", [many["seconds"]])
    lost = sum(run.lost for run in runs) + many["outcome"]["lost"]
    report.add("simulation_lost", "requests", [lost])
    WORK.mkdir(parents=True, exist_ok=True)
    (WORK / "simulation.json").write_text(json.dumps([vars(run) for run in runs], indent=1) + "\n")
    RESULTS.mkdir(exist_ok=True)
    draw(runs, RESULTS / "scheduling_simulation.png")


def _add_core_speed(report: Report, scene: Scene, samples: int) -> None:
    """What the scheduler's decisions cost a request, by what is queued."""
    spent: dict[int, list[float]] = {queued: [] for queued in QUEUED}
    for _ in range(samples):
        for queued in QUEUED:
            found = scene.program("core", scheduler=BUCKETS, queued=queued, requests=1_000_000)
            spent[queued].append(found["request_ns"])
    least, full, most = QUEUED[0], QUEUED[1], QUEUED[-1]
    report.add("scheduler_flatness", "ratio", [b / a for a, b in zip(spent[least], spent[most], strict=True)])
    # A batch of one pays for its decision alone: these are both of full batches.
    report.add("scheduler_flatness_full", "ratio", [b / a for a, b in zip(spent[full], spent[most], strict=True)])
    for queued, values in spent.items():
        report.add(f"scheduler_ns_{queued}", "ns", values)


def _add_comparison(report: Report, runs: Sequence[Run], arrivals: Sequence[str]) -> None:
    """Throughput beyond capacity, where the queue is never empty; latency at half and at most of the capacity."""
    by_case = {(run.scheduler, run.arrivals, run.load): run for run in runs}
    for kind in arrivals:
        top = {name: by_case[name, kind, LOADS[-1]].throughput for name in SCHEDULERS}
        report.add(f"simulation_{kind}_share_of_bound", "ratio", [top[BUCKETS] / top[ORACLE]])
        for name in TRITON:
            report.add(f"simulation_{kind}_gain_{name}", "ratio", [top[BUCKETS] / top[name]])
        for load in (0.5, 0.8):
            for name in (BUCKETS, ORACLE):
                p99 = by_case[name, kind, load].p99_ms
                report.add(f"simulation_{kind}_{name}_p99_at_{load * 100:.0f}", "ms", [p99])
    waste = {name: statistics.mean(run.padding_waste for run in runs if run.scheduler == name) for name in SCHEDULERS}
    for name, share in waste.items():
        report.add(f"simulation_padding_waste_{name}", "share of tokens", [share])


def main() -> None:
    """Simulate, publish, draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--costs", type=Path, help='the gears\' costs, {"8x128": nanoseconds, ...}; else linear ones')
    parser.add_argument("--trace", type=Path, help="recorded: `LENGTH` or `LENGTH MICROSECONDS since the last` a line")
    parser.add_argument("--devices", type=int, default=1)
    parser.add_argument("--requests", type=int, default=200_000, help="of each run, up to 10 million")
    arguments = parser.parse_args()
    gears = read_gears(arguments.costs) if arguments.costs else linear_gears()
    lengths = arguments.trace or sentence_lengths(WORK / "lengths.txt")
    has_times = len(lengths.read_text().split("\n", 1)[0].split()) > 1
    report = Report("scheduling_simulation")
    scene = Scene(gears, lengths, arguments.devices, arguments.requests)
    measure(report, scene, (*ARRIVALS, RECORDED) if has_times else ARRIVALS)
    report.publish()


if __name__ == "__main__":
    main()
