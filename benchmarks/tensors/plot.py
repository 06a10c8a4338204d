"""Draws what the tensor benchmark found."""

from pathlib import Path

from matplotlib.figure import Figure as Canvas

from benchmarks.report import Report, machine

CASES = {
    "h2load_1": "h2load\n1 in flight",
    "h2load_4": "h2load\n4 in flight",
    "tritonclient_1": "tritonclient\n1 in flight",
    "tritonclient_4": "tritonclient\n4 in flight",
}
PEERS = {"native": ("npuserve, native", "tab:red"), "triton": ("Triton 2.51, C backend", "tab:green")}
WIDTH = 0.35


def draw(report: Report, path: Path) -> None:
    """Write one panel: GB/s by client and peer, and memcpy's as a line."""
    figures = {figure.name: figure for figure in report.figures}
    canvas = Canvas(figsize=(8, 4.4), layout="constrained")
    axes = canvas.subplots()
    for place, (peer, (label, colour)) in enumerate(PEERS.items()):
        for group, case in enumerate(CASES):
            figure = figures[f"tensors_{peer}_{case}"]
            position = group + (place - 0.5) * WIDTH
            axes.bar(position, figure.median, WIDTH, color=colour, label=label if group == 0 else None)
            axes.scatter([position] * len(figure.samples), figure.samples, color="black", s=8, zorder=3)
            axes.annotate(f"{figure.median:.2f}", (position, 0), ha="center", va="bottom", color="white", fontsize=8)
    memcpy = figures["tensors_memcpy"].median
    axes.axhline(memcpy, color="black", linestyle="--", linewidth=1, label=f"memcpy, one thread: {memcpy:.1f}")
    axes.set_xticks(range(len(CASES)), list(CASES.values()))
    axes.set_ylabel("GB/s of tensor, in and out at once")
    axes.legend(fontsize=8)
    axes.set_title("Identity of a 16 MiB tensor; the client is on the same machine", fontsize=10)
    canvas.suptitle(machine(), fontsize=8)
    canvas.savefig(path, dpi=120)
