"""Draws a plan (the optional extra `npuserve[plan]`)."""

from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from npuserve.migrate.errors import PlanError
from npuserve.migrate.planning import Plan

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw(plan: Plan, path: Path) -> None:
    """Write two panels: waste and cost by the number of lengths; the sample with the recommended lengths.

    Raises PlanError if matplotlib is missing or the file cannot be written.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise PlanError("--plot needs the package matplotlib: pip install 'npuserve[plan]'") from error
    figure = Figure(figsize=(11, 4), layout="constrained")
    choice, sample = figure.subplots(1, 2)
    _draw_choice(choice, plan)
    _draw_sample(sample, plan)
    try:
        figure.savefig(path, dpi=120)
    except (OSError, ValueError) as error:
        raise PlanError(f"--plot: cannot write {path}: {error}") from error


def _draw_choice(axes: "Axes", plan: Plan) -> None:
    from matplotlib.ticker import MaxNLocator

    counts = [len(proposal.lengths) for proposal in plan.proposals]
    axes.plot(counts, [proposal.waste for proposal in plan.proposals], "o-", label="waste: padding of what runs")
    axes.plot(counts, [proposal.cost for proposal in plan.proposals], "s-", label="cost, of the longest gear's alone")
    best = plan.recommended
    axes.axvline(len(best.lengths), color="black", linestyle=":", label=f"recommended: {len(best.lengths)}")
    axes.set_xlabel("lengths compiled")
    axes.set_ylim(0, 1.05)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend()
    axes.set_title(f"{len(best.lengths)} lengths: {best.waste:.1%} waste, {best.cost:.2f} of the cost of one")


def _draw_sample(axes: "Axes", plan: Plan) -> None:
    sample, best = plan.sample, plan.recommended
    step = min((b - a for a, b in pairwise(sample.lengths)), default=1)
    axes.bar(sample.lengths, sample.rows, width=-step, align="edge", color="tab:gray")
    for length in best.lengths:
        axes.axvline(length, color="tab:red")
    axes.set_xlim(0, best.lengths[-1] * 1.03)
    axes.set_xlabel("length of a row; red: recommended gears")
    axes.set_ylabel("rows")
    axes.set_title(f"{sample.total_rows:,} rows, {sample.tokens / sample.total_rows:.1f} tokens on average")
