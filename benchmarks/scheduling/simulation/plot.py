"""Draws throughput against p99 of every simulated scheduler, one panel for each kind of arrivals."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from matplotlib.figure import Figure as Canvas

_LABELS = {
    "buckets": "npuserve, buckets",
    "equal": "npuserve, equal shapes, true lengths",
    "one_length": "npuserve, clients pad to the longest",
    "triton_padded": "Triton's batcher, clients pad to the longest",
    "triton_true": "Triton's batcher, true lengths",
    "oracle": "bound: no scheduler is faster",
}
_STYLES: dict[str, dict[str, Any]] = {
    "buckets": {"color": "tab:blue", "marker": "o", "linewidth": 2.0},
    "equal": {"color": "tab:cyan", "marker": "s", "linestyle": ":"},
    "one_length": {"color": "tab:green", "marker": "s", "linestyle": ":"},
    "triton_padded": {"color": "tab:orange", "marker": "x"},
    "triton_true": {"color": "tab:red", "marker": "x"},
    "oracle": {"color": "black", "marker": ".", "linestyle": "--"},
}


class Point(Protocol):
    """What is drawn of a run."""

    @property
    def scheduler(self) -> str: ...
    @property
    def arrivals(self) -> str: ...
    @property
    def load(self) -> float: ...
    @property
    def throughput(self) -> float: ...
    @property
    def p99_ms(self) -> float: ...


def draw(runs: Sequence[Point], path: Path) -> None:
    """Write the panels; a curve has one point a load, and turns up where its scheduler is overloaded."""
    kinds = list(dict.fromkeys(run.arrivals for run in runs))
    canvas = Canvas(figsize=(4.6 * len(kinds), 5), layout="constrained")
    panels = canvas.subplots(1, len(kinds), sharey=True, squeeze=False)[0]
    for kind, panel in zip(kinds, panels, strict=True):
        for name, label in _LABELS.items():
            points = sorted(
                (run for run in runs if run.scheduler == name and run.arrivals == kind), key=lambda run: run.load
            )
            rates = [run.throughput / 1000 for run in points]
            panel.plot(rates, [run.p99_ms for run in points], label=label, markersize=4, **_STYLES[name])
        panel.set_yscale("log")
        panel.set_title(f"arrivals: {kind}")
        panel.set_xlabel("thousand sentences per second, virtual time")
        panel.grid(alpha=0.3)
    panels[0].set_ylabel("p99 latency, ms")
    handles, labels = panels[0].get_legend_handles_labels()
    canvas.legend(handles, labels, loc="outside lower center", ncols=3)
    loads = sorted({run.load for run in runs})
    canvas.suptitle(f"The scheduler simulated, at {loads[0]:.0%} to {loads[-1]:.0%} of what full gears could do")
    canvas.savefig(path, dpi=120)
