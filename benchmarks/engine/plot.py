"""Draws what the engine benchmark found."""

from pathlib import Path

from matplotlib.figure import Figure as Canvas

from benchmarks.report import Report, machine


def draw(report: Report, path: Path) -> None:
    """Write two panels: the rate of the server beside the bare loop's, and the engine's latencies."""
    figures = {figure.name: figure for figure in report.figures}
    canvas = Canvas(figsize=(10, 4), layout="constrained")
    rates, latencies = canvas.subplots(1, 2)
    for position, name in enumerate(("bare_loop_rate", "server_rate")):
        samples = figures[name].samples
        rates.bar(position, figures[name].median, width=0.6)
        rates.scatter([position] * len(samples), samples, color="black", s=12, zorder=3)
    rates.set_xticks([0, 1], ["bare OpenVINO loop", "whole server, 64 clients"])
    rates.set_ylabel("sequences of 128 per second")
    rates.set_title(f"BERT-Small: {figures['engine_efficiency'].median:.1%} of the bare loop")
    names = [name for name in figures if name.startswith("overhead_") and not name.endswith("_rate")]
    latencies.barh([name.removeprefix("overhead_") for name in names], [figures[name].median for name in names])
    latencies.set_xlabel("µs from submit to result, identity model")
    latencies.set_title("Engine alone, one request in flight")
    canvas.suptitle(machine(), fontsize=8)
    canvas.savefig(path, dpi=120)
