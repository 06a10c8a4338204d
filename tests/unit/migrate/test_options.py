from typing import Any

import pytest
from npuserve.migrate.costs import CostModel, attention_of
from npuserve.migrate.errors import PlanError
from npuserve.migrate.options import PlanOptions


@pytest.mark.parametrize(
    ("given", "batches"),
    [
        ({}, (1, 2, 4, 8, 16, 32)),
        ({"max_batch": 1}, (1,)),
        ({"max_batch": 2}, (1, 2)),
        ({"max_batch": 24}, (1, 2, 4, 8, 16, 24)),
        ({"max_batch": 64, "concurrency": 6}, (1, 2, 4, 6)),
        ({"max_batch": 4, "concurrency": 100}, (1, 2, 4)),
        ({"batches": (16, 1, 4)}, (1, 4, 16)),
    ],
)
def test_batches_are_powers_of_two_up_to_what_can_be_in_flight(given: Any, batches: tuple[int, ...]) -> None:
    assert PlanOptions(**given).compiled_batches == batches


@pytest.mark.parametrize(("max_gears", "lengths"), [(100, 16), (6, 1), (13, 2)])
def test_the_compilers_limit_holds_for_pairs_of_a_batch_and_a_length(max_gears: int, lengths: int) -> None:
    assert PlanOptions(max_gears=max_gears).max_lengths == lengths


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"max_gears": 0}, "--max-gears must be 1 to 100, got 0"),
        ({"max_gears": 101}, "--max-gears must be 1 to 100, got 101"),
        ({"max_gears": 5}, "--max-gears 5 is less than the 6 batch sizes 1,2,4,8,16,32: allow more gears"),
        ({"max_batch": 0}, "--max-batch must be 1 to 2048, got 0"),
        ({"max_batch": 2049}, "--max-batch must be 1 to 2048, got 2049"),
        ({"batches": (0,)}, "--batches must be 1 to 2048, got 0"),
        ({"batches": (2, 2)}, "--batches names a batch twice: 2,2"),
        ({"concurrency": 0}, "--concurrency must be at least 1, got 0"),
        ({"max_length": 0}, "--max-length must be at least 1, got 0"),
        ({"align": -8}, "--align must be at least 1, got -8"),
        ({"compared": (16, 0)}, "--compare must be at least 1, got 0"),
        ({"tolerance": -0.1}, "--tolerance must be 0 to 1, got -0.1"),
        ({"tolerance": float("nan")}, "--tolerance must be 0 to 1, got nan"),
        ({"inputs": ("",)}, "--input-names must be names between commas, got ''"),
        ({"inputs": ("a;b",)}, "--input-names must be names between commas, got 'a;b'"),
        ({"inputs": ("a", "a")}, "--input-names names an input twice: a,a"),
        ({"inputs": tuple(f"i{n}" for n in range(65))}, "65 inputs are more than the 64 that a gear can describe"),
    ],
)
def test_an_impossible_wish_is_refused(given: Any, reason: str) -> None:
    with pytest.raises(PlanError) as caught:
        PlanOptions(**given)
    assert str(caught.value).startswith(reason)


@pytest.mark.parametrize(
    "given", [{"fixed": -1.0}, {"token": -1.0}, {"attention": float("nan")}, {"fixed": float("inf")}]
)
def test_a_cost_is_a_positive_number(given: Any) -> None:
    with pytest.raises(PlanError, match="a cost must be 0 or a positive number"):
        CostModel(**given)


def test_a_row_pays_its_share_of_the_execution_and_the_square_of_its_length() -> None:
    assert CostModel(fixed=100, attention=0.01).of_row(4, 50) == 100 / 4 + 50 + 0.01 * 50 * 50


def test_attention_costs_as_much_as_all_else_at_six_times_the_hidden_size() -> None:
    assert attention_of(384) * 6 * 384 == pytest.approx(1)
