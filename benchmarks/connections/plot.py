"""Draws what a connection costs each front end."""

from collections.abc import Mapping
from pathlib import Path

from matplotlib.figure import Figure as Canvas

from benchmarks.report import Report, machine

_PANELS = (
    ("kib_per_connection", "resident KiB a connection"),
    ("idle_cpu_percent", "% of a core, all connections idle"),
    ("active_rate", "requests/s, 1,000 clients × 1"),
)


def draw(report: Report, prefixes: Mapping[str, str], path: Path) -> None:
    """Write a panel a question, with a bar a front end; prefixes: of the figures' names, by front end."""
    figures = {figure.name: figure for figure in report.figures}
    canvas = Canvas(figsize=(10, 3.5), layout="constrained")
    for panel, (name, label) in zip(canvas.subplots(1, len(_PANELS)), _PANELS, strict=True):
        medians = [figures[f"{prefix}_{name}"].median for prefix in prefixes.values()]
        panel.bar_label(panel.bar(list(prefixes), medians, width=0.6), fmt="%.4g")
        panel.set_title(label, fontsize=10)
    canvas.suptitle(machine(), fontsize=8)
    canvas.savefig(path, dpi=120)
