from bisect import bisect_left
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from npuserve.migrate.costs import CostModel
from npuserve.migrate.errors import PlanError
from npuserve.migrate.options import PlanOptions
from npuserve.migrate.planning import assess, plan
from npuserve.migrate.sample import LengthSample, counted


@given(
    rows=st.lists(st.integers(1, 300), min_size=1, max_size=200),
    align=st.sampled_from([1, 8, 16]),
    max_gears=st.integers(3, 40),
)
def test_what_is_predicted_is_what_a_replay_of_the_sample_wastes(rows: list[int], align: int, max_gears: int) -> None:
    found = plan(counted(rows), PlanOptions(align=align, max_gears=max_gears, max_batch=4))
    for proposal in found.proposals:
        run = sum(proposal.lengths[bisect_left(proposal.lengths, row)] for row in rows)
        assert proposal.run_tokens == run
        assert proposal.waste == pytest.approx((run - sum(rows)) / run)
        assert 1 <= len(proposal.gears) <= max_gears


@given(rows=st.lists(st.integers(1, 300), min_size=1, max_size=200), fixed=st.floats(0, 1000))
def test_more_lengths_never_cost_more(rows: list[int], fixed: float) -> None:
    found = plan(counted(rows), PlanOptions(cost=CostModel(fixed=fixed)))
    costs = [proposal.cost for proposal in found.proposals]
    assert costs[0] == pytest.approx(1)
    assert all(later <= earlier * (1 + 1e-12) for earlier, later in pairwise(costs))


def test_the_fewest_lengths_near_the_best_are_recommended() -> None:
    sample = counted([10] * 900 + [20] * 90 + [30] * 10)
    found = plan(sample, PlanOptions(align=1, max_batch=1, tolerance=0.05))
    assert [proposal.lengths for proposal in found.proposals] == [(30,), (10, 30), (10, 20, 30)]
    # 900 × 10 + 100 × 30 = 12,000 is 8 % above 11,100, the best; so the third.
    assert found.recommended.lengths == (10, 20, 30)
    assert plan(sample, PlanOptions(align=1, max_batch=1, tolerance=0.1)).recommended.lengths == (10, 30)


def test_a_cost_of_each_execution_makes_few_lengths_good_enough() -> None:
    sample = counted([10] * 50 + [20] * 50)
    plain = PlanOptions(align=1, max_batch=1)
    dear = PlanOptions(align=1, max_batch=1, cost=CostModel(fixed=1000))
    assert plan(sample, plain).recommended.lengths == (10, 20)
    assert plan(sample, dear).recommended.lengths == (20,)


def test_the_longest_gear_is_the_longest_row_that_is_to_be_served() -> None:
    sample = counted([10, 50])
    assert plan(sample, PlanOptions()).proposals[0].lengths == (56,)
    assert plan(sample, PlanOptions(max_length=500)).proposals[0].lengths == (500,)
    # Not 56: the model has no more positions.
    assert plan(sample, PlanOptions(max_length=53)).proposals[0].lengths == (53,)


def test_a_row_above_the_longest_is_refused() -> None:
    with pytest.raises(PlanError, match="the sample has a row of length 50, above --max-length 49"):
        plan(counted([10, 50]), PlanOptions(max_length=49))


def test_lengths_that_are_bounds_waste_by_the_tokens_there_were() -> None:
    found = plan(LengthSample((8, 16), (1, 1), 17), PlanOptions())
    assert found.proposals[1].lengths == (8, 16)
    assert found.proposals[1].waste == pytest.approx(7 / 24)


def test_gears_that_are_there_are_compared_by_the_same_measure() -> None:
    found = plan(counted([10, 20, 30]), PlanOptions(align=1, compared=(64, 20)))
    assert found.compared is not None
    assert found.compared.lengths == (20, 64)
    assert found.compared.run_tokens == 20 + 20 + 64
    assert found.compared.cost == pytest.approx(104 / 90)


def test_a_row_that_the_compared_gears_do_not_hold_is_named() -> None:
    with pytest.raises(PlanError, match="a row of length 30, beyond the longest gear, 20"):
        assess(counted([30]), (10, 20), PlanOptions())
