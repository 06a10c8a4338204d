"""The best lengths to compile for: exact, by dynamic programming over the sample's distinct lengths.

A row runs in the shortest gear that holds it, so k lengths cut the sorted sample into k groups, each of which runs at
its longest. The best cut of the first j candidates into k groups ends with a group that starts behind some i, and
before i there is a best cut into k - 1.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from npuserve.migrate.errors import PlanError
from npuserve.migrate.sample import LengthSample

# The search takes the square of this, times the number of lengths: seconds.
MAX_CANDIDATES = 4096


def candidates(sample: LengthSample, align: int, longest: int) -> tuple[int, ...]:
    """Return the lengths that a best choice can have, ascending: multiples of `align`, and `longest` as the last.

    A gear that no row fills up to the multiple before would only run longer. REQUIRES: no row is above `longest`.
    Raises PlanError if there are too many.
    """
    rounded = {min(-(-length // align) * align, longest) for length in sample.lengths} | {longest}
    if len(rounded) > MAX_CANDIDATES:
        raise PlanError(
            f"the sample has {len(rounded)} different lengths at --align {align}: choose a larger one, so that at most "
            f"{MAX_CANDIDATES} are left"
        )
    return tuple(sorted(rounded))


def best_lengths(
    sample: LengthSample, among: tuple[int, ...], row_cost: Callable[[int], float], most: int
) -> list[tuple[int, ...]]:
    """Return for k = 1, 2, ... the k lengths whose total cost is least, up to `most` or as many as there are.

    among: candidates(). row_cost: of a row in a gear of a length; it grows with the length.
    """
    below = _rows_up_to(sample, among)
    costs = np.array([row_cost(length) for length in among])
    # totals[j]: the least cost of the rows of the first j candidates in k groups; infinite if there are no k.
    totals = np.full(len(among) + 1, np.inf)
    totals[0] = 0.0
    starts: list[npt.NDArray[np.intp]] = []
    chosen = []
    for _ in range(min(most, len(among))):
        totals, start = _one_group_more(totals, below, costs)
        starts.append(start)
        chosen.append(_walk_back(starts, among))
    return chosen


def _rows_up_to(sample: LengthSample, among: tuple[int, ...]) -> npt.NDArray[np.float64]:
    """Return how many rows the first 0, 1, 2, ... candidates hold."""
    place = np.searchsorted(np.array(among), np.array(sample.lengths))
    rows = np.bincount(place, weights=np.array(sample.rows, dtype=np.float64), minlength=len(among))
    return np.concatenate(([0.0], np.cumsum(rows)))


def _one_group_more(
    totals: npt.NDArray[np.float64], below: npt.NDArray[np.float64], costs: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.intp]]:
    """Return the totals with one group more, and where the last group of each starts."""
    following = np.full_like(totals, np.inf)
    start = np.zeros(len(totals), dtype=np.intp)
    for end in range(1, len(totals)):
        options = totals[:end] + (below[end] - below[:end]) * costs[end - 1]
        start[end] = options.argmin()
        following[end] = options[start[end]]
    return following, start


def _walk_back(starts: list[npt.NDArray[np.intp]], among: tuple[int, ...]) -> tuple[int, ...]:
    end, lengths = len(among), []
    for start in reversed(starts):
        lengths.append(among[end - 1])
        end = int(start[end])
    return tuple(reversed(lengths))
