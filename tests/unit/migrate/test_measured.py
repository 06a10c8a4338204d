"""Costs of gears from the text of a server's metrics, and the model that is fitted to them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from npuserve.migrate.costs import CostModel
from npuserve.migrate.measured import fitted, read_costs
from npuserve.observability.exposition import Family, Sample, render

GEARS = [(rows, length) for rows in (1, 4, 16) for length in (16, 64, 128)]


def metrics(*costs: tuple[str, str, float]) -> str:
    samples = [Sample({"model": model, "version": "1", "gear": gear}, cost) for model, gear, cost in costs]
    return render([Family(name="npu_gear_cost_us", kind="gauge", help="x", samples=samples)]).decode()


def cost_of(model: CostModel, gear: tuple[int, int]) -> float:
    return gear[0] * model.of_row(*gear)


def test_the_models_gears_of_rows_and_one_length_are_read() -> None:
    text = metrics(("m", "1x16", 20.5), ("m", "4x64", 0), ("m", "8", 7), ("m", "1x16x16", 9), ("n", "1x32", 3))
    assert read_costs(text, "m") == {(1, 16): 20.5}


@given(
    fixed=st.sampled_from([0.0, 5.0, 300.0]),
    token=st.sampled_from([0.0, 0.5, 3.0]),
    attention=st.sampled_from([0.0, 0.001, 0.02]),
)
def test_costs_that_follow_the_formula_give_it_back(fixed: float, token: float, attention: float) -> None:
    if fixed + token + attention == 0:
        return
    true = CostModel(fixed=fixed, token=token, attention=attention)
    found = fitted({gear: cost_of(true, gear) for gear in GEARS})
    assert found is not None
    for gear in [*GEARS, (2, 24), (32, 256)]:
        assert cost_of(found, gear) == pytest.approx(cost_of(true, gear), rel=1e-6)


def test_no_part_of_a_fitted_cost_is_negative() -> None:
    # Longer gears cost less than in proportion, which no attention explains.
    found = fitted({(rows, length): rows * length**0.8 for rows, length in GEARS})
    assert found is not None
    assert min(found.fixed, found.token, found.attention) >= 0
    assert found.token > 0


@pytest.mark.parametrize("gears", [[], GEARS[:3], [(1, 16), (2, 16), (4, 16), (8, 16)]], ids=["none", "few", "alike"])
def test_too_few_gears_give_no_cost(gears: list[tuple[int, int]]) -> None:
    assert fitted(dict.fromkeys(gears, 5.0)) is None
