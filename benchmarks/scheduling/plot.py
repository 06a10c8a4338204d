"""Draws what the scheduling benchmark found on the real servers."""

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure as Canvas

from benchmarks.report import Report, machine
from benchmarks.scheduling.arms import Arm
from benchmarks.scheduling.load import Found

_LABELS = {
    "buckets": "npuserve, buckets",
    "one_gear": "npuserve, one gear of 128",
    "triton_padded": "Triton, clients pad to 128",
    "triton_true": "Triton, true lengths, unbatched",
    "triton_equal": "Triton, true lengths, batched",
    "litserve": "LitServe, batches padded to their longest",
}


def draw(
    report: Report,
    contest: Sequence[Arm],
    closed: Mapping[str, Sequence[Found]],
    opened: Mapping[str, Sequence[Found]],
    path: Path,
) -> None:
    """Write two panels: sequences a second with 64 clients, and latency at 80 % of each arm's own capacity."""
    gains = {figure.name: figure.median for figure in report.figures}
    names = [arm.name for arm in reversed(contest)]
    canvas = Canvas(figsize=(11, 4), layout="constrained")
    rates, latencies = canvas.subplots(1, 2, sharey=True)
    places = range(len(names))
    rates.barh(places, [statistics.median(found.rate for found in closed[name]) for name in names])
    for place, name in zip(places, names, strict=True):
        rates.scatter(
            [found.rate for found in closed[name]], [place] * len(closed[name]), color="black", s=10, zorder=3
        )
    rates.set_yticks(list(places), [_LABELS[name] for name in names])
    rates.set_xlabel("sentences per second, 64 clients in a closed loop")
    rates.set_title(
        f"{gains['bucket_gain_padded']:.1f} × the padded arms, {gains['bucket_gain_best_peer']:.2f} × the best peer"
    )
    for quantile, colour in (("p99_ms", "tab:orange"), ("p50_ms", "tab:blue")):
        values = [statistics.median(getattr(found, quantile) for found in opened[name]) for name in names]
        latencies.barh(places, values, color=colour, label=quantile.removesuffix("_ms"))
    latencies.set_xlabel("ms, Poisson arrivals at 80 % of the arm's own capacity")
    latencies.legend()
    canvas.suptitle(machine(), fontsize=8)
    canvas.savefig(path, dpi=120)
