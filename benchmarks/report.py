"""What every benchmark prints and keeps: `figure NAME VALUE UNIT` lines, a JSON file, the machine's name."""

import json
import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Figure:
    """One result: the median of its samples, with the spread."""

    name: str
    unit: str
    samples: tuple[float, ...]

    @property
    def median(self) -> float:
        """The value that is quoted."""
        return statistics.median(self.samples)


@dataclass
class Report:
    """The figures of one benchmark, in the order in which they should be read (ratios first)."""

    benchmark: str
    figures: list[Figure] = field(default_factory=list)

    def add(self, name: str, unit: str, samples: Sequence[float]) -> Figure:
        """Add a figure from one or more samples."""
        figure = Figure(name, unit, tuple(samples))
        self.figures.append(figure)
        return figure

    def publish(self) -> Path:
        """Print every figure and write RESULTS/BENCHMARK.json; return its path."""
        print(f"machine {machine()}")
        for figure in self.figures:
            spread = f"  (min {min(figure.samples):.4g}, max {max(figure.samples):.4g}, n {len(figure.samples)})"
            print(f"figure {figure.name} {figure.median:.4g} {figure.unit}{spread if len(figure.samples) > 1 else ''}")
        RESULTS.mkdir(exist_ok=True)
        path = RESULTS / f"{self.benchmark}.json"
        figures = [asdict(figure) | {"median": figure.median} for figure in self.figures]
        path.write_text(json.dumps({"machine": machine(), "figures": figures}, indent=1) + "\n")
        return path


def machine() -> str:
    """Return what a reader needs to judge absolute numbers: processor, cores, system."""
    model = next(
        (line.split(":", 1)[1].strip() for line in _cpuinfo() if line.startswith(("model name", "Model"))),
        platform.machine(),
    )
    return (
        f"{model}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python {platform.python_version()}"
    )


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []
