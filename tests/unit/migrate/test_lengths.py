"""The search against every choice there is."""

from collections.abc import Callable, Sequence
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from npuserve.migrate.errors import PlanError
from npuserve.migrate.lengths import MAX_CANDIDATES, best_lengths, candidates
from npuserve.migrate.sample import counted

COSTS: dict[str, Callable[[int], float]] = {
    "tokens": float,
    "attention": lambda length: length * (1 + length / 20),
    "fixed": lambda length: 30.0 + length,
}


def cost_of(rows: Sequence[int], lengths: Sequence[int], row_cost: Callable[[int], float]) -> float:
    """Each row by itself, in the shortest gear that holds it."""
    return sum(row_cost(min(length for length in lengths if length >= row)) for row in rows)


@given(
    rows=st.lists(st.integers(1, 40), min_size=1, max_size=60),
    align=st.sampled_from([1, 4, 8]),
    cost=st.sampled_from(sorted(COSTS)),
    beyond=st.integers(0, 5),
)
def test_no_other_choice_of_multiples_costs_less(rows: list[int], align: int, cost: str, beyond: int) -> None:
    longest = max(rows) + beyond
    sample = counted(rows)
    among = candidates(sample, align, longest)
    chosen = best_lengths(sample, among, COSTS[cost], most=4)

    assert len(chosen) == min(4, len(among))
    every = [*range(align, longest, align), longest]
    for k, lengths in enumerate(chosen, start=1):
        assert len(set(lengths)) == k
        assert list(lengths) == sorted(lengths)
        assert lengths[-1] == longest
        assert set(lengths) <= set(every)
        least = min(
            cost_of(rows, (*shorter, longest), COSTS[cost])
            for size in range(k)
            for shorter in combinations(every[:-1], size)
        )
        assert cost_of(rows, lengths, COSTS[cost]) == pytest.approx(least, rel=1e-12)


def test_candidates_are_multiples_that_a_row_needs_and_the_longest() -> None:
    assert candidates(counted([3, 8, 9, 30, 61]), 8, 62) == (8, 16, 32, 62)


def test_with_a_length_for_each_row_nothing_is_wasted() -> None:
    sample = counted([3, 5, 9])
    assert best_lengths(sample, candidates(sample, 1, 9), float, 10) == [(9,), (5, 9), (3, 5, 9)]


def test_many_different_lengths_are_searched() -> None:
    sample = counted(range(1, MAX_CANDIDATES + 1))
    chosen = best_lengths(sample, candidates(sample, 1, MAX_CANDIDATES), float, 4)
    # One row of each length: the best four are equally far apart.
    assert chosen[3] == tuple(MAX_CANDIDATES * quarter // 4 for quarter in (1, 2, 3, 4))


def test_too_many_different_lengths_are_refused_with_the_way_out() -> None:
    with pytest.raises(PlanError, match="4097 different lengths at --align 1: choose a larger one"):
        candidates(counted(range(1, MAX_CANDIDATES + 2)), 1, MAX_CANDIDATES + 1)
