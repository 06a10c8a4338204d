"""Draws what the front end benchmark found."""

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from benchmarks.frontend.contest import GRPCIO, LITSERVE, LOADS, NATIVE, PEERS, TRITON
from benchmarks.report import Figure, Report, machine

COLOURS = {NATIVE: "tab:red", TRITON: "tab:green", GRPCIO: "tab:blue", LITSERVE: "tab:purple"}
LABELS = {
    NATIVE: "npuserve, native",
    TRITON: "Triton 2.51, C backend",
    GRPCIO: "npuserve, grpc.aio",
    LITSERVE: "LitServe (HTTP/1.1)",
}
WIDTH = 0.2


def draw(report: Report, path: Path) -> None:
    """Write three panels: throughput by load, processor time of a request, and latency at equal throughput."""
    figures = {figure.name: figure for figure in report.figures}
    canvas = Canvas(figsize=(13, 4.6), layout="constrained")
    rates, cpu, latency = canvas.subplots(1, 3, width_ratios=[2.2, 1, 1.4])
    _rates(rates, figures)
    _cpu(cpu, figures)
    _latency(latency, figures)
    canvas.suptitle(f"512-byte identity tensor; clients on the same machine: {machine()}", fontsize=9)
    canvas.savefig(path, dpi=120)


def _bar(axes: Axes, position: float, figure: Figure, peer: str, label: str | None = None) -> None:
    """One bar of the median, and its samples as dots."""
    axes.bar(position, figure.median, WIDTH, color=COLOURS[peer], label=label)
    axes.scatter([position] * len(figure.samples), figure.samples, color="black", s=6, zorder=3)


def _rates(axes: Axes, figures: dict[str, Figure]) -> None:
    for group, load in enumerate(LOADS):
        for place, peer in enumerate(PEERS):
            figure = figures[f"{peer}_rate_{load.name}"]
            position = group + (place - 1.5) * WIDTH
            _bar(axes, position, figure, peer, LABELS[peer] if group == 0 else None)
            axes.annotate(
                f"{figure.median / 1000:.3g}k", (position, figure.median), ha="center", va="bottom", fontsize=7
            )
    axes.set_yscale("log")
    axes.set_xticks(range(len(LOADS)), [f"{load.connections} × {load.in_flight}" for load in LOADS])
    axes.set_xlabel("connections × requests in flight on each")
    axes.set_ylabel("requests per second (log)")
    axes.legend(fontsize=7, loc="upper left")
    ratios = ", ".join(f"{figures[f'frontend_ratio_{load.name}'].median:.2g}" for load in LOADS)
    axes.set_title(f"Throughput: {ratios} × Triton", fontsize=10)


def _cpu(axes: Axes, figures: dict[str, Figure]) -> None:
    for place, peer in enumerate(PEERS):
        figure = figures[f"{peer}_cpu_4x25"]
        axes.bar(place, figure.median, 0.7, color=COLOURS[peer])
        axes.annotate(f"{figure.median:.3g}", (place, figure.median), ha="center", va="bottom", fontsize=8)
    axes.set_yscale("log")
    axes.set_xticks(range(len(PEERS)), PEERS)
    axes.set_ylabel("µs of the server's processor time (log)")
    axes.set_title("One request at 4 × 25", fontsize=10)


def _latency(axes: Axes, figures: dict[str, Figure]) -> None:
    cases = {
        "paced_50": "50 % of\nTriton's 16×1",
        "paced_80": "80 % of\nTriton's 16×1",
        "analyzer_1": "perf_analyzer\n1 in flight",
        "analyzer_16": "perf_analyzer\n16 in flight",
        "analyzer_paced": "perf_analyzer\npaced",
    }
    for group, case in enumerate(cases):
        for place, peer in enumerate((NATIVE, TRITON)):
            _bar(axes, group + (place - 0.5) * WIDTH, figures[f"{peer}_{case}_p99"], peer)
    axes.set_yscale("log")
    axes.set_xticks(range(len(cases)), list(cases.values()), fontsize=6)
    axes.set_ylabel("p99 in ms (log)")
    axes.set_title("Latency", fontsize=10)
