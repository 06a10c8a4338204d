"""The costs of gears that a running server has measured, and the cost of gears that there are not yet."""

import re
from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np

from npuserve.migrate.costs import CostModel
from npuserve.migrate.exposed import exposed

METRIC = "npu_gear_cost_us"

# Rows by length; gears with more variable sizes than a length say nothing here.
_GEAR = re.compile(r"(\d{1,9})x(\d{1,9})")

# Fewer gears, or gears of fewer lengths, could be explained in too many ways.
_GEARS = 4
_LENGTHS = 2

Gear = tuple[int, int]


def read_costs(text: str, model: str) -> Mapping[Gear, float]:
    """Return the microseconds of an execution by rows and length of the gear, as far as the metrics tell them."""
    found = {}
    for sample in exposed(text, METRIC):
        gear = _GEAR.fullmatch(sample.labels.get("gear", ""))
        if gear and sample.labels.get("model") == model and 0 < sample.value < np.inf:
            found[int(gear[1]), int(gear[2])] = sample.value
    return found


def fitted(costs: Mapping[Gear, float]) -> CostModel | None:
    """Return the cost model that is nearest in proportion, its unit a microsecond; None if there are too few gears.

    Least squares of the relative error over what an execution, a token, and a token's attention to a position may
    cost. None of these is negative, so all choices of those that are not 0 are tried.
    """
    if len(costs) < _GEARS or len({length for _, length in costs}) < _LENGTHS:
        return None
    terms = np.array([(1.0, rows * length, rows * length**2) for rows, length in costs])
    relative = terms / np.array(list(costs.values()))[:, None]
    best = min(
        (_solved(relative, chosen) for size in (1, 2, 3) for chosen in combinations(range(3), size)),
        key=lambda found: float(np.sum((relative @ found - 1) ** 2)),
    )
    return CostModel(fixed=float(best[0]), token=float(best[1]), attention=float(best[2]), unit="µs, as measured")


def _solved(relative: np.ndarray, chosen: Sequence[int]) -> np.ndarray:
    """Return the costs with all but the chosen ones 0; all 0, which is far off, if one would be negative."""
    values, *_ = np.linalg.lstsq(relative[:, chosen], np.ones(len(relative)), rcond=None)
    solution = np.zeros(3)
    if np.all(values >= 0):
        solution[list(chosen)] = values
    return solution
