"""Draws the server's memory and open files over the time of the soak."""

from pathlib import Path

from matplotlib.figure import Figure as Canvas

from benchmarks.report import machine
from benchmarks.soak.watch import FIFTHS, Watch


def draw(watch: Watch, path: Path) -> None:
    """Write two panels: resident memory, and open files."""
    canvas = Canvas(figsize=(10, 4), layout="constrained")
    memory, files = canvas.subplots(1, 2)
    seconds = [index * watch.interval for index in range(len(watch.rss))]
    memory.plot(seconds, [value / 2**20 for value in watch.rss], linewidth=1)
    fifth = seconds[-1] / FIFTHS
    for start in (fifth, seconds[-1] - fifth):
        memory.axvspan(start, start + fifth, alpha=0.15)
    memory.set_ylim(bottom=0)
    memory.set_ylabel("resident memory of the server, MiB")
    memory.set_title(f"last shaded fifth ÷ first: {watch.growth_ratio():.3f}")
    files.plot(seconds, watch.files, linewidth=1)
    files.set_ylim(bottom=0)
    files.set_ylabel("open files of the server")
    for panel in (memory, files):
        panel.set_xlabel("seconds of mixed load")
    canvas.suptitle(machine(), fontsize=8)
    canvas.savefig(path, dpi=120)
